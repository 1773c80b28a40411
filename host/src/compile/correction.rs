//! Bias correction (Nagel et al. 2019, arXiv:1906.04721, section 4.2, with the means measured instead of derived):
//! rounding weights and activations moves the mean of what a layer computes, and its bias takes the mean back.

use super::graph::{Graph, LstmWeights, Node, Operator};
use heartlens_core::nn::WindowShape;

/// What is added to the biases of `node`, in real units: the mean of what the float layer computes of the float input,
/// less that of the integers' weights and input. Means are by element of the input, over beats. Empty where the node has
/// no bias.
pub(super) fn correction(
    graph: &Graph,
    node: &Node,
    float_mean: &[f64],
    integer_mean: &[f64],
    integer_weights: &[f32],
) -> Vec<f64> {
    let Some(float_weights) = weights(node) else {
        return Vec::new();
    };
    let expected = mean_output(graph, node, &float_weights, float_mean);
    let found = mean_output(graph, node, integer_weights, integer_mean);
    expected.iter().zip(found).map(|(e, f)| e - f).collect()
}

/// The weights that multiply a node's input.
fn weights(node: &Node) -> Option<Vec<f32>> {
    match &node.operator {
        Operator::Convolution { weights, .. }
        | Operator::Depthwise { weights, .. }
        | Operator::Dense { weights, .. } => Some(weights.clone()),
        Operator::Lstm { directions, .. } => {
            let input = |direction: &LstmWeights| direction.input.clone();
            Some(directions.iter().flat_map(input).collect())
        }
        _ => None,
    }
}

/// The mean output of each row of weights, without its bias, over all positions (of an LSTM's gates, over all steps,
/// the input's share alone).
fn mean_output(graph: &Graph, node: &Node, weights: &[f32], mean: &[f64]) -> Vec<f64> {
    match &node.operator {
        Operator::Convolution { window, .. } => by_row(weights, &mean_window(window, mean)),
        Operator::Depthwise { window, .. } => {
            // `[columns, rows, channels]`, where the weights are `[rows, columns, channels]`.
            let mean = mean_window(window, mean);
            let [rows, columns] = window.kernel;
            (0..window.channels)
                .map(|channel| {
                    (0..rows * columns)
                        .map(|tap| {
                            let (row, column) = (tap / columns, tap % columns);
                            let place = (column * rows + row) * window.channels + channel;
                            f64::from(weights[tap * window.channels + channel]) * mean[place]
                        })
                        .sum()
                })
                .collect()
        }
        Operator::Dense { .. } => by_row(weights, mean),
        Operator::Lstm { shape, .. } => {
            let mut step = vec![0.0; shape.inputs];
            for (i, value) in mean.iter().enumerate() {
                step[i % shape.inputs] += value / shape.steps as f64;
            }
            by_row(weights, &step)
        }
        _ => vec![0.0; graph.tensors[node.output].shape[2]],
    }
}

fn by_row(weights: &[f32], mean: &[f64]) -> Vec<f64> {
    let product = |row: &[f32]| row.iter().zip(mean).map(|(w, x)| f64::from(*w) * x).sum();
    weights.chunks_exact(mean.len()).map(product).collect()
}

/// The mean of what lies under each element of the window, over all its positions; padding is zero. In the order
/// `[kernel columns, kernel rows, channels]`.
fn mean_window(window: &WindowShape, mean: &[f64]) -> Vec<f64> {
    let [rows, columns] = window.kernel;
    let [top, left, bottom, right] = window.padding;
    let positions = |size: usize, kernel: usize, stride: usize| (size - kernel) / stride + 1;
    let height = positions(window.height + top + bottom, rows, window.stride[0]);
    let width = positions(window.width + left + right, columns, window.stride[1]);
    let count = (height * width) as f64;
    let mut under = vec![0.0; rows * columns * window.channels];
    for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)))
        {
            let source = (y * window.stride[0] + row)
                .checked_sub(top)
                .filter(|y| *y < window.height);
            let place = (x * window.stride[1] + column)
                .checked_sub(left)
                .filter(|x| *x < window.width);
            if let (Some(y), Some(x)) = (source, place) {
                let from = &mean[(y * window.width + x) * window.channels..][..window.channels];
                let to = &mut under[(column * rows + row) * window.channels..][..window.channels];
                for (to, from) in to.iter_mut().zip(from) {
                    *to += from / count;
                }
            }
        }
    }
    under
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_under_a_window_counts_padding_as_zero() {
        // One channel, length 3, kernel 3, padded by one: 0 a b, a b c, b c 0.
        let window = WindowShape::line(3, 1, 3, 1, [1, 1]);
        let mean = mean_window(&window, &[3.0, 6.0, 9.0]);
        for (found, expected) in mean.iter().zip([3.0, 6.0, 5.0]) {
            assert!((found - expected).abs() < 1e-12, "{mean:?}");
        }
        // Two rows, two columns, two channels, one position: columns first.
        let window = WindowShape::global(2, 2, 2);
        let mean = mean_window(&window, &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(mean, [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
    }
}
