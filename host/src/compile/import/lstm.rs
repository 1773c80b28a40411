//! LSTMs.

use super::super::error::CompileError;
use super::super::graph::{LstmWeights, Operator};
use super::super::layout::Layout;
use super::super::onnx;
use super::Importer;
use heartlens_core::nn::{LstmOutput, LstmShape, MAX_GATE_COLUMNS};

/// Position of each of our gates (input, forget, candidate, output) among ONNX's (input, output, forget, cell).
const ONNX_GATES: [usize; 4] = [0, 2, 3, 1];

impl<'a> Importer<'a> {
    pub(super) fn lstm(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        let directions = lstm_directions(node)?;
        let value = self.value(node, 0)?;
        let Some([steps, inputs]) = value.layout.sequence() else {
            let expected = "[steps, batch, channels], stored channels last,";
            return Err(node.refuse("its input", value.layout.text(), expected));
        };
        for (index, what) in [(4, "sequence_lens"), (7, "P")] {
            if node.input(index).is_some() {
                return Err(node.refuse(
                    format!("input {index} ({what})"),
                    "given",
                    "an LSTM without it",
                ));
            }
        }
        for (index, what) in [(5, "initial_h"), (6, "initial_c")] {
            let starts_at_zero = node.input(index).is_none()
                || self.floats(node, index)?.values.iter().all(|v| *v == 0.0);
            if !starts_at_zero {
                return Err(node.refuse(
                    format!("input {index} ({what})"),
                    "not zero",
                    "a start from zero",
                ));
            }
        }
        let hidden = node.int("hidden_size", 0)?;
        let hidden = usize::try_from(hidden)
            .ok()
            .filter(|n| (1..=MAX_GATE_COLUMNS).contains(n))
            .ok_or_else(|| node.refuse("attribute `hidden_size`", hidden, "1 to 1024"))?;
        let weights = self.gates(node, directions, [inputs, hidden])?;
        let output = |index: usize| {
            let name = node.proto.output.get(index).map(String::as_str)?;
            self.reads.contains_key(name).then_some(name)
        };
        let (name, kept, layout, shape) = match (output(0), output(1), output(2)) {
            (Some(name), None, None) => {
                let layout = Layout::new(
                    &[steps, directions, hidden],
                    &[Some(0), Some(1), None, Some(2)],
                );
                (
                    name,
                    LstmOutput::Sequence,
                    layout,
                    [1, steps, directions * hidden],
                )
            }
            (None, Some(name), None) => {
                let layout = Layout::new(&[directions, hidden], &[Some(0), None, Some(1)]);
                (name, LstmOutput::Last, layout, [1, 1, directions * hidden])
            }
            outputs => {
                let names: Vec<&str> = [outputs.0, outputs.1, outputs.2]
                    .into_iter()
                    .flatten()
                    .collect();
                return Err(node.refuse(
                    "what is read of it",
                    format!("{names:?}"),
                    "either Y or Y_h",
                ));
            }
        };
        let operator = Operator::Lstm {
            shape: LstmShape {
                steps,
                inputs,
                hidden,
                output: kept,
            },
            directions: weights,
        };
        self.push_as(name, node, vec![value.tensor], operator, shape, layout)
    }

    /// The weights of each direction, gates brought to our order and both biases added.
    fn gates(
        &self,
        node: &onnx::Node<'a>,
        directions: usize,
        [inputs, hidden]: [usize; 2],
    ) -> Result<Vec<LstmWeights>, CompileError> {
        let matrix = |index: usize, columns: usize| {
            let weights = self.floats(node, index)?;
            let expected = [directions, 4 * hidden, columns];
            if weights.dims == expected {
                return Ok(weights.values);
            }
            let what = format!("the shape of input {index}");
            Err(node.refuse(what, format!("{:?}", weights.dims), format!("{expected:?}")))
        };
        let (w, r) = (matrix(1, inputs)?, matrix(2, hidden)?);
        let b = match node.input(3) {
            None => vec![0.0; directions * 8 * hidden],
            Some(_) => {
                let bias = self.floats(node, 3)?;
                let expected = [directions, 8 * hidden];
                if bias.dims != expected {
                    return Err(node.refuse(
                        "the shape of input 3",
                        format!("{:?}", bias.dims),
                        format!("{expected:?}"),
                    ));
                }
                bias.values
            }
        };
        let ordered = |block: &[f32]| -> Vec<f32> {
            let gate = block.len() / 4;
            ONNX_GATES
                .iter()
                .flat_map(|g| &block[g * gate..(g + 1) * gate])
                .copied()
                .collect()
        };
        Ok(w.chunks_exact(4 * hidden * inputs)
            .zip(r.chunks_exact(4 * hidden * hidden))
            .zip(b.chunks_exact(8 * hidden))
            .map(|((w, r), b)| {
                let (of_input, of_hidden) = b.split_at(4 * hidden);
                let bias: Vec<f32> = of_input.iter().zip(of_hidden).map(|(a, b)| a + b).collect();
                LstmWeights {
                    input: ordered(w),
                    hidden: ordered(r),
                    bias: ordered(&bias),
                }
            })
            .collect())
    }
}

/// Checks an LSTM's attributes and gives its number of directions.
fn lstm_directions(node: &onnx::Node<'_>) -> Result<usize, CompileError> {
    node.only(&[
        "activation_alpha",
        "activation_beta",
        "activations",
        "clip",
        "direction",
        "hidden_size",
        "input_forget",
        "layout",
    ])?;
    node.must_be("input_forget", 0)?;
    node.must_be("layout", 0)?;
    for name in ["activation_alpha", "activation_beta", "clip"] {
        if node.proto.attribute.iter().any(|a| a.name == name) {
            return Err(node.refuse(format!("attribute `{name}`"), "given", "an LSTM without it"));
        }
    }
    let directions = match node.text("direction", "forward")?.as_str() {
        "forward" => 1,
        "bidirectional" => 2,
        other => {
            return Err(node.refuse("attribute `direction`", other, "forward or bidirectional"));
        }
    };
    if let Some(activations) = node.texts("activations")? {
        let usual = ["Sigmoid", "Tanh", "Tanh"].repeat(directions);
        if !activations
            .iter()
            .map(|a| a.to_lowercase())
            .eq(usual.iter().map(|a| a.to_lowercase()))
        {
            return Err(node.refuse(
                "attribute `activations`",
                activations.join(", "),
                usual.join(", "),
            ));
        }
    }
    Ok(directions)
}
