/*
 * Window, DFT, power, mel bands, logarithm, DCT: each step's Q format and bound stand beside it.
 *
 * A sum of products is exact in int64 and is rounded once, half up, so the order of its terms does not matter. That is
 * what lets the DFTs be taken by their symmetries and still be equal to full matrix products. Tables are Q22 but for
 * the mel weights (Q12) and the logarithm (Q16).
 */
#include "hark_frontend.h"

#include "hark_tables.h"

/* `>>` of a negative number must keep its sign: C leaves it to the compiler, and all that matter do. */
typedef char hark_shift_is_arithmetic[((-1 >> 1) == -1) ? 1 : -1];

#define PEAK_BITS 15 /* a frame is normalised to so many */

/* The DFTs hold their sums 7 bits higher (Q29, < 2^60): what would be a shift by 25 bits is then the upper word. */
#define ONE ((int64_t)1 << 29)
#define COS(i) (HARK_COS_##i * 128)

static int32_t round_shift(int64_t x, unsigned bits)
{
    return (int32_t)((x + ((int64_t)1 << (bits - 1U))) >> bits);
}

static int32_t upper_word(int64_t x)
{
    return (int32_t)((x + ((int64_t)1 << 31U)) >> 32U);
}

static unsigned bit_length(uint32_t x)
{
    unsigned bits = 0U;
    unsigned step;

    for (step = 16U; step > 0U; step >>= 1U) {
        if ((x >> step) != 0U) {
            x >>= step;
            bits += step;
        }
    }
    return bits + ((x != 0U) ? 1U : 0U);
}

/* y[i] = sum of cos(2 pi n k / 16) x[n], n = 0..3, k = 2 i + 1; Q29. */
static void odd16(int32_t x0, int32_t x1, int32_t x2, int32_t x3, int64_t y[4])
{
    const int64_t sum = x0 * ONE + (int64_t)x2 * COS(4);
    const int64_t difference = x0 * ONE - (int64_t)x2 * COS(4);
    const int64_t outer = (int64_t)x1 * COS(2) + (int64_t)x3 * COS(6);
    const int64_t inner = (int64_t)x1 * COS(6) - (int64_t)x3 * COS(2);

    y[0] = sum + outer;
    y[1] = difference + inner;
    y[2] = difference - inner;
    y[3] = sum - outer;
}

/* y[i] = sum of cos(2 pi n k / 32) x[n], n = 0..7, k = 2 i + 1; Q29. Odd n change their sign from k to 16 - k. */
static void odd32(const int32_t x[8], int64_t y[8])
{
    int64_t even[4];
    int64_t odd[4];
    int i;

    odd16(x[0], x[2], x[4], x[6], even);
    odd[0] = (int64_t)x[1] * COS(1) + (int64_t)x[3] * COS(3) + (int64_t)x[5] * COS(5)
             + (int64_t)x[7] * COS(7);
    odd[1] = (int64_t)x[1] * COS(3) - (int64_t)x[3] * COS(7) - (int64_t)x[5] * COS(1)
             - (int64_t)x[7] * COS(5);
    odd[2] = (int64_t)x[1] * COS(5) - (int64_t)x[3] * COS(1) + (int64_t)x[5] * COS(7)
             + (int64_t)x[7] * COS(3);
    odd[3] = (int64_t)x[1] * COS(7) - (int64_t)x[3] * COS(5) + (int64_t)x[5] * COS(3)
             - (int64_t)x[7] * COS(1);
    for (i = 0; i < 4; i++) {
        y[i] = even[i] + odd[i];
        y[7 - i] = even[i] - odd[i];
    }
}

/*
 * DFT of 16 real numbers below 2^26: re[k] and im[k], k = 0..8, Q29.
 *
 * Even k see the sums x[n] + x[n + 8], odd k the differences. Of the differences, n and 8 - n share a cosine but for
 * its sign, and the sines are the same cosines in reverse order.
 */
static void real16(const int32_t x[16], int64_t re[9], int64_t im[9])
{
    int32_t e[8];
    int32_t o[8];
    int32_t f[4]; /* of the sums again: k = 0, 4, 8 */
    int32_t g[4]; /* k = 2, 6 */
    int64_t y[4];
    int n;

    for (n = 0; n < 8; n++) {
        e[n] = x[n] + x[n + 8];
        o[n] = x[n] - x[n + 8];
    }
    odd16(o[0], o[1] - o[7], o[2] - o[6], o[3] - o[5], y);
    re[1] = y[0];
    re[3] = y[1];
    re[5] = y[2];
    re[7] = y[3];
    odd16(o[4], o[3] + o[5], o[2] + o[6], o[1] + o[7], y);
    im[1] = -y[0];
    im[3] = y[1];
    im[5] = -y[2];
    im[7] = y[3];

    for (n = 0; n < 4; n++) {
        f[n] = e[n] + e[n + 4];
        g[n] = e[n] - e[n + 4];
    }
    re[0] = (f[0] + f[1] + f[2] + f[3]) * ONE;
    re[8] = (f[0] - f[1] + f[2] - f[3]) * ONE;
    re[4] = (f[0] - f[2]) * ONE;
    im[4] = (f[3] - f[1]) * ONE;
    im[0] = 0;
    im[8] = 0;
    re[2] = g[0] * ONE + (int64_t)(g[1] - g[3]) * COS(4);
    re[6] = g[0] * ONE - (int64_t)(g[1] - g[3]) * COS(4);
    im[2] = -(g[2] * ONE) - (int64_t)(g[1] + g[3]) * COS(4);
    im[6] = g[2] * ONE - (int64_t)(g[1] + g[3]) * COS(4);
}

/* Outputs k = 0..16 of the DFT of 32 real numbers, Q29: even ones at k / 2, odd ones at (k - 1) / 2. */
typedef struct {
    int64_t even_re[9];
    int64_t even_im[9];
    int64_t odd_re[8];
    int64_t odd_im[8];
} spectrum;

/* DFT of 32 real numbers below 2^25; int32 holds every sum of the numbers (2^30). */
static void real32(const int32_t x[32], spectrum *s)
{
    int32_t e[16];
    int32_t o[16];
    int32_t p[8];
    int32_t q[8];
    int n;

    for (n = 0; n < 16; n++) {
        e[n] = x[n] + x[n + 16];
        o[n] = x[n] - x[n + 16];
    }
    real16(e, s->even_re, s->even_im);
    p[0] = o[0];
    q[0] = o[8];
    for (n = 1; n < 8; n++) {
        p[n] = o[n] - o[16 - n];
        q[n] = o[8 - n] + o[8 + n];
    }
    odd32(p, s->odd_re);
    odd32(q, s->odd_im);
    for (n = 0; n < 8; n += 2) {
        s->odd_im[n] = -s->odd_im[n];
    }
}

/* The shift that brings a frame to 15 bits: 0..15, 15 for silence. */
static unsigned block_exponent(const int16_t *frame)
{
    uint32_t peak = 0U; /* the bits of all magnitudes: as long as the largest */
    unsigned bits;
    int n;

    for (n = 0; n < HARK_FRAME_SAMPLES; n++) {
        const int32_t x = frame[n];

        peak |= (uint32_t)((x < 0) ? -x : x);
    }
    bits = bit_length(peak);
    return (bits < PEAK_BITS) ? (PEAK_BITS - bits) : 0U;
}

/* Samples n2, n2 + 32, ... of the frame, scaled by 2^e and windowed: 9 fractional bits, at most 2^24. */
static void windowed(const int16_t *frame, int n2, int32_t scale, int32_t x[16])
{
    int n1;

    for (n1 = 0; n1 < 8; n1++) { /* the window is symmetric about sample 256 */
        const int n = HARK_COLUMNS * n1 + n2;
        const int m = n + HARK_FRAME_SAMPLES / 2;

        x[n1] = round_shift((int64_t)(frame[n] * scale) * hark_window[n], 13U);
        x[n1 + 8] = round_shift((int64_t)(frame[m] * scale) * hark_window[HARK_FRAME_SAMPLES - m], 13U);
    }
}

/* The first half of the DFT, over n1 for each n2: 6 fractional bits, at most 2^25. Row 0 is real. */
static void dft_rows(hark_frontend_work *work, const int16_t *frame, unsigned exponent)
{
    const int32_t scale = (int32_t)((uint32_t)1 << exponent);
    int32_t x[16];
    int64_t re[HARK_ROWS];
    int64_t im[HARK_ROWS];
    int n2;
    int k1;

    for (n2 = 0; n2 < HARK_COLUMNS; n2++) {
        windowed(frame, n2, scale, x);
        real16(x, re, im);
        for (k1 = 0; k1 < HARK_ROWS; k1++) {
            work->re[k1][n2] = upper_word(re[k1]);
            work->im[k1][n2] = upper_word(im[k1]);
        }
    }
}

/* Times W512^(k1 n2), which is 1 in row 0: still at most 2^25. */
static void twiddle(hark_frontend_work *work)
{
    int n2;
    int k1;

    for (k1 = 1; k1 < HARK_ROWS; k1++) {
        for (n2 = 0; n2 < HARK_COLUMNS; n2++) {
            const int32_t re = work->re[k1][n2];
            const int32_t im = work->im[k1][n2];
            const int32_t cosine = hark_twiddle[k1 - 1][n2][0];
            const int32_t sine = hark_twiddle[k1 - 1][n2][1]; /* of the negative angle */

            work->re[k1][n2] = round_shift((int64_t)re * cosine - (int64_t)im * sine, 22U);
            work->im[k1][n2] = round_shift((int64_t)re * sine + (int64_t)im * cosine, 22U);
        }
    }
}

/* One bin of the spectrum, 3 fractional bits, at most 2^26, into the two mel bands that it lies between. */
static void add_power(uint64_t *energy, int bin, int32_t re, int32_t im)
{
    const hark_mel *mel = &hark_mels[bin];
    const uint64_t power = (uint64_t)((int64_t)re * re + (int64_t)im * im + 32) >> 6U; /* < 2^47 */

    energy[mel->band] += power * mel->falling; /* sums < 2^62 */
    energy[mel->band + 1U] += power * mel->rising;
}

/*
 * The second half of the DFT, over n2 for one k1: bin k1 + 16 k2, or 512 less it. energy: [42], a band's is at its
 * index + 1.
 *
 * With R and I the DFTs of the real and the imaginary part, output k2 is R + i I, and output 32 - k2 is the conjugate
 * of R plus i times the conjugate of I. Row 0 is real; rows 0 and 8 mirror onto themselves.
 */
static void dft_columns(const hark_frontend_work *work, int k1, uint64_t *energy)
{
    spectrum r;
    spectrum i;
    int k;

    real32(work->re[k1], &r);
    if (k1 == 0) {
        for (k = 0; k < 8; k++) {
            add_power(energy, 32 * k, upper_word(r.even_re[k]), upper_word(r.even_im[k]));
            add_power(energy, 32 * k + 16, upper_word(r.odd_re[k]), upper_word(r.odd_im[k]));
        }
        add_power(energy, 256, upper_word(r.even_re[8]), 0);
        return;
    }
    real32(work->im[k1], &i);
    for (k = 0; k < 8; k++) { /* k2 = 2 k and 2 k + 1 */
        const int bin = 32 * k + k1;

        add_power(energy, bin, upper_word(r.even_re[k] - i.even_im[k]), upper_word(r.even_im[k] + i.even_re[k]));
        add_power(energy, bin + 16, upper_word(r.odd_re[k] - i.odd_im[k]), upper_word(r.odd_im[k] + i.odd_re[k]));
    }
    for (k = 0; (k1 < HARK_ROWS - 1) && (k < 8); k++) { /* 32 less 2 k, but for 32 itself, and 32 less 2 k + 1 */
        const int bin = 32 * k - k1;

        if (k > 0) {
            add_power(energy, bin, upper_word(r.even_re[k] + i.even_im[k]), upper_word(i.even_re[k] - r.even_im[k]));
        }
        add_power(energy, bin + 16, upper_word(r.odd_re[k] + i.odd_im[k]), upper_word(i.odd_re[k] - r.odd_im[k]));
    }
    if (k1 < HARK_ROWS - 1) {
        add_power(energy, 256 - k1, upper_word(r.even_re[8]), upper_word(i.even_re[8]));
    }
}

/* log2 of a mel energy, less the block exponent and the floor; Q16, < 2^22. */
static int32_t log_energy(uint64_t energy, unsigned block)
{
    const uint32_t high = (uint32_t)(energy >> 32U);
    const unsigned bits = (high != 0U) ? (32U + bit_length(high)) : bit_length((uint32_t)energy);
    uint32_t mantissa; /* 23 bits below the leading one */
    uint32_t i;
    int32_t rest;
    int32_t low;
    int32_t log;

    if (energy == 0U) {
        return 0;
    }
    mantissa = (uint32_t)((bits > 24U) ? (energy >> (bits - 24U)) : (energy << (24U - bits)));
    i = (mantissa >> 15U) & 0xFFU;
    rest = (int32_t)(mantissa & 0x7FFFU);
    low = hark_log2[i];
    log = low + (((hark_log2[i + 1U] - low) * rest + 0x4000) >> 15);
    log += ((int32_t)bits - 1 - 2 * (int32_t)block) * 0x10000 - HARK_LOG_FLOOR;
    return (log > 0) ? log : 0;
}

void hark_log_mel(hark_frontend_work *work, const int16_t frame[HARK_FRAME_SAMPLES], int32_t log_mel[HARK_BANDS])
{
    const unsigned exponent = block_exponent(frame);
    uint64_t energy[HARK_BANDS + 2] = {0U}; /* what lies beside the bands falls into the first and the last */
    int i;

    dft_rows(work, frame, exponent);
    twiddle(work);
    for (i = 0; i < HARK_ROWS; i++) {
        dft_columns(work, i, energy);
    }
    for (i = 0; i < HARK_BANDS; i++) {
        log_mel[i] = log_energy(energy[i + 1], exponent);
    }
}

void hark_cepstrum(const int32_t log_mel[HARK_BANDS], int32_t mfcc[HARK_N_MFCC])
{
    int32_t halves[2][HARK_BANDS / 2]; /* even coefficients see sums of mirrored bands, odd ones differences; < 2^23 */
    int c;
    int m;

    for (m = 0; m < HARK_BANDS / 2; m++) {
        halves[0][m] = log_mel[m] + log_mel[HARK_BANDS - 1 - m];
        halves[1][m] = log_mel[m] - log_mel[HARK_BANDS - 1 - m];
    }
    for (c = 0; c < HARK_N_MFCC; c++) {
        const int32_t *half = halves[c % 2];
        int64_t sum = 0; /* Q38, < 2^48 */

        for (m = 0; m < HARK_BANDS / 2; m++) {
            sum += (int64_t)half[m] * hark_dct[c][m];
        }
        mfcc[c] = round_shift(sum, 22U);
    }
}

void hark_quantize(const int32_t mfcc[HARK_N_MFCC], int8_t features[HARK_N_MFCC])
{
    int c;

    for (c = 0; c < HARK_N_MFCC; c++) {
        const int64_t centred = (int64_t)mfcc[c] - hark_offset[c];
        const int64_t code = (centred * hark_multiplier[c] + ((int64_t)1 << 23)) >> 24; /* |product| < 2^48 */

        features[c] = (int8_t)((code > 127) ? 127 : ((code < -128) ? -128 : code));
    }
}
