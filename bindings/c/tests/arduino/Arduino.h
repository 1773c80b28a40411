/* As much of Arduino as the sketch uses, for a test: pins and clock are a recording's, the serial port is the test's output. */
#ifndef ARDUINO_H
#define ARDUINO_H
#include <stddef.h>
#include <stdint.h>

enum { LOW = 0, HIGH = 1, INPUT = 0, A0 = 14 };

struct Port {
    void begin(unsigned long baud);
    void print(const char *text);
    void print(char letter);
    void print(long number);
    template <typename T> void println(T value) {
        print(value);
        print('\n');
    }
};
extern Port Serial;

void pinMode(int pin, int mode);
void analogReadResolution(int bits);
int digitalRead(int pin);
int analogRead(int pin);
uint32_t micros();
unsigned long millis();
void delay(unsigned long ms);
void setup();
void loop();
#endif
