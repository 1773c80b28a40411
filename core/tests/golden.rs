//! The views' bits, pinned: whoever changes a feature, or a compiler that rounds otherwise, meets this test.

#[path = "golden/signal.rs"]
mod golden;

use std::collections::BTreeSet;

#[test]
fn views_have_these_bits() {
    let mut distinct = BTreeSet::new();
    let mut beats = 0;
    let hash = golden::hash_of_all_views(|views| {
        beats += 1;
        distinct.extend(views.waveform.map(f32::to_bits));
        distinct.extend(views.spectrum.map(f32::to_bits));
        distinct.extend(views.spectrogram.map(f32::to_bits));
        let values = views
            .waveform
            .iter()
            .chain(&views.spectrum)
            .chain(&views.spectrogram)
            .chain(&views.metadata);
        assert!(values.into_iter().all(|v| v.is_finite()));
    });
    assert_eq!(beats, golden::BEATS);
    // 40 beats of 672 values: hardly two alike.
    assert!(
        distinct.len() > 20_000,
        "{} distinct values",
        distinct.len()
    );
    assert_eq!(
        hash,
        golden::HASH,
        "the views have other bits: {hash:#018x}. If a feature was meant to change, raise spec::FEATURES_VERSION"
    );
}
