//! How far runtimes agree on the same beats: by their logits, and layer by layer.

use super::{LayerOutput, Logits, argmax};
use serde::Serialize;

/// Two runtimes on the same beats.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// The first runtime.
    pub a: &'static str,
    /// The second.
    pub b: &'static str,
    /// The largest difference of a logit; 0 without beats.
    pub max_abs_logit_diff: f32,
    /// Share of beats to which both give the same class, 0..=1; `None` without beats.
    pub label_agreement: Option<f64>,
}

/// Compares each runtime with each other, beats as they come.
#[derive(Debug, Clone)]
pub struct Comparison {
    runtimes: Vec<&'static str>,
    beats: usize,
    /// One a pair, in the order of [`pairs`].
    pairs: Vec<Pair>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Pair {
    max_abs_logit_diff: f32,
    same_label: usize,
}

/// The pairs of `n` things, the first index below the second.
fn pairs(n: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..n).flat_map(move |a| (a + 1..n).map(move |b| (a, b)))
}

impl Comparison {
    /// Of these runtimes, by name.
    pub fn new(runtimes: Vec<&'static str>) -> Self {
        Self {
            pairs: vec![Pair::default(); pairs(runtimes.len()).count()],
            runtimes,
            beats: 0,
        }
    }

    /// Takes what each runtime, in the order of [`Comparison::new`], says of the same beats.
    ///
    /// # Panics
    /// When there is not one list for each runtime, all of the same length.
    pub fn add(&mut self, logits: &[Vec<Logits>]) {
        assert_eq!(
            logits.len(),
            self.runtimes.len(),
            "one list for each runtime"
        );
        let beats = logits.first().map_or(0, Vec::len);
        assert!(
            logits.iter().all(|list| list.len() == beats),
            "all of one length"
        );
        for ((a, b), pair) in pairs(logits.len()).zip(&mut self.pairs) {
            for (a, b) in logits[a].iter().zip(&logits[b]) {
                for (a, b) in a.iter().zip(b) {
                    pair.max_abs_logit_diff = pair.max_abs_logit_diff.max((a - b).abs());
                }
                pair.same_label += usize::from(argmax(a) == argmax(b));
            }
        }
        self.beats += beats;
    }

    /// Beats taken so far.
    pub fn beats(&self) -> usize {
        self.beats
    }

    /// Each pair of runtimes.
    pub fn agreements(&self) -> Vec<Agreement> {
        pairs(self.runtimes.len())
            .zip(&self.pairs)
            .map(|((a, b), pair)| Agreement {
                a: self.runtimes[a],
                b: self.runtimes[b],
                max_abs_logit_diff: pair.max_abs_logit_diff,
                label_agreement: (self.beats > 0)
                    .then(|| pair.same_label as f64 / self.beats as f64),
            })
            .collect()
    }
}

/// How a layer's output differs between two runtimes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDifference {
    /// The tensor's name in the ONNX file.
    pub name: String,
    /// Largest difference of an element.
    pub max_abs_diff: f64,
    /// Root mean square of the differences.
    pub rms_diff: f64,
    /// Root mean square of the first runtime's values, for scale.
    pub rms: f64,
}

/// Compares the layers of two runtimes, beats as they come.
#[derive(Debug, Clone, Default)]
pub struct LayerComparison {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    name: String,
    max_abs_diff: f64,
    squared_diff: f64,
    squared: f64,
    values: usize,
}

/// Two runtimes give a layer's output with different numbers of values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("layer `{name}`: {found} values in {b}, expected {expected} as in {a}")]
pub struct LayerMismatch {
    /// The tensor's name.
    pub name: String,
    /// The first runtime.
    pub a: &'static str,
    /// The second runtime.
    pub b: &'static str,
    /// Values in the second runtime.
    pub found: usize,
    /// Values in the first.
    pub expected: usize,
}

impl LayerComparison {
    /// Takes one beat's layers, each runtime's beside its name. Layers that only one has are left out.
    ///
    /// # Errors
    /// When a layer's values are not as many in both.
    pub fn add(
        &mut self,
        (a, ours): (&'static str, &[LayerOutput]),
        (b, theirs): (&'static str, &[LayerOutput]),
    ) -> Result<(), LayerMismatch> {
        for ours in ours {
            let Some(theirs) = theirs.iter().find(|layer| layer.name == ours.name) else {
                continue;
            };
            if ours.values.len() != theirs.values.len() {
                return Err(LayerMismatch {
                    name: ours.name.clone(),
                    a,
                    b,
                    found: theirs.values.len(),
                    expected: ours.values.len(),
                });
            }
            let layer = self.layer(&ours.name);
            for (x, y) in ours.values.iter().zip(&theirs.values) {
                let (x, y) = (f64::from(*x), f64::from(*y));
                layer.max_abs_diff = layer.max_abs_diff.max((x - y).abs());
                layer.squared_diff += (x - y) * (x - y);
                layer.squared += x * x;
            }
            layer.values += ours.values.len();
        }
        Ok(())
    }

    fn layer(&mut self, name: &str) -> &mut Layer {
        let index = self.layers.iter().position(|layer| layer.name == name);
        let index = index.unwrap_or_else(|| {
            self.layers.push(Layer {
                name: name.to_owned(),
                max_abs_diff: 0.0,
                squared_diff: 0.0,
                squared: 0.0,
                values: 0,
            });
            self.layers.len() - 1
        });
        &mut self.layers[index]
    }

    /// The layers that both runtimes have, in the order in which both first had them.
    pub fn differences(&self) -> Vec<LayerDifference> {
        let difference = |layer: &Layer| {
            let mean = |sum: f64| (sum / layer.values.max(1) as f64).sqrt();
            LayerDifference {
                name: layer.name.clone(),
                max_abs_diff: layer.max_abs_diff,
                rms_diff: mean(layer.squared_diff),
                rms: mean(layer.squared),
            }
        };
        self.layers.iter().map(difference).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_counted_by_hand() {
        let mut found = Comparison::new(vec!["x", "y", "z"]);
        assert_eq!(found.agreements()[0].label_agreement, None);
        let first = [1.0, 0.0, 0.0, 0.0];
        let second = [0.0, 1.5, 0.0, 0.0];
        found.add(&[
            vec![first, second],
            vec![first, first],
            vec![second, second],
        ]);
        found.add(&[vec![first], vec![first], vec![first]]);
        assert_eq!(found.beats(), 3);
        let agreement = |a, b, max_abs_logit_diff, same: f64| Agreement {
            a,
            b,
            max_abs_logit_diff,
            label_agreement: Some(same / 3.0),
        };
        assert_eq!(
            found.agreements(),
            [
                agreement("x", "y", 1.5, 2.0),
                agreement("x", "z", 1.5, 2.0),
                agreement("y", "z", 1.5, 1.0),
            ]
        );
    }

    #[test]
    fn layers_are_matched_by_name() {
        let layer = |name: &str, values: &[f32]| LayerOutput {
            name: name.to_owned(),
            values: values.to_vec(),
        };
        let ours = [layer("conv", &[1.0, 2.0]), layer("relu", &[3.0, -4.0])];
        let theirs = [layer("relu", &[3.0, -1.0]), layer("other", &[9.0])];
        let mut found = LayerComparison::default();
        found.add(("x", &ours), ("y", &theirs)).expect("fits");
        found.add(("x", &ours), ("y", &ours)).expect("fits");
        let [relu, conv] = &found.differences()[..] else {
            panic!("{found:?}");
        };
        assert_eq!((relu.name.as_str(), relu.max_abs_diff), ("relu", 3.0));
        assert_eq!((relu.rms_diff, relu.rms), (1.5, 12.5_f64.sqrt()));
        assert_eq!((conv.max_abs_diff, conv.rms), (0.0, 2.5_f64.sqrt()));
        let short = [layer("conv", &[1.0])];
        let error = found
            .add(("x", &ours), ("y", &short))
            .expect_err("too short");
        assert_eq!(
            error.to_string(),
            "layer `conv`: 1 values in y, expected 2 as in x"
        );
    }
}
