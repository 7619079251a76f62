/* An exported project as a shared library for tinyhark's own comparisons (c_host.py): one spotter, whole arrays. */
#include "hark_spotter.h"

static hark_spotter spotter;
static hark_frontend_work work;

size_t host_state_bytes(void);
size_t host_frames(const int16_t *sound, size_t count, size_t hop, int32_t *log_mel, int32_t *mfcc);
void host_log_mel(const int16_t *sound, size_t frames, size_t hop, int32_t *log_mel);
void host_logits(const int8_t *windows, size_t count, int8_t *logits);
void host_skip(uint64_t samples);
void host_reset(void);
size_t host_feed(const int16_t *samples, size_t count, hark_detection *heard);
size_t host_finish(hark_detection *heard);
size_t host_decide(const int8_t *logits, size_t steps, hark_detection *heard);

size_t host_state_bytes(void)
{
    return sizeof spotter;
}

/* [frames][HARK_BANDS], as a stream of that hop gives them. */
void host_log_mel(const int16_t *sound, size_t frames, size_t hop, int32_t *log_mel)
{
    size_t i;

    for (i = 0U; i < frames; i++) {
        hark_log_mel(&work, sound + i * hop, log_mel + i * HARK_BANDS);
    }
}

size_t host_frames(const int16_t *sound, size_t count, size_t hop, int32_t *log_mel, int32_t *mfcc)
{
    const size_t frames = (count < HARK_FRAME_SAMPLES) ? 0U : (1U + (count - HARK_FRAME_SAMPLES) / hop);
    size_t i;

    host_log_mel(sound, frames, hop, log_mel);
    for (i = 0U; i < frames; i++) {
        hark_cepstrum(log_mel + i * HARK_BANDS, mfcc + i * HARK_N_MFCC, HARK_N_MFCC);
    }
    return frames;
}

/* windows: [count][HARK_WINDOW_FRAMES][HARK_N_MFCC]. */
void host_logits(const int8_t *windows, size_t count, int8_t *logits)
{
    size_t i;
    size_t frame;

    hark_model_reset(&spotter.model);
    for (i = 0U; i < count; i++) {
        for (frame = HARK_WINDOW_FRAMES; (frame % HARK_STEM_STRIDE) != 0U; frame++) { /* these leave the window again */
            hark_model_push(&spotter.model, hark_silence);
        }
        for (frame = 0U; frame < HARK_WINDOW_FRAMES; frame++) {
            hark_model_push(&spotter.model, windows + (i * HARK_WINDOW_FRAMES + frame) * HARK_N_MFCC);
        }
        hark_model_logits(&spotter.model, logits + i * HARK_LABELS);
    }
}

void host_reset(void)
{
    hark_spotter_reset(&spotter);
}

void host_skip(uint64_t samples)
{
    hark_spotter_skip(&spotter, samples);
}

/* heard: room for one detection a stride at most. */
size_t host_feed(const int16_t *samples, size_t count, hark_detection *heard)
{
    size_t found = 0U;

    while (hark_spotter_feed(&spotter, &samples, &count, heard + found)) {
        found++;
    }
    return found;
}

size_t host_finish(hark_detection *heard)
{
    size_t found = 0U;

    while (hark_spotter_finish(&spotter, heard + found)) {
        found++;
    }
    return found;
}

/* [steps][HARK_LABELS] logits of a stream from its first window on. */
size_t host_decide(const int8_t *logits, size_t steps, hark_detection *heard)
{
    size_t found = 0U;
    size_t i;

    hark_spotter_reset(&spotter);
    for (i = 0U; i < steps; i++) {
        const uint64_t frames = (i + 1U) * HARK_STRIDE_FRAMES;
        const uint64_t end = (frames - 1U) * HARK_HOP_SAMPLES + HARK_FRAME_SAMPLES;

        if (hark_spotter_decide(&spotter, logits + i * HARK_LABELS, end, heard + found)) {
            found++;
        }
    }
    return found;
}
