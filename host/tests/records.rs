//! Records of every format on the whole way: from the file to classified beats, in bounded memory.

#![allow(clippy::unwrap_used)]

use heartlens::records::signal::Format;
use heartlens::records::{Record, Warning};
use heartlens::runtime::{Logits, ModelError, Runtime};
use heartlens::{Analysis, Model, Options};
use heartlens_core::views::Views;
use std::fs;
use std::path::{Path, PathBuf};

/// A network that calls every beat the same.
struct Indifferent;

impl Runtime for Indifferent {
    fn name(&self) -> &'static str {
        "indifferent"
    }

    fn model_name(&self) -> &str {
        "none"
    }

    fn reads_patient(&self) -> bool {
        false
    }

    fn logits(&mut self, beats: &[Views]) -> Result<Vec<Logits>, ModelError> {
        Ok(vec![Logits::default(); beats.len()])
    }
}

fn classify(record: &Record, leads: &str) -> Analysis {
    let mut options = Options::default();
    options.leads = leads.parse().unwrap();
    let model = Model::shipped()
        .unwrap()
        .with_network(|| Box::new(Indifferent));
    model.classify(record, &options).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// Writes the first minutes of a record with one of its leads turned over, or as it is.
fn copy_of(record: &Path, minutes: usize, upside_down: bool, folder: &Path) -> PathBuf {
    let opened = Record::open(record).unwrap();
    let name = opened.name().to_owned();
    let frames = (opened.sample_rate_hz() * 60.0) as usize * minutes;
    let sign = if upside_down { -1.0 } else { 1.0 };
    let mv = opened.read_lead(0).unwrap();
    let counts: Vec<i32> = mv[..frames]
        .iter()
        .map(|mv| (sign * mv * 1000.0).round() as i32)
        .collect();
    let header = format!(
        "{name} 1 {} {frames}\n{name}.dat 16 1000 16 0 0 0 0 {}",
        opened.sample_rate_hz(),
        opened.leads()[0].name
    );
    fs::write(folder.join(format!("{name}.hea")), header).unwrap();
    let data = Format::Bits16.encode(&[&counts]);
    fs::write(folder.join(format!("{name}.dat")), data).unwrap();
    folder.join(name)
}

/// How often the warning comes: the first lead of every record, ten minutes of it, as it is and turned over. It must not
/// cry wolf; that it finds no more than some of the inverted leads is what it can do.
#[test]
fn upside_down_leads_are_noticed() {
    let Some(data) = std::env::var_os("HEARTLENS_DATA") else {
        println!("skipped: HEARTLENS_DATA is not set");
        return;
    };
    for (database, records, found_at_least) in [("mitdb", 22, 6), ("svdb", 39, 6)] {
        let mut headers: Vec<PathBuf> = fs::read_dir(Path::new(&data).join(database))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "hea"))
            .collect();
        headers.sort();
        assert_eq!(headers.len(), records);
        let mut warned = [Vec::new(), Vec::new()];
        for header in &headers {
            for upside_down in [false, true] {
                let folder = tempfile::tempdir().unwrap();
                let copy = copy_of(header, 10, upside_down, folder.path());
                let record = Record::open(copy).unwrap();
                let is = |w: &Warning| matches!(w, Warning::UpsideDown { .. });
                if classify(&record, "0").warnings.iter().any(is) {
                    warned[usize::from(upside_down)].push(record.name().to_owned());
                }
            }
        }
        let [wrongly, rightly] = warned;
        println!(
            "{database}: of {records} first leads {} are warned of as recorded, {} when turned over",
            wrongly.len(),
            rightly.len()
        );
        assert!(wrongly.is_empty(), "{database}: {wrongly:?}");
        assert!(rightly.len() >= found_at_least, "{database}: {rightly:?}");
    }
}

#[test]
fn an_upright_demo_is_not_warned_of() {
    let record = Record::open(root().join("models/demo/demo")).unwrap();
    let analysis = classify(&record, "best");
    assert!(analysis.beats.len() > 200);
    assert_eq!(analysis.warnings, []);
}

#[cfg(feature = "cli")]
mod command {
    use super::*;
    use serde_json::Value;
    use std::process::{Command, Output};

    fn heartlens(folder: &Path, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_heartlens"))
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap()
    }

    fn beats(folder: &Path, args: &[&str]) -> Vec<(u64, String)> {
        let output = heartlens(folder, &[args, &["--json", "-"]].concat());
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{message}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        json["beats"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| {
                (
                    b["sample"].as_u64().unwrap(),
                    b["class"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }

    /// The bytes of an EDF file of one lead of whole seconds, in uV.
    fn edf(counts: &[i16], rate: usize, uv_per_count: f64) -> Vec<u8> {
        let field = |text: &str, width: usize| format!("{text:width$}");
        let seconds = counts.len() / rate;
        let limit = |digital: f64| format!("{:.3}", digital * uv_per_count)[..8].to_owned();
        let text = [
            field("0", 8),
            field("X X X X", 80),
            field("", 80),
            field("04.03.2605.06.07", 16),
            field("512", 8),
            field("", 44),
            field(&seconds.to_string(), 8),
            field("1", 8),
            field("1", 4),
            field("ECG II", 16),
            field("", 80),
            field("uV", 8),
            limit(-2000.0),
            limit(2000.0),
            field("-2000", 8),
            field("2000", 8),
            field("", 80),
            field(&rate.to_string(), 8),
            field("", 32),
        ]
        .concat();
        let samples = counts[..seconds * rate]
            .iter()
            .flat_map(|c| c.to_le_bytes());
        text.into_bytes().into_iter().chain(samples).collect()
    }

    /// The demo record as EDF and as CSV has the beats that it has as WFDB. These are the commands of `classify --help`.
    #[test]
    fn the_same_signal_has_the_same_beats_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let demo = root().join("models/demo/demo");
        let record = Record::open(&demo).unwrap();
        let mv = record.read_lead(0).unwrap();
        let per_mv = record.leads()[0].counts_per_mv.unwrap();
        let counts: Vec<i16> = mv.iter().map(|mv| (mv * per_mv).round() as i16).collect();
        let uv_per_count = 1000.0 / f64::from(per_mv);
        fs::write(
            folder.path().join("night.edf"),
            edf(&counts, 360, uv_per_count),
        )
        .unwrap();
        let rows: String = mv.iter().map(|mv| format!("{}\n", 1000.0 * mv)).collect();
        fs::write(folder.path().join("chest.csv"), format!("ecg\n{rows}")).unwrap();
        let rows: String = mv
            .iter()
            .enumerate()
            .map(|(k, mv)| format!("{:.3},{mv}\n", k as f64 / 360.0))
            .collect();
        fs::write(folder.path().join("timed.csv"), format!("time,mV\n{rows}")).unwrap();

        let demo = demo.to_string_lossy();
        let expected = beats(folder.path(), &["classify", &demo]);
        assert!(expected.len() > 200);
        let as_edf = beats(folder.path(), &["classify", "night.edf", "--lead", "best"]);
        assert_eq!(as_edf, expected);
        let as_csv = ["classify", "chest.csv", "--rate", "360", "--unit", "uV"];
        assert_eq!(beats(folder.path(), &as_csv), expected);
        assert_eq!(beats(folder.path(), &["classify", "timed.csv"]), expected);

        // The example of the help, whose rate is another.
        let example = ["classify", "chest.csv", "--rate", "250", "--unit", "uV"];
        assert!(!beats(folder.path(), &example).is_empty());
        let help = heartlens(folder.path(), &["classify", "--help"]);
        let help = String::from_utf8_lossy(&help.stdout).into_owned();
        assert!(help.contains(&example.join(" ")));
        assert!(help.contains("classify night.edf --lead best"));
    }

    /// The demo record as a table, two minutes of it: each row by its time in s and its sample in mV.
    fn table(head: &str, row: impl Fn(f64, f32) -> String) -> String {
        let record = Record::open(root().join("models/demo/demo")).unwrap();
        let mv = record.read_lead(0).unwrap();
        let rows = mv[..120 * 360].iter().enumerate();
        let rows = rows.map(|(k, mv)| row(k as f64 / 360.0, *mv));
        format!("{head}\n{}", rows.collect::<String>())
    }

    /// A constant offset is no signal, a lead that is none is not read unasked, and both are said.
    #[test]
    fn the_same_beats_behind_an_offset_and_behind_other_leads() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
        write(
            "plain.csv",
            table("time (s),ecg (mV)", |t, mv| format!("{t:.4},{mv}\n")),
        );
        write(
            "offset.csv",
            table("time (s),ecg (mV)", |t, mv| {
                format!("{t:.4},{}\n", 1650.0 + mv)
            }),
        );
        write(
            "night.csv",
            table("time (s),EEG C3-A2 (uV),Resp (mV),ECG (mV)", |t, mv| {
                format!("{t:.4},{},{t:.2},{mv}\n", -mv)
            }),
        );
        let expected = beats(folder.path(), &["classify", "plain.csv"]);
        assert!(expected.len() > 120, "{}", expected.len());
        // 1650 mV leave f32 a tenth of a microvolt.
        let places = |found: &[(u64, String)]| found.iter().map(|beat| beat.0).collect::<Vec<_>>();
        let found = beats(folder.path(), &["classify", "offset.csv"]);
        assert_eq!(places(&found), places(&expected));
        assert_eq!(beats(folder.path(), &["classify", "night.csv"]), expected);
        for (name, warning) in [
            ("offset.csv", "lead ecg stands at 1650 mV all the time"),
            (
                "night.csv",
                "read lead 2, ECG, the first that is an ECG by its name",
            ),
        ] {
            let output = heartlens(folder.path(), &["classify", name]);
            let words = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(words.contains(warning), "{words}");
        }
        let output = heartlens(folder.path(), &["classify", "night.csv", "--lead", "Resp"]);
        assert!(output.status.success(), "asked for, anything is read");
    }

    #[test]
    fn inspect_says_what_a_lead_is_in() {
        let folder = tempfile::tempdir().unwrap();
        let text = table("time (s),ecg (mV),note", |t, mv| format!("{t:.4},{mv},\n"));
        fs::write(folder.path().join("r.csv"), text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_heartlens"))
            .args(["inspect", "r.csv"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(words.contains("lead 0   ecg in mV\n"), "{words}");
        assert!(
            words.contains("lead 1   note no unit, no voltage\n"),
            "{words}"
        );
    }

    #[test]
    fn bad_input_is_refused_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        for (name, content, part) in [
            (
                "b.csv",
                &b"time,mv\n0,1\n1,not a number\n"[..],
                "b.csv: line 3: found `not a number`",
            ),
            ("r.edf", &[0x9a; 100], "r.edf: byte 0: found "),
            (
                "m.hea",
                b"m/2 1 250 8\nm 4\nm 4",
                "m.hea: line 1: found a record of several segments",
            ),
        ] {
            fs::write(folder.path().join(name), content).unwrap();
            let output = heartlens(folder.path(), &["classify", name, "--json", "out.json"]);
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{message}");
            assert!(
                message.contains(part) && message.lines().count() == 1,
                "{message}"
            );
            assert!(!folder.path().join("out.json").exists());
        }
        for wrong in [["--rate", "0"], ["--rate", "fast"], ["--unit", "mmHg"]] {
            let output = heartlens(folder.path(), &["classify", "b.csv", wrong[0], wrong[1]]);
            assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        }
    }

    /// An annotation file beside the record must not be the record.
    #[test]
    fn annotations_do_not_overwrite_the_record() {
        let folder = tempfile::tempdir().unwrap();
        for extension in ["edf", "csv", "tsv"] {
            let name = format!("r.{extension}");
            fs::write(folder.path().join(&name), "kept").unwrap();
            let output = heartlens(
                folder.path(),
                &["classify", &name, "--annotations", extension],
            );
            assert_eq!(output.status.code(), Some(1));
            assert_eq!(fs::read(folder.path().join(&name)).unwrap(), b"kept");
        }
    }
}
