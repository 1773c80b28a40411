//! Beat-by-beat comparison of two annotation lists, as WFDB's `bxb` makes it.
//!
//! ANSI/AAMI EC57 (4.2) names `bxb` as the reference implementation of its beat-by-beat comparison, so the rules
//! below are those of that program (WFDB 10.6 and later, with the match criterion of November 2002), described in
//! `bxb(1)` of the WFDB Applications Guide:
//!
//! - **Window.** Two beats may match when they are at most 150 ms apart, the limit included. Times in seconds become
//!   samples by rounding to the nearest, a half upwards.
//! - **Whose match.** Both lists are walked in time order, one beat ahead. Let `r` and `t` be the current beats of
//!   reference and test, `r'` and `t'` those after them, and `r` the earlier (or as early). They are paired if they
//!   lie within the window and `t` is not as near or nearer to `r'`, unless `t'` takes `r'`: if `|t - r| < |t - r'|` or
//!   `|t' - r'| < |t - r'|`. Otherwise `r` is missed. The same holds with the roles exchanged when `t` is the earlier;
//!   a test beat without a partner is an extra one.
//! - **Learning period.** Reference beats before the start do not count. The last test beat before the start may still
//!   take the first reference beat after it, if it is strictly nearer than its successor. If it does not, the first
//!   test beat after the start is dropped, neither right nor wrong, where it lies within one window of the start and
//!   its successor is strictly nearer to the first reference beat.
//! - **Flutter and fibrillation.** Whatever a list has between `[` and `]` is skipped. A test beat inside the
//!   reference's episode that matches nothing is not counted at all. An episode in the test list changes
//!   nothing but that its own beats are skipped.
//! - **Shutdown.** A `~` whose subtype has the bits 0x30 set says that no signal is readable, until the next `~`
//!   that says otherwise. If another annotation comes first, the shutdown is taken to last from one window after the
//!   beat (or flutter end) before it to one window before that annotation. A missed beat inside the test's shutdown
//!   pairs with `x` instead of `o`, an extra beat inside the reference's with `X` instead of `O`.
//! - **Memory.** Of flutter and shutdown only the last two episodes that were read are known, and reading is one beat
//!   ahead. An episode that the list never ends counts as such only if it is the list's first (for a reference
//!   shutdown: always).
//! - **End.** The walk ends when both current beats lie behind the record's last sample; without a known length, when
//!   the reference is exhausted.
//! - **A flutter wave `!` outside an episode** takes part in the matching as a beat would, as the pseudo-class O.

use heartlens_core::class::Class;
use std::ops::AddAssign;

/// One annotation, reduced to what the comparison looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// Position in samples, counted from the record's first.
    pub sample: u64,
    /// What the annotation says.
    pub kind: Kind,
}

/// What an annotation means to the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A beat of this class.
    Beat(Class),
    /// A ventricular flutter wave, `!`.
    FlutterWave,
    /// Ventricular flutter or fibrillation begins, `[`.
    FlutterStart,
    /// Ventricular flutter or fibrillation ends, `]`.
    FlutterEnd,
    /// The signal quality changes, `~`.
    Quality {
        /// Whether no signal is readable from here on: bits 0x30 of the subtype are both set.
        shutdown: bool,
    },
    /// Anything else. It matters only as what follows a shutdown.
    Other,
}

impl Event {
    /// A beat of class `class` at `sample`.
    pub const fn beat(sample: u64, class: Class) -> Self {
        Self {
            sample,
            kind: Kind::Beat(class),
        }
    }
}

/// A row or column of the comparison's table: the five classes and the two pseudo-classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// A beat of this class.
    Beat(Class),
    /// No beat here: missed by the test list (column `o`) or extra in it (row `O`).
    Missing,
    /// No beat here, and the list that lacks it says that nothing was readable (`x`, `X`).
    Shutdown,
}

impl Label {
    /// Rows, and columns, of a [`Table`].
    pub const COUNT: usize = 7;

    /// All seven in the order of the table.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Beat(Class::N),
        Self::Beat(Class::S),
        Self::Beat(Class::V),
        Self::Beat(Class::F),
        Self::Beat(Class::Q),
        Self::Missing,
        Self::Shutdown,
    ];

    /// The place in the table, 0 to 6.
    pub const fn index(self) -> usize {
        match self {
            Self::Beat(class) => class as usize,
            Self::Missing => 5,
            Self::Shutdown => 6,
        }
    }

    /// The one-letter name, in capitals as `bxb` heads its rows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beat(class) => class.name(),
            Self::Missing => "O",
            Self::Shutdown => "X",
        }
    }
}

/// Counts of label pairs: rows are the reference (N S V F Q O X), columns the test (n s v f q o x).
///
/// The four cells of O and X against o and x stay zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Table([[u64; Label::COUNT]; Label::COUNT]);

impl Table {
    /// A table from its rows, reference N S V F Q O X by test n s v f q o x.
    pub const fn from_rows(rows: [[u64; Label::COUNT]; Label::COUNT]) -> Self {
        Self(rows)
    }

    /// The rows, reference N S V F Q O X by test n s v f q o x.
    pub const fn rows(&self) -> &[[u64; Label::COUNT]; Label::COUNT] {
        &self.0
    }

    /// How many pairs were `reference` by `test`.
    pub const fn get(&self, reference: Label, test: Label) -> u64 {
        self.0[reference.index()][test.index()]
    }

    /// Counts one pair.
    pub const fn add(&mut self, reference: Label, test: Label) {
        self.0[reference.index()][test.index()] += 1;
    }

    /// Sum of the cells whose row is one of `references` and whose column is one of `tests`.
    pub fn sum(&self, references: &[Label], tests: &[Label]) -> u64 {
        references
            .iter()
            .flat_map(|&r| tests.iter().map(move |&t| self.get(r, t)))
            .sum()
    }

    /// All pairs.
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }
}

impl AddAssign<&Self> for Table {
    fn add_assign(&mut self, other: &Self) {
        for (row, other) in self.0.iter_mut().zip(&other.0) {
            for (cell, other) in row.iter_mut().zip(other) {
                *cell += other;
            }
        }
    }
}

/// Where and how to compare.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Options {
    /// Sample rate that the positions count at, in Hz, above zero.
    pub sample_rate_hz: f64,
    /// Start of the comparison, in seconds, not below zero: the end of the learning period.
    pub from_s: f64,
    /// Largest distance of two beats that match, in seconds.
    pub window_s: f64,
    /// Length of the record, in samples, where it is known.
    pub record_samples: Option<u64>,
}

impl Options {
    /// Learning period of EC57, in seconds.
    pub const FROM_S: f64 = 300.0;
    /// Match window of EC57, in seconds.
    pub const WINDOW_S: f64 = 0.15;

    /// EC57's learning period of 5 minutes and match window of 150 ms, over a record of `record_samples`.
    pub const fn ec57(sample_rate_hz: f64, record_samples: Option<u64>) -> Self {
        Self {
            sample_rate_hz,
            from_s: Self::FROM_S,
            window_s: Self::WINDOW_S,
            record_samples,
        }
    }

    pub(super) fn samples(&self, seconds: f64) -> i64 {
        (seconds * self.sample_rate_hz + 0.5) as i64
    }

    /// The sample behind the record's last, where its length is known.
    pub(super) fn end(&self) -> Option<i64> {
        self.record_samples
            .filter(|&samples| samples > 0)
            .map(|samples| i64::try_from(samples).unwrap_or(NEVER - 1))
    }
}

/// A reference beat and a test beat that were counted together, or one of them with its pseudo-beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// What the reference says.
    pub reference: Label,
    /// What the test says.
    pub test: Label,
    /// Which event of the reference list, if any.
    pub reference_index: Option<usize>,
    /// Which event of the test list, if any.
    pub test_index: Option<usize>,
}

/// What the comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// How often each pair of labels occurred.
    pub table: Table,
    /// Every counted pair, in the order in which they were found.
    pub pairs: Vec<Pair>,
    /// Test beats that were not counted because the reference marks flutter or fibrillation there.
    pub in_flutter: u64,
    /// Time that the test list marks as unreadable over the whole record, in samples.
    pub test_shutdown_samples: i64,
}

/// Compares `test` with `reference`, both in time order, by the rules of the [module](self).
pub fn compare(reference: &[Event], test: &[Event], options: &Options) -> Comparison {
    let window = options.samples(options.window_s);
    let start = options.samples(options.from_s);
    let end = options.end();
    let mut r = Walk::new(reference, window, Side::Reference);
    let mut t = Walk::new(test, window, Side::Test { end });
    let mut found = Comparison::default();

    loop {
        r.advance();
        if r.current.time >= start {
            break;
        }
    }
    loop {
        t.advance();
        if t.next.time >= start {
            break;
        }
    }

    let distance = r.current.time - t.current.time;
    if distance < (r.current.time - t.next.time).abs() && distance <= window {
        found.pair(&r.current, &t.current);
        r.advance();
        t.advance();
    } else {
        t.advance();
        if t.current.time - start <= window
            && (r.current.time - t.next.time).abs() < (r.current.time - t.current.time).abs()
        {
            t.advance();
        }
    }

    while match end {
        Some(end) => r.current.time <= end || t.current.time <= end,
        None => r.current.time != NEVER,
    } {
        if t.current.time < r.current.time {
            if may_pair(&t, &r, window) {
                found.pair(&r.current, &t.current);
                r.advance();
            } else if r.in_flutter(t.current.time) {
                found.in_flutter += u64::from(matches!(t.current.label, Some(Label::Beat(_))));
            } else {
                let pseudo = Stop::pseudo(r.is_shut_down(t.current.time));
                found.pair(&pseudo, &t.current);
            }
            t.advance();
        } else {
            if may_pair(&r, &t, window) {
                found.pair(&r.current, &t.current);
                t.advance();
            } else {
                let pseudo = Stop::pseudo(t.is_shut_down(r.current.time));
                found.pair(&r.current, &pseudo);
            }
            r.advance();
        }
    }
    found.test_shutdown_samples = t.shutdown_samples;
    found
}

/// Whether the current beats match, where `early`'s is not later than `late`'s.
fn may_pair(early: &Walk, late: &Walk, window: i64) -> bool {
    let distance = late.current.time - early.current.time;
    let rival = (late.current.time - early.next.time).abs();
    distance <= window && (distance < rival || (late.next.time - early.next.time).abs() < rival)
}

impl Comparison {
    fn pair(&mut self, reference: &Stop, test: &Stop) {
        let (Some(row), Some(column)) = (reference.label, test.label) else {
            return;
        };
        if !matches!(row, Label::Beat(_)) && !matches!(column, Label::Beat(_)) {
            return;
        }
        self.table.add(row, column);
        self.pairs.push(Pair {
            reference: row,
            test: column,
            reference_index: reference.index,
            test_index: test.index,
        });
    }
}

/// A time behind every record.
const NEVER: i64 = i64::MAX;

/// A place where a walk stands: a beat, the list's beginning (time 0) or its end ([`NEVER`]).
#[derive(Debug, Clone, Copy)]
struct Stop {
    time: i64,
    label: Option<Label>,
    index: Option<usize>,
}

impl Stop {
    const BEGINNING: Self = Self {
        time: 0,
        label: None,
        index: None,
    };
    const END: Self = Self {
        time: NEVER,
        label: None,
        index: None,
    };

    const fn pseudo(shut_down: bool) -> Self {
        Self {
            time: NEVER,
            label: Some(if shut_down {
                Label::Shutdown
            } else {
                Label::Missing
            }),
            index: None,
        }
    }
}

/// An episode, both ends included. While its end has not been read, `end` is that of the episode before it.
#[derive(Debug, Clone, Copy)]
struct Episode {
    start: i64,
    end: Option<i64>,
}

/// The last two episodes of a kind, the latest first.
#[derive(Debug, Clone, Copy, Default)]
struct Episodes([Option<Episode>; 2]);

impl Episodes {
    fn begin(&mut self, start: i64) {
        let end = self.0[0].and_then(|before| before.end);
        self.0 = [Some(Episode { start, end }), self.0[0]];
    }

    fn latest(&mut self) -> Option<&mut Episode> {
        self.0[0].as_mut()
    }

    fn contain(&self, time: i64) -> bool {
        let [latest, before] = self.0;
        latest.is_some_and(|e| e.start <= time && e.end.is_none_or(|end| time <= end))
            || before.is_some_and(|e| e.start <= time && e.end.is_some_and(|end| time <= end))
    }
}

#[derive(Debug, Clone, Copy)]
enum Side {
    Reference,
    Test { end: Option<i64> },
}

/// Walks through one list from beat to beat, one ahead.
struct Walk<'a> {
    events: &'a [Event],
    read: usize,
    window: i64,
    side: Side,
    current: Stop,
    next: Stop,
    flutter: Episodes,
    shutdown: Episodes,
    shutdown_samples: i64,
}

impl<'a> Walk<'a> {
    fn new(events: &'a [Event], window: i64, side: Side) -> Self {
        Self {
            events,
            read: 0,
            window,
            side,
            current: Stop::BEGINNING,
            next: Stop::BEGINNING,
            flutter: Episodes::default(),
            shutdown: Episodes::default(),
            shutdown_samples: 0,
        }
    }

    fn in_flutter(&self, time: i64) -> bool {
        self.flutter.contain(time)
    }

    fn is_shut_down(&self, time: i64) -> bool {
        self.shutdown.contain(time)
    }

    fn event(&mut self) -> Option<(usize, i64, Kind)> {
        let index = self.read;
        let event = self.events.get(index)?;
        self.read += 1;
        let time = i64::try_from(event.sample).unwrap_or(NEVER - 1);
        Some((index, time, event.kind))
    }

    /// Steps to the next beat and reads up to the one after it.
    fn advance(&mut self) {
        self.current = self.next;
        self.next = self.read_beat().unwrap_or(Stop::END);
    }

    fn read_beat(&mut self) -> Option<Stop> {
        loop {
            let (index, time, kind) = self.event()?;
            let label = match kind {
                Kind::Beat(class) => Label::Beat(class),
                Kind::FlutterWave => Label::Missing,
                Kind::Quality { shutdown: true } => {
                    self.read_shutdown(time)?;
                    continue;
                }
                Kind::FlutterStart => {
                    self.read_flutter(time)?;
                    continue;
                }
                Kind::FlutterEnd | Kind::Quality { shutdown: false } | Kind::Other => continue,
            };
            return Some(Stop {
                time,
                label: Some(label),
                index: Some(index),
            });
        }
    }

    /// Skips to the end of a flutter episode, or gives `None` where the list has none.
    fn read_flutter(&mut self, start: i64) -> Option<()> {
        self.flutter.begin(start);
        loop {
            let (_, time, kind) = self.event()?;
            if kind == Kind::FlutterEnd {
                if let Some(episode) = self.flutter.latest() {
                    episode.end = Some(time);
                }
                return Some(());
            }
        }
    }

    /// Reads how long a shutdown lasts, or gives `None` where nothing follows it.
    fn read_shutdown(&mut self, start: i64) -> Option<()> {
        self.shutdown.begin(start);
        let flutter_end = self.flutter.0[0].and_then(|episode| episode.end);
        let following = self.event();
        let (start, end) = match (following, self.side) {
            (Some((_, time, Kind::Quality { shutdown: false })), _) => (start, time),
            (Some((_, time, _)), _) => {
                self.read -= 1;
                let before = flutter_end
                    .filter(|&end| end > self.current.time)
                    .unwrap_or(self.current.time);
                let end = time - self.window;
                (before.saturating_add(self.window).min(end), end)
            }
            (None, Side::Reference) => (start, NEVER),
            (None, Side::Test { end }) => {
                self.shutdown_samples += end.map_or(0, |end| end - start);
                return None;
            }
        };
        if let Some(episode) = self.shutdown.latest() {
            *episode = Episode {
                start,
                end: Some(end),
            };
        }
        if let Side::Test { .. } = self.side {
            self.shutdown_samples += end - start;
        }
        following.map(|_| ())
    }
}
