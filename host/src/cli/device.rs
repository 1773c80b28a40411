//! `heartlens device`: a record, or a model, to a device at the other end of a line; or this machine as a device, for the viewer.

use super::classify::progress_bar;
use super::guard::Guard;
use super::output::Sink;
use super::view::{self, Line};
use crate::canonical;
use crate::choice::LeadChoice;
use crate::device::{self, Conversation, Hello, Native, Port, Streamed};
use crate::model::Model;
use crate::records::Record;
use crate::runtime::int8::Int8;
use crate::runtime::{Kind, Runtime};
use anyhow::{Context, bail};
use heartlens_core::link::{BeatReport, Counts};
use heartlens_core::rhythm::Rules;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io;
use std::path::PathBuf;
use std::time::Instant;

/// Stream a record to a device, and compare the beats that it reports with this machine's, byte for byte; or give the
/// device another model, which it verifies and tries before it forgets the one before.
///
/// The device runs the firmware's image `serial`, on a board or in QEMU.
///
/// With --serve, the viewer in the browser streams the record instead, at the speed at which it was taken, and shows beats as the
/// device reports them. Without --port, this machine is the device: the same code as the firmware's, the same link, the same bits.
/// The page is served to this machine alone, as that of `heartlens view`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  heartlens device --port unix:device models/demo/demo
  heartlens device --port unix:device --model models/beat/model.hlm
  heartlens device --serve models/demo/demo
  heartlens device --serve --port unix:device

  A board's port has a name such as /dev/ttyACM0 or COM3.")]
pub(crate) struct Args {
    /// The line: a serial port, `tcp:HOST:PORT` or `unix:PATH`.
    #[arg(long, required_unless_present = "serve")]
    port: Option<String>,
    /// Show the device live in the browser; `--serve=N` serves the page from port N instead of one that is free.
    #[arg(
        long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "0",
        conflicts_with_all = ["model", "lead", "json"]
    )]
    serve: Option<u16>,
    /// With --serve: only print the address; open no browser.
    #[arg(long, requires = "serve")]
    no_open: bool,
    /// With --serve: the viewer's page, instead of the one inside the program.
    #[arg(long, value_name = "FILE.html", requires = "serve")]
    page: Option<PathBuf>,
    /// Give the device this model first.
    #[arg(long, value_name = "MODEL.hlm")]
    model: Option<PathBuf>,
    /// Folder of the model that the device should have, unless it is given one, and of its rhythm network, instead of the
    /// model inside the program or in the folder that HEARTLENS_MODEL names.
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// The record to stream: a WFDB record, with or without `.hea`. With --serve, the page can open another.
    #[arg(value_name = "RECORD", required_unless_present_any = ["model", "serve"])]
    record: Option<PathBuf>,
    /// The lead to stream, by name or by its place from 0; `first` is the first that is an ECG.
    #[arg(long, value_name = "NAME|INDEX|first", default_value = "first")]
    lead: LeadChoice,
    /// Write the verdict as one object; `-` is standard output.
    #[arg(long, value_name = "FILE")]
    json: Option<Sink>,
}

/// Runs the verb. An error where the device reports another beat than this machine.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    // Whatever is wrong with files shows before the device is troubled.
    if let Some(json) = &args.json {
        let reads = args.record.iter().chain(&args.model);
        Guard::new(reads.map(PathBuf::as_path)).sink("--json", json)?;
    }
    let model = super::model::load(args.against.clone())?;
    if let Some(http_port) = args.serve {
        return serve(args, http_port, &model);
    }
    let mut runtime: Box<dyn Runtime> = match &args.model {
        Some(path) => Box::new(Int8::load(path)?),
        None => model.network(Kind::Int8)?,
    };
    let record = args.record.as_ref().map(Record::open).transpose()?;
    let port = connect(args.port())?;
    let (mut line, mut hello) =
        Conversation::open(port).with_context(|| format!("port {}", args.port()))?;
    if let Some(path) = &args.model {
        let image = std::fs::read(path).with_context(|| path.display().to_string())?;
        hello.model = upload(&mut line, &image)?;
        eprintln!("{} has model {} on trial", hello.board, hello.model);
    }
    if hello.model != runtime.model_name() {
        bail!(
            "the device has model {}, {} is {}; give it that one with --model",
            hello.model,
            match &args.model {
                Some(path) => path.display().to_string(),
                None => model.place().to_string(),
            },
            runtime.model_name()
        );
    }
    match record {
        Some(record) => stream(args, &mut line, &hello, &record, &model, runtime.as_mut()),
        None => Ok(()),
    }
}

impl Args {
    /// The line's name.
    fn port(&self) -> &str {
        // clap asks for it where the page is not served.
        self.port.as_deref().unwrap_or_default()
    }
}

/// Opens the line of this name.
fn connect(port: &str) -> anyhow::Result<Box<dyn Port>> {
    device::open(port).with_context(|| format!("port {port}"))
}

/// The viewer, with a line to the device at the port, or to this machine as a device.
fn serve(args: &Args, http_port: u16, model: &Model) -> anyhow::Result<()> {
    let line = match args.port.as_deref() {
        Some(port) => {
            // A name that is wrong shows here; a board that is unplugged later, on the page.
            drop(connect(port)?);
            Line::new(move || connect(port).map_err(|error| io::Error::other(format!("{error:#}"))))
        }
        None => {
            Native::new(model)?;
            Line::new(move || match Native::new(model) {
                Ok(native) => Ok(Box::new(native)),
                Err(error) => Err(io::Error::other(error)),
            })
        }
    };
    let page = view::Page {
        file: args.page.as_deref(),
        port: http_port,
        open: !args.no_open,
    };
    view::serve(&page, args.record.as_deref(), Some(line))
}

fn upload(line: &mut Conversation<Box<dyn Port>>, image: &[u8]) -> anyhow::Result<String> {
    let progress = progress_bar(image.len() as f64);
    progress.set_message("model");
    let name = line.upload(image, |bytes| progress.set_position(bytes as u64));
    progress.finish_and_clear();
    Ok(name?)
}

fn stream(
    args: &Args,
    line: &mut Conversation<Box<dyn Port>>,
    hello: &Hello,
    record: &Record,
    model: &Model,
    runtime: &mut dyn Runtime,
) -> anyhow::Result<()> {
    let counts = device::counts(record, args.lead.index(record)?)?;
    let seconds = counts.len() as f64 / f64::from(SAMPLE_RATE_HZ);
    let progress = progress_bar(seconds);
    progress.set_message(record.name().to_owned());
    let started = Instant::now();
    let streamed = line.stream(&counts, canonical::patient(record), |samples| {
        progress.set_position(u64::from(samples / SAMPLE_RATE_HZ));
    });
    progress.finish_and_clear();
    let streamed = streamed?;
    let took = started.elapsed().as_secs_f64();
    let rhythm = model.rhythm(Rules::SHIPPED);
    let expected = device::expected(
        &counts,
        &streamed.gaps,
        canonical::patient(record),
        runtime,
        rhythm,
    )?;
    let verdict = Verdict::of(&streamed, &expected);

    if let Some(sink) = &args.json {
        let object = json!({
            "port": args.port(),
            "board": hello.board,
            "model": hello.model,
            "record": record.name(),
            "seconds": seconds,
            "took_seconds": took,
            "beats": streamed.beats.len(),
            "identical_to_host": verdict.identical(),
            "differ": verdict.differ,
            "missing": verdict.missing,
            "gaps": streamed.gaps.len(),
            "to_device": packets(&streamed.status.counts),
            "from_device": packets(&streamed.from_device),
        });
        let mut text = serde_json::to_vec_pretty(&object)?;
        text.push(b'\n');
        sink.write(&text)?;
    }
    let text = format!(
        "{}: {:.1} s in {took:.1} s, {} beats, {} gaps; packets lost {} and {}, doubled {} and {}, corrupted {} and {} \
         (to and from {})\n{}\n",
        record.name(),
        seconds,
        streamed.beats.len(),
        streamed.gaps.len(),
        streamed.status.counts.lost,
        streamed.from_device.lost,
        streamed.status.counts.doubled,
        streamed.from_device.doubled,
        streamed.status.counts.corrupted,
        streamed.from_device.corrupted,
        hello.board,
        verdict.words()
    );
    match args.json {
        Some(Sink::Stdout) => eprint!("{text}"),
        _ => Sink::Stdout.write(text.as_bytes())?,
    }
    if let Some(sample) = verdict.first {
        bail!(
            "{}: the beat at sample {sample} of {SAMPLE_RATE_HZ} a second differs from this machine's; do device and {} \
             have the same model?",
            record.name(),
            model.place()
        );
    }
    Ok(())
}

fn packets(counts: &Counts) -> Value {
    json!({
        "received": counts.received,
        "lost": counts.lost,
        "doubled": counts.doubled,
        "corrupted": counts.corrupted,
    })
}

/// The device's beats beside this machine's.
struct Verdict {
    compared: usize,
    differ: usize,
    /// Beats of this machine that did not arrive.
    missing: usize,
    /// Where the first is that differs.
    first: Option<u32>,
}

impl Verdict {
    fn of(streamed: &Streamed, expected: &[BeatReport]) -> Self {
        let mut differing = streamed.beats.iter().filter(|found| {
            let beat = expected.binary_search_by_key(&found.sample, |beat| beat.sample);
            !beat.is_ok_and(|at| device::agree(found, &expected[at]))
        });
        let first = differing.next().map(|beat| beat.sample);
        let differ = usize::from(first.is_some()) + differing.count();
        let arrived: HashSet<u32> = streamed.beats.iter().map(|beat| beat.sample).collect();
        let missing = expected.iter().map(|beat| beat.sample);
        let missing: Vec<u32> = missing.filter(|sample| !arrived.contains(sample)).collect();
        // What the line lost is no difference; where it lost nothing, a beat that is missing is one.
        let silent = missing.first().filter(|_| streamed.from_device.lost == 0);
        Self {
            compared: streamed.beats.len(),
            differ,
            missing: missing.len(),
            first: first.or(silent.copied()),
        }
    }

    fn identical(&self) -> bool {
        self.first.is_none()
    }

    fn words(&self) -> String {
        let Self {
            compared,
            differ,
            missing,
            ..
        } = self;
        let lost = match missing {
            0 => String::new(),
            missing => format!("; {missing} beats of this machine's did not arrive"),
        };
        if self.identical() {
            format!("every byte of {compared} beats is identical to this machine's{lost}")
        } else {
            format!("{differ} of {compared} beats DIFFER from this machine's{lost}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use heartlens_core::link::Status;

    fn expected(sample: u32) -> BeatReport {
        BeatReport {
            sample,
            class: 1,
            logits: [0.5, 1.0, -1.0, sample as f32],
            scores: [0.1, 0.6, 0.2, 0.1],
            fibrillation: Some(false),
            rr_samples: None,
            quality: 1.0,
            instructions: 0,
        }
    }

    fn streamed(samples: &[u32], lost: u32) -> Streamed {
        let report = |sample: &u32| BeatReport {
            instructions: 7,
            ..expected(*sample)
        };
        Streamed {
            beats: samples.iter().map(report).collect(),
            gaps: Vec::new(),
            status: Status::default(),
            from_device: Counts {
                lost,
                ..Counts::default()
            },
        }
    }

    #[test]
    fn verdicts() {
        let beats = [100, 200, 300].map(expected);
        let verdict = |samples: &[u32], lost| {
            let verdict = Verdict::of(&streamed(samples, lost), &beats);
            (
                verdict.identical(),
                verdict.differ,
                verdict.missing,
                verdict.first,
            )
        };
        assert_eq!(verdict(&[100, 200, 300], 0), (true, 0, 0, None));
        assert_eq!(verdict(&[100, 201, 300], 0), (false, 1, 1, Some(201)));
        assert_eq!(
            verdict(&[100, 300], 1),
            (true, 0, 1, None),
            "lost on the line"
        );
        assert_eq!(
            verdict(&[100, 300], 0),
            (false, 0, 1, Some(200)),
            "never sent"
        );
        let mut other = streamed(&[100, 200, 300], 0);
        other.beats[2].logits[0] = f32::from_bits(0.5_f32.to_bits() + 1);
        let verdict = Verdict::of(&other, &beats);
        assert_eq!((verdict.differ, verdict.first), (1, Some(300)));
        assert!(verdict.words().starts_with("1 of 3 beats DIFFER"));
    }
}
