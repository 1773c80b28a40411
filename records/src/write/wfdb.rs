//! A WFDB record: a header, one signal file in format 16, 24 or 32, and annotations.

use super::{Loss, NewFile, Pieces, Surveyed, WriteError, common_rate, count_of, voltages};
use crate::annotation::Annotations;
use crate::header::{Header, Signal, patient_of};
use crate::signal::Format;
use crate::{Record, RecordError, Sex, with_appended};
use std::path::Path;

/// Frames that are written at a time.
const FRAMES: usize = 4096;

/// Writes the record `stem`: `stem.hea`, `stem.dat` and, where there are annotations, `stem.ANNOTATOR`, each with its extension.
/// Counts, gains and baselines stay what they are; all voltages go into one file. The header is written last.
///
/// # Errors
/// [`WriteError`], naming the file.
pub fn wfdb(
    record: &Record,
    annotations: Option<(&Annotations, &str)>,
    stem: &Path,
) -> Result<Vec<Loss>, WriteError> {
    let name = stem.file_name().unwrap_or_default().to_string_lossy();
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if name.is_empty() || !name.chars().all(is_allowed) {
        return Err(WriteError::Name {
            path: stem.to_owned(),
            found: name.into_owned(),
        });
    }
    let mut losses = Vec::new();
    let mut leads = voltages(record, &mut losses);
    if leads.is_empty() {
        return Err(RecordError::NoSamples {
            path: record.path().to_owned(),
        }
        .into());
    }
    let (frame_rate_hz, multiples) = common_rate(record, &mut leads, &mut losses);
    let mut surveyed = Vec::new();
    for (index, _) in &leads {
        surveyed.push(Surveyed::of(record, *index, |_| {})?);
    }
    let format = format_of(&mut surveyed);
    for lead in &surveyed {
        lead.losses(&mut losses);
    }

    let file_name = format!("{name}.dat");
    let mut data = NewFile::begin(&with_appended(stem, "dat"))?;
    let frames = surveyed
        .iter()
        .zip(&multiples)
        .map(|(lead, &times)| lead.lead.len_samples.div_ceil(times as usize))
        .max()
        .unwrap_or(0);
    let mut readers = Vec::new();
    for lead in &surveyed {
        readers.push(Pieces::of(record, lead.index)?);
    }
    let (low, high) = format.range();
    let width = format.unit().1;
    let mut sums = vec![0_i16; surveyed.len()];
    let mut initial = vec![None; surveyed.len()];
    let mut bytes = Vec::new();
    for start in (0..frames).step_by(FRAMES) {
        let now = FRAMES.min(frames - start);
        let mut counts: Vec<Vec<i32>> = Vec::new();
        for (i, reader) in readers.iter_mut().enumerate() {
            let Surveyed { gain, baseline, .. } = surveyed[i];
            let len = now * multiples[i] as usize;
            let mut lead: Vec<i32> = reader
                .next(len)?
                .into_iter()
                .map(|mv| match mv.is_nan() {
                    true => format.invalid(),
                    false => {
                        let count = count_of(mv, gain) + i64::from(baseline);
                        count.clamp(low.into(), high.into()) as i32
                    }
                })
                .collect();
            lead.resize(len, format.invalid());
            sums[i] = lead
                .iter()
                .fold(sums[i], |sum, &count| sum.wrapping_add(count as i16));
            initial[i] = initial[i].or(lead.first().copied());
            counts.push(lead);
        }
        bytes.clear();
        for frame in 0..now {
            for (lead, &times) in counts.iter().zip(&multiples) {
                let times = times as usize;
                for count in &lead[frame * times..(frame + 1) * times] {
                    bytes.extend_from_slice(&count.to_le_bytes()[..width]);
                }
            }
        }
        data.write(&bytes)?;
    }

    let signals = surveyed.iter().enumerate().map(|(i, lead)| Signal {
        file: file_name.clone(),
        format: Some(format),
        samples_per_frame: multiples[i],
        skew_samples: 0,
        byte_offset: 0,
        gain: lead.gain,
        calibrated: true,
        baseline: lead.baseline,
        units: "mV".to_owned(),
        adc_resolution_bits: 8 * width as u32,
        adc_zero: 0,
        initial_value: initial[i].unwrap_or(0),
        checksum: Some(sums[i]),
        description: lead.lead.name.clone(),
    });
    let header = Header {
        name: name.into_owned(),
        sample_rate_hz: frame_rate_hz,
        sample_rate_stated: true,
        start: record.start(),
        len_samples: Some(frames as u64),
        signals: signals.collect(),
        comments: comments(record),
    };
    // Where a program is killed between two of the files, that of the header tells the next one that it may begin again.
    let mut file = NewFile::begin(&with_appended(stem, "hea"))?;
    data.finish()?;
    if let Some((annotations, extension)) = annotations {
        write_annotations(
            record,
            annotations,
            frame_rate_hz,
            &with_appended(stem, extension),
        )?;
    }
    file.write(header.to_text().as_bytes())?;
    file.finish()?;
    Ok(losses)
}

/// The smallest format that holds all counts. Where a baseline makes them larger than need be, or than can be, it is left out.
fn format_of(leads: &mut [Surveyed<'_>]) -> Format {
    let formats = [Format::Bits16, Format::Bits24, Format::Bits32];
    let fits = |format: Format, leads: &[Surveyed<'_>]| {
        let (low, high) = format.range();
        leads.iter().all(|lead| {
            let baseline = i64::from(lead.baseline);
            lead.range.0 + baseline >= low.into() && lead.range.1 + baseline <= high.into()
        })
    };
    if let Some(format) = formats.into_iter().find(|format| fits(*format, leads)) {
        return format;
    }
    for lead in leads {
        lead.baseline = 0;
    }
    Format::Bits32
}

/// The record's comments, and what it knows of the patient where they do not say so.
fn comments(record: &Record) -> Vec<String> {
    let mut comments = record.comments().to_vec();
    let patient = record.patient();
    if patient_of(&comments) != patient {
        let age = patient.age_years.map(|age| format!("<age>: {age}"));
        let sex = patient.sex.map(|sex| match sex {
            Sex::Female => "<sex>: F".to_owned(),
            Sex::Male => "<sex>: M".to_owned(),
        });
        let said: Vec<String> = age.into_iter().chain(sex).collect();
        comments.insert(0, said.join(" "));
    }
    comments
}

/// Writes annotations that count the record's samples, beside a record of so many frames a second.
pub(super) fn write_annotations(
    record: &Record,
    annotations: &Annotations,
    frame_rate_hz: f64,
    path: &Path,
) -> Result<(), WriteError> {
    let rate_hz = record.sample_rate_hz();
    let mut list = annotations.list.clone();
    // Without a note, they would be taken for frames.
    if rate_hz != frame_rate_hz && annotations.time_resolution_hz().is_none() {
        list.insert(0, crate::annotation::time_resolution_note(rate_hz));
    }
    let bytes = Annotations { list }.to_bytes();
    let bytes = bytes.map_err(|cause| WriteError::Unwritable {
        path: path.to_owned(),
        cause,
    })?;
    let mut file = NewFile::begin(path)?;
    file.write(&bytes)?;
    file.finish()
}
