//! What an image of the shipped network takes: its shapes, with random weights.

use crate::programs::Maker;
use heartlens::compile::image::{AlignedImage, write};
use heartlens::compile::program::Program;
use heartlens_core::model::Model;
use heartlens_core::nn::{LstmOutput, WindowShape};
use heartlens_core::views::View;

/// The network of `models/beat/config.toml`.
fn shipped() -> Program {
    let mut maker = Maker::new(1);
    let [waveform, spectrum, spectrogram, metadata] = View::ALL.map(|view| maker.input(view));
    let line =
        |length, channels, kernel| WindowShape::line(length, channels, kernel, 2, [kernel / 2; 2]);
    let square = |height, width, channels| WindowShape {
        height,
        width,
        channels,
        kernel: [3, 3],
        stride: [1, 1],
        padding: [1; 4],
    };
    let halves = |height, width, channels| WindowShape {
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0; 4],
        ..square(height, width, channels)
    };

    let wave = maker.convolve(waveform, line(96, 2, 7), 8, [1, 48]);
    let wave = maker.convolve(wave, line(48, 8, 5), 12, [1, 24]);
    let wave = maker.convolve(wave, line(24, 12, 5), 16, [1, 12]);
    let wave = maker.recur(wave, 10, true, LstmOutput::Last);

    let bins = maker.convolve(spectrum, line(64, 2, 5), 6, [1, 32]);
    let bins = maker.convolve(bins, line(32, 6, 5), 8, [1, 16]);
    let bins = maker.connect(bins, 8);

    let plane = maker.convolve(spectrogram, square(16, 11, 2), 6, [16, 11]);
    let plane = maker.largest(plane, halves(16, 11, 6), [8, 5]);
    let plane = maker.convolve(plane, square(8, 5, 6), 8, [8, 5]);
    let plane = maker.largest(plane, halves(8, 5, 8), [4, 2]);
    let plane = maker.connect(plane, 8);

    let numbers = maker.connect(metadata, 24);
    let numbers = maker.connect(numbers, 12);

    let whole = maker.concatenation(&[wave, bins, plane, numbers], [1, 1]);
    let whole = maker.connect(whole, 24);
    maker.logits(whole);
    maker.program
}

#[test]
fn the_shipped_network_fits_flash_and_ram() {
    let program = shipped();
    let image = AlignedImage::new(&write(&program).expect("an image"));
    let model = Model::load(image.bytes()).expect("an image");
    let (bytes, arena) = (model.image_len(), 4 * model.arena_words());
    println!(
        "{bytes} bytes of image, {arena} bytes of arena, {} parameters, {} multiply-accumulates, {} bytes of Model",
        model.params(),
        model.macs(),
        size_of::<Model<'_>>()
    );
    assert!((12_000..16_000).contains(&bytes), "{bytes} bytes of image");
    assert!((1_500..2_000).contains(&arena), "{arena} bytes of arena");
}
