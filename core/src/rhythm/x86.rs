//! The rhythm network compiled for AVX2: the same code, hence the same bits, with eight cells in a vector.
#![allow(
    unsafe_code,
    reason = "a function that needs AVX2 is called once the processor is known to have it"
)]

use super::{Input, Network, Pass};

cpufeatures::new!(has_avx2, "avx2");

/// [`Network::advance`], where the processor has AVX2; whether it has.
#[inline]
pub(super) fn advance(network: &Network<'_>, pass: &mut Pass, input: &Input, steps: usize) -> bool {
    let can = has_avx2::get();
    if can {
        // SAFETY: the processor has AVX2.
        unsafe { advance_avx2(network, pass, input, steps) }
    }
    can
}

#[target_feature(enable = "avx2")]
fn advance_avx2(network: &Network<'_>, pass: &mut Pass, input: &Input, steps: usize) {
    network.portable_advance(pass, input, steps);
}

#[cfg(test)]
mod tests {
    use crate::rhythm::{MAGIC, MAX_CELLS, Network, Pass, VERSION, checksum, image_len};
    use crate::spec::{RHYTHM_CHANNELS, RHYTHM_HASH, RHYTHM_INTERVALS};
    use std::vec::Vec;

    /// Any numbers, the same each time.
    fn numbers() -> impl FnMut() -> i16 {
        let mut number = 12_345_u32;
        move || {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (number >> 16) as i16
        }
    }

    fn image(cells: usize) -> Vec<u8> {
        let mut next = numbers();
        let mut image = MAGIC.to_vec();
        image.extend(VERSION.to_le_bytes());
        image.extend(RHYTHM_HASH.to_le_bytes());
        image.extend((cells as u32).to_le_bytes());
        image.extend(1e-4_f32.to_le_bytes());
        while image.len() < image_len(cells) - 4 {
            image.extend(next().to_le_bytes());
        }
        image.extend(checksum(&image).to_le_bytes());
        image
    }

    #[test]
    fn the_bits_are_those_of_the_portable_code() {
        let mut next = numbers();
        for cells in [1, 5, 8, MAX_CELLS] {
            let image = image(cells);
            let network = Network::load(&image).expect("an image");
            for _ in 0..200 {
                let input: [f32; RHYTHM_CHANNELS * RHYTHM_INTERVALS] =
                    core::array::from_fn(|_| f32::from(next()) / 8192.0);
                // In one go and in parts.
                let mut pass = Pass::START;
                while !network.advance(&mut pass, &input, 7) {}
                let score = network.score_of(&pass);
                let mut portable = Pass::START;
                network.portable_advance(&mut portable, &input, RHYTHM_INTERVALS);
                let expected = network.score_of(&portable).to_bits();
                assert_eq!(score.to_bits(), expected);
                assert_eq!(network.score(&input).to_bits(), expected);
                assert!(score.is_finite() && score != 0.0);
            }
        }
    }
}
