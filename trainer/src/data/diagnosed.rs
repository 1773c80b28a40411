//! Recordings whose diagnosis says which ectopic beats there are, and not where.
//!
//! Public data bases of twelve-lead recordings name a diagnosis each: premature atrial beats, premature ventricular ones, or a
//! rhythm without any. A config maps their codes ([`DiagnosedConfig`]); each lead that it names is a recording of its own.
//! Where the diagnosis leaves no room for ectopic beats, all beats are N. Where it names some, a teacher says which they
//! are, under the diagnosis: at least one of the beats is of the class, and none of a class that is not named
//! ([`crate::beat::teacher`]).

use super::DatasetError;
use super::find::Found;
use super::weak_labels::Rhythm;
use heartlens::evaluate::diagnosis::Diagnoses;
use heartlens::evaluate::mapping::Mapping;
use heartlens::records::Record;
use heartlens_core::class::Class;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A data base of such recordings, and what its codes mean. Each code that the recordings have must stand in one of the lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(non_snake_case, reason = "the names of the classes")]
pub struct DiagnosedConfig {
    /// Its folder; folders below it are read as well.
    pub database: String,
    /// Names of the leads that are read, as far as a recording has them, in any case.
    pub leads: Vec<String>,
    /// Codes by which no beat is S or V, unless another code names some.
    pub none: Vec<String>,
    /// Codes by which one beat or more is S.
    pub S: Vec<String>,
    /// Codes by which one beat or more is V.
    pub V: Vec<String>,
    /// Codes of beats that are not to be learned, such as paced ones: a recording with one of them is not read.
    pub exclude: Vec<String>,
    /// Codes that say nothing of beats.
    pub passed_over: Vec<String>,
}

impl DiagnosedConfig {
    /// The lists of codes.
    fn lists(&self) -> [&[String]; 5] {
        [
            &self.none,
            &self.S,
            &self.V,
            &self.exclude,
            &self.passed_over,
        ]
    }

    /// Whether it names leads and codes, each code once.
    pub fn is_whole(&self) -> bool {
        let mut codes = self.lists().concat();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        !self.leads.is_empty() && count > 0 && codes.len() == count
    }

    /// What these codes say of a recording; `None` where they do not say which ectopic beats there are.
    fn rhythm(&self, codes: &[String]) -> Option<Rhythm> {
        let any = |list: &[String]| codes.iter().any(|code| list.contains(code));
        if any(&self.exclude) {
            return None;
        }
        match (any(&self.S), any(&self.V)) {
            (true, true) => Some(Rhythm::HasBoth),
            (true, false) => Some(Rhythm::HasS),
            (false, true) => Some(Rhythm::HasV),
            (false, false) => any(&self.none).then_some(Rhythm::Normal),
        }
    }

    /// The recordings of `folder` and of the folders below it, in order of their paths: one for each lead.
    ///
    /// # Errors
    /// If a header cannot be read, a code is in none of the lists, a recording's annotations contradict its diagnosis, or no recording
    /// has a diagnosis that says something of its beats.
    pub(crate) fn find(&self, folder: &Path) -> Result<Vec<Found>, DatasetError> {
        let mut headers = Vec::new();
        collect(folder, &mut headers)?;
        let mut diagnoses = Diagnoses::default();
        let mut unknown = BTreeMap::<String, usize>::new();
        let mut found = Vec::new();
        for path in headers {
            let record = Record::open(&path)?;
            let path = path.with_extension("");
            let codes = diagnoses.codes(&path, record.name(), record.comments());
            for code in &codes {
                if !self.lists().iter().any(|list| list.contains(code)) {
                    *unknown.entry(code.clone()).or_default() += 1;
                }
            }
            let Some(rhythm) = self.rhythm(&codes) else {
                continue;
            };
            check(&record, rhythm)?;
            let leads = record.leads().iter().enumerate();
            let wanted = leads.filter(|(_, lead)| {
                let mut names = self.leads.iter();
                names.any(|name| name.eq_ignore_ascii_case(&lead.name))
            });
            found.extend(wanted.map(|(lead, _)| Found {
                database: self.database.clone(),
                path: path.clone(),
                rhythm: Some(rhythm),
                lead: Some(lead),
            }));
        }
        if !unknown.is_empty() {
            let codes = unknown
                .iter()
                .map(|(code, count)| format!("{code} ({count})"));
            return Err(DatasetError::UnknownCodes {
                folder: folder.to_owned(),
                codes: codes.collect::<Vec<_>>().join(", "),
            });
        }
        if found.is_empty() {
            return Err(DatasetError::NoDiagnosis {
                folder: folder.to_owned(),
            });
        }
        Ok(found)
    }
}

/// Headers in a folder and below it, in order.
fn collect(folder: &Path, headers: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    let unreadable = |source| DatasetError::Read {
        path: folder.to_owned(),
        source,
    };
    let entries = std::fs::read_dir(folder).map_err(unreadable)?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(unreadable)?;
    paths.sort_unstable();
    for path in paths {
        if path.is_dir() {
            collect(&path, headers)?;
        } else if path.extension().is_some_and(|extension| extension == "hea") {
            headers.push(path);
        }
    }
    Ok(())
}

/// Refuses a recording whose beats somebody has annotated otherwise.
fn check(record: &Record, rhythm: Rhythm) -> Result<(), DatasetError> {
    if !record.annotation_path(super::find::REFERENCE).is_file() {
        return Ok(());
    }
    let annotations = record.annotations(super::find::REFERENCE)?;
    let classes: Vec<Class> = Mapping::default()
        .events(&annotations.list)
        .iter()
        .filter_map(|event| match event.kind {
            heartlens::evaluate::bxb::Kind::Beat(class) => Some(class),
            _ => None,
        })
        .collect();
    for class in [Class::S, Class::V] {
        let annotated = classes.iter().filter(|other| **other == class).count();
        if rhythm.has(class).is_some_and(|has| has != (annotated > 0)) {
            return Err(DatasetError::Contradiction {
                path: record.annotation_path(super::find::REFERENCE),
                class,
                annotated,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn config() -> DiagnosedConfig {
        let list = |codes: &[&str]| codes.iter().map(|code| (*code).to_owned()).collect();
        DiagnosedConfig {
            database: "made".to_owned(),
            leads: list(&["II", "V1"]),
            none: list(&["NSR", "AF"]),
            S: list(&["PAC"]),
            V: list(&["PVC"]),
            exclude: list(&["PACE"]),
            passed_over: list(&["LAD"]),
        }
    }

    #[test]
    fn codes_say_which_beats_there_are() {
        let config = config();
        let of = |codes: &str| {
            let codes: Vec<String> = codes.split(',').map(str::to_owned).collect();
            config.rhythm(&codes)
        };
        assert_eq!(of("NSR,LAD"), Some(Rhythm::Normal));
        assert_eq!(of("NSR,PAC"), Some(Rhythm::HasS));
        assert_eq!(of("AF,PVC"), Some(Rhythm::HasV));
        assert_eq!(of("PVC,PAC"), Some(Rhythm::HasBoth));
        assert_eq!(of("PVC,PACE"), None);
        assert_eq!(of("LAD"), None);
    }

    #[test]
    fn a_code_stands_in_one_list() {
        assert!(config().is_whole());
        let mut twice = config();
        twice.V.push("PAC".to_owned());
        assert!(!twice.is_whole());
        let mut none = config();
        none.leads.clear();
        assert!(!none.is_whole());
    }

    fn recording(folder: &Path, name: &str, codes: &str) {
        let header = format!(
            "{name} 2 100 800\n{name}.dat 16 200/mV 16 0 0 0 0 II\n{name}.dat 16 200/mV 16 0 0 0 0 V2\n#Dx: {codes}\n"
        );
        std::fs::write(folder.join(format!("{name}.hea")), header).unwrap();
        std::fs::write(folder.join(format!("{name}.dat")), vec![0; 3200]).unwrap();
    }

    #[test]
    fn recordings_are_found_below_a_folder_and_unknown_codes_named() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("g1");
        std::fs::create_dir(&below).unwrap();
        recording(folder.path(), "a", "NSR");
        recording(&below, "b", "PAC, LAD");
        recording(&below, "c", "LAD");
        let found = config().find(folder.path()).unwrap();
        let names: Vec<String> = found.iter().map(Found::name).collect();
        // In order of their paths, and the lead that is asked for.
        assert_eq!(names, ["made/a:0", "made/b:0"]);
        assert_eq!(found[1].rhythm, Some(Rhythm::HasS));
        recording(&below, "d", "XYZ,PAC");
        recording(&below, "e", "XYZ");
        let error = config().find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("XYZ (2)"), "{error}");
        let empty = tempfile::tempdir().unwrap();
        let error = config().find(empty.path()).unwrap_err().to_string();
        assert!(error.contains("no recording"), "{error}");
    }

    #[test]
    fn annotations_that_say_otherwise_are_named() {
        use heartlens::records::annotation::{Annotation, Annotations, Code};
        let folder = tempfile::tempdir().unwrap();
        recording(folder.path(), "a", "NSR");
        recording(folder.path(), "b", "PVC");
        let annotate = |name: &str, codes: &[Code]| {
            let beats = codes.iter().zip(1..);
            let list = beats.map(|(code, beat)| Annotation::new(80 * beat, *code));
            let annotations = Annotations {
                list: list.collect(),
            };
            let path = folder.path().join(format!("{name}.atr"));
            annotations.write(path).unwrap();
        };
        annotate("a", &[Code::NORMAL, Code::NORMAL]);
        annotate("b", &[Code::NORMAL, Code::VENTRICULAR_PREMATURE]);
        assert_eq!(config().find(folder.path()).unwrap().len(), 2);
        annotate("a", &[Code::NORMAL, Code::VENTRICULAR_PREMATURE]);
        let error = config().find(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("a.atr") && error.contains("1 beats of class V"),
            "{error}"
        );
        annotate("a", &[Code::NORMAL]);
        annotate("b", &[Code::NORMAL]);
        let error = config().find(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("b.atr") && error.contains("0 beats of class V"),
            "{error}"
        );
    }
}
