//! The views of half a minute: against values that `reference/strip.py` computed in float64 with NumPy and SciPy from the same
//! samples, and against what is known by construction.
#![allow(clippy::unwrap_used)]

use heartlens_core::spec::{STRIP_AVERAGE_LEN, STRIP_BEATS, STRIP_SAMPLES};
use heartlens_core::strip::{Strip, StripView, StripViews, StripWindow};

const SAMPLES: &[u8] = include_bytes!("reference/ecg_counts.i16");
const PEAKS: &[u8] = include_bytes!("reference/ecg_r_peaks.i32");
const WINDOWS: [(u32, u32); 4] = [(0, 1280), (0, 3840), (3840, 7680), (8320, 12160)];

fn samples() -> Vec<f32> {
    let (counts, _) = SAMPLES.as_chunks::<2>();
    let mv = counts
        .iter()
        .map(|bytes| f32::from(i16::from_le_bytes(*bytes)) / 256.0);
    mv.collect()
}

fn peaks() -> Vec<u32> {
    let (peaks, _) = PEAKS.as_chunks::<4>();
    peaks
        .iter()
        .map(|bytes| u32::from_le_bytes(*bytes))
        .collect()
}

/// A strip that has just taken the sample before `end`, with all beats before it.
fn strip_at(end: u32) -> Strip {
    let mut strip = Strip::new();
    let peaks = peaks();
    let mut beats = peaks.iter().enumerate().peekable();
    for (position, sample) in (0..end).zip(samples()) {
        strip.push(sample);
        while let Some((i, peak)) = beats.next_if(|(_, peak)| **peak <= position) {
            strip.note_at(*peak, i % 10 != 9, i % 7 != 6);
        }
    }
    strip
}

/// Every comparison is two-sided: the largest error stays below a bound, and above what only a comparison of f32 with itself
/// could give.
#[test]
fn views_are_those_of_the_reference() {
    let reference: [(StripView, &[u8], f64); 4] = [
        (
            StripView::Beats,
            include_bytes!("reference/strip_beats.f64"),
            2e-5,
        ),
        (
            StripView::Average,
            include_bytes!("reference/strip_average.f64"),
            1e-6,
        ),
        (
            StripView::Power,
            include_bytes!("reference/strip_power.f64"),
            1e-4,
        ),
        (
            StripView::Statistics,
            include_bytes!("reference/strip_statistics.f64"),
            2e-5,
        ),
    ];
    for (view, bytes, bound) in reference {
        let (values, _) = bytes.as_chunks::<8>();
        let len = view.shape().iter().product::<usize>();
        assert_eq!(values.len(), len * WINDOWS.len());
        let mut worst = (0.0_f64, 0, 0);
        for (number, ((start, end), expected)) in
            WINDOWS.into_iter().zip(values.chunks(len)).enumerate()
        {
            let mut views = StripViews::ZERO;
            strip_at(end).compute(StripWindow { start, end }, &mut views);
            for (place, (found, expected)) in views.get(view).iter().zip(expected).enumerate() {
                let error = (f64::from(*found) - f64::from_le_bytes(*expected)).abs();
                if error > worst.0 || error.is_nan() {
                    worst = (error, number, place);
                }
            }
        }
        let (error, window, place) = worst;
        assert!(
            (1e-9..bound).contains(&error),
            "{view}: {error:e} in window {window} at place {place}"
        );
    }
}

/// What comes later changes nothing, and a window is ready when all of its beats are known: at 10, 20, 30 s and every 10 s,
/// and at the end.
#[test]
fn windows_come_in_order_and_keep_their_bits() {
    let (samples, peaks) = (samples(), peaks());
    let mut strip = Strip::new();
    let mut beats = peaks.iter().peekable();
    let mut found = Vec::new();
    let mut take = |strip: &mut Strip| {
        while let Some(window) = strip.ready() {
            let mut views = StripViews::ZERO;
            strip.compute(window, &mut views);
            found.push((window, views));
        }
    };
    for (position, sample) in (0..).zip(&samples) {
        strip.push(*sample);
        // As late as a beat without a successor is complete.
        while let Some(peak) = beats.next_if(|peak| **peak + 767 <= position) {
            strip.note_at(*peak, true, true);
        }
        take(&mut strip);
    }
    for peak in beats {
        strip.note_at(*peak, true, true);
    }
    strip.finish();
    take(&mut strip);

    let len = samples.len() as u32;
    let mut ends: Vec<u32> = (1..=len / 1280).map(|i| i * 1280).collect();
    ends.push(len);
    assert_eq!(
        found
            .iter()
            .map(|(window, _)| window.end)
            .collect::<Vec<_>>(),
        ends
    );
    for (window, views) in &found {
        assert_eq!(
            window.start,
            window.end.saturating_sub(STRIP_SAMPLES as u32)
        );
        let mut late = Strip::new();
        let mut beats = peaks.iter().peekable();
        for (position, sample) in (0..window.end).zip(&samples) {
            late.push(*sample);
            while let Some(peak) = beats.next_if(|peak| **peak <= position) {
                late.note_at(*peak, true, true);
            }
        }
        let mut again = StripViews::ZERO;
        late.compute(*window, &mut again);
        assert!(again == *views, "{window:?}");
    }
}

/// A heart that beats evenly, each beat like the other.
#[test]
fn an_even_heart_is_even() {
    let mut strip = Strip::new();
    for position in 0..3840_u32 {
        let from_peak = (position % 100) as f32 - 50.0;
        strip.push(1.5 * (-(from_peak / 3.0).powi(2)).exp());
        if position % 100 == 50 {
            strip.note_at(position, true, true);
        }
    }
    strip.finish();
    let windows: Vec<StripWindow> = std::iter::from_fn(|| strip.ready()).collect();
    assert_eq!(windows.len(), 3);
    let mut views = StripViews::ZERO;
    strip.compute(windows[2], &mut views);
    assert!(views.is_readable());
    let (average, spread) = views.average.split_at(STRIP_AVERAGE_LEN);
    assert_eq!(average[44], average.iter().copied().fold(0.0, f32::max));
    assert!(spread.iter().all(|x| *x == 0.0));
    let (channels, _) = views.beats.as_chunks::<STRIP_BEATS>();
    let beats = channels[0].iter().filter(|x| **x == 1.0).count();
    assert_eq!(beats, 38);
    for channel in &channels[1..4] {
        assert!(channel.iter().all(|x| *x == 0.0));
    }
    assert!(
        channels[4][STRIP_BEATS - beats..]
            .iter()
            .all(|x| *x > 0.999)
    );
}

#[test]
fn nothing_and_noise_are_not_readable() {
    let mut strip = Strip::new();
    for _ in 0..511 {
        strip.push(0.0);
    }
    let mut short = strip.clone();
    short.finish();
    assert_eq!(short.ready(), None, "shorter than 4 s");
    strip.push(f32::NAN);
    strip.finish();
    let window = strip.ready().unwrap();
    assert_eq!((window.start, window.end, strip.ready()), (0, 512, None));
    let mut views = StripViews::ZERO;
    strip.compute(window, &mut views);
    assert!(!views.is_readable(), "no beat");
    let all = StripView::ALL.into_iter().flat_map(|view| views.get(view));
    assert!(all.into_iter().all(|x| x.is_finite()));

    let of = |heartbeats: u32| {
        let mut strip = Strip::new();
        for position in 0..1280 {
            strip.push((position as f32).sin());
            if position % 100 == 60 && position < 900 {
                strip.note_at(position, true, position / 100 < heartbeats);
            }
        }
        strip.finish();
        let mut views = StripViews::ZERO;
        let window = strip.ready().unwrap();
        strip.compute(window, &mut views);
        views.is_readable()
    };
    assert!(of(9) && of(7) && !of(6));
}
