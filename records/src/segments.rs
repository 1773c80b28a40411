//! WFDB records of several segments: a header that lists records of one segment each, one after the other in time.
//!
//! Source: WFDB Applications Guide, `header(5)`. In a record of *fixed* layout every segment has the same signals. In one
//! of *variable* layout the first segment has no samples: its header, the layout, describes all signals of the record, and
//! a segment has those of them that it names. A segment named `~` is a gap. A segment cannot have segments itself.

use super::header::{
    Header, HeaderFault, Lines, MalformedHeader, Signal, is_outside, number, patient_of,
};
use super::{
    BLOCK_SAMPLES, Contents, ReadOptions, Reader, RecordError, Source, Start, Warning, check_len,
    shown, wfdb, with_appended,
};
use std::path::{Path, PathBuf};

/// The name of a segment that is a gap.
const GAP: &str = "~";

/// Opens a WFDB record, of one segment or of several.
pub(super) fn open(header_path: &Path, options: &ReadOptions) -> Result<Contents, RecordError> {
    let text = wfdb::header_text(header_path)?;
    let malformed = |cause| RecordError::Header {
        path: header_path.to_owned(),
        cause,
    };
    let (_, record) = Lines::of(&text).record_line().map_err(malformed)?;
    if record.segments.is_some() {
        let list = SegmentList::parse(&text).map_err(malformed)?;
        open_list(header_path, list, options)
    } else {
        let header = Header::parse(&text).map_err(malformed)?;
        wfdb::open(header_path, header, options, false)
    }
}

/// The names of the records that a header lists as its segments, the layout's included and gaps left out; `None` for the
/// header of a record of one segment, and for what is no header.
pub fn segment_names(header_path: &Path) -> Option<Vec<String>> {
    let text = wfdb::header_text(header_path).ok()?;
    let (_, record) = Lines::of(&text).record_line().ok()?;
    record.segments?;
    let list = SegmentList::parse(&text).ok()?;
    let names = list.segments.into_iter().map(|segment| segment.name);
    Some(names.filter(|name| name != GAP).collect())
}

/// What the header of a record of several segments says.
#[derive(Debug)]
struct SegmentList {
    signals: u64,
    sample_rate_hz: Option<f64>,
    start: Option<Start>,
    segments: Vec<SegmentLine>,
    comments: Vec<String>,
}

#[derive(Debug)]
struct SegmentLine {
    name: String,
    frames: u64,
}

impl SegmentList {
    fn parse(text: &str) -> Result<Self, MalformedHeader> {
        let mut lines = Lines::of(text);
        let (line, record) = lines.record_line()?;
        let at_record = |fault| MalformedHeader { line, fault };
        let promised = record.segments.unwrap_or(0);
        let mut segments: Vec<SegmentLine> = Vec::new();
        while (segments.len() as u64) < promised {
            let Some((line, text)) = lines.next_content() else {
                break;
            };
            let segment = SegmentLine::parse(text, segments.is_empty())
                .map_err(|fault| MalformedHeader { line, fault })?;
            segments.push(segment);
        }
        if segments.len() as u64 != promised || promised == 0 {
            return Err(at_record(HeaderFault::SegmentCount {
                promised,
                described: segments.len(),
            }));
        }
        let sum = segments
            .iter()
            .fold(0_u64, |sum, s| sum.saturating_add(s.frames));
        if sum == 0 {
            return Err(at_record(HeaderFault::Missing {
                field: "segment with samples",
                expected: "one at least behind the layout",
            }));
        }
        match record.len_samples {
            Some(promised) if promised != sum => {
                return Err(at_record(HeaderFault::SegmentLengths { sum, promised }));
            }
            _ => {}
        }
        Ok(Self {
            signals: record.leads,
            sample_rate_hz: record.sample_rate_hz,
            start: record.start,
            segments,
            comments: lines.comments(),
        })
    }
}

impl SegmentLine {
    fn parse(line: &str, first: bool) -> Result<Self, HeaderFault> {
        let mut fields = line.split_whitespace();
        let name = fields.next().unwrap_or_default();
        if is_outside(name) {
            return Err(HeaderFault::FileOutside { found: shown(name) });
        }
        let length = fields.next().ok_or(HeaderFault::Missing {
            field: "segment length",
            expected: "a segment line `NAME SAMPLES`",
        })?;
        let expected = "a whole number above 0 (0 for the first one alone, a layout)";
        let frames = number("segment length", length, expected)?;
        if frames == 0 && (!first || name == GAP) {
            return Err(HeaderFault::Field {
                field: "segment length",
                found: shown(length),
                expected,
            });
        }
        Ok(Self {
            name: name.to_owned(),
            frames,
        })
    }
}

/// A record of several segments, all of which are there.
#[derive(Debug)]
struct Segmented {
    /// In order of time.
    segments: Vec<Segment>,
    /// Samples in a frame, of each lead.
    per_frame: Vec<usize>,
}

#[derive(Debug)]
struct Segment {
    name: String,
    frames: usize,
    /// `None` for a gap.
    contents: Option<Contents>,
    /// Which of the segment's leads each lead of the record is; `None` where the segment lacks it.
    leads: Vec<Option<usize>>,
}

fn open_list(
    header_path: &Path,
    list: SegmentList,
    options: &ReadOptions,
) -> Result<Contents, RecordError> {
    let folder = header_path.parent().unwrap_or(Path::new(""));
    let path_of = |line: &SegmentLine| with_appended(&folder.join(&line.name), "hea");
    let variable = list.segments[0].frames == 0;
    // The layout, or the first segment that is no gap.
    let mut model = None;
    for line in list.segments.iter().filter(|line| line.name != GAP) {
        let header = read_header(&path_of(line))?;
        if let Some(header) = header.filter(|header| variable || is_stored(header)) {
            model = Some((line, header));
            break;
        }
    }
    let Some((model, layout)) = model else {
        return Err(RecordError::NoSamples {
            path: header_path.to_owned(),
        });
    };
    let mut rules = Rules {
        header_path,
        variable,
        rate_hz: list.sample_rate_hz,
        layout_path: path_of(model),
        layout: Vec::new(),
        options,
    };
    rules.check(
        "the number of leads",
        &rules.layout_path,
        layout.signals.len(),
        list.signals,
    )?;
    let rate_hz = *rules.rate_hz.get_or_insert(layout.sample_rate_hz);
    rules.layout = layout.signals;

    let mut segments = Vec::new();
    for line in &list.segments[usize::from(variable)..] {
        segments.push(rules.open(line, &path_of(line))?);
    }
    let frames = |stored_only: bool| {
        segments
            .iter()
            .filter(|s| !stored_only || s.contents.is_some())
            .fold(0_u64, |sum, s| sum.saturating_add(s.frames as u64))
    };
    let mut leads = Vec::new();
    for (index, signal) in rules.layout.iter().enumerate() {
        let per_frame = u64::from(signal.samples_per_frame);
        let len = check_len(
            header_path,
            frames(false).saturating_mul(per_frame),
            frames(true).saturating_mul(per_frame),
        )?;
        leads.push(wfdb::lead(index, signal, rate_hz, len, options));
    }
    let own = patient_of(&list.comments);
    let comments = if list.comments.is_empty() {
        layout.comments
    } else {
        list.comments
    };
    let others = patient_of(&comments);
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads,
        patient: own.or(others),
        start: list.start,
        comments,
        source: Box::new(Segmented {
            segments,
            per_frame: rules
                .layout
                .iter()
                .map(|s| s.samples_per_frame as usize)
                .collect(),
        }),
    })
}

/// Reads a segment's header; `None` where it has no signal.
fn read_header(path: &Path) -> Result<Option<Header>, RecordError> {
    match Header::parse(&wfdb::header_text(path)?) {
        Ok(header) => Ok(Some(header)),
        Err(MalformedHeader {
            fault: HeaderFault::NoLeads,
            ..
        }) => Ok(None),
        Err(cause) => Err(RecordError::Header {
            path: path.to_owned(),
            cause,
        }),
    }
}

/// Whether a segment holds samples of any signal. One that does not is a gap, whatever it says of its signals.
fn is_stored(header: &Header) -> bool {
    header.signals.iter().any(|signal| signal.format.is_some())
}

/// What every segment has to agree with.
struct Rules<'a> {
    header_path: &'a Path,
    variable: bool,
    rate_hz: Option<f64>,
    layout_path: PathBuf,
    layout: Vec<Signal>,
    options: &'a ReadOptions,
}

impl Rules<'_> {
    fn open(&self, line: &SegmentLine, path: &Path) -> Result<Segment, RecordError> {
        let frames = usize::try_from(line.frames).unwrap_or(usize::MAX);
        let header = match &*line.name {
            GAP => None,
            _ => read_header(path)?.filter(is_stored),
        };
        let Some(mut header) = header else {
            return Ok(Segment {
                name: line.name.clone(),
                frames,
                contents: None,
                leads: vec![None; self.layout.len()],
            });
        };
        if let (Some(rate_hz), true) = (self.rate_hz, header.sample_rate_stated) {
            self.check("the sample rate", path, header.sample_rate_hz, rate_hz)?;
        }
        let promised = *header.len_samples.get_or_insert(line.frames);
        self.check("the number of samples", path, promised, line.frames)?;
        if !self.variable {
            self.check(
                "the number of leads",
                path,
                header.signals.len(),
                self.layout.len(),
            )?;
        }
        let mut leads = Vec::with_capacity(self.layout.len());
        for (index, wanted) in self.layout.iter().enumerate() {
            let found = if self.variable {
                let same = |s: &Signal| s.description == wanted.description;
                header.signals.iter().position(same)
            } else {
                Some(index)
            };
            if let Some(found) = found {
                self.check_signal(path, &header.signals[found], wanted)?;
            }
            leads.push(found);
        }
        Ok(Segment {
            name: line.name.clone(),
            frames,
            contents: Some(wfdb::open(path, header, self.options, true)?),
            leads,
        })
    }

    fn check_signal(
        &self,
        path: &Path,
        found: &Signal,
        wanted: &Signal,
    ) -> Result<(), RecordError> {
        let name = |s: &Signal| shown(&s.description);
        self.check("a lead's name", path, name(found), name(wanted))?;
        let per_frame = |s: &Signal| s.samples_per_frame;
        self.check(
            "a lead's samples per frame",
            path,
            per_frame(found),
            per_frame(wanted),
        )?;
        let is_voltage = |s: &Signal| s.units.parse::<super::VoltageUnit>().is_ok();
        if is_voltage(found) == is_voltage(wanted) {
            Ok(())
        } else {
            self.check(
                "a lead's unit",
                path,
                shown(&found.units),
                shown(&wanted.units),
            )
        }
    }

    fn check(
        &self,
        contradiction: &'static str,
        path: &Path,
        found: impl ToString,
        expected: impl ToString,
    ) -> Result<(), RecordError> {
        let (found, expected) = (found.to_string(), expected.to_string());
        if found == expected {
            return Ok(());
        }
        let in_list = ["the number of samples", "the sample rate"].contains(&contradiction)
            || self.layout.is_empty();
        Err(RecordError::Segment {
            header: if in_list {
                self.header_path.to_owned()
            } else {
                self.layout_path.clone()
            },
            path: path.to_owned(),
            contradiction,
            found,
            expected,
        })
    }
}

impl Source for Segmented {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        Ok(Box::new(SegmentReader {
            record: self,
            lead,
            next: 0,
            skip: from,
            open: None,
            left: 0,
        }))
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut all: Vec<Warning> = Vec::new();
        let mut damaged: Vec<&str> = Vec::new();
        for segment in &self.segments {
            for warning in segment.contents.iter().flat_map(|c| c.source.warnings()) {
                match warning {
                    Warning::Checksum { .. } if damaged.last() == Some(&&*segment.name) => {}
                    Warning::Checksum { .. } => damaged.push(&segment.name),
                    other if all.contains(&other) => {}
                    other => all.push(other),
                }
            }
        }
        if let [first, ..] = damaged[..] {
            all.push(Warning::SegmentChecksums {
                segments: damaged.len(),
                first: first.to_owned(),
            });
        }
        all
    }
}

/// Reads a lead segment by segment.
struct SegmentReader<'a> {
    record: &'a Segmented,
    lead: usize,
    /// The next segment to open.
    next: usize,
    /// Samples yet to be passed over.
    skip: usize,
    /// The segment that is being read; `None` where the lead is missing.
    open: Option<Box<dyn Reader + 'a>>,
    /// Samples of it yet to be read.
    left: usize,
}

impl Reader for SegmentReader<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        while self.left == 0 {
            let Some(segment) = self.record.segments.get(self.next) else {
                return Ok(());
            };
            self.next += 1;
            let len = segment.frames * self.record.per_frame[self.lead];
            let from = self.skip.min(len);
            self.skip -= from;
            self.left = len - from;
            self.open = match (&segment.contents, segment.leads[self.lead]) {
                (Some(contents), Some(lead)) if self.left > 0 => {
                    Some(contents.source.reader(lead, from)?)
                }
                _ => None,
            };
        }
        let before = block.len();
        match &mut self.open {
            Some(reader) => {
                reader.read(block)?;
                block.truncate(before + self.left);
            }
            None => block.resize(before + self.left.min(BLOCK_SAMPLES), f32::NAN),
        }
        self.left -= block.len() - before;
        Ok(())
    }
}
