/* Beats and events from an AD8232 on the serial monitor (115,200 baud). Research software, not a medical device.
 *
 * OUTPUT to A0, LO+ to 10, LO- to 11. The numbers below are those of a breakout board with a gain of 1,100 and a converter of
 * 12 bits over 3.3 V: with another front end or another reference voltage, put in yours. */
#include <heartlens.h>

const uint32_t RATE_HZ = 250;
const uint32_t PERIOD_US = 1000000 / RATE_HZ;
const float COUNTS_PER_MV = 1100.0f * 4096 / 3300;
const int32_t ZERO = 2048;
const int LEAD_OFF_PLUS = 10;
const int LEAD_OFF_MINUS = 11;

static uint64_t memory[HL_MEMORY_BYTES / sizeof(uint64_t)];
static uint32_t due_us;

static void report(const hl_event *event) {
    switch (event->kind) {
    case HL_EVENT_BEAT:
        Serial.print("beat ");
        Serial.print((char)event->label);
        Serial.print(", RR ");
        Serial.print((long)event->rr_ms);
        Serial.println(" ms");
        break;
    case HL_EVENT_SIGNAL:
        Serial.print("signal ");
        Serial.println((long)event->signal); /* HL_SIGNAL_READABLE, ... */
        break;
    case HL_EVENT_PAUSE:
        Serial.println("pause");
        break;
    case HL_EVENT_FIBRILLATION:
        Serial.println(event->flag ? "fibrillation is over" : "fibrillation");
        break;
    case HL_EVENT_RUN:
        Serial.print("run of ");
        Serial.println((char)event->label);
        break;
    case HL_EVENT_SAMPLE_RATE:
        Serial.print("samples a second: ");
        Serial.println((long)event->found_hz);
        break;
    case HL_EVENT_RESTARTED:
        Serial.println("started anew");
        break;
    }
}

void setup() {
    Serial.begin(115200);
    pinMode(LEAD_OFF_PLUS, INPUT);
    pinMode(LEAD_OFF_MINUS, INPUT);
    analogReadResolution(12);
    hl_config config = {};
    config.rate_hz = RATE_HZ;
    config.counts_per_mv = COUNTS_PER_MV;
    config.zero = ZERO;
    config.age_years = -1.0f; /* Not known. */
    config.sex = HL_SEX_UNKNOWN;
    config.rules = HL_RULES_SHIPPED;
    int32_t code = hl_init(memory, sizeof memory, &config, hl_beat_model(), hl_rhythm_model());
    while (code != HL_OK) {
        Serial.println(hl_text(code));
        delay(1000);
    }
    due_us = micros();
}

void loop() {
    uint32_t late_us = micros() - due_us;
    if (late_us < 0x80000000u) {
        /* A sample is due. What was slept through is missing, and said so. */
        uint32_t lost = late_us / PERIOD_US;
        if (lost > 0) {
            hl_missing(memory, lost);
        }
        due_us += (lost + 1) * PERIOD_US;
        if (digitalRead(LEAD_OFF_PLUS) == HIGH || digitalRead(LEAD_OFF_MINUS) == HIGH) {
            hl_missing(memory, 1);
        } else {
            hl_push_i16(memory, (int16_t)analogRead(A0));
        }
    }
    hl_clock(memory, millis());
    /* One short call at a time, so that the next sample is never late. */
    hl_work(memory);
    hl_event event;
    while (hl_next(memory, &event) == HL_OK) {
        report(&event);
    }
}
