//! A trained model: the beat network in each form that a runtime reads, the rhythm network and the strip network.
//!
//! A model is a folder with the files [`IMAGE_FILE`], [`RHYTHM_FILE`], [`STRIP_FILE`] and [`ONNX_FILE`]; the one that is shipped is
//! inside the program.

mod metadata;

pub use metadata::{
    IMAGE_FILE, LABELS_KEY, ModelMetadata, NAME_KEY, ONNX_FILE, OUTPUT, PATIENT_KEY,
    SAMPLE_RATE_KEY, SPEC_HASH_KEY, labels, spec_hash,
};

use crate::runtime::int8::Int8;
#[cfg(feature = "ort")]
use crate::runtime::ort::Ort;
#[cfg(feature = "tract")]
use crate::runtime::tract::{self, Tract};
use crate::runtime::{Kind, ModelError, Runtime};
use heartlens_core::model::Task;
use heartlens_core::rhythm::{self, Network, Rules};
use std::borrow::Cow;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The name of the rhythm network's image in a model's folder.
pub const RHYTHM_FILE: &str = "rhythm.hlr";

/// The name of the strip network's image in a model's folder.
pub const STRIP_FILE: &str = "strip.hlm";

/// What error messages call the folder of the shipped model.
const SHIPPED: &str = "the model in this program";

/// A trained model: what [classifies](Model::classify) records. A clone is the same model, not a copy of it.
#[derive(Clone)]
pub struct Model(Arc<Parts>);

struct Parts {
    name: String,
    reads_patient: bool,
    /// What the files lie in, as error messages call it.
    folder: PathBuf,
    /// The beat network's file, where it was named by itself.
    file: Option<PathBuf>,
    image: Option<Bytes>,
    onnx: Option<Bytes>,
    rhythm: Option<Bytes>,
    strip: Option<Bytes>,
    /// Makes the beat network, where it is the caller's own.
    own: Option<Box<Make>>,
    /// Networks that were opened and are not in use. One that was planned once need not be planned again.
    idle: Mutex<Vec<(Kind, Box<dyn Runtime>)>>,
}

type Bytes = Cow<'static, [u8]>;
type Make = dyn Fn() -> Box<dyn Runtime> + Send + Sync;

impl Model {
    /// The model that is shipped, from inside the program.
    ///
    /// # Errors
    /// When the features of this build are not those that it was trained for: then train and compile it again.
    pub fn shipped() -> Result<Self, ModelError> {
        Self::new(
            Path::new(SHIPPED),
            Some(include_bytes!("../../model/model.hlm")[..].into()),
            Some(include_bytes!("../../model/model.onnx")[..].into()),
            Some(include_bytes!("../../model/rhythm.hlr")[..].into()),
            Some(include_bytes!("../../model/strip.hlm")[..].into()),
        )
    }

    /// The model in a folder. Either form of the beat network will do. A model without rhythm network is one whose
    /// classes nothing weighs on; without strip network, fibrillation is told by the rhythm network's intervals alone.
    ///
    /// # Errors
    /// When a file cannot be read, there is no beat network, or what there is does not fit this build. A file that only
    /// one runtime reads may also be refused later, when it is asked for.
    pub fn load(folder: impl AsRef<Path>) -> Result<Self, ModelError> {
        let folder = folder.as_ref();
        let read = |name: &str| {
            let path = folder.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(source) => Err(ModelError::Unreadable { path, source }),
            }
        };
        Self::new(
            folder,
            read(IMAGE_FILE)?,
            read(ONNX_FILE)?,
            read(RHYTHM_FILE)?,
            read(STRIP_FILE)?,
        )
    }

    /// A network of one's own: an ONNX file, which tract and ONNX Runtime run, beside the shipped rhythm and strip networks.
    /// [`compile`](crate::compile) makes a device image of it.
    ///
    /// # Errors
    /// When the file cannot be read, or is no network that fits this build.
    #[cfg(feature = "tract")]
    pub fn from_onnx(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::with_beats(path.as_ref(), |bytes| (None, Some(bytes)))
    }

    /// A device image of one's own, as `heartlens compile` writes it, beside the shipped rhythm and strip networks.
    ///
    /// # Errors
    /// When the file cannot be read, is no image, or was made for other features.
    pub fn from_image(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::with_beats(path.as_ref(), |bytes| (Some(bytes), None))
    }

    /// The beat network in this file, as image or as ONNX, beside the shipped rhythm and strip networks.
    fn with_beats(
        path: &Path,
        form: impl FnOnce(Bytes) -> (Option<Bytes>, Option<Bytes>),
    ) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        let (image, onnx) = form(bytes.into());
        let shipped = Self::shipped()?.0;
        let (rhythm, strip) = (shipped.rhythm.clone(), shipped.strip.clone());
        Self::of(path, Some(path), image, onnx, rhythm, strip)
    }

    fn new(
        folder: &Path,
        image: Option<Bytes>,
        onnx: Option<Bytes>,
        rhythm: Option<Bytes>,
        strip: Option<Bytes>,
    ) -> Result<Self, ModelError> {
        Self::of(folder, None, image, onnx, rhythm, strip)
    }

    fn of(
        folder: &Path,
        file: Option<&Path>,
        image: Option<Bytes>,
        onnx: Option<Bytes>,
        rhythm: Option<Bytes>,
        strip: Option<Bytes>,
    ) -> Result<Self, ModelError> {
        if let Some(bytes) = &rhythm {
            Network::load(bytes).map_err(|source| ModelError::Rhythm {
                path: folder.join(RHYTHM_FILE),
                source,
            })?;
        }
        let mut parts = Parts {
            name: String::new(),
            reads_patient: false,
            folder: folder.to_owned(),
            file: file.map(Path::to_owned),
            image,
            onnx,
            rhythm,
            strip,
            own: None,
            idle: Mutex::default(),
        };
        parts.strip()?;
        (parts.name, parts.reads_patient) = parts.introduce()?;
        Ok(Self(Arc::new(parts)))
    }

    /// The same model with a beat network of the caller's own, whichever runtime is asked for: `make` makes one for each
    /// thread. The rhythm network stays.
    pub fn with_network(self, make: impl Fn() -> Box<dyn Runtime> + Send + Sync + 'static) -> Self {
        let network = make();
        Self(Arc::new(Parts {
            name: network.model_name().to_owned(),
            reads_patient: network.reads_patient(),
            folder: self.0.folder.clone(),
            file: self.0.file.clone(),
            image: self.0.image.clone(),
            onnx: self.0.onnx.clone(),
            rhythm: self.0.rhythm.clone(),
            strip: self.0.strip.clone(),
            own: Some(Box::new(make)),
            idle: Mutex::default(),
        }))
    }

    /// The same model without its strip network: fibrillation is told from intervals alone, beat by beat, as a device without it tells it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn without_strips(&self) -> Result<Self, ModelError> {
        let parts = &self.0;
        let (image, onnx, rhythm) = (&parts.image, &parts.onnx, &parts.rhythm);
        let file = parts.file.as_deref();
        Self::of(
            &parts.folder,
            file,
            image.clone(),
            onnx.clone(),
            rhythm.clone(),
            None,
        )
    }

    /// The model's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether the network reads age and sex; if not, they change nothing.
    pub fn reads_patient(&self) -> bool {
        self.0.reads_patient
    }

    /// What the model was read from, as messages call it.
    pub fn place(&self) -> impl fmt::Display {
        self.0.folder.display()
    }

    /// The device image, where the model has one. It is not checked yet.
    pub fn image(&self) -> Option<&[u8]> {
        self.0.image.as_deref()
    }

    /// The rhythm network, where the model has one, with the rules by which it weighs.
    pub fn rhythm(&self, rules: Rules) -> Option<rhythm::Model<'_>> {
        rhythm::Model::load(self.0.rhythm.as_deref()?, rules).ok()
    }

    /// Whether the model has a strip network.
    pub(crate) fn has_strip(&self) -> bool {
        self.0.strip.is_some()
    }

    /// The strip network, where the model has one.
    pub(crate) fn strip(&self) -> Option<Int8> {
        // It was read when the model was.
        self.0.strip().ok().flatten()
    }

    /// What tells this model from another whose files differ: names and CRC-32s of its files.
    pub fn fingerprint(&self) -> String {
        let files = [
            (IMAGE_FILE, &self.0.image),
            (ONNX_FILE, &self.0.onnx),
            (RHYTHM_FILE, &self.0.rhythm),
            (STRIP_FILE, &self.0.strip),
        ];
        let of = |(name, bytes): (&str, &Option<Bytes>)| {
            let crc = heartlens_core::rhythm::checksum(bytes.as_deref()?);
            Some(format!("{name} {crc:08x}"))
        };
        files
            .into_iter()
            .filter_map(of)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The beat network in a runtime: one that lies idle, or else a new one.
    ///
    /// # Errors
    /// When the model has no file that this runtime reads, the file does not fit this build, or the runtime is not there
    /// or refuses it.
    pub fn network(&self, runtime: Kind) -> Result<Box<dyn Runtime>, ModelError> {
        let mut idle = self.idle();
        if let Some(at) = idle.iter().position(|(kind, _)| *kind == runtime) {
            return Ok(idle.swap_remove(at).1);
        }
        drop(idle);
        self.0.open(runtime)
    }

    /// Keeps a network of this runtime for whoever asks next.
    pub(crate) fn keep(&self, runtime: Kind, network: Box<dyn Runtime>) {
        self.idle().push((runtime, network));
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Kind, Box<dyn Runtime>)>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("name", &self.0.name)
            .field("folder", &self.0.folder)
            .finish_non_exhaustive()
    }
}

impl Parts {
    fn open(&self, runtime: Kind) -> Result<Box<dyn Runtime>, ModelError> {
        if let Some(make) = &self.own {
            return Ok(make());
        }
        match runtime {
            Kind::Int8 => Ok(Box::new(self.int8()?)),
            #[cfg(feature = "tract")]
            Kind::Tract => {
                let (path, bytes) = self.onnx()?;
                Ok(Box::new(Tract::new(bytes, &path)?))
            }
            #[cfg(feature = "ort")]
            Kind::Ort => {
                let (path, bytes) = self.onnx()?;
                Ok(Box::new(Ort::new(bytes, &path)?))
            }
        }
    }

    /// Where the file of this name is, or would be.
    fn path(&self, name: &str) -> PathBuf {
        let is_there = match name {
            IMAGE_FILE => self.image.is_some(),
            _ => self.onnx.is_some(),
        };
        match &self.file {
            Some(file) if is_there => file.clone(),
            Some(file) => file.with_extension(Path::new(name).extension().unwrap_or_default()),
            None => self.folder.join(name),
        }
    }

    fn int8(&self) -> Result<Int8, ModelError> {
        let path = self.path(IMAGE_FILE);
        match (&self.image, &self.onnx) {
            (Some(image), _) => {
                Int8::new(image).map_err(|source| ModelError::Image { path, source })
            }
            (None, Some(_)) => Err(ModelError::NotCompiled {
                path,
                network: self.path(ONNX_FILE),
            }),
            (None, None) => Err(missing(path)),
        }
    }

    fn strip(&self) -> Result<Option<Int8>, ModelError> {
        let image = self.strip.as_deref();
        let strip = image
            .map(|image| Int8::for_task(image, Task::Strip))
            .transpose();
        strip.map_err(|source| ModelError::Image {
            path: self.folder.join(STRIP_FILE),
            source,
        })
    }

    /// The name of the ONNX file, and what is in it.
    #[cfg(feature = "tract")]
    fn onnx(&self) -> Result<(PathBuf, &[u8]), ModelError> {
        let path = self.path(ONNX_FILE);
        match &self.onnx {
            Some(bytes) => Ok((path, bytes)),
            None => Err(missing(path)),
        }
    }

    /// Name, and whether age and sex are read: by the image, or by the ONNX file where no image fits this build.
    fn introduce(&self) -> Result<(String, bool), ModelError> {
        let refused = match self.int8() {
            Ok(int8) => return Ok((int8.model_name().to_owned(), int8.reads_patient())),
            Err(refused) => refused,
        };
        #[cfg(feature = "tract")]
        if self.onnx.is_some() {
            let (path, bytes) = self.onnx()?;
            return tract::introduce(bytes, &path);
        }
        Err(refused)
    }
}

fn missing(path: PathBuf) -> ModelError {
    let source = ErrorKind::NotFound.into();
    ModelError::Unreadable { path, source }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("model")
    }

    /// A folder with these files of the shipped model.
    fn some(files: &[&str]) -> tempfile::TempDir {
        let copy = tempfile::tempdir().expect("a folder");
        for name in files {
            std::fs::copy(folder().join(name), copy.path().join(name)).expect("a copy");
        }
        copy
    }

    #[test]
    fn the_shipped_model_is_that_of_its_folder() {
        let (inside, loaded) = (Model::shipped().unwrap(), Model::load(folder()).unwrap());
        assert_eq!(inside.name(), "beat");
        assert_eq!(inside.fingerprint(), loaded.fingerprint());
        assert_eq!(inside.fingerprint().matches(", ").count(), 3);
        assert!(inside.rhythm(Rules::SHIPPED).is_some());
        for kind in Kind::ALL {
            #[cfg(feature = "ort")]
            if *kind == Kind::Ort && crate::runtime::ort::library().is_err() {
                println!("skipped: no ONNX Runtime");
                continue;
            }
            let network = inside.network(*kind).unwrap();
            assert_eq!(
                (network.name(), network.model_name()),
                (kind.name(), "beat")
            );
            assert_eq!(network.reads_patient(), inside.reads_patient());
        }
    }

    #[test]
    fn a_network_that_was_kept_is_used_again() {
        let model = Model::shipped().unwrap();
        let address = |network: &dyn Runtime| std::ptr::from_ref(network).addr();
        let network = model.network(Kind::Int8).unwrap();
        let first = address(&*network);
        model.keep(Kind::Int8, network);
        let again = model.clone().network(Kind::Int8).unwrap();
        assert_eq!(address(&*again), first);
        assert_ne!(address(&*model.network(Kind::Int8).unwrap()), first);
    }

    #[test]
    fn a_model_may_lack_all_but_one_network() {
        let image = some(&[IMAGE_FILE]);
        let model = Model::load(image.path()).unwrap();
        assert!(model.rhythm(Rules::SHIPPED).is_none() && model.network(Kind::Int8).is_ok());

        let nothing = some(&[RHYTHM_FILE]);
        let message = Model::load(nothing.path()).unwrap_err().to_string();
        assert!(
            message.contains(IMAGE_FILE) && message.contains("cannot be read"),
            "{message}"
        );
    }

    #[cfg(feature = "tract")]
    #[test]
    fn a_network_named_by_its_file_keeps_the_shipped_rhythm() {
        let copy = some(&[ONNX_FILE, IMAGE_FILE]);
        let own = copy.path().join("own.onnx");
        std::fs::rename(copy.path().join(ONNX_FILE), &own).unwrap();
        let model = Model::from_onnx(&own).unwrap();
        assert_eq!(model.name(), "beat");
        assert!(model.rhythm(Rules::SHIPPED).is_some() && model.network(Kind::Tract).is_ok());
        let message = model.network(Kind::Int8).err().unwrap().to_string();
        assert!(
            message.contains("own.onnx") && message.contains("own.hlm"),
            "{message}"
        );

        let model = Model::from_image(copy.path().join(IMAGE_FILE)).unwrap();
        assert!(model.rhythm(Rules::SHIPPED).is_some() && model.network(Kind::Int8).is_ok());
        let message = Model::from_image(&own).unwrap_err().to_string();
        assert!(message.starts_with(&own.display().to_string()), "{message}");
        let message = Model::from_onnx("no/such.onnx").unwrap_err().to_string();
        assert!(
            message.starts_with("no/such.onnx: cannot be read"),
            "{message}"
        );
    }

    #[cfg(feature = "tract")]
    #[test]
    fn an_onnx_file_alone_says_what_is_missing_for_the_integers() {
        let onnx = some(&[ONNX_FILE]);
        let model = Model::load(onnx.path()).unwrap();
        assert_eq!(model.name(), "beat");
        assert!(model.network(Kind::Tract).is_ok());
        let message = model
            .network(Kind::Int8)
            .err()
            .map(|error| error.to_string());
        assert!(message.unwrap().contains("heartlens compile"));

        // An image that is damaged harms those alone who ask for it.
        std::fs::write(onnx.path().join(IMAGE_FILE), b"no image").unwrap();
        let model = Model::load(onnx.path()).unwrap();
        assert!(model.network(Kind::Tract).is_ok());
        let message = model
            .network(Kind::Int8)
            .err()
            .map(|error| error.to_string());
        assert!(message.unwrap().contains(IMAGE_FILE));
    }

    #[test]
    fn a_damaged_rhythm_network_is_named() {
        let copy = some(&[IMAGE_FILE, RHYTHM_FILE]);
        let path = copy.path().join(RHYTHM_FILE);
        let mut image = std::fs::read(&path).unwrap();
        image[100] ^= 1;
        std::fs::write(&path, &image).unwrap();
        let message = Model::load(copy.path()).unwrap_err().to_string();
        assert!(
            message.starts_with(&path.display().to_string()) && message.contains("CRC-32"),
            "{message}"
        );
    }
}
