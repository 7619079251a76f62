/* The first words of a Cortex-M image: stack, reset, and a stop for every fault. The C library's start does the rest. */
#include <stdint.h>

extern uint32_t hark_stack_top;
extern void _start(void);

static void reset(void)
{
    *(volatile uint32_t *)0xE000ED88U |= 0xF00000U; /* the FPU on, where there is one: the C library may use it */
    _start();
}

static void stop(void)
{
    for (;;) {
    }
}

typedef void (*handler)(void);

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    handler handlers[15];
} vectors = {&hark_stack_top, {reset, stop, stop, stop, stop, stop}};
