//! What must hold of the features of any signal: nothing of the future in them, no unit of amplitude, no polarity.
#![allow(clippy::unwrap_used)]

use heartlens_core::beat::{BeatFrame, Extractor};
use heartlens_core::patient::Patient;
use heartlens_core::spec::{
    BEAT_BEFORE_SAMPLES, BEAT_LEN_SAMPLES, CLIP_SCALES, DETECTOR_MAX_DELAY_SAMPLES,
    RHYTHM_FEATURES, RR_FEATURES,
};
use heartlens_core::views::Views;
use proptest::prelude::*;

/// Samples of a beat window from the R peak on.
const AFTER: usize = BEAT_LEN_SAMPLES - BEAT_BEFORE_SAMPLES;
/// Features of RR intervals alone come first in the metadata view.
const INTERVAL_FEATURES: usize = RR_FEATURES + RHYTHM_FEATURES;
/// Index of correlations with template and beat before in the metadata view: QRS, beat, P wave, beat before.
const CORRELATIONS: [usize; 4] = [26, 27, 34, 35];

/// A recording: samples in mV, and where its R peaks are.
#[derive(Debug, Clone)]
struct Recording {
    samples: Vec<f32>,
    peaks: Vec<u32>,
}

impl Recording {
    /// All beats, each trigger announced `delay` samples after its R peak.
    fn frames(&self, delay: usize) -> Vec<BeatFrame> {
        let mut extractor = Extractor::new(Patient::default());
        let mut frames = Vec::new();
        let mut peaks = self.peaks.iter().copied().peekable();
        for x in &self.samples {
            extractor.push(*x);
            let known = extractor.samples();
            while let Some(r) = peaks.next_if(|r| *r as usize + delay < known as usize) {
                extractor.trigger(r).unwrap();
            }
            frames.extend(std::iter::from_fn(|| extractor.poll()));
        }
        for r in peaks {
            extractor.trigger(r).unwrap();
        }
        extractor.finish();
        frames.extend(std::iter::from_fn(|| extractor.poll()));
        assert_eq!(frames.len(), self.peaks.len());
        frames
    }

    fn map(&self, f: impl Fn(f32) -> f32) -> Self {
        Self {
            samples: self.samples.iter().map(|x| f(*x)).collect(),
            peaks: self.peaks.clone(),
        }
    }

    fn views(&self) -> Vec<(BeatFrame, Views)> {
        self.frames(0)
            .into_iter()
            .map(|frame| {
                let mut views = Views::ZERO;
                views.compute(&frame);
                (frame, views)
            })
            .collect()
    }
}

/// Positions of R peaks: `first`, then one after each interval.
fn positions(first: u32, intervals: &[u32]) -> Vec<u32> {
    intervals.iter().fold(vec![first], |mut peaks, rr| {
        peaks.push(peaks[peaks.len() - 1] + rr);
        peaks
    })
}

/// Intervals from the shortest that occurs in flutter to a pause longer than any time-out.
fn intervals(beats: usize) -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(
        prop_oneof![8 => 40_u32..160, 1 => 1_u32..40, 1 => 400_u32..900],
        beats,
    )
}

/// Anything: noise of half a millivolt, beats where they may be.
fn any_recording() -> impl Strategy<Value = Recording> {
    (0_u32..100, intervals(11), 1_usize..200).prop_flat_map(|(first, rr, rest)| {
        let peaks = positions(first, &rr);
        let len = peaks[peaks.len() - 1] as usize + rest;
        prop::collection::vec(-0.5_f32..0.5, len).prop_map(move |samples| Recording {
            samples,
            peaks: peaks.clone(),
        })
    })
}

/// Beats of two shapes that no one would confuse, never one over another, of `size` mV, on noise of a hundredth of
/// that. The wide ones are rare, so that no correlation with the template comes near the one that decides.
fn clear_recording() -> impl Strategy<Value = Recording> {
    let wide = prop::collection::vec(any::<bool>(), 15);
    let intervals = prop::collection::vec(prop_oneof![8 => 100_u32..160, 1 => 400_u32..900], 14);
    (intervals, wide, 0.3_f32..3.0).prop_flat_map(|(rr, wide, size)| {
        let peaks = positions(30, &rr);
        let len = peaks[peaks.len() - 1] as usize + 80;
        prop::collection::vec(-0.01_f32..0.01, len).prop_map(move |noise| {
            let mut samples = noise;
            for (k, (r, wide)) in peaks.iter().zip(&wide).enumerate() {
                for (i, x) in samples.iter_mut().enumerate() {
                    let d = i as f32 - *r as f32;
                    let bump = |at: f32, width: f32| (-((d - at) / width).powi(2)).exp();
                    *x += if *wide && k >= 6 && k % 3 == 0 {
                        -0.9 * bump(0.0, 9.0)
                    } else {
                        bump(0.0, 4.0) + 0.15 * bump(-22.0, 4.0) + 0.2 * bump(36.0, 8.0)
                    };
                }
            }
            Recording {
                samples: samples.iter().map(|x| x * size).collect(),
                peaks: peaks.clone(),
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// A beat sees its own window, what lies before, and where its successor is: all else may change.
    #[test]
    fn a_beat_sees_nothing_of_the_future(
        recording in any_recording(),
        beat in 0_usize..11,
        later_intervals in intervals(10),
        other in prop::collection::vec(-2.0_f32..2.0, 64),
        delay in 0..=DETECTOR_MAX_DELAY_SAMPLES,
    ) {
        let original = recording.frames(delay);
        let seen = recording.peaks[beat] as usize + AFTER;
        let mut changed = recording.clone();
        changed.peaks = recording.peaks[..=beat].to_vec();
        changed.peaks.extend(positions(recording.peaks[beat + 1], &later_intervals));
        let len = changed.peaks[changed.peaks.len() - 1] as usize + 1;
        changed.samples.resize(len.max(seen + 1), 0.0);
        for (i, x) in changed.samples.iter_mut().enumerate().skip(seen) {
            *x = 3.0 + other[i % other.len()];
        }
        let frames = changed.frames(delay);
        prop_assert_eq!(&frames[..=beat], &original[..=beat]);
        // The change is one that a beat would notice: the successor's window reaches into it.
        prop_assert_ne!(&frames[beat + 1], &original[beat + 1]);

        let mut last_seen = recording.clone();
        if let Some(x) = last_seen.samples.get_mut(seen - 1) {
            *x += 1.0;
            prop_assert_ne!(&last_seen.frames(delay)[beat], &original[beat]);
        }
    }

    /// When a trigger is announced makes no difference.
    #[test]
    fn the_detectors_delay_changes_nothing(
        recording in any_recording(),
        delay in 1..=DETECTOR_MAX_DELAY_SAMPLES,
    ) {
        prop_assert_eq!(recording.frames(delay), recording.frames(0));
    }

    /// Gain `g` multiplies what is divided by the scale `s` by `rho = g s / (g (s - 0.02) + 0.02)`, all that the
    /// scale's floor of 0.02 mV leaves of it: the waveform changes by that factor exactly, logarithms of magnitude by at
    /// most its logarithm, intervals not at all, correlations by rounding.
    #[test]
    fn gain_matters_only_through_the_floor(recording in clear_recording(), gain in 0.5_f32..2.0) {
        let scaled = recording.map(|x| x * gain);
        let mut factors = 0;
        for ((frame, views), (louder, louder_views)) in
            recording.views().iter().zip(scaled.views())
        {
            let rho = gain * frame.scale_mv / louder.scale_mv;
            let bound = gain * frame.scale_mv / (gain * (frame.scale_mv - 0.02) + 0.02);
            prop_assert!((rho - bound).abs() < 1e-5, "{rho} against {bound}");
            // Beats of 0.15 mV and more: a gain of 2 or 1/2 makes no more of a difference than this.
            prop_assert!((0.75..1.25).contains(&rho), "{rho}");
            factors += usize::from((rho - 1.0).abs() > 1e-3);

            let mut clipped = false;
            for (x, y) in views.waveform.iter().zip(louder_views.waveform) {
                clipped |= x.abs() == CLIP_SCALES || y.abs() == CLIP_SCALES;
                let expected = (rho * x).clamp(-CLIP_SCALES, CLIP_SCALES);
                prop_assert!(x.abs() == CLIP_SCALES || (y - expected).abs() < 2e-5, "{x} -> {y}");
            }
            prop_assert!(!clipped, "these beats stay inside the clip");
            let spectral = views.spectrum.iter().zip(&louder_views.spectrum);
            for (x, y) in spectral.chain(views.spectrogram.iter().zip(&louder_views.spectrogram)) {
                let (low, high) = (rho.ln().min(0.0), rho.ln().max(0.0));
                prop_assert!((low - 2e-5..high + 2e-5).contains(&(y - x)), "{x} -> {y}, rho {rho}");
            }
            prop_assert_eq!(
                &views.metadata[..INTERVAL_FEATURES],
                &louder_views.metadata[..INTERVAL_FEATURES]
            );
            for i in CORRELATIONS {
                let (x, y) = (views.metadata[i], louder_views.metadata[i]);
                prop_assert!((x - y).abs() < 1e-4, "feature {i}: {x} -> {y}");
            }
        }
        prop_assert!(factors > 0 || (gain - 1.0).abs() < 0.1, "the floor made no difference");
    }

    /// Leads recorded upside down: the waveform turns over, nothing else knows.
    #[test]
    fn polarity_inverts_the_waveform_and_nothing_else(recording in any_recording()) {
        let turned = recording.map(|x| -x);
        for ((_, views), (_, inverted)) in recording.views().iter().zip(turned.views()) {
            prop_assert_eq!(inverted.waveform, views.waveform.map(|x| -x));
            prop_assert_eq!(inverted.spectrum.map(f32::to_bits), views.spectrum.map(f32::to_bits));
            prop_assert_eq!(
                inverted.spectrogram.map(f32::to_bits),
                views.spectrogram.map(f32::to_bits)
            );
            prop_assert_eq!(inverted.metadata, views.metadata);
            prop_assert!(views.waveform.iter().any(|x| *x != 0.0));
        }
    }
}
