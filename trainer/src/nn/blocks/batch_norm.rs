//! Batch normalisation (Ioffe & Szegedy 2015), folded into the convolution before it at export.

use super::Parameters;
use tch::{Kind, Tensor};

/// Added to the variance before its root.
const EPSILON: f64 = 1e-5;
/// Weight of a batch in the running mean and variance.
const MOMENTUM: f64 = 0.1;

/// Normalises each channel over the batch, then scales and shifts it: gamma (x - mean) / sqrt(var + 1e-5) + beta.
///
/// # Shapes
/// `[batch, channels, ...]` to the same.
#[derive(Debug)]
pub struct BatchNorm {
    gamma: Tensor,
    beta: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl BatchNorm {
    /// For `channels` channels; starts as the identity.
    pub fn new(mut parameters: Parameters<'_>, channels: i64) -> Self {
        Self {
            gamma: parameters.constant("gamma", channels, 1.0),
            beta: parameters.constant("beta", channels, 0.0),
            mean: parameters.statistic("mean", channels, 0.0),
            variance: parameters.statistic("variance", channels, 1.0),
        }
    }

    /// Normalises by the batch's own statistics (`train`, which also updates the running ones) or by the running ones.
    pub fn forward(&self, x: &Tensor, train: bool) -> Tensor {
        x.batch_norm(
            Some(&self.gamma),
            Some(&self.beta),
            Some(&self.mean),
            Some(&self.variance),
            train,
            MOMENTUM,
            EPSILON,
            true,
        )
    }

    /// Weight and bias of the convolution that equals a convolution by `weight` without bias followed by this
    /// normalisation with its running statistics. Computed in f64, rounded once.
    ///
    /// # Shapes
    /// `[channels, ...]` to the same and `[channels]`.
    pub fn fold(&self, weight: &Tensor) -> (Tensor, Tensor) {
        let double = |tensor: &Tensor| tensor.detach().to_kind(Kind::Double);
        let gain = double(&self.gamma) / (double(&self.variance) + EPSILON).sqrt();
        let bias = double(&self.beta) - double(&self.mean) * &gain;
        let mut per_channel = vec![1; weight.dim()];
        per_channel[0] = -1;
        let weight = double(weight) * gain.reshape(per_channel.as_slice());
        (weight.to_kind(Kind::Float), bias.to_kind(Kind::Float))
    }
}
