/* The samples of firmware/stretch, whose path STRETCH is. */
    .section .rodata
    .balign 8
    .global stretch
stretch:
    .incbin STRETCH
#ifdef __ELF__
    .section .note.GNU-stack, "", %progbits
#endif
