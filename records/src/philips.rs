//! Philips Sierra ECG XML, versions 1.03 and 1.04: plain samples, and XLI, their compression.
//!
//! Source: the format as sierra-ecg-tools documents it. Samples are of 16 bits, little-endian, in base 64, lead after lead. In XLI
//! each lead is a chunk: its bytes (4), two that say nothing here, the start of the differences (2), and LZW codes of ten bits.
//! Unpacked, the upper bytes of all samples come first, then the lower ones; the samples are second differences. Leads III, aVR,
//! aVL and aVF are stored as what the other limb leads do not say of them.
//!
//! Not supported: representative beats, measurements (which give each beat a group, `beatclassification`, but no time, so that they
//! are no annotations), other encodings than base 64.

use super::samples::{InMemory, Kept, Scale, levelled, malformed};
use super::start::{Start, age_at, date_of};
use super::xml::{bytes_of_base64, first, first_text, place};
use super::{Contents, Patient, RecordError, Sex, VoltageUnit, Warning};
use jiff::civil::Date;
use roxmltree::Node;
use std::path::Path;

/// Bytes of a compressed lead's header.
const CHUNK_HEADER: usize = 8;
/// Bits of a code.
const CODE_BITS: u32 = 10;
/// The code that ends the codes.
const END_CODE: usize = (1 << CODE_BITS) - 1;
/// The most bytes that a lead is unpacked to: hours, where the format has seconds.
const MAX_LEAD_BYTES: usize = 1 << 24;

pub(super) fn read(path: &Path, root: Node<'_, '_>) -> Result<Contents, RecordError> {
    let missing = |name: &str| {
        malformed(
            path,
            place(root),
            format!("no {name}"),
            "one, with the signal",
        )
    };
    let signal =
        first(root, "signalcharacteristics").ok_or_else(|| missing("signalcharacteristics"))?;
    let waveforms = first(root, "parsedwaveforms").ok_or_else(|| missing("parsedwaveforms"))?;
    let rate_hz = first_text(signal, "samplingrate").and_then(|text| text.parse::<f64>().ok());
    let rate_hz = rate_hz.filter(|hz| *hz > 0.0 && hz.is_finite());
    let Some(rate_hz) = rate_hz else {
        return Err(malformed(
            path,
            place(signal),
            "no samplingrate",
            "a rate in Hz above 0",
        ));
    };
    // In uV a count.
    let resolution = waveforms
        .attribute("resolution")
        .or(first_text(signal, "signalresolution"))
        .or(first_text(signal, "resolution"));
    let resolution = resolution.and_then(|text| text.parse::<f64>().ok());
    let scale = Scale {
        scale: resolution.filter(|uv| uv.is_normal()).unwrap_or(1.0),
        offset: 0.0,
        unit: resolution.map(|_| VoltageUnit::Microvolt),
    };
    let encoding = waveforms.attribute("dataencoding").unwrap_or("Base64");
    if !encoding.eq_ignore_ascii_case("Base64") {
        return Err(malformed(
            path,
            place(waveforms),
            format!("encoding {encoding}"),
            "Base64",
        ));
    }
    let names = names(signal, waveforms);
    let bytes = bytes_of_base64(path, waveforms)?;
    let method = waveforms
        .attribute("compressmethod")
        .or(waveforms.attribute("compression"));
    let is_flagged = waveforms
        .attribute("compressflag")
        .is_none_or(|f| f.eq_ignore_ascii_case("true"));
    let mut warnings = Vec::new();
    let mut samples = match method.filter(|_| is_flagged) {
        Some(method) if method.eq_ignore_ascii_case("XLI") => {
            unpacked(path, waveforms, &bytes, names.len())?
        }
        None | Some("" | "Uncompressed" | "None") => {
            let all: Vec<i16> = words(&bytes);
            let len = all.len() / names.len().max(1);
            all.chunks_exact(len.max(1))
                .take(names.len())
                .map(<[i16]>::to_vec)
                .collect()
        }
        Some(other) => {
            let found = format!("compression {other}");
            return Err(malformed(path, place(waveforms), found, "XLI, or none"));
        }
    };
    if samples.len() < names.len() {
        warnings.push(Warning::Short {
            what: "leads",
            promised: names.len() as u64,
            found: samples.len() as u64,
        });
    }
    limb_leads(&names, &mut samples);
    let len = samples.iter().map(Vec::len).max().unwrap_or(0);
    if len == 0 {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    }
    let stated = waveforms
        .attribute("durationperchannel")
        .and_then(|ms| ms.parse::<f64>().ok());
    // The compressed leads may be longer than the recording: the rest is filling.
    let promised = stated.map_or(len, |ms| (ms / 1000.0 * rate_hz).round().max(0.0) as usize);
    let len = if (1..=len).contains(&promised) {
        promised
    } else {
        len
    };
    if promised > len {
        warnings.push(Warning::Short {
            what: "samples of each lead",
            promised: promised as u64,
            found: len as u64,
        });
    }
    let mut kept = Vec::new();
    for lead in samples {
        let mut counts: Vec<Option<i32>> =
            lead.into_iter().map(|count| Some(count.into())).collect();
        counts.truncate(len);
        kept.push(Kept { counts, scale });
    }
    let len = levelled(path, &mut kept)?;
    let named = names.into_iter().take(kept.len());
    let start = start(root);
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads: named
            .map(|name| scale.lead(name, "uV".to_owned(), rate_hz, len))
            .collect(),
        patient: patient(root, start),
        start,
        comments: Vec::new(),
        source: Box::new(InMemory {
            leads: kept,
            annotations: None,
            warnings,
        }),
    })
}

fn words(bytes: &[u8]) -> Vec<i16> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

/// The leads' names: stated, or those of the usual twelve.
fn names(signal: Node<'_, '_>, waveforms: Node<'_, '_>) -> Vec<String> {
    const TWELVE: [&str; 12] = [
        "I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6",
    ];
    const MOST: usize = 64;
    let stated = waveforms.attribute("leadlabels").unwrap_or_default();
    let count = waveforms
        .attribute("numberofleads")
        .or(first_text(signal, "numberchannelsallocated"))
        .or(first_text(signal, "numberchannelsvalid"))
        .and_then(|text| text.parse().ok());
    let labels: Vec<String> = stated.split_whitespace().map(str::to_owned).collect();
    let count = count
        .unwrap_or(labels.len().max(TWELVE.len()))
        .clamp(1, MOST);
    let kind = first_text(signal, "acquisitiontype").unwrap_or("STD-12");
    let is_usual = ["STD-12", "10-WIRE"].contains(&kind);
    let name = |index: usize| match (labels.get(index), TWELVE.get(index)) {
        (Some(label), _) => label.clone(),
        (None, Some(usual)) if is_usual => (*usual).to_owned(),
        _ => format!("lead {index}"),
    };
    (0..count).map(name).collect()
}

/// Unpacks the leads' chunks.
fn unpacked(
    path: &Path,
    node: Node<'_, '_>,
    bytes: &[u8],
    count: usize,
) -> Result<Vec<Vec<i16>>, RecordError> {
    let mut leads = Vec::new();
    let mut rest = bytes;
    while leads.len() < count && !rest.is_empty() {
        let lead = leads.len();
        let cut = || {
            let found = format!("the end of the data inside lead {lead}");
            malformed(
                path,
                place(node),
                found,
                "as many bytes as the lead's chunk promises",
            )
        };
        let (header, after) = rest.split_at_checked(CHUNK_HEADER).ok_or_else(cut)?;
        let size = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let begin = i16::from_le_bytes([header[6], header[7]]);
        let (codes, after) = after.split_at_checked(size).ok_or_else(cut)?;
        let bytes = expanded(codes).ok_or_else(|| {
            let found = format!("codes of lead {lead} that mean nothing");
            malformed(path, place(node), found, "LZW codes of 10 bits")
        })?;
        let half = bytes.len() / 2;
        let word = |k: usize| i16::from_be_bytes([bytes[k], bytes[half + k]]);
        leads.push(summed((0..half).map(word).collect(), begin));
        rest = after;
    }
    Ok(leads)
}

/// LZW: codes of ten bits, the highest first. `None` where a code is of no string.
fn expanded(codes: &[u8]) -> Option<Vec<u8>> {
    // Each string is another one and a byte: what it follows, its last byte, its length.
    let mut strings: Vec<(usize, u8)> = (0..=255).map(|byte| (usize::MAX, byte)).collect();
    let mut bytes: Vec<u8> = Vec::new();
    let mut previous: Option<usize> = None;
    let (mut buffer, mut bits) = (0_u32, 0);
    for byte in codes {
        buffer = buffer << 8 | u32::from(*byte);
        bits += 8;
        if bits < CODE_BITS {
            continue;
        }
        bits -= CODE_BITS;
        let code = (buffer >> bits & ((1 << CODE_BITS) - 1)) as usize;
        if code == END_CODE {
            break;
        }
        let at = bytes.len();
        let mut string = match (code < strings.len(), previous) {
            (true, _) => code,
            (false, Some(previous)) if code == strings.len() => previous,
            _ => return None,
        };
        while string != usize::MAX {
            let (before, last) = strings[string];
            bytes.push(last);
            string = before;
        }
        bytes[at..].reverse();
        let first = bytes[at];
        if code == strings.len() {
            bytes.push(first);
        }
        if let Some(previous) = previous
            && strings.len() < END_CODE
        {
            strings.push((previous, first));
        }
        previous = Some(code);
        if bytes.len() > MAX_LEAD_BYTES {
            return None;
        }
    }
    Some(bytes)
}

/// Samples from their second differences, of which the first two are samples; all of them wrap.
fn summed(mut lead: Vec<i16>, begin: i16) -> Vec<i16> {
    let [mut before, mut last, ..] = lead[..] else {
        return lead;
    };
    let mut carry = begin;
    for sample in lead.iter_mut().skip(2) {
        let next = last
            .wrapping_mul(2)
            .wrapping_sub(before)
            .wrapping_sub(carry);
        carry = sample.wrapping_sub(64);
        *sample = next;
        (before, last) = (last, next);
    }
    lead
}

/// Adds to leads III, aVR, aVL and aVF what leads I and II say of them.
fn limb_leads(names: &[String], leads: &mut [Vec<i16>]) {
    if names
        .get(..6)
        .is_none_or(|six| six != ["I", "II", "III", "aVR", "aVL", "aVF"])
    {
        return;
    }
    let [one, two, three, avr, avl, avf, ..] = leads else {
        return;
    };
    let half = |a: i16, b: i16| ((i32::from(a) + i32::from(b)) >> 1) as i16;
    let len = [&*one, two, three, avr, avl, avf]
        .map(|lead| lead.len())
        .into_iter()
        .min();
    for k in 0..len.unwrap_or(0) {
        let (i, ii) = (one[k], two[k]);
        three[k] = ii.wrapping_sub(i).wrapping_sub(three[k]);
        let iii = three[k];
        avr[k] = avr[k].wrapping_neg().wrapping_sub(half(i, ii));
        avl[k] = half(i, iii.wrapping_neg()).wrapping_sub(avl[k]);
        avf[k] = half(ii, iii).wrapping_sub(avf[k]);
    }
}

/// `2020-12-31`
fn date(text: &str) -> Option<Date> {
    let mut parts = text.split('-').map(|part| part.parse().ok());
    let (year, month) = (parts.next()??, parts.next()??);
    date_of(year, month, parts.next()??)
}

fn start(root: Node<'_, '_>) -> Option<Start> {
    let node = first(root, "dataacquisition")?;
    let (time, decimals) = node
        .attribute("time")
        .map(|t| t.split_once('.').unwrap_or((t, "")))?;
    let parts: Vec<i32> = time
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let start = Start::of([0; 3], parts.try_into().ok()?)?.with_fraction(decimals);
    Some(Start {
        date: node.attribute("date").and_then(date),
        ..start
    })
}

fn patient(root: Node<'_, '_>, start: Option<Start>) -> Patient {
    let Some(patient) = first(root, "generalpatientdata") else {
        return Patient::default();
    };
    let age = first_text(patient, "years").and_then(|age| age.parse::<f32>().ok());
    let birth = first_text(patient, "dateofbirth").and_then(date);
    Patient {
        age_years: age
            .filter(|age| (0.0..=130.0).contains(age))
            .or_else(|| age_at(birth, start.and_then(|start| start.date))),
        sex: match first_text(patient, "sex") {
            Some("Female" | "F") => Some(Sex::Female),
            Some("Male" | "M") => Some(Sex::Male),
            _ => None,
        },
    }
}
