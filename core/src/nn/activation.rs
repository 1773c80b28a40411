//! Sigmoid and hyperbolic tangent of int16, from one table.

use super::arithmetic::{round_shift, saturate_i16};

/// An argument's low bits, which lie between two entries of the table.
const FRACTION_BITS: u32 = 8;

/// The sigmoid at -8, -8 + 1/16, ..., 8 in Q15: `floor(32768 / (1 + exp(-x)) + 1/2)`.
#[rustfmt::skip]
pub(crate) static SIGMOID: [i16; 257] = [
    11, 12, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22,
    23, 25, 26, 28, 30, 32, 34, 36, 38, 41, 43, 46,
    49, 52, 56, 59, 63, 67, 72, 76, 81, 86, 92, 98,
    104, 111, 118, 125, 133, 142, 151, 161, 171, 182, 194, 206,
    219, 233, 248, 264, 281, 299, 318, 338, 360, 383, 407, 433,
    461, 490, 521, 554, 589, 627, 666, 708, 753, 800, 851, 904,
    961, 1021, 1084, 1152, 1223, 1299, 1379, 1464, 1554, 1649, 1750, 1856,
    1969, 2088, 2213, 2346, 2486, 2633, 2789, 2952, 3124, 3306, 3496, 3696,
    3906, 4126, 4357, 4599, 4851, 5115, 5391, 5678, 5978, 6289, 6613, 6949,
    7297, 7658, 8031, 8416, 8813, 9221, 9641, 10072, 10513, 10964, 11424, 11894,
    12371, 12856, 13348, 13845, 14347, 14852, 15361, 15872, 16384, 16896, 17407, 17916,
    18421, 18923, 19420, 19912, 20397, 20874, 21344, 21804, 22255, 22696, 23127, 23547,
    23955, 24352, 24737, 25110, 25471, 25819, 26155, 26479, 26790, 27090, 27377, 27653,
    27917, 28169, 28411, 28642, 28862, 29072, 29272, 29462, 29644, 29816, 29979, 30135,
    30282, 30422, 30555, 30680, 30799, 30912, 31018, 31119, 31214, 31304, 31389, 31469,
    31545, 31616, 31684, 31747, 31807, 31864, 31917, 31968, 32015, 32060, 32102, 32141,
    32179, 32214, 32247, 32278, 32307, 32335, 32361, 32385, 32408, 32430, 32450, 32469,
    32487, 32504, 32520, 32535, 32549, 32562, 32574, 32586, 32597, 32607, 32617, 32626,
    32635, 32643, 32650, 32657, 32664, 32670, 32676, 32682, 32687, 32692, 32696, 32701,
    32705, 32709, 32712, 32716, 32719, 32722, 32725, 32727, 32730, 32732, 32734, 32736,
    32738, 32740, 32742, 32743, 32745, 32746, 32747, 32749, 32750, 32751, 32752, 32753,
    32754, 32755, 32756, 32756, 32757,
];

/// `1 / (1 + exp(-x))` for `x` in Q12, as Q15 from 11 to 32757: linear between the table's entries.
///
/// Off by at most 6.8e-5 for arguments in -8..8; an argument saturated to that range adds up to 3.4e-4.
#[inline]
pub fn sigmoid(x: i16) -> i16 {
    let (index, fraction) = (x.cast_unsigned() ^ 0x8000, i32::from(x) & 0xff);
    let index = usize::from(index >> FRACTION_BITS);
    let (low, high) = (i32::from(SIGMOID[index]), i32::from(SIGMOID[index + 1]));
    // Between two entries, which are int16.
    round_shift((256 - fraction) * low + fraction * high, FRACTION_BITS) as i16
}

/// `tanh(x / 2)` for `x` in Q12, as Q15: `2 sigmoid(x) - 1`. (Half the argument, so that no bit is lost: whoever computes the
/// argument takes it twice.)
#[inline]
pub fn tanh(twice_x: i16) -> i16 {
    // From -32746 to 32746.
    (2 * i32::from(sigmoid(twice_x)) - 32768) as i16
}

/// `2 x` in Q12, saturated, of a cell state in Q11: the argument of [`tanh`].
#[inline]
pub(crate) fn twice_cell(cell: i16) -> i16 {
    saturate_i16(i32::from(cell) << 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exact(x: f64) -> f64 {
        1.0 / (1.0 + (-x).exp())
    }

    #[test]
    fn every_entry_of_the_table_is_the_rounded_sigmoid() {
        for (i, entry) in SIGMOID.iter().enumerate() {
            let x = i as f64 / 16.0 - 8.0;
            assert_eq!(f64::from(*entry), (32768.0 * exact(x) + 0.5).floor(), "{x}");
        }
    }

    #[test]
    fn errors_over_all_arguments_are_as_stated() {
        let step = 4096.0;
        let (mut worst_sigmoid, mut worst_tanh) = (0.0_f64, 0.0_f64);
        for x in i16::MIN..=i16::MAX {
            let argument = f64::from(x) / step;
            let error = f64::from(sigmoid(x)) / 32768.0 - exact(argument);
            worst_sigmoid = worst_sigmoid.max(error.abs());
            let error = f64::from(tanh(x)) / 32768.0 - (argument / 2.0).tanh();
            worst_tanh = worst_tanh.max(error.abs());
        }
        assert!((6.5e-5..6.8e-5).contains(&worst_sigmoid), "{worst_sigmoid}");
        assert!((1.3e-4..1.36e-4).contains(&worst_tanh), "{worst_tanh}");
        let saturated = exact(100.0) - f64::from(sigmoid(i16::MAX)) / 32768.0;
        assert!((3.3e-4..3.4e-4).contains(&saturated), "{saturated}");
    }

    #[test]
    fn both_rise_and_the_tanh_is_nearly_odd() {
        for x in i16::MIN..i16::MAX {
            assert!(sigmoid(x) <= sigmoid(x + 1), "at {x}");
        }
        for x in 1..=i16::MAX {
            let sum = i32::from(tanh(x)) + i32::from(tanh(-x));
            assert!((0..=2).contains(&sum), "at {x}: {sum}");
        }
        assert_eq!((sigmoid(0), tanh(0)), (16384, 0));
        assert_eq!((sigmoid(i16::MIN), sigmoid(i16::MAX)), (11, 32757));
        assert_eq!(
            (twice_cell(i16::MAX), twice_cell(i16::MIN), twice_cell(-5)),
            (32767, -32768, -20)
        );
    }
}
