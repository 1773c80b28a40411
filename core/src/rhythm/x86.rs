//! The rhythm network compiled for AVX2: the same code, hence the same bits, with eight cells in a vector.
#![allow(
    unsafe_code,
    reason = "a function that needs AVX2 is called once the processor is known to have it"
)]

use super::{Input, Network};

cpufeatures::new!(has_avx2, "avx2");

/// The score, where the processor has AVX2.
#[inline]
pub(super) fn score(network: &Network<'_>, input: &Input) -> Option<f32> {
    if !has_avx2::get() {
        return None;
    }
    // SAFETY: the processor has AVX2.
    Some(unsafe { score_avx2(network, input) })
}

#[target_feature(enable = "avx2")]
fn score_avx2(network: &Network<'_>, input: &Input) -> f32 {
    network.portable_score(input)
}

#[cfg(test)]
mod tests {
    use crate::rhythm::{MAGIC, MAX_CELLS, Network, VERSION, checksum, image_len};
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
                let Some(score) = super::score(&network, &input) else {
                    return;
                };
                assert_eq!(score.to_bits(), network.portable_score(&input).to_bits());
                assert!(score.is_finite() && score != 0.0);
            }
        }
    }
}
