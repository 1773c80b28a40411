//! A day of the band-pass in f32 beside itself in f64.

use heartlens_core::filter::BandPass;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use std::f64::consts::TAU;

/// A second-order section in direct form 2 transposed, `[b0, b1, b2, a1, a2]`.
struct Section {
    coefficients: [f64; 5],
    state: [f64; 2],
}

impl Section {
    fn run(&mut self, x: f64) -> f64 {
        let [b0, b1, b2, a1, a2] = self.coefficients;
        let y = self.state[0] + b0 * x;
        self.state = [self.state[1] + b1 * x - a1 * y, b2 * x - a2 * y];
        y
    }
}

/// `scipy.signal.butter(2, [0.5, 40], "bandpass", fs=128, output="sos")`, SciPy 1.17.1, in full precision.
const SOS: [[f64; 5]; 2] = [
    [
        0.4096746745100841,
        0.8193493490201682,
        0.4096746745100841,
        0.455472714475894,
        0.21225761530565576,
    ],
    [1.0, -2.0, 1.0, -1.9652929508345802, 0.9658947459476598],
];

/// Largest error in mV over a day of `signal_mv` at a time in seconds, the first 20 s left out; and the largest output.
fn largest_error_of_a_day(signal_mv: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut filter = BandPass::new();
    let mut reference = SOS.map(|coefficients| Section {
        coefficients,
        state: [0.0; 2],
    });
    let mut first = None;
    let (mut error, mut output) = (0.0_f64, 0.0_f64);
    for i in 0..24 * 3600 * SAMPLE_RATE_HZ {
        let x = signal_mv(f64::from(i) / f64::from(SAMPLE_RATE_HZ)) as f32;
        let found = f64::from(filter.push(x));
        let x = f64::from(x);
        let steady = x - *first.get_or_insert(x);
        let expected = reference
            .iter_mut()
            .fold(steady, |x, section| section.run(x));
        if i > 20 * SAMPLE_RATE_HZ {
            error = error.max((found - expected).abs());
            output = output.max(expected.abs());
        }
    }
    (error, output)
}

/// A beat of 1 mV every 0.78 s.
fn beats_mv(t: f64) -> f64 {
    let d = (t / 0.78).fract() - 0.5;
    (-(d * 30.0).powi(2)).exp()
}

#[test]
fn a_day_of_wandering_baseline_does_not_pile_up() {
    type Signal = fn(f64) -> f64;
    let breathing: Signal = |t| beats_mv(t) + 2.0 * (TAU * 0.2 * t).sin();
    let drying_electrode: Signal = |t| beats_mv(t) + 300.0 * t / 86_400.0;
    let swinging_offset: Signal = |t| beats_mv(t) - 50.0 + 250.0 * (TAU * t / 3600.0).sin();
    for (name, signal, bound) in [
        ("breathing", breathing, 6e-5),
        ("drying electrode", drying_electrode, 2e-5),
        ("swinging offset", swinging_offset, 2e-5),
    ] {
        let (error, output) = largest_error_of_a_day(signal);
        println!("{name}: {error:.1e} mV of {output:.2} mV");
        assert!((0.5..5.0).contains(&output), "{name}: {output} mV");
        assert!(
            (bound / 100.0..bound).contains(&error),
            "{name}: largest error {error:e} mV is not in {:e}..{bound:e}",
            bound / 100.0
        );
    }
}
