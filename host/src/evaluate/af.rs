//! Atrial fibrillation of two annotation lists, episode by episode, as WFDB's `epicmp` counts it.
//!
//! ANSI/AAMI EC57 (4.4) names `epicmp` as the reference implementation of its comparison of episodes. The rules are those
//! of that program (WFDB 10.7, `epicmp -A`), described in `epicmp(1)` of the WFDB Applications Guide:
//!
//! - **Episode.** It begins with a rhythm change `+` whose name begins with `(AFIB` and ends with the next one whose name
//!   does not, or at the record's end (at the list's last annotation, where that is later). Atrial flutter, `(AFL`, is no
//!   fibrillation. A rhythm change without a name changes nothing.
//! - **Learning period.** An episode counts from the start of the comparison on. One that ended before is left out.
//! - **Episodes.** One is found when it overlaps any of the other list, however briefly. Of the reference's episodes those
//!   found give the sensitivity, of the test's the positive predictivity.
//! - **Duration.** The time that is fibrillation in both lists, over that in the reference or in the test.

use super::bxb::Options;
use super::ec57::rate;
use crate::records::annotation::Annotation;
use serde::Serialize;
use std::ops::AddAssign;

/// How the name of atrial fibrillation begins.
const FIBRILLATION: &[u8] = b"(AFIB";

/// Episodes and durations of atrial fibrillation. Sums over records are EC57's gross counts.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Af {
    /// Records counted.
    pub records: u64,
    /// Episodes of the reference that the test finds (`TPs`), and that it misses (`FN`).
    pub reference: [u64; 2],
    /// Episodes of the test that the reference has (`TPp`), and that it has not (`FP`).
    pub test: [u64; 2],
    /// Duration of the reference's episodes, in seconds.
    pub reference_s: f64,
    /// Duration of the test's episodes, in seconds.
    pub test_s: f64,
    /// Duration of what is fibrillation in both, in seconds.
    pub overlap_s: f64,
}

impl Af {
    /// Compares the episodes of `test` with those of `reference`, both in order of time.
    pub fn compare(reference: &[Annotation], test: &[Annotation], options: &Options) -> Self {
        let start = options.samples(options.from_s);
        let end = options.end();
        let [reference, test] = [reference, test].map(|list| episodes(list, end));
        let of_reference = Count::of(&reference, &test, start, end);
        let of_test = Count::of(&test, &reference, start, end);
        let seconds = |samples: i64| samples as f64 / options.sample_rate_hz;
        Self {
            records: 1,
            reference: [of_reference.found, of_reference.missed],
            test: [of_test.found, of_test.missed],
            reference_s: seconds(of_reference.samples),
            test_s: seconds(of_test.samples),
            overlap_s: seconds(of_reference.overlap),
        }
    }

    /// The counts with their rates.
    pub fn rates(&self) -> AfRates {
        let ([tps, missed], [tpp, fp]) = (self.reference, self.test);
        let duration = |whole: f64| (whole > 0.0).then(|| self.overlap_s / whole);
        AfRates {
            records: self.records,
            tps,
            missed,
            tpp,
            fp,
            episode_se: rate(tps, tps + missed),
            episode_ppv: rate(tpp, tpp + fp),
            duration_se: duration(self.reference_s),
            duration_ppv: duration(self.test_s),
            reference_s: self.reference_s,
            test_s: self.test_s,
            overlap_s: self.overlap_s,
        }
    }
}

impl AddAssign<&Self> for Af {
    fn add_assign(&mut self, other: &Self) {
        self.records += other.records;
        for i in 0..2 {
            self.reference[i] += other.reference[i];
            self.test[i] += other.test[i];
        }
        self.reference_s += other.reference_s;
        self.test_s += other.test_s;
        self.overlap_s += other.overlap_s;
    }
}

/// Episodes and durations of atrial fibrillation with their rates, 0 to 1; `None` where there is nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AfRates {
    /// Records whose reference annotates the rhythm.
    pub records: u64,
    /// Episodes of the reference that the test finds.
    pub tps: u64,
    /// Episodes of the reference that the test misses.
    #[serde(rename = "fn")]
    pub missed: u64,
    /// Episodes of the test that the reference has.
    pub tpp: u64,
    /// Episodes of the test that the reference has not.
    pub fp: u64,
    /// Episode sensitivity, tps / (tps + fn).
    pub episode_se: Option<f64>,
    /// Episode positive predictivity, tpp / (tpp + fp).
    pub episode_ppv: Option<f64>,
    /// Duration sensitivity, overlap over reference.
    pub duration_se: Option<f64>,
    /// Duration positive predictivity, overlap over test.
    pub duration_ppv: Option<f64>,
    /// Duration of the reference's episodes, in seconds.
    pub reference_s: f64,
    /// Duration of the test's episodes, in seconds.
    pub test_s: f64,
    /// Duration of what is fibrillation in both, in seconds.
    pub overlap_s: f64,
}

/// From a sample to another.
type Span = (i64, i64);

/// The episodes of a list, in order of time. One that does not end lasts to `end`, or to the last annotation.
fn episodes(list: &[Annotation], end: Option<i64>) -> Vec<Span> {
    let mut episodes = Vec::new();
    let mut begun = None;
    for annotation in list {
        let Some(rhythm) = annotation.rhythm() else {
            continue;
        };
        let sample = annotation.sample.cast_signed();
        match (begun, rhythm.starts_with(FIBRILLATION)) {
            (None, true) => begun = Some(sample),
            (Some(start), false) => {
                episodes.push((start, sample));
                begun = None;
            }
            _ => {}
        }
    }
    let last = list.last().map_or(0, |last| last.sample.cast_signed());
    episodes.extend(begun.map(|start| (start, end.unwrap_or(0).max(last))));
    episodes
}

/// How one list's episodes fare against another's.
#[derive(Default)]
struct Count {
    found: u64,
    missed: u64,
    samples: i64,
    overlap: i64,
}

impl Count {
    fn of(episodes: &[Span], others: &[Span], start: i64, end: Option<i64>) -> Self {
        let mut count = Self::default();
        let end = end.unwrap_or(i64::MAX);
        for (from, to) in episodes {
            // One that ends as the comparison starts has no length, and counts.
            if *to < start || *from >= end {
                continue;
            }
            let (from, to) = ((*from).max(start), (*to).min(end));
            let common = |other: &Span| (to.min(other.1) - from.max(other.0)).max(0);
            let overlap: i64 = others.iter().map(common).sum();
            match overlap {
                0 => count.missed += 1,
                _ => count.found += 1,
            }
            count.samples += to - from;
            count.overlap += overlap;
        }
        count
    }
}
