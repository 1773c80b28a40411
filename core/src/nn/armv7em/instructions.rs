//! The instructions that the compiler does not find by itself, and the inner loops made of them.
#![allow(
    unsafe_code,
    reason = "inner loops in assembly, each behind a function that is safe to call"
)]

use crate::nn::activation::SIGMOID;
use crate::nn::affine::{Channel, WeightBlock};
use crate::nn::lstm::{GATE_SHIFT, GateRow};
use core::arch::asm;

/// What a pass over pairs of rows works on, laid out for one LDM. The pass moves what is marked "next" onward.
#[repr(C)]
struct Pass<P, O> {
    unpacked: *const i32,
    /// Parameters of the next pair of rows.
    parameters: *const [P; 2],
    /// Next output of the first position.
    first: *mut O,
    /// Next output of the second position.
    second: *mut O,
    pairs: usize,
    zero_point: i32,
    /// Blocks of a pair of rows.
    groups: usize,
}

/// One block of two rows and two positions: r0 the unpacked inputs, r1 the blocks, r8 to r11 the sums - first row and
/// first position, first row and second position, then the second row.
macro_rules! block_of_two {
    () => {
        "ldmia r0!, {{r2, r3, r4, r5}}
        ldrd r6, r7, [r1], #8
        sxtb16 lr, r6
        smlad r8, lr, r2, r8
        smlad r9, lr, r4, r9
        sxtb16 r6, r6, ror #8
        smlad r8, r6, r3, r8
        smlad r9, r6, r5, r9
        sxtb16 lr, r7
        smlad r10, lr, r2, r10
        smlad r11, lr, r4, r11
        sxtb16 r7, r7, ror #8
        smlad r10, r7, r3, r10
        smlad r11, r7, r5, r11"
    };
}

/// All r7 blocks of two rows and two positions, two a turn; an odd one begins in the middle.
macro_rules! blocks_of_two {
    () => {
        concat!(
            "lsrs r12, r7, #1
            bcc 3f
            add r12, r12, #1
            b 4f
            3:\n",
            block_of_two!(),
            "\n4:\n",
            block_of_two!(),
            "\nsubs r12, r12, #1
            bne 3b"
        )
    };
}

/// All r7 blocks of two rows and one position, two a turn after an odd one: r0 the unpacked inputs, r1 the blocks, r10 and
/// r11 the sums of the rows.
macro_rules! blocks_of_one {
    () => {
        "lsrs r12, r7, #1
        bcc 3f
        ldrd r2, r3, [r0], #8
        ldrd r6, r7, [r1], #8
        sxtb16 lr, r6
        smlad r10, lr, r2, r10
        sxtb16 r6, r6, ror #8
        smlad r10, r6, r3, r10
        sxtb16 lr, r7
        smlad r11, lr, r2, r11
        sxtb16 r7, r7, ror #8
        smlad r11, r7, r3, r11
        beq 4f
        3:
        ldmia r0!, {{r2, r3, r4, r5}}
        ldmia r1!, {{r6, r7, r8, r9}}
        sxtb16 lr, r6
        smlad r10, lr, r2, r10
        sxtb16 r6, r6, ror #8
        smlad r10, r6, r3, r10
        sxtb16 lr, r7
        smlad r11, lr, r2, r11
        sxtb16 r7, r7, ror #8
        smlad r11, r7, r3, r11
        sxtb16 lr, r8
        smlad r10, lr, r4, r10
        sxtb16 r8, r8, ror #8
        smlad r10, r8, r5, r10
        sxtb16 lr, r9
        smlad r11, lr, r4, r11
        sxtb16 r9, r9, ror #8
        smlad r11, r9, r5, r11
        subs r12, r12, #1
        bne 3b
        4:"
    };
}

/// Runs a pass. r0 holds it at first and then its inputs; the compiler keeps r6 and r7 for itself, so they are saved.
/// At label 2 and after the blocks the pass is loaded: r2 parameters, r3 and r4 outputs, r5 pairs, r6 zero point, r7 groups.
macro_rules! pass {
    ($pass:expr, $blocks:expr, start: $start:literal, sums: $sums:expr, end: $end:literal) => {
        asm!(
            "push {{r0, r6, r7}}",
            "2:",
            "ldr r12, [sp]",
            "ldmia r12, {{r0, r2, r3, r4, r5, r6, r7}}",
            $start,
            $sums,
            "ldr r12, [sp]",
            "ldmia r12, {{r0, r2, r3, r4, r5, r6, r7}}",
            $end,
            "add r12, r12, #4",
            "stmia r12, {{r2, r3, r4, r5}}",
            "bne 2b",
            "pop {{r0, r6, r7}}",
            in("r0") &raw mut $pass,
            inout("r1") $blocks => _,
            out("r2") _,
            out("r3") _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("lr") _,
        )
    };
}

/// Pairs of rows that all slices have. `groups` is the blocks of a pair.
#[inline(always)]
fn pairs_of(blocks: &[WeightBlock], groups: usize, rows: &[usize]) -> usize {
    let pairs = blocks.len().checked_div(groups).unwrap_or(0);
    rows.iter().fold(pairs, |pairs, rows| pairs.min(rows / 2))
}

/// The bytes of words.
#[inline(always)]
pub(super) fn bytes_of(words: &mut [i32]) -> &mut [i8] {
    let len = 4 * words.len();
    // SAFETY: the same memory, exclusively borrowed for as long; any bytes are int8, and words are aligned enough.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), len) }
}

/// Takes each block of four bytes apart into two words: bytes 0 and 2, bytes 1 and 3. The next block's words follow
/// `STEP` bytes on: 8 for one position, 16 for the first or second of two. As many blocks as both slices have.
#[inline(always)]
fn unpack<const STEP: usize>(input: &[i8], unpacked: &mut [i32]) {
    const { assert!(STEP == 8 || STEP == 16) };
    let room = (unpacked.len() + STEP / 4 - 2) / (STEP / 4);
    let blocks = (input.len() / 4).min(room);
    if blocks == 0 {
        return;
    }
    // SAFETY: reads 4 bytes of `input` and writes 8 bytes a block, which the slices have - of the last step only the words
    // written are counted; `unpacked` is aligned to words for STRD, and LDR takes any address.
    unsafe {
        asm!(
            "2:",
            "ldr {high}, [{input}], #4",
            "subs {blocks}, {blocks}, #1",
            "sxtb16 {low}, {high}",
            "sxtb16 {high}, {high}, ror #8",
            "strd {low}, {high}, [{unpacked}], #{step}",
            "bne 2b",
            input = inout(reg) input.as_ptr() => _,
            unpacked = inout(reg) unpacked.as_mut_ptr() => _,
            blocks = inout(reg) blocks => _,
            low = out(reg) _,
            high = out(reg) _,
            step = const STEP,
            options(nostack),
        );
    }
}

/// Unpacks one position: two words a block.
#[inline(always)]
pub(super) fn unpack_one(input: &[i8], unpacked: &mut [i32]) {
    unpack::<8>(input, unpacked);
}

/// Unpacks the first of two positions: words 0 and 1 of four a block.
#[inline(always)]
pub(super) fn unpack_first(input: &[i8], unpacked: &mut [i32]) {
    unpack::<16>(input, unpacked);
}

/// Unpacks the second of two positions: words 2 and 3 of four a block.
#[inline(always)]
pub(super) fn unpack_second(input: &[i8], unpacked: &mut [i32]) {
    if let [_, _, unpacked @ ..] = unpacked {
        unpack::<16>(input, unpacked);
    }
}

/// Copies as many bytes as both have. For stretches so short that a call to `memcpy` costs more than they do.
#[inline(always)]
pub(super) fn copy(from: &[i8], to: &mut [i8]) {
    let len = from.len().min(to.len());
    // SAFETY: reads and writes `len` bytes, which both slices have; LDR, STR, LDRH and STRH take any address.
    unsafe {
        asm!(
            "subs {len}, {len}, #4",
            "blo 3f",
            "2:",
            "ldr {word}, [{from}], #4",
            "str {word}, [{to}], #4",
            "subs {len}, {len}, #4",
            "bhs 2b",
            // What is left, less 4: its two low bits are the bytes to go.
            "3:",
            "tst {len}, #2",
            "itt ne",
            "ldrhne {word}, [{from}], #2",
            "strhne {word}, [{to}], #2",
            "tst {len}, #1",
            "itt ne",
            "ldrbne {word}, [{from}]",
            "strbne {word}, [{to}]",
            from = inout(reg) from.as_ptr() => _,
            to = inout(reg) to.as_mut_ptr() => _,
            len = inout(reg) len => _,
            word = out(reg) _,
            options(nostack),
        );
    }
}

/// Raises each output to the value beside it, as many as both slices have.
#[inline(always)]
pub(super) fn raise(output: &mut [i8], values: &[i8]) {
    let len = output.len().min(values.len());
    // SAFETY: reads `len` bytes of both slices and writes as many of `output`; LDR and STR take any address.
    unsafe {
        asm!(
            "subs {len}, {len}, #4",
            "blo 3f",
            "2:",
            "ldr {a}, [{values}], #4",
            "ldr {b}, [{output}]",
            "ssub8 {t}, {a}, {b}",
            "sel {a}, {a}, {b}",
            "str {a}, [{output}], #4",
            "subs {len}, {len}, #4",
            "bhs 2b",
            "3:",
            "adds {len}, {len}, #4",
            "beq 5f",
            "4:",
            "ldrsb {a}, [{values}], #1",
            "ldrsb {b}, [{output}]",
            "cmp {a}, {b}",
            "it lt",
            "movlt {a}, {b}",
            "strb {a}, [{output}], #1",
            "subs {len}, {len}, #1",
            "bne 4b",
            "5:",
            values = inout(reg) values.as_ptr() => _,
            output = inout(reg) output.as_mut_ptr() => _,
            len = inout(reg) len => _,
            a = out(reg) _,
            b = out(reg) _,
            t = out(reg) _,
            options(nostack),
        );
    }
}

/// Two positions of [`unpack_first`] through pairs of rows, as many as all slices have, to int8.
#[inline(always)]
pub(super) fn quantise_two(
    groups: usize,
    blocks: &[WeightBlock],
    channels: &[Channel],
    unpacked: &[i32],
    zero_point: i8,
    [first, second]: [&mut [i8]; 2],
) {
    let pairs = pairs_of(blocks, groups, &[channels.len(), first.len(), second.len()]);
    if pairs == 0 || unpacked.len() / 4 < groups {
        return;
    }
    let mut pass = Pass {
        unpacked: unpacked.as_ptr(),
        parameters: channels.as_ptr().cast::<[Channel; 2]>(),
        first: first.as_mut_ptr(),
        second: second.as_mut_ptr(),
        pairs,
        zero_point: i32::from(zero_point),
        groups,
    };
    // SAFETY: reads `groups` blocks and two channels and writes two bytes of each output a pair, and reads 16 bytes of
    // `unpacked` a block, which the slices have; all words are aligned.
    unsafe {
        pass!(
            pass,
            blocks.as_ptr(),
            start: "ldr r8, [r2]
            ldr r10, [r2, #8]
            mov r9, r8
            mov r11, r10",
            sums: blocks_of_two!(),
            end: "ldr lr, [r2, #4]
            ldr r7, [r2, #12]
            smmlar r8, r8, lr, r6
            smmlar r9, r9, lr, r6
            smmlar r10, r10, r7, r6
            smmlar r11, r11, r7, r6
            ssat r8, #8, r8
            ssat r9, #8, r9
            ssat r10, #8, r10
            ssat r11, #8, r11
            strb r8, [r3], #1
            strb r10, [r3], #1
            strb r9, [r4], #1
            strb r11, [r4], #1
            add r2, r2, #16
            subs r5, r5, #1"
        );
    }
}

/// One position of [`unpack_one`] through pairs of rows, as many as all slices have, to int8.
#[inline(always)]
pub(super) fn quantise_one(
    groups: usize,
    blocks: &[WeightBlock],
    channels: &[Channel],
    unpacked: &[i32],
    zero_point: i8,
    output: &mut [i8],
) {
    let pairs = pairs_of(blocks, groups, &[channels.len(), output.len()]);
    if pairs == 0 || unpacked.len() / 2 < groups {
        return;
    }
    let mut pass = Pass {
        unpacked: unpacked.as_ptr(),
        parameters: channels.as_ptr().cast::<[Channel; 2]>(),
        first: output.as_mut_ptr(),
        second: core::ptr::null_mut(),
        pairs,
        zero_point: i32::from(zero_point),
        groups,
    };
    // SAFETY: reads `groups` blocks and two channels and writes two bytes a pair, and reads 8 bytes of `unpacked` a block,
    // which the slices have; all words are aligned.
    unsafe {
        pass!(
            pass,
            blocks.as_ptr(),
            start: "ldr r10, [r2]
            ldr r11, [r2, #8]",
            sums: blocks_of_one!(),
            end: "ldr lr, [r2, #4]
            ldr r7, [r2, #12]
            smmlar r10, r10, lr, r6
            smmlar r11, r11, r7, r6
            ssat r10, #8, r10
            ssat r11, #8, r11
            strb r10, [r3], #1
            strb r11, [r3], #1
            add r2, r2, #16
            subs r5, r5, #1"
        );
    }
}

/// The sums of two positions of [`unpack_first`], from the rows' biases on, through pairs of rows, as many as all slices have.
#[inline(always)]
pub(super) fn sum_two(
    groups: usize,
    blocks: &[WeightBlock],
    rows: &[GateRow],
    unpacked: &[i32],
    [first, second]: [&mut [i32]; 2],
) {
    let pairs = pairs_of(blocks, groups, &[rows.len(), first.len(), second.len()]);
    if pairs == 0 || unpacked.len() / 4 < groups {
        return;
    }
    let mut pass = Pass {
        unpacked: unpacked.as_ptr(),
        parameters: rows.as_ptr().cast::<[GateRow; 2]>(),
        first: first.as_mut_ptr(),
        second: second.as_mut_ptr(),
        pairs,
        zero_point: 0,
        groups,
    };
    // SAFETY: reads `groups` blocks and two gates and writes two words of each output a pair, and reads 16 bytes of
    // `unpacked` a block, which the slices have; all words are aligned.
    unsafe {
        pass!(
            pass,
            blocks.as_ptr(),
            start: "ldr r8, [r2]
            ldr r10, [r2, #12]
            mov r9, r8
            mov r11, r10",
            sums: blocks_of_two!(),
            end: "strd r8, r10, [r3], #8
            strd r9, r11, [r4], #8
            add r2, r2, #24
            subs r5, r5, #1"
        );
    }
}

/// The arguments of gates, int16 in Q12: adds the hidden state's part, one position of [`unpack_one`], to the input's,
/// through pairs of rows, as many as all slices have. `gates` holds the input's sums at first and the arguments at last.
#[inline(always)]
pub(super) fn add_hidden(
    groups: usize,
    blocks: &[WeightBlock],
    rows: &[GateRow],
    unpacked: &[i32],
    gates: &mut [i32],
) {
    const { assert!(GATE_SHIFT == 6) };
    let pairs = pairs_of(blocks, groups, &[rows.len(), gates.len()]);
    if pairs == 0 || unpacked.len() / 2 < groups {
        return;
    }
    let mut pass = Pass {
        unpacked: unpacked.as_ptr(),
        parameters: rows.as_ptr().cast::<[GateRow; 2]>(),
        first: gates.as_mut_ptr(),
        second: core::ptr::null_mut(),
        pairs,
        zero_point: 0,
        groups,
    };
    // SAFETY: reads `groups` blocks and two gate rows and reads and writes two words of `gates` a pair, and reads 8 bytes
    // of `unpacked` a block, which the slices have; all words are aligned.
    unsafe {
        pass!(
            pass,
            blocks.as_ptr(),
            start: "mov r10, #0
            mov r11, #0",
            sums: blocks_of_one!(),
            end: "ldrd r6, r7, [r2, #4]
            ldrd r8, r9, [r2, #16]
            lsl r10, r10, #6
            lsl r11, r11, #6
            smmulr r10, r10, r7
            smmulr r11, r11, r9
            ldrd r0, lr, [r3]
            lsl r0, r0, #6
            lsl lr, lr, #6
            smmlar r10, r0, r6, r10
            smmlar r11, lr, r8, r11
            ssat r10, #16, r10
            ssat r11, #16, r11
            strd r10, r11, [r3], #8
            add r2, r2, #24
            subs r5, r5, #1"
        );
    }
}

/// The sigmoid of an argument in a register, in place, as [`crate::nn::sigmoid`] has it: with `table` the middle of the
/// table, the argument's upper bits are the distance of the entry below.
macro_rules! sigmoid {
    ($x:literal) => {
        concat!(
            "uxtb {t}, ",
            $x,
            "
            asr ",
            $x,
            ", ",
            $x,
            ", #8
            rsb {u}, {t}, #256
            ldr ",
            $x,
            ", [{table}, ",
            $x,
            ", lsl #1]
            pkhbt {u}, {u}, {t}, lsl #16
            smlad ",
            $x,
            ", {u}, ",
            $x,
            ", {half}
            asr ",
            $x,
            ", ",
            $x,
            ", #8"
        )
    };
}

/// Takes as many cells as all slices have one step further: from their gates' arguments, int16 in the order input, forget,
/// candidate, output, to the hidden states.
#[inline(always)]
pub(super) fn advance(gates: &[[i32; 4]], cells: &mut [i32], multiplier: i32, states: &mut [i8]) {
    let count = gates.len().min(cells.len()).min(states.len());
    if count == 0 {
        return;
    }
    // SAFETY: reads 16 bytes of `gates`, reads and writes 4 of `cells` and writes one of `states` a cell, which the slices
    // have. An argument is int16 - those of the gates as LDRSH loads them, that of the cell's tanh by saturation - so its
    // upper bits are from -128 to 127, and the two entries from there on lie in the table of 257. The pointer to its middle
    // is derived from the whole table, so that it may be read on both sides.
    unsafe {
        asm!(
            "2:",
            "ldrsh {a}, [{gates}], #16",
            sigmoid!("{a}"),
            // Half the candidate, so one bit less to shift.
            "ldrsh {b}, [{gates}, #-8]",
            sigmoid!("{b}"),
            "sub {b}, {b}, #16384",
            "mul {a}, {a}, {b}",
            "add {a}, {a}, #4",
            "asr {a}, {a}, #3",
            "add {a}, {a}, #16384",
            "ldrsh {b}, [{gates}, #-12]",
            sigmoid!("{b}"),
            "ldr {t}, [{cells}]",
            "mla {a}, {b}, {t}, {a}",
            "ssat {a}, #16, {a}, asr #15",
            "str {a}, [{cells}], #4",
            "ssat {a}, #16, {a}, lsl #2",
            sigmoid!("{a}"),
            "sub {a}, {a}, #16384",
            "lsl {a}, {a}, #1",
            "ldrsh {b}, [{gates}, #-4]",
            sigmoid!("{b}"),
            "mul {a}, {a}, {b}",
            "smmulr {a}, {a}, {multiplier}",
            "ssat {a}, #8, {a}",
            "strb {a}, [{states}], #1",
            "subs {count}, {count}, #1",
            "bne 2b",
            gates = inout(reg) gates.as_ptr() => _,
            cells = inout(reg) cells.as_mut_ptr() => _,
            states = inout(reg) states.as_mut_ptr() => _,
            count = inout(reg) count => _,
            multiplier = in(reg) multiplier,
            table = in(reg) SIGMOID.as_ptr().add(128),
            half = in(reg) 128,
            a = out(reg) _,
            b = out(reg) _,
            t = out(reg) _,
            u = out(reg) _,
            options(nostack),
        );
    }
}
