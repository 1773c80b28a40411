//! Recordings of which somebody has said that no beat is ectopic: every S and V found in them is a false alarm.
//!
//! A diagnosis comes from where public data bases have it:
//!
//! - `REFERENCE.csv` beside the record, `name,N` (PhysioNet/CinC Challenge 2017);
//! - a comment `Dx: ...` of the header, SNOMED CT codes or short names (PhysioNet Challenges 2020 and 2021, whose table of
//!   codes is the source of those below);
//! - `ptbxl_database.csv` in the record's folder or one of four above it, `scp_codes` (PTB-XL).

use crate::records::Record;
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a diagnosis says of a recording's beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Diagnosis {
    /// Normal, or nothing but a sinus rhythm.
    Normal,
    /// A bundle branch block without ectopic beats or fibrillation: wide beats that are N.
    BundleBranchBlock,
}

impl Diagnosis {
    /// Its name in a table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::BundleBranchBlock => "bundle branch block",
        }
    }

    /// What these codes say; `None` where they leave room for beats that are not N, or are of another kind.
    ///
    /// A code that is in no list below says something else of the heart (an infarction, an axis): beside one that says
    /// normal or block it changes nothing, alone it says nothing of the beats.
    pub fn of_codes<'a>(codes: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let codes: Vec<String> = codes
            .into_iter()
            .map(|code| code.trim().to_ascii_uppercase())
            .filter(|code| !code.is_empty())
            .collect();
        let any = |list: &[&str]| codes.iter().any(|code| list.contains(&code.as_str()));
        let all = |list: &[&str]| codes.iter().all(|code| list.contains(&code.as_str()));
        if codes.is_empty() || any(OTHER_BEATS) {
            None
        } else if any(BLOCK) {
            Some(Self::BundleBranchBlock)
        } else if any(NORMAL) || all(SINUS) {
            Some(Self::Normal)
        } else {
            None
        }
    }
}

/// Normal, by name.
const NORMAL: &[&str] = &["N", "NORM", "NORMAL"];
/// Sinus rhythm: any, slow, fast, uneven.
const SINUS: &[&str] = &["426783006", "426177001", "427084000", "427393009"];
/// Bundle branch blocks: left, right, complete, incomplete.
const BLOCK: &[&str] = &[
    "LBBB",
    "RBBB",
    "CLBBB",
    "CRBBB",
    "ILBBB",
    "IRBBB",
    "164909002",
    "59118001",
    "733534002",
    "713427006",
    "251120003",
    "713426002",
    "6374002",
];
/// Beats that are not N, rhythms that are made of them or look like them, and pacing.
const OTHER_BEATS: &[&str] = &[
    // Names of CPSC 2018 and PTB-XL.
    "AF",
    "PAC",
    "PVC",
    "AFIB",
    "AFLT",
    "SVTAC",
    "PSVT",
    "SVARR",
    "BIGU",
    "TRIGU",
    "PACE",
    "WPW",
    "PRC(S)",
    // Atrial fibrillation and flutter.
    "164889003",
    "164890007",
    "195080001",
    "282825002",
    "426749004",
    // Atrial, junctional and supraventricular beats and rhythms.
    "284470004",
    "63593006",
    "251173003",
    "251268003",
    "251170000",
    "713422000",
    "426761007",
    "67198005",
    "233896004",
    "233897008",
    "251164006",
    "29320008",
    "426995002",
    "426648003",
    "426664006",
    "195101003",
    "251168009",
    // Ventricular beats and rhythms, fusion.
    "427172004",
    "17338001",
    "164884008",
    "251182009",
    "11157007",
    "251180001",
    "81898007",
    "75532003",
    "61277005",
    "49260003",
    "164895002",
    "164896001",
    "111288001",
    "13640000",
    "425856008",
    "61721007",
    // Pacing, pre-excitation, block of the atrioventricular node of second degree and more, sinus arrest.
    "10370003",
    "251266004",
    "74390002",
    "195060002",
    "27885002",
    "195042002",
    "54016002",
    "28189009",
    "5609005",
];

/// Tables of diagnoses, each read once.
#[derive(Debug, Default)]
pub struct Diagnoses {
    /// By file: the codes of each name. Empty where there is no such file.
    tables: HashMap<PathBuf, HashMap<String, Vec<String>>>,
}

/// The table of the Challenge of 2017, beside the records.
const REFERENCE: &str = "REFERENCE.csv";
/// PTB-XL's table.
const PTBXL: &str = "ptbxl_database.csv";
/// Folders above a record's own in which PTB-XL's table is looked for.
const ABOVE: usize = 4;

impl Diagnoses {
    /// What is said of a record; `None` where nobody says that its beats are N.
    pub fn of(&mut self, record: &Record) -> Option<Diagnosis> {
        let codes = self.codes(record.path(), record.name(), record.comments());
        Diagnosis::of_codes(codes.iter().map(String::as_str))
    }

    /// The codes of all diagnoses of the record of this path (without extension), name and comments, as they are written.
    pub fn codes(&mut self, path: &Path, name: &str, comments: &[String]) -> Vec<String> {
        let comments = comments.iter().filter_map(|comment| {
            let (key, codes) = comment.split_once(':')?;
            key.trim().eq_ignore_ascii_case("dx").then_some(codes)
        });
        let mut codes: Vec<String> = comments
            .flat_map(|codes| codes.split(','))
            .map(|code| code.trim().to_owned())
            .filter(|code| !code.is_empty())
            .collect();
        let folder = path.parent().unwrap_or(Path::new(""));
        for (table, folders) in [(REFERENCE, 1), (PTBXL, 1 + ABOVE)] {
            for folder in folder.ancestors().take(folders) {
                let table = self.table(&folder.join(table));
                codes.extend(table.get(name).into_iter().flatten().cloned());
            }
        }
        codes
    }

    fn table(&mut self, path: &Path) -> &HashMap<String, Vec<String>> {
        let read = || fs::read(path).map_or_else(|_| HashMap::new(), |bytes| codes_of(&bytes));
        self.tables.entry(path.to_owned()).or_insert_with(read)
    }
}

/// The codes of each record in a table: of `name,code`, or of a table with columns `filename_hr`, `filename_lr` and
/// `scp_codes`, whose codes are in quotes. Lines that are neither are passed over.
fn codes_of(table: &[u8]) -> HashMap<String, Vec<String>> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(table);
    let mut lines = reader.records().filter_map(Result::ok).peekable();
    let columns = lines.peek().and_then(|first| {
        let place = |name: &str| first.iter().position(|column| column == name);
        Some((
            place("scp_codes")?,
            [place("filename_hr"), place("filename_lr")],
        ))
    });
    let mut codes: HashMap<String, Vec<String>> = HashMap::new();
    for line in lines {
        let Some((scp, files)) = columns else {
            if let (Some(name), Some(code)) = (line.get(0), line.get(1)) {
                codes
                    .entry(name.to_owned())
                    .or_default()
                    .push(code.to_owned());
            }
            continue;
        };
        let found = line.get(scp).unwrap_or_default();
        let found: Vec<String> = found
            .split('\'')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect();
        for file in files
            .into_iter()
            .flatten()
            .filter_map(|place| line.get(place))
        {
            let name = file.rsplit('/').next().unwrap_or(file);
            codes.insert(name.to_owned(), found.clone());
        }
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_beats_there_can_be() {
        let of = |codes: &str| Diagnosis::of_codes(codes.split(','));
        for normal in [
            "N",
            "Normal",
            "NORM,SR,SBRAD",
            "426783006",
            " 426177001, 427393009",
        ] {
            assert_eq!(of(normal), Some(Diagnosis::Normal), "{normal}");
        }
        for block in ["RBBB", "CLBBB,SR", "426783006,164909002", "NORM,IRBBB"] {
            assert_eq!(of(block), Some(Diagnosis::BundleBranchBlock), "{block}");
        }
        // Ectopic beats beside a normal rhythm, fibrillation beside a block, what says nothing of beats, and nothing.
        for neither in [
            "NORM,PVC",
            "AF,RBBB",
            "A",
            "O",
            "~",
            "STD",
            "426783006,284470004",
            "164934002",
            "",
        ] {
            assert_eq!(of(neither), None, "{neither}");
        }
    }

    #[test]
    fn tables_are_read_as_they_come() {
        let codes = codes_of(b"A00001,N\nA00002,A\n");
        assert_eq!(
            (&*codes["A00001"], &*codes["A00002"]),
            (&["N".to_owned()][..], &["A".to_owned()][..])
        );
        let table = "ecg_id,scp_codes,filename_lr,filename_hr\n\
             7,\"{'NORM': 100.0, 'SR': 0.0}\",records100/00000/00007_lr,records500/00000/00007_hr\n";
        let codes = codes_of(table.as_bytes());
        for name in ["00007_lr", "00007_hr"] {
            assert_eq!(codes[name], ["NORM", "SR"], "{name}");
        }
        assert!(codes_of(b"").is_empty() && codes_of(b"\xff\xfe").is_empty());
    }
}
