/*
 * The front end: frames of 512 samples (32 ms at 16 kHz) to log-mel bands and cepstral coefficients, the same for every
 * model.
 *
 * Integers throughout: the same sound gives the same features, bit for bit, on every machine and in tinyhark's Python.
 */
#ifndef HARK_FRONTEND_H
#define HARK_FRONTEND_H

#include <stdint.h>

#define HARK_FRAME_SAMPLES 512
#define HARK_BANDS 40
#define HARK_COLUMNS 32 /* n2 = 0..31 of the DFT as 16 x 32 */
#define HARK_ROWS 8     /* k1 = 1..8; row 0 lies apart, and the input is real, so the others mirror these */

/* Scratch of one frame; holds nothing between two calls. */
typedef struct {
    int32_t row0[HARK_COLUMNS];
    int32_t re[HARK_ROWS * HARK_COLUMNS]; /* as many rows side by side as are computed at once */
    int32_t im[HARK_ROWS * HARK_COLUMNS];
    uint64_t power[256]; /* of a bin */
} hark_frontend_work;

/* One frame of int16 sound -> log2 of 40 mel energies above the floor, Q16, never negative; silence is exactly 0. */
void hark_log_mel(hark_frontend_work *work, const int16_t frame[HARK_FRAME_SAMPLES], int32_t log_mel[HARK_BANDS]);

/* Log-mel, Q16 -> the first `count` (1 to 40) of its orthonormal DCT-II, Q16. */
void hark_cepstrum(const int32_t log_mel[HARK_BANDS], int32_t *mfcc, int count);

#endif
