//! The integer engine of `heartlens-core`, on a device image: the bits that the device computes.

use super::{LayerOutput, Logits, ModelError, Runtime};
use crate::compile::image::AlignedImage;
use crate::model::{ONNX_FILE, OUTPUT};
use heartlens_core::model::format::Operator;
use heartlens_core::model::{ImageError, Model, Progress, Task, TensorInfo, ViewValues};
use heartlens_core::views::Views;
use std::path::{Path, PathBuf};

pub(super) const NAME: &str = "int8";

self_cell::self_cell! {
    /// An image, and the network that reads it in place.
    struct Image {
        owner: AlignedImage,
        #[covariant]
        dependent: Model,
    }
}

/// A device image in core's engine.
pub struct Int8 {
    image: Image,
    arena: Vec<i32>,
    /// What each step does, in the order in which they run.
    operators: Vec<Operator>,
}

impl Int8 {
    /// Loads a device image.
    ///
    /// # Errors
    /// When the file is not there or cannot be read, is no whole image, or was made for other features.
    pub fn load(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| unreadable(path, source))?;
        Self::new(&bytes).map_err(|source| ModelError::Image {
            path: path.to_owned(),
            source,
        })
    }

    /// An image that is in memory, copied to where it can be read in place.
    ///
    /// # Errors
    /// When it is no whole image, or was made for other features.
    pub fn new(image: &[u8]) -> Result<Self, ImageError> {
        Self::for_task(image, Task::Beat)
    }

    /// As [`new`](Self::new), of a network for `task`.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn for_task(image: &[u8], task: Task) -> Result<Self, ImageError> {
        let image = Image::try_new(AlignedImage::new(image), |image| {
            Model::load_for(image.bytes(), task)
        })?;
        let model = image.borrow_dependent();
        Ok(Self {
            arena: vec![0; model.arena_words()],
            operators: model.layers().map(|layer| layer.operator).collect(),
            image,
        })
    }

    /// The logits of each, in order.
    ///
    /// # Errors
    /// Never: the arena is as large as the image says.
    pub fn run<V: ViewValues>(&mut self, views: &[V]) -> Result<Vec<Logits>, ModelError> {
        let Self { image, arena, .. } = self;
        let executor = image.borrow_dependent().executor(arena);
        let mut executor = executor.map_err(|source| ModelError::Image {
            path: PathBuf::from(image.borrow_dependent().name()),
            source,
        })?;
        Ok(views.iter().map(|views| executor.run(views)).collect())
    }

    /// The network.
    pub fn model(&self) -> &Model<'_> {
        self.image.borrow_dependent()
    }
}

impl Runtime for Int8 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn model_name(&self) -> &str {
        self.model().name()
    }

    fn reads_patient(&self) -> bool {
        self.model().reads_patient()
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        self.run(beats)
    }

    /// Concatenations are left out: their parts are shown, and may keep scales of their own.
    fn layer_outputs(&mut self, beat: &Views) -> Result<Vec<LayerOutput>, ModelError> {
        let Self {
            image,
            arena,
            operators,
        } = self;
        let executor = image.borrow_dependent().executor(arena);
        let mut executor = executor.map_err(|source| ModelError::Image {
            path: PathBuf::from(image.borrow_dependent().name()),
            source,
        })?;
        let mut outputs = Vec::new();
        let logits = executor.run_layers(beat, |progress, executor| {
            let operator = match progress {
                Progress::Quantised(_) | Progress::Computing(_) => return,
                Progress::Computed(step) => operators.get(step),
            };
            if let (Some(operator), Some((tensor, elements))) =
                (operator, executor.output(progress))
            {
                let values = in_onnx_order(*operator, &tensor, elements);
                outputs.extend(values.map(|values| LayerOutput {
                    name: tensor.name.to_owned(),
                    values,
                }));
            }
        });
        outputs.push(LayerOutput {
            name: OUTPUT.to_owned(),
            values: logits.to_vec(),
        });
        Ok(outputs)
    }
}

/// A tensor's real values as ONNX orders them: channels before positions, but for the states of an LSTM. `None` for a
/// concatenation.
fn in_onnx_order(operator: Operator, tensor: &TensorInfo<'_>, elements: &[i8]) -> Option<Vec<f32>> {
    let real =
        |value: &i8| tensor.scale * f32::from(i16::from(*value) - i16::from(tensor.zero_point));
    let [_, _, channels] = tensor.shape;
    match operator {
        Operator::ConcatPart | Operator::ConcatInPlace => None,
        Operator::Dense | Operator::Lstm => Some(elements.iter().map(real).collect()),
        _ => Some(
            (0..channels)
                .flat_map(|channel| elements.iter().skip(channel).step_by(channels).map(real))
                .collect(),
        ),
    }
}

fn unreadable(path: &Path, source: std::io::Error) -> ModelError {
    let network = path.with_file_name(ONNX_FILE);
    if source.kind() == std::io::ErrorKind::NotFound && network.is_file() {
        ModelError::NotCompiled {
            path: path.to_owned(),
            network,
        }
    } else {
        ModelError::Unreadable {
            path: path.to_owned(),
            source,
        }
    }
}
