//! A WFDB record without its signals: what is known where only annotations are read.

use super::annotation::{AnnotationError, Annotations};
use super::header::{DEFAULT_SAMPLE_RATE_HZ, Lines, MalformedHeader, patient_of};
use super::{Patient, RecordError, Warning, extension, printable, wfdb, with_appended};
use std::path::{Path, PathBuf};

/// What a WFDB header says of its record besides the signals. The record may have none, as a list of beats has, and
/// signal files need not be there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outline {
    /// The record's name: its file's, without folder and extension.
    pub name: String,
    /// The record's folder and name, without the header's extension; annotation files lie beside it.
    pub path: PathBuf,
    /// The rate that annotations count at, in Hz; finite and above 0. 250 Hz where the header states none.
    pub sample_rate_hz: f64,
    /// The record's length at that rate, where the header states one.
    pub len_samples: Option<u64>,
    /// Leads that the header describes.
    pub leads: u64,
    /// What the comments say of the patient.
    pub patient: Patient,
    /// The comments, line by line.
    pub comments: Vec<String>,
}

impl Outline {
    /// Reads the header of a WFDB record that is named with or without `.hea`.
    ///
    /// # Errors
    /// [`RecordError`], naming the file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RecordError> {
        let path = path.as_ref();
        let stem = match &*extension(path) {
            "hea" => path.with_extension(""),
            _ => path.to_owned(),
        };
        let header = with_appended(&stem, "hea");
        let text = wfdb::header_text(&header)?;
        let malformed = |cause: MalformedHeader| RecordError::Header {
            path: header.clone(),
            cause,
        };
        let mut lines = Lines::of(&text);
        let (_, record) = lines.record_line().map_err(malformed)?;
        let comments: Vec<String> = lines.comments().iter().map(|c| printable(c)).collect();
        let name = stem.file_name().unwrap_or_default();
        Ok(Self {
            name: printable(&name.to_string_lossy()),
            path: stem,
            sample_rate_hz: record.sample_rate_hz.unwrap_or(DEFAULT_SAMPLE_RATE_HZ),
            len_samples: record.len_samples.filter(|len| *len > 0),
            leads: record.leads,
            patient: patient_of(&comments),
            comments,
        })
    }

    /// Where the record's annotations by `annotator` lie.
    pub fn annotation_path(&self, annotator: &str) -> PathBuf {
        with_appended(&self.path, annotator)
    }

    /// The record's annotations by `annotator`, counted at [`sample_rate_hz`](Self::sample_rate_hz).
    ///
    /// # Errors
    /// [`AnnotationError`], naming file and place.
    pub fn annotations(&self, annotator: &str) -> Result<Annotations, AnnotationError> {
        let mut annotations = Annotations::read(self.annotation_path(annotator))?;
        annotations.count_at(self.sample_rate_hz, self.sample_rate_hz);
        Ok(annotations)
    }

    /// The same as far as they can be read, see [`Annotations::recover`], and what is wrong with the file.
    ///
    /// # Errors
    /// As for [`Annotations::recover`].
    pub fn recover_annotations(
        &self,
        annotator: &str,
    ) -> Result<(Annotations, Option<Warning>), AnnotationError> {
        let (mut annotations, damage) = Annotations::recover(self.annotation_path(annotator))?;
        annotations.count_at(self.sample_rate_hz, self.sample_rate_hz);
        Ok((annotations, damage))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::annotation::{Annotation, Code};

    #[test]
    fn a_header_without_signals_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("r.hea"), "r 0 128 0\n# Age: 64 Sex: F\n").unwrap();
        let list = vec![Annotation::new(300, Code::NORMAL)];
        let annotations = Annotations { list };
        annotations.write(file("r.ecg")).unwrap();
        for name in ["r", "r.hea"] {
            let outline = Outline::open(file(name)).unwrap();
            assert_eq!((outline.name.as_str(), outline.leads), ("r", 0));
            assert_eq!((outline.sample_rate_hz, outline.len_samples), (128.0, None));
            assert_eq!(outline.patient.age_years, Some(64.0));
            assert_eq!(outline.annotations("ecg").unwrap(), annotations);
        }
        std::fs::write(file("s.hea"), "s 1 250 5000\ns.dat 212\n").unwrap();
        let outline = Outline::open(file("s")).unwrap();
        assert_eq!((outline.leads, outline.len_samples), (1, Some(5000)));
        let missing = Outline::open(file("x")).unwrap_err().to_string();
        assert!(missing.contains("x.hea"), "{missing}");
    }
}
