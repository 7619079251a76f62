/*
 * For libFuzzer: any samples in chunks of any size, gaps and ends of streams between them; any features, any logits.
 *
 *     make fuzz CC=clang && ./hark_fuzz
 */
#include <string.h>

#include "hark_spotter.h"

static hark_spotter spotter;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void take(hark_detection *heard, const int16_t *samples, size_t count)
{
    while (hark_spotter_feed(&spotter, &samples, &count, heard)) {
        if (heard->keyword >= HARK_KEYWORDS) {
            __builtin_trap();
        }
    }
}

/* Data is a sequence of (command, length, bytes). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int16_t samples[128];
    int8_t codes[HARK_N_MFCC + HARK_LABELS] = {0};
    hark_detection heard;
    size_t i;

    hark_spotter_reset(&spotter);
    while (size >= 2U) {
        const uint8_t command = data[0];
        const size_t length = (data[1] < size - 2U) ? data[1] : (size - 2U);

        data += 2;
        size -= 2U;
        (void)memcpy(samples, data, length);
        (void)memcpy(codes, data, (length < sizeof codes) ? length : sizeof codes);
        data += length;
        size -= length;
        if (command == 0U) {
            hark_spotter_skip(&spotter, (uint64_t)length << 40U);
        } else if (command == 1U) {
            while (hark_spotter_finish(&spotter, &heard)) {
            }
        } else if (command == 2U) {
            (void)hark_spotter_decide(&spotter, codes, spotter.received, &heard);
        } else if (command < 16U) {
            hark_model_push(&spotter.model, codes);
            hark_model_logits(&spotter.model, codes);
        } else {
            for (i = 0U; i < command; i += 16U) { /* the same again, so that frames fill */
                take(&heard, samples, length / 2U);
            }
        }
    }
    return 0;
}
