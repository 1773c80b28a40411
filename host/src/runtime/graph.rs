//! What is done to an ONNX graph before an executor gets it.

use tract_onnx::pb::{ModelProto, TypeProto, ValueInfoProto, tensor_proto, type_proto};

/// The model with every tensor that its nodes compute as an output, in the order of the nodes, and their names.
pub(super) fn with_every_tensor(model: &ModelProto) -> (ModelProto, Vec<String>) {
    let mut model = model.clone();
    let Some(graph) = &mut model.graph else {
        return (model, Vec::new());
    };
    // An optional output that is left out has no name.
    let computed = graph.node.iter().flat_map(|node| &node.output);
    let names: Vec<String> = computed.filter(|name| !name.is_empty()).cloned().collect();
    let float = TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: tensor_proto::DataType::Float.into(),
            shape: None,
        })),
        ..TypeProto::default()
    };
    graph.output = names
        .iter()
        .map(|name| ValueInfoProto {
            name: name.clone(),
            r#type: Some(float.clone()),
            ..ValueInfoProto::default()
        })
        .collect();
    (model, names)
}
