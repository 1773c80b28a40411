//! What cannot be compiled is named: layer, found, expected. Nothing panics.

use super::super::import;
use super::*;
use proptest::prelude::*;
use prost::Message;

fn refusal(model: &ModelProto) -> String {
    match import(model) {
        Ok(_) => panic!("it was compiled"),
        Err(error) => error.to_string(),
    }
}

/// A network that can be compiled: a convolution, a pool, an LSTM and a dense layer.
fn network() -> Network {
    let mut net = Network::new(1);
    let x = net.input("waveform");
    let x = net.conv("conv", &x, &[4, 2, 3], 2);
    let attributes = vec![ints("kernel_shape", &[2]), ints("strides", &[2])];
    let x = net.node("MaxPool", "pool", &[&x], attributes);
    let x = net.node("Transpose", "time", &[&x], vec![ints("perm", &[2, 0, 1])]);
    let w = net.weights("lstm.w", &[1, 12, 4], 0.5);
    let r = net.weights("lstm.r", &[1, 12, 3], 0.5);
    let x = net.node_with_outputs(
        "LSTM",
        "lstm",
        &[&x, &w, &r],
        &["", "last"],
        vec![int("hidden_size", 3)],
    );
    assert_eq!(x, "lstm");
    let shape = net.integers("shape", &[-1, 3]);
    let x = net.node("Reshape", "vector", &["last", &shape], vec![]);
    net.logits(&x, 3);
    net
}

/// The same network with one node changed.
fn with(name: &str, change: impl Fn(&mut NodeProto)) -> ModelProto {
    let mut net = network();
    for node in net.graph().node.iter_mut().filter(|node| node.name == name) {
        change(node);
    }
    net.model
}

#[test]
fn the_unchanged_network_is_compiled() {
    let graph = import(&network().model).unwrap_or_else(|error| panic!("{error}"));
    let operators: Vec<String> = graph
        .nodes
        .iter()
        .map(|node| node.operator_name())
        .collect();
    assert_eq!(operators, ["Conv", "MaxPool", "LSTM", "Gemm"]);
    let macs: Vec<usize> = graph.nodes.iter().map(|node| graph.macs(node)).collect();
    assert_eq!(macs, [48 * 4 * 6, 0, 24 * 12 * 7, 12]);
    assert_eq!(graph.tensors[2].shape, [1, 24, 4]);
}

#[test]
fn operators_attributes_and_shapes_are_refused_by_name() {
    let attribute = |name: &str, attribute: AttributeProto| {
        with(name, |node| node.attribute.push(attribute.clone()))
    };
    let replaced = |name: &str, attribute: AttributeProto| {
        with(name, |node| {
            node.attribute.retain(|a| a.name != attribute.name);
            node.attribute.push(attribute.clone());
        })
    };
    let cases = [
        (
            with("conv", |node| node.op_type = "ConvTranspose".to_owned()),
            "conv (ConvTranspose): the operator is ConvTranspose, but only Add, ",
        ),
        (
            with("conv", |node| node.domain = "com.microsoft".to_owned()),
            "its domain is `com.microsoft`",
        ),
        (
            attribute("conv", ints("dilations", &[2])),
            "conv (Conv): attribute `dilations` is [2], but only 1 in all directions",
        ),
        (
            attribute("conv", text("auto_pad", "SAME_UPPER")),
            "attribute `auto_pad` is SAME_UPPER",
        ),
        (
            attribute("conv", int("group", 2)),
            "conv (Conv): attribute `group` is 2 with weights of [4, 2, 3] on 2 channels",
        ),
        (
            attribute("conv", ints("kernel_shape", &[5])),
            "attribute `kernel_shape` is [5], but only [3]",
        ),
        (
            replaced("conv", ints("pads", &[3, 1])),
            "conv (Conv): padding at the left is 3, but must be from 0 to 2",
        ),
        (
            replaced("conv", ints("pads", &[-1, 1])),
            "attribute `pads` is [-1, 1], but only 2 numbers from 0 up",
        ),
        (
            replaced("conv", ints("strides", &[0])),
            "attribute `strides` is [0]",
        ),
        (
            replaced("conv", int("strides", 2)),
            "the kind of attribute `strides` is 2, but only 7 (INTS)",
        ),
        (
            attribute("conv", int("novelty", 1)),
            "conv (Conv): an attribute is `novelty`",
        ),
        (
            attribute("pool", int("ceil_mode", 1)),
            "pool (MaxPool): attribute `ceil_mode` is 1, but only 0",
        ),
        (
            replaced("pool", ints("kernel_shape", &[99])),
            "pool (MaxPool): kernel width is 99",
        ),
        (
            with("pool", |node| {
                node.op_type = "AveragePool".to_owned();
                node.attribute.push(ints("pads", &[1, 0]));
                node.attribute.push(int("count_include_pad", 1));
            }),
            "pool (AveragePool): attribute `count_include_pad` is 1, but only 0",
        ),
        (
            with("pool", |node| node.output.push("last.indices".to_owned())),
            "",
        ),
        (
            replaced("time", ints("perm", &[0, 2, 1])),
            "lstm (LSTM): its input is [batch, 24, 4], but only [steps, batch, channels]",
        ),
        (
            replaced("time", ints("perm", &[0, 0, 1])),
            "time (Transpose): its effect [0, 0, 1] on [batch, 4, 24]",
        ),
        (
            replaced("time", ints("perm", &[1, 0, 2])),
            "lstm (LSTM): its input is [4, batch, 24]",
        ),
        (
            attribute("lstm", text("direction", "reverse")),
            "attribute `direction` is reverse, but only forward or bidirectional",
        ),
        (
            attribute("lstm", int("layout", 1)),
            "attribute `layout` is 1",
        ),
        (
            attribute("lstm", int("input_forget", 1)),
            "attribute `input_forget` is 1",
        ),
        (
            attribute(
                "lstm",
                AttributeProto {
                    name: "clip".to_owned(),
                    r#type: AttributeType::Float.into(),
                    f: 3.0,
                    ..AttributeProto::default()
                },
            ),
            "lstm (LSTM): attribute `clip` is given",
        ),
        (
            attribute(
                "lstm",
                AttributeProto {
                    name: "activations".to_owned(),
                    r#type: AttributeType::Strings.into(),
                    strings: vec![b"Sigmoid".to_vec(), b"Relu".to_vec(), b"Tanh".to_vec()],
                    ..AttributeProto::default()
                },
            ),
            "attribute `activations` is Sigmoid, Relu, Tanh, but only Sigmoid, Tanh, Tanh",
        ),
        (
            replaced("lstm", int("hidden_size", 4)),
            "lstm (LSTM): the shape of input 1 is [1, 12, 4], but only [1, 16, 4]",
        ),
        (
            with("lstm", |node| node.output = vec!["last".to_owned()]),
            "vector (Reshape): its effect to [-1, 3] on [24, 1, batch, 3]",
        ),
        (
            with("vector", |node| node.input[1] = "nowhere".to_owned()),
            "vector (Reshape): input 1 is `nowhere`, but only a constant",
        ),
        (
            with("vector", |node| node.input[0] = "nowhere".to_owned()),
            "input 0 is `nowhere`, which nothing before it writes",
        ),
        (
            with(OUTPUT, |node| node.input[0] = "conv".to_owned()),
            "logits (Gemm): its input is [batch, 4, 48], but only [batch, features]",
        ),
        (
            with(OUTPUT, |node| node.input[0] = "logits.b".to_owned()),
            "input 0 is the constant `logits.b`",
        ),
        (
            with(OUTPUT, |node| node.attribute[0].i = 0),
            "logits (Gemm): the shape of its bias is [4], but only [3]",
        ),
        (
            with(OUTPUT, |node| node.op_type = "Softmax".to_owned()),
            "logits (Softmax): the operator is Softmax",
        ),
    ];
    for (model, expected) in &cases {
        if expected.is_empty() {
            assert!(
                import(model).is_ok(),
                "an output that nothing reads does no harm"
            );
        } else {
            let found = refusal(model);
            assert!(
                found.contains(expected),
                "found {found}\nexpected {expected}"
            );
            assert!(!found.contains('\n'), "{found}");
        }
    }
}

#[test]
fn models_inputs_and_constants_are_refused_by_name() {
    let changed = |change: &dyn Fn(&mut ModelProto)| {
        let mut model = network().model;
        change(&mut model);
        refusal(&model)
    };
    let constant = |change: &dyn Fn(&mut TensorProto)| {
        changed(&|model| {
            for tensor in model.graph.iter_mut().flat_map(|g| &mut g.initializer) {
                if tensor.name == "conv.w" {
                    change(tensor);
                }
            }
        })
    };
    let graph = |change: &dyn Fn(&mut GraphProto)| {
        changed(&|model| change(model.graph.get_or_insert_default()))
    };
    for (found, expected) in [
        (
            changed(&|m| m.opset_import[0].version = 21),
            "model: its operator set is ai.onnx 21, but only ai.onnx 9 to 18",
        ),
        (
            changed(&|m| m.opset_import.clear()),
            "its operator set is not stated",
        ),
        (changed(&|m| m.graph = None), "model: its graph is missing"),
        (
            graph(&|g| g.output[0].name = "other".to_owned()),
            "the list of its outputs is [\"other\"], but only logits",
        ),
        (
            graph(&|g| g.input[0].name = "picture".to_owned()),
            "input picture: its name is `picture`, but only waveform, spectrum",
        ),
        (
            graph(&|g| {
                g.input[0] = value(
                    "waveform",
                    [Value::DimValue(1), Value::DimValue(2), Value::DimValue(95)].into_iter(),
                )
            }),
            "input waveform: its shape is [Some(1), Some(2), Some(95)], but only a batch of [2, 96]",
        ),
        (
            graph(&|g| {
                let first = g.node[0].clone();
                g.node.push(first);
            }),
            "conv (Conv): its output is `conv`, written twice",
        ),
        (
            constant(&|t| t.data_type = DataType::Double.into()),
            "constant conv.w: its type is DOUBLE, but only FLOAT",
        ),
        (
            constant(&|t| t.raw_data.truncate(7)),
            "constant conv.w: the number of its bytes is 7",
        ),
        (
            constant(&|t| t.dims = vec![4, 2, 4]),
            "constant conv.w: its shape is [4, 2, 4], but only a shape of its 24 elements",
        ),
        (
            constant(&|t| t.dims = vec![i64::MAX, i64::MAX, 2]),
            "constant conv.w: its shape",
        ),
        (
            constant(&|t| t.data_location = Some(1)),
            "constant conv.w: its place is another file",
        ),
        (
            constant(&|t| t.raw_data[0..4].copy_from_slice(&f32::NAN.to_le_bytes())),
            "constant conv.w: a value is NaN",
        ),
        (
            constant(&|t| {
                t.dims = vec![0, 2, 3];
                t.raw_data.clear();
            }),
            "conv (Conv): the shape of its bias is [4]",
        ),
    ] {
        assert!(
            found.contains(expected),
            "found {found}\nexpected {expected}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Damaged files are read or refused; nothing panics or takes all memory.
    #[test]
    fn damaged_models_never_panic(places in prop::collection::vec((0.0..1.0_f64, any::<u8>()), 1..6)) {
        let mut bytes = network().model.encode_to_vec();
        for (place, byte) in places {
            let place = (place * bytes.len() as f64) as usize;
            bytes[place] = byte;
        }
        if let Ok(model) = ModelProto::decode(bytes.as_slice()) {
            let _ = import(&model);
        }
    }
}
