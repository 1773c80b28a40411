//! What an ONNX model may state about itself, held against what this build computes: accepted or refused by name.

#![no_main]

use arbitrary::{Result, Unstructured};
use heartlens::model::{LABELS_KEY, ModelMetadata, NAME_KEY, SAMPLE_RATE_KEY, SPEC_HASH_KEY};
use heartlens::model::{labels, spec_hash};
use heartlens_core::spec::SAMPLE_RATE_HZ;
use heartlens_core::views::View;
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|bytes: &[u8]| {
    let mut source = Unstructured::new(bytes);
    let Ok(statement) = statement(&mut source) else {
        return;
    };
    match statement.check(Path::new("fuzz.onnx")) {
        Ok(name) => {
            assert_eq!(
                statement.property(SPEC_HASH_KEY),
                Some(spec_hash().as_str())
            );
            assert_eq!(statement.property(LABELS_KEY), Some(labels().as_str()));
            assert_eq!(statement.property(NAME_KEY), Some(name.as_str()));
        }
        Err(error) => assert!(error.to_string().starts_with("fuzz.onnx: ")),
    }
});

/// A statement that is right but for what the bytes change.
fn statement(source: &mut Unstructured<'_>) -> Result<ModelMetadata> {
    let mut properties = Vec::new();
    for (key, value) in [
        (NAME_KEY, "beat".to_owned()),
        (LABELS_KEY, labels()),
        (SAMPLE_RATE_KEY, SAMPLE_RATE_HZ.to_string()),
        (SPEC_HASH_KEY, spec_hash()),
    ] {
        let value = match source.int_in_range(0..=7)? {
            0 => source.arbitrary()?,
            1 => continue,
            _ => value,
        };
        properties.push((key.to_owned(), value));
    }
    let mut inputs = Vec::new();
    for view in View::ALL {
        let name = match source.int_in_range(0..=7)? {
            0 => source.arbitrary()?,
            1 => continue,
            _ => view.name().to_owned(),
        };
        let batch = source.arbitrary::<Option<u8>>()?.map(usize::from);
        let mut shape: Vec<Option<usize>> = view.shape().iter().map(|n| Some(*n)).collect();
        shape.insert(0, batch);
        match source.int_in_range(0..=7)? {
            0 => shape = source.arbitrary()?,
            1 => shape.clear(),
            _ => {}
        }
        inputs.push((name, shape));
    }
    Ok(ModelMetadata { properties, inputs })
}
