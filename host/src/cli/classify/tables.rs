//! Parquet of results: beats in a file, or all tables in a folder.

use super::inputs::Input;
use super::rows::peaks;
use super::source::Source;
use super::{Args, BeatsChoice, Classified, PeaksChoice, Run, SexChoice};
use crate::cli::output::Output;
use crate::message::one_line;
use crate::model::Model;
use crate::options::Peaks;
use crate::tables::{DataSet, Failure, Origin, Part, Recording, Table, Writer};
use parquet::errors::ParquetError;
use std::path::Path;

/// Records of a part of a data set at most.
const PART_RECORDS: usize = 64;
/// Beats of one, unless one record has more.
const PART_BEATS: usize = 1 << 21;

impl Args {
    /// What tables say of this run.
    pub(super) fn origin(&self, model: &Model) -> Origin {
        let reading = &self.reading;
        let mut options = reading.options();
        options.patient.age_years = self.age;
        options.patient.sex = self.sex.map(SexChoice::sex);
        if reading.peaks == PeaksChoice::Reference {
            options.peaks = Peaks::Reference(Vec::new());
        }
        let mut origin = Origin::new(model, &options, &reading.annotator, &reading.read_options());
        origin.options.push_str(match self.beats {
            None => "",
            Some(BeatsChoice::Times) => " --beats times",
            Some(BeatsChoice::Intervals) => " --beats intervals",
        });
        origin
    }
}

/// A record's rows.
fn recording<'a>(classified: &'a Classified, path: &'a str, run: &Run) -> Recording<'a> {
    let (name, analysis) = (classified.name.as_str(), &classified.analysis);
    match &classified.record {
        Source::Record(record) => Recording {
            peaks: peaks(classified, run),
            ..Recording::of_record(name, path, record, analysis)
        },
        Source::Beats(list) => Recording::of_list(name, path, list, analysis),
    }
}

/// A file of beats in the making.
pub(super) struct Beats(Writer<Output>);

impl Beats {
    pub(super) fn new(out: Output, run: &Run) -> anyhow::Result<Self> {
        Writer::new(out, Table::Beats, &run.origin)
            .map(Self)
            .map_err(own_words)
    }

    /// Adds one record's beats.
    pub(super) fn add(&mut self, classified: &Classified, run: &Run) -> anyhow::Result<()> {
        let rows = recording(classified, "", run).beats(&run.origin)?;
        self.0.write(&rows).map_err(own_words)
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.0.finish().map_err(own_words)?.finish()
    }
}

/// What the file says that could not be written, without Parquet's words around it.
fn own_words(error: ParquetError) -> anyhow::Error {
    match error {
        ParquetError::External(cause) => anyhow::Error::from_boxed(cause),
        error => error.into(),
    }
}

/// Writes a file of one record's beats.
pub(super) fn write_beats(out: Output, classified: &Classified, run: &Run) -> anyhow::Result<()> {
    let mut beats = Beats::new(out, run)?;
    beats.add(classified, run)?;
    beats.finish()
}

/// The folder of `--tables`, and the part that is to be written to it next.
pub(super) struct Tables {
    data_set: DataSet,
    origin: Origin,
    part: Part,
}

impl Tables {
    pub(super) fn open(folder: &Path, origin: &Origin) -> anyhow::Result<Self> {
        Ok(Self {
            data_set: DataSet::open(folder, origin)?,
            origin: origin.clone(),
            part: Part::new(origin.clone())?,
        })
    }

    /// Whether this record is done.
    pub(super) fn has(&self, record: &str) -> bool {
        self.data_set.has(record)
    }

    /// Takes in a record's result.
    pub(super) fn add(
        &mut self,
        input: &Input,
        result: &anyhow::Result<Classified>,
        run: &Run,
    ) -> anyhow::Result<()> {
        let path = input.path.to_string_lossy();
        match result {
            Ok(classified) => self.part.add(&recording(classified, &path, run))?,
            Err(error) => self.part.fail(&Failure {
                name: &input.name,
                path: &path,
                message: &one_line(error.as_ref()),
            })?,
        }
        if self.part.len() >= PART_RECORDS || self.part.beat_rows() >= PART_BEATS {
            self.commit()?;
        }
        Ok(())
    }

    /// Writes the part.
    pub(super) fn commit(&mut self) -> anyhow::Result<()> {
        let part = std::mem::replace(&mut self.part, Part::new(self.origin.clone())?);
        Ok(self.data_set.write(&part.finish()?)?)
    }
}
