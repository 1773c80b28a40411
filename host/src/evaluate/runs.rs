//! Runs of ectopic beats of two annotation lists, run by run, as WFDB's `rxr` counts them.
//!
//! ANSI/AAMI EC57 (4.3.4) names `rxr` as the reference implementation of its run-by-run comparison. The rules are those of
//! that program (WFDB 10.6 and later), described in `rxr(1)` of the WFDB Applications Guide:
//!
//! - **Classes** are those of [`Mapping::Bxb`]: `e j n` are S. In atrial fibrillation and flutter, which begin with a
//!   rhythm change whose name begins with `(AF`, a normal beat counts as S.
//! - **Run.** Beats of V and F, or of S, in a row. A beat of another class ends it, and so does the beginning of a shutdown
//!   (a `~` whose subtype has the bits 0x30 set), or the list's end. Six beats and more are a run of six. Ventricular
//!   flutter or fibrillation (`[` to `]`, or a rhythm whose name begins with `(VF`) is a ventricular run of six, and
//!   atrial fibrillation or flutter a supraventricular one.
//! - **Match.** Each run of one list is paired with the longest run that the other has within the run's window: from 150 ms
//!   before its first beat to 150 ms behind its last. What the window cuts off does not count; but an episode that began
//!   before and reaches into the window counts as six.
//! - **Learning period.** A run counts where its first counted beat lies behind the start.
//!
//! A run of the reference is found when the test's is of the same kind or a longer one: couplets are two beats, short runs
//! three to five, long runs six and more. A run of the test is right when the reference's is of the same kind or longer.

use super::bxb::Options;
use super::ec57::rate;
use super::mapping::Mapping;
use crate::records::annotation::{Annotation, Code};
use heartlens_core::class::Class;
use serde::Serialize;
use std::ops::{AddAssign, RangeInclusive};

/// Beats beyond which the length of a run is not told apart.
const LONGEST: usize = 6;

/// Lengths of runs, none included.
const LENGTHS: usize = LONGEST + 1;

/// Which beats make the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ectopic {
    /// V, and F.
    Ventricular,
    /// S.
    Supraventricular,
}

/// How often a run of each length was paired with one of each length. Sums over records are EC57's gross counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Runs {
    /// The reference's runs: rows are the reference's length, columns the test's.
    reference: [[u64; LENGTHS]; LENGTHS],
    /// The test's runs: rows are the reference's length, columns the test's.
    test: [[u64; LENGTHS]; LENGTHS],
}

impl Runs {
    /// Compares the runs of `test` with those of `reference`, both in order of time.
    pub fn compare(
        reference: &[Annotation],
        test: &[Annotation],
        kind: Ectopic,
        options: &Options,
    ) -> Self {
        let [reference, test] = [reference, test].map(|list| marks(list, kind));
        let mut runs = Self::default();
        pair(&reference, &test, options, |own, other| {
            runs.reference[own][other] += 1;
        });
        pair(&test, &reference, options, |own, other| {
            runs.test[other][own] += 1;
        });
        runs
    }

    /// What the pairs come to.
    pub fn rates(&self) -> RunRates {
        RunRates {
            couplets: self.of(2..=2),
            short_runs: self.of(3..=5),
            long_runs: self.of(LONGEST..=LONGEST),
        }
    }

    /// Counts and rates of runs of these lengths.
    fn of(&self, lengths: RangeInclusive<usize>) -> Found {
        let (first, last) = (*lengths.start(), *lengths.end());
        let sum = |table: &[[u64; LENGTHS]; LENGTHS],
                   rows: RangeInclusive<usize>,
                   columns: RangeInclusive<usize>|
         -> u64 {
            table[rows]
                .iter()
                .flat_map(|row| &row[columns.clone()])
                .sum()
        };
        Found::new(
            sum(&self.reference, first..=last, first..=LONGEST),
            sum(&self.reference, first..=last, 0..=first - 1),
            sum(&self.test, first..=LONGEST, first..=last),
            sum(&self.test, 0..=first - 1, first..=last),
        )
    }
}

impl AddAssign<&Self> for Runs {
    fn add_assign(&mut self, other: &Self) {
        let tables = [
            (&mut self.reference, &other.reference),
            (&mut self.test, &other.test),
        ];
        for (ours, theirs) in tables {
            for (cell, other) in ours
                .as_flattened_mut()
                .iter_mut()
                .zip(theirs.as_flattened())
            {
                *cell += other;
            }
        }
    }
}

/// How well runs were found, by their length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RunRates {
    /// Two beats.
    pub couplets: Found,
    /// Three to five.
    pub short_runs: Found,
    /// Six and more.
    pub long_runs: Found,
}

/// How well runs of a kind were found. Rates are 0 to 1, `None` where there is nothing to divide by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Found {
    /// Runs of the reference that the test finds.
    pub tps: u64,
    /// Runs of the reference that the test misses, or finds shorter.
    #[serde(rename = "fn")]
    pub missed: u64,
    /// Runs of the test that the reference has.
    pub tpp: u64,
    /// Runs of the test that the reference has not, or has shorter.
    pub fp: u64,
    /// Sensitivity, tps / (tps + fn).
    pub se: Option<f64>,
    /// Positive predictivity, tpp / (tpp + fp).
    pub ppv: Option<f64>,
}

impl Found {
    fn new(tps: u64, missed: u64, tpp: u64, fp: u64) -> Self {
        Self {
            tps,
            missed,
            tpp,
            fp,
            se: rate(tps, tps + missed),
            ppv: rate(tpp, tpp + fp),
        }
    }
}

/// What an annotation means to the runs of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A beat that belongs.
    Beat,
    /// Another beat: no run goes on over it.
    Break,
    /// The signal becomes unreadable.
    Shutdown,
    /// An episode that is a run begins.
    Begin,
    /// It ends.
    End,
    /// An episode of the other kind begins.
    OtherBegins,
    /// It ends.
    OtherEnds,
    /// Nothing.
    Nothing,
}

/// A mark, and its sample.
type Marked = (i64, Mark);

/// Reads a list in order of time.
fn marks(list: &[Annotation], kind: Ectopic) -> Vec<Marked> {
    let mut reader = Reader::default();
    let mark = |annotation: &Annotation| {
        let mark = reader.mark(annotation, kind);
        (annotation.sample.cast_signed(), mark)
    };
    list.iter().map(mark).collect()
}

/// What a list has said so far.
#[derive(Default)]
struct Reader {
    /// The episode that is going on.
    episode: Option<Ectopic>,
    unreadable: bool,
}

impl Reader {
    fn mark(&mut self, annotation: &Annotation, kind: Ectopic) -> Mark {
        match annotation.code {
            Code::QUALITY_CHANGE => {
                let before = self.unreadable;
                self.unreadable = annotation.subtype & 0x30 == 0x30;
                match self.unreadable && !before {
                    true => Mark::Shutdown,
                    false => Mark::Nothing,
                }
            }
            Code::FLUTTER_START => self.change(Some(Ectopic::Ventricular), kind),
            Code::FLUTTER_END if self.episode != Some(Ectopic::Ventricular) => Mark::Nothing,
            Code::FLUTTER_END => self.change(None, kind),
            Code::RHYTHM_CHANGE => match annotation.rhythm() {
                Some(name) if name.starts_with(b"(AF") => {
                    self.change(Some(Ectopic::Supraventricular), kind)
                }
                Some(name) if name.starts_with(b"(VF") => {
                    self.change(Some(Ectopic::Ventricular), kind)
                }
                Some(_) => self.change(None, kind),
                None => Mark::Nothing,
            },
            code => match (Mapping::Bxb.class(code), kind) {
                (Some(Class::V | Class::F), Ectopic::Ventricular)
                | (Some(Class::S), Ectopic::Supraventricular) => Mark::Beat,
                (Some(Class::N), Ectopic::Supraventricular)
                    if self.episode == Some(Ectopic::Supraventricular) =>
                {
                    Mark::Beat
                }
                (Some(_), _) => Mark::Break,
                (None, _) => Mark::Nothing,
            },
        }
    }

    fn change(&mut self, episode: Option<Ectopic>, kind: Ectopic) -> Mark {
        let before = std::mem::replace(&mut self.episode, episode);
        if before == episode {
            return Mark::Nothing;
        }
        match (episode, before) {
            (Some(new), _) if new == kind => Mark::Begin,
            (Some(_), _) => Mark::OtherBegins,
            (None, Some(old)) if old == kind => Mark::End,
            (None, _) => Mark::OtherEnds,
        }
    }
}

/// Pairs each run of a list with the longest of the other list in its window; tells the two lengths.
fn pair(list: &[Marked], others: &[Marked], options: &Options, mut tell: impl FnMut(usize, usize)) {
    let window = options.samples(options.window_s);
    let start = options.samples(options.from_s);
    let end = options.end().unwrap_or(i64::MAX);
    let mut others = Walk {
        marks: others,
        until: 0,
    };
    let (before, counted) = list.split_at(list.partition_point(|(sample, _)| *sample < start));
    let mut length = 0;
    for (_, mark) in before {
        match mark {
            Mark::Begin => length = LONGEST,
            Mark::End | Mark::OtherEnds => length = 0,
            _ => {}
        }
    }
    let (mut from, mut to) = match length {
        0 => (0, 0),
        _ => (start - window, start + window),
    };
    for (i, (sample, mark)) in counted.iter().enumerate() {
        if i > 0 && *sample > end {
            return;
        }
        match mark {
            Mark::Beat if length == 0 => {
                length = 1;
                (from, to) = (sample - window, sample + window);
            }
            Mark::Beat => {
                length = LONGEST.min(length + 1);
                to = sample + window;
            }
            Mark::Begin if length == 0 => {
                length = LONGEST;
                from = sample - window;
            }
            Mark::End if length > 0 => to = sample + window,
            Mark::Break | Mark::Shutdown if length > 0 => {
                tell(length, others.longest(from, to));
                length = 0;
            }
            _ => {}
        }
    }
    let last = list.last().map_or(0, |(sample, _)| *sample);
    if length > 0 && last <= end {
        tell(length, others.longest(from, to));
    }
}

/// Walks through a list from window to window.
struct Walk<'a> {
    /// What is left of it.
    marks: &'a [Marked],
    /// The end of the episode that was met last.
    until: i64,
}

impl Walk<'_> {
    /// The longest run from one sample to another, both included.
    fn longest(&mut self, from: i64, to: i64) -> usize {
        if self.until > from {
            return LONGEST;
        }
        while let Some((sample, mark)) = self.marks.first()
            && *sample < from
        {
            if *mark == Mark::Begin {
                let end = self.skip_episode();
                if end > from {
                    self.until = end;
                    return LONGEST;
                }
            }
            self.advance();
        }
        let (mut longest, mut length) = (0, 0);
        while let Some((sample, mark)) = self.marks.first()
            && *sample <= to
        {
            match mark {
                Mark::Beat => length = LONGEST.min(length + 1),
                Mark::Break | Mark::Shutdown | Mark::OtherBegins => length = 0,
                Mark::Begin => {
                    self.until = self.skip_episode();
                    return LONGEST;
                }
                Mark::End | Mark::OtherEnds | Mark::Nothing => {}
            }
            longest = longest.max(length);
            self.advance();
        }
        longest
    }

    /// Goes to what ends the episode that begins here, and gives its sample.
    fn skip_episode(&mut self) -> i64 {
        self.advance();
        let ends =
            |marked: &&Marked| matches!(marked.1, Mark::End | Mark::OtherBegins | Mark::Shutdown);
        while self.marks.first().is_some_and(|marked| !ends(&marked)) {
            self.advance();
        }
        self.marks.first().map_or(i64::MAX, |(sample, _)| *sample)
    }

    fn advance(&mut self) {
        self.marks = self.marks.get(1..).unwrap_or_default();
    }
}
