//! A bidirectional LSTM that reads a sequence and answers with its last states.

use super::{Block, Parameters, ShapeError, initial_bound, sizes};
use crate::onnx::{Attribute, Graph};
use tch::{Device, Tensor};

/// Position of each of ONNX's gates (input, output, forget, cell) in libtorch's order (input, forget, cell, output).
const ONNX_GATES: [i64; 4] = [0, 3, 1, 2];

/// One direction: weights in libtorch's layout, the four gates stacked along the first axis.
#[derive(Debug)]
pub(super) struct Direction {
    /// `[4 hidden, channels]`
    pub(super) input: Tensor,
    /// `[4 hidden, hidden]`
    pub(super) recurrent: Tensor,
    /// `[4 hidden]`
    pub(super) input_bias: Tensor,
    /// `[4 hidden]`
    pub(super) recurrent_bias: Tensor,
}

impl Direction {
    /// Freshly drawn weights for `hidden` cells that read `channels`.
    pub(super) fn new(mut parameters: Parameters<'_>, channels: i64, hidden: i64) -> Self {
        let bound = initial_bound(hidden);
        Self {
            input: parameters.uniform("input", &[4 * hidden, channels], bound),
            recurrent: parameters.uniform("recurrent", &[4 * hidden, hidden], bound),
            input_bias: parameters.uniform("input_bias", &[4 * hidden], bound),
            recurrent_bias: parameters.uniform("recurrent_bias", &[4 * hidden], bound),
        }
    }

    /// Multiply-accumulates of one step.
    pub(super) fn macs(&self) -> usize {
        self.input.numel() + self.recurrent.numel()
    }

    /// The tensors in the order in which libtorch takes them.
    pub(super) fn weights(&self) -> [&Tensor; 4] {
        [
            &self.input,
            &self.recurrent,
            &self.input_bias,
            &self.recurrent_bias,
        ]
    }
}

/// An LSTM (Hochreiter & Schmidhuber 1997, with forget gate) in each direction of time. Its output is the forward
/// state after the last position, followed by the backward state after the first.
///
/// # Shapes
/// `[batch, channels, length]` to `[batch, 2 hidden]`.
#[derive(Debug)]
pub struct BiLstm {
    name: String,
    hidden: i64,
    steps: i64,
    directions: [Direction; 2],
    output_shape: [i64; 1],
}

impl BiLstm {
    /// For inputs of `[channels, length]`, with `hidden` cells in each direction.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(
        mut parameters: Parameters<'_>,
        input: &[i64],
        hidden: i64,
    ) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [channels, steps] = sizes(&name, input, "[channels, length]")?;
        let mut direction = |name: &str| Direction::new(parameters.sub(name), channels, hidden);
        Ok(Self {
            name,
            hidden,
            steps,
            directions: [direction("forward"), direction("backward")],
            output_shape: [2 * hidden],
        })
    }
}

impl Block for BiLstm {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let time_first = x.permute([2, 0, 1]);
        let state = Tensor::zeros([2, x.size()[0], self.hidden], (x.kind(), x.device()));
        let weights: Vec<Tensor> = self
            .directions
            .iter()
            .flat_map(Direction::weights)
            .map(|weight| weight.to_kind(x.kind()))
            .collect();
        let (_, last, _) = time_first.lstm(
            &[&state, &state],
            &weights.iter().collect::<Vec<_>>(),
            true,
            1,
            0.0,
            train,
            true,
            false,
        );
        last.transpose(0, 1).flatten(1, -1)
    }

    fn macs(&self) -> usize {
        let a_step: usize = self.directions.iter().map(Direction::macs).sum();
        self.steps as usize * a_step
    }

    /// `Transpose` to time first, `LSTM` with its default activations, and its last states (`Y_h`) side by side.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let stack = |part: fn(&Direction) -> &Tensor| {
            let [forward, backward] = &self.directions;
            Tensor::stack(&[onnx_gates(part(forward)), onnx_gates(part(backward))], 0)
        };
        let bias = Tensor::cat(&[stack(|d| &d.input_bias), stack(|d| &d.recurrent_bias)], 1);
        let weights = graph.constant(&format!("{}.w", self.name), &stack(|d| &d.input));
        let recurrent = graph.constant(&format!("{}.r", self.name), &stack(|d| &d.recurrent));
        let bias = graph.constant(&format!("{}.b", self.name), &bias);

        let time_first = graph.node(
            "Transpose",
            &format!("{}.time_first", self.name),
            &[input],
            vec![Attribute::ints("perm", &[2, 0, 1])],
        );
        let last = format!("{}.last", self.name);
        graph.node_with_outputs(
            "LSTM",
            &format!("{}.lstm", self.name),
            &[&time_first, &weights, &recurrent, &bias],
            &["", &last],
            vec![
                Attribute::int("hidden_size", self.hidden),
                Attribute::string("direction", "bidirectional"),
            ],
        );
        let batch_first = graph.node(
            "Transpose",
            &format!("{}.batch_first", self.name),
            &[&last],
            vec![Attribute::ints("perm", &[1, 0, 2])],
        );
        graph.node(
            "Flatten",
            &format!("{}.states", self.name),
            &[&batch_first],
            vec![Attribute::int("axis", 1)],
        )
    }
}

/// Reorders the gates along the first axis from libtorch's i, f, g, o to ONNX's i, o, f, c (g and c are one gate).
pub(super) fn onnx_gates(tensor: &Tensor) -> Tensor {
    let gates = tensor.detach().to_device(Device::Cpu).chunk(4, 0);
    let ordered: Vec<&Tensor> = ONNX_GATES.iter().map(|&g| &gates[g as usize]).collect();
    Tensor::cat(&ordered, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One value a gate: libtorch's input, forget, cell, output must come out as ONNX's input, output, forget, cell.
    #[test]
    fn gates_are_reordered_for_onnx() {
        let [input, forget, cell, output] = [1.0_f32, 2.0, 3.0, 4.0];
        let ours = Tensor::from_slice(&[input, forget, cell, output]);
        let theirs = Tensor::from_slice(&[input, output, forget, cell]);
        assert_eq!(onnx_gates(&ours), theirs);
    }
}
