//! An LSTM that reads a sequence, forward or both ways, and answers with its last states.

use super::{Block, Parameters, ShapeError, initial_bound, sizes};
use crate::nn::onnx::{Attribute, Graph};
use tch::{Device, Tensor};

/// Position of each of ONNX's gates (input, output, forget, cell) in libtorch's order (input, forget, cell, output).
const ONNX_GATES: [i64; 4] = [0, 3, 1, 2];

/// Which way in time an LSTM reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the first position to the last.
    Forward,
    /// Forward with one set of cells and backward with another: a BiLSTM (Graves & Schmidhuber 2005).
    Both,
}

impl Direction {
    /// The names of its sets of cells in a checkpoint, in the order of libtorch and ONNX.
    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Forward => &["forward"],
            Self::Both => &["forward", "backward"],
        }
    }

    /// What ONNX calls it.
    const fn onnx(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Both => "bidirectional",
        }
    }
}

/// The weights of the cells that read one way, in libtorch's layout: the four gates stacked along the first axis.
#[derive(Debug)]
struct Cells {
    /// `[4 hidden, channels]`
    input: Tensor,
    /// `[4 hidden, hidden]`
    recurrent: Tensor,
    /// `[4 hidden]`
    input_bias: Tensor,
    /// `[4 hidden]`
    recurrent_bias: Tensor,
}

impl Cells {
    fn new(mut parameters: Parameters<'_>, channels: i64, hidden: i64) -> Self {
        let bound = initial_bound(hidden);
        Self {
            input: parameters.uniform("input", &[4 * hidden, channels], bound),
            recurrent: parameters.uniform("recurrent", &[4 * hidden, hidden], bound),
            input_bias: parameters.uniform("input_bias", &[4 * hidden], bound),
            recurrent_bias: parameters.uniform("recurrent_bias", &[4 * hidden], bound),
        }
    }

    /// Multiply-accumulates of one step.
    fn macs(&self) -> usize {
        self.input.numel() + self.recurrent.numel()
    }

    /// In the order in which libtorch takes them.
    fn weights(&self) -> [&Tensor; 4] {
        [
            &self.input,
            &self.recurrent,
            &self.input_bias,
            &self.recurrent_bias,
        ]
    }
}

/// An LSTM (Hochreiter & Schmidhuber 1997, with forget gate). Its output is the hidden state of the forward cells after
/// the last position, followed, where it reads [both ways](Direction::Both), by that of the backward cells after the
/// first; or [all](Self::giving_all) hidden states.
///
/// # Shapes
/// `[batch, channels, length]` to `[batch, hidden]`, and both ways to `[batch, 2 hidden]`; of all states, with `length` behind.
#[derive(Debug)]
pub struct Lstm {
    name: String,
    hidden: i64,
    steps: i64,
    direction: Direction,
    /// As many as the direction has names.
    cells: Vec<Cells>,
    /// Its shape says whether all hidden states are given.
    output_shape: Vec<i64>,
}

impl Lstm {
    /// For inputs of `[channels, length]`, with `hidden` cells each way.
    ///
    /// # Errors
    /// If `input` is of another rank.
    pub fn new(
        mut parameters: Parameters<'_>,
        input: &[i64],
        hidden: i64,
        direction: Direction,
    ) -> Result<Self, ShapeError> {
        let name = parameters.name();
        let [channels, steps] = sizes(&name, input, "[channels, length]")?;
        let cells = |name: &&str| Cells::new(parameters.sub(name), channels, hidden);
        let cells: Vec<Cells> = direction.names().iter().map(cells).collect();
        Ok(Self {
            name,
            hidden,
            steps,
            direction,
            output_shape: vec![cells.len() as i64 * hidden],
            cells,
        })
    }

    /// The same LSTM, whose output is the hidden state at every position, of both ways side by side.
    #[must_use]
    pub fn giving_all(mut self) -> Self {
        self.output_shape.truncate(1);
        self.output_shape.push(self.steps);
        self
    }

    fn gives_all(&self) -> bool {
        self.output_shape.len() > 1
    }
}

impl Block for Lstm {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let time_first = x.permute([2, 0, 1]);
        let ways = self.cells.len() as i64;
        let state = Tensor::zeros([ways, x.size()[0], self.hidden], (x.kind(), x.device()));
        let weights = self.cells.iter().flat_map(Cells::weights);
        let weights: Vec<Tensor> = weights.map(|w| w.to_kind(x.kind())).collect();
        let (all, last, _) = time_first.lstm(
            &[&state, &state],
            &weights.iter().collect::<Vec<_>>(),
            true,
            1,
            0.0,
            train,
            self.direction == Direction::Both,
            false,
        );
        if self.gives_all() {
            return all.permute([1, 2, 0]);
        }
        last.transpose(0, 1).flatten(1, -1)
    }

    fn macs(&self) -> usize {
        let a_step: usize = self.cells.iter().map(Cells::macs).sum();
        self.steps as usize * a_step
    }

    /// `Transpose` to time first, `LSTM` with its default activations, and its last states (`Y_h`), or all of them (`Y`), side
    /// by side.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let stack = |part: fn(&Cells) -> &Tensor| {
            let parts: Vec<Tensor> = self.cells.iter().map(|c| onnx_gates(part(c))).collect();
            Tensor::stack(&parts, 0)
        };
        let bias = Tensor::cat(&[stack(|c| &c.input_bias), stack(|c| &c.recurrent_bias)], 1);
        let weights = graph.constant(&format!("{}.w", self.name), &stack(|c| &c.input));
        let recurrent = graph.constant(&format!("{}.r", self.name), &stack(|c| &c.recurrent));
        let bias = graph.constant(&format!("{}.b", self.name), &bias);

        let time_first = graph.node(
            "Transpose",
            &format!("{}.time_first", self.name),
            &[input],
            vec![Attribute::ints("perm", &[2, 0, 1])],
        );
        let all = format!("{}.all", self.name);
        let last = format!("{}.last", self.name);
        let outputs: &[&str] = if self.gives_all() {
            &[&all]
        } else {
            &["", &last]
        };
        graph.node_with_outputs(
            "LSTM",
            &format!("{}.lstm", self.name),
            &[&time_first, &weights, &recurrent, &bias],
            outputs,
            vec![
                Attribute::int("hidden_size", self.hidden),
                Attribute::string("direction", self.direction.onnx()),
            ],
        );
        if self.gives_all() {
            // [length, ways, batch, hidden] to [batch, ways, hidden, length], and the ways beside each other.
            let batch_first = graph.node(
                "Transpose",
                &format!("{}.batch_first", self.name),
                &[&all],
                vec![Attribute::ints("perm", &[2, 1, 3, 0])],
            );
            let shape = [0, self.cells.len() as i64 * self.hidden, self.steps];
            let shape = graph.integers(&format!("{}.shape", self.name), &shape);
            let name = format!("{}.states", self.name);
            return graph.node("Reshape", &name, &[&batch_first, &shape], vec![]);
        }
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
fn onnx_gates(tensor: &Tensor) -> Tensor {
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
