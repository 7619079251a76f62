/*
 * The front end: frames of 512 samples (32 ms at 16 kHz) to log-mel bands, cepstral coefficients and int8 features.
 *
 * Integers throughout: the same sound gives the same features, bit for bit, on every machine and in tinyhark's Python.
 */
#ifndef HARK_FRONTEND_H
#define HARK_FRONTEND_H

#include <stdint.h>

#include "hark_config.h"

#define HARK_FRAME_SAMPLES 512
#define HARK_BANDS 40
#define HARK_ROWS 9     /* k1 = 0..8 of the DFT as 16 x 32: the input is real, the others mirror these */
#define HARK_COLUMNS 32 /* n2 = 0..31 */

/* Scratch of one frame; holds nothing between two calls. */
typedef struct {
    int32_t re[HARK_ROWS][HARK_COLUMNS];
    int32_t im[HARK_ROWS][HARK_COLUMNS];
} hark_frontend_work;

/* One frame of int16 sound -> log2 of 40 mel energies above the floor, Q16, never negative; silence is exactly 0. */
void hark_log_mel(hark_frontend_work *work, const int16_t frame[HARK_FRAME_SAMPLES], int32_t log_mel[HARK_BANDS]);

/* Log-mel, Q16 -> its orthonormal DCT-II, Q16. */
void hark_cepstrum(const int32_t log_mel[HARK_BANDS], int32_t mfcc[HARK_N_MFCC]);

/* Coefficients, Q16 -> what the network takes. */
void hark_quantize(const int32_t mfcc[HARK_N_MFCC], int8_t features[HARK_N_MFCC]);

#endif
