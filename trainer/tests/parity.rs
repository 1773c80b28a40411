//! libtorch and the exported ONNX graph (in tract) must compute the same, block by block and as a whole.
#![allow(clippy::unwrap_used)]

use heartlens::compile::source::Source;
use heartlens_core::spec;
use heartlens_core::views::View;
use heartlens_trainer::beat::config::{Config, Conv1dConfig, Conv2dConfig, FusionKind};
use heartlens_trainer::beat::export;
use heartlens_trainer::beat::network::{Network, ViewBatch, shape_of};
use heartlens_trainer::nn::blocks::channel::FirstChannel;
use heartlens_trainer::nn::blocks::conv1d::Conv1d;
use heartlens_trainer::nn::blocks::conv2d::Conv2d;
use heartlens_trainer::nn::blocks::dense::{Activation, Dense};
use heartlens_trainer::nn::blocks::lstm::{Direction, Lstm};
use heartlens_trainer::nn::blocks::mean::Mean;
use heartlens_trainer::nn::blocks::standardise::Standardise;
use heartlens_trainer::nn::blocks::{Block, Parameters, ShapeError};
use heartlens_trainer::nn::onnx::{self, ExportError, Graph};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tch::{Device, Kind, Tensor, nn};

/// The tensor of `shape` drawn from the uniform distribution over -2..2.
fn random(rng: &mut ChaCha8Rng, shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-2.0..2.0)).collect();
    Tensor::from_slice(&values).reshape(shape)
}

/// Gives every batch normalisation statistics and gains as after a training; the fresh ones are the identity.
fn settle_norms(store: &nn::VarStore, rng: &mut ChaCha8Rng) {
    let mut variables: Vec<_> = store.variables().into_iter().collect();
    variables.sort_by(|(a, _), (b, _)| a.cmp(b));
    let _no_grad = tch::no_grad_guard();
    for (name, mut variable) in variables {
        let range = match name.rsplit('.').next() {
            Some("mean" | "beta") => -0.7..0.7,
            Some("variance" | "gamma") => 0.3..2.5,
            _ => continue,
        };
        let values: Vec<f32> = (0..variable.numel())
            .map(|_| rng.random_range(range.clone()))
            .collect();
        variable.copy_(&Tensor::from_slice(&values));
    }
}

/// Largest difference between libtorch and tract over a batch of five, and the largest output.
fn compare<B: Block>(
    input: &[i64],
    build: impl FnOnce(Parameters<'_>, &[i64]) -> Result<B, ShapeError>,
) -> (f32, f32) {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let store = nn::VarStore::new(Device::Cpu);
    let block = build(Parameters::new(&store, &mut rng).sub("block"), input).unwrap();
    settle_norms(&store, &mut rng);

    let mut graph = Graph::default();
    graph.input("x", input);
    let output = block.onnx(&mut graph, "x");
    graph.output("y", &output, block.output_shape());
    let model = graph.into_model("block", &[]);

    let x = random(&mut rng, &[&[5], input].concat());
    let ours = tch::no_grad(|| block.forward(&x, false));
    let (shape, theirs) = onnx::run_tract(&model, &[&x]).unwrap();
    let shape: Vec<i64> = shape.iter().map(|&size| size as i64).collect();
    assert_eq!(shape, [&[5], block.output_shape()].concat());
    assert_eq!(ours.size(), shape);

    let ours = Vec::<f32>::try_from(ours.flatten(0, -1)).unwrap();
    let pairs = ours.iter().zip(&theirs);
    (
        pairs.fold(0.0, |most, (a, b)| most.max((a - b).abs())),
        ours.iter().fold(0.0, |most, a| most.max(a.abs())),
    )
}

fn assert_equal((difference, largest): (f32, f32)) {
    assert!(difference <= 1e-5, "differs by {difference}");
    assert!(largest > 0.1, "an output of zeros proves nothing");
}

#[test]
fn conv1d() {
    for (kernel, stride, length) in [(7, 2, 96), (5, 2, 33), (3, 1, 10)] {
        let config = Conv1dConfig {
            channels: 6,
            kernel,
            stride,
        };
        assert_equal(compare(&[2, length], |p, s| Conv1d::new(p, s, &config)));
    }
}

#[test]
fn conv2d() {
    for pool in [1, 2, 3] {
        let config = Conv2dConfig {
            channels: 5,
            kernel: 3,
            pool,
        };
        assert_equal(compare(&[2, 16, 11], |p, s| Conv2d::new(p, s, &config)));
    }
}

#[test]
fn dense() {
    for activation in [Activation::Linear, Activation::Relu] {
        assert_equal(compare(&[46], |p, s| Dense::new(p, s, 9, activation)));
    }
}

#[test]
fn bilstm() {
    assert_equal(compare(&[4, 12], |p, s| {
        Lstm::new(p, s, 10, Direction::Both)
    }));
}

#[test]
fn lstm() {
    assert_equal(compare(&[2, 24], |p, s| {
        Lstm::new(p, s, 12, Direction::Forward)
    }));
}

#[test]
fn mean() {
    assert_equal(compare(&[4, 12], |p, s| Mean::new(&p, s)));
}

#[test]
fn first_channel() {
    assert_equal(compare(&[2, 96], |p, s| FirstChannel::new(&p, s)));
}

#[test]
fn standardise() {
    assert_equal(compare(&[2, 96], |p, s| Standardise::new(&p, s)));
}

/// The beat 1, 2, 3 in any unit and from any baseline has mean 0 and the values -+sqrt(3/2).
#[test]
fn a_standardised_beat_has_no_unit() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let store = nn::VarStore::new(Device::Cpu);
    let block = Standardise::new(&Parameters::new(&store, &mut rng), &[1, 3]).unwrap();
    let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0, 50.0, 60.0, 70.0]).reshape([2, 1, 3]);
    let y = Vec::<f32>::try_from(block.forward(&x, false).flatten(0, -1)).unwrap();
    for (found, expected) in y
        .iter()
        .zip([-1.5_f32.sqrt(), 0.0, 1.5_f32.sqrt()].repeat(2))
    {
        assert!((found - expected).abs() < 1e-4, "{y:?}");
    }
}

/// The output is the forward state after the last position and the backward state after the first: it must react to
/// both ends of the sequence in the half that ends there.
#[test]
fn bilstm_reads_both_ways() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let store = nn::VarStore::new(Device::Cpu);
    let parameters = Parameters::new(&store, &mut rng);
    let lstm = Lstm::new(parameters, &[1, 2], 3, Direction::Both).unwrap();
    let _no_grad = tch::no_grad_guard();
    let halves = |first: f32, second: f32| {
        let x = Tensor::from_slice(&[first, second]).reshape([1, 1, 2]);
        let y = lstm.forward(&x, false);
        assert_eq!(y.size(), [1, 6]);
        (y.narrow(1, 0, 3), y.narrow(1, 3, 3))
    };
    let (forward, backward) = halves(1.0, -1.0);
    // Read backwards by the mirrored sequence, a direction that ignored the order would not change.
    let (forward_mirrored, backward_mirrored) = halves(-1.0, 1.0);
    assert_ne!(forward, forward_mirrored);
    assert_ne!(backward, backward_mirrored);
    // One position: both directions have read it once and no more.
    let x = Tensor::from_slice(&[1.0_f32]).reshape([1, 1, 1]);
    let once = lstm.forward(&x, false);
    assert_ne!(once.narrow(1, 0, 3), forward);
    assert_ne!(once.narrow(1, 3, 3), backward);
}

/// In training the input may be bf16, whose 8 bits of mantissa leave states, of -1 to 1, within some hundredths.
#[test]
fn an_lstm_takes_the_numbers_of_its_input() {
    for direction in [Direction::Forward, Direction::Both] {
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let store = nn::VarStore::new(Device::Cpu);
        let parameters = Parameters::new(&store, &mut rng);
        let lstm = Lstm::new(parameters, &[2, 24], 8, direction).unwrap();
        let x = random(&mut rng, &[5, 2, 24]);
        let states = |kind| tch::no_grad(|| lstm.forward(&x.to_kind(kind), false));
        let (exact, short) = (states(Kind::Float), states(Kind::BFloat16));
        assert_eq!((exact.kind(), short.kind()), (Kind::Float, Kind::BFloat16));
        assert_eq!(exact.size(), short.size());
        let difference = (exact - short.to_kind(Kind::Float)).abs().max();
        let difference = difference.double_value(&[]);
        assert!(
            (1e-6..0.03).contains(&difference),
            "{direction:?}: {difference}"
        );
    }
}

/// Convolution and running normalisation against the folded convolution, in libtorch alone.
#[test]
fn folding_keeps_the_function() {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let store = nn::VarStore::new(Device::Cpu);
    let mut parameters = Parameters::new(&store, &mut rng);
    let norm = heartlens_trainer::nn::blocks::batch_norm::BatchNorm::new(parameters.sub("norm"), 4);
    settle_norms(&store, &mut rng);
    let weight = random(&mut rng, &[4, 3, 5]);
    let x = random(&mut rng, &[6, 3, 20]);
    let _no_grad = tch::no_grad_guard();
    let separate = norm.forward(&x.conv1d(&weight, None::<&Tensor>, 1, 2, 1, 1), false);
    let (folded, bias) = norm.fold(&weight);
    let together = x.conv1d(&folded, Some(&bias), 1, 2, 1, 1);
    assert!((&separate - together).abs().max().double_value(&[]) < 2e-5);
    assert!(
        (separate - x.conv1d(&weight, None::<&Tensor>, 1, 2, 1, 1))
            .abs()
            .max()
            .double_value(&[])
            > 0.1
    );
}

#[test]
fn shape_errors_name_layer_and_shape() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let store = nn::VarStore::new(Device::Cpu);
    let mut parameters = Parameters::new(&store, &mut rng);
    let config = Conv2dConfig {
        channels: 2,
        kernel: 3,
        pool: 4,
    };
    let error = Conv2d::new(parameters.sub("deep"), &[2, 3, 9], &config).unwrap_err();
    assert_eq!(
        error.to_string(),
        "layer deep cannot read the shape [2, 3, 9] (without the batch): it needs 4 rows and 4 columns or more, its \
         pooling"
    );
    let error = Lstm::new(parameters.sub("lstm"), &[7], 3, Direction::Both).unwrap_err();
    assert_eq!(error.found, [7]);
}

fn shipped() -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat/config.toml");
    Config::read(&path).unwrap()
}

fn network(config: &Config) -> (nn::VarStore, Network, ViewBatch) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let store = nn::VarStore::new(Device::Cpu);
    let network = Network::new(config, Parameters::new(&store, &mut rng)).unwrap();
    settle_norms(&store, &mut rng);
    let mut view = |view: View| random(&mut rng, &[&[9], &shape_of(view)[..]].concat());
    let views = ViewBatch {
        waveform: view(View::Waveform),
        spectrum: view(View::Spectrum),
        spectrogram: view(View::Spectrogram),
        metadata: view(View::Metadata),
    };
    (store, network, views)
}

#[test]
fn whole_network_and_its_metadata() {
    let config = shipped();
    let (store, network, views) = network(&config);
    let parameters: usize = store.trainable_variables().iter().map(Tensor::numel).sum();
    // 8,920 with the 42 features of RR intervals and shape, and 24 weights for each of the patient's four.
    assert_eq!(parameters, 8_920 + 24 * spec::PATIENT_FEATURES);

    let logits = tch::no_grad(|| network.forward(&views, None));
    let model = export::model(&network, &config);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let difference = export::write(&model, &views, &logits, &path).unwrap();
    assert!(difference <= 1e-5, "{difference}");

    let read: tract_onnx::pb::ModelProto =
        prost::Message::decode(std::fs::read(&path).unwrap().as_slice()).unwrap();
    assert_eq!(read.opset_import[0].version, onnx::OPSET);
    let property = |key: &str| {
        let mut entries = read.metadata_props.iter();
        entries
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    };
    assert_eq!(property("labels"), Some("N,S,V,F"));
    assert_eq!(property("sample_rate_hz"), Some("128"));
    assert_eq!(property("window"), Some("R-64..=R+63"));
    assert_eq!(
        property("spec_hash"),
        Some(format!("{:016x}", spec::HASH).as_str())
    );
    assert_eq!(property("name"), Some("beat"));
    assert!(property("producer").is_some_and(|p| p.starts_with("heartlens-trainer ")));
    assert!(property("notice").is_some_and(|n| n.contains("not for clinical use")));
    let graph = read.graph.unwrap();
    let names: Vec<_> = graph
        .input
        .iter()
        .map(|input| input.name.as_str())
        .collect();
    assert_eq!(names, ["waveform", "spectrum", "spectrogram", "metadata"]);
    assert_eq!(graph.output[0].name, "logits");
    let lstm = graph
        .node
        .iter()
        .find(|node| node.op_type == "LSTM")
        .unwrap();
    let attributes: Vec<_> = lstm.attribute.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(attributes, ["hidden_size", "direction"]);
}

/// In use the logits are divided by the temperature, in libtorch as in ONNX; in training they are not.
#[test]
fn the_temperature_divides_the_logits_in_use() {
    let at = |temperature: f64| {
        let mut config = shipped();
        config.training.temperature = temperature;
        config.fusion.dropout = 0.0;
        let (_store, network, views) = network(&config);
        let logits = tch::no_grad(|| network.forward(&views, None));
        assert!(export::check(&export::model(&network, &config), &views, &logits).unwrap() <= 1e-5);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let training = tch::no_grad(|| network.forward_training(&views, &mut rng).fused);
        (logits, training)
    };
    let ((hot, hot_training), (cool, cool_training)) = (at(1.0), at(0.5));
    let twice = &hot + &hot;
    assert!((&cool - &twice).abs().max().double_value(&[]) < 1e-5);
    assert!(hot.abs().max().double_value(&[]) > 0.01);
    assert_eq!(hot_training, cool_training);
}

#[test]
fn a_network_of_one_view_has_one_input() {
    for view in View::ALL {
        let mut config = shipped();
        config.views = vec![view];
        let (_store, network, views) = network(&config);
        let logits = tch::no_grad(|| network.forward(&views, None));
        let model = export::model(&network, &config);
        assert!(export::check(&model, &views, &logits).unwrap() <= 1e-5);
        assert_eq!(model.graph.unwrap().input.len(), 1);
    }
}

/// Every kind of network, with every view and with one: libtorch and tract agree, on as many inputs as there are views,
/// and only the fused network's logits are exported.
#[test]
fn every_kind_of_network_is_exported() {
    type Change = fn(&mut Config);
    let kinds: [(&str, Change); 5] = [
        ("early", |c| c.fusion.kind = FusionKind::Early),
        ("late", |c| c.fusion.kind = FusionKind::Late),
        ("no BiLSTM", |c| c.waveform.bilstm = 0),
        ("auxiliary", |c| c.fusion.auxiliary = 0.3),
        ("late, auxiliary", |c| {
            c.fusion.kind = FusionKind::Late;
            c.fusion.auxiliary = 0.3;
        }),
    ];
    for (name, change) in kinds {
        for views in [View::ALL.to_vec(), vec![View::Waveform]] {
            let mut config = shipped();
            change(&mut config);
            config.views = views;
            let (_store, network, views) = network(&config);
            let logits = tch::no_grad(|| network.forward(&views, None));
            let model = export::model(&network, &config);
            let difference = export::check(&model, &views, &logits).unwrap();
            assert!(difference <= 1e-5, "{name}: {difference}");
            let graph = model.graph.unwrap();
            assert_eq!(graph.input.len(), config.views.len(), "{name}");
            assert_eq!(graph.output.len(), 1, "{name}");
            let exported = graph.initializer.iter().map(|i| i.name.as_str());
            assert_eq!(
                exported.filter(|n| n.starts_with("auxiliary")).count(),
                0,
                "{name}"
            );
        }
    }
}

/// What ONNX Runtime (the Python package, opset 17) makes of the same files and inputs.
const ONNX_RUNTIME: &str = "
import json, sys
import numpy as np, onnxruntime
for task in json.load(sys.stdin):
    session = onnxruntime.InferenceSession(task['model'], providers=['CPUExecutionProvider'])
    feeds = {k: np.array(v, np.float32).reshape(s) for k, (s, v) in task['inputs'].items()}
    [logits] = session.run(['logits'], feeds)
    print(' '.join(repr(float(x)) for x in logits.ravel()))
";

/// Every operator that a config can ask for, in ONNX Runtime too.
#[test]
fn onnx_runtime_agrees() {
    let has = Command::new("python3")
        .args(["-c", "import onnxruntime"])
        .output();
    if !has.is_ok_and(|output| output.status.success()) {
        println!("skipped: python3 has no onnxruntime");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut configs = vec![shipped(); 4];
    configs[1].fusion.kind = FusionKind::Early;
    configs[2].fusion.kind = FusionKind::Late;
    configs[3].waveform.bilstm = 0;
    let cnn = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cnn/config.toml");
    configs.push(Config::read(&cnn).unwrap());
    let mut tasks = Vec::new();
    let mut expected = Vec::new();
    for (i, config) in configs.iter().enumerate() {
        let (_store, network, views) = network(config);
        let logits = tch::no_grad(|| network.forward(&views, None));
        let path = folder.path().join(format!("{i}.onnx"));
        export::write(&export::model(&network, config), &views, &logits, &path).unwrap();
        let input = |&view: &View| {
            let tensor = views.get(view);
            let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
            (view.name(), (tensor.size(), values))
        };
        let inputs: BTreeMap<_, _> = config.views.iter().map(input).collect();
        tasks.push(serde_json::json!({ "model": path, "inputs": inputs }));
        expected.push(Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap());
    }
    let mut python = Command::new("python3")
        .args(["-c", ONNX_RUNTIME])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let tasks = serde_json::to_vec(&tasks).unwrap();
    python.stdin.take().unwrap().write_all(&tasks).unwrap();
    let output = python.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let found: Vec<Vec<f32>> = text
        .lines()
        .map(|line| line.split(' ').map(|x| x.parse().unwrap()).collect())
        .collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        for (a, b) in found.iter().zip(expected) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

/// With late fusion the logits of a network of two views are those of its branches added up: without one view's input
/// they change by what that branch says alone.
#[test]
fn late_fusion_adds_logits() {
    let mut config = shipped();
    config.fusion.kind = FusionKind::Late;
    config.views = vec![View::Spectrum, View::Metadata];
    let (_store, network, a) = network(&config);
    let b = ViewBatch {
        waveform: a.waveform.copy(),
        spectrum: a.spectrum.flip([0]),
        spectrogram: a.spectrogram.copy(),
        metadata: a.metadata.flip([0]),
    };
    let mixed = |x: &ViewBatch, y: &ViewBatch| ViewBatch {
        waveform: x.waveform.copy(),
        spectrum: x.spectrum.copy(),
        spectrogram: x.spectrogram.copy(),
        metadata: y.metadata.copy(),
    };
    let logits = |views: &ViewBatch| tch::no_grad(|| network.forward(views, None));
    let (aa, ab) = (logits(&a), logits(&mixed(&a, &b)));
    let (ba, bb) = (logits(&mixed(&b, &a)), logits(&b));
    let sum: Tensor = &aa + &bb - &ab - &ba;
    assert!(sum.abs().max().double_value(&[]) < 1e-5);
    assert!((&aa - &ab).abs().max().double_value(&[]) > 1e-2);
}

/// The sizes that the recipe gives for the plain CNN; the shipped network's as `heartlens inspect` prints it.
#[test]
fn sizes_are_counted() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/cnn/config.toml");
    let cnn = Config::read(&path).unwrap();
    let count = |store: &nn::VarStore| -> usize {
        store.trainable_variables().iter().map(Tensor::numel).sum()
    };
    let (store, baseline, views) = network(&cnn);
    assert_eq!((count(&store), baseline.macs()), (9_140, 129_408));
    let logits = tch::no_grad(|| baseline.forward(&views, None));
    let model = export::model(&baseline, &cnn);
    assert!(export::check(&model, &views, &logits).unwrap() <= 1e-5);
    // It sees the beat alone, in no unit.
    let scaled = ViewBatch {
        waveform: Tensor::cat(
            &[
                views.waveform.narrow(1, 0, 1) * 3.0,
                views.waveform.narrow(1, 1, 1) * -7.0,
            ],
            1,
        ),
        ..views
    };
    let again = tch::no_grad(|| baseline.forward(&scaled, None));
    assert!((logits - again).abs().max().double_value(&[]) < 1e-3);

    let (_store, fused, _) = network(&shipped());
    assert_eq!(fused.macs(), 99_600);
}

/// Whoever loads a model with other classes, or other features, is told both lists.
#[test]
fn a_model_of_other_classes_is_refused() {
    let config = shipped();
    let (_store, network, _) = network(&config);
    let model = export::model(&network, &config);
    let path = Path::new("other.onnx");
    assert!(Source::new(model.clone(), path).is_ok());
    let mut other = model;
    for property in &mut other.metadata_props {
        if property.key == "labels" {
            property.value = "N,V".to_owned();
        }
    }
    let error = Source::new(other, path).unwrap_err().to_string();
    for part in ["other.onnx", "labels", "N,V", "N,S,V,F"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_model_that_differs_is_not_written() {
    let config = shipped();
    let (_store, network, views) = network(&config);
    let model = export::model(&network, &config);
    let logits = tch::no_grad(|| network.forward(&views, None)).copy();
    let _ = logits.get(4).get(2).g_add_scalar_(3e-4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let error = export::write(&model, &views, &logits, &path).unwrap_err();
    match error {
        ExportError::Parity {
            beat,
            class,
            exported,
            trained,
        } => {
            assert_eq!((beat, class), (4, "V"));
            assert!((trained - exported - 3e-4).abs() < 2e-5);
        }
        other => panic!("{other}"),
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let none = logits.narrow(0, 0, 0);
    assert!(matches!(
        export::write(&model, &views, &none, &path),
        Err(ExportError::NoBeats)
    ));
}

#[test]
fn patient_features_have_no_weight_when_off() {
    for kind in [FusionKind::Intermediate, FusionKind::Early] {
        let mut config = shipped();
        config.fusion.kind = kind;
        ignores_the_patient(config);
    }
}

fn ignores_the_patient(mut config: Config) {
    let (_store, network, mut views) = network(&config);
    let logits =
        |network: &Network, views: &ViewBatch| tch::no_grad(|| network.forward(views, None));
    let patient = spec::PATIENT_FEATURES as i64;
    let first = spec::METADATA_LEN as i64 - patient;
    let before = logits(&network, &views);
    views.metadata = views.metadata.copy();
    let _ = views.metadata.narrow(1, first, patient).fill_(3.0);
    assert_eq!(before, logits(&network, &views));

    config.metadata.patient = true;
    let (_store, network, views_on) = self::network(&config);
    let before = logits(&network, &views_on);
    assert_ne!(before, logits(&network, &views));
}
