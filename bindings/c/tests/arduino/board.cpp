/* The board under the sketch: an AD8232 that plays firmware/stretch, an electrode that comes off for 4 s at its end, and a clock
 * that runs as often as it is looked at. */
#include "Arduino.h"

extern "C" {
extern const unsigned char stretch[];
void put(const char *text);
int watch(void);
}

Port Serial;

static uint32_t now_us, samples;
static const uint32_t STEP_US = 150;
static const uint32_t OFF_US = 4000000;

static uint32_t end_us() {
    return (uint32_t)((uint64_t)samples * 1000000 / 128);
}

void Port::begin(unsigned long) {
}

void Port::print(const char *text) {
    put(text);
}

void Port::print(char letter) {
    const char text[2] = {letter, 0};
    put(text);
}

void Port::print(long number) {
    char text[12];
    int place = 11;
    text[place] = 0;
    unsigned long rest = number < 0 ? 0ul - (unsigned long)number : (unsigned long)number;
    do {
        text[--place] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (number < 0) {
        text[--place] = '-';
    }
    put(text + place);
}

void pinMode(int, int) {
}

void analogReadResolution(int) {
}

void delay(unsigned long) {
}

uint32_t micros() {
    return now_us += STEP_US;
}

unsigned long millis() {
    return now_us / 1000;
}

int digitalRead(int) {
    return now_us >= end_us() ? HIGH : LOW;
}

/* 1000 counts per millivolt at 128 Hz become 1365 about 2048, within 12 bits. */
int analogRead(int) {
    uint32_t at = (uint32_t)((uint64_t)now_us * 128 / 1000000);
    const unsigned char *bytes = stretch + 12 + 2 * (at < samples ? at : samples - 1);
    int32_t count = (int16_t)(uint16_t)(bytes[0] | bytes[1] << 8) * 1365 / 1000 + 2048;
    return count < 0 ? 0 : count > 4095 ? 4095 : count;
}

int watch(void) {
    samples = (uint32_t)stretch[0] | (uint32_t)stretch[1] << 8 | (uint32_t)stretch[2] << 16;
    setup();
    while (now_us < end_us() + OFF_US) {
        loop();
    }
    return 0;
}
