//! An LSTM that reads a sequence forward and answers with its last state.

use super::bilstm::{Direction, onnx_gates};
use super::{Block, Parameters, ShapeError, sizes};
use crate::onnx::{Attribute, Graph};
use tch::{Kind, Tensor};

/// An LSTM (Hochreiter & Schmidhuber 1997, with forget gate) forward in time. Its output is the hidden state after the
/// last position.
///
/// # Shapes
/// `[batch, channels, length]` to `[batch, hidden]`.
#[derive(Debug)]
pub struct Lstm {
    name: String,
    hidden: i64,
    steps: i64,
    forward: Direction,
    output_shape: [i64; 1],
}

impl Lstm {
    /// For inputs of `[channels, length]`, with `hidden` cells.
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
        Ok(Self {
            name,
            hidden,
            steps,
            forward: Direction::new(parameters.sub("forward"), channels, hidden),
            output_shape: [hidden],
        })
    }
}

impl Block for Lstm {
    fn output_shape(&self) -> &[i64] {
        &self.output_shape
    }

    fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        let time_first = x.permute([2, 0, 1]);
        let state = Tensor::zeros([1, x.size()[0], self.hidden], (Kind::Float, x.device()));
        let weights = self.forward.weights();
        let (_, last, _) = time_first.lstm(
            &[&state, &state],
            &weights,
            true,
            1,
            0.0,
            train,
            false,
            false,
        );
        last.squeeze_dim(0)
    }

    fn macs(&self) -> usize {
        self.steps as usize * self.forward.macs()
    }

    /// `Transpose` to time first, `LSTM` with its default activations, and its last state (`Y_h`) as a vector.
    fn onnx(&self, graph: &mut Graph, input: &str) -> String {
        let one = |tensor: &Tensor| onnx_gates(tensor).unsqueeze(0);
        let d = &self.forward;
        let bias = Tensor::cat(&[one(&d.input_bias), one(&d.recurrent_bias)], 1);
        let weights = graph.constant(&format!("{}.w", self.name), &one(&d.input));
        let recurrent = graph.constant(&format!("{}.r", self.name), &one(&d.recurrent));
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
                Attribute::string("direction", "forward"),
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
            &format!("{}.state", self.name),
            &[&batch_first],
            vec![Attribute::int("axis", 1)],
        )
    }
}
