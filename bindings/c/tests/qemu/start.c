/* Starts the example on QEMU's netduinoplus2 (STM32F405, Cortex-M4F), without a C library: output by semihosting. */
#include "heartlens.h"

extern int watch(void);
extern uint32_t stack_end, data_start, data_end, data_load, bss_start, bss_end;

static int call(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void put(const char *text) {
    call(0x04, text);
}

static void end(int success) {
    /* ADP_Stopped_ApplicationExit, or a run-time error. */
    call(0x18, (const void *)(success ? 0x20026 : 0x20023));
    for (;;) {
    }
}

static void fault(void) {
    put("a fault\n");
    end(0);
}

void start(void) {
    for (uint32_t *to = &data_start, *from = &data_load; to < &data_end;) {
        *to++ = *from++;
    }
    for (uint32_t *to = &bss_start; to < &bss_end;) {
        *to++ = 0;
    }
    /* The FPU's coprocessors, 10 and 11. */
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm__ volatile("dsb\nisb");
    end(watch() == HL_OK);
}

union vector {
    const void *stack;
    void (*handler)(void);
};

__attribute__((section(".vectors"), used)) static const union vector vectors[16] = {
    {.stack = &stack_end},
    {.handler = start},
    {.handler = fault},
    {.handler = fault},
    {.handler = fault},
    {.handler = fault},
    {.handler = fault},
};
