//! The files that `classify` writes: of each record, and of all together.

use super::inputs::Input;
use super::rows::{Csv, Json};
use super::source::Source;
use super::{ANNOTATIONS, Args, Classified, Format, Run};
use crate::annotate::annotations;
use crate::cli::guard::Guard;
use crate::cli::output::{Output, Sink, write_file};
use crate::records::annotation::{Annotation, Annotations, Code};
use crate::report::{self, Heading, Section};
use anyhow::Context;
use std::path::Path;

/// The files that `--out` gets of a record, with `/` between.
pub(super) fn names(args: &Args, input: &Input) -> Vec<String> {
    let mut formats = args.formats.clone();
    formats.sort();
    formats.dedup();
    let name = |format: Format| format!("{}.{}", input.name, extension(args, format));
    formats.into_iter().map(name).collect()
}

fn extension(args: &Args, format: Format) -> &str {
    match format {
        Format::Annotations => args.annotations.as_deref().unwrap_or(ANNOTATIONS),
        Format::Csv => "csv",
        Format::Json => "json",
        #[cfg(feature = "parquet")]
        Format::Parquet => "parquet",
        Format::Report => "html",
    }
}

/// Writes what is asked of one record by itself.
pub(super) fn write(input: &Input, classified: &Classified, run: &Run) -> anyhow::Result<()> {
    let args = &run.args;
    let Some(folder) = &args.out else {
        return match &args.annotations {
            Some(extension) => {
                let path = classified.record.annotation_path(extension);
                write_annotations(&path, classified, run)
            }
            None => Ok(()),
        };
    };
    for format in &args.formats {
        let path = folder.join(format!("{}.{}", input.name, extension(args, *format)));
        write_format(*format, &path, classified, run)?;
    }
    Ok(())
}

/// Refuses to write over a recording with a file of `--out`.
pub(super) fn check(input: &Input, args: &Args, guard: &Guard) -> anyhow::Result<()> {
    let Some(folder) = &args.out else {
        return Ok(());
    };
    for name in names(args, input) {
        guard.file("--out", &folder.join(name))?;
    }
    Ok(())
}

/// Refuses to write over a recording with annotations that go beside the record.
pub(super) fn check_annotations(record: &Source, args: &Args, guard: &Guard) -> anyhow::Result<()> {
    match (&args.out, &args.annotations) {
        (None, Some(extension)) => {
            let flag = format!("--annotations {extension}");
            guard.file(&flag, &record.annotation_path(extension))
        }
        _ => Ok(()),
    }
}

fn write_format(
    format: Format,
    path: &Path,
    classified: &Classified,
    run: &Run,
) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("{}: cannot be made", folder.display()))?;
    }
    match format {
        Format::Annotations => write_annotations(path, classified, run),
        Format::Csv => {
            let mut csv = Csv::new(Sink::File(path.to_owned()).begin()?)?;
            csv.add(classified)?;
            csv.finish()?.finish()
        }
        Format::Json => {
            let mut json = Json::new(Sink::File(path.to_owned()).begin()?, false);
            json.add(classified, run)?;
            json.finish()
        }
        #[cfg(feature = "parquet")]
        Format::Parquet => {
            let out = Sink::File(path.to_owned()).begin()?;
            super::tables::write_beats(out, classified, run)
        }
        Format::Report => {
            let mut out = Sink::File(path.to_owned()).begin()?;
            report::write(classified.section.as_slice(), &run.heading, &mut out)?;
            out.finish()
        }
    }
}

fn write_annotations(path: &Path, classified: &Classified, run: &Run) -> anyhow::Result<()> {
    let mut note = Annotation::new(0, Code::NOTE);
    note.aux = format!(
        "heartlens {} model {}: (AFIB atrial fibrillation, (N none; research software, not a medical device",
        env!("CARGO_PKG_VERSION"),
        run.model
    )
    .into_bytes();
    let beats = annotations(&classified.analysis.beats);
    let preamble = classified.record.annotation_preamble();
    let annotations = Annotations {
        list: preamble.into_iter().chain([note]).chain(beats).collect(),
    };
    let bytes = annotations
        .to_bytes()
        .with_context(|| path.display().to_string())?;
    write_file(path, &bytes)
}

/// The files of all records together, which get their names when all records are in them.
pub(super) struct Combined {
    csv: Option<Csv<Output>>,
    json: Option<Json>,
    #[cfg(feature = "parquet")]
    parquet: Option<super::tables::Beats>,
    report: Option<(Output, Heading, Vec<Section>)>,
}

impl Combined {
    /// Begins them. A folder that is missing is told before the work, not after.
    pub(super) fn begin(run: &Run, several: bool) -> anyhow::Result<Self> {
        let args = &run.args;
        let begin = |sink: &Option<Sink>| sink.as_ref().map(Sink::begin).transpose();
        Ok(Self {
            csv: begin(&args.csv)?.map(Csv::new).transpose()?,
            json: begin(&args.json)?.map(|out| Json::new(out, several)),
            #[cfg(feature = "parquet")]
            parquet: begin(&args.parquet)?
                .map(|out| super::tables::Beats::new(out, run))
                .transpose()?,
            report: begin(&args.report)?.map(|out| (out, run.heading.clone(), Vec::new())),
        })
    }

    /// Adds a record, whose part of the report is taken out.
    pub(super) fn add(&mut self, classified: &mut Classified, run: &Run) -> anyhow::Result<()> {
        if let Some(csv) = &mut self.csv {
            csv.add(classified)?;
        }
        if let Some(json) = &mut self.json {
            json.add(classified, run)?;
        }
        #[cfg(feature = "parquet")]
        if let Some(parquet) = &mut self.parquet {
            parquet.add(classified, run)?;
        }
        if let Some((.., sections)) = &mut self.report {
            sections.extend(classified.section.take());
        }
        Ok(())
    }

    /// Gives them their names.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        if let Some(csv) = self.csv {
            csv.finish()?.finish()?;
        }
        if let Some(json) = self.json {
            json.finish()?;
        }
        #[cfg(feature = "parquet")]
        if let Some(parquet) = self.parquet {
            parquet.finish()?;
        }
        if let Some((mut out, heading, sections)) = self.report {
            report::write(&sections, &heading, &mut out)?;
            out.finish()?;
        }
        Ok(())
    }
}
