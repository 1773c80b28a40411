/* Watches an ECG of 128 Hz and reports what happens. */
#include "heartlens.h"

/* The memory that Heartlens works in. It could as well lie on a stack or come from a pool. */
static uint64_t memory[HL_MEMORY_BYTES / sizeof(uint64_t)];

/* What your product brings: the converter's samples, a clock that is not the converter's, and a place for events. */
extern int next_sample(int16_t *count);
extern uint32_t now_ms(void);
extern void report(const hl_event *event);

static void work(void) {
    hl_event event;
    while (hl_work(memory) == HL_PENDING) { /* Each call is short: break off when the next sample is due. */
        while (hl_next(memory, &event) == HL_OK) {
            report(&event);
        }
    }
}

int watch(void) {
    const hl_config config = {
        .rate_hz = 128,
        .counts_per_mv = 1000.0f,
        .zero = 0,
        .age_years = -1.0f,
        .sex = HL_SEX_UNKNOWN,
        .rules = HL_RULES_SHIPPED,
    };
    int32_t code = hl_init(memory, sizeof memory, &config, hl_beat_model(), hl_rhythm_model());
    if (code != HL_OK) {
        return code; /* hl_text(code) says why. */
    }
    int16_t count;
    while (next_sample(&count)) {
        hl_push_i16(memory, count);
        hl_clock(memory, now_ms()); /* Once a second is enough. A wrong rate is said. */
        work();
    }
    hl_finish(memory);
    work();
    return HL_OK;
}
