//! The level that a lead stands at, and how far it swings: what is constant is no signal, and a swing of volts no ECG.

use crate::records::{Record, RecordError, Warning};

/// The level beyond which core takes a lead for one that is off, in mV: electrode offsets stay within.
const READABLE_MV: f32 = 300.0;

/// How far an ECG swings within a second, in mV.
const SWING_MV: std::ops::RangeInclusive<f64> = 0.02..=20.0;

/// Stretches that are looked at, evenly spread over the lead, and how long each is, in s.
const STRETCHES: usize = 10;
const STRETCH_S: f64 = 6.0;

/// How far stretches' levels may lie from the lead's, in mV, where that is constant.
const CONSTANT_MV: f32 = 100.0;

/// What has to be taken off a lead before core can read it, in mV: 0 but for a lead that stands at a constant level that
/// core would take for one that is off. That, and a swing that is none of an ECG, become warnings of the record.
///
/// # Errors
/// When there is no such lead, or it is no voltage.
pub(crate) fn offset_mv(record: &Record, index: usize) -> Result<f32, RecordError> {
    let lead = record.lead(index)?;
    let (mut levels, mut swings) = (Vec::new(), Vec::new());
    let stretch = ((STRETCH_S * lead.sample_rate_hz) as usize).clamp(1, lead.len_samples);
    let second = (lead.sample_rate_hz as usize).max(1);
    let spread = lead.len_samples - stretch;
    let mut starts: Vec<usize> = (0..STRETCHES)
        .map(|n| spread / (STRETCHES - 1) * n)
        .collect();
    starts.dedup();
    for start in starts {
        let mut samples = Vec::with_capacity(stretch);
        // What cannot be read is an error where it is read for the beats.
        let blocks = record.stream_mv(index, start..start + stretch)?;
        blocks
            .map_while(Result::ok)
            .for_each(|block| samples.extend(block));
        for second in samples.chunks(second) {
            let valid = || second.iter().filter(|mv| mv.is_finite());
            let low = valid().copied().fold(f32::INFINITY, f32::min);
            let high = valid().copied().fold(f32::NEG_INFINITY, f32::max);
            // A flat second says nothing of the unit.
            if high > low {
                swings.push(high - low);
            }
        }
        samples.retain(|mv| mv.is_finite());
        levels.extend(median(&mut samples));
    }
    if let Some(swing) = median(&mut swings).map(f64::from)
        && !SWING_MV.contains(&swing)
    {
        record.note(Warning::Amplitude {
            lead: lead.name.clone(),
            range_mv: swing,
        });
    }
    let Some(level) = median(&mut levels) else {
        return Ok(0.0);
    };
    let near = levels
        .iter()
        .filter(|mv| (*mv - level).abs() <= CONSTANT_MV);
    let is_constant = 10 * near.count() >= 9 * levels.len();
    if level.abs() <= READABLE_MV {
        return Ok(0.0);
    }
    if !is_constant {
        let of = |start: f32, pick: fn(f32, f32) -> f32| levels.iter().copied().fold(start, pick);
        record.note(Warning::LevelMoves {
            lead: lead.name.clone(),
            low_mv: of(f32::INFINITY, f32::min).into(),
            high_mv: of(f32::NEG_INFINITY, f32::max).into(),
        });
        return Ok(0.0);
    }
    record.note(Warning::Offset {
        lead: lead.name.clone(),
        offset_mv: level.into(),
    });
    Ok(level)
}

fn median(values: &mut [f32]) -> Option<f32> {
    let middle = values.len() / 2;
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(middle, f32::total_cmp).1)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// Two minutes of a lead, `mv` by second and sample within it.
    fn record(folder: &tempfile::TempDir, mv: impl Fn(usize, usize) -> f64) -> Record {
        let mut text = "time (s),ecg (mV)\n".to_owned();
        for k in 0..120 * 100 {
            let _ = writeln!(text, "{:.2},{}", k as f64 / 100.0, mv(k / 100, k % 100));
        }
        let path = folder.path().join("r.csv");
        std::fs::write(&path, text).unwrap();
        Record::open(path).unwrap()
    }

    fn beat(k: usize) -> f64 {
        if k < 4 {
            1.0
        } else {
            0.05 * (k as f64 / 30.0).sin()
        }
    }

    #[test]
    fn a_constant_offset_is_taken_off_where_core_could_not_read_it() {
        let folder = tempfile::tempdir().unwrap();
        for (level, expected) in [(0.0, 0.0), (250.0, 0.0), (600.0, 600.0), (-1650.0, -1650.0)] {
            let record = record(&folder, |_, k| level + beat(k));
            let offset = offset_mv(&record, 0).unwrap();
            assert!(
                (f64::from(offset) - expected).abs() < 0.1,
                "{level}: {offset}"
            );
            let warned = record.warnings();
            let is_offset = |w: &Warning| matches!(w, Warning::Offset { .. });
            assert_eq!(warned.len(), usize::from(expected != 0.0), "{warned:?}");
            assert!(warned.iter().all(is_offset));
        }
        // A lead that comes off before the middle has no constant level.
        let record = record(&folder, |s, k| if s < 40 { beat(k) } else { 1000.0 });
        assert_eq!(offset_mv(&record, 0).unwrap(), 0.0);
        let warned = record.warnings();
        let said = warned[0].to_string();
        assert!(
            said.contains("stands at 0 mV and at 1000 mV in turn"),
            "{said}"
        );
    }

    #[test]
    fn a_swing_that_is_none_of_an_ecg_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        for (gain, is_warned) in [(1.0, false), (0.1, false), (0.001, true), (200.0, true)] {
            let record = record(&folder, |_, k| gain * beat(k));
            offset_mv(&record, 0).unwrap();
            let is_amplitude = |w: &Warning| matches!(w, Warning::Amplitude { .. });
            assert_eq!(
                record.warnings().iter().any(is_amplitude),
                is_warned,
                "{gain}"
            );
        }
        let flat = record(&folder, |_, _| 0.0);
        offset_mv(&flat, 0).unwrap();
        assert_eq!(flat.warnings(), []);
    }
}
