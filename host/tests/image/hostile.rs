//! Damaged images are refused, and hostile ones - whole by their CRC, wrong in what they say - do no harm.

use crate::programs::{random, smallest, views};
use heartlens::compile::image::{AlignedImage, write};
use heartlens_core::model::format::Header;
use heartlens_core::model::{ImageError, Model, checksum};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::mem::offset_of;

/// Images that the test of hostile ones makes.
const HOSTILE: usize = 30_000;

fn refusal(bytes: &[u8]) -> ImageError {
    Model::load(AlignedImage::new(bytes).bytes()).expect_err("a damaged image")
}

/// Makes a damaged image whole again by length and CRC.
pub(crate) fn seal(image: &mut [u8]) {
    let len = (image.len() as u32).to_le_bytes();
    let at = offset_of!(Header, len);
    image[at..at + 4].copy_from_slice(&len);
    let crc = checksum(image).to_le_bytes();
    let at = offset_of!(Header, crc);
    image[at..at + 4].copy_from_slice(&crc);
}

/// Whether the error names the field of the header that byte `at` belongs to.
fn names_the_field(error: ImageError, at: usize) -> bool {
    match error {
        ImageError::Magic { .. } => at < 4,
        ImageError::Version { .. } => (4..8).contains(&at),
        ImageError::Length { .. } => (8..12).contains(&at),
        ImageError::Crc { .. } => at >= 12,
        _ => false,
    }
}

#[test]
fn every_truncation_is_refused_by_its_length() {
    for image in [write(&smallest()), write(&random(3))] {
        let image = image.expect("an image");
        for len in 0..image.len() {
            let ImageError::Length { found, expected } = refusal(&image[..len]) else {
                panic!("{len} bytes of {}: {}", image.len(), refusal(&image[..len]));
            };
            let header = size_of::<Header>();
            assert_eq!(found, len);
            assert_eq!(expected, if len < header { header } else { image.len() });
        }
        let mut longer = image.clone();
        longer.push(0);
        assert!(matches!(refusal(&longer), ImageError::Length { .. }));
    }
}

#[test]
fn every_flipped_bit_is_refused_by_its_field() {
    let image = write(&smallest()).expect("an image");
    for bit in 0..8 * image.len() {
        let mut damaged = image.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = refusal(&damaged);
        assert!(names_the_field(error, bit / 8), "bit {bit}: {error}");
    }
}

#[test]
fn flipped_bits_of_larger_images_are_refused_by_their_field() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    for seed in 0..20 {
        let image = write(&random(seed)).expect("an image");
        for _ in 0..200 {
            let bit = rng.random_range(0..8 * image.len());
            let mut damaged = image.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let error = refusal(&damaged);
            assert!(names_the_field(error, bit / 8), "bit {bit}: {error}");
        }
    }
}

/// Whatever an image says, it is refused, or it runs inside its arena. (This profile has overflow checks and debug
/// assertions; memory is safe by the language.)
#[test]
fn hostile_images_are_refused_or_run_inside_their_arena() {
    let mut rng = ChaCha8Rng::seed_from_u64(12);
    let images: Vec<Vec<u8>> = (0..40)
        .map(|seed| write(&random(seed)).expect("an image"))
        .collect();
    let views = views(1);
    let (mut refused, mut run, mut changed) = (0, 0, 0);
    for _ in 0..HOSTILE {
        let mut image = images[rng.random_range(0..images.len())].clone();
        mutate(&mut image, &mut rng);
        seal(&mut image);
        let aligned = AlignedImage::new(&image);
        let Ok(model) = Model::load(aligned.bytes()) else {
            refused += 1;
            continue;
        };
        if model.arena_words() > 1 << 14 || model.macs() > 1 << 20 {
            continue;
        }
        let mut arena = vec![-1; model.arena_words() + 1];
        let (last, arena_words) = (arena.len() - 1, model.arena_words());
        let logits = model
            .executor(&mut arena)
            .expect("as large as it says")
            .run(&views);
        assert!(logits.iter().all(|logit| logit.is_finite()));
        assert_eq!((arena[last], last), (-1, arena_words));
        run += 1;
        changed += usize::from(logits != [0.0; 4]);
    }
    // Both happen often enough for the test to mean something.
    assert!(refused > HOSTILE / 4, "{refused} refused");
    assert!(run > HOSTILE / 20, "{run} run");
    assert!(changed > run / 2, "{changed} of {run} computed something");
}

/// Changes a few bytes or words, most of them in the tables.
fn mutate(image: &mut [u8], rng: &mut ChaCha8Rng) {
    let header = size_of::<Header>();
    for _ in 0..rng.random_range(1..4) {
        let end = match rng.random_range(0..8) {
            0 => header,
            1 => image.len(),
            _ => image.len().min(1500),
        };
        // Beyond magic, version, length and CRC, and often beyond hash and versions too.
        let start = if end == header { 28 } else { header };
        let at = rng.random_range(start..end);
        match rng.random_range(0..5) {
            0 => image[at] ^= 1 << rng.random_range(0..8),
            1 => image[at] = rng.random(),
            2 => image[at] = image[at].wrapping_add(1),
            3 => image[at] = image[at].wrapping_sub(1),
            _ => {
                let word: u32 = match rng.random_range(0..4) {
                    0 => u32::MAX,
                    1 => 0,
                    2 => 1 << rng.random_range(0..32),
                    _ => rng.random_range(0..5000),
                };
                let at = at / 4 * 4;
                if let Some(place) = image.get_mut(at..at + 4) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
        }
    }
}
