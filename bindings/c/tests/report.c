/* Around the example: samples from a file in the image, and each event as a line, its numbers as their bits. */
#include "heartlens.h"

extern const unsigned char stretch[];
extern void put(const char *text);

static uint32_t next;

/* The converter's own time. */
uint32_t now_ms(void) {
    return (uint32_t)((uint64_t)next * 1000 / 128);
}

int next_sample(int16_t *count) {
    uint32_t samples = (uint32_t)stretch[0] | (uint32_t)stretch[1] << 8 | (uint32_t)stretch[2] << 16;
    if (next >= samples) {
        return 0;
    }
    /* Behind the number of samples, the gain and the zero. */
    const unsigned char *bytes = stretch + 12 + 2 * next;
    *count = (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8);
    next += 1;
    return 1;
}

static char line[160];
static uint32_t used;

static void hex(const char *name, uint64_t value, int digits) {
    while (*name) {
        line[used++] = *name++;
    }
    for (int shift = 4 * digits - 4; shift >= 0; shift -= 4) {
        line[used++] = "0123456789abcdef"[value >> shift & 15];
    }
}

static uint32_t bits(float value) {
    union {
        float value;
        uint32_t bits;
    } both = {value};
    return both.bits;
}

void report(const hl_event *event) {
    used = 0;
    hex("kind=", event->kind, 2);
    hex(" at=", event->at_ms, 8);
    hex(" until=", event->until_ms, 8);
    hex(" label=", event->label, 2);
    hex(" scores=", bits(event->scores[0]), 8);
    for (int i = 1; i < 4; i++) {
        hex("", bits(event->scores[i]), 8);
    }
    hex(" rr=", bits(event->rr_ms), 8);
    hex(" rate=", bits(event->rate_bpm), 8);
    hex(" beats=", event->beats, 4);
    hex(" fibrillation=", (uint8_t)event->fibrillation, 2);
    hex(" flags=", event->readable, 2);
    hex("", event->signal, 2);
    hex("", event->flag, 2);
    line[used++] = '\n';
    line[used] = 0;
    put(line);
}
