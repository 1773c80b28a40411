//! The waveform view: the beat as it was recorded.

use crate::spec::{BEAT_BEFORE_SAMPLES, WAVEFORM_BEFORE_SAMPLES, WAVEFORM_LEN_SAMPLES};
use crate::template::BeatWindow;

const START: usize = BEAT_BEFORE_SAMPLES - WAVEFORM_BEFORE_SAMPLES;

/// One channel of the waveform view: `R-40..=R+55` of a normalised window.
///
/// # Shapes
/// `[BEAT_LEN_SAMPLES]` -> `[WAVEFORM_LEN_SAMPLES]`
pub fn waveform(normalised: &BeatWindow) -> &[f32; WAVEFORM_LEN_SAMPLES] {
    shifted(normalised, 0)
}

/// The waveform view of a trigger that lies `shift` samples later than the R peak: for training with imprecise
/// triggers.
///
/// # Shapes
/// `[BEAT_LEN_SAMPLES]` -> `[WAVEFORM_LEN_SAMPLES]`
///
/// # Panics
/// When the shifted view leaves the window: `shift` must be in `-24..=8`.
pub fn shifted(normalised: &BeatWindow, shift: isize) -> &[f32; WAVEFORM_LEN_SAMPLES] {
    let start = START
        .checked_add_signed(shift)
        .expect("the shifted view starts inside the beat window");
    normalised[start..]
        .first_chunk()
        .expect("the shifted view ends inside the beat window")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_r_peak_is_at_its_place() {
        let mut window = [0.0; 128];
        window[BEAT_BEFORE_SAMPLES] = 1.0;
        assert_eq!(waveform(&window)[WAVEFORM_BEFORE_SAMPLES], 1.0);
        assert_eq!(shifted(&window, 2)[WAVEFORM_BEFORE_SAMPLES - 2], 1.0);
        assert_eq!(shifted(&window, -24)[64], 1.0);
        assert_eq!(shifted(&window, 8)[32], 1.0);
    }
}
