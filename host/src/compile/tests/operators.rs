//! One network an operator. Float and integers see the same views; the bounds fail where the layout of a weight is wrong,
//! and where nothing was quantised.

use super::super::calibrate::{Compiled, compile};
use super::super::quantise::Card;
use super::*;
use heartlens_core::spec::LABELS;
use tract_onnx::prelude::{DatumExt, InferenceModelExt, IntoRunnable, Tensor, tvec};

fn card() -> Card {
    Card {
        name: "test".to_owned(),
        labels: LABELS.map(str::to_owned).to_vec(),
        priors: vec![0.25; 4],
        reads_patient: true,
    }
}

/// Compiles the network on one set of views and compares logits on another: the root of the mean squared difference over
/// the spread of the float logits.
fn error_of(model: &ModelProto) -> (f64, Compiled) {
    let compiled = compile(model, &card(), &views(1, 96), &views(2, 96), &mut |_, _| ())
        .unwrap_or_else(|error| panic!("{error}"));
    let mut int8 = crate::runtime::int8::Int8::new(&compiled.image).expect("an image");
    let unseen = views(3, 64);
    let ours = crate::runtime::Runtime::logits(&mut int8, &unseen).expect("it runs");
    let float: Vec<[f32; 4]> = unseen
        .iter()
        .map(|beat| float_logits(model, beat))
        .collect();
    let (mut difference, mut spread) = (0.0, 0.0);
    for class in 0..4 {
        let mean: f64 = float.iter().map(|l| f64::from(l[class])).sum::<f64>() / 64.0;
        for (ours, float) in ours.iter().zip(&float) {
            difference += (f64::from(ours[class]) - f64::from(float[class])).powi(2);
            spread += (f64::from(float[class]) - mean).powi(2);
        }
    }
    ((difference / spread).sqrt(), compiled)
}

/// The network in tract, by a way that does not go through the compiler.
fn float_logits(model: &ModelProto, beat: &Views) -> [f32; 4] {
    let mut plan = tract_onnx::onnx().parse(model, None).expect("ONNX").model;
    let mut inputs = tvec!();
    for (index, input) in model.graph.iter().flat_map(|g| &g.input).enumerate() {
        let view = View::named(&input.name).expect("a view");
        let shape: Vec<usize> = std::iter::once(1)
            .chain(view.shape().iter().copied())
            .collect();
        let values = beat.get(view);
        plan.set_input_fact(index, f32::fact(&shape).into())
            .expect("an input");
        inputs.push(Tensor::from_shape(&shape, values).expect("a view").into());
    }
    let outputs = plan
        .into_optimized()
        .and_then(|plan| plan.into_runnable())
        .and_then(|plan| plan.run(inputs))
        .expect("tract runs it");
    let logits = outputs[0].to_plain_array_view::<f32>().expect("f32");
    let logits: Vec<f32> = logits.iter().copied().collect();
    logits.try_into().expect("four logits")
}

/// Integers are near float, and not float.
fn assert_close(name: &str, model: &ModelProto, bound: f64) -> Compiled {
    let (error, compiled) = error_of(model);
    println!("{name}: {error:.4}");
    assert!(
        (bound / 50.0..bound).contains(&error),
        "{name}: {error}, expected below {bound}"
    );
    compiled
}

#[test]
fn convolutions_of_signals_and_planes() {
    let mut net = Network::new(1);
    let x = net.input("waveform");
    let x = net.conv("a", &x, &[6, 2, 7], 2);
    let x = net.relu(&x);
    let x = net.conv("b", &x, &[5, 6, 4], 3);
    let x = net.flat(&x);
    assert_close("signal", &net.logits(&x, 5 * 17), 0.03);

    let mut net = Network::new(2);
    let x = net.input("spectrogram");
    let x = net.conv("a", &x, &[5, 2, 3, 3], 1);
    let x = net.relu(&x);
    let x = net.conv("b", &x, &[4, 5, 5, 3], 2);
    let x = net.relu(&x);
    let x = net.flat(&x);
    assert_close("plane", &net.logits(&x, 4 * 8 * 6), 0.03);
}

#[test]
fn depthwise_and_pointwise_convolutions() {
    let mut net = Network::new(3);
    let x = net.input("spectrogram");
    let x = net.conv("wide", &x, &[6, 2, 3, 3], 1);
    let x = net.relu(&x);
    let weights = net.weights("depth.w", &[6, 1, 3, 5], 0.4);
    let bias = net.weights("depth.b", &[6], 0.2);
    let attributes = vec![
        int("group", 6),
        ints("strides", &[2, 1]),
        ints("pads", &[1, 2, 0, 2]),
    ];
    let x = net.node("Conv", "depth", &[&x, &weights, &bias], attributes);
    let x = net.relu(&x);
    let x = net.conv("point", &x, &[5, 6, 1, 1], 1);
    let x = net.flat(&x);
    assert_close("depthwise", &net.logits(&x, 5 * 8 * 11), 0.04);
}

#[test]
fn pools() {
    let mut net = Network::new(4);
    let x = net.input("spectrogram");
    let x = net.conv("a", &x, &[4, 2, 3, 3], 1);
    // Values of both signs go through the pool, so that ReLU behind it stands alone.
    let attributes = vec![
        ints("kernel_shape", &[3, 2]),
        ints("strides", &[2, 2]),
        ints("pads", &[1, 0, 1, 1]),
    ];
    let x = net.node("MaxPool", "largest", &[&x], attributes);
    let x = net.relu(&x);
    let attributes = vec![
        ints("kernel_shape", &[2, 3]),
        ints("strides", &[1, 1]),
        ints("pads", &[1, 1, 0, 1]),
    ];
    let x = net.node("AveragePool", "mean", &[&x], attributes);
    let x = net.flat(&x);
    let compiled = assert_close("pools", &net.logits(&x, 4 * 8 * 6), 0.04);
    assert!(
        compiled
            .report
            .layers
            .iter()
            .any(|layer| layer.op == "Relu")
    );

    let mut net = Network::new(5);
    let x = net.input("spectrum");
    let x = net.conv("a", &x, &[12, 2, 5], 1);
    let x = net.relu(&x);
    let x = net.node("GlobalAveragePool", "global", &[&x], vec![]);
    let x = net.flat(&x);
    assert_close("global pool", &net.logits(&x, 12), 0.04);
}

#[test]
fn sums_and_concatenations() {
    let mut net = Network::new(6);
    let x = net.input("waveform");
    let a = net.conv("a", &x, &[4, 2, 3], 1);
    let b = net.conv("b", &x, &[4, 2, 5], 1);
    let b = net.relu(&b);
    let x = net.node("Add", "sum", &[&a, &b], vec![]);
    let x = net.relu(&x);
    let c = net.conv("c", &x, &[3, 4, 3], 1);
    let c = net.relu(&c);
    let x = net.node("Concat", "join", &[&x, &c], vec![int("axis", 1)]);
    let x = net.conv("d", &x, &[3, 7, 3], 2);
    let x = net.flat(&x);
    assert_close("sum", &net.logits(&x, 3 * 48), 0.04);
}

#[test]
fn dense_layers() {
    let mut net = Network::new(7);
    let x = net.input("metadata");
    // A MatMul whose bias is added behind it, and a Gemm that is not transposed and scales its product.
    let weights = net.weights("a.w", &[46, 20], 0.3);
    let bias = net.weights("a.b", &[20], 0.3);
    let x = net.node("MatMul", "a", &[&x, &weights], vec![]);
    let x = net.node("Add", "a.sum", &[&bias, &x], vec![]);
    let x = net.relu(&x);
    let weights = net.weights("b.w", &[20, 9], 0.3);
    let alpha = AttributeProto {
        name: "alpha".to_owned(),
        r#type: AttributeType::Float.into(),
        f: 0.5,
        ..AttributeProto::default()
    };
    let x = net.node("Gemm", "b", &[&x, &weights], vec![alpha]);
    let compiled = assert_close("dense", &net.logits(&x, 9), 0.05);
    let input = &compiled.report.layers[0];
    assert!(input.op == "Input" && input.by_channel, "{input:?}");
}

fn lstm(
    net: &mut Network,
    name: &str,
    input: &str,
    [inputs, hidden]: [i64; 2],
    both: bool,
    last: bool,
) -> String {
    let directions = if both { 2 } else { 1 };
    let w = net.weights(&format!("{name}.w"), &[directions, 4 * hidden, inputs], 0.6);
    let r = net.weights(&format!("{name}.r"), &[directions, 4 * hidden, hidden], 0.6);
    let b = net.weights(&format!("{name}.b"), &[directions, 8 * hidden], 0.4);
    let direction = if both { "bidirectional" } else { "forward" };
    let attributes = vec![int("hidden_size", hidden), text("direction", direction)];
    let outputs: &[&str] = if last { &["", name] } else { &[name] };
    net.node_with_outputs("LSTM", name, &[input, &w, &r, &b], outputs, attributes)
}

#[test]
fn lstms_in_one_and_two_directions() {
    let mut net = Network::new(8);
    let x = net.input("waveform");
    let x = net.conv("a", &x, &[6, 2, 7], 4);
    let x = net.relu(&x);
    let x = net.node(
        "Transpose",
        "time_first",
        &[&x],
        vec![ints("perm", &[2, 0, 1])],
    );
    // All states of both directions, joined as PyTorch does, read by a second one.
    let x = lstm(&mut net, "first", &x, [6, 5], true, false);
    let x = net.node(
        "Transpose",
        "pairs",
        &[&x],
        vec![ints("perm", &[0, 2, 1, 3])],
    );
    let shape = net.integers("shape", &[0, 0, -1]);
    let x = net.node("Reshape", "joined", &[&x, &shape], vec![]);
    let x = lstm(&mut net, "second", &x, [10, 7], false, true);
    let axes = net.integers("axes", &[0]);
    let x = net.node("Squeeze", "state", &[&x, &axes], vec![]);
    assert_close("lstm", &net.logits(&x, 7), 0.06);

    let mut net = Network::new(9);
    let x = net.input("spectrum");
    let x = net.node(
        "Transpose",
        "time_first",
        &[&x],
        vec![ints("perm", &[2, 0, 1])],
    );
    let x = lstm(&mut net, "last", &x, [2, 6], true, true);
    let x = net.node(
        "Transpose",
        "batch_first",
        &[&x],
        vec![ints("perm", &[1, 0, 2])],
    );
    let x = net.flat(&x);
    assert_close("both directions", &net.logits(&x, 12), 0.06);
}

/// What the shipped network does: parts of different ranges, one of them a flattened plane, joined for a dense layer.
#[test]
fn parts_of_a_vector_keep_their_scales() {
    let mut net = Network::new(10);
    let plane = net.input("spectrogram");
    let plane = net.conv("plane", &plane, &[3, 2, 3, 3], 2);
    let plane = net.relu(&plane);
    let plane = net.flat(&plane);
    let wave = net.input("waveform");
    let wave = net.conv("wave", &wave, &[4, 2, 7], 4);
    let wave = net.node(
        "Transpose",
        "time_first",
        &[&wave],
        vec![ints("perm", &[2, 0, 1])],
    );
    let wave = lstm(&mut net, "states", &wave, [4, 6], true, true);
    let wave = net.node(
        "Transpose",
        "batch_first",
        &[&wave],
        vec![ints("perm", &[1, 0, 2])],
    );
    let wave = net.flat(&wave);
    let features = net.input("metadata");
    let joined = net.node(
        "Concat",
        "join",
        &[&plane, &wave, &features],
        vec![int("axis", -1)],
    );
    let columns = 3 * 8 * 6 + 12 + 46;
    let weights = net.weights("dense.w", &[16, columns], 0.2);
    let x = net.node(
        "Gemm",
        "dense",
        &[&joined, &weights],
        vec![int("transB", 1)],
    );
    let x = net.relu(&x);
    let compiled = assert_close("parts", &net.logits(&x, 16), 0.03);
    let join = compiled
        .report
        .layers
        .iter()
        .find(|layer| layer.tensor == "join");
    assert!(join.is_some_and(|layer| layer.by_channel), "{join:?}");
}

#[test]
fn compiling_again_gives_the_same_bytes() {
    let mut net = Network::new(11);
    let x = net.input("metadata");
    let model = net.logits(&x, 46);
    assert_eq!(error_of(&model).1.image, error_of(&model).1.image);
}
