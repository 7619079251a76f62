/*
 * Instructions of a second of sound on QEMU's MPS2 boards, run with -icount shift=0: an instruction takes a nanosecond
 * of the board's time, and its SysTick counts 25 of them a microsecond.
 */
#include <stdio.h>

#include "hark_spotter.h"

#define SYSTICK ((volatile uint32_t *)0xE000E010U)
#define INSTRUCTIONS_A_TICK 40U
#define FRAMES (16000 / HARK_HOP_SAMPLES)
#define STRIDES ((FRAMES + HARK_STRIDE_FRAMES - 1) / HARK_STRIDE_FRAMES)

static hark_spotter spotter;
static int16_t sound[HARK_FRAME_SAMPLES];
static int8_t features[HARK_N_MFCC];
static int8_t logits[HARK_LABELS];

static uint32_t now(void)
{
    return 0xFFFFFFU - SYSTICK[2];
}

static unsigned long since(uint32_t start)
{
    return (unsigned long)((now() - start) & 0xFFFFFFU) * INSTRUCTIONS_A_TICK;
}

static void front_end(void)
{
    int32_t log_mel[HARK_BANDS];
    int32_t mfcc[HARK_N_MFCC];

    hark_log_mel(&spotter.work, sound, log_mel);
    hark_cepstrum(log_mel, mfcc, HARK_N_MFCC);
    hark_quantize(mfcc, features);
}

int main(void)
{
    unsigned long in_front = 0UL;
    unsigned long in_network = 0UL;
    unsigned long in_decisions = 0UL;
    hark_detection heard;
    uint32_t x = 1U;
    uint32_t start;
    int i;
    int n;

    SYSTICK[1] = 0xFFFFFFU;
    SYSTICK[2] = 0U;
    SYSTICK[0] = 5U;
    hark_spotter_reset(&spotter);
    for (i = 1; i <= STRIDES * HARK_STRIDE_FRAMES; i++) {
        for (n = 0; n < HARK_FRAME_SAMPLES; n++) {
            x = x * 1664525U + 1013904223U;
            sound[n] = (int16_t)((int32_t)(x >> 20U) - 2048);
        }
        start = now();
        front_end();
        in_front += since(start);
        start = now();
        hark_model_push(&spotter.model, features);
        if ((i % HARK_STRIDE_FRAMES) == 0) {
            hark_model_logits(&spotter.model, logits);
        }
        in_network += since(start);
        if ((i % HARK_STRIDE_FRAMES) == 0) {
            start = now();
            (void)hark_spotter_decide(&spotter, logits, (uint64_t)i, &heard);
            in_decisions += since(start);
        }
    }
    n = STRIDES * HARK_STRIDE_FRAMES; /* scale to FRAMES of them */
    printf("front end      %8lu instructions a frame\n", in_front / (unsigned long)n);
    printf("front end      %8.3f million instructions a second of sound\n", (double)in_front / n * FRAMES / 1e6);
    printf("network        %8.3f\n", (double)in_network / n * FRAMES / 1e6);
    printf("decisions      %8.3f\n", (double)in_decisions / n * FRAMES / 1e6);
    printf("all            %8.3f\n", (double)(in_front + in_network + in_decisions) / n * FRAMES / 1e6);
    printf("state          %8lu bytes\n", (unsigned long)sizeof spotter);
    return 0;
}
