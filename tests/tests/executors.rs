//! One answer from every executor: the network in libtorch and, exported, in tract, on the beats of the demo record.

use heartlens::model::ONNX_FILE;
use heartlens::pipeline::canonical_lead;
use heartlens::records::Record;
use heartlens::runtime::tract::Tract;
use heartlens::runtime::{ModelError, Runtime, argmax};
use heartlens_core::monitor::Monitor;
use heartlens_core::patient::Patient;
use heartlens_core::views::Views;
use heartlens_tests::{batch, root};
use heartlens_trainer::beat::config::Config;
use heartlens_trainer::beat::export;
use heartlens_trainer::beat::network::Network;
use heartlens_trainer::nn::blocks::Parameters;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::error::Error;
use std::path::Path;
use tch::{Device, nn};

fn demo_views() -> Result<Vec<Views>, Box<dyn Error>> {
    let record = Record::open(root().join("models/demo/demo"))?;
    let signal = canonical_lead(&record, 0)?;
    let mut monitor = Monitor::new(Patient::default());
    let mut beats: Vec<_> = signal.iter().filter_map(|x| monitor.push(*x)).collect();
    monitor.finish();
    beats.extend(std::iter::from_fn(|| monitor.poll()));
    let views = beats.iter().map(|beat| {
        let mut views = Views::ZERO;
        views.compute(&beat.frame);
        views
    });
    Ok(views.collect())
}

/// A network of the shipped model's sizes, with weights drawn anew.
fn network(seed: u64) -> Result<(Network, Config, nn::VarStore), Box<dyn Error>> {
    let config = Config::read(&root().join("models/beat/config.toml"))?;
    let store = nn::VarStore::new(Device::Cpu);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let network = Network::new(&config, Parameters::new(&store, &mut rng))?;
    Ok((network, config, store))
}

#[test]
fn tract_answers_as_libtorch_does() -> Result<(), Box<dyn Error>> {
    let beats = demo_views()?;
    assert!(beats.len() > 300);
    let views = batch(&beats);
    let folder = tempfile::tempdir()?;
    for seed in [1, 2] {
        let (network, config, _store) = network(seed)?;
        let logits = tch::no_grad(|| network.forward(&views, None));
        let path = folder.path().join(ONNX_FILE);
        export::write(&export::model(&network, &config), &views, &logits, &path)?;

        let mut tract = Tract::load(&path)?;
        assert_eq!(tract.model_name(), config.name);
        let exported = tract.logits(&beats)?;
        let mut largest = 0.0_f64;
        let mut spread = [f64::INFINITY, f64::NEG_INFINITY];
        for (i, ours) in exported.iter().enumerate() {
            for (class, x) in ours.iter().enumerate() {
                let theirs = logits.double_value(&[i as i64, class as i64]);
                largest = largest.max((f64::from(*x) - theirs).abs());
                spread = [spread[0].min(theirs), spread[1].max(theirs)];
            }
        }
        println!(
            "seed {seed}: {} beats, largest difference {largest:.1e}",
            beats.len()
        );
        assert!(largest < 1e-4, "largest difference of a logit: {largest}");
        assert!(
            spread[1] - spread[0] > 0.1,
            "the logits are all alike: {spread:?}"
        );
    }
    Ok(())
}

/// The shipped model tells the demo's beats apart, and not by calling them all one thing.
#[test]
fn the_shipped_model_runs() -> Result<(), Box<dyn Error>> {
    let mut tract = Tract::load(&root().join("models/beat").join(ONNX_FILE))?;
    let mut counts = [0; 4];
    for logits in tract.logits(&demo_views()?)? {
        counts[argmax(&logits)] += 1;
    }
    assert!(
        counts[0] > 200 && counts[1] > 0 && counts[2] > 0,
        "{counts:?}"
    );
    Ok(())
}

#[test]
fn a_model_for_other_features_is_refused() -> Result<(), Box<dyn Error>> {
    let (network, config, _store) = network(1)?;
    let whole = export::model(&network, &config);
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(ONNX_FILE);
    let load = |model: &tract_onnx::pb::ModelProto| -> Result<ModelError, Box<dyn Error>> {
        use prost::Message;
        std::fs::write(&path, model.encode_to_vec())?;
        Tract::load(&path).err().ok_or_else(|| "was loaded".into())
    };

    let mut other = whole.clone();
    for property in &mut other.metadata_props {
        if property.key == "spec_hash" {
            property.value = "0123456789abcdef".to_owned();
        }
    }
    let error = load(&other)?;
    assert!(
        matches!(
            error,
            ModelError::Property {
                key: "spec_hash",
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("0123456789abcdef"));

    let mut other = whole.clone();
    if let Some(graph) = &mut other.graph {
        graph.input.retain(|input| input.name != "metadata");
    }
    let error = load(&other)?;
    assert!(matches!(error, ModelError::Inputs { .. }), "{error}");

    let mut other = whole;
    other.metadata_props.clear();
    let error = load(&other)?;
    assert!(
        matches!(error, ModelError::PropertyMissing { .. }),
        "{error}"
    );

    std::fs::write(&path, b"no protobuf at all")?;
    let error = Tract::load(&path).err().ok_or("was loaded")?;
    assert!(matches!(error, ModelError::NotOnnx { .. }), "{error}");
    assert!(matches!(
        Tract::load(Path::new("no/such/model.onnx")),
        Err(ModelError::Unreadable { .. })
    ));
    Ok(())
}
