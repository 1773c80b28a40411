//! Beats of records, drawn for calibration.

use super::error::CompileError;
use crate::canonical;
use crate::error::Error;
use crate::evaluate::mapping;
use crate::pipeline::{self, KnownPeaks};
use crate::records::Record;
use heartlens_core::class::Class;
use heartlens_core::detector::Detector;
use heartlens_core::patient::Patient;
use heartlens_core::spec::LABELS;
use heartlens_core::strip::StripViews;
use heartlens_core::views::Views;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most beats that ranges are measured on.
pub const CALIBRATION_BEATS: usize = 2048;
/// Most beats that the integers are compared with float on.
pub const HELD_OUT_BEATS: usize = 4096;
/// Fewest beats of either kind.
pub const LEAST_BEATS: usize = 32;
/// The extension of reference annotations.
const REFERENCE: &str = "atr";

/// Beats of one set of records, drawn the same way each time.
#[derive(Debug, Clone)]
pub struct Sample<V = Views> {
    /// Beats that ranges are measured on: as many of each class as there are, up to an equal share.
    pub calibration: Vec<V>,
    /// Beats of other records (of the last third of the time, where there is one record), evenly drawn.
    pub held_out: Vec<V>,
    /// Share of each class among all beats of the records, in the order of [`LABELS`]; equal where none is annotated.
    pub priors: Vec<f32>,
    /// Records read.
    pub records: usize,
    /// Beats that were drawn from.
    pub beats: usize,
}

/// A record whose beats are known and not yet computed.
struct Known {
    signal_mv: Vec<f32>,
    peaks: KnownPeaks,
    patient: Patient,
    /// Of each peak; `None` where nobody annotated it.
    classes: Vec<Option<Class>>,
}

/// Reads the first lead of `records` and draws beats of them. Beats come from the reference annotation where there is
/// one, else from the detector. `progress` hears how much is done, 0..=1.
///
/// # Errors
/// When a record or its annotations cannot be read, or there are fewer than [`LEAST_BEATS`] of either kind.
pub fn draw(records: &[PathBuf], mut progress: impl FnMut(f64)) -> Result<Sample, CompileError> {
    let mut classes = Vec::with_capacity(records.len());
    for (index, path) in records.iter().enumerate() {
        classes.push(open(path)?.classes);
        progress((index + 1) as f64 / (2 * records.len()) as f64);
    }
    let chosen = choose(&classes);
    let mut drawn = [Vec::new(), Vec::new()];
    for (index, path) in records.iter().enumerate() {
        let wanted: BTreeMap<usize, usize> = chosen
            .iter()
            .enumerate()
            .flat_map(|(kind, places)| places.iter().map(move |place| (place, kind)))
            .filter(|((record, _), _)| *record == index)
            .map(|((_, beat), kind)| (*beat, kind))
            .collect();
        if !wanted.is_empty() {
            let known = open(path)?;
            let mut beat = 0;
            pipeline::for_each_beat(&known.signal_mv, known.peaks, known.patient, |monitored| {
                if let Some(kind) = wanted.get(&beat) {
                    let mut views = Views::ZERO;
                    views.compute(&monitored.frame);
                    drawn[*kind].push(views);
                }
                beat += 1;
            });
        }
        progress(0.5 + (index + 1) as f64 / (2 * records.len()) as f64);
    }
    let [calibration, held_out] = drawn;
    for drawn in [&calibration, &held_out] {
        if drawn.len() < LEAST_BEATS {
            return Err(CompileError::TooFewBeats {
                found: drawn.len(),
                expected: LEAST_BEATS,
            });
        }
    }
    Ok(Sample {
        calibration,
        held_out,
        priors: priors(&classes),
        records: records.len(),
        beats: classes.iter().map(Vec::len).sum(),
    })
}

/// Chooses beats of records whose beats have these classes (`None`: nobody annotated it): first those to calibrate on,
/// then those to hold out, each by its record and its place there. See [`Sample`].
pub fn choose(classes: &[Vec<Option<Class>>]) -> [Vec<(usize, usize)>; 2] {
    let places = Places::split(classes);
    [
        balanced(&places.calibration, classes, CALIBRATION_BEATS),
        evenly(&readable(&places.held_out, classes), HELD_OUT_BEATS),
    ]
}

/// Reads the first lead of `records` and draws windows of half a minute, as the strip network is shown them: of every third record
/// (of the last third of the time, where there is one record) those that are held out. Nothing says what they are of, so all
/// priors are equal. `progress` hears how much is done, 0..=1.
///
/// # Errors
/// When a record cannot be read, or there are fewer than [`LEAST_BEATS`] windows of either kind.
pub fn draw_strips(
    records: &[PathBuf],
    mut progress: impl FnMut(f64),
) -> Result<Sample<StripViews>, CompileError> {
    let mut classes = Vec::with_capacity(records.len());
    let mut all = Vec::new();
    for (index, path) in records.iter().enumerate() {
        let windows = strips(path)?;
        classes.push(vec![None; windows.len()]);
        all.push(windows);
        progress((index + 1) as f64 / records.len() as f64);
    }
    let Places {
        calibration,
        held_out,
    } = Places::split(&classes);
    let of = |places: &[Place], count: usize| -> Result<Vec<StripViews>, CompileError> {
        let chosen = evenly(places, count);
        if chosen.len() < LEAST_BEATS {
            return Err(CompileError::TooFewBeats {
                found: chosen.len(),
                expected: LEAST_BEATS,
            });
        }
        let views = chosen
            .iter()
            .map(|(record, window)| all[*record][*window].clone());
        Ok(views.collect())
    };
    Ok(Sample {
        calibration: of(&calibration, CALIBRATION_BEATS)?,
        held_out: of(&held_out, HELD_OUT_BEATS)?,
        priors: priors(&classes),
        records: records.len(),
        beats: classes.iter().map(Vec::len).sum(),
    })
}

/// The windows of a record's first lead that the network is asked about, in order.
fn strips(path: &Path) -> Result<Vec<StripViews>, CompileError> {
    let record = Record::open(path).map_err(Error::from)?;
    let signal_mv = pipeline::canonical_lead(&record, 0)?;
    let mut windows = Vec::new();
    pipeline::for_each_strip(&signal_mv, Detector::new(), |strip, window| {
        let mut views = StripViews::ZERO;
        strip.compute(window, &mut views);
        if views.is_readable() {
            windows.push(views);
        }
    });
    Ok(windows)
}

fn open(path: &Path) -> Result<Known, CompileError> {
    let record = Record::open(path).map_err(Error::from)?;
    let signal_mv = pipeline::canonical_lead(&record, 0)?;
    let (peaks, classes) = if record.annotation_path(REFERENCE).is_file() {
        let annotations = record.annotations(REFERENCE)?;
        let (samples, classes): (Vec<u64>, Vec<Option<Class>>) = mapping::beats(&annotations)
            .map(|(annotation, class)| (annotation.sample, Some(class)))
            .unzip();
        let peaks = pipeline::canonical_peaks(&record, &samples, signal_mv.len())?;
        (peaks, classes)
    } else {
        let mut found = Vec::new();
        let mut classes = Vec::new();
        pipeline::for_each_beat(
            &signal_mv,
            Detector::new(),
            canonical::patient(&record),
            |beat| {
                found.push(beat.frame.r_sample);
                classes.push((!beat.quality.is_readable()).then_some(Class::Q));
            },
        );
        (KnownPeaks::new(found), classes)
    };
    Ok(Known {
        signal_mv,
        peaks,
        patient: canonical::patient(&record),
        classes,
    })
}

/// A beat: its record, and its place there.
type Place = (usize, usize);

/// All beats of the records, apart by record, or by time where there is one.
struct Places {
    calibration: Vec<Place>,
    held_out: Vec<Place>,
}

impl Places {
    /// Every third record is held out, the second first; of a single one the last third.
    fn split(classes: &[Vec<Option<Class>>]) -> Self {
        let is_held_out = |record: usize, beat: usize| {
            if classes.len() > 1 {
                record % 3 == 1
            } else {
                beat >= classes[record].len() / 3 * 2
            }
        };
        let all = classes
            .iter()
            .enumerate()
            .flat_map(|(record, beats)| (0..beats.len()).map(move |beat| (record, beat)));
        let (held_out, calibration) = all.partition(|(record, beat)| is_held_out(*record, *beat));
        Self {
            calibration,
            held_out,
        }
    }
}

/// Beats that are not of class Q, which no network sees.
fn readable(places: &[Place], classes: &[Vec<Option<Class>>]) -> Vec<Place> {
    let is_readable = |place: &&Place| classes[place.0][place.1] != Some(Class::Q);
    places.iter().filter(is_readable).copied().collect()
}

/// `count` of the places, or all, at even distances.
fn evenly(places: &[Place], count: usize) -> Vec<Place> {
    let count = count.min(places.len());
    (0..count)
        .map(|i| places[(2 * i + 1) * places.len() / (2 * count)])
        .collect()
}

/// `count` of the places, or all, the same number of each class as far as there are as many.
fn balanced(places: &[Place], classes: &[Vec<Option<Class>>], count: usize) -> Vec<Place> {
    let mut groups: BTreeMap<Option<usize>, Vec<Place>> = BTreeMap::new();
    for place in readable(places, classes) {
        let class = classes[place.0][place.1].map(|class| class as usize);
        groups.entry(class).or_default().push(place);
    }
    let mut groups: Vec<Vec<Place>> = groups.into_values().collect();
    groups.sort_by_key(Vec::len);
    let mut left = count;
    let mut chosen = Vec::new();
    for (index, group) in groups.iter().enumerate() {
        let drawn = evenly(group, left / (groups.len() - index));
        left -= drawn.len();
        chosen.extend(drawn);
    }
    chosen.sort_unstable();
    chosen
}

/// The share of each class among beats of these classes, in the order of [`LABELS`]; equal where none is known.
pub fn priors(classes: &[Vec<Option<Class>>]) -> Vec<f32> {
    let mut counts = [0_usize; LABELS.len()];
    for class in classes.iter().flatten().flatten() {
        if let Some(count) = counts.get_mut(*class as usize) {
            *count += 1;
        }
    }
    let total: usize = counts.iter().sum();
    counts
        .iter()
        .map(|count| match total {
            0 => 1.0 / LABELS.len() as f32,
            total => *count as f32 / total as f32,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_get_equal_shares_as_far_as_they_reach() {
        let (n, v, f, q) = (
            Some(Class::N),
            Some(Class::V),
            Some(Class::F),
            Some(Class::Q),
        );
        let mut first = vec![n; 1000];
        first.extend([v; 60]);
        first.extend([f; 5]);
        first.extend([q; 5]);
        let classes = vec![first, vec![n; 300], vec![None; 40]];
        let places = Places::split(&classes);
        assert!(places.held_out.iter().all(|(record, _)| *record == 1));
        assert_eq!(places.calibration.len(), 1110);
        let chosen = balanced(&places.calibration, &classes, 120);
        let count = |class| {
            chosen
                .iter()
                .filter(|(r, b)| classes[*r][*b] == class)
                .count()
        };
        assert_eq!(
            [count(f), count(None), count(v), count(n), count(q)],
            [5, 38, 38, 39, 0]
        );
        let priors = priors(&classes);
        assert!((priors[2] - 60.0 / 1365.0).abs() < 1e-6 && priors[1] == 0.0);
        assert_eq!(super::priors(&[vec![None; 3]]), [0.25; 4]);
    }

    #[test]
    fn one_record_is_split_by_time_and_drawn_evenly() {
        let classes = vec![vec![Some(Class::N); 90]];
        let places = Places::split(&classes);
        assert_eq!((places.calibration.len(), places.held_out.len()), (60, 30));
        assert!(places.held_out.iter().all(|(_, beat)| *beat >= 60));
        let drawn = evenly(&places.held_out, 3);
        assert_eq!(drawn, [(0, 65), (0, 75), (0, 85)]);
        assert_eq!(evenly(&places.held_out, 100), places.held_out);
        assert_eq!(evenly(&[], 3), []);
    }
}
