/*
 * Hears the keywords in a sound file: 16 kHz, mono, 16 bits, WAV or bare samples (little endian).
 *
 *     hark_wav FILE
 *
 * One line a detection: time, score, keyword. A board's firmware calls the same two functions from its audio task.
 */
#include <stdio.h>
#include <string.h>

#include "hark_spotter.h"

#define CHUNK_SAMPLES 160
#define WAV_HEADER_BYTES 44

static hark_spotter spotter;

static void report(const hark_detection *heard)
{
    const unsigned long ms = (unsigned long)(heard->end_sample / 16U);

    printf("%6lu.%03lu s  %3lu %%  %s\n", ms / 1000UL, ms % 1000UL, (unsigned long)(heard->score * 100U / 32768U),
           hark_keywords[heard->keyword]);
}

/* The next samples of a file -> how many; a byte left over at the end of the file is no sample. */
static size_t read_samples(FILE *file, int16_t samples[CHUNK_SAMPLES])
{
    uint8_t bytes[2 * CHUNK_SAMPLES];
    const size_t count = fread(bytes, 2U, CHUNK_SAMPLES, file);
    size_t i;

    for (i = 0U; i < count; i++) {
        const int32_t word = bytes[2U * i] + 256 * bytes[2U * i + 1U];

        samples[i] = (int16_t)((word < 32768) ? word : (word - 65536));
    }
    return count;
}

/* Past the header of a plain WAV file, to the start of any other. */
static int skip_header(FILE *file)
{
    uint8_t header[WAV_HEADER_BYTES];
    const size_t size = fread(header, 1U, sizeof header, file);

    if ((size < sizeof header) || (memcmp(header, "RIFF", 4U) != 0)) {
        rewind(file);
        return 1;
    }
    /* 1 channel, 16,000 Hz, 16 bits, and the samples begin right here */
    return ((header[22] == 1U) && (header[24] == 0x80U) && (header[25] == 0x3EU) && (header[34] == 16U)
            && (memcmp(header + 36, "data", 4U) == 0));
}

int main(int argc, char **argv)
{
    int16_t chunk[CHUNK_SAMPLES];
    const int16_t *samples;
    hark_detection heard;
    size_t count;
    FILE *file;

    if (argc != 2) {
        fprintf(stderr, "usage: hark_wav FILE\n");
        return 2;
    }
    file = fopen(argv[1], "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: cannot be opened\n", argv[1]);
        return 2;
    }
    if (!skip_header(file)) {
        fprintf(stderr, "%s: not a plain WAV file of 16 kHz, mono, 16 bits\n", argv[1]);
        (void)fclose(file);
        return 2;
    }
    hark_spotter_reset(&spotter);
    while ((count = read_samples(file, chunk)) > 0U) {
        samples = chunk;
        while (hark_spotter_feed(&spotter, &samples, &count, &heard)) {
            report(&heard);
        }
    }
    while (hark_spotter_finish(&spotter, &heard)) {
        report(&heard);
    }
    return (fclose(file) == 0) ? 0 : 2;
}
