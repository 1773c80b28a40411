//! What trained networks say of records that they have not seen, kept in files: so that what weighs on a class after the
//! network can be compared on the same logits, and a cross-validation that was interrupted goes on where it was.

use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::Logits;
use crate::data::augment::Augmenter;
use crate::data::record::RecordBeats;
use crate::file::write_atomically;
use heartlens_core::spec;
use rayon::prelude::*;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::OnceLock;
use tch::Device;

/// One training and the logits of the records that it did not see.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldOut {
    /// Seed of the training.
    pub seed: u64,
    /// Index of the fold.
    pub fold: usize,
    /// Trainable parameters.
    pub parameters: usize,
    /// Duration of the training, in seconds.
    pub training_s: f64,
    /// Duration of the scoring, in seconds.
    pub scoring_s: f64,
    /// One vector of logits a beat in its first lead, by index into the data set's records.
    pub logits: BTreeMap<usize, Vec<Logits>>,
    /// The same of the second lead, where that was asked for; of a record with one lead, that one's.
    pub second_lead: Option<BTreeMap<usize, Vec<Logits>>>,
    /// The first lead's of the network as a device image, where it was compiled.
    pub int8: Option<BTreeMap<usize, Vec<Logits>>>,
}

/// What comes before a record's name for the logits of the device image.
const INT8: &str = "int8 ";
/// The same for those of the second lead.
const SECOND_LEAD: &str = "second lead ";

/// What a training's result depends on, as text: the program, the device, the noise that is mixed in, the config, and the
/// records on both sides with their classes and beats.
pub fn identity(
    config: &Config,
    dataset: &Dataset,
    training: &[usize],
    augmenter: &Augmenter,
    device: Device,
) -> String {
    let mut text = format!(
        "program {}\nfeatures {:016x}\ndevice {device:?}\nnoise {:08x}\n{}",
        program(),
        spec::HASH,
        augmenter.noise_checksum(),
        config.text()
    );
    let lines: Vec<String> = dataset
        .records
        .par_iter()
        .enumerate()
        .map(|(index, record)| {
            let trained = training.contains(&index);
            if record.rhythm.is_some() && !trained {
                return String::new();
            }
            let role = if trained { "trained" } else { "not trained" };
            let classes: Vec<u8> = record.classes.iter().map(|class| *class as u8).collect();
            let (classes, beats) = (crc32fast::hash(&classes), record.checksum());
            let rhythm = record.rhythm.map(|rhythm| format!(" {rhythm:?}"));
            let rhythm = rhythm.unwrap_or_default();
            format!(
                "{role}: {} {classes:08x} {beats:08x}{rhythm}\n",
                key(record)
            )
        })
        .collect();
    text.extend(lines);
    text
}

/// SHA-256 of the running program: of another one the same config may give other logits.
fn program() -> &'static str {
    static DIGEST: OnceLock<String> = OnceLock::new();
    DIGEST.get_or_init(|| {
        let bytes = std::env::current_exe().and_then(std::fs::read);
        match bytes {
            Ok(bytes) => Sha256::digest(&bytes)
                .iter()
                .map(|b| format!("{b:02x}"))
                .collect(),
            // Of a program that cannot be read nothing is known, so that its logits are not used again.
            Err(_) => format!("unknown, process {}", std::process::id()),
        }
    })
}

impl HeldOut {
    /// Reads the file at `path` if it holds this training: one of the same `identity`, with the logits of the records
    /// `held_out`. What is missing, unreadable or of another training is `None`, to be trained.
    pub fn read(
        path: &Path,
        identity: &str,
        dataset: &Dataset,
        held_out: &[usize],
    ) -> Option<Self> {
        let bytes = std::fs::read(path).ok()?;
        let (_, header) = SafeTensors::read_metadata(&bytes).ok()?;
        let header = header.metadata().clone()?;
        if header.get("identity")? != identity {
            return None;
        }
        let tensors = SafeTensors::deserialize(&bytes).ok()?;
        let read = |prefix: &str| -> Option<BTreeMap<usize, Vec<Logits>>> {
            let of_record = |&index: &usize| {
                let record = &dataset.records[index];
                let tensor = tensors.tensor(&format!("{prefix}{}", key(record))).ok()?;
                if tensor.shape() != [record.classes.len(), spec::LABELS.len()] {
                    return None;
                }
                let (numbers, _) = tensor.data().as_chunks::<4>();
                let numbers: Vec<f32> = numbers.iter().map(|b| f32::from_le_bytes(*b)).collect();
                Some((index, numbers.as_chunks().0.to_vec()))
            };
            held_out.iter().map(of_record).collect()
        };
        Some(Self {
            seed: header.get("seed")?.parse().ok()?,
            fold: header.get("fold")?.parse().ok()?,
            parameters: header.get("parameters")?.parse().ok()?,
            training_s: header.get("training_s")?.parse().ok()?,
            scoring_s: header.get("scoring_s")?.parse().ok()?,
            logits: read("")?,
            second_lead: read(SECOND_LEAD),
            int8: read(INT8),
        })
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&self, path: &Path, identity: &str, dataset: &Dataset) -> std::io::Result<()> {
        let header = HashMap::from(
            [
                ("identity", identity.to_owned()),
                ("seed", self.seed.to_string()),
                ("fold", self.fold.to_string()),
                ("parameters", self.parameters.to_string()),
                ("training_s", self.training_s.to_string()),
                ("scoring_s", self.scoring_s.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        let named = |name, logits| std::iter::repeat(name).zip(logits);
        let int8 = named(INT8, self.int8.iter().flatten());
        let second_lead = named(SECOND_LEAD, self.second_lead.iter().flatten());
        let data: Vec<(String, usize, Vec<u8>)> = self
            .logits
            .iter()
            .map(|logits| ("", logits))
            .chain(second_lead)
            .chain(int8)
            .map(|(prefix, (&index, beats))| {
                let name = format!("{prefix}{}", key(&dataset.records[index]));
                let bytes = beats.iter().flatten().flat_map(|v| v.to_le_bytes());
                (name, beats.len(), bytes.collect())
            })
            .collect();
        let views = data
            .iter()
            .map(|(name, beats, bytes)| {
                let shape = vec![*beats, spec::LABELS.len()];
                Ok((name, TensorView::new(Dtype::F32, shape, bytes)?))
            })
            .collect::<Result<Vec<_>, _>>();
        let bytes = views.and_then(|views| safetensors::serialize(views, &Some(header)));
        write_atomically(path, &bytes.map_err(std::io::Error::other)?)
    }
}

/// A record at its choice of R peaks, by name.
fn key(record: &RecordBeats) -> String {
    format!("{} {:?}", record.name, record.peaks).to_lowercase()
}
