/* The front end's source once more, for processors with AVX2: the compiler makes vectors of 256 bits of its lanes. */
#if defined(__x86_64__) && defined(__GNUC__)
#ifdef __clang__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif

#define HARK_LANES 8
#define hark_log_mel hark_log_mel_avx2
#define hark_cepstrum hark_cepstrum_avx2
#include "hark_frontend.c"

#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int hark_no_avx2; /* C wants something in each file */
#endif
