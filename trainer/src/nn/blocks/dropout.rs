//! Dropout (Srivastava et al. 2014). In use of the network it is the identity and has no ONNX node.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use tch::Tensor;

/// Sets each value to zero with `probability` and scales the others by 1 / (1 - `probability`), so that the expected
/// value stays. Without a generator (not in training) it returns its input.
///
/// # Shapes
/// Any shape to the same.
pub fn dropout(x: &Tensor, probability: f64, rng: Option<&mut ChaCha8Rng>) -> Tensor {
    let Some(rng) = rng.filter(|_| probability > 0.0) else {
        return x.shallow_clone();
    };
    let kept = (1.0 / (1.0 - probability)) as f32;
    let mask: Vec<f32> = (0..x.numel())
        .map(|_| {
            if rng.random_bool(probability) {
                0.0
            } else {
                kept
            }
        })
        .collect();
    x * Tensor::from_slice(&mask)
        .reshape(x.size())
        .to_device(x.device())
        .to_kind(x.kind())
}
