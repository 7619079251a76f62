/*
 * A keyword spotter: 16 kHz mono int16 sound in, detections out, the same for every cutting into chunks.
 *
 *     static hark_spotter spotter;
 *     hark_detection heard;
 *
 *     hark_spotter_reset(&spotter);
 *     for (;;) {
 *         const int16_t *samples = ...;
 *         size_t count = ...;
 *         while (hark_spotter_feed(&spotter, &samples, &count, &heard)) {
 *             puts(hark_keywords[heard.keyword]);
 *         }
 *     }
 *
 * All memory is in the struct; nothing is allocated, nothing is global but constants.
 */
#ifndef HARK_SPOTTER_H
#define HARK_SPOTTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hark_config.h"
#include "hark_frontend.h"
#include "hark_model.h"

typedef struct {
    uint64_t start_sample; /* of the window that heard the keyword, in samples since the last reset */
    uint64_t end_sample;   /* one past its last sample */
    uint32_t score;        /* Q15: 32768 is certainty */
    uint32_t keyword;      /* index into hark_keywords */
} hark_detection;

typedef struct {
    uint64_t refractory_end; /* the keyword may fire from this sample on */
    uint32_t sum;            /* of its newest posteriors, Q15: the score times their number */
    bool waits;              /* fired, and its score has not been below the re-arm level since */
} hark_keyword_state;

typedef struct {
    uint64_t origin;   /* sample at which frames are counted from 0 */
    uint64_t received; /* samples since then */
    uint64_t frames;   /* since then */
    uint64_t exclusion_end;
    hark_keyword_state keywords[HARK_KEYWORDS];
    uint16_t posteriors[HARK_MOST_POSTERIORS][HARK_KEYWORDS]; /* a ring, Q15 */
    uint32_t newest;        /* row of the ring */
    uint32_t filled;        /* samples in `frame` */
    uint32_t end_silence;   /* frames of it still to come in hark_spotter_finish */
    bool finishing;
    int16_t frame[HARK_FRAME_SAMPLES];
    hark_frontend_work work;
    hark_model model;
} hark_spotter;

extern const char *const hark_keywords[HARK_KEYWORDS];

/* A new stream: sample 0, silence before it, every keyword armed. */
void hark_spotter_reset(hark_spotter *spotter);

/*
 * Take samples until one of them completes a detection (true) or there are no more (false); *samples and *count move
 * on past what was taken, so call it again until it says false.
 */
bool hark_spotter_feed(hark_spotter *spotter, const int16_t **samples, size_t *count, hark_detection *detection);

/* `samples` were lost, by an overrun for instance: time jumps, the window is silence, decisions start afresh. */
void hark_spotter_skip(hark_spotter *spotter, uint64_t samples);

/* The end of a stream: a window of silence. Call it until it says false; then the spotter is as after a reset. */
bool hark_spotter_finish(hark_spotter *spotter, hark_detection *detection);

/* One step of the decision alone: logit codes of the window that ends at end_sample. True if a keyword fired. */
bool hark_spotter_decide(
    hark_spotter *spotter, const int8_t logits[HARK_LABELS], uint64_t end_sample, hark_detection *detection);

#endif
