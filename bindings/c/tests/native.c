/* The example on this machine, and calls that a program should not make. */
#include "heartlens.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

extern int watch(void);

void put(const char *text) {
    fputs(text, stdout);
}

static uint64_t other[HL_MEMORY_BYTES / sizeof(uint64_t) + 1];

#define EXPECT(call, expected)                                                                                        \
    do {                                                                                                              \
        int32_t found = (call);                                                                                       \
        if (found != (expected)) {                                                                                    \
            fprintf(stderr, "line %d: %s is %d, not %d\n", __LINE__, #call, (int)found, (int)(expected));             \
            return 1;                                                                                                 \
        }                                                                                                             \
    } while (0)

static uint64_t larger[HL_MEMORY_STRIPS_BYTES / sizeof(uint64_t)];

extern const unsigned char stretch[];
extern void report(const hl_event *event);

static void work(void) {
    hl_event event;
    while (hl_work(larger) == HL_PENDING) {
        while (hl_next(larger, &event) == HL_OK) {
            report(&event);
        }
    }
}

/* The example's samples with the strip network. */
static int watch_strips(void) {
    hl_config config = {.rate_hz = 128, .counts_per_mv = 1000.0f, .age_years = -1.0f, .rules = HL_RULES_SHIPPED};
    hl_image beat = hl_beat_model(), rhythm = hl_rhythm_model(), strip = hl_strip_model(), none = {0};
    const size_t size = sizeof larger;
    EXPECT(hl_init_strips(NULL, size, &config, beat, rhythm, strip), HL_ERROR_NULL);
    EXPECT(hl_init_strips(larger, size, NULL, beat, rhythm, strip), HL_ERROR_NULL);
    EXPECT(hl_init_strips(larger, size, &config, beat, rhythm, none), HL_ERROR_NULL);
    EXPECT(hl_init_strips(larger, HL_MEMORY_BYTES, &config, beat, rhythm, strip), HL_ERROR_MEMORY);
    EXPECT(hl_init_strips(larger, size - 1, &config, beat, rhythm, strip), HL_ERROR_MEMORY);
    EXPECT(hl_init_strips(larger, size, &config, strip, rhythm, strip), HL_ERROR_MODEL);
    EXPECT(hl_init_strips(larger, size, &config, beat, rhythm, beat), HL_ERROR_STRIP);
    EXPECT(hl_init_strips(larger, size, &config, beat, beat, strip), HL_ERROR_RHYTHM);
    for (size_t length = 0; length < strip.length; length += 997) {
        hl_image cut = {strip.bytes, length};
        EXPECT(hl_init_strips(larger, size, &config, beat, rhythm, cut), HL_ERROR_STRIP);
    }
    EXPECT(hl_work(larger), HL_ERROR_NOT_INITIALISED);
    /* Without strips first, in the same memory. */
    EXPECT(hl_init(larger, size, &config, beat, rhythm), HL_OK);
    EXPECT(hl_push_i16(larger, 5), HL_OK);
    EXPECT(hl_init_strips(larger, size, &config, beat, rhythm, strip), HL_OK);
    uint32_t samples = (uint32_t)stretch[0] | (uint32_t)stretch[1] << 8 | (uint32_t)stretch[2] << 16;
    for (uint32_t i = 0; i < samples; i++) {
        const unsigned char *bytes = stretch + 12 + 2 * i;
        EXPECT(hl_push_i16(larger, (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8)), HL_OK);
        work();
    }
    EXPECT(hl_finish(larger), HL_OK);
    work();
    return 0;
}

/* A converter of 256 Hz that is told as one of 250 Hz, with a clock that turns over; then one of 250 Hz. What was said of either. */
static int wrong_rate(void) {
    hl_config config = {.rate_hz = 250, .counts_per_mv = 1000.0f, .age_years = -1.0f};
    hl_event event;
    EXPECT(hl_init(larger, sizeof larger, &config, hl_beat_model(), hl_rhythm_model()), HL_OK);
    uint32_t now_ms = UINT32_MAX - 5000;
    int wrong = 0, right = 0;
    for (int second = 0; second < 400; second++) {
        int rate = second < 200 ? 256 : 250;
        for (int i = 0; i < rate; i++) {
            EXPECT(hl_push_i16(larger, (int16_t)(i * 7919 % 301)), HL_OK);
            while (hl_work(larger) == HL_PENDING) {
                while (hl_next(larger, &event) == HL_OK) {
                    if (event.kind != HL_EVENT_SAMPLE_RATE) {
                        continue;
                    }
                    EXPECT(event.expected_hz, 250);
                    EXPECT(event.at_ms > 1000u * (uint32_t)second, 1);
                    EXPECT(event.flag ? rate == 250 : event.found_hz == 256.0f, 1);
                    wrong += !event.flag;
                    right += event.flag;
                }
            }
        }
        now_ms += 1000;
        EXPECT(hl_clock(larger, now_ms), HL_OK);
        if (second == 199) {
            EXPECT(wrong == 1 && right == 0, 1);
        }
    }
    EXPECT(wrong == 1 && right == 1, 1);
    return 0;
}

static int misuse(void) {
    hl_config config = {.rate_hz = 250, .counts_per_mv = 200.0f, .age_years = 70.0f, .sex = HL_SEX_FEMALE};
    hl_image beat = hl_beat_model(), rhythm = hl_rhythm_model(), none = {0};
    hl_event event;
    const size_t size = HL_MEMORY_BYTES;
    EXPECT(hl_push_i16(NULL, 1), HL_ERROR_NULL);
    EXPECT(hl_missing(NULL, 1), HL_ERROR_NULL);
    EXPECT(hl_clock(NULL, 1), HL_ERROR_NULL);
    EXPECT(hl_work(NULL), HL_ERROR_NULL);
    EXPECT(hl_finish(NULL), HL_ERROR_NULL);
    EXPECT(hl_next(NULL, &event), HL_ERROR_NULL);
    EXPECT(hl_next(NULL, NULL), HL_ERROR_NULL);
    EXPECT(hl_signal(NULL), HL_ERROR_NULL);
    EXPECT(hl_rate_bpm(NULL) == 0.0f, 1);
    EXPECT(hl_push_i16(other, 1), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_missing(other, 1), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_clock(other, 1), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_work(other), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_finish(other), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_next(other, &event), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_signal(other), HL_ERROR_NOT_INITIALISED);
    EXPECT(hl_rate_bpm(other) == 0.0f, 1);
    uint64_t *crooked = (uint64_t *)((char *)other + 4);
    EXPECT(hl_push_i16(crooked, 1), HL_ERROR_ALIGNMENT);
    EXPECT(hl_missing(crooked, 1), HL_ERROR_ALIGNMENT);
    EXPECT(hl_clock(crooked, 1), HL_ERROR_ALIGNMENT);
    EXPECT(hl_work(crooked), HL_ERROR_ALIGNMENT);
    EXPECT(hl_finish(crooked), HL_ERROR_ALIGNMENT);
    EXPECT(hl_next(crooked, &event), HL_ERROR_ALIGNMENT);
    EXPECT(hl_signal(crooked), HL_ERROR_ALIGNMENT);
    EXPECT(hl_init(NULL, size, &config, beat, rhythm), HL_ERROR_NULL);
    EXPECT(hl_init(other, size, NULL, beat, rhythm), HL_ERROR_NULL);
    EXPECT(hl_init(other, size, &config, none, rhythm), HL_ERROR_NULL);
    EXPECT(hl_init(other, size, &config, beat, none), HL_ERROR_NULL);
    EXPECT(hl_init(other, size - 1, &config, beat, rhythm), HL_ERROR_MEMORY);
    EXPECT(hl_init(other, 0, &config, beat, rhythm), HL_ERROR_MEMORY);
    EXPECT(hl_init((uint64_t *)((char *)other + 1), size, &config, beat, rhythm), HL_ERROR_ALIGNMENT);
    config.rate_hz = 0;
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_RATE);
    config.rate_hz = 1000;
    config.sex = 7;
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_CONFIG);
    config.sex = HL_SEX_MALE;
    config.rules = 9;
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_CONFIG);
    for (config.rules = HL_RULES_NONE; config.rules <= HL_RULES_ALIKE; config.rules++) {
        EXPECT(hl_init(other, size, &config, beat, rhythm), HL_OK);
    }
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_CONFIG);
    config.rules = HL_RULES_AF;
    const float gains[] = {0.0f, -0.0f, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof gains / sizeof *gains; i++) {
        config.counts_per_mv = gains[i];
        EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_GAIN);
    }
    EXPECT(hl_work(other), HL_ERROR_NOT_INITIALISED);
    config.counts_per_mv = -200.0f;
    EXPECT(hl_init(other, size, &config, rhythm, rhythm), HL_ERROR_MODEL);
    EXPECT(hl_init(other, size, &config, beat, beat), HL_ERROR_RHYTHM);
    /* Cut at every length, damaged at many places, and at a wrong address. */
    static union {
        uint64_t words[8192];
        unsigned char bytes[65536];
    } copy;
    memcpy(copy.bytes, beat.bytes, beat.length);
    for (size_t length = 0; length < beat.length; length += 97) {
        hl_image cut = {copy.bytes, length};
        EXPECT(hl_init(other, size, &config, cut, rhythm), HL_ERROR_MODEL);
    }
    for (size_t at = 0; at < beat.length; at += 211) {
        hl_image whole = {copy.bytes, beat.length};
        copy.bytes[at] ^= 0x10;
        EXPECT(hl_init(other, size, &config, whole, rhythm), HL_ERROR_MODEL);
        copy.bytes[at] ^= 0x10;
    }
    memmove(copy.bytes + 1, copy.bytes, beat.length);
    hl_image shifted = {copy.bytes + 1, beat.length};
    EXPECT(hl_init(other, size, &config, shifted, rhythm), HL_ERROR_MODEL);
    memcpy(copy.bytes, rhythm.bytes, rhythm.length);
    for (size_t length = 0; length < rhythm.length; length += 13) {
        hl_image cut = {copy.bytes, length};
        EXPECT(hl_init(other, size, &config, beat, cut), HL_ERROR_RHYTHM);
    }
    for (size_t at = 0; at < rhythm.length; at += 13) {
        hl_image whole = {copy.bytes, rhythm.length};
        copy.bytes[at] ^= 0x10;
        EXPECT(hl_init(other, size, &config, beat, whole), HL_ERROR_RHYTHM);
        copy.bytes[at] ^= 0x10;
    }
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_OK);
    EXPECT(hl_next(other, NULL), HL_ERROR_NULL);
    EXPECT(hl_next(other, &event), HL_NONE);
    EXPECT(hl_signal(other), HL_SIGNAL_UNKNOWN);
    uint32_t number = 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 20000; i++) {
            number = number * 1664525u + 1013904223u;
            EXPECT(hl_push_i16(other, (int16_t)(number >> 16)), HL_OK);
            if (i % 3 == 0) {
                hl_work(other);
                EXPECT(hl_clock(other, number), HL_OK);
                hl_next(other, &event);
            }
        }
        EXPECT(hl_missing(other, 4000000000u), HL_OK);
        EXPECT(hl_finish(other), HL_OK);
        EXPECT(hl_finish(other), HL_OK);
        EXPECT(hl_push_i16(other, HL_MISSING), HL_OK);
    }
    /* A failed start leaves nothing that could be called, even where something was. */
    config.rate_hz = 127;
    EXPECT(hl_init(other, size, &config, beat, rhythm), HL_ERROR_RATE);
    EXPECT(hl_push_i16(other, 1), HL_ERROR_NOT_INITIALISED);
    for (int32_t code = HL_ERROR_STRIP; code <= HL_NONE; code++) {
        EXPECT(hl_text(code) != NULL && strlen(hl_text(code)) > 3, 1);
        for (int32_t another = HL_ERROR_STRIP; another < code; another++) {
            EXPECT(strcmp(hl_text(code), hl_text(another)) != 0, 1);
        }
    }
    EXPECT(hl_text(99) == NULL && hl_text(-99) == NULL, 1);
    return 0;
}

int main(void) {
    if (misuse() || wrong_rate()) {
        return 1;
    }
    return watch() != HL_OK || watch_strips();
}
