//! The public API against values that `reference/generate.py` computed in float64 with NumPy and SciPy, from the same
//! samples.
//!
//! Every comparison is two-sided: the largest error stays below a bound, and above what only a comparison of f32 with
//! itself could give; the number of values compared is stated, and the reference must vary.
#![allow(clippy::unwrap_used)]

use heartlens_core::beat::{BeatFrame, Extractor};
use heartlens_core::filter::BandPass;
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::spec::{METADATA_LEN, SAMPLE_RATE_HZ};
use heartlens_core::template::Template;
use heartlens_core::views::{Views, normalise, spectrogram, spectrum};

/// Counts per millivolt of every signal in `reference/`.
const COUNTS_PER_MV: f32 = 256.0;

/// The metadata view's features, in order, as the failure messages name them.
const FEATURES: [&str; METADATA_LEN] = [
    "ln pre/local",
    "ln post/local",
    "ln post/pre",
    "ln pre/global",
    "ln post/global",
    "ln p1/local",
    "ln p2/local",
    "ln global/0.8",
    "ln pre/0.8",
    "mean step of 10",
    "ln (pre+post)/2 global",
    "ln pre/mean10",
    "ln pre/p1",
    "share shorter",
    "ln pre/reference",
    "ln post/reference",
    "ln p1/reference",
    "ln reference/0.8",
    "deviation over mad",
    "ln mad",
    "ln pre/p10",
    "ln pre/p90",
    "premature share",
    "ln irregularity",
    "deviation over std",
    "ln std",
    "QRS correlation",
    "beat correlation",
    "ln energy ratio",
    "ln width ratio",
    "ln width",
    "ln slope ratio",
    "P difference",
    "T difference",
    "P correlation",
    "correlation with the beat before",
    "ln slope over energy",
    "agreement",
    "P energy of the template",
    "P energy of the beat",
    "ln template width",
    "P energy, beat over template",
    "age",
    "age known",
    "sex",
    "sex known",
];

macro_rules! reference {
    ($name:literal, $number:ty) => {
        include_bytes!(concat!("reference/", $name))
            .as_chunks::<{ size_of::<$number>() }>()
            .0
            .iter()
            .map(|bytes| <$number>::from_le_bytes(*bytes))
            .collect::<Vec<$number>>()
    };
}

fn millivolts(counts: &[i16]) -> Vec<f32> {
    counts
        .iter()
        .map(|c| f32::from(*c) / COUNTS_PER_MV)
        .collect()
}

/// Errors of one quantity, and where the largest is.
#[derive(Default)]
struct Errors {
    values: usize,
    largest: f64,
    worst: String,
    range: Option<(f64, f64)>,
}

impl Errors {
    fn compare(&mut self, found: f32, expected: f64, place: impl FnOnce() -> String) {
        let error = (f64::from(found) - expected).abs();
        let error = if error.is_nan() { f64::INFINITY } else { error };
        if self.values == 0 || error > self.largest {
            self.largest = error;
            self.worst = format!("{}: {found} against {expected}", place());
        }
        self.values += 1;
        let (low, high) = self.range.unwrap_or((expected, expected));
        self.range = Some((low.min(expected), high.max(expected)));
    }

    fn compare_all(
        &mut self,
        found: &[f32],
        expected: &[f64],
        mut place: impl FnMut(usize) -> String,
    ) {
        assert_eq!(found.len(), expected.len());
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            self.compare(*found, *expected, || place(i));
        }
    }

    /// `values` compared, over a range of more than 0.1, with a largest error below `bound` but not a thousandth of it:
    /// f32 cannot be that good.
    fn hold(&self, quantity: &str, values: usize, bound: f64) {
        println!("{quantity}: {:.1e} at {}", self.largest, self.worst);
        assert_eq!(self.values, values, "{quantity}: values compared");
        assert!(
            (bound / 1000.0..bound).contains(&self.largest),
            "{quantity}: largest error {:e} is not in {:e}..{bound:e}, at {}",
            self.largest,
            bound / 1000.0,
            self.worst
        );
        let (low, high) = self.range.unwrap();
        assert!(
            high - low > 0.1,
            "{quantity}: the reference spans only {low} to {high}"
        );
    }
}

#[test]
fn windows_spectrum_and_spectrogram_are_scipys() {
    let samples = millivolts(&reference!("windows_counts.i16", i16));
    let scales = reference!("windows_scale_mv.f64", f64);
    let expected_normalised = reference!("windows_normalised.f64", f64);
    let expected_spectrum = reference!("windows_spectrum.f64", f64);
    let expected_spectrogram = reference!("windows_spectrogram.f64", f64);

    let (windows, rest) = samples.as_chunks::<128>();
    assert_eq!((windows.len(), rest.len(), scales.len()), (16, 0, 16));
    let mut errors: [Errors; 3] = Default::default();
    for (i, (window, scale)) in windows.iter().zip(&scales).enumerate() {
        let normalised = normalise(window, *scale as f32);
        let place = |k| format!("value {k} of window {i}");
        errors[0].compare_all(&normalised, &expected_normalised[i * 128..][..128], place);
        errors[1].compare_all(
            &spectrum::spectrum(&normalised),
            &expected_spectrum[i * 64..][..64],
            place,
        );
        errors[2].compare_all(
            &spectrogram::spectrogram(&normalised),
            &expected_spectrogram[i * 176..][..176],
            place,
        );
    }
    errors[0].hold("normalised windows", 16 * 128, 1e-6);
    errors[1].hold("spectrum", 16 * 64, 2e-6);
    errors[2].hold("spectrogram", 16 * 176, 4e-6);
}

#[test]
fn band_pass_is_scipys_sosfilt_from_its_steady_state() {
    let samples = millivolts(&reference!("filter_counts.i16", i16));
    let expected = reference!("filter_output_mv.f64", f64);
    let mut filter = BandPass::new();
    let found: Vec<f32> = samples.iter().map(|x| filter.push(*x)).collect();
    let mut errors = Errors::default();
    errors.compare_all(&found, &expected, |i| format!("sample {i}"));
    errors.hold(
        "band-pass, in mV",
        30 * SAMPLE_RATE_HZ as usize,
        FILTER_BOUND_MV,
    );
    assert_eq!(found[0], 0.0);
    assert!(
        expected[0].abs() < 1e-9,
        "steady at first: {:e}",
        expected[0]
    );
}

/// Largest error of the band-pass in 30 s of a signal at 73 mV that wanders by some millivolts and steps by 12 mV: the
/// coefficients, rounded to f32, answer a step with an error of 2e-5 of its height.
const FILTER_BOUND_MV: f64 = 3e-4;

/// All beats of the reference's ECG, each R peak announced as soon as its sample is there.
fn frames_of_the_ecg(patient: Patient) -> Vec<BeatFrame> {
    let samples = millivolts(&reference!("ecg_counts.i16", i16));
    let peaks = reference!("ecg_r_peaks.i32", i32);
    let mut peaks = peaks.iter().map(|r| *r as u32).peekable();
    let mut extractor = Extractor::new(patient);
    let mut frames = Vec::new();
    for x in samples {
        let position = extractor.samples();
        extractor.push(x);
        if peaks.next_if_eq(&position).is_some() {
            extractor.trigger(position).unwrap();
        }
        frames.extend(extractor.poll());
    }
    extractor.finish();
    frames.extend(std::iter::from_fn(|| extractor.poll()));
    frames
}

const BEATS: usize = 121;

fn patient() -> Patient {
    Patient {
        age_years: Some(63.0),
        sex: Some(Sex::Female),
    }
}

#[test]
fn template_and_scale_are_the_recipes() {
    let frames = frames_of_the_ecg(patient());
    assert_eq!(frames.len(), BEATS);
    let expected_scale = reference!("ecg_scale_mv.f64", f64);
    let expected_agreement = reference!("ecg_agreement.f64", f64);
    let expected_template = reference!("ecg_template_mv.f64", f64);
    let mut errors: [Errors; 3] = Default::default();
    let mut template = Template::new(&frames[0].beat);
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!(*template.mean(), frame.template, "beat {k}");
        assert_eq!(template.scale_mv(), frame.scale_mv, "beat {k}");
        errors[0].compare(frame.scale_mv, expected_scale[k], || format!("beat {k}"));
        errors[1].compare(template.agreement(), expected_agreement[k], || {
            format!("beat {k}")
        });
        if k % 8 == 0 {
            errors[2].compare_all(
                &frame.template,
                &expected_template[k / 8 * 128..][..128],
                |i| format!("sample {i} before beat {k}"),
            );
        }
        template.update(&frame.beat);
    }
    errors[0].hold("scale, in mV", BEATS, 1e-6);
    errors[1].hold("agreement", BEATS, 1e-6);
    errors[2].hold("template, in mV", 16 * 128, 1e-6);
}

#[test]
fn every_metadata_feature_is_the_recipes() {
    let frames = frames_of_the_ecg(patient());
    let expected = reference!("ecg_metadata.f64", f64);
    assert_eq!(expected.len(), BEATS * METADATA_LEN);
    let mut errors: [Errors; METADATA_LEN] = std::array::from_fn(|_| Errors::default());
    for (k, frame) in frames.iter().enumerate() {
        let row = &expected[k * METADATA_LEN..][..METADATA_LEN];
        for (feature, errors) in errors.iter_mut().enumerate() {
            errors.compare(frame.metadata[feature], row[feature], || {
                format!("beat {k}")
            });
        }
    }
    let (of_the_heart, of_the_patient) = errors.split_at(42);
    let worst = of_the_heart
        .iter()
        .zip(FEATURES)
        .max_by(|a, b| a.0.largest.total_cmp(&b.0.largest))
        .unwrap();
    println!("worst feature: {}", worst.1);
    for (errors, name) in of_the_heart.iter().zip(FEATURES) {
        errors.hold(name, BEATS, METADATA_BOUND);
    }
    for (errors, name) in of_the_patient.iter().zip(&FEATURES[42..]) {
        assert!(
            errors.values == BEATS && errors.largest < 1e-7,
            "{name}: {}",
            errors.worst
        );
    }
}

/// Largest error of any metadata feature, all of about unit size.
const METADATA_BOUND: f64 = 2e-6;

#[test]
fn views_of_a_beat_are_scipys() {
    let frames = frames_of_the_ecg(patient());
    let expected_waveform = reference!("ecg_waveform.f64", f64);
    let expected_spectrum = reference!("ecg_spectrum.f64", f64);
    let expected_spectrogram = reference!("ecg_spectrogram.f64", f64);
    let mut views = Views::ZERO;
    let mut errors: [Errors; 3] = Default::default();
    for (i, frame) in frames.iter().step_by(16).enumerate() {
        views.compute(frame);
        let place = |k| format!("value {k} of beat {}", 16 * i);
        errors[0].compare_all(&views.waveform, &expected_waveform[i * 192..][..192], place);
        errors[1].compare_all(&views.spectrum, &expected_spectrum[i * 128..][..128], place);
        errors[2].compare_all(
            &views.spectrogram,
            &expected_spectrogram[i * 352..][..352],
            place,
        );
        assert_eq!(views.metadata, frame.metadata);
    }
    errors[0].hold("waveform", 8 * 192, 2e-6);
    errors[1].hold("spectrum", 8 * 128, 2e-6);
    errors[2].hold("spectrogram", 8 * 352, 3e-6);
}
