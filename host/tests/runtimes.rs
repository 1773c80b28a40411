//! The shipped model through each runtime: the same logits in any batch, and the same refusals.
#![cfg(feature = "ort")]
#![allow(clippy::unwrap_used)]

use heartlens::Model;
use heartlens::model::ONNX_FILE;
use heartlens::pipeline::{canonical_lead, for_each_beat};
use heartlens::records::Record;
use heartlens::runtime::ort::{self, Ort};
use heartlens::runtime::tract::Tract;
use heartlens::runtime::{Kind, Logits, ModelError, Runtime, argmax};
use heartlens_core::detector::Detector;
use heartlens_core::patient::Patient;
use heartlens_core::views::{View, Views};
use prost::Message;
use std::path::{Path, PathBuf};
use tract_onnx::pb::ModelProto;

fn model() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat")
}

fn demo_beats() -> Vec<Views> {
    let record = Record::open(model().join("../demo/demo")).unwrap();
    let mut beats = Vec::new();
    let signal = canonical_lead(&record, 0).unwrap();
    for_each_beat(&signal, Detector::new(), Patient::default(), |beat| {
        let mut views = Views::ZERO;
        views.compute(&beat.frame);
        beats.push(views);
    });
    assert!(beats.len() > 300);
    beats
}

/// Whether ONNX Runtime is not installed, after saying that the test is skipped.
fn skipped_without_ort() -> bool {
    let missing = ort::library().err();
    if let Some(error) = &missing {
        println!("skipped: {error}");
    }
    missing.is_some()
}

fn largest_difference(a: &[Logits], b: &[Logits]) -> f32 {
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn a_batch_says_what_its_beats_say_one_by_one() {
    let beats = &demo_beats()[..75];
    let path = model().join(ONNX_FILE);
    let onnx = std::fs::read(&path).unwrap();
    let one = Tract::with_batch(&onnx, &path, 1)
        .unwrap()
        .logits(beats)
        .unwrap();
    // 75 beats are whole batches and a rest of each of these sizes.
    for batch in [2, 8, ::heartlens::runtime::tract::BATCH] {
        let many = Tract::with_batch(&onnx, &path, batch)
            .unwrap()
            .logits(beats)
            .unwrap();
        let worst = largest_difference(&one, &many);
        assert!(worst < 1e-5, "tract, {batch} at once: {worst}");
    }
    if skipped_without_ort() {
        return;
    }
    for batch in [1, 8, ort::BATCH] {
        let many = Ort::with_batch(&onnx, &path, batch)
            .unwrap()
            .logits(beats)
            .unwrap();
        let worst = largest_difference(&one, &many);
        assert!(worst < 1e-4, "ort, {batch} at once: {worst}");
        let same = one.iter().zip(&many).all(|(a, b)| argmax(a) == argmax(b));
        assert!(same, "ort, {batch} at once: another class");
    }
    let mut ort = Ort::load(&path).unwrap();
    assert_eq!((ort.name(), ort.model_name()), ("ort", "beat"));
    assert!(ort.logits(&[]).unwrap().is_empty());
}

#[test]
fn every_layer_is_the_same_in_tract_and_ort() {
    if skipped_without_ort() {
        return;
    }
    let path = model().join(ONNX_FILE);
    let (mut tract, mut ort) = (Tract::load(&path).unwrap(), Ort::load(&path).unwrap());
    let beats = demo_beats();
    for beat in [&beats[0], &beats[200]] {
        let (ours, theirs) = (
            tract.layer_outputs(beat).unwrap(),
            ort.layer_outputs(beat).unwrap(),
        );
        let names: Vec<_> = ours.iter().map(|layer| layer.name.as_str()).collect();
        assert!(names.contains(&"waveform.conv0.relu") && names.last() == Some(&"logits"));
        assert_eq!(ours.len(), theirs.len());
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours.name, theirs.name);
            assert_eq!(ours.values.len(), theirs.values.len(), "{}", ours.name);
            let pairs = ours.values.iter().zip(&theirs.values);
            let worst = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{}: {worst}", ours.name);
        }
        // The last layer is what the plain run says.
        let logits = tract.logits(std::slice::from_ref(beat)).unwrap();
        let last = Logits::try_from(ours.last().unwrap().values.as_slice()).unwrap();
        assert!(largest_difference(&logits, &[last]) < 1e-5);
    }
}

#[test]
fn a_model_for_other_features_is_refused_by_every_runtime() {
    let whole = std::fs::read(model().join(ONNX_FILE)).unwrap();
    let whole = ModelProto::decode(whole.as_slice()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let refused = |kind: Kind, bytes: &[u8]| {
        std::fs::write(folder.path().join(ONNX_FILE), bytes).unwrap();
        let alone = Model::load(folder.path());
        assert!(alone.unwrap_err().to_string().contains(ONNX_FILE));
        let path = folder.path().join(ONNX_FILE);
        let error = match kind {
            Kind::Ort => Ort::new(bytes, &path).err().unwrap(),
            _ => Tract::new(bytes, &path).err().unwrap(),
        };
        assert!(error.to_string().contains(ONNX_FILE), "{error}");
        assert_eq!(error.to_string().lines().count(), 1, "{error}");
        error
    };
    let kinds = Kind::ALL.iter().filter(|kind| match kind {
        Kind::Ort => !skipped_without_ort(),
        kind => **kind == Kind::Tract,
    });
    for kind in kinds {
        let mut other = whole.clone();
        for property in &mut other.metadata_props {
            if property.key == "spec_hash" {
                property.value = "0123456789abcdef".to_owned();
            }
        }
        let error = refused(*kind, &other.encode_to_vec());
        assert!(
            matches!(
                error,
                ModelError::Property {
                    key: "spec_hash",
                    ..
                }
            ),
            "{kind}: {error}"
        );

        let mut other = whole.clone();
        other.metadata_props.clear();
        let error = refused(*kind, &other.encode_to_vec());
        assert!(
            matches!(error, ModelError::PropertyMissing { .. }),
            "{kind}: {error}"
        );

        let error = refused(*kind, b"no protobuf at all");
        assert!(
            matches!(error, ModelError::NotOnnx { .. }),
            "{kind}: {error}"
        );

        // An input of another length: the shape is named, not what follows from it.
        let mut other = whole.clone();
        let spectrum = &mut other.graph.as_mut().unwrap().input[1];
        assert_eq!(spectrum.name, View::Spectrum.name());
        let Some(tract_onnx::pb::type_proto::Value::TensorType(tensor)) =
            spectrum.r#type.as_mut().unwrap().value.as_mut()
        else {
            panic!("an input that is no tensor");
        };
        tensor.shape.as_mut().unwrap().dim[2].value =
            Some(tract_onnx::pb::tensor_shape_proto::dimension::Value::DimValue(60));
        let error = refused(*kind, &other.encode_to_vec());
        let named = matches!(
            error,
            ModelError::InputShape {
                input: "spectrum",
                ..
            }
        );
        // ONNX Runtime may see first that no layer fits such an input.
        assert!(named || *kind == Kind::Ort, "{kind}: {error}");
    }
}
