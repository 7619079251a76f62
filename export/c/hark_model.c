/*
 * Layers as the exporter wrote them into hark_weights.h: int8 weights, int32 biases that hold the input's zero point,
 * and for each channel a multiplier and a shift from the sum to the output's code. Sums, shifted up by HARK_SUM_BITS where
 * a channel's scale is a quarter or more, stay below 2^31 for any input: the exporter has checked each channel.
 *
 * Columns (all channels of one instant) lie one after the other, so a standard convolution over k of them is a product
 * with k * channels numbers in a row, and one function does the stem, the pointwise layers and the classifier.
 */
#include "hark_model.h"

#include <string.h>

typedef struct {
    const int8_t *weights;     /* dense: [output][input]; depthwise: [tap][channel] */
    const int32_t *biases;     /* [output] */
    const int32_t *multipliers; /* [output], below 2^31 */
    const uint8_t *shifts;     /* [output], 1 to 17: beyond the 32 bits that the high word drops */
    int16_t inputs;            /* of each output */
    int16_t outputs;
    int16_t zero; /* of the output */
} hark_layer;

/* code + 128 = ((x + 128) * first + (y + 128) * second + fixed) / 2^shift, multipliers below 2^31, |sum| < 2^41 */
typedef struct {
    int64_t fixed;
    int32_t first;
    int32_t second;
    uint8_t shift;
} hark_add;

typedef struct {
    hark_layer depthwise;
    hark_layer pointwise;
    hark_add add;
    int16_t padding;
    int16_t zero; /* of the block's input */
} hark_block;

#include "hark_weights.h"

static int8_t clipped(int32_t code)
{
    return (int8_t)((code > 127) ? 127 : ((code < -128) ? -128 : code));
}

void hark_quantize(const int32_t mfcc[HARK_N_MFCC], int8_t features[HARK_N_MFCC])
{
    int c;

    for (c = 0; c < HARK_N_MFCC; c++) {
        const int64_t centred = (int64_t)mfcc[c] - hark_offset[c];

        features[c] = clipped((int32_t)((centred * hark_multiplier[c] + ((int64_t)1 << 23)) >> 24)); /* < 2^48 >> 24 */
    }
}

/* x / 2^bits, halves to the even number. */
static int64_t nearest_even(int64_t x, unsigned bits)
{
    const int64_t odd = (x >> bits) & 1;

    return (x + ((int64_t)1 << (bits - 1U)) - 1 + odd) >> bits;
}

/* x with the 24 significant bits that float32 would leave it. */
static int64_t as_float32(int64_t x)
{
    const int64_t magnitude = (x < 0) ? -x : x;
    unsigned bits = 0U;

    while ((magnitude >> bits) >= ((int64_t)1 << 24)) {
        bits++;
    }
    return (bits > 0U) ? (nearest_even(x, bits) * ((int64_t)1 << bits)) : x;
}

/*
 * sum * multiplier / 2^(32 + shift), rounded as onnxruntime does it: it multiplies in float32 and rounds halves to even.
 * Only very near a half is that not what rounding half up gives.
 */
static int8_t requantized(int32_t sum, int32_t multiplier, unsigned shift, int32_t zero)
{
    const int64_t product = (int64_t)sum * multiplier; /* < 2^62 */
    const int32_t high = (int32_t)(product >> 32) + ((int32_t)1 << (shift - 1U)); /* < 2^31 */
    const uint32_t fraction = ((uint32_t)high + 1U) & (((uint32_t)1 << shift) - 1U);
    int32_t code = high >> shift;

    if (fraction <= 1U) { /* with up to 17 bits of shift, a float32 below 256 errs by less than the upper word's last bit */
        code = (int32_t)nearest_even(as_float32(product), 32U + shift);
    }
    return clipped(code + zero);
}

static void store(const hark_layer *layer, int o, int32_t sum, int8_t *out)
{
    sum = (sum + layer->biases[o]) * (1 << HARK_SUM_BITS);
    out[o] = requantized(sum, layer->multipliers[o], layer->shifts[o], layer->zero);
}

/* [inputs] -> [outputs], four outputs at a time so that an input is loaded once for all four. */
static void dense(const hark_layer *layer, const int8_t *in, int8_t *out)
{
    const int n = layer->inputs;
    const int quarters = layer->outputs / 4;
    const int8_t *w = layer->weights;
    int o;
    int i;

    for (o = 0; o < 4 * quarters; o += 4) {
        const int8_t *w1 = w + n;
        const int8_t *w2 = w1 + n;
        const int8_t *w3 = w2 + n;
        int32_t sum0 = 0;
        int32_t sum1 = 0;
        int32_t sum2 = 0;
        int32_t sum3 = 0;

        for (i = 0; i < n; i++) {
            const int32_t x = in[i];

            sum0 += x * w[i];
            sum1 += x * w1[i];
            sum2 += x * w2[i];
            sum3 += x * w3[i];
        }
        store(layer, o, sum0, out);
        store(layer, o + 1, sum1, out);
        store(layer, o + 2, sum2, out);
        store(layer, o + 3, sum3, out);
        w = w3 + n;
    }
    for (o = 4 * quarters; o < layer->outputs; o++) {
        int32_t sum = 0;

        for (i = 0; i < n; i++) {
            sum += (int32_t)in[i] * w[i];
        }
        store(layer, o, sum, out);
        w += n;
    }
}

#if HARK_BLOCKS > 0

/*
 * Rounded as onnxruntime does it where it fuses multiplication and addition: to float32 after each of the two, which is
 * together less than 2^-13 of a code away from the exact sum. Only so near to a half does it matter.
 */
static int8_t added(const hark_add *add, int32_t x, int32_t y)
{
    const int64_t first = (x + 128) * (int64_t)add->first; /* < 2^39 */
    const int64_t second = (y + 128) * (int64_t)add->second;
    const int64_t sum = first + second + add->fixed + ((int64_t)1 << (add->shift - 1U));
    const int64_t margin = (int64_t)1 << (add->shift - 13U);
    int64_t code = sum >> add->shift;

    if (((sum + margin) & (((int64_t)1 << add->shift) - 1)) <= 2 * margin) {
        code = nearest_even(as_float32(as_float32(add->fixed + second) + first), add->shift);
    }
    return clipped((int32_t)code - 128);
}

/* [taps][channels] -> [channels]. */
static void depthwise(const hark_layer *layer, const int8_t *in, int8_t *out)
{
    const int channels = layer->outputs;
    const int size = layer->inputs * channels;
    int c;
    int i;

    for (c = 0; c < channels; c++) {
        int32_t sum = 0;

        for (i = c; i < size; i += channels) {
            sum += (int32_t)in[i] * layer->weights[i];
        }
        store(layer, c, sum, out);
    }
}

/* One column of a block: in [taps][channels], out may be where `in` begins. */
static void block_column(const hark_block *block, const int8_t *in, int8_t *out, int8_t scratch[2 * HARK_CHANNELS])
{
    const int8_t *middle = in + (block->depthwise.inputs / 2) * HARK_CHANNELS;
    int8_t *sum = scratch + HARK_CHANNELS;
    int c;

    depthwise(&block->depthwise, in, scratch);
    dense(&block->pointwise, scratch, sum);
    for (c = 0; c < HARK_CHANNELS; c++) {
        out[c] = added(&block->add, middle[c], sum[c]);
    }
}

#endif

/* Sums over the pooled columns -> logits. */
static void classify(const int32_t sums[HARK_CHANNELS], int8_t scratch[HARK_CHANNELS], int8_t logits[HARK_LABELS])
{
    int c;

    for (c = 0; c < HARK_CHANNELS; c++) {
        /* 8 more bits, so that means over few columns have a multiplier, too */
        const int32_t sum = (sums[c] - HARK_COLUMNS_POOLED * HARK_POOL_ZERO_IN) * 256;

        scratch[c] = requantized(sum, HARK_POOL_MULTIPLIER, HARK_POOL_SHIFT, HARK_POOL_ZERO_OUT);
    }
    dense(&hark_classifier, scratch, logits);
}

#if HARK_INCREMENTAL

/* Append a column to `count` of them, the oldest leaves. */
static void shift_in(int8_t *columns, int count, int size, const int8_t *column)
{
    (void)memmove(columns, columns + size, (size_t)(count - 1) * (size_t)size);
    (void)memcpy(columns + (count - 1) * size, column, (size_t)size);
}

/* A column of the stem runs through all blocks; each takes it `times` times, as if the input had stayed the same. */
static void push_column(hark_model *model, int8_t column[HARK_CHANNELS], int times)
{
#if HARK_BLOCKS > 0
    int b;
    int i;
#endif

    dense(&hark_stem, model->frames, column);
#if HARK_BLOCKS > 0
    for (b = 0; b < HARK_BLOCKS; b++) {
        const hark_block *block = &hark_blocks[b];

        for (i = 0; i < times; i++) {
            shift_in(model->inputs[b], block->depthwise.inputs, HARK_CHANNELS, column);
        }
        block_column(block, model->inputs[b], column, model->scratch);
    }
#else
    (void)times;
#endif
}

void hark_model_push(hark_model *model, const int8_t features[HARK_N_MFCC])
{
    int8_t column[HARK_CHANNELS];
    int8_t *oldest = model->outputs + model->oldest * HARK_CHANNELS;
    int c;

    shift_in(model->frames, HARK_STEM_KERNEL, HARK_N_MFCC, features);
    model->due--;
    if (model->due > 0U) {
        return;
    }
    model->due = HARK_STEM_STRIDE;
    push_column(model, column, 1);
    for (c = 0; c < HARK_CHANNELS; c++) {
        model->sums[c] += column[c] - oldest[c];
        oldest[c] = column[c];
    }
    model->oldest = (uint16_t)((model->oldest + 1U) % HARK_COLUMNS_POOLED);
}

/* In a window of silence all columns of a layer are the same, so one is computed. */
void hark_model_reset(hark_model *model)
{
    int8_t column[HARK_CHANNELS];
    int i;
    int c;

    (void)memset(model, 0, sizeof *model);
    /* A window's first column ends with its frame HARK_STEM_KERNEL, and windows are whole strides apart. */
    model->due = HARK_STEM_STRIDE - (HARK_WINDOW_FRAMES - HARK_STEM_KERNEL) % HARK_STEM_STRIDE;
    for (i = 0; i < HARK_STEM_KERNEL; i++) {
        shift_in(model->frames, HARK_STEM_KERNEL, HARK_N_MFCC, hark_silence);
    }
    push_column(model, column, HARK_MOST_KERNEL);
    for (i = 0; i < HARK_COLUMNS_POOLED; i++) {
        (void)memcpy(model->outputs + i * HARK_CHANNELS, column, HARK_CHANNELS);
    }
    for (c = 0; c < HARK_CHANNELS; c++) {
        model->sums[c] = HARK_COLUMNS_POOLED * column[c];
    }
}

void hark_model_logits(hark_model *model, int8_t logits[HARK_LABELS])
{
    classify(model->sums, model->scratch, logits);
}

#else

void hark_model_push(hark_model *model, const int8_t features[HARK_N_MFCC])
{
    int8_t *window = model->window + HARK_STEM_PADDING * HARK_N_MFCC;

    (void)memmove(window, window + HARK_N_MFCC, (size_t)(HARK_WINDOW_FRAMES - 1) * HARK_N_MFCC);
    (void)memcpy(window + (HARK_WINDOW_FRAMES - 1) * HARK_N_MFCC, features, HARK_N_MFCC);
}

void hark_model_reset(hark_model *model)
{
    int i;

    (void)memset(model, 0, sizeof *model);
    (void)memset(model->window, HARK_INPUT_ZERO, sizeof model->window);
    for (i = 0; i < HARK_WINDOW_FRAMES; i++) {
        (void)memcpy(model->window + (HARK_STEM_PADDING + i) * HARK_N_MFCC, hark_silence, HARK_N_MFCC);
    }
}

#if HARK_BLOCKS > 0

/* `count` columns at `columns` -> how many are left; those of the output begin at the same place. */
static int run_block(const hark_block *block, int8_t *columns, int count, int8_t *scratch)
{
    const size_t margin = (size_t)block->padding * HARK_CHANNELS;
    const int left = count + 2 * block->padding - (block->depthwise.inputs - 1);
    int8_t *first = columns - margin;
    int i;

    (void)memset(first, block->zero, margin);
    (void)memset(columns + count * HARK_CHANNELS, block->zero, margin);
    for (i = 0; i < left; i++) { /* column i overwrites the input that no later one needs */
        block_column(block, first + i * HARK_CHANNELS, first + i * HARK_CHANNELS, scratch);
    }
    (void)memmove(columns, first, (size_t)left * HARK_CHANNELS);
    return left;
}

#endif

void hark_model_logits(hark_model *model, int8_t logits[HARK_LABELS])
{
    int8_t *columns = model->columns + HARK_MOST_PADDING * HARK_CHANNELS;
    int32_t sums[HARK_CHANNELS] = {0};
    int count = HARK_STEM_COLUMNS;
    int i;
    int c;

    for (i = 0; i < count; i++) {
        dense(&hark_stem, model->window + i * HARK_STEM_STRIDE * HARK_N_MFCC, columns + i * HARK_CHANNELS);
    }
#if HARK_BLOCKS > 0
    for (i = 0; i < HARK_BLOCKS; i++) {
        count = run_block(&hark_blocks[i], columns, count, model->scratch);
    }
#endif
    for (i = 0; i < count; i++) {
        for (c = 0; c < HARK_CHANNELS; c++) {
            sums[c] += columns[i * HARK_CHANNELS + c];
        }
    }
    classify(sums, model->scratch, logits);
}

#endif
