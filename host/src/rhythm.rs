//! The rhythm network of a model's folder: what tells atrial fibrillation, and then weighs on the classes of beats.
//!
//! Whatever runs the beat's own network, `heartlens_core::rhythm` runs this one, so that host and device agree to the
//! bit.

use crate::runtime::ModelError;
use heartlens_core::rhythm::{Network, Rhythm, Rules};
use std::path::Path;

/// The name of the rhythm network's image in a model's folder.
pub const RHYTHM_FILE: &str = "rhythm.hlr";

/// A rhythm network in memory, checked, and the rules by which it weighs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RhythmModel {
    image: Vec<u8>,
    rules: Rules,
}

impl RhythmModel {
    /// Loads the rhythm network of a model's folder; `None` where it has none: then nothing weighs on the classes.
    ///
    /// # Errors
    /// When the file cannot be read, or is not an image for this build.
    pub fn load(model_dir: &Path, rules: Rules) -> Result<Option<Self>, ModelError> {
        let path = model_dir.join(RHYTHM_FILE);
        let image = match std::fs::read(&path) {
            Ok(image) => image,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ModelError::Unreadable { path, source }),
        };
        match Network::load(&image) {
            Ok(_) => Ok(Some(Self { image, rules })),
            Err(source) => Err(ModelError::Rhythm { path, source }),
        }
    }

    /// The network; always there, as [`load`](Self::load) has seen.
    pub fn network(&self) -> Option<Network<'_>> {
        Network::load(&self.image).ok()
    }

    /// The rules.
    pub fn rules(&self) -> Rules {
        self.rules
    }
}

/// A patient's rhythm at the start of a recording, and the network that it needs; without `model`, one that never weighs.
pub fn begin(model: Option<&RhythmModel>) -> (Rhythm, Option<Network<'_>>) {
    let rules = model.map_or(Rules::SHIPPED, RhythmModel::rules);
    (Rhythm::new(rules), model.and_then(RhythmModel::network))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_one_has_none_and_a_damaged_one_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(
            RhythmModel::load(folder.path(), Rules::SHIPPED).expect("none is fine"),
            None
        );
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/beat");
        let model = RhythmModel::load(&shipped, Rules::SHIPPED).expect("the shipped one");
        assert!(model.expect("is there").network().is_some());

        let mut image = std::fs::read(shipped.join(RHYTHM_FILE)).expect("the shipped one");
        image[100] ^= 1;
        let path = folder.path().join(RHYTHM_FILE);
        std::fs::write(&path, &image).expect("a file");
        let error = RhythmModel::load(folder.path(), Rules::SHIPPED).expect_err("damaged");
        let message = error.to_string();
        assert!(
            message.starts_with(&path.display().to_string()) && message.contains("CRC-32"),
            "{message}"
        );
    }
}
