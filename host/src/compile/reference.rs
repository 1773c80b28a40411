//! The float network in tract, every tensor of the graph as an output.

use super::error::CompileError;
use super::graph::Graph;
use super::source::one_line;
use heartlens_core::model::{AnyView, ViewValues};
use std::sync::Arc;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

/// The float network, planned for one beat at a time.
pub(super) struct Reference {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<(AnyView, Vec<usize>)>,
    /// Which of the graph's tensors each output is.
    outputs: Vec<usize>,
}

impl Reference {
    /// Plans `model`, of which `graph` was made.
    ///
    /// # Errors
    /// When tract refuses the model.
    pub(super) fn new(model: &ModelProto, graph: &Graph) -> Result<Self, CompileError> {
        let inputs: Vec<(AnyView, Vec<usize>)> = graph
            .inputs
            .iter()
            .filter_map(|input| {
                let name = &graph.tensors[*input].name;
                let view = AnyView::named(name)?;
                let shape = view.shape().iter().copied();
                Some((view, std::iter::once(1).chain(shape).collect()))
            })
            .collect();
        let outputs: Vec<usize> = (0..graph.tensors.len())
            .filter(|tensor| !graph.inputs.contains(tensor))
            .collect();
        let plan = || -> TractResult<Arc<TypedRunnableModel>> {
            let mut plan = tract_onnx::onnx()
                .model_for_proto_model(model)?
                .with_input_names(inputs.iter().map(|(view, _)| view.name()))?
                .with_outputs_by_name(outputs.iter().map(|tensor| &graph.tensors[*tensor].name))?;
            for (index, (_, shape)) in inputs.iter().enumerate() {
                plan.set_input_fact(index, f32::fact(shape).into())?;
            }
            plan.into_optimized()?.into_runnable()
        };
        let plan = plan().map_err(|error| failure(&error))?;
        Ok(Self {
            plan,
            inputs,
            outputs,
        })
    }

    /// The values of every tensor of the graph on one beat, stored as the graph says.
    ///
    /// # Errors
    /// When tract fails or computes a number that is not finite.
    pub(super) fn run(
        &self,
        graph: &Graph,
        beat: &impl ViewValues,
    ) -> Result<Vec<Vec<f32>>, CompileError> {
        let mut tensors = vec![Vec::new(); graph.tensors.len()];
        let mut inputs = tvec!();
        for ((view, shape), tensor) in self.inputs.iter().zip(&graph.inputs) {
            let values = beat.values(*view);
            tensors[*tensor] = stored(&graph.tensors[*tensor].order, values);
            let input = Tensor::from_shape(shape, values).map_err(|error| failure(&error))?;
            inputs.push(input.into());
        }
        let outputs = self.plan.run(inputs).map_err(|error| failure(&error))?;
        for (tensor, output) in self.outputs.iter().zip(outputs) {
            let output = output
                .to_plain_array_view::<f32>()
                .map_err(|error| failure(&error))?;
            let values: Vec<f32> = output.iter().copied().collect();
            let described = &graph.tensors[*tensor];
            if values.len() != described.len() {
                return Err(CompileError::Float {
                    reason: format!(
                        "{} has {} elements, expected {}",
                        described.name,
                        values.len(),
                        described.len()
                    ),
                });
            }
            if let Some(found) = values.iter().find(|value| !value.is_finite()) {
                return Err(CompileError::NotFinite {
                    tensor: described.name.clone(),
                    found: *found,
                });
            }
            tensors[*tensor] = stored(&described.order, &values);
        }
        Ok(tensors)
    }
}

fn stored(order: &[usize], values: &[f32]) -> Vec<f32> {
    let mut stored = vec![0.0; values.len()];
    for (value, place) in values.iter().zip(order) {
        stored[*place] = *value;
    }
    stored
}

fn failure(error: &TractError) -> CompileError {
    CompileError::Float {
        reason: one_line(error),
    }
}
