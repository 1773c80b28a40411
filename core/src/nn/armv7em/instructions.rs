//! The instructions that the compiler does not find by itself, and the inner loops made of them.
#![allow(
    unsafe_code,
    reason = "inner loops in assembly, each behind a function that is safe to call"
)]

use crate::nn::affine::WeightBlock;
use core::arch::asm;

/// `round(value * multiplier / 2^32)`: SMMULR.
#[inline(always)]
pub(super) fn multiply_q32(value: i32, multiplier: i32) -> i32 {
    let result;
    // SAFETY: one instruction on registers.
    unsafe {
        asm!("smmulr {}, {}, {}", lateout(reg) result, in(reg) value, in(reg) multiplier,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// `addend + round(value * multiplier / 2^32)`: SMMLAR.
#[inline(always)]
pub(super) fn multiply_accumulate_q32(value: i32, multiplier: i32, addend: i32) -> i32 {
    let result;
    // SAFETY: one instruction on registers.
    unsafe {
        asm!("smmlar {}, {}, {}, {}", lateout(reg) result, in(reg) value, in(reg) multiplier, in(reg) addend,
            options(pure, nomem, nostack, preserves_flags));
    }
    result
}

/// The nearest int8: SSAT.
#[inline(always)]
pub(super) fn saturate_i8(value: i32) -> i8 {
    let result: i32;
    // SAFETY: one instruction on registers; it sets the sticky Q flag, which nothing reads.
    unsafe {
        asm!("ssat {}, #8, {}", lateout(reg) result, in(reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    result as i8
}

/// The nearest int16: SSAT.
#[inline(always)]
pub(super) fn saturate_i16(value: i32) -> i16 {
    let result: i32;
    // SAFETY: one instruction on registers; it sets the sticky Q flag, which nothing reads.
    unsafe {
        asm!("ssat {}, #16, {}", lateout(reg) result, in(reg) value, options(pure, nomem, nostack, preserves_flags));
    }
    result as i16
}

/// The bytes of words.
#[inline(always)]
pub(super) fn bytes_of(words: &mut [i32]) -> &mut [i8] {
    let len = 4 * words.len();
    // SAFETY: the same memory, exclusively borrowed for as long; any bytes are int8, and words are aligned enough.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
}

/// Takes each block of four bytes apart into two words: bytes 0 and 2, bytes 1 and 3. As many blocks as both have.
#[inline(always)]
pub(super) fn unpack_one(input: &[i8], unpacked: &mut [i32]) {
    let blocks = (input.len() / 4).min(unpacked.len() / 2);
    if blocks == 0 {
        return;
    }
    // SAFETY: reads 4 and writes 8 bytes a block, which the slices have; `unpacked` is aligned to words for STRD, and LDR
    // takes any address.
    unsafe {
        asm!(
            "2:",
            "ldr {high}, [{input}], #4",
            "sxtb16 {low}, {high}",
            "sxtb16 {high}, {high}, ror #8",
            "strd {low}, {high}, [{unpacked}], #8",
            "subs {blocks}, {blocks}, #1",
            "bne 2b",
            input = inout(reg) input.as_ptr() => _,
            unpacked = inout(reg) unpacked.as_mut_ptr() => _,
            blocks = inout(reg) blocks => _,
            low = out(reg) _,
            high = out(reg) _,
            options(nostack),
        );
    }
}

/// [`unpack_one`] for two positions at once: four words a block, of the first position, then of the second.
#[inline(always)]
pub(super) fn unpack_two(first: &[i8], second: &[i8], unpacked: &mut [i32]) {
    let blocks = (first.len() / 4)
        .min(second.len() / 4)
        .min(unpacked.len() / 4);
    if blocks == 0 {
        return;
    }
    // SAFETY: reads 4 bytes of both inputs and writes 16 a block, which the slices have; `unpacked` is aligned to words
    // for STM, and LDR takes any address.
    unsafe {
        asm!(
            "2:",
            "ldr r3, [{first}], #4",
            "ldr r5, [{second}], #4",
            "sxtb16 r2, r3",
            "sxtb16 r3, r3, ror #8",
            "sxtb16 r4, r5",
            "sxtb16 r5, r5, ror #8",
            "stmia {unpacked}!, {{r2, r3, r4, r5}}",
            "subs {blocks}, {blocks}, #1",
            "bne 2b",
            first = inout(reg) first.as_ptr() => _,
            second = inout(reg) second.as_ptr() => _,
            unpacked = inout(reg) unpacked.as_mut_ptr() => _,
            blocks = inout(reg) blocks => _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            options(nostack),
        );
    }
}

/// Two rows times two positions of [`unpack_two`], from `sums` on: first row and first position, first row and second
/// position, then the second row.
#[inline(always)]
pub(super) fn dot_two(blocks: &[WeightBlock], unpacked: &[i32], sums: [i32; 4]) -> [i32; 4] {
    let count = blocks.len().min(unpacked.len() / 4);
    if count == 0 {
        return sums;
    }
    let [mut s0, mut s1, mut s2, mut s3] = sums;
    // SAFETY: reads 8 bytes of `blocks` and 16 of `unpacked` a block, which the slices have and which are aligned to words
    // for LDRD and LDM. r6 and r7, which the compiler keeps for itself, are saved and restored.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            // An odd number of blocks begins in the middle of the loop, whose turns do two.
            "lsrs r12, r12, #1",
            "bcc 2f",
            "add r12, r12, #1",
            "b 3f",
            "2:",
            "ldmia r0!, {{r2, r3, r4, r5}}",
            "ldrd r6, r7, [r1], #8",
            "sxtb16 lr, r6",
            "smlad r8, lr, r2, r8",
            "smlad r9, lr, r4, r9",
            "sxtb16 r6, r6, ror #8",
            "smlad r8, r6, r3, r8",
            "smlad r9, r6, r5, r9",
            "sxtb16 lr, r7",
            "smlad r10, lr, r2, r10",
            "smlad r11, lr, r4, r11",
            "sxtb16 r7, r7, ror #8",
            "smlad r10, r7, r3, r10",
            "smlad r11, r7, r5, r11",
            "3:",
            "ldmia r0!, {{r2, r3, r4, r5}}",
            "ldrd r6, r7, [r1], #8",
            "sxtb16 lr, r6",
            "smlad r8, lr, r2, r8",
            "smlad r9, lr, r4, r9",
            "sxtb16 r6, r6, ror #8",
            "smlad r8, r6, r3, r8",
            "smlad r9, r6, r5, r9",
            "sxtb16 lr, r7",
            "smlad r10, lr, r2, r10",
            "smlad r11, lr, r4, r11",
            "sxtb16 r7, r7, ror #8",
            "smlad r10, r7, r3, r10",
            "smlad r11, r7, r5, r11",
            "subs r12, r12, #1",
            "bne 2b",
            "pop {{r6, r7}}",
            inout("r0") unpacked.as_ptr() => _,
            inout("r1") blocks.as_ptr() => _,
            inout("r12") count => _,
            inout("r8") s0,
            inout("r9") s1,
            inout("r10") s2,
            inout("r11") s3,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("lr") _,
            options(readonly),
        );
    }
    [s0, s1, s2, s3]
}

/// Two rows times one position of [`unpack_one`], from `sums` on.
#[inline(always)]
pub(super) fn dot_one(blocks: &[WeightBlock], unpacked: &[i32], sums: [i32; 2]) -> [i32; 2] {
    let count = blocks.len().min(unpacked.len() / 2);
    if count == 0 {
        return sums;
    }
    let [mut s0, mut s1] = sums;
    // SAFETY: reads 8 bytes of `blocks` and 8 of `unpacked` a block, which the slices have and which are aligned to words
    // for LDRD and LDM. r6 and r7, which the compiler keeps for itself, are saved and restored.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "lsrs r12, r12, #1",
            "bcc 2f",
            "ldrd r2, r3, [r0], #8",
            "ldrd r6, r7, [r1], #8",
            "sxtb16 lr, r6",
            "smlad r10, lr, r2, r10",
            "sxtb16 r6, r6, ror #8",
            "smlad r10, r6, r3, r10",
            "sxtb16 lr, r7",
            "smlad r11, lr, r2, r11",
            "sxtb16 r7, r7, ror #8",
            "smlad r11, r7, r3, r11",
            "beq 3f",
            "2:",
            "ldmia r0!, {{r2, r3, r4, r5}}",
            "ldmia r1!, {{r6, r7, r8, r9}}",
            "sxtb16 lr, r6",
            "smlad r10, lr, r2, r10",
            "sxtb16 r6, r6, ror #8",
            "smlad r10, r6, r3, r10",
            "sxtb16 lr, r7",
            "smlad r11, lr, r2, r11",
            "sxtb16 r7, r7, ror #8",
            "smlad r11, r7, r3, r11",
            "sxtb16 lr, r8",
            "smlad r10, lr, r4, r10",
            "sxtb16 r8, r8, ror #8",
            "smlad r10, r8, r5, r10",
            "sxtb16 lr, r9",
            "smlad r11, lr, r4, r11",
            "sxtb16 r9, r9, ror #8",
            "smlad r11, r9, r5, r11",
            "subs r12, r12, #1",
            "bne 2b",
            "3:",
            "pop {{r6, r7}}",
            inout("r0") unpacked.as_ptr() => _,
            inout("r1") blocks.as_ptr() => _,
            inout("r12") count => _,
            inout("r10") s0,
            inout("r11") s1,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("lr") _,
            options(readonly),
        );
    }
    [s0, s1]
}
