/* Samples to frames, logits to posteriors, posteriors to detections. */
#include "hark_spotter.h"

#include <string.h>

#include "hark_decision.h"

#define NOBODY HARK_KEYWORDS

static void begin(hark_spotter *spotter, uint64_t origin)
{
    (void)memset(spotter, 0, sizeof *spotter);
    spotter->origin = origin;
    hark_model_reset(&spotter->model);
}

void hark_spotter_reset(hark_spotter *spotter)
{
    begin(spotter, 0U);
}

void hark_spotter_skip(hark_spotter *spotter, uint64_t samples)
{
    begin(spotter, spotter->origin + spotter->received + samples);
}

/* A softmax over the labels, Q15: hark_posterior_table[d] is 2^15 exp(-scale d). */
static void posteriors_of(const int8_t *logits, uint16_t posteriors[HARK_KEYWORDS])
{
    int32_t top = logits[0];
    uint32_t total = 0U; /* Q15, at most HARK_LABELS * 2^15 */
    uint32_t i;

    for (i = 1U; i < HARK_LABELS; i++) {
        top = (logits[i] > top) ? logits[i] : top;
    }
    for (i = 0U; i < HARK_LABELS; i++) {
        total += hark_posterior_table[top - logits[i]];
    }
    for (i = 0U; i < HARK_KEYWORDS; i++) {
        const uint32_t one = hark_posterior_table[top - logits[hark_decisions[i].label]];

        posteriors[i] = (uint16_t)(((one << 15U) + total / 2U) / total); /* one << 15 is at most 2^30 */
    }
}

/* The newest raw posteriors enter the sums, those that are too old leave; scores that dip arm their keyword. */
static void add_posteriors(hark_spotter *spotter, const uint16_t posteriors[HARK_KEYWORDS])
{
    uint32_t i;

    spotter->newest = (spotter->newest + 1U) % HARK_MOST_POSTERIORS;
    for (i = 0U; i < HARK_KEYWORDS; i++) {
        const uint32_t age = hark_decisions[i].posteriors;
        const uint32_t leaving = (spotter->newest + HARK_MOST_POSTERIORS - age) % HARK_MOST_POSTERIORS;
        hark_keyword_state *state = &spotter->keywords[i];

        state->sum += posteriors[i];
        state->sum -= spotter->posteriors[leaving][i]; /* may be the row that is overwritten below */
        if (state->sum < hark_decisions[i].rearm_sum) {
            state->waits = false;
        }
    }
    (void)memcpy(spotter->posteriors[spotter->newest], posteriors, sizeof spotter->posteriors[0]);
}

/* The keyword of the highest score, the lower index at a tie; sums over different numbers compare cross-multiplied. */
static uint32_t leader_of(const hark_spotter *spotter)
{
    uint32_t leader = 0U;
    uint32_t i;

    for (i = 1U; i < HARK_KEYWORDS; i++) {
        const uint64_t ours = (uint64_t)spotter->keywords[i].sum * hark_decisions[leader].posteriors;
        const uint64_t theirs = (uint64_t)spotter->keywords[leader].sum * hark_decisions[i].posteriors;

        leader = (ours > theirs) ? i : leader;
    }
    return leader;
}

/* The keyword that fires at end_sample, or NOBODY. */
static uint32_t firing(const hark_spotter *spotter, uint64_t end_sample)
{
    const uint32_t leader = leader_of(spotter);
    const hark_keyword_state *state = &spotter->keywords[leader];

    if ((end_sample < spotter->exclusion_end) || state->waits || (end_sample < state->refractory_end)) {
        return NOBODY;
    }
    return (state->sum >= hark_decisions[leader].fire_sum) ? leader : NOBODY;
}

bool hark_spotter_decide(
    hark_spotter *spotter, const int8_t logits[HARK_LABELS], uint64_t end_sample, hark_detection *detection)
{
    uint16_t posteriors[HARK_KEYWORDS];
    uint32_t fired;

    posteriors_of(logits, posteriors);
    add_posteriors(spotter, posteriors);
    fired = firing(spotter, end_sample);
    if (fired == NOBODY) {
        return false;
    }
    detection->keyword = fired;
    detection->score = spotter->keywords[fired].sum / hark_decisions[fired].posteriors;
    detection->start_sample = (end_sample > HARK_WINDOW_SAMPLES) ? (end_sample - HARK_WINDOW_SAMPLES) : 0U;
    detection->end_sample = end_sample;
    spotter->keywords[fired].waits = true;
    spotter->keywords[fired].refractory_end = end_sample + hark_decisions[fired].refractory_samples;
    spotter->exclusion_end = end_sample + HARK_EXCLUSION_SAMPLES;
    return true;
}

/* The next frame of the stream; every HARK_STRIDE_FRAMES the network is asked. */
static bool push(hark_spotter *spotter, const int8_t features[HARK_N_MFCC], hark_detection *detection)
{
    int8_t logits[HARK_LABELS];
    uint64_t end_sample;

    hark_model_push(&spotter->model, features);
    spotter->frames++;
    if ((spotter->frames % HARK_STRIDE_FRAMES) != 0U) {
        return false;
    }
    hark_model_logits(&spotter->model, logits);
    end_sample = spotter->origin + (spotter->frames - 1U) * HARK_HOP_SAMPLES + HARK_FRAME_SAMPLES;
    return hark_spotter_decide(spotter, logits, end_sample, detection);
}

static bool push_frame(hark_spotter *spotter, hark_detection *detection)
{
    int32_t log_mel[HARK_BANDS];
    int32_t mfcc[HARK_N_MFCC];
    int8_t features[HARK_N_MFCC];

    hark_log_mel(&spotter->work, spotter->frame, log_mel);
    hark_cepstrum(log_mel, mfcc, HARK_N_MFCC);
    hark_quantize(mfcc, features);
    spotter->filled = HARK_FRAME_SAMPLES - HARK_HOP_SAMPLES;
    (void)memmove(spotter->frame, spotter->frame + HARK_HOP_SAMPLES, spotter->filled * sizeof(int16_t));
    return push(spotter, features, detection);
}

bool hark_spotter_feed(hark_spotter *spotter, const int16_t **samples, size_t *count, hark_detection *detection)
{
    bool fired = false;

    while (!fired && (*count > 0U)) {
        const size_t wanted = HARK_FRAME_SAMPLES - spotter->filled;
        const size_t taken = (*count < wanted) ? *count : wanted;

        (void)memcpy(spotter->frame + spotter->filled, *samples, taken * sizeof(int16_t));
        *samples += taken;
        *count -= taken;
        spotter->filled += (uint32_t)taken;
        spotter->received += taken;
        if (spotter->filled == HARK_FRAME_SAMPLES) {
            fired = push_frame(spotter, detection);
        }
    }
    return fired;
}

bool hark_spotter_finish(hark_spotter *spotter, hark_detection *detection)
{
    if (!spotter->finishing) {
        spotter->finishing = true;
        spotter->end_silence = HARK_WINDOW_FRAMES;
    }
    while (spotter->end_silence > 0U) {
        spotter->end_silence--;
        if (push(spotter, hark_silence, detection)) {
            return true;
        }
    }
    hark_spotter_reset(spotter);
    return false;
}
