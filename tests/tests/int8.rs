//! The shipped device image beside the shipped network: the same beats, integers and float.

use heartlens::model::{IMAGE_FILE, ONNX_FILE};
use heartlens::pipeline::{canonical_lead, canonical_peaks, for_each_beat};
use heartlens::records::Record;
use heartlens::runtime::int8::Int8;
use heartlens::runtime::tract::Tract;
use heartlens::runtime::{Runtime, argmax};
use heartlens_core::views::Views;
use heartlens_tests::{data, root};
use std::error::Error;
use std::path::Path;

/// Every annotated beat of a record's first lead.
fn beats(path: &Path) -> Result<Vec<Views>, Box<dyn Error>> {
    let record = Record::open(path)?;
    let signal = canonical_lead(&record, 0)?;
    let annotations = record.annotations("atr")?;
    let samples: Vec<u64> = annotations.beats().map(|beat| beat.sample).collect();
    let peaks = canonical_peaks(&record, &samples, signal.len())?;
    let mut beats = Vec::new();
    for_each_beat(
        &signal,
        peaks,
        heartlens::canonical::patient(&record),
        |beat| {
            let mut views = Views::ZERO;
            views.compute(&beat.frame);
            beats.push(views);
        },
    );
    Ok(beats)
}

/// Beats, and those of them with the same label in both.
fn agreement(
    int8: &mut Int8,
    tract: &mut Tract,
    beats: &[Views],
) -> Result<[usize; 2], Box<dyn Error>> {
    let (ours, float) = (int8.logits(beats)?, tract.logits(beats)?);
    let same = ours
        .iter()
        .zip(&float)
        .filter(|(a, b)| argmax(a) == argmax(b));
    Ok([beats.len(), same.count()])
}

fn both() -> Result<(Int8, Tract), Box<dyn Error>> {
    let folder = root().join("models/beat");
    let int8 = Int8::load(&folder.join(IMAGE_FILE))?;
    let tract = Tract::load(&folder.join(ONNX_FILE))?;
    assert_eq!(int8.model_name(), tract.model_name());
    assert_eq!(int8.reads_patient(), tract.reads_patient());
    let priors: f32 = int8.model().priors().iter().sum();
    assert!((priors - 1.0).abs() < 1e-5);
    Ok((int8, tract))
}

#[test]
fn the_shipped_image_fits_its_budget_and_agrees_with_float_on_the_demo()
-> Result<(), Box<dyn Error>> {
    let (mut int8, mut tract) = both()?;
    // What was made for other features would not have been loaded.
    assert!((8 << 10..=40 << 10).contains(&int8.model().image_len()));
    assert!((1 << 10..=8 << 10).contains(&(4 * int8.model().arena_words())));
    let beats = beats(&root().join("models/demo/demo"))?;
    let [all, same] = agreement(&mut int8, &mut tract, &beats)?;
    println!("demo: {same} of {all} beats have the label of float");
    assert!(all > 300 && same * 100 >= all * 99);
    Ok(())
}

#[test]
fn the_shipped_image_agrees_with_float_on_real_records() -> Result<(), Box<dyn Error>> {
    let Some(data) = data() else { return Ok(()) };
    let (mut int8, mut tract) = both()?;
    let mut total = [0, 0];
    for record in ["mitdb/208", "mitdb/119", "mitdb/209", "svdb/823"] {
        let [all, same] = agreement(&mut int8, &mut tract, &beats(&data.join(record))?)?;
        println!("{record}: {same} of {all} beats have the label of float");
        assert!(same * 100 >= all * 98, "{record}: {same} of {all}");
        total = [total[0] + all, total[1] + same];
    }
    assert!(
        total[0] > 8000 && total[1] * 1000 >= total[0] * 995,
        "{total:?}"
    );
    Ok(())
}
