//! Any samples through filter, detector, quality and views: never a panic, beats in order, views finite.
//!
//! Three bytes are an amplitude (two, in units of 1 mV / 1000) and for how many samples the signal takes to get there;
//! the two extreme amplitudes are no number and infinity.

#![no_main]

use heartlens_core::monitor::{Monitor, MonitoredBeat};
use heartlens_core::patient::{Patient, Sex};
use heartlens_core::views::{View, Views};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let patient = Patient {
        age_years: (first & 1 == 1).then_some(f32::from(*first)),
        sex: (first & 2 == 2).then_some(Sex::Female),
    };
    let mut monitor = Monitor::new(patient);
    let mut views = Views::ZERO;
    let mut last = None;
    let mut look = |beat: MonitoredBeat| {
        assert!(last.is_none_or(|last| beat.frame.r_sample > last));
        last = Some(beat.frame.r_sample);
        assert!((0.0..=1.0).contains(&beat.quality.score));
        views.compute(&beat.frame);
        for view in View::ALL {
            assert!(
                views.get(view).iter().all(|value| value.is_finite()),
                "{view}"
            );
        }
    };
    let mut from = 0.0;
    for step in rest.chunks_exact(3) {
        let to = match i16::from_le_bytes([step[0], step[1]]) {
            i16::MIN => f32::NAN,
            i16::MAX => f32::INFINITY,
            amplitude => f32::from(amplitude) / 1000.0,
        };
        let samples = 1 + u16::from(step[2]);
        for n in 1..=samples {
            let sample = from + (to - from) * f32::from(n) / f32::from(samples);
            if let Some(beat) = monitor.push(sample) {
                look(beat);
            }
        }
        from = if to.is_finite() { to } else { 0.0 };
    }
    monitor.finish();
    while let Some(beat) = monitor.poll() {
        look(beat);
    }
    assert_eq!(monitor.refused_peaks(), 0);
});
