//! EDF+ and, where the file's name says so, its twin of 24 bits, BDF+; with annotations in them, or with nothing else.
//!
//! Source: Kemp and Olivan 2003, as published on edfplus.info. Data records without any valid sample are left out (EDF+D), but for
//! the first and the last one. A recording that does not begin at a whole second says so in its first time stamp.

use super::{Loss, NewFile, Pieces, Surveyed, WriteError, common_rate, residual, voltages};
use crate::annotation::{Annotation, Annotations, Code};
use crate::{Patient, Record, RecordError, Sex, Start};
use jiff::civil::{Date, Time};
use std::path::Path;

/// The longest data record, in s, and the most samples of a lead in one.
const MAX_RECORD_S: u32 = 60;
const MAX_RECORD_SAMPLES: u32 = 100_000;

/// Ends an onset and each text.
const END: u8 = 0x14;

/// The widths of a sample.
#[derive(Clone, Copy, PartialEq)]
struct Kind {
    bytes: usize,
    version: &'static [u8],
    name: &'static str,
    annotations: &'static str,
    /// The largest count; the smallest is one further from 0.
    high: i64,
}

const EDF: Kind = Kind {
    bytes: 2,
    version: b"0       ",
    name: "EDF+",
    annotations: "EDF Annotations",
    high: 32_767,
};

const BDF: Kind = Kind {
    bytes: 3,
    version: b"\xffBIOSEMI",
    name: "BDF+",
    annotations: "BDF Annotations",
    high: 8_388_607,
};

impl Kind {
    fn of(path: &Path) -> Self {
        match &*crate::extension(path) {
            "bdf" => BDF,
            _ => EDF,
        }
    }
}

/// Writes a record and its annotations, which count the record's samples. A file named `.bdf` has 24 bits a sample, every other
/// one 16. Counts and gains stay what they are where the header's eight digits can state them.
///
/// # Errors
/// [`WriteError`], naming the file.
pub fn edf(
    record: &Record,
    annotations: &Annotations,
    path: &Path,
) -> Result<Vec<Loss>, WriteError> {
    let kind = Kind::of(path);
    let mut losses = Vec::new();
    let mut voltages = voltages(record, &mut losses);
    if voltages.is_empty() {
        return Err(RecordError::NoSamples {
            path: record.path().to_owned(),
        }
        .into());
    }
    let (base_hz, multiples) = common_rate(record, &mut voltages, &mut losses);
    let (duration, parts) = duration(base_hz, multiples.iter().copied().max().unwrap_or(1));
    let written_hz = f64::from(parts) / parsed(&duration);
    if (written_hz - base_hz).abs() > 1e-9 * base_hz {
        losses.push(Loss::Rate {
            rate_hz: base_hz,
            written_hz,
        });
    }
    let per_record: Vec<usize> = multiples
        .iter()
        .map(|times| (times * parts) as usize)
        .collect();
    let records = voltages
        .iter()
        .zip(&per_record)
        .map(|((_, lead), per_record)| lead.len_samples.div_ceil(*per_record))
        .max()
        .unwrap_or(1);

    // The data records that hold a valid sample of any lead.
    let mut kept = vec![false; records];
    let mut leads = Vec::new();
    for ((index, _), per_record) in voltages.iter().zip(&per_record) {
        let mut at = 0;
        let surveyed = Surveyed::of(record, *index, |mv| {
            kept[at / per_record] |= !mv.is_nan();
            at += 1;
        })?;
        leads.push(Signal::of(surveyed, kind, *per_record));
    }
    kept[0] = true;
    kept[records - 1] = true;

    let start = record.start();
    let list = List::of(annotations, record.sample_rate_hz(), start, &mut losses);
    let stamps = Stamps {
        first_s: fraction_s(start),
        step_s: parsed(&duration),
    };
    let (size, texts) = list.packed(&kept, &stamps, kind);
    if !record.comments().is_empty() {
        losses.push(Loss::NoPlace {
            what: "comments were",
        });
    }
    let padded_s = voltages
        .iter()
        .zip(&per_record)
        .map(|((_, lead), per_record)| {
            (records * per_record - lead.len_samples) as f64 / lead.sample_rate_hz
        })
        .fold(0.0, f64::max);
    if padded_s > 0.0 {
        losses.push(Loss::Padded { seconds: padded_s });
    }

    let header = Header {
        kind,
        patient: record.patient(),
        start,
        is_whole: kept.iter().all(|kept| *kept),
        records: texts.len(),
        duration,
        annotation_samples: size / kind.bytes,
    };
    let mut file = NewFile::begin(path)?;
    file.write(&header.bytes(&leads, &mut losses))?;
    let mut readers = Vec::new();
    for lead in &leads {
        readers.push(Pieces::of(record, lead.index)?);
    }
    let mut texts = texts.into_iter();
    let mut bytes = Vec::new();
    for kept in kept {
        bytes.clear();
        for (lead, reader) in leads.iter_mut().zip(&mut readers) {
            let samples = reader.next(lead.per_record)?;
            if kept {
                lead.push(&samples, kind, &mut bytes);
            }
        }
        if kept {
            let text = texts.next().unwrap_or_default();
            let end = bytes.len() + size;
            bytes.extend_from_slice(&text);
            bytes.resize(end, 0);
            file.write(&bytes)?;
        }
    }
    file.finish()?;
    for lead in leads {
        lead.losses(&mut losses);
    }
    Ok(losses)
}

/// Writes annotations alone, which count samples at a rate in Hz, after the start of a recording: EDF+ without any lead.
///
/// # Errors
/// [`WriteError`], naming the file.
pub fn edf_annotations(
    annotations: &Annotations,
    rate_hz: f64,
    patient: Patient,
    start: Option<Start>,
    path: &Path,
) -> Result<Vec<Loss>, WriteError> {
    let kind = Kind::of(path);
    let mut losses = Vec::new();
    let list = List::of(annotations, rate_hz, start, &mut losses);
    let stamps = Stamps {
        first_s: fraction_s(start),
        step_s: 0.0,
    };
    let (size, texts) = list.packed(&[true], &stamps, kind);
    let header = Header {
        kind,
        patient,
        start,
        is_whole: true,
        records: 1,
        duration: "0".to_owned(),
        annotation_samples: size / kind.bytes,
    };
    let mut file = NewFile::begin(path)?;
    file.write(&header.bytes(&[], &mut losses))?;
    for mut text in texts {
        text.resize(size, 0);
        file.write(&text)?;
    }
    file.finish()?;
    Ok(losses)
}

/// How long a data record lasts, in s and as text of at most 8 digits, and the samples in it at `base_hz`: a whole number of seconds
/// where that goes, or else what comes nearest to the rate.
fn duration(base_hz: f64, largest_multiple: u32) -> (String, u32) {
    let most = (MAX_RECORD_SAMPLES / largest_multiple.max(1)).max(1);
    for seconds in 1..=MAX_RECORD_S {
        let samples = base_hz * f64::from(seconds);
        let is_whole = (samples - samples.round()).abs() < 1e-9 * samples;
        if is_whole && samples.round() >= 1.0 && samples <= f64::from(most) {
            return (seconds.to_string(), samples.round() as u32);
        }
    }
    let least = (base_hz.ceil().max(1.0) as u32).min(most);
    let end = least.saturating_mul(MAX_RECORD_S).min(most);
    let mut best = (f64::INFINITY, "1".to_owned(), least);
    for samples in least..=end {
        let Some(text) = digits(f64::from(samples) / base_hz, 8) else {
            continue;
        };
        let error = (f64::from(samples) / parsed(&text) / base_hz - 1.0).abs();
        if error < best.0 {
            best = (error, text, samples);
        }
        if error < 1e-12 {
            break;
        }
    }
    (best.1, best.2)
}

/// A number above 0 in so many characters, as exact as they allow; `None` where it has more digits, or none that say anything.
fn digits(value: f64, width: usize) -> Option<String> {
    for decimals in (0..width).rev() {
        let text = format!("{value:.decimals$}");
        let text = match decimals {
            0 => &*text,
            _ => text.trim_end_matches('0').trim_end_matches('.'),
        };
        if text.len() <= width && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) {
            return Some(text.to_owned());
        }
    }
    None
}

fn parsed(text: &str) -> f64 {
    text.parse().unwrap_or(1.0)
}

/// What of a start is not a whole second.
fn fraction_s(start: Option<Start>) -> f64 {
    start.map_or(0.0, |start| f64::from(start.time.subsec_nanosecond()) / 1e9)
}

/// When data records begin.
struct Stamps {
    first_s: f64,
    step_s: f64,
}

impl Stamps {
    fn of(&self, record: usize) -> Vec<u8> {
        let mut stamp = onset(self.first_s + record as f64 * self.step_s);
        stamp.extend_from_slice(&[END, END, 0]);
        stamp
    }
}

/// `+12.5`
fn onset(seconds: f64) -> Vec<u8> {
    let text = format!("+{seconds:.9}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}

/// Annotations as EDF+ writes them, with their onsets in s after the recording's first sample.
struct List(Vec<(f64, Vec<u8>)>);

impl List {
    fn of(
        annotations: &Annotations,
        rate_hz: f64,
        start: Option<Start>,
        losses: &mut Vec<Loss>,
    ) -> Self {
        let first_s = fraction_s(start);
        let mut list = Vec::new();
        let mut detailed = 0;
        let is_note_of_rate = |a: &Annotation| {
            a.code == Code::NOTE && a.aux.starts_with(crate::annotation::RESOLUTION_NOTE)
        };
        for annotation in annotations.list.iter().filter(|a| !is_note_of_rate(a)) {
            let text = text(annotation);
            let is_plain = annotation.code.is_beat() && annotation.aux.is_empty()
                || annotation.code == Code::NOTE;
            let numbers = (annotation.subtype, annotation.channel, annotation.number);
            detailed += usize::from(!is_plain || numbers != (0, 0, 0));
            let onset_s = annotation.sample as f64 / rate_hz;
            let mut bytes = onset(first_s + onset_s);
            bytes.push(END);
            bytes.extend_from_slice(text.as_bytes());
            bytes.extend_from_slice(&[END, 0]);
            list.push((onset_s, bytes));
        }
        if detailed > 0 {
            losses.push(Loss::AnnotationDetails {
                annotations: detailed,
            });
        }
        Self(list)
    }

    /// The text of every data record that is kept, and how many bytes each has to have. An annotation that finds no room in the
    /// data record of its time goes into a later one.
    fn packed(&self, kept: &[bool], stamps: &Stamps, kind: Kind) -> (usize, Vec<Vec<u8>>) {
        let longest = self
            .0
            .iter()
            .map(|(_, bytes)| bytes.len())
            .max()
            .unwrap_or(0);
        // A time stamp, and room for the longest.
        let mut size = (32 + longest).next_multiple_of(kind.bytes);
        loop {
            let mut texts = Vec::new();
            let mut waiting = self.0.iter().peekable();
            for record in (0..kept.len()).filter(|record| kept[*record]) {
                let mut text = stamps.of(record);
                let end_s = (record + 1) as f64 * stamps.step_s;
                let is_last = record + 1 == kept.len();
                while let Some((onset_s, bytes)) = waiting.peek() {
                    if (*onset_s >= end_s && !is_last) || text.len() + bytes.len() > size {
                        break;
                    }
                    text.extend_from_slice(bytes);
                    waiting.next();
                }
                texts.push(text);
            }
            if waiting.peek().is_none() {
                return (size, texts);
            }
            size = (2 * size).next_multiple_of(kind.bytes);
        }
    }
}

/// A beat's code, or what an annotation says.
fn text(annotation: &Annotation) -> String {
    let said = String::from_utf8_lossy(&annotation.aux);
    let said: String = said.chars().filter(|c| !c.is_control()).collect();
    match annotation.code {
        code if code.is_beat() || said.is_empty() => code.mnemonic().to_owned(),
        _ => said,
    }
}

/// A lead as EDF describes it.
struct Signal<'a> {
    index: usize,
    surveyed: Surveyed<'a>,
    per_record: usize,
    /// Counts of a millivolt, and the count that means 0 mV.
    gain: f64,
    baseline: i64,
    /// The lowest and highest count. The lowest stands for what is missing, where something is.
    digital: (i64, i64),
    unit: &'static str,
    /// What the counts mean in the unit, as text.
    physical: (String, String),
    /// How far the text is from that, relative to it.
    error: f64,
    last: i64,
    rounded: u64,
    most: f64,
}

impl<'a> Signal<'a> {
    fn of(surveyed: Surveyed<'a>, kind: Kind, per_record: usize) -> Self {
        let missing = i64::from(surveyed.missing > 0);
        let largest = surveyed.range.0.abs().max(surveyed.range.1.abs()).max(1);
        let mut gain = surveyed.gain;
        let mut needed = largest + missing;
        let mut baseline = i64::from(surveyed.baseline);
        if baseline.abs().saturating_add(needed) > kind.high {
            baseline = 0;
        }
        if needed > kind.high {
            // As fine as the range allows, in three digits that the header can state.
            let finest = gain.abs() * (kind.high - 1) as f64 / largest as f64;
            let step = 10_f64.powf(finest.log10().floor() - 2.0);
            gain = (finest / step).floor() * step * surveyed.gain.signum();
            needed = (largest as f64 * gain / surveyed.gain.abs()).ceil() as i64 + missing;
        }
        // Of all ranges that hold the samples, the largest whose ends the header's digits state exactly.
        let most = kind.high - baseline.abs();
        let least = needed.min(most).max(most - 40_000);
        let mut best: Option<(f64, i64, &str, String)> = None;
        'search: for half in (least..=most).rev() {
            for (unit, per_mv) in [("mV", 1.0), ("uV", 1000.0)] {
                let exact = half as f64 / gain.abs() * per_mv;
                let Some(text) = digits(exact, 7) else {
                    continue;
                };
                let error = (parsed(&text) / exact - 1.0).abs();
                if best.as_ref().is_none_or(|best| error < best.0 / 2.0) {
                    best = Some((error, half, unit, text));
                }
                if error < 1e-13 {
                    break 'search;
                }
            }
        }
        let (error, half, unit, text) = best.unwrap_or((0.0, needed, "mV", "1".to_owned()));
        let (low, high) = (format!("-{text}"), text);
        Self {
            index: surveyed.index,
            surveyed,
            per_record,
            gain,
            baseline,
            digital: (baseline - half, baseline + half),
            unit,
            physical: if gain > 0.0 { (low, high) } else { (high, low) },
            error,
            last: baseline,
            rounded: 0,
            most: 0.0,
        }
    }

    /// Appends a data record's samples, filled up with the last one.
    fn push(&mut self, samples: &[f32], kind: Kind, bytes: &mut Vec<u8>) {
        for place in 0..self.per_record {
            if let Some(mv) = samples.get(place) {
                self.last = match mv.is_nan() {
                    true => self.digital.0,
                    false => {
                        let residual = residual(*mv, self.gain);
                        self.rounded += u64::from(residual > 0.0);
                        self.most = self.most.max(residual);
                        let count = (f64::from(*mv) * self.gain).round() as i64 + self.baseline;
                        count.clamp(self.digital.0, self.digital.1)
                    }
                };
            }
            bytes.extend_from_slice(&(self.last as i32).to_le_bytes()[..kind.bytes]);
        }
    }

    fn losses(self, losses: &mut Vec<Loss>) {
        let lead = || self.surveyed.lead.name.clone();
        if self.rounded > 0 {
            losses.push(Loss::Rounded {
                lead: lead(),
                samples: self.rounded,
                most_uv: self.most / self.gain.abs() * 1000.0,
                counts_per_mv: self.gain,
            });
        }
        if self.error > 1e-9 {
            losses.push(Loss::Gain {
                lead: lead(),
                parts_per_million: self.error * 1e6,
            });
        }
        if self.surveyed.missing > 0 {
            losses.push(Loss::Missing {
                lead: lead(),
                samples: self.surveyed.missing,
            });
        }
    }
}

struct Header {
    kind: Kind,
    patient: Patient,
    start: Option<Start>,
    is_whole: bool,
    records: usize,
    duration: String,
    annotation_samples: usize,
}

impl Header {
    fn bytes(&self, leads: &[Signal<'_>], losses: &mut Vec<Loss>) -> Vec<u8> {
        let signals = leads.len() + 1;
        let mut bytes = self.kind.version.to_vec();
        let mut put = |width: usize, text: &str| {
            let end = bytes.len() + width;
            bytes.extend(text.bytes().take(width));
            bytes.resize(end, b' ');
        };
        let sex = match self.patient.sex {
            Some(Sex::Female) => "F",
            Some(Sex::Male) => "M",
            None => "X",
        };
        // Fields for what nobody knows are X; a word more may follow.
        let age = self.patient.age_years.map(|age| format!(" age:{age}"));
        put(80, &format!("X {sex} X X{}", age.unwrap_or_default()));
        let date = self.start.and_then(|start| start.date);
        let full = date.map(|date| date.strftime("%d-%b-%Y").to_string().to_uppercase());
        put(
            80,
            &format!("Startdate {} X X X", full.as_deref().unwrap_or("X")),
        );
        let short = |date: Date| match (1985..=2084).contains(&date.year()) {
            true => date.strftime("%d.%m.%y").to_string(),
            false => date.strftime("%d.%m.yy").to_string(),
        };
        put(8, &date.map_or("01.01.85".to_owned(), short));
        let time = self.start.map_or(Time::midnight(), |start| start.time);
        put(8, &time.strftime("%H.%M.%S").to_string());
        put(8, &(256 * (signals + 1)).to_string());
        let kind = if self.is_whole { 'C' } else { 'D' };
        put(44, &format!("{}{kind}", self.kind.name));
        put(8, &self.records.to_string());
        put(8, &self.duration);
        put(4, &signals.to_string());

        let mut labels: Vec<String> = Vec::new();
        for lead in leads {
            let name = &lead.surveyed.lead.name;
            let ascii = name.replace(['\u{b5}', '\u{3bc}'], "u");
            let is_plain = |c: &char| c.is_ascii_graphic() || *c == ' ';
            let mut label: String = ascii.chars().filter(is_plain).take(16).collect();
            if label.trim().is_empty() {
                label = format!("lead {}", lead.index);
            }
            if label != *name {
                losses.push(Loss::Name {
                    lead: name.clone(),
                    written: label.clone(),
                });
            }
            labels.push(label);
        }
        labels.push(self.kind.annotations.to_owned());
        labels.iter().for_each(|label| put(16, label));
        (0..signals).for_each(|_| put(80, ""));
        leads.iter().for_each(|lead| put(8, lead.unit));
        put(8, "");
        leads.iter().for_each(|lead| put(8, &lead.physical.0));
        put(8, "-1");
        leads.iter().for_each(|lead| put(8, &lead.physical.1));
        put(8, "1");
        let low = (-self.kind.high - 1).to_string();
        leads
            .iter()
            .for_each(|lead| put(8, &lead.digital.0.to_string()));
        put(8, &low);
        leads
            .iter()
            .for_each(|lead| put(8, &lead.digital.1.to_string()));
        put(8, &self.kind.high.to_string());
        (0..signals).for_each(|_| put(80, ""));
        leads
            .iter()
            .for_each(|lead| put(8, &lead.per_record.to_string()));
        put(8, &self.annotation_samples.to_string());
        (0..signals).for_each(|_| put(32, ""));
        bytes
    }
}
