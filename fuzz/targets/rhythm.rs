//! A rhythm network's image from anywhere: refused, or run on intervals from anywhere. What follows the image's length is the
//! input. The CRC is made right, for a fuzzer cannot guess it.

#![no_main]

use heartlens_core::rhythm::{Input, MAX_CELLS, Network, NetworkError, checksum, image_len};
use heartlens_core::spec::{RHYTHM_CHANNELS, RHYTHM_INTERVALS};
use libfuzzer_sys::fuzz_target;

/// Where an image has the number of its cells.
const CELLS_AT: usize = 16;

fuzz_target!(|bytes: &[u8]| {
    let cells = bytes.get(CELLS_AT).map_or(0, |cells| usize::from(*cells));
    let len = image_len(cells.min(MAX_CELLS)).min(bytes.len());
    let (image, rest) = bytes.split_at(len);
    let mut image = image.to_vec();
    if let Some(before) = len.checked_sub(4) {
        let crc = checksum(&image[..before]);
        image[before..].copy_from_slice(&crc.to_le_bytes());
    }
    let network = match Network::load(&image) {
        Ok(network) => network,
        Err(error) => {
            assert!(!matches!(error, NetworkError::Crc { .. }), "{error}");
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            return;
        }
    };
    assert!(network.cells() == cells && network.params() > 0 && network.macs() > 0);
    let mut input: Input = [0.0; RHYTHM_CHANNELS * RHYTHM_INTERVALS];
    for (value, bytes) in input.iter_mut().zip(rest.as_chunks().0) {
        *value = f32::from_le_bytes(*bytes);
    }
    let score = network.score(&input);
    assert!(!score.is_nan());
    assert_eq!(score.to_bits(), network.score(&input).to_bits());
});
