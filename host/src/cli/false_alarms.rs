//! `heartlens evaluate --false-alarms`: S and V in recordings whose diagnosis says that there are none.

use super::classify::inputs::{Input, inputs};
use super::classify::{Reading, progress_bar};
use super::evaluate::{Failures, NOTICE};
use super::output::Sink;
use crate::engine::Pool;
use crate::evaluate::diagnosis::{Diagnoses, Diagnosis};
use crate::records::Record;
use anyhow::{anyhow, bail};
use heartlens_core::class::Class;
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// Recordings with the most false alarms that are listed.
const WORST: usize = 8;

/// Beats of recordings in which each should be N.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
struct Counts {
    /// Recordings with a beat that could be read.
    recordings: u64,
    /// Of those, recordings with at least one S or V.
    with_any: u64,
    /// Beats that could be read.
    beats: u64,
    s: u64,
    v: u64,
    /// Beats that could not be read.
    q: u64,
}

impl Counts {
    fn add(&mut self, class: Class) {
        match class {
            Class::Q => self.q += 1,
            _ => self.beats += 1,
        }
        self.s += u64::from(class == Class::S);
        self.v += u64::from(class == Class::V);
    }

    fn merge(&mut self, one: &Self) {
        self.recordings += u64::from(one.beats > 0);
        self.with_any += u64::from(one.s + one.v > 0);
        self.beats += one.beats;
        self.s += one.s;
        self.v += one.v;
        self.q += one.q;
    }

    /// S and V of a thousand beats that could be read; `None` without any.
    fn of_a_thousand(&self) -> Option<f64> {
        (self.beats > 0).then(|| 1000.0 * (self.s + self.v) as f64 / self.beats as f64)
    }
}

/// One recording.
#[derive(Debug, Serialize)]
struct Row {
    record: String,
    diagnosis: Diagnosis,
    beats: u64,
    s: u64,
    v: u64,
    q: u64,
}

/// Runs the verb.
pub(super) fn run(paths: &[PathBuf], reading: &Reading, json: Option<&Sink>) -> anyhow::Result<()> {
    let mut failures = Failures::of(paths);
    let mut diagnoses = Diagnoses::default();
    let mut chosen: Vec<(Input, Diagnosis, f64)> = Vec::new();
    let mut unsaid = 0;
    let all = inputs(paths)?;
    let count = all.len();
    for input in all {
        match Record::open_with(&input.path, &reading.read_options()) {
            Ok(record) => match diagnoses.of(&record) {
                Some(diagnosis) => chosen.push((input, diagnosis, record.duration_s())),
                None => unsaid += 1,
            },
            Err(error) => failures.add(input.path.display().to_string(), error.into())?,
        }
    }
    if chosen.is_empty() {
        failures.end(0)?;
        bail!(
            "found no diagnosis that rules out ectopic beats for any of {count} records; expected `Dx:` in their headers, REFERENCE.csv \
             beside them (name,N), or ptbxl_database.csv above them"
        );
    }
    let model = reading.model.load()?;
    let options = reading.options();
    let network = model.network(options.runtime)?;
    let runtime = network.name();
    model.keep(options.runtime, network);
    let progress = progress_bar(chosen.iter().map(|(_, _, duration_s)| duration_s).sum());
    let mut groups: BTreeMap<Diagnosis, Counts> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut failed = Ok(());
    let _ = Pool::new(&model, &options).map(
        chosen.len(),
        |place, worker| -> anyhow::Result<Counts> {
            let (input, _, duration_s) = &chosen[place];
            let record = Record::open_with(&input.path, &reading.read_options())?;
            let options = reading.options_for(&record)?;
            let go_on = &mut |_| ControlFlow::Continue(());
            let mut counts = Counts::default();
            for beat in worker.classify(&record, &options, go_on)?.beats {
                counts.add(beat.class);
            }
            progress.inc(*duration_s as u64);
            Ok(counts)
        },
        |place, counted| {
            let (input, diagnosis, _) = &chosen[place];
            let bug = || Err(anyhow!("{}: failed; this is a bug", input.name));
            match counted.unwrap_or_else(bug) {
                Ok(counts) => {
                    groups.entry(*diagnosis).or_default().merge(&counts);
                    let Counts { beats, s, v, q, .. } = counts;
                    rows.push(Row {
                        record: input.name.clone(),
                        diagnosis: *diagnosis,
                        beats,
                        s,
                        v,
                        q,
                    });
                }
                Err(error) => failed = failures.add(input.path.display().to_string(), error),
            }
            match failed {
                Err(_) => ControlFlow::Break(()),
                Ok(()) => ControlFlow::Continue(()),
            }
        },
    );
    progress.finish_and_clear();
    failed?;
    let text = format!(
        "Model {} in {runtime}, lead {}: S and V in recordings whose diagnosis says that there are none\n\n{}\n{unsaid} of {count} records \
         have no such diagnosis.\n\n{NOTICE}\n",
        model.name(),
        reading.leads(),
        table(&groups, &rows),
    );
    if let Some(sink) = json {
        let group = |(diagnosis, counts): (&Diagnosis, &Counts)| -> anyhow::Result<_> {
            let mut figures = serde_json::to_value(counts)?;
            figures["of_a_thousand"] = counts.of_a_thousand().into();
            Ok((serde_json::to_value(diagnosis)?, figures))
        };
        let groups: Vec<_> = groups.iter().map(group).collect::<Result<_, _>>()?;
        let groups: serde_json::Map<_, _> = groups
            .into_iter()
            .filter_map(|(key, figures)| Some((key.as_str()?.to_owned(), figures)))
            .collect();
        let object = json!({
            "model": model.name(), "runtime": runtime, "lead": reading.leads().to_string(),
            "false_alarms": groups, "per_record": rows, "notice": NOTICE,
        });
        let mut bytes = serde_json::to_vec_pretty(&object)?;
        bytes.push(b'\n');
        sink.write(&bytes)?;
    }
    match json {
        Some(Sink::Stdout) => eprint!("{text}"),
        _ => Sink::Stdout.write(text.as_bytes())?,
    }
    failures.end(rows.len())
}

/// One line a diagnosis, and the recordings with the most false alarms.
fn table(groups: &BTreeMap<Diagnosis, Counts>, rows: &[Row]) -> String {
    let mut text = format!(
        "{:<20} {:>10} {:>9} {:>9} {:>7} {:>7} {:>8} {:>7}\n",
        "Diagnosis", "recordings", "with any", "beats", "S", "V", "of 1,000", "Q"
    );
    for (diagnosis, counts) in groups {
        let share = counts.of_a_thousand();
        let share = share.map_or_else(|| "-".to_owned(), |share| format!("{share:.1}"));
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{:<20} {:>10} {:>9} {:>9} {:>7} {:>7} {share:>8} {:>7}",
            diagnosis.name(),
            counts.recordings,
            counts.with_any,
            counts.beats,
            counts.s,
            counts.v,
            counts.q
        );
    }
    let mut worst: Vec<&Row> = rows.iter().filter(|row| row.s + row.v > 0).collect();
    worst.sort_by_key(|row| std::cmp::Reverse(row.s + row.v));
    if !worst.is_empty() {
        let name = |row: &&Row| format!("{} ({} of {})", row.record, row.s + row.v, row.beats);
        let names: Vec<String> = worst.iter().take(WORST).map(name).collect();
        let _ = writeln!(text, "\nMost in: {}", names.join(", "));
    }
    text
}
