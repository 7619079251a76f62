/*
 * Window, DFT, power, mel bands, logarithm, DCT: each step's Q format and bound stand beside it.
 *
 * A sum of products is exact in int64 and is rounded once, half up, so the order of its terms does not matter. That is
 * what lets the DFTs and the DCT be taken by their symmetries and still be equal to full matrix products. Tables are
 * Q22 but for the mel weights (Q12) and the logarithm (Q16). The DFTs, the window and the DCT hold them, or what they
 * are multiplied with, so many bits higher that a sum's shift is one by 32: the result is its upper word.
 *
 * HARK_LANES columns or rows are computed side by side, in loops that a compiler turns into vector instructions: 8 for
 * registers of 256 bits. It divides 8, and changes no bit.
 */
#include "hark_frontend.h"

#include "hark_tables.h"

#ifndef HARK_LANES
#ifdef __AVX2__
#define HARK_LANES 8
#else
#define HARK_LANES 1
#endif
#endif
#define TILES (HARK_ROWS / HARK_LANES)

/* `>>` of a negative number must keep its sign: C leaves it to the compiler, and all that matter do. */
typedef char hark_shift_is_arithmetic[((-1 >> 1) == -1) ? 1 : -1];

#define PEAK_BITS 15 /* a frame is normalised to so many */
#define SCALE_BITS 11 /* so much higher is a sample before the window */

#define ONE ((int64_t)1 << 29) /* HARK_COS_0, if there were one */
#define HALF ((int64_t)1 << 31) /* of the upper word's last bit */

/* What is left of a sum to which HALF has been added. */
static inline int32_t upper_word(int64_t x)
{
    return (int32_t)(uint32_t)((uint64_t)x >> 32U);
}

static unsigned bit_length(uint32_t x)
{
#ifdef __GNUC__
    return (x != 0U) ? (32U - (unsigned)__builtin_clz(x)) : 0U; /* what the loop below computes */
#else
    unsigned bits = 0U;
    unsigned step;

    for (step = 16U; step > 0U; step >>= 1U) {
        if ((x >> step) != 0U) {
            x >>= step;
            bits += step;
        }
    }
    return bits + ((x != 0U) ? 1U : 0U);
#endif
}

/* y[i] = sum of cos(2 pi n k / 16) x[n], n = 0..3, k = 2 i + 1; Q29. wide0: x[0] in Q29, with HALF if y is to have it. */
static inline void odd16(int64_t wide0, int32_t x1, int32_t x2, int32_t x3, int64_t y[4])
{
    const int64_t middle = (int64_t)x2 * HARK_COS_4;
    const int64_t outer = (int64_t)x1 * HARK_COS_2 + (int64_t)x3 * HARK_COS_6;
    const int64_t inner = (int64_t)x1 * HARK_COS_6 - (int64_t)x3 * HARK_COS_2;

    y[0] = (wide0 + middle) + outer;
    y[1] = (wide0 - middle) + inner;
    y[2] = (wide0 - middle) - inner;
    y[3] = (wide0 + middle) - outer;
}

/* The same of cos(2 pi n k / 32), n = 0..7. Odd n change their sign from k to 16 - k. */
static inline void odd32(int64_t wide0, const int32_t x[8], int64_t y[8])
{
    int64_t even[4];
    int64_t odd[4];
    int i;

    odd16(wide0, x[2], x[4], x[6], even);
    odd[0] = (int64_t)x[1] * HARK_COS_1 + (int64_t)x[3] * HARK_COS_3 + (int64_t)x[5] * HARK_COS_5
             + (int64_t)x[7] * HARK_COS_7;
    odd[1] = (int64_t)x[1] * HARK_COS_3 - (int64_t)x[3] * HARK_COS_7 - (int64_t)x[5] * HARK_COS_1
             - (int64_t)x[7] * HARK_COS_5;
    odd[2] = (int64_t)x[1] * HARK_COS_5 - (int64_t)x[3] * HARK_COS_1 + (int64_t)x[5] * HARK_COS_7
             + (int64_t)x[7] * HARK_COS_3;
    odd[3] = (int64_t)x[1] * HARK_COS_7 - (int64_t)x[3] * HARK_COS_5 + (int64_t)x[5] * HARK_COS_3
             - (int64_t)x[7] * HARK_COS_1;
    for (i = 0; i < 4; i++) {
        y[i] = even[i] + odd[i];
        y[7 - i] = even[i] - odd[i];
    }
}

/*
 * DFT of 16 real numbers below 2^26 in each lane, x: [16][HARK_LANES]; re[k] and im[k], k = 0..8, Q29. The real parts
 * have HALF already.
 *
 * Even k see the sums x[n] + x[n + 8], odd k the differences. Of the differences, n and 8 - n share a cosine but for
 * its sign, and the sines are the same cosines in reverse order.
 */
static inline void real16(const int32_t *x, int64_t re[9][HARK_LANES], int64_t im[9][HARK_LANES])
{
    int lane;

    for (lane = 0; lane < HARK_LANES; lane++) {
        int32_t e[8];
        int32_t o[8];
        int32_t f[4]; /* of the sums again: k = 0, 4, 8 */
        int32_t g[4]; /* k = 2, 6 */
        int64_t y[4];
        int64_t side;
        int n;

        for (n = 0; n < 8; n++) {
            const int32_t first = x[n * HARK_LANES + lane];
            const int32_t second = x[(n + 8) * HARK_LANES + lane];

            e[n] = first + second;
            o[n] = first - second;
        }
        odd16(o[0] * ONE + HALF, o[1] - o[7], o[2] - o[6], o[3] - o[5], y);
        re[1][lane] = y[0];
        re[3][lane] = y[1];
        re[5][lane] = y[2];
        re[7][lane] = y[3];
        odd16(o[4] * ONE, o[3] + o[5], o[2] + o[6], o[1] + o[7], y);
        im[1][lane] = -y[0];
        im[3][lane] = y[1];
        im[5][lane] = -y[2];
        im[7][lane] = y[3];

        for (n = 0; n < 4; n++) {
            f[n] = e[n] + e[n + 4];
            g[n] = e[n] - e[n + 4];
        }
        re[0][lane] = (f[0] + f[1] + f[2] + f[3]) * ONE + HALF;
        re[8][lane] = (f[0] - f[1] + f[2] - f[3]) * ONE + HALF;
        re[4][lane] = (f[0] - f[2]) * ONE + HALF;
        im[4][lane] = (f[3] - f[1]) * ONE;
        im[0][lane] = 0;
        im[8][lane] = 0;
        side = (int64_t)(g[1] - g[3]) * HARK_COS_4;
        re[2][lane] = (g[0] * ONE + HALF) + side;
        re[6][lane] = (g[0] * ONE + HALF) - side;
        side = (int64_t)(g[1] + g[3]) * HARK_COS_4;
        im[2][lane] = -(g[2] * ONE) - side;
        im[6][lane] = g[2] * ONE - side;
    }
}

/*
 * Outputs k = 0..16 of the DFT of 32 real numbers, Q29: even ones at k / 2, odd ones at (k - 1) / 2. The real parts
 * have HALF already.
 */
typedef struct {
    int64_t even_re[9][HARK_LANES];
    int64_t even_im[9][HARK_LANES];
    int64_t odd_re[8][HARK_LANES];
    int64_t odd_im[8][HARK_LANES];
} spectrum;

/* DFT of 32 real numbers below 2^25 in each lane, x: [32][HARK_LANES]; int32 holds every sum of the numbers (2^30). */
static void real32(const int32_t *x, spectrum *s)
{
    int32_t e[16][HARK_LANES];
    int lane;
    int n;

    for (n = 0; n < 16; n++) {
        for (lane = 0; lane < HARK_LANES; lane++) {
            e[n][lane] = x[n * HARK_LANES + lane] + x[(n + 16) * HARK_LANES + lane];
        }
    }
    real16(e[0], s->even_re, s->even_im);
    for (lane = 0; lane < HARK_LANES; lane++) {
        int32_t o[16];
        int32_t p[8];
        int32_t q[8];
        int64_t y[8];

        for (n = 0; n < 16; n++) {
            o[n] = x[n * HARK_LANES + lane] - x[(n + 16) * HARK_LANES + lane];
        }
        p[0] = o[0];
        q[0] = o[8];
        for (n = 1; n < 8; n++) {
            p[n] = o[n] - o[16 - n];
            q[n] = o[8 - n] + o[8 + n];
        }
        odd32(p[0] * ONE + HALF, p, y);
        for (n = 0; n < 8; n++) {
            s->odd_re[n][lane] = y[n];
        }
        odd32(q[0] * ONE, q, y);
        for (n = 0; n < 8; n += 2) {
            s->odd_im[n][lane] = -y[n];
            s->odd_im[n + 1][lane] = y[n + 1];
        }
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

/* Samples n2, n2 + 32, ... of the frame, times scale (at most 2^26), windowed: 9 fractional bits, at most 2^24. */
static inline void windowed(const int16_t *frame, int n2, int32_t scale, int32_t x[16][HARK_LANES])
{
    int n1;
    int lane;

    for (n1 = 0; n1 < 8; n1++) { /* the window is symmetric about sample 256 */
        const int16_t *early = frame + HARK_COLUMNS * n1 + n2;
        const int16_t *late = early + HARK_FRAME_SAMPLES / 2;
        const int32_t *up = hark_window + HARK_COLUMNS * n1 + n2;
        const int32_t *down = hark_window + HARK_FRAME_SAMPLES / 2 - (HARK_COLUMNS * n1 + n2);

        for (lane = 0; lane < HARK_LANES; lane++) {
            x[n1][lane] = upper_word((int64_t)(early[lane] * scale) * up[lane] + HALF);
        }
        for (lane = 0; lane < HARK_LANES; lane++) {
            x[n1 + 8][lane] = upper_word((int64_t)(late[lane] * scale) * down[-lane] + HALF);
        }
    }
}

/* Row k1 from column n2 on, times W512^(k1 n2), which is 1 in row 0: 6 fractional bits, still at most 2^25. */
static inline void twiddled(
    const int64_t *wide_re, const int64_t *wide_im, int k1, int n2, int32_t *restrict re, int32_t *restrict im)
{
    const int32_t *cosines = hark_cosines[k1 - 1] + n2;
    const int32_t *sines = hark_sines[k1 - 1] + n2; /* of the negative angle */
    int lane;

    for (lane = 0; lane < HARK_LANES; lane++) {
        const int32_t x = upper_word(wide_re[lane]) * 4; /* the tables are 8 bits higher, and 2 are missing */
        const int32_t y = upper_word(wide_im[lane] + HALF) * 4;

        re[lane] = upper_word((int64_t)x * cosines[lane] - (int64_t)y * sines[lane] + HALF);
        im[lane] = upper_word((int64_t)x * sines[lane] + (int64_t)y * cosines[lane] + HALF);
    }
}

/* The first half of the DFT, over n1 for each n2: 6 fractional bits, at most 2^25; with the twiddle factors. */
static void dft_rows(hark_frontend_work *work, const int16_t *frame, unsigned exponent)
{
    const int32_t scale = (int32_t)((uint32_t)1 << (exponent + SCALE_BITS));
    int32_t x[16][HARK_LANES];
    int64_t re[9][HARK_LANES];
    int64_t im[9][HARK_LANES];
    int32_t turned_re[HARK_ROWS][HARK_LANES];
    int32_t turned_im[HARK_ROWS][HARK_LANES];
    int n2;
    int k1;
    int lane;

    for (n2 = 0; n2 < HARK_COLUMNS; n2 += HARK_LANES) {
        windowed(frame, n2, scale, x);
        real16(x[0], re, im);
        for (k1 = 1; k1 <= HARK_ROWS; k1++) {
            twiddled(re[k1], im[k1], k1, n2, turned_re[k1 - 1], turned_im[k1 - 1]);
        }
        for (lane = 0; lane < HARK_LANES; lane++) { /* columns were side by side, now rows are */
            work->row0[n2 + lane] = upper_word(re[0][lane]);
            for (k1 = 0; k1 < HARK_ROWS; k1++) {
                const int place = ((k1 / HARK_LANES) * HARK_COLUMNS + n2 + lane) * HARK_LANES + k1 % HARK_LANES;

                work->re[place] = turned_re[k1][lane];
                work->im[place] = turned_im[k1][lane];
            }
        }
    }
}

/* Of one bin, 3 fractional bits, at most 2^26: below 2^47. */
static inline uint64_t power_of(int64_t wide_re, int64_t wide_im)
{
    const int32_t re = upper_word(wide_re);
    const int32_t im = upper_word(wide_im);

    return (uint64_t)((int64_t)re * re + (int64_t)im * im + 32) >> 6U;
}

/*
 * The second half of the DFT, over n2: bins 16 m of row 0, which is real. Only the first lane is of use.
 */
static void dft_row0(hark_frontend_work *work)
{
    int32_t x[HARK_COLUMNS][HARK_LANES];
    spectrum s;
    int n;
    int k;
    int lane;

    for (n = 0; n < HARK_COLUMNS; n++) {
        for (lane = 0; lane < HARK_LANES; lane++) {
            x[n][lane] = work->row0[n];
        }
    }
    real32(x[0], &s);
    for (k = 0; k < 8; k++) {
        work->power[32 * k] = power_of(s.even_re[k][0], s.even_im[k][0] + HALF);
        work->power[32 * k + 16] = power_of(s.odd_re[k][0], s.odd_im[k][0] + HALF);
    }
}

/*
 * The same of a tile of other rows: bins 16 m - k1 and 16 m + k1, m = 0..15.
 *
 * With R and I the DFTs of the real and the imaginary part, output k2 is R + i I, and output 32 - k2 is the conjugate
 * of R plus i times the conjugate of I. Row 8 mirrors onto itself; its bins are those of the outputs k2 < 16, which are
 * written last.
 */
static void dft_tile(hark_frontend_work *work, int tile)
{
    const int k1 = tile * HARK_LANES + 1; /* of the first lane */
    uint64_t mirrored[HARK_LANES];
    spectrum r;
    spectrum i;
    int k;
    int lane;

    real32(work->re + tile * HARK_LANES * HARK_COLUMNS, &r);
    real32(work->im + tile * HARK_LANES * HARK_COLUMNS, &i);
    for (k = 0; (k < 8) && (k1 < HARK_ROWS); k++) {
        uint64_t *power = work->power + 32 * k + 16 - k1;

        for (lane = 0; (lane < HARK_LANES) && (k > 0); lane++) {
            mirrored[lane] = power_of(r.even_re[k][lane] + i.even_im[k][lane], i.even_re[k][lane] - r.even_im[k][lane]);
        }
        for (lane = 0; (lane < HARK_LANES) && (k > 0); lane++) {
            power[-16 - lane] = mirrored[lane];
        }
        for (lane = 0; lane < HARK_LANES; lane++) {
            mirrored[lane] = power_of(r.odd_re[k][lane] + i.odd_im[k][lane], i.odd_re[k][lane] - r.odd_im[k][lane]);
        }
        for (lane = 0; lane < HARK_LANES; lane++) {
            power[-lane] = mirrored[lane];
        }
    }
    for (k = 0; k < 8; k++) {
        uint64_t *power = work->power + 32 * k + k1;

        for (lane = 0; lane < HARK_LANES; lane++) {
            power[lane] = power_of(r.even_re[k][lane] - i.even_im[k][lane], r.even_im[k][lane] + i.even_re[k][lane]);
        }
        for (lane = 0; lane < HARK_LANES; lane++) {
            power[16 + lane] = power_of(r.odd_re[k][lane] - i.odd_im[k][lane], r.odd_im[k][lane] + i.odd_re[k][lane]);
        }
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

/*
 * Mel energies, < 2^62, and their logarithms. A bin between the peaks of two bands lies in the falling half of the one
 * and in the rising half of the other, with weights that add up to 1.
 */
static void mel_bands(const uint64_t *power, unsigned exponent, int32_t log_mel[HARK_BANDS])
{
    uint64_t rising = 0U;
    int bin = 0; /* the lowest two have no weight in any band */
    int band;

    for (band = 0; band <= HARK_BANDS; band++) { /* the bins below the peak of this one, above that of the one before */
        uint64_t total = 0U;
        uint64_t falling = 0U;

        for (; bin < hark_peaks[band]; bin++) {
            total += power[bin];
            falling += power[bin] * hark_falling[bin];
        }
        if (band > 0) {
            log_mel[band - 1] = log_energy(rising + falling, exponent);
        }
        rising = (total << 12U) - falling;
    }
}

void hark_log_mel(hark_frontend_work *work, const int16_t frame[HARK_FRAME_SAMPLES], int32_t log_mel[HARK_BANDS])
{
    const unsigned exponent = block_exponent(frame);
    int tile;

    dft_rows(work, frame, exponent);
    dft_row0(work);
    for (tile = 0; tile < TILES; tile++) {
        dft_tile(work, tile);
    }
    mel_bands(work->power, exponent, log_mel);
}

/* x[0..2n-1] -> x[m] + x[2n-1-m] and x[m] - x[2n-1-m], m = 0..n-1. */
static void fold(const int32_t *x, int n, int32_t *sums, int32_t *differences)
{
    int m;

    for (m = 0; m < n; m++) {
        sums[m] = x[m] + x[2 * n - 1 - m];
        differences[m] = x[m] - x[2 * n - 1 - m];
    }
}

/* Coefficients first, first + step, ... below count, each from `terms` numbers and a row of the table. */
static inline void coefficients(
    const int32_t *x, int terms, const int32_t *row, int first, int step, int count, int32_t *mfcc)
{
    int c;
    int m;

    for (c = first; c < count; c += step) {
        int64_t sum = HALF; /* Q48, < 2^58 */

        for (m = 0; m < terms; m++) {
            sum += (int64_t)x[m] * row[m];
        }
        mfcc[c] = upper_word(sum);
        row += terms;
    }
}

/* Even coefficients see sums of mirrored bands, odd ones differences; the even ones are a DCT of half the length. */
void hark_cepstrum(const int32_t log_mel[HARK_BANDS], int32_t *mfcc, int count)
{
    int32_t sums[20];
    int32_t sums_of_sums[10];
    int32_t last[5];
    int32_t differences[20];

    fold(log_mel, 20, sums, differences);
    coefficients(differences, 20, hark_dct_odd[0], 1, 2, count, mfcc);
    fold(sums, 10, sums_of_sums, differences);
    coefficients(differences, 10, hark_dct_2[0], 2, 4, count, mfcc);
    fold(sums_of_sums, 5, last, differences);
    coefficients(differences, 5, hark_dct_4[0], 4, 8, count, mfcc);
    coefficients(last, 5, hark_dct_0[0], 0, 8, count, mfcc);
}
