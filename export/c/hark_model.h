/*
 * The network: cepstral coefficients to int8 features, and those to int8 logit codes, in integers.
 *
 * Push frames in order; ask for logits whenever a multiple of HARK_STEM_STRIDE of them (so also of HARK_STRIDE_FRAMES) has
 * come since hark_model_reset(), which is a window of silence.
 */
#ifndef HARK_MODEL_H
#define HARK_MODEL_H

#include <stdint.h>

#include "hark_config.h"

#if HARK_INCREMENTAL

/* No padding in time: a column once computed stays true, so each layer keeps the columns that its next one needs. */
typedef struct {
    int8_t frames[HARK_STEM_KERNEL * HARK_N_MFCC]; /* the newest last, as in all that follow */
    int8_t inputs[HARK_BLOCKS + 1][HARK_MOST_KERNEL * HARK_CHANNELS]; /* of each block */
    int8_t outputs[HARK_COLUMNS_POOLED * HARK_CHANNELS]; /* of the last block, a ring */
    int32_t sums[HARK_CHANNELS]; /* of the ring */
    int8_t scratch[2 * HARK_CHANNELS];
    uint16_t oldest; /* column of the ring */
    uint16_t due; /* frames until the stem sees its next column */
} hark_model;

#else

/* Padding in time tells columns near the window's ends apart from all others: every window is computed anew. */
typedef struct {
    int8_t window[(HARK_WINDOW_FRAMES + 2 * HARK_STEM_PADDING) * HARK_N_MFCC];
    int8_t columns[(HARK_STEM_COLUMNS + 2 * HARK_MOST_PADDING) * HARK_CHANNELS];
    int8_t scratch[2 * HARK_CHANNELS];
} hark_model;

#endif

/* A frame of digital silence. */
extern const int8_t hark_silence[HARK_N_MFCC];

/* Coefficients, Q16 -> what the network takes. */
void hark_quantize(const int32_t mfcc[HARK_N_MFCC], int8_t features[HARK_N_MFCC]);

void hark_model_reset(hark_model *model);

/* The next frame of the stream. */
void hark_model_push(hark_model *model, const int8_t features[HARK_N_MFCC]);

/* The logit codes of the window that ends with the newest frame. */
void hark_model_logits(hark_model *model, int8_t logits[HARK_LABELS]);

#endif
