//! The one rounding rule - to the nearest, halves up: `floor(x + 1/2)` - and saturation.

/// `value / 2^shift`, rounded. `shift` is from 1 to 30, and `value + 2^(shift - 1)` must fit.
#[inline]
pub(crate) const fn round_shift(value: i32, shift: u32) -> i32 {
    (value + (1 << (shift - 1))) >> shift
}

/// `value * multiplier / 2^32`, rounded: Cortex-M4's SMMULR.
#[inline]
pub(crate) const fn multiply_q32(value: i32, multiplier: i32) -> i32 {
    ((value as i64 * multiplier as i64 + (1 << 31)) >> 32) as i32
}

/// The nearest int8.
#[inline]
pub(crate) const fn saturate_i8(value: i32) -> i8 {
    if value < i8::MIN as i32 {
        i8::MIN
    } else if value > i8::MAX as i32 {
        i8::MAX
    } else {
        value as i8
    }
}

/// The nearest int16.
#[inline]
pub(crate) const fn saturate_i16(value: i32) -> i16 {
    if value < i16::MIN as i32 {
        i16::MIN
    } else if value > i16::MAX as i32 {
        i16::MAX
    } else {
        value as i16
    }
}

/// An accumulator as the int8 output: `zero_point + accumulator * multiplier / 2^32`, rounded and saturated. The sum
/// before saturation always fits: a multiplier is below 2^31, so the product is below 2^30 in magnitude.
#[inline]
pub(crate) const fn requantise(accumulator: i32, multiplier: i32, zero_point: i8) -> i8 {
    saturate_i8(multiply_q32(accumulator, multiplier) + zero_point as i32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_round_up_on_both_sides_of_zero() {
        for (value, expected) in [
            (6, 2),
            (5, 1),
            (2, 1),
            (1, 0),
            (-1, 0),
            (-2, 0),
            (-3, -1),
            (-6, -1),
            (-7, -2),
        ] {
            assert_eq!(round_shift(value, 2), expected, "{value} / 4");
            assert_eq!(multiply_q32(value, 1 << 30), expected, "{value} / 4");
        }
    }

    #[test]
    fn extremes_neither_overflow_nor_wrap() {
        assert_eq!(multiply_q32(i32::MIN, i32::MAX), -0x3fff_ffff - 1 + 1);
        assert_eq!(multiply_q32(i32::MAX, i32::MAX), 0x3fff_ffff);
        assert_eq!(requantise(i32::MAX, i32::MAX, 127), 127);
        assert_eq!(requantise(i32::MIN, i32::MAX, -128), -128);
        assert_eq!(requantise(i32::MIN, 0, -3), -3);
        assert_eq!(saturate_i16(40_000), i16::MAX);
        assert_eq!(saturate_i16(-40_000), i16::MIN);
        assert_eq!(saturate_i16(-32_768), i16::MIN);
        assert_eq!(
            (saturate_i8(128), saturate_i8(-129), saturate_i8(-128)),
            (127, -128, -128)
        );
    }
}
