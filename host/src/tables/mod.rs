//! Results as tables: one schema for the command, Python, Ray and Spark.
//!
//! Three [tables](Table) belong together: `beats` has a row a beat, `records` a row a record that was classified, `errors` a row a record
//! that could not be. `docs/tables.md` lists their columns; [`columns`] has the same list, and a test holds both together. [`Recording::beats`], [`Recording::record`] and [`Failure::row`] make
//! Arrow batches of results, a [`Part`] makes Parquet of them, and a [`DataSet`] is a folder of parts.

mod data_set;
mod part;
#[cfg(test)]
mod tests;

pub use data_set::{DataSet, DataSetError, STATEMENT_FILE};
pub use part::{Part, PartFiles, Writer};

use crate::analysis::{Analysis, Beat};
use crate::choice::TakenLead;
use crate::episodes::{Episode, EpisodeKind};
use crate::hrv::Figures;
use crate::message::Parts;
use crate::model::Model;
use crate::options::{Options, Peaks};
use crate::records::{BeatList, ReadOptions, Record};
use arrow_array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, StructArray,
};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema, SchemaRef};
use heartlens_core::class::Class;
use heartlens_core::patient::Sex;
use heartlens_core::rhythm::Rules;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;

/// The version of the schema. It grows when a column is renamed, removed or changes its meaning; a new column leaves it.
pub const SCHEMA_VERSION: u32 = 1;

/// The key of [`SCHEMA_VERSION`] in the metadata of a table.
pub const SCHEMA_KEY: &str = "schema_version";

/// One of the three tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Table {
    /// A row a beat.
    Beats,
    /// A row a record that was classified.
    Records,
    /// A row a record that could not be classified.
    Errors,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Beats, Self::Records, Self::Errors];

    /// The name, which is that of its folder in a [`DataSet`], too.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beats => "beats",
            Self::Records => "records",
            Self::Errors => "errors",
        }
    }

    /// Its schema, with what [`Origin::metadata`] says.
    pub fn schema(self, origin: &Origin) -> SchemaRef {
        match self {
            Self::Beats => schema(self, &beat_columns(), origin),
            Self::Records => schema(self, &record_columns(), origin),
            Self::Errors => schema(self, &error_columns(), origin),
        }
    }
}

/// Which program made a table, with which model and how. Results of different origins do not go into one [`DataSet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Origin {
    /// The program's version.
    pub heartlens: String,
    /// The model's name.
    pub model: String,
    /// What tells the model's files from others: [`Model::fingerprint`].
    pub model_hash: String,
    /// What the records were classified with, as flags of `heartlens classify`.
    pub options: String,
}

impl Origin {
    /// This program with this model and these options. `annotator` is what reference annotations and lists of beats are
    /// read from.
    pub fn new(model: &Model, options: &Options, annotator: &str, read: &ReadOptions) -> Self {
        let rules = match options.rules {
            None => "off",
            Some(Rules::ALIKE) => "alike",
            Some(Rules::STRIP) => "strip",
            Some(Rules::NONE) => "none",
            Some(Rules::AF) => "af",
            Some(Rules::AF_SVT) => "af-svt",
            Some(_) => "others",
        };
        let mut text = format!(
            "--runtime {} --mode {} --lead {} --rules {rules}",
            options.runtime, options.mode, options.leads
        );
        if let Some(age) = options.patient.age_years {
            text.push_str(&format!(" --age {age}"));
        }
        if let Some(sex) = options.patient.sex {
            text.push_str(match sex {
                Sex::Female => " --sex f",
                Sex::Male => " --sex m",
            });
        }
        if options.peaks != Peaks::Detected {
            text.push_str(" --peaks reference");
        }
        if annotator != "atr" {
            text.push_str(&format!(" --annotator {annotator}"));
        }
        if let Some(rate) = read.rate_hz {
            text.push_str(&format!(" --rate {rate}"));
        }
        if let Some(unit) = read.unit {
            text.push_str(&format!(" --unit {}", unit));
        }
        Self {
            heartlens: env!("CARGO_PKG_VERSION").to_owned(),
            model: model.name().to_owned(),
            model_hash: model.fingerprint(),
            options: text,
        }
    }

    /// What the metadata of a table say: its name, the schema's version, program, model, options and notice.
    pub fn metadata(&self, table: Table) -> Vec<(&'static str, String)> {
        vec![
            ("heartlens", self.heartlens.clone()),
            ("table", table.name().to_owned()),
            (SCHEMA_KEY, SCHEMA_VERSION.to_string()),
            ("model", self.model.clone()),
            ("model_hash", self.model_hash.clone()),
            ("options", self.options.clone()),
            (
                "notice",
                "research software, not a medical device".to_owned(),
            ),
        ]
    }
}

/// A classified record, with what its [`Analysis`] does not know.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Recording<'a> {
    /// What the record is called. Rows of all tables refer to it.
    pub name: &'a str,
    /// Where it was read from, as it was named.
    pub path: &'a str,
    /// Samples per second that `sample` counts at.
    pub sample_rate_hz: f64,
    /// How long it lasts, in seconds.
    pub duration_s: f64,
    /// Where the R peaks come from: `detected`, `reference`, or `annotation` for a list of beats.
    pub peaks: &'static str,
    /// Where the classes come from: `network`, `annotation`, or `not judged`.
    pub classes: &'static str,
    /// Whether the record says that a program made it up.
    pub synthetic: bool,
    /// What came out.
    pub analysis: &'a Analysis,
}

impl<'a> Recording<'a> {
    /// Of a record with a signal that was classified with R peaks found in it.
    pub fn of_record(
        name: &'a str,
        path: &'a str,
        record: &Record,
        analysis: &'a Analysis,
    ) -> Self {
        Self {
            name,
            path,
            sample_rate_hz: record.sample_rate_hz(),
            duration_s: record.duration_s(),
            peaks: "detected",
            classes: "network",
            synthetic: record.is_synthetic(),
            analysis,
        }
    }

    /// Of a list of beats.
    pub fn of_list(name: &'a str, path: &'a str, list: &BeatList, analysis: &'a Analysis) -> Self {
        Self {
            name,
            path,
            sample_rate_hz: list.sample_rate_hz,
            duration_s: list.duration_s,
            peaks: "annotation",
            classes: match list.labelled {
                true => "annotation",
                false => "not judged",
            },
            synthetic: list.is_synthetic(),
            analysis,
        }
    }

    /// Its rows of [`Table::Beats`].
    ///
    /// # Errors
    /// None that is known: Arrow's own checks.
    pub fn beats(&self, origin: &Origin) -> Result<RecordBatch, ArrowError> {
        beats(self.name, self.analysis, origin)
    }

    /// Its row of [`Table::Records`].
    ///
    /// # Errors
    /// None that is known: Arrow's own checks.
    pub fn record(&self, origin: &Origin) -> Result<RecordBatch, ArrowError> {
        let row = RecordRow {
            lead: self.analysis.leads.join("+"),
            recording: self,
            origin,
        };
        batch(Table::Records, &record_columns(), &[row], origin)
    }
}

/// The rows of [`Table::Beats`] of a record of this name.
///
/// # Errors
/// None that is known: Arrow's own checks.
pub fn beats(
    record: &str,
    analysis: &Analysis,
    origin: &Origin,
) -> Result<RecordBatch, ArrowError> {
    let lead = analysis.leads.join("+");
    let beats = analysis.beats.iter().zip(episodes_of(analysis));
    let rows: Vec<BeatRow<'_>> = beats
        .map(|(beat, episode)| BeatRow {
            record,
            lead: &lead,
            episode,
            beat,
        })
        .collect();
    batch(Table::Beats, &beat_columns(), &rows, origin)
}

/// A record that could not be classified.
#[derive(Debug, Clone, Copy)]
pub struct Failure<'a> {
    /// What the record is called.
    pub name: &'a str,
    /// Where it was to be read from, as it was named.
    pub path: &'a str,
    /// Why it could not be, in one line.
    pub message: &'a str,
}

impl Failure<'_> {
    /// Its row of [`Table::Errors`].
    ///
    /// # Errors
    /// None that is known: Arrow's own checks.
    pub fn row(&self, origin: &Origin) -> Result<RecordBatch, ArrowError> {
        let row = ErrorRow {
            failure: self,
            parts: Parts::of(self.message, Some(self.path)),
        };
        batch(Table::Errors, &error_columns(), &[row], origin)
    }
}

/// A column: name, type, whether it may be null, and its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ColumnInfo {
    /// The name.
    pub name: &'static str,
    /// The type, as Arrow calls it.
    pub data_type: DataType,
    /// Whether it may be null.
    pub nullable: bool,
    /// What it says, with its unit.
    pub meaning: &'static str,
}

/// The columns of a table, in order.
pub fn columns(table: Table) -> Vec<ColumnInfo> {
    match table {
        Table::Beats => infos(&beat_columns()),
        Table::Records => infos(&record_columns()),
        Table::Errors => infos(&error_columns()),
    }
}

fn infos<R>(columns: &[Column<R>]) -> Vec<ColumnInfo> {
    let info = |column: &Column<R>| ColumnInfo {
        name: column.name,
        data_type: column.cells.data_type(),
        nullable: column.nullable,
        meaning: column.meaning,
    };
    columns.iter().map(info).collect()
}

/// A column of a table whose rows are made of `R`.
struct Column<R> {
    name: &'static str,
    nullable: bool,
    meaning: &'static str,
    cells: Cells<R>,
}

/// How a cell is made of a row.
enum Cells<R> {
    Text(fn(&R) -> Option<&str>),
    Int(fn(&R) -> Option<i64>),
    Double(fn(&R) -> Option<f64>),
    Float(fn(&R) -> Option<f32>),
    Bool(fn(&R) -> Option<bool>),
    Texts(fn(&R) -> Vec<String>),
    Leads(fn(&R) -> &[TakenLead]),
    Episodes(fn(&R) -> &[Episode]),
}

impl<R> Cells<R> {
    fn data_type(&self) -> DataType {
        match self {
            Self::Text(_) => DataType::Utf8,
            Self::Int(_) => DataType::Int64,
            Self::Double(_) => DataType::Float64,
            Self::Float(_) => DataType::Float32,
            Self::Bool(_) => DataType::Boolean,
            Self::Texts(_) => list_of(DataType::Utf8),
            Self::Leads(_) => list_of(DataType::Struct(lead_fields())),
            Self::Episodes(_) => list_of(DataType::Struct(episode_fields())),
        }
    }

    fn array(&self, rows: &[R]) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(cell) => Arc::new(rows.iter().map(cell).collect::<StringArray>()),
            Self::Int(cell) => Arc::new(rows.iter().map(cell).collect::<Int64Array>()),
            Self::Double(cell) => {
                let known = |row| cell(row).filter(|x| !x.is_nan());
                Arc::new(rows.iter().map(known).collect::<Float64Array>())
            }
            Self::Float(cell) => {
                let known = |row| cell(row).filter(|x| !x.is_nan());
                Arc::new(rows.iter().map(known).collect::<Float32Array>())
            }
            Self::Bool(cell) => Arc::new(rows.iter().map(cell).collect::<BooleanArray>()),
            Self::Texts(cell) => {
                let lists: Vec<Vec<String>> = rows.iter().map(cell).collect();
                let values = StringArray::from_iter_values(lists.iter().flatten());
                list(lists.iter().map(Vec::len), Arc::new(values))?
            }
            Self::Leads(cell) => {
                let lists: Vec<&[TakenLead]> = rows.iter().map(cell).collect();
                let leads = || lists.iter().flat_map(|leads| leads.iter());
                let values: Vec<ArrayRef> = vec![
                    Arc::new(StringArray::from_iter_values(leads().map(|l| &l.name))),
                    Arc::new(leads().map(|l| l.quality).collect::<Float64Array>()),
                    Arc::new(leads().map(|l| l.weight).collect::<Float64Array>()),
                ];
                let values = StructArray::try_new(lead_fields(), values, None)?;
                list(lists.iter().map(|leads| leads.len()), Arc::new(values))?
            }
            Self::Episodes(cell) => {
                let lists: Vec<&[Episode]> = rows.iter().map(cell).collect();
                let all = || lists.iter().flat_map(|episodes| episodes.iter());
                let kinds = all().map(|e| kind_name(e.kind));
                let values: Vec<ArrayRef> = vec![
                    Arc::new(StringArray::from_iter_values(kinds)),
                    Arc::new(Float64Array::from_iter_values(all().map(|e| e.from_s))),
                    Arc::new(Float64Array::from_iter_values(all().map(|e| e.to_s))),
                    Arc::new(Int64Array::from_iter_values(all().map(|e| e.beats as i64))),
                    Arc::new(all().map(|e| e.mean_rate_bpm).collect::<Float64Array>()),
                ];
                let values = StructArray::try_new(episode_fields(), values, None)?;
                list(
                    lists.iter().map(|episodes| episodes.len()),
                    Arc::new(values),
                )?
            }
        })
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(item_field(item)))
}

fn item_field(item: DataType) -> Field {
    Field::new("element", item, false)
}

fn list(lengths: impl Iterator<Item = usize>, values: ArrayRef) -> Result<ArrayRef, ArrowError> {
    let field = Arc::new(item_field(values.data_type().clone()));
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

fn lead_fields() -> Fields {
    vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("quality", DataType::Float64, true),
        Field::new("weight", DataType::Float64, true),
    ]
    .into()
}

fn episode_fields() -> Fields {
    vec![
        Field::new("kind", DataType::Utf8, false),
        Field::new("from_s", DataType::Float64, false),
        Field::new("to_s", DataType::Float64, false),
        Field::new("beats", DataType::Int64, false),
        Field::new("mean_rate_bpm", DataType::Float64, true),
    ]
    .into()
}

/// An episode's kind, as JSON names it.
const fn kind_name(kind: EpisodeKind) -> &'static str {
    match kind {
        EpisodeKind::AtrialFibrillation => "AF",
        EpisodeKind::VentricularRun => "V run",
        EpisodeKind::SupraventricularRun => "S run",
        EpisodeKind::Pause => "pause",
    }
}

fn schema<R>(table: Table, columns: &[Column<R>], origin: &Origin) -> SchemaRef {
    let field =
        |column: &Column<R>| Field::new(column.name, column.cells.data_type(), column.nullable);
    let fields: Vec<Field> = columns.iter().map(field).collect();
    let metadata = origin.metadata(table).into_iter();
    let metadata: HashMap<String, String> = metadata.map(|(k, v)| (k.to_owned(), v)).collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn batch<R>(
    table: Table,
    columns: &[Column<R>],
    rows: &[R],
    origin: &Origin,
) -> Result<RecordBatch, ArrowError> {
    let arrays = columns.iter().map(|column| column.cells.array(rows));
    let arrays = arrays.collect::<Result<_, _>>()?;
    RecordBatch::try_new(schema(table, columns, origin), arrays)
}

/// What each beat's `episode` says: of a run or of atrial fibrillation that it lies in, or a pause that it ends.
fn episodes_of(analysis: &Analysis) -> Vec<Option<&'static str>> {
    let beats = &analysis.beats;
    let mut kinds: Vec<Option<EpisodeKind>> = beats
        .iter()
        .map(|beat| (beat.fibrillation == Some(true)).then_some(EpisodeKind::AtrialFibrillation))
        .collect();
    for episode in &analysis.episodes {
        let first = beats.partition_point(|beat| beat.time_s < episode.from_s);
        let end = beats.partition_point(|beat| beat.time_s <= episode.to_s);
        match episode.kind {
            EpisodeKind::AtrialFibrillation => {}
            EpisodeKind::VentricularRun | EpisodeKind::SupraventricularRun => {
                kinds[first..end].fill(Some(episode.kind));
            }
            EpisodeKind::Pause => {
                if let Some(kind) = kinds[first..end].last_mut() {
                    kind.get_or_insert(episode.kind);
                }
            }
        }
    }
    kinds.into_iter().map(|kind| kind.map(kind_name)).collect()
}

/// What a row of `beats` is made of.
struct BeatRow<'a> {
    record: &'a str,
    lead: &'a str,
    episode: Option<&'static str>,
    beat: &'a Beat,
}

/// A column that always has a value.
const fn always<R>(name: &'static str, meaning: &'static str, cells: Cells<R>) -> Column<R> {
    Column {
        name,
        nullable: false,
        meaning,
        cells,
    }
}

/// A column that may be null.
const fn maybe<R>(name: &'static str, meaning: &'static str, cells: Cells<R>) -> Column<R> {
    Column {
        name,
        nullable: true,
        meaning,
        cells,
    }
}

/// The columns of `beats`. What was there before there were versions keeps its place.
#[rustfmt::skip]
fn beat_columns<'a>() -> Vec<Column<BeatRow<'a>>> {
    use Cells::{Bool, Double, Float, Int, Text};
    vec![
        always("record", "name of the record; with `/` below the folder that was given", Text(|r| Some(r.record))),
        always("sample", "R peak, in samples at the record's own rate", Int(|r| i64::try_from(r.beat.sample).ok())),
        always("time_s", "the same, in seconds from the record's start", Double(|r| Some(r.beat.time_s))),
        always("class", "N, S, V, F or Q (AAMI EC57)", Text(|r| Some(r.beat.class.name()))),
        maybe("rr_ms", "RR interval since the beat before, in milliseconds; null for the first", Double(|r| r.beat.rr_ms)),
        maybe("quality", "how worth reading the signal is, 0 to 1; null for a list of beats", Float(|r| Some(r.beat.quality))),
        maybe("score_N", "probability of N, 0 to 1; the four add up to 1; null for a list of beats", Float(|r| Some(r.beat.scores[0]))),
        maybe("score_S", "probability of S", Float(|r| Some(r.beat.scores[1]))),
        maybe("score_V", "probability of V", Float(|r| Some(r.beat.scores[2]))),
        maybe("score_F", "probability of F", Float(|r| Some(r.beat.scores[3]))),
        maybe("fibrillation", "whether the beat lies in atrial fibrillation; null where that was not judged", Bool(|r| r.beat.fibrillation)),
        always("lead", "names of the leads that were read, with `+` between; `none` for a list of beats", Text(|r| Some(r.lead))),
        maybe("episode", "`V run` or `S run` that the beat lies in, else `AF`, else the `pause` that it ends; else null", Text(|r| r.episode)),
        maybe("unsure", "whether the two likeliest classes are close: by less than 0.5; null for Q and for a list of beats", Bool(|r| r.beat.is_unsure())),
    ]
}

/// What a row of `records` is made of.
struct RecordRow<'a> {
    recording: &'a Recording<'a>,
    lead: String,
    origin: &'a Origin,
}

impl RecordRow<'_> {
    fn count(&self, class: Class) -> Option<i64> {
        let counts = &self.recording.analysis.summary.counts;
        counts.get(class.name()).map(|count| *count as i64)
    }

    fn rhythm(&self) -> &crate::summary::Rhythm {
        &self.recording.analysis.summary.rhythm
    }

    fn rate(&self) -> Option<crate::summary::HeartRate> {
        self.recording.analysis.summary.heart_rate_bpm
    }

    fn hrv(&self) -> &Figures {
        &self.recording.analysis.hrv.whole
    }
}

/// The columns of `records`.
#[rustfmt::skip]
fn record_columns<'a>() -> Vec<Column<RecordRow<'a>>> {
    use Cells::{Bool, Double, Episodes, Int, Leads, Text, Texts};
    vec![
        always("record", "name of the record, as in `beats`", Text(|r| Some(r.recording.name))),
        always("path", "file or URL that was read, as it was named", Text(|r| Some(r.recording.path))),
        always("sample_rate_hz", "rate that `sample` counts at", Double(|r| Some(r.recording.sample_rate_hz))),
        always("duration_s", "length of the record, in seconds", Double(|r| Some(r.recording.duration_s))),
        always("lead", "as in `beats`", Text(|r| Some(&r.lead))),
        always("leads", "the leads that were read: name; mean quality by which it was chosen; mean weight over the beats", Leads(|r| &r.recording.analysis.taken.leads)),
        always("lead_reason", "why these leads", Text(|r| Some(&r.recording.analysis.taken.why))),
        always("peaks", "where R peaks come from: `detected`, `reference` or `annotation`", Text(|r| Some(r.recording.peaks))),
        always("classes", "where classes come from: `network`, `annotation` or `not judged`", Text(|r| Some(r.recording.classes))),
        always("synthetic", "whether a program made the record up", Bool(|r| Some(r.recording.synthetic))),
        always("heartlens", "version of the program", Text(|r| Some(&r.origin.heartlens))),
        always("model", "name of the model", Text(|r| Some(&r.origin.model))),
        always("model_hash", "CRC-32 of each of its files", Text(|r| Some(&r.origin.model_hash))),
        always("runtime", "runtime of the network; `none` for a list of beats", Text(|r| Some(r.recording.analysis.runtime))),
        always("options", "flags that `heartlens classify` would take for it", Text(|r| Some(&r.origin.options))),
        always("beats", "beats of all classes", Int(|r| Some(r.recording.analysis.summary.beats as i64))),
        always("beats_N", "beats of class N", Int(|r| r.count(Class::N))),
        always("beats_S", "beats of class S", Int(|r| r.count(Class::S))),
        always("beats_V", "beats of class V", Int(|r| r.count(Class::V))),
        always("beats_F", "beats of class F", Int(|r| r.count(Class::F))),
        always("beats_Q", "beats that could not be read", Int(|r| r.count(Class::Q))),
        always("judged_s", "time of the beats that could be read, in seconds", Double(|r| Some(r.recording.analysis.summary.judged_s))),
        maybe("heart_rate_mean_bpm", "mean heart rate; null with fewer than two beats", Double(|r| r.rate().map(|rate| rate.mean))),
        maybe("heart_rate_min_bpm", "slowest over 8 RR intervals", Double(|r| r.rate().map(|rate| rate.min))),
        maybe("heart_rate_max_bpm", "fastest over 8 RR intervals", Double(|r| r.rate().map(|rate| rate.max))),
        maybe("supraventricular_burden", "share of S among the beats that could be read, 0 to 1", Double(|r| r.recording.analysis.summary.supraventricular_burden)),
        maybe("ventricular_burden", "share of V among them, 0 to 1", Double(|r| r.recording.analysis.summary.ventricular_burden)),
        maybe("unreadable", "share of beats that could not be read, 0 to 1", Double(|r| r.recording.analysis.summary.unreadable)),
        maybe("longest_rr_ms", "longest RR interval up to 30 s, in milliseconds", Double(|r| r.recording.analysis.summary.longest_rr_ms)),
        always("rhythm_judged_s", "time in which fibrillation was judged, in seconds", Double(|r| Some(r.rhythm().judged_s))),
        maybe("fibrillation_share", "burden of atrial fibrillation: its share of that time, 0 to 1; null where none was judged", Double(|r| r.rhythm().fibrillation_share)),
        always("fibrillation_s", "time in atrial fibrillation, in seconds", Double(|r| Some(r.rhythm().fibrillation_s))),
        always("fibrillation_episodes", "episodes of it", Int(|r| Some(r.rhythm().fibrillation_episodes as i64))),
        maybe("longest_fibrillation_s", "the longest of them, in seconds", Double(|r| r.rhythm().longest_fibrillation_s)),
        always("supraventricular_runs", "runs of three or more S", Int(|r| Some(i64::from(r.rhythm().supraventricular_runs.count)))),
        always("longest_supraventricular_run_beats", "beats of the longest of them", Int(|r| Some(i64::from(r.rhythm().supraventricular_runs.longest_beats)))),
        always("ventricular_runs", "runs of three or more V", Int(|r| Some(i64::from(r.rhythm().ventricular_runs.count)))),
        always("longest_ventricular_run_beats", "beats of the longest of them", Int(|r| Some(i64::from(r.rhythm().ventricular_runs.longest_beats)))),
        always("nn_intervals", "normal-to-normal intervals", Int(|r| Some(r.hrv().intervals as i64))),
        always("nn_s", "their sum, in seconds", Double(|r| Some(r.hrv().nn_s))),
        maybe("mean_nn_ms", "their mean; this and the next as in [HRV](hrv.md), null where too short", Double(|r| r.hrv().mean_nn_ms)),
        maybe("sdnn_ms", "SDNN", Double(|r| r.hrv().sdnn_ms)),
        maybe("sdann_ms", "SDANN", Double(|r| r.hrv().sdann_ms)),
        maybe("sdnn_index_ms", "SDNN index", Double(|r| r.hrv().sdnn_index_ms)),
        maybe("rmssd_ms", "RMSSD", Double(|r| r.hrv().rmssd_ms)),
        maybe("pnn50_percent", "pNN50", Double(|r| r.hrv().pnn50_percent)),
        maybe("triangular_index", "triangular index", Double(|r| r.hrv().triangular_index)),
        maybe("vlf_ms2", "power from 0.0033 to 0.04 Hz", Double(|r| r.hrv().vlf_ms2)),
        maybe("lf_ms2", "power from 0.04 to 0.15 Hz", Double(|r| r.hrv().lf_ms2)),
        maybe("hf_ms2", "power from 0.15 to 0.4 Hz", Double(|r| r.hrv().hf_ms2)),
        maybe("lf_hf", "LF over HF", Double(|r| r.hrv().lf_hf)),
        maybe("sd1_ms", "width of the Poincare plot across its diagonal", Double(|r| r.hrv().sd1_ms)),
        maybe("sd2_ms", "the same along its diagonal", Double(|r| r.hrv().sd2_ms)),
        always("episodes", "episodes: kind (`AF`, `V run`, `S run`, `pause`), from and to in seconds, beats, mean rate", Episodes(|r| &r.recording.analysis.episodes)),
        always("warnings", "what was strange about the record", Texts(|r| r.recording.analysis.warnings.iter().map(ToString::to_string).collect())),
        always("unsure", "beats whose two likeliest classes are close, as in `beats`", Int(|r| Some(r.recording.analysis.summary.unsure as i64))),
    ]
}

/// What a row of `errors` is made of.
struct ErrorRow<'a> {
    failure: &'a Failure<'a>,
    parts: Parts,
}

/// The columns of `errors`.
#[rustfmt::skip]
fn error_columns<'a>() -> Vec<Column<ErrorRow<'a>>> {
    use Cells::Text;
    vec![
        always("record", "name of the record", Text(|r| Some(r.failure.name))),
        always("path", "file or URL that was to be read, as it was named", Text(|r| Some(r.failure.path))),
        maybe("file", "the file at fault", Text(|r| r.parts.file.as_deref())),
        maybe("place", "where in it: a line, a byte, a field", Text(|r| r.parts.place.as_deref())),
        maybe("found", "what is there", Text(|r| r.parts.found.as_deref())),
        maybe("expected", "what should be there", Text(|r| r.parts.expected.as_deref())),
        always("message", "the whole message, with what helps", Text(|r| Some(r.failure.message))),
    ]
}
