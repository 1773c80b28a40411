//! What several tests need.

use heartlens_core::rhythm::{MAGIC, VERSION, checksum, image_len};
use heartlens_core::spec::RHYTHM_HASH;

/// A rhythm network of any weights.
pub(crate) fn rhythm_image() -> Vec<u8> {
    let mut number = 7_u32;
    let mut image = MAGIC.to_vec();
    image.extend(VERSION.to_le_bytes());
    image.extend(RHYTHM_HASH.to_le_bytes());
    image.extend(5_u32.to_le_bytes());
    image.extend(1e-4_f32.to_le_bytes());
    while image.len() < image_len(5) - 4 {
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image.extend(((number >> 16) as i16).to_le_bytes());
    }
    image.extend(checksum(&image).to_le_bytes());
    image
}
