//! A trained network as the device has it: an image that is read where it lies, and an executor that cannot fail.
//!
//! `docs/model-image.md` has the bytes. Everything is checked when an image is loaded - that it is whole, made for the
//! features of this build, that weights lie inside it and tensors inside the arena without touching one another - and is
//! named in the error. From then on nothing can go wrong, and nothing is allocated:
//!
//! ```
//! use heartlens_core::model::{ImageError, Logits, Model, arena_words, softmax};
//! use heartlens_core::views::Views;
//!
//! fn scores(image: &[u8], arena: &mut [i32], views: &Views) -> Result<Logits, ImageError> {
//!     let mut network = Model::load(image)?.executor(arena)?;
//!     Ok(softmax(&network.run(views)))
//! }
//! ```
//!
//! Firmware knows the arena's size when it is compiled: `static ARENA: [i32; arena_words(IMAGE)]`, where
//! `static MODEL: Aligned<[u8; N]> = Aligned(*include_bytes!("model.hlm"))` puts the image where it can be read.

mod error;
pub mod format;
mod layer;
mod plan;
mod run;
mod scores;
mod sections;
mod task;

pub use error::{ImageError, Place};
pub use run::{Executor, Progress, quantise};
pub use scores::{Logits, argmax, margin, softmax};
pub use sections::{checksum, stated_len};
pub use task::{AnyView, Task, ViewValues};

use crate::spec::LABELS;
use core::mem::offset_of;
use core::ops::Range;
use format::{Header, MAGIC, NONE, READS_PATIENT, Step};
use layer::{Layer, operator};
use sections::Sections;

/// Puts an image where it can be read in place, at a multiple of [`format::ALIGNMENT`].
#[derive(Debug, Clone, Copy)]
#[repr(C, align(8))]
pub struct Aligned<T: ?Sized>(pub T);

/// An image whose every part has been checked. It borrows the image and takes a few words.
#[derive(Debug, Clone, Copy)]
pub struct Model<'a> {
    sections: Sections<'a>,
}

/// An activation of a network.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct TensorInfo<'a> {
    /// The name of the ONNX value that it stands for.
    pub name: &'a str,
    /// Height, width, channels.
    pub shape: [usize; 3],
    /// Real value of one step of the integer.
    pub scale: f32,
    /// The integer of real zero.
    pub zero_point: i8,
    /// The scales of the channels, where a view's have scales of their own; empty where all have the tensor's.
    pub channel_scales: &'a [f32],
}

/// An operator of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerInfo<'a> {
    /// The name of the ONNX node.
    pub name: &'a str,
    /// What it does.
    pub operator: format::Operator,
    /// Height, width and channels of its output; of the logits, one channel a class.
    pub shape: [usize; 3],
    /// Multiply-accumulates of one run.
    pub macs: usize,
    /// Weights and biases.
    pub params: usize,
}

/// Words of 32 bits that running an image takes, from its header. For constants:
/// `static ARENA: [i32; arena_words(IMAGE)]`.
///
/// # Panics
/// If the bytes are no image; in a constant, that is an error of the compiler. [`Model::arena_words`] never panics.
pub const fn arena_words(image: &[u8]) -> usize {
    let mut i = 0;
    while i < MAGIC.len() {
        assert!(image[i] == MAGIC[i], "not a device image");
        i += 1;
    }
    const AT: usize = offset_of!(Header, arena_words);
    u32::from_le_bytes([image[AT], image[AT + 1], image[AT + 2], image[AT + 3]]) as usize
}

impl<'a> Model<'a> {
    /// Checks the image of a beat network, all of it.
    ///
    /// # Errors
    /// If it is damaged, made for other features, or says anything that cannot be run; see [`ImageError`].
    pub fn load(image: &'a [u8]) -> Result<Self, ImageError> {
        Self::load_for(image, Task::Beat)
    }

    /// Checks the image of a network for `task`, all of it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_for(image: &'a [u8], task: Task) -> Result<Self, ImageError> {
        let sections = Sections::new(image, task)?;
        sections.check()?;
        plan::check(&sections)?;
        Ok(Self { sections })
    }

    /// The network, ready to run in `arena`.
    ///
    /// # Errors
    /// If the arena has fewer words than [`Model::arena_words`].
    pub const fn executor<'r>(self, arena: &'r mut [i32]) -> Result<Executor<'r>, ImageError>
    where
        'a: 'r,
    {
        let expected = self.arena_words();
        if arena.len() < expected {
            return Err(ImageError::Arena {
                found: arena.len(),
                expected,
            });
        }
        Ok(Executor::new(self, arena))
    }

    /// What the network is for.
    pub const fn task(&self) -> Task {
        self.sections.task
    }

    /// The model's name.
    pub fn name(&self) -> &'a str {
        self.sections.model_name().unwrap_or_default()
    }

    /// The share of each class among the examples that the network was trained on, in the order of [`Task::labels`]. Where
    /// classes are expected with other shares, adding `ln(expected / prior)` to each logit accounts for them; running the
    /// network does not.
    pub fn priors(&self) -> [f32; LABELS.len()] {
        let mut priors = [0.0; LABELS.len()];
        for (prior, label) in priors.iter_mut().zip(self.sections.labels) {
            *prior = label.prior;
        }
        priors
    }

    /// Whether the network reads the patient's age and sex; if not, they change nothing.
    pub const fn reads_patient(&self) -> bool {
        self.sections.header.flags & READS_PATIENT != 0
    }

    /// Words of 32 bits that running the network takes.
    pub const fn arena_words(&self) -> usize {
        self.sections.header.arena_words as usize
    }

    /// Bytes of the image.
    pub const fn image_len(&self) -> usize {
        self.sections.image.len()
    }

    /// The views that the network reads, and what they are quantised into.
    pub fn inputs(&self) -> impl Iterator<Item = (AnyView, TensorInfo<'a>)> + use<'a> {
        let model = *self;
        let inputs = self.sections.inputs.iter();
        // What has been loaded names views that there are.
        inputs.filter_map(move |input| {
            let view = self::task::view(model.task(), input.view)?;
            Some((view, model.tensor(input.tensor)))
        })
    }

    /// The operators, in the order in which they run.
    pub fn layers(&self) -> impl Iterator<Item = LayerInfo<'a>> + use<'a> {
        let model = *self;
        let steps = self.sections.steps.iter().enumerate();
        // What has been loaded binds without error.
        steps.filter_map(move |(index, step)| {
            let sections = &model.sections;
            let layer = Layer::bind(index, step, sections.tensors, sections.image).ok()?;
            Some(model.layer_info(step, &layer))
        })
    }

    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> usize {
        self.layers().map(|layer| layer.macs).sum()
    }

    /// Weights and biases.
    pub fn params(&self) -> usize {
        self.layers().map(|layer| layer.params).sum()
    }

    fn layer_info(&self, step: &Step, layer: &Layer<'_>) -> LayerInfo<'a> {
        let shape = match step.output {
            NONE => [1, 1, layer.elements().1],
            output => self.tensor(output).shape,
        };
        LayerInfo {
            name: self.sections.name(step.name).unwrap_or_default(),
            // A layer has an operator.
            operator: operator(0, step).unwrap_or(format::Operator::Relu),
            shape,
            macs: layer.macs(),
            params: layer.params(),
        }
    }

    fn tensor(&self, index: u16) -> TensorInfo<'a> {
        let tensor = &self.sections.tensors[usize::from(index)];
        let own = |input: &&format::Input| input.tensor == index && input.first_scale != NONE;
        let first = self.sections.inputs.iter().find(own);
        let channel_scales = first.and_then(|input| {
            let scales = self.sections.scales.get(usize::from(input.first_scale)..)?;
            scales.get(..tensor.channels())
        });
        TensorInfo {
            name: self.sections.name(tensor.name).unwrap_or_default(),
            shape: tensor.shape.map(usize::from),
            scale: tensor.scale,
            zero_point: tensor.zero_point,
            channel_scales: channel_scales.unwrap_or_default(),
        }
    }

    fn bytes(&self, tensor: u16) -> Range<usize> {
        // A loaded model has every tensor that it names.
        let tensor = self.sections.tensors.get(usize::from(tensor));
        tensor.map_or(0..0, plan::bytes)
    }
}
