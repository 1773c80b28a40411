//! AdamW with gradient clipping, the one-cycle schedule, and averaged weights.
//!
//! tch's own optimisers cannot hand out their state, so a training could not be resumed to the same result; here the
//! state is two flat tensors that go into the checkpoint.

use tch::{Kind, Tensor};

/// Decay of the mean of the gradient.
const BETA_1: f64 = 0.9;
/// Decay of the mean of the squared gradient.
const BETA_2: f64 = 0.999;
/// Added to the root of the mean squared gradient.
const EPSILON: f64 = 1e-8;
/// The learning rate starts at the peak divided by this.
const START_DIVISOR: f64 = 25.0;
/// The learning rate ends at its start divided by this.
const END_DIVISOR: f64 = 1e4;

/// AdamW (Loshchilov & Hutter 2019) over all parameters as one flat vector.
#[derive(Debug)]
pub struct AdamW {
    parameters: Vec<Tensor>,
    weight_decay: f64,
    clip_norm: f64,
    /// Mean of the gradient, `[parameters]`.
    pub first: Tensor,
    /// Mean of the squared gradient, `[parameters]`.
    pub second: Tensor,
}

impl AdamW {
    /// For trainable `parameters`, which it updates in place. The gradient is scaled down to an L2 norm of
    /// `clip_norm` where it is larger.
    pub fn new(parameters: Vec<Tensor>, weight_decay: f64, clip_norm: f64) -> Self {
        let count: usize = parameters.iter().map(Tensor::numel).sum();
        let device = parameters.first().map_or(tch::Device::Cpu, Tensor::device);
        let zeros = || Tensor::zeros([count as i64], (Kind::Float, device));
        Self {
            parameters,
            weight_decay,
            clip_norm,
            first: zeros(),
            second: zeros(),
        }
    }

    /// One step along the gradients that `backward` has left in the parameters, which are then cleared. `step` counts
    /// from 0.
    pub fn step(&mut self, step: u32, learning_rate: f64) {
        let _no_grad = tch::no_grad_guard();
        let gradients: Vec<Tensor> = self
            .parameters
            .iter()
            .map(|parameter| match parameter.grad() {
                gradient if gradient.defined() => gradient.flatten(0, -1),
                _ => Tensor::zeros_like(parameter).flatten(0, -1),
            })
            .collect();
        let gradient = Tensor::cat(&gradients, 0);
        let clip = (self.clip_norm / (gradient.norm() + 1e-6)).clamp_max(1.0);
        let gradient = gradient * clip;

        let _ = self.first.lerp_(&gradient, 1.0 - BETA_1);
        let _ = self.second.lerp_(&gradient.square(), 1.0 - BETA_2);
        let count = f64::from(step) + 1.0;
        let mean = &self.first / (1.0 - BETA_1.powf(count));
        let root = (&self.second / (1.0 - BETA_2.powf(count))).sqrt() + EPSILON;
        let update = mean / root * learning_rate;

        let mut start = 0;
        for parameter in &mut self.parameters {
            let count = parameter.numel() as i64;
            let update = update.narrow(0, start, count).view_as(parameter);
            let _ = parameter.g_mul_scalar_(1.0 - learning_rate * self.weight_decay);
            let _ = parameter.g_sub_(&update);
            parameter.zero_grad();
            start += count;
        }
    }
}

/// The learning rate of `step` (from 0) of `steps`: a cosine rise from `peak` / 25 over the share `warm_up` of the
/// steps, then a cosine fall to `peak` / 250,000. The one-cycle policy of Smith & Topin 2019 with PyTorch's defaults,
/// momentum left alone.
pub fn one_cycle(step: u32, steps: u32, peak: f64, warm_up: f64) -> f64 {
    let start = peak / START_DIVISOR;
    let end = start / END_DIVISOR;
    let summit = (warm_up * f64::from(steps) - 1.0).max(0.0);
    let last = f64::from(steps.saturating_sub(1));
    let step = f64::from(step).min(last);
    let cosine = |from: f64, to: f64, share: f64| {
        to + (from - to) / 2.0 * (1.0 + (std::f64::consts::PI * share).cos())
    };
    if step < summit {
        cosine(start, peak, step / summit)
    } else if last > summit {
        cosine(peak, end, (step - summit) / (last - summit))
    } else {
        peak
    }
}

/// Moves the averaged weights towards `current` after `step` (from 0): average += (current - average) (1 - d) with
/// d = min(`decay`, (step + 1) / (step + 10)), so that the first steps do not linger.
///
/// # Shapes
/// `average` and `current` hold the same tensors in the same order.
pub fn update_average(average: &mut [Tensor], current: &[Tensor], step: u32, decay: f64) {
    let _no_grad = tch::no_grad_guard();
    let decay = decay.min((f64::from(step) + 1.0) / (f64::from(step) + 10.0));
    for (average, current) in average.iter_mut().zip(current) {
        let _ = average.lerp_(current, 1.0 - decay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps by hand on one parameter with gradient 4 (clipped to 2): Adam's normalised step is 1 for a constant
    /// gradient, whatever its size.
    #[test]
    fn adamw_decays_and_steps() {
        let parameter = Tensor::from_slice(&[10.0_f32]).set_requires_grad(true);
        let mut optimizer = AdamW::new(vec![parameter.shallow_clone()], 0.1, 2.0);
        let mut expected = 10.0_f64;
        for step in 0..2 {
            (&parameter * 4.0).sum(Kind::Float).backward();
            optimizer.step(step, 0.5);
            expected = expected * (1.0 - 0.5 * 0.1) - 0.5;
            let found = parameter.double_value(&[0]);
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
        // The mean of the clipped gradient: 2 (1 - 0.9^2).
        assert!((optimizer.first.double_value(&[0]) - 0.38).abs() < 1e-5);
    }

    #[test]
    fn one_cycle_rises_and_falls() {
        let rate = |step| one_cycle(step, 700, 3e-3, 0.15);
        assert!((rate(0) - 1.2e-4).abs() < 1e-12);
        assert!((rate(104) - 3e-3).abs() < 1e-12);
        assert!((rate(699) - 1.2e-8).abs() < 1e-12);
        assert!((1..=104).all(|s| rate(s) > rate(s - 1)));
        assert!((105..700).all(|s| rate(s) < rate(s - 1)));
        // Halfway up and halfway down a cosine is at the mean of its ends.
        assert!((rate(52) - (1.2e-4 + 3e-3) / 2.0).abs() < 1e-12);
        assert_eq!(one_cycle(0, 1, 3e-3, 0.15), 3e-3);
    }

    #[test]
    fn average_starts_quickly() {
        let mut average = [Tensor::from_slice(&[0.0_f32])];
        let current = [Tensor::from_slice(&[1.0_f32])];
        update_average(&mut average, &current, 0, 0.99);
        assert!((average[0].double_value(&[0]) - 0.9).abs() < 1e-6);
        update_average(&mut average, &current, 10_000, 0.99);
        assert!((average[0].double_value(&[0]) - 0.901).abs() < 1e-6);
    }
}
