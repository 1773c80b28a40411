//! GE MUSE XML of a resting ECG.
//!
//! Source: the document type `restecg.dtd` that the files name. The waveform `Rhythm` is read: 16 bits a sample, little-endian, in
//! base 64, at `SampleBase * 10^SampleExponent` Hz. The times of QRS complexes (`QRSTimesTypes`, in ms) become annotations of beats
//! whose class is not known.
//!
//! Not supported: the median beat and measurements. Leads III, aVR, aVL and aVF
//! are not in these files, and are not computed.

use super::samples::{InMemory, Kept, Scale, levelled, malformed, unclassified_beats};
use super::start::{Start, age_at, date_of};
use super::xml::{all, bytes_of_base64, first, first_text, place};
use super::{Contents, Patient, RecordError, Sex, VoltageUnit, Warning};
use jiff::civil::Date;
use roxmltree::Node;
use std::path::Path;

pub(super) fn read<'a>(path: &Path, root: Node<'a, 'a>) -> Result<Contents, RecordError> {
    let kind = |node: &Node<'a, 'a>| first_text(*node, "WaveformType");
    let is_rhythm =
        |node: &Node<'a, 'a>| kind(node).is_some_and(|k| k.eq_ignore_ascii_case("rhythm"));
    let mut waveforms = all(root, "Waveform").filter(is_rhythm);
    let Some(waveform) = waveforms.next() else {
        return Err(malformed(
            path,
            place(root),
            "no Waveform of type Rhythm",
            "one, with the leads' samples",
        ));
    };
    let mut warnings = Vec::new();
    if waveforms.next().is_some() {
        warnings.push(Warning::PartNotRead {
            what: "other rhythm waveforms than the first",
        });
    }
    let base = number(path, waveform, "SampleBase", "a rate in Hz above 0")?;
    let exponent = first_text(waveform, "SampleExponent").and_then(|text| text.parse().ok());
    let rate_hz = base * 10_f64.powi(exponent.unwrap_or(0_i32).clamp(-9, 9));
    if !(rate_hz > 0.0 && rate_hz.is_finite()) {
        let found = format!("SampleBase {base}");
        return Err(malformed(
            path,
            place(waveform),
            found,
            "a rate in Hz above 0",
        ));
    }

    let (mut leads, mut kept) = (Vec::new(), Vec::new());
    for node in all(waveform, "LeadData") {
        let name = first_text(node, "LeadID").unwrap_or_default();
        let name = match name {
            "" => format!("lead {}", leads.len()),
            name => name.to_owned(),
        };
        let Some(data) = first(node, "WaveFormData") else {
            return Err(malformed(
                path,
                place(node),
                "no WaveFormData",
                "the lead's samples",
            ));
        };
        let size = first_text(node, "LeadSampleSize").unwrap_or("2");
        if size != "2" {
            let found = format!("LeadSampleSize {size}");
            return Err(malformed(path, place(node), found, "2 bytes a sample"));
        }
        let bytes = bytes_of_base64(path, data)?;
        let counts: Vec<Option<i32>> = bytes
            .chunks_exact(2)
            .map(|pair| Some(i16::from_le_bytes([pair[0], pair[1]]).into()))
            .collect();
        let promised = first_text(node, "LeadSampleCountTotal").and_then(|text| text.parse().ok());
        if let Some(promised) = promised
            && promised != counts.len() as u64
        {
            warnings.push(Warning::Short {
                what: "samples of a lead",
                promised,
                found: counts.len() as u64,
            });
        }
        let unit = match first_text(node, "LeadAmplitudeUnits") {
            Some(unit) if unit.eq_ignore_ascii_case("MICROVOLTS") => "uV",
            Some(unit) if unit.eq_ignore_ascii_case("MILLIVOLTS") => "mV",
            Some(unit) => unit,
            None => "",
        };
        let scale = Scale {
            scale: number(
                path,
                node,
                "LeadAmplitudeUnitsPerBit",
                "a number that is not 0",
            )?,
            offset: 0.0,
            unit: unit.parse::<VoltageUnit>().ok(),
        };
        leads.push((name, unit.to_owned(), scale));
        kept.push(Kept { counts, scale });
    }
    let longest = levelled(path, &mut kept)?;
    let lead =
        |(name, unit, scale): (String, String, Scale)| scale.lead(name, unit, rate_hz, longest);
    let start = start(root);
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads: leads.into_iter().map(lead).collect(),
        patient: patient(root, start),
        start,
        comments: Vec::new(),
        source: Box::new(InMemory {
            leads: kept,
            annotations: unclassified_beats(qrs_times(root), rate_hz),
            warnings,
        }),
    })
}

/// When QRS complexes are, in s from the rhythm's beginning. (The type that the file gives each counts forms, and is no class.)
fn qrs_times(root: Node<'_, '_>) -> Vec<f64> {
    let Some(list) = first(root, "QRSTimesTypes") else {
        return Vec::new();
    };
    let times = all(list, "QRS").filter_map(|qrs| first_text(qrs, "Time")?.parse::<f64>().ok());
    times.map(|ms| ms / 1000.0).collect()
}

/// The number in the first element of this name, which is not 0.
fn number(
    path: &Path,
    node: Node<'_, '_>,
    name: &'static str,
    expected: &str,
) -> Result<f64, RecordError> {
    let text = first_text(node, name).unwrap_or_default();
    let number = text.parse::<f64>().ok();
    number
        .filter(|number| number.is_normal())
        .ok_or_else(|| malformed(path, place(node), format!("{name} `{text}`"), expected))
}

/// `12-31-2020`, the month first.
fn date(text: &str) -> Option<Date> {
    let mut parts = text.split(['-', '/']).map(|part| part.parse().ok());
    let (month, day) = (parts.next()??, parts.next()??);
    date_of(parts.next()??, month, day)
}

fn start(root: Node<'_, '_>) -> Option<Start> {
    let test = first(root, "TestDemographics")?;
    let time = first_text(test, "AcquisitionTime")?;
    let parts: Vec<i32> = time
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let start = Start::of([0; 3], parts.try_into().ok()?)?;
    Some(Start {
        date: first_text(test, "AcquisitionDate").and_then(date),
        ..start
    })
}

fn patient(root: Node<'_, '_>, start: Option<Start>) -> Patient {
    let Some(patient) = first(root, "PatientDemographics") else {
        return Patient::default();
    };
    let age = first_text(patient, "PatientAge").and_then(|age| age.parse::<f32>().ok());
    let is_years = first_text(patient, "AgeUnits").is_none_or(|u| u.eq_ignore_ascii_case("YEARS"));
    let age = age.filter(|age| is_years && (0.0..=130.0).contains(age));
    let birth = first_text(patient, "DateofBirth").and_then(date);
    let sex = first_text(patient, "Gender").unwrap_or_default();
    Patient {
        age_years: age.or_else(|| age_at(birth, start.and_then(|start| start.date))),
        sex: match sex.to_ascii_uppercase().as_str() {
            "FEMALE" | "F" => Some(Sex::Female),
            "MALE" | "M" => Some(Sex::Male),
            _ => None,
        },
    }
}
