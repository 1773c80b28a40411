//! HL7 annotated ECG (aECG): XML.
//!
//! Source: HL7 V3 "Regulated Studies: Annotated ECG", release 1 (`PORT_MT020001`). A series has sequence sets, each a stretch of
//! time, and a set has sequences: when its samples are, and a lead each: `origin + digit * scale`. The series `RHYTHM` is read,
//! with its sets one after the other in time.
//!
//! Annotated beats (`MDC_ECG_BEAT`) become annotations with the code that WFDB has for them, at the peak of their R wave or in the
//! middle of their QRS complex; peaks of R waves outside of one become beats whose class is not known. Annotated rhythms
//! (`MDC_ECG_RHY`) become changes of the rhythm. Codes: ISO 11073-10102.
//!
//! Not supported: representative beats and other derived series, all other annotations, beats that only an interval longer than a
//! QRS complex is given for, sequences of another type than `SLIST_PQ`.

use super::annotation::{Annotation, Code};
use super::kind::kind_of;
use super::samples::{
    InMemory, Kept, MAX_KEPT_SAMPLES, Scale, annotations_at, levelled, malformed,
};
use super::start::{Start, age_at};
use super::xml::{all, first, place, whole_text};
use super::{Contents, LeadKind, Patient, RecordError, Sex, VoltageUnit, Warning};
use roxmltree::Node;
use std::path::Path;

/// A sequence set: when it begins, in s after the first one, and its leads.
struct Set<'a> {
    begins_s: f64,
    leads: Vec<(String, Node<'a, 'a>)>,
}

pub(super) fn read<'a>(path: &Path, root: Node<'a, 'a>) -> Result<Contents, RecordError> {
    let code = |node: Node<'a, 'a>| child(node, "code")?.attribute("code");
    let series: Vec<Node<'_, '_>> = all(root, "series").collect();
    // Those of its own: a series derived from it, such as a mean beat, lies inside it.
    let own_sets = |series: Node<'a, 'a>| parts(series, "component", "sequenceSet");
    let has_sets = |node: &&Node<'a, 'a>| own_sets(**node).next().is_some();
    let rhythm = series
        .iter()
        .find(|s| code(**s) == Some("RHYTHM") && has_sets(s));
    let Some(&chosen) = rhythm.or_else(|| series.iter().find(has_sets)) else {
        return Err(RecordError::NoSamples {
            path: path.to_owned(),
        });
    };
    let mut warnings = Vec::new();
    if series.iter().filter(has_sets).count() > 1 {
        warnings.push(Warning::PartNotRead {
            what: "other series than the rhythm's",
        });
    }

    let mut sets = Vec::new();
    let mut step_s = None;
    let mut start = None;
    for node in own_sets(chosen) {
        let mut set = Set {
            begins_s: 0.0,
            leads: Vec::new(),
        };
        for sequence in parts(node, "component", "sequence") {
            let Some(code) = code(sequence) else {
                continue;
            };
            let Some(value) = child(sequence, "value") else {
                continue;
            };
            if code.starts_with("TIME_") {
                let step = step(path, value)?;
                if *step_s.get_or_insert(step) != step {
                    let found = format!("{step} s between samples");
                    let expected = "the same in every sequence set";
                    return Err(malformed(path, place(value), found, expected));
                }
                let head = child(value, "head");
                let stated = head
                    .and_then(|head| head.attribute("value"))
                    .unwrap_or_default();
                if code == "TIME_ABSOLUTE" {
                    let begins = Start::of_digits(stated);
                    let first = *start.get_or_insert(begins);
                    set.begins_s = between_s(first, begins);
                } else {
                    let unit = head.and_then(|head| head.attribute("unit"));
                    set.begins_s = stated.parse().unwrap_or(0.0) * seconds(unit).unwrap_or(1.0);
                }
            } else if let Some(digits) = child(value, "digits") {
                let name = code.strip_prefix("MDC_ECG_LEAD_").unwrap_or(code);
                set.leads.push((lead_name(name), digits));
            }
        }
        sets.push(set);
    }
    let Some(step_s) = step_s else {
        let found = "no sequence of times";
        return Err(malformed(
            path,
            place(chosen),
            found,
            "one with an increment",
        ));
    };
    let rate_hz = step_s.recip();
    let (leads, kept) = leads(path, &sets, rate_hz)?;
    let begins = start.flatten().or_else(|| {
        let time = child(root, "effectiveTime")?;
        let stated = all(time, "center").chain(all(time, "low")).next()?;
        Start::of_digits(stated.attribute("value")?)
    });
    Ok(Contents {
        annotation_rate_hz: rate_hz,
        leads,
        patient: patient(root, begins),
        start: begins,
        comments: Vec::new(),
        source: Box::new(InMemory {
            leads: kept,
            annotations: annotations_at(annotated(chosen, begins), rate_hz),
            warnings,
        }),
    })
}

/// The longest interval that is a QRS complex, in which the R peak is near the middle, in s.
const MAX_QRS_S: f64 = 0.25;

/// Beats and rhythms that the series annotates, each at its time in s from the series' beginning, in whichever lead.
fn annotated(series: Node<'_, '_>, begins: Option<Start>) -> Vec<(f64, Annotation)> {
    let mut found = Vec::new();
    // A derived series counts its own time.
    let is_own = |node: &Node<'_, '_>| {
        let mut around = node.ancestors();
        !around.any(|n| n.tag_name().name() == "derivation")
    };
    for node in all(series, "annotation").filter(is_own) {
        let value = child(node, "value").and_then(|value| value.attribute("code"));
        let kind = child(node, "code").and_then(|code| code.attribute("code"));
        match (kind, value) {
            (Some("MDC_ECG_BEAT"), Some(value)) => {
                let Some(code) = beat_of(value) else { continue };
                let time_s = peak_s(node, begins)
                    .or_else(|| {
                        within(node, "MDC_ECG_WAVC_QRSWAVE").find_map(|qrs| middle_s(qrs, begins))
                    })
                    .or_else(|| middle_s(node, begins));
                found.extend(time_s.map(|time_s| (time_s, Annotation::new(0, code))));
            }
            (Some("MDC_ECG_RHY"), Some(value)) => {
                let name = rhythm_of(value);
                let begin = own_boundaries(node).find_map(|boundary| {
                    let [from, to] = interval_s(boundary, begins)?;
                    Some(from.unwrap_or(to.unwrap_or_default()))
                });
                if let Some((name, begin)) = name.zip(begin) {
                    found.push((begin, Annotation::rhythm_change(0, name)));
                }
            }
            (_, Some("MDC_ECG_WAVC_RWAVE")) => {
                let peak = peak_s(node, begins);
                found.extend(peak.map(|s| (s, Annotation::new(0, Code::UNCLASSIFIABLE))));
            }
            _ => {}
        }
    }
    found
}

/// The annotations of this value in another one, or that one itself.
fn within<'a>(node: Node<'a, 'a>, value: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    let inner = std::iter::once(node).chain(all(node, "annotation"));
    inner.filter(move |node| {
        child(*node, "value").is_some_and(|found| found.attribute("code") == Some(value))
    })
}

/// When the peak of the first R wave in an annotation is.
fn peak_s(node: Node<'_, '_>, begins: Option<Start>) -> Option<f64> {
    let mut waves = within(node, "MDC_ECG_WAVC_RWAVE");
    waves.find_map(|wave| {
        let mut peaks = within(wave, "MDC_ECG_WAVC_PEAK");
        peaks.find_map(|peak| {
            let mut times = all(peak, "boundary").filter_map(|b| interval_s(b, begins));
            times.find_map(|[from, to]| from.or(to))
        })
    })
}

/// The middle of an annotation's own interval, or its own time, where it is no longer than a QRS complex.
fn middle_s(node: Node<'_, '_>, begins: Option<Start>) -> Option<f64> {
    own_boundaries(node).find_map(|boundary| match interval_s(boundary, begins)? {
        [Some(from), Some(to)] => {
            ((0.0..=MAX_QRS_S).contains(&(to - from))).then_some((from + to) / 2.0)
        }
        [Some(at), None] => Some(at),
        [None, _] => None,
    })
}

/// The boundaries of an annotation's region, not of those inside it.
fn own_boundaries<'a>(node: Node<'a, 'a>) -> impl Iterator<Item = Node<'a, 'a>> {
    let supports = node
        .children()
        .filter(|n| n.is_element() && matches!(n.tag_name().name(), "support" | "boundary"));
    supports.flat_map(|node| {
        node.descendants()
            .filter(|n| n.is_element() && n.tag_name().name() == "boundary")
    })
}

/// From when to when a boundary is, in s from the series' beginning; a point of time is the former alone.
fn interval_s(boundary: Node<'_, '_>, begins: Option<Start>) -> Option<[Option<f64>; 2]> {
    let is_relative = match child(boundary, "code")?.attribute("code")? {
        "TIME_RELATIVE" => true,
        "TIME_ABSOLUTE" => false,
        _ => return None,
    };
    let value = child(boundary, "value")?;
    let time = |node: Node<'_, '_>| {
        let stated = node.attribute("value")?;
        match is_relative {
            true => Some(stated.parse::<f64>().ok()? * seconds(node.attribute("unit"))?),
            false => {
                begins?.date?;
                Some(between_s(begins, Some(Start::of_digits(stated)?)))
            }
        }
    };
    let from = time(value).or_else(|| {
        ["low", "center"]
            .into_iter()
            .find_map(|n| time(child(value, n)?))
    });
    let to = child(value, "high").and_then(time);
    (from.is_some() || to.is_some()).then_some([from, to])
}

/// WFDB's code of a beat; `None` where the value is no beat.
fn beat_of(value: &str) -> Option<Code> {
    let name = value.strip_prefix("MDC_ECG_BEAT_")?;
    Some(match name {
        // Conduction that WFDB has no code for, and AAMI counts as normal.
        "NORMAL" | "PREX" | "WPW_UNK" | "WPW_A" | "WPW_B" | "LGL" => Code::NORMAL,
        "SV_P_C" => Code::SUPRAVENTRICULAR_PREMATURE,
        "ATR_P_C" => Code::ATRIAL_PREMATURE,
        "JUNC_P_C" => Code::JUNCTIONAL_PREMATURE,
        "ATR_P_C_ABERR" => Code::ABERRATED_ATRIAL_PREMATURE,
        "ATR_PWAVE_BLK" => Code::BLOCKED_ATRIAL_PREMATURE,
        "V_P_C" => Code::VENTRICULAR_PREMATURE,
        "V_P_C_FUSION" => Code::FUSION,
        "V_P_C_RonT" => Code::R_ON_T,
        "SV_ESC" => Code::SUPRAVENTRICULAR_ESCAPE,
        "ATR_ESC" => Code::ATRIAL_ESCAPE,
        "JUNC_ESC" => Code::JUNCTIONAL_ESCAPE,
        "V_ESC" => Code::VENTRICULAR_ESCAPE,
        "LBB_BLK_COMP" | "LBB_BLK_INCOMP" => Code::LEFT_BUNDLE_BRANCH_BLOCK,
        "RBB_BLK_COMP" | "RBB_BLK_INCOMP" => Code::RIGHT_BUNDLE_BRANCH_BLOCK,
        "PACED" => Code::PACED,
        "PACED_FUS" => Code::PACED_FUSION,
        "LEARN" => Code::LEARNING,
        "ABNORMAL" | "DOMINANT" | "UNKNOWN" => Code::UNCLASSIFIABLE,
        name if name == "BB_BLK" || name.starts_with("BLK_") => Code::BUNDLE_BRANCH_BLOCK,
        _ => return None,
    })
}

/// WFDB's name of a rhythm, where it has one.
fn rhythm_of(value: &str) -> Option<&'static str> {
    Some(match value.strip_prefix("MDC_ECG_RHY_")? {
        "SINUS_RHY" | "SINUS_NORMAL_RHY" | "SINUS_ARRHY" | "SINUS_TACHY" => "(N",
        "SINUS_BRADY" => "(SBR",
        "ATR_FIB" => "(AFIB",
        "ATR_FLUT" => "(AFL",
        "ATR_BIGEM" => "(AB",
        "ATR_TACHY" | "ATR_TACHY_PAROX" | "SV_TACHY" | "SV_TACHY_PAROX" => "(SVTA",
        "JUNC_RHY" | "JUNC_ACCEL" | "JUNC_TACHY" => "(NOD",
        "V_IDIO_RHY" | "V_AIVR" => "(IVR",
        "V_BIGEM" => "(B",
        "V_TRIGEM" => "(T",
        "V_TACHY" | "V_TACHY_PAROX" | "V_TACHY_MONO" | "V_TACHY_POLY" => "(VT",
        "V_FLUT" | "V_FIB" => "(VFL",
        "PREX" | "WPW_UNK" | "WPW_A" | "WPW_B" => "(PREX",
        _ => return None,
    })
}

/// The elements named `inner` in the children named `outer`.
fn parts<'a>(
    node: Node<'a, 'a>,
    outer: &'static str,
    inner: &'static str,
) -> impl Iterator<Item = Node<'a, 'a>> {
    let is =
        |name: &'static str| move |n: &Node<'a, 'a>| n.is_element() && n.tag_name().name() == name;
    node.children()
        .filter(is(outer))
        .flat_map(move |node| node.children().filter(is(inner)))
}

/// The first child of this name.
fn child<'a>(node: Node<'a, 'a>, name: &str) -> Option<Node<'a, 'a>> {
    node.children()
        .find(|n| n.is_element() && n.tag_name().name() == name)
}

/// Joins the sets' parts of each lead.
fn leads(
    path: &Path,
    sets: &[Set<'_>],
    rate_hz: f64,
) -> Result<(Vec<super::Lead>, Vec<Kept>), RecordError> {
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in sets.iter().flat_map(|set| &set.leads) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let earliest_s = sets
        .iter()
        .map(|set| set.begins_s)
        .fold(f64::INFINITY, f64::min);
    let (mut leads, mut kept) = (Vec::new(), Vec::new());
    let mut total = 0;
    for name in names {
        let mut counts: Vec<Option<i32>> = Vec::new();
        let mut found: Option<(Scale, String)> = None;
        for set in sets {
            for (_, digits) in set.leads.iter().filter(|(other, _)| other == name) {
                let value = digits.parent().unwrap_or(*digits);
                let (scale, unit) = scale(path, value)?;
                match &found {
                    Some((other, _)) if *other != scale => {
                        let found = "another scale than in the sets before";
                        return Err(malformed(path, place(value), found, "the same in all"));
                    }
                    _ => found = Some((scale, unit)),
                }
                let at = ((set.begins_s - earliest_s) * rate_hz).round();
                // A gap takes as much memory as samples do.
                if !(0.0..=(MAX_KEPT_SAMPLES - total) as f64).contains(&at) {
                    let found =
                        format!("a sequence {} s after the first", set.begins_s - earliest_s);
                    let expected = "a later one, by hours at most";
                    return Err(malformed(path, place(value), found, expected));
                }
                counts.resize((at as usize).max(counts.len()), None);
                // What two sets have is read from the first.
                let known = counts.len() - at as usize;
                for digit in whole_text(*digits).split_whitespace().skip(known) {
                    counts.push(count(path, *digits, digit)?);
                }
            }
        }
        total = (total + counts.len()).min(MAX_KEPT_SAMPLES);
        let (scale, unit) = found.unwrap_or((NO_SCALE, String::new()));
        leads.push((name.clone(), unit, scale));
        kept.push(Kept { counts, scale });
    }
    let longest = levelled(path, &mut kept)?;
    let leads = leads
        .into_iter()
        .map(|(name, unit, scale): (String, String, Scale)| {
            let mut lead = scale.lead(name, unit, rate_hz, longest);
            if lead.kind == LeadKind::Unknown {
                lead.kind = kind_of(&format!("ECG {}", lead.name));
            }
            lead
        });
    Ok((leads.collect(), kept))
}

const NO_SCALE: Scale = Scale {
    scale: 1.0,
    offset: 0.0,
    unit: None,
};

/// A digit; one that is none is no valid sample.
fn count(path: &Path, digits: Node<'_, '_>, digit: &str) -> Result<Option<i32>, RecordError> {
    match digit.parse::<f64>() {
        Ok(count) if count.is_finite() => Ok(Some(count.round() as i32)),
        Ok(_) => Ok(None),
        Err(_) => Err(malformed(
            path,
            place(digits),
            digit,
            "a whole number for each sample",
        )),
    }
}

/// Seconds between samples.
fn step(path: &Path, value: Node<'_, '_>) -> Result<f64, RecordError> {
    let increment = first(value, "increment");
    let stated = increment
        .and_then(|node| node.attribute("value"))
        .unwrap_or_default();
    let unit = increment.and_then(|node| node.attribute("unit"));
    let step = stated.parse::<f64>().ok().zip(seconds(unit));
    let step = step.map(|(value, unit)| value * unit);
    step.filter(|step| (1e-9..1e6).contains(step))
        .ok_or_else(|| {
            let found = format!("an increment of `{stated}` `{}`", unit.unwrap_or_default());
            malformed(path, place(value), found, "a time above 0 in s, ms or us")
        })
}

/// A unit of time in s.
fn seconds(unit: Option<&str>) -> Option<f64> {
    match unit.unwrap_or("s") {
        "s" => Some(1.0),
        "ms" => Some(1e-3),
        "us" => Some(1e-6),
        _ => None,
    }
}

/// How a lead's digits become a voltage, and the unit as it is stated.
fn scale(path: &Path, value: Node<'_, '_>) -> Result<(Scale, String), RecordError> {
    let quantity = |name| -> Result<(f64, String), RecordError> {
        let node = first(value, name);
        let stated = node.and_then(|node| node.attribute("value")).unwrap_or("0");
        let number = stated.parse::<f64>().ok().filter(|n| n.is_finite());
        let unit = node
            .and_then(|node| node.attribute("unit"))
            .unwrap_or_default();
        match number {
            Some(number) => Ok((number, unit.to_owned())),
            None => Err(malformed(
                path,
                place(value),
                format!("{name} `{stated}`"),
                "a number",
            )),
        }
    };
    let ((scale, unit), (origin, origin_unit)) = (quantity("scale")?, quantity("origin")?);
    if scale == 0.0 {
        return Err(malformed(
            path,
            place(value),
            "scale 0 or none",
            "another number",
        ));
    }
    let voltage: Option<VoltageUnit> = unit.parse().ok();
    let per_mv = voltage.map_or(1.0, VoltageUnit::per_mv);
    let origin_per_mv = origin_unit.parse().map_or(per_mv, VoltageUnit::per_mv);
    let scale = Scale {
        scale,
        offset: origin / origin_per_mv * per_mv,
        unit: voltage,
    };
    Ok((scale, unit))
}

/// `AVR` as everybody else writes it.
fn lead_name(code: &str) -> String {
    match code {
        "AVR" => "aVR".to_owned(),
        "AVL" => "aVL".to_owned(),
        "AVF" => "aVF".to_owned(),
        other => other.to_owned(),
    }
}

/// How much later than the first set another one begins, in s.
fn between_s(first: Option<Start>, begins: Option<Start>) -> f64 {
    let (Some(first), Some(begins)) = (first, begins) else {
        return 0.0;
    };
    let moment = |start: Start| Some(start.date?.to_datetime(start.time));
    let (Some(first), Some(begins)) = (moment(first), moment(begins)) else {
        return 0.0;
    };
    begins.duration_since(first).as_secs_f64()
}

/// LOINC's code for an age as it was reported.
const REPORTED_AGE: &str = "21612-7";

fn patient(root: Node<'_, '_>, start: Option<Start>) -> Patient {
    let attribute = |name| first(root, name).and_then(|node| node.attribute("value"));
    let birth = attribute("birthTime")
        .and_then(Start::of_digits)
        .and_then(|birth| birth.date);
    let reported = || {
        let code = all(root, "code").find(|code| code.attribute("code") == Some(REPORTED_AGE))?;
        let value = child(code.parent()?, "value")?;
        let age: f32 = value.attribute("value")?.parse().ok()?;
        let is_years = matches!(value.attribute("unit"), None | Some("a" | "Y" | "y"));
        (is_years && (0.0..=130.0).contains(&age)).then_some(age)
    };
    let sex = first(root, "administrativeGenderCode").and_then(|node| node.attribute("code"));
    Patient {
        age_years: reported().or_else(|| age_at(birth, start.and_then(|start| start.date))),
        sex: match sex {
            Some("F") => Some(Sex::Female),
            Some("M") => Some(Sex::Male),
            _ => None,
        },
    }
}
