//! What an exported model says about itself, and whether it fits the features of this build.

use crate::runtime::ModelError;
use heartlens_core::model::Task;
use heartlens_core::spec::{self, LABELS};
use heartlens_core::views::View;
use std::path::Path;

/// The name of the exported network in a model's folder.
pub const ONNX_FILE: &str = "model.onnx";
/// The name of the device image in a model's folder.
pub const IMAGE_FILE: &str = "model.hlm";

/// Metadata property: the model's name.
pub const NAME_KEY: &str = "name";
/// Metadata property: the classes, in the order of the outputs, separated by commas.
pub const LABELS_KEY: &str = "labels";
/// Metadata property: the sample rate that the views were made at, in Hz.
pub const SAMPLE_RATE_KEY: &str = "sample_rate_hz";
/// Metadata property: [`spec::HASH`] as 16 hexadecimal digits.
pub const SPEC_HASH_KEY: &str = "spec_hash";

/// Metadata property: whether the network reads the patient's features, age and sex: `read` or `ignored`.
pub const PATIENT_KEY: &str = "patient";

/// The network's output by name.
pub const OUTPUT: &str = "logits";

/// The value of [`SPEC_HASH_KEY`] that this build writes and accepts.
pub fn spec_hash() -> String {
    format!("{:016x}", spec::HASH)
}

/// The value of [`LABELS_KEY`] that this build writes and accepts.
pub fn labels() -> String {
    LABELS.join(",")
}

/// What a model file says of itself: its metadata properties, and its inputs with their shapes (`None`: not fixed).
#[derive(Debug, Clone, PartialEq)]
pub struct ModelMetadata {
    /// Metadata properties, key and value.
    pub properties: Vec<(String, String)>,
    /// Inputs, name and shape with the batch dimension first.
    pub inputs: Vec<(String, Vec<Option<usize>>)>,
}

impl ModelMetadata {
    /// The value of a property.
    pub fn property(&self, key: &str) -> Option<&str> {
        let (_, value) = self.properties.iter().find(|(k, _)| k == key)?;
        Some(value)
    }

    /// Checks that the model was trained for the features of this build, and gives its name.
    ///
    /// # Errors
    /// When a property is missing or differs, an input is missing or unknown, or a shape differs.
    pub fn check(&self, path: &Path) -> Result<String, ModelError> {
        // Shapes first: where they differ, so does the hash, and the shape says more.
        self.check_inputs(path)?;
        self.check_properties(Task::Beat, path)
    }

    /// Checks the metadata properties alone, for a network that need not read every view of its task, and gives the model's
    /// name.
    ///
    /// # Errors
    /// When a property is missing or differs.
    pub fn check_properties(&self, task: Task, path: &Path) -> Result<String, ModelError> {
        let require = |key: &'static str| {
            self.property(key)
                .ok_or_else(|| ModelError::PropertyMissing {
                    path: path.to_owned(),
                    key,
                })
        };
        let expect = |key: &'static str, expected: String| {
            let found = require(key)?;
            if found == expected {
                return Ok(());
            }
            Err(ModelError::Property {
                path: path.to_owned(),
                key,
                found: found.to_owned(),
                expected,
            })
        };
        expect(LABELS_KEY, task.labels().join(","))?;
        expect(SAMPLE_RATE_KEY, spec::SAMPLE_RATE_HZ.to_string())?;
        expect(SPEC_HASH_KEY, format!("{:016x}", task.hash()))?;
        Ok(require(NAME_KEY)?.to_owned())
    }

    fn check_inputs(&self, path: &Path) -> Result<(), ModelError> {
        let names = |names: &mut dyn Iterator<Item = &str>| {
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            names.join(", ")
        };
        let found = names(&mut self.inputs.iter().map(|(name, _)| name.as_str()));
        let expected = names(&mut View::ALL.into_iter().map(View::name));
        if found != expected {
            return Err(ModelError::Inputs {
                path: path.to_owned(),
                found: if found.is_empty() {
                    "none".to_owned()
                } else {
                    found
                },
                expected,
            });
        }
        for view in View::ALL {
            let (input, shape) = (view.name(), view.shape());
            for (_, found) in self.inputs.iter().filter(|(name, _)| name == input) {
                let rest = found.get(1..).unwrap_or(&[]);
                if found.is_empty() || !rest.iter().copied().eq(shape.iter().map(|n| Some(*n))) {
                    return Err(ModelError::InputShape {
                        path: path.to_owned(),
                        input,
                        found: shape_text(found.iter().copied()),
                        expected: shape_text(
                            std::iter::once(None).chain(shape.iter().map(|n| Some(*n))),
                        ),
                    });
                }
            }
        }
        Ok(())
    }
}

fn shape_text(shape: impl Iterator<Item = Option<usize>>) -> String {
    let dims: Vec<String> = shape
        .map(|dim| dim.map_or("batch".to_owned(), |n| n.to_string()))
        .collect();
    format!("[{}]", dims.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitting() -> ModelMetadata {
        ModelMetadata {
            properties: [
                (NAME_KEY, "beat".to_owned()),
                (LABELS_KEY, labels()),
                (SAMPLE_RATE_KEY, "128".to_owned()),
                (SPEC_HASH_KEY, spec_hash()),
            ]
            .map(|(k, v)| (k.to_owned(), v))
            .into(),
            inputs: View::ALL
                .iter()
                .map(|view| {
                    let shape = view.shape().iter().map(|n| Some(*n));
                    (
                        view.name().to_owned(),
                        std::iter::once(None).chain(shape).collect(),
                    )
                })
                .collect(),
        }
    }

    fn refusal(metadata: &ModelMetadata) -> String {
        metadata
            .check(Path::new("m.onnx"))
            .expect_err("the metadata does not fit")
            .to_string()
    }

    #[test]
    fn a_fitting_model_gives_its_name() {
        assert_eq!(
            fitting().check(Path::new("m")).ok().as_deref(),
            Some("beat")
        );
    }

    #[test]
    fn each_misfit_is_named_with_both_values() {
        let mut other = fitting();
        other.properties[1].1 = "N,V".to_owned();
        assert_eq!(
            refusal(&other),
            "m.onnx: `labels` is N,V, but this build expects N,S,V,F; train and export it again"
        );
        let mut other = fitting();
        other.properties[3].1 = "00ff".to_owned();
        assert!(refusal(&other).contains("`spec_hash` is 00ff, but this build expects "));
        let mut other = fitting();
        other.properties.remove(2);
        assert!(refusal(&other).contains("no metadata property `sample_rate_hz`"));
        let mut other = fitting();
        other.inputs[0].1[2] = Some(100);
        assert_eq!(
            refusal(&other),
            "m.onnx: input `waveform` has shape [batch, 2, 100], but the waveform view has shape [batch, 2, 96]"
        );
        let mut other = fitting();
        other.inputs.pop();
        assert_eq!(
            refusal(&other),
            "m.onnx: its inputs are spectrogram, spectrum, waveform, \
             expected metadata, spectrogram, spectrum, waveform"
        );
        let mut other = fitting();
        other.inputs[3].1.clear();
        assert!(refusal(&other).contains("input `metadata` has shape []"));
    }
}
