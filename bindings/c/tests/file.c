/* Plays files through the library with the strip network, and prints each beat: for `cargo xtask executors`.
 *
 * An argument names a file as `firmware/src/stretch.rs` has it. A line a beat: R peak in ms, class, and the bits of its scores. */
#include "heartlens.h"
#include <stdio.h>
#include <string.h>

static uint64_t memory[HL_MEMORY_STRIPS_BYTES / sizeof(uint64_t)];

static void work(const char *file) {
    hl_event event;
    while (hl_work(memory) == HL_PENDING) {
        while (hl_next(memory, &event) == HL_OK) {
            if (event.kind != HL_EVENT_BEAT) {
                continue;
            }
            printf("%s %llu %c", file, (unsigned long long)event.at_ms, event.label);
            for (int i = 0; i < 4; i++) {
                uint32_t bits;
                memcpy(&bits, &event.scores[i], sizeof bits);
                printf(" %08lx", (unsigned long)bits);
            }
            printf("\n");
        }
    }
}

static int play(const char *file) {
    FILE *stream = fopen(file, "rb");
    unsigned char bytes[12];
    if (!stream || fread(bytes, 1, 12, stream) != 12) {
        fprintf(stderr, "%s: no stretch\n", file);
        return 1;
    }
    hl_config config = {.rate_hz = 128, .counts_per_mv = 1000.0f, .age_years = -1.0f, .rules = HL_RULES_SHIPPED};
    int32_t code = hl_init_strips(memory, sizeof memory, &config, hl_beat_model(), hl_rhythm_model(), hl_strip_model());
    if (code != HL_OK) {
        fprintf(stderr, "%s\n", hl_text(code));
        return 1;
    }
    while (fread(bytes, 1, 2, stream) == 2) {
        hl_push_i16(memory, (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8));
        work(file);
    }
    fclose(stream);
    hl_finish(memory);
    work(file);
    return 0;
}

int main(int count, char **files) {
    for (int i = 1; i < count; i++) {
        if (play(files[i])) {
            return 1;
        }
    }
    return 0;
}
