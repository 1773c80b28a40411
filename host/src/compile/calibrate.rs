//! Ranges, scales and biases, chosen by what agrees best with float on beats that were not measured.

use super::correction::correction;
use super::error::CompileError;
use super::graph::Graph;
use super::image;
use super::integer;
use super::quantise::{Card, Quantised, TensorRange, only_feeds_dense, quantise};
use super::ranges::{RangeRule, WeightRule};
use super::reference::Reference;
use super::report::{Candidate, Layer, Report};
use crate::runtime::{Logits, argmax};
use heartlens_core::model::ViewValues;
use tract_onnx::pb::ModelProto;

/// Most numbers of the float network that are kept, all tensors and beats together (256 MiB).
const MAX_KEPT: usize = 1 << 26;
/// Beats that means and errors of layers are taken over.
const LAYER_BEATS: usize = 512;

/// A compiled network.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// The device image.
    pub image: Vec<u8>,
    /// How it was made and how it compares with float.
    pub report: Report,
}

/// What is going on, and how much of it is done, 0..=1.
pub type Observer<'a> = &'a mut dyn FnMut(&'static str, f64);

/// Compiles the network of `model`: ranges are measured on `calibration`; every rule for ranges and weights is tried,
/// and the program that gives most of the `held_out` beats the label of the float network (of equals, the one whose
/// logits are closest) is taken, with its biases corrected if that helps. The same input gives the same bytes.
///
/// # Errors
/// When something of the network cannot be compiled, tract cannot run it, or there are too few beats.
pub fn compile<V: ViewValues + Clone>(
    model: &ModelProto,
    card: &Card,
    calibration: &[V],
    held_out: &[V],
    observe: Observer<'_>,
) -> Result<Compiled, CompileError> {
    let graph = super::import(model)?;
    for beats in [calibration, held_out] {
        if beats.len() < super::beats::LEAST_BEATS {
            return Err(CompileError::TooFewBeats {
                found: beats.len(),
                expected: super::beats::LEAST_BEATS,
            });
        }
    }
    let elements: usize = graph.tensors.iter().map(super::graph::Tensor::len).sum();
    let most = (MAX_KEPT / elements.max(1)).max(super::beats::LEAST_BEATS);
    let calibration = &thinned(calibration, most);
    let reference = Reference::new(model, &graph)?;
    let float = Float::measure(&reference, &graph, calibration, held_out, observe)?;
    let search = Search {
        graph: &graph,
        card,
        float: &float,
        calibration,
        held_out,
    };
    let mut tried = Vec::new();
    let mut best: Option<(Candidate, Plan)> = None;
    let mut keep = |candidate: Candidate, plan: Plan| {
        tried.push(candidate.clone());
        if best
            .as_ref()
            .is_none_or(|(best, _)| candidate.is_better_than(best))
        {
            best = Some((candidate, plan));
        }
    };
    let rules = RangeRule::ALL
        .iter()
        .flat_map(|r| WeightRule::ALL.iter().map(move |w| (*r, *w)));
    for (index, (ranges, weights)) in rules.enumerate() {
        let plan = Plan {
            ranges: search.ranges(ranges),
            rules: (ranges, weights),
            corrections: Vec::new(),
        };
        keep(search.score(&plan)?, plan);
        observe(
            "choosing ranges",
            (index + 1) as f64 / (RangeRule::ALL.len() * WeightRule::ALL.len()) as f64,
        );
    }
    let Some((_, plan)) = best.clone() else {
        return Err(CompileError::TooFewBeats {
            found: 0,
            expected: super::beats::LEAST_BEATS,
        });
    };
    let plan = search.corrected(plan, observe)?;
    let candidate = search.score(&plan)?;
    tried.push(candidate.clone());
    let (chosen, plan) = match best {
        Some((best, uncorrected)) if !candidate.is_better_than(&best) => (best, uncorrected),
        _ => (candidate, plan),
    };
    let network = search.quantise(&plan)?;
    let image = image::write(&network.program)?;
    let layers = search.layers(&reference, &plan, &network, &image)?;
    let report = Report::new(
        &graph,
        &network,
        &image,
        chosen,
        tried,
        layers,
        [calibration.len(), held_out.len()],
    )?;
    Ok(Compiled { image, report })
}

/// At most `count` of `len` places, at even distances.
fn evenly(len: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(len);
    (0..count).map(move |i| (2 * i + 1) * len / (2 * count))
}

/// At most `count` of the beats, at even distances.
fn thinned<V: Clone>(beats: &[V], count: usize) -> Vec<V> {
    evenly(beats.len(), count)
        .map(|place| beats[place].clone())
        .collect()
}

/// What the float network computes.
struct Float {
    /// Every tensor of the calibration beats, beat after beat.
    tensors: Vec<Vec<f32>>,
    /// Of the held-out beats.
    logits: Vec<Logits>,
}

impl Float {
    fn measure(
        reference: &Reference,
        graph: &Graph,
        calibration: &[impl ViewValues],
        held_out: &[impl ViewValues],
        observe: Observer<'_>,
    ) -> Result<Self, CompileError> {
        let total = (calibration.len() + held_out.len()) as f64;
        let mut tensors = vec![Vec::new(); graph.tensors.len()];
        for (index, beat) in calibration.iter().enumerate() {
            for (all, one) in tensors.iter_mut().zip(reference.run(graph, beat)?) {
                all.extend(one);
            }
            observe("running the float network", index as f64 / total);
        }
        let mut logits = Vec::with_capacity(held_out.len());
        for (index, beat) in held_out.iter().enumerate() {
            let mut computed = reference.run(graph, beat)?;
            let found = computed.pop().unwrap_or_default();
            let found =
                Logits::try_from(found.as_slice()).map_err(|_| CompileError::Unsupported {
                    layer: format!("output {}", crate::model::OUTPUT),
                    what: "the number of its elements".to_owned(),
                    found: found.len().to_string(),
                    expected: format!("{} (one a label)", heartlens_core::spec::LABELS.len()),
                })?;
            logits.push(found);
            observe(
                "running the float network",
                (calibration.len() + index + 1) as f64 / total,
            );
        }
        Ok(Self { tensors, logits })
    }
}

/// One way to quantise.
#[derive(Debug, Clone)]
struct Plan {
    rules: (RangeRule, WeightRule),
    ranges: Vec<TensorRange>,
    corrections: Vec<Vec<f64>>,
}

struct Search<'a, V> {
    graph: &'a Graph,
    card: &'a Card,
    float: &'a Float,
    calibration: &'a [V],
    held_out: &'a [V],
}

impl<V: ViewValues + Clone> Search<'_, V> {
    /// What `rule` covers of each tensor. An input that only feeds dense layers has a scale a feature: their columns
    /// take it over.
    fn ranges(&self, rule: RangeRule) -> Vec<TensorRange> {
        let range = |(index, values): (usize, &Vec<f32>)| {
            let [low, high] = rule.range(values);
            let channels = self.graph.tensors[index].shape[2];
            let by_channel =
                self.graph.inputs.contains(&index) && only_feeds_dense(self.graph, index);
            let of_channel = |channel: usize| {
                let values: Vec<f32> = values
                    .iter()
                    .skip(channel)
                    .step_by(channels)
                    .copied()
                    .collect();
                rule.magnitude(&values)
            };
            TensorRange {
                low,
                high,
                channels: match by_channel {
                    true => (0..channels).map(of_channel).collect(),
                    false => Vec::new(),
                },
            }
        };
        self.float.tensors.iter().enumerate().map(range).collect()
    }

    fn quantise(&self, plan: &Plan) -> Result<Quantised, CompileError> {
        quantise(
            self.graph,
            self.card.clone(),
            &plan.ranges,
            plan.rules.1,
            &plan.corrections,
        )
    }

    /// How a plan compares with float on the held-out beats.
    fn score(&self, plan: &Plan) -> Result<Candidate, CompileError> {
        let network = self.quantise(plan)?;
        let image = image::write(&network.program)?;
        let logits = integer::run(&image, &network, self.held_out, |_, _, _| ())?;
        let mut agreeing = 0;
        let (mut worst, mut sum) = (0.0_f64, 0.0);
        for (ours, float) in logits.iter().zip(&self.float.logits) {
            agreeing += usize::from(argmax(ours) == argmax(float));
            for (a, b) in ours.iter().zip(float) {
                let difference = f64::from((a - b).abs());
                worst = worst.max(difference);
                sum += difference * difference;
            }
        }
        let beats = logits.len() as f64;
        Ok(Candidate {
            ranges: plan.rules.0.to_string(),
            weights: plan.rules.1.to_string(),
            biases_corrected: !plan.corrections.is_empty(),
            label_agreement: agreeing as f64 / beats,
            max_abs_logit_diff: worst,
            rms_logit_diff: (sum / (beats * self.card.labels.len() as f64)).sqrt(),
        })
    }

    /// Corrects the biases of one node after the other, each with those before it corrected.
    fn corrected(&self, mut plan: Plan, observe: Observer<'_>) -> Result<Plan, CompileError> {
        let beats = thinned(self.calibration, LAYER_BEATS);
        let float: Vec<Vec<f64>> = (self.graph.tensors.iter().zip(&self.float.tensors))
            .map(|(tensor, values)| self.mean(values, tensor.len()))
            .collect();
        plan.corrections = vec![Vec::new(); self.graph.nodes.len()];
        for (index, node) in self.graph.nodes.iter().enumerate() {
            observe(
                "correcting biases",
                index as f64 / self.graph.nodes.len() as f64,
            );
            let network = self.quantise(&plan)?;
            if network.weights[index].is_empty() {
                continue;
            }
            let image = image::write(&network.program)?;
            let input = node.inputs[0];
            let mut sums = vec![0.0; self.graph.tensors[input].len()];
            integer::run(&image, &network, &beats, |_, tensor, elements| {
                if tensor == input {
                    for (i, (sum, value)) in sums.iter_mut().zip(elements).enumerate() {
                        *sum += network.tensors[tensor].real(i, *value) / beats.len() as f64;
                    }
                }
            })?;
            plan.corrections[index] = correction(
                self.graph,
                node,
                &float[input],
                &sums,
                &network.weights[index],
            );
        }
        Ok(plan)
    }

    /// The mean of each of `len` elements over the beats that biases are corrected on.
    fn mean(&self, values: &[f32], len: usize) -> Vec<f64> {
        let mut mean = vec![0.0; len];
        let places = evenly(self.calibration.len(), LAYER_BEATS);
        let count = self.calibration.len().min(LAYER_BEATS) as f64;
        for place in places {
            for (mean, value) in mean.iter_mut().zip(&values[place * len..]) {
                *mean += f64::from(*value) / count;
            }
        }
        mean
    }

    /// How each tensor of the integers compares with float on held-out beats.
    fn layers(
        &self,
        reference: &Reference,
        plan: &Plan,
        network: &Quantised,
        image: &[u8],
    ) -> Result<Vec<Layer>, CompileError> {
        let beats = thinned(self.held_out, LAYER_BEATS);
        let float = beats
            .iter()
            .map(|beat| reference.run(self.graph, beat))
            .collect::<Result<Vec<_>, _>>()?;
        let mut errors = vec![(0.0_f64, 0.0_f64, 0_usize); network.tensors.len()];
        integer::run(image, network, &beats, |beat, tensor, elements| {
            let (worst, sum, count) = &mut errors[tensor];
            let expected = &float[beat][tensor];
            for (i, (value, expected)) in elements.iter().zip(expected).enumerate() {
                let difference = network.tensors[tensor].real(i, *value) - f64::from(*expected);
                *worst = worst.max(difference.abs());
                *sum += difference * difference;
                *count += 1;
            }
        })?;
        Ok(errors
            .iter()
            .enumerate()
            .map(|(tensor, (worst, sum, count))| {
                let range = [plan.ranges[tensor].low, plan.ranges[tensor].high];
                Layer::new(
                    self.graph,
                    network,
                    tensor,
                    range,
                    *worst,
                    (sum / (*count).max(1) as f64).sqrt(),
                )
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Network, views};
    use super::*;

    /// The last layer is linear, so its correction takes the mean error of the logits away whole, but for rounding.
    #[test]
    fn corrected_biases_take_the_mean_error_away() -> Result<(), CompileError> {
        let mut net = Network::new(21);
        let x = net.input("waveform");
        let x = net.conv("a", &x, &[6, 2, 5], 2);
        let x = net.relu(&x);
        let x = net.flat(&x);
        let model = net.logits(&x, 6 * 48);
        let graph = super::super::import(&model)?;
        let beats = views(5, 200);
        let reference = Reference::new(&model, &graph)?;
        let float = Float::measure(&reference, &graph, &beats, &beats, &mut |_, _| ())?;
        let card = Card {
            name: "test".to_owned(),
            labels: heartlens_core::spec::LABELS.map(str::to_owned).to_vec(),
            priors: vec![0.25; 4],
            reads_patient: false,
        };
        let search = Search {
            graph: &graph,
            card: &card,
            float: &float,
            calibration: &beats,
            held_out: &beats,
        };
        let mean_error = |plan: &Plan| -> Result<f64, CompileError> {
            let network = search.quantise(plan)?;
            let image = image::write(&network.program)?;
            let logits = integer::run(&image, &network, &beats, |_, _, _| ())?;
            let mut sums = [0.0; 4];
            for (ours, float) in logits.iter().zip(&float.logits) {
                for (sum, (a, b)) in sums.iter_mut().zip(ours.iter().zip(float)) {
                    *sum += f64::from(a - b) / beats.len() as f64;
                }
            }
            Ok(sums.iter().fold(0.0, |worst, sum| worst.max(sum.abs())))
        };
        // A range that cuts the tails moves means.
        let plan = Plan {
            rules: (RangeRule::Percentile(95.0), WeightRule::Largest),
            ranges: search.ranges(RangeRule::Percentile(95.0)),
            corrections: Vec::new(),
        };
        let before = mean_error(&plan)?;
        let after = mean_error(&search.corrected(plan, &mut |_, _| ())?)?;
        assert!(before > 0.01 && after < 1e-3, "{before} to {after}");
        Ok(())
    }
}
