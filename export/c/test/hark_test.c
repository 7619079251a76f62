/*
 * The exported project against what tinyhark computed when it wrote it (hark_expected.h): features to the last bit, logits of the
 * model's golden sound within one code of onnxruntime's, detections from given logits, and the same state for any cutting of the
 * sound into chunks. Exit status 0 if all agree.
 */
#include <stdio.h>
#include <string.h>

#include "hark_expected.h"
#include "hark_spotter.h"

static hark_spotter spotter;
static hark_spotter other;
static int16_t sound[HARK_TEST_SAMPLES];
static int failures;

static uint32_t next_random(uint32_t x)
{
    return x * 1664525U + 1013904223U;
}

/* White noise, `quieter` bits below full scale. */
static void make_noise(unsigned quieter)
{
    uint32_t x = quieter;
    size_t i;

    for (i = 0U; i < HARK_TEST_SAMPLES; i++) {
        x = next_random(x);
        sound[i] = (int16_t)(((int32_t)(x >> 16U) - 32768) / (int32_t)(1U << quieter));
    }
}

/* FNV-1a over 32-bit numbers. */
static uint32_t hashed(uint32_t hash, const int32_t *values, size_t count)
{
    size_t i;

    for (i = 0U; i < count; i++) {
        hash = (hash ^ (uint32_t)values[i]) * 16777619U;
    }
    return hash;
}

static void check(int good, const char *what)
{
    printf("%s %s\n", good ? "ok  " : "FAIL", what);
    failures += good ? 0 : 1;
}

static void test_features(void)
{
    static hark_frontend_work work;
    int32_t log_mel[HARK_BANDS];
    int32_t mfcc[HARK_N_MFCC];
    unsigned level;
    size_t first;
    int good = 1;

    for (level = 0U; level < HARK_TEST_LEVELS; level++) {
        uint32_t hash = 2166136261U;

        make_noise(2U * level);
        for (first = 0U; first + HARK_FRAME_SAMPLES <= HARK_TEST_SAMPLES; first += HARK_HOP_SAMPLES) {
            hark_log_mel(&work, sound + first, log_mel);
            hark_cepstrum(log_mel, mfcc, HARK_N_MFCC);
            hash = hashed(hash, log_mel, HARK_BANDS);
            hash = hashed(hash, mfcc, HARK_N_MFCC);
        }
        good = good && (hash == hark_test_hashes[level]);
    }
    check(good, "features of noise at all levels");
}

static void test_logits(void)
{
    int8_t logits[HARK_LABELS];
    int good = 1;
    int i;

    hark_model_reset(&spotter.model);
    for (i = HARK_WINDOW_FRAMES; (i % HARK_STEM_STRIDE) != 0; i++) { /* frames that leave the window again */
        hark_model_push(&spotter.model, hark_silence);
    }
    for (i = 0; i < HARK_WINDOW_FRAMES; i++) {
        hark_model_push(&spotter.model, (i < HARK_TEST_FRAMES) ? hark_test_features[i] : hark_silence);
    }
    hark_model_logits(&spotter.model, logits);
    for (i = 0; i < HARK_LABELS; i++) {
        const int difference = logits[i] - hark_test_logits[i];

        good = good && (difference >= -1) && (difference <= 1);
    }
    check(good, "logits of the golden sound");
}

/* Noise in all labels, and now and then one of them stands out. */
static void test_decisions(void)
{
    uint64_t end = HARK_FRAME_SAMPLES;
    uint32_t x = 1U;
    uint32_t hash = 2166136261U;
    int32_t heard[2];
    int8_t logits[HARK_LABELS];
    hark_detection detection;
    uint32_t step;
    uint32_t i;

    hark_spotter_reset(&spotter);
    for (step = 0U; step < HARK_TEST_STEPS; step++) {
        for (i = 0U; i < HARK_LABELS; i++) {
            x = next_random(x);
            logits[i] = (int8_t)((int32_t)(x >> 26U) - 64);
        }
        if (((step / 16U) % 2U) != 0U) {
            logits[(step / 32U) % HARK_LABELS] = 127;
        }
        end += HARK_STRIDE_FRAMES * HARK_HOP_SAMPLES;
        if (hark_spotter_decide(&spotter, logits, end, &detection)) {
            heard[0] = (int32_t)detection.keyword;
            heard[1] = (int32_t)detection.end_sample;
            hash = hashed(hash, heard, 2U);
        }
    }
    check(hash == HARK_TEST_DECISIONS, "detections from given logits");
}

static void feed(hark_spotter *state, size_t chunk)
{
    hark_detection detection;
    size_t first;

    hark_spotter_reset(state);
    for (first = 0U; first < HARK_TEST_SAMPLES; first += chunk) {
        const int16_t *samples = sound + first;
        size_t count = (HARK_TEST_SAMPLES - first < chunk) ? (HARK_TEST_SAMPLES - first) : chunk;

        while (hark_spotter_feed(state, &samples, &count, &detection)) {
        }
    }
}

static void test_chunks(void)
{
    static const size_t chunks[] = {1U, 7U, 160U, 511U, 513U};
    size_t i;
    int good = 1;

    make_noise(4U);
    feed(&spotter, HARK_TEST_SAMPLES);
    for (i = 0U; i < sizeof chunks / sizeof chunks[0]; i++) {
        feed(&other, chunks[i]);
        good = good && (memcmp(&spotter, &other, sizeof spotter) == 0);
    }
    check(good, "the same state for chunks of any size");
}

int main(void)
{
    test_features();
    test_logits();
    test_decisions();
    test_chunks();
    return (failures == 0) ? 0 : 1;
}
