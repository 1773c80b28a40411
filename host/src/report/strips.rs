//! Which seconds of a recording are shown, and what lies in them.
//!
//! The rule: each event of the list below, in this order, gets a strip of [`STRIP_S`] seconds that starts about 2 s before it,
//! until there are as many strips as asked for. An event that lies in a strip already is named there and gets no strip
//! of its own; a strip that would overlap another is moved aside and, where there is no room, made shorter; where even its
//! event would overlap, it is left out. So no second is shown twice.
//!
//! 1. the usual rhythm: seven seconds of N alone whose RR interval is nearest to the median of all N
//! 2. the longest pause (2 s or more)
//! 3. the longest V run and the longest S run (3 beats or more)
//! 4. the first V, the first S, the first F
//! 5. the first V couplet and the first S couplet
//! 6. the fastest and the slowest heart rate over 8 beats
//! 7. the next longest runs and pauses, three of each
//! 8. the first beat that could not be read
//! 9. the beats that the network was least certain of, the least certain first

use super::trend::{self, PAUSE_MS, RUN_BEATS, Run};
use crate::analysis::Beat;
use crate::summary::HEART_RATE_BEATS;
use heartlens_core::class::Class;
use heartlens_core::model::margin;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use std::ops::Range;

/// Length of a strip, in seconds: 175 mm at 25 mm/s, the width of A4 less its margins.
pub(super) const STRIP_S: usize = 7;
/// Strips of one recording, at most.
pub(super) const MAX_STRIPS: usize = 20;

/// How long before its event a strip starts, in seconds.
const LEAD_IN_S: f64 = 2.0;
/// What a strip shows around its event at least, in seconds.
const MARGIN_S: f64 = 0.3;
/// Where an event is longer than a strip, so much of its beginning is shown at least, in seconds.
const EVENT_SHOWN_S: f64 = 4.5;
/// Runs and pauses after the longest.
const NEXT_LONGEST: usize = 3;

/// A strip: which seconds, and why.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Strip {
    /// Where it starts, in whole seconds.
    pub(super) start_s: usize,
    /// How long it is, in seconds; less than [`STRIP_S`] only where the recording ends or another strip begins.
    pub(super) len_s: f64,
    /// What it shows.
    pub(super) events: Vec<Event>,
    /// Its beats, as indices.
    pub(super) beats: Range<usize>,
    /// The lead as recorded, at the canonical rate, in mV, from `start_s` on; NaN in gaps.
    pub(super) samples_mv: Vec<f32>,
}

impl Strip {
    /// These seconds of a recording, whose samples are yet to be [taken](Strip::take).
    pub(super) fn new(
        beats: &[Beat],
        duration_s: f64,
        seconds: Range<usize>,
        events: Vec<Event>,
    ) -> Self {
        let first = beats.partition_point(|beat| beat.time_s < seconds.start as f64);
        let last = beats.partition_point(|beat| beat.time_s < seconds.end as f64);
        Self {
            start_s: seconds.start,
            len_s: duration_s.min(seconds.end as f64) - seconds.start as f64,
            events,
            beats: first..last,
            samples_mv: Vec::new(),
        }
    }

    /// Takes what it shows of a block of the lead that starts at this sample, both at the canonical rate. Blocks come in
    /// order.
    pub(super) fn take(&mut self, start: usize, block_mv: &[f32]) {
        let rate = SAMPLE_RATE_HZ as usize;
        let seconds = self.seconds();
        let within = |sample: usize| sample.saturating_sub(start).min(block_mv.len());
        let shown = within(seconds.start * rate)..within(seconds.end * rate);
        self.samples_mv.extend_from_slice(&block_mv[shown]);
    }

    /// The whole seconds that it touches.
    fn seconds(&self) -> Range<usize> {
        self.start_s..self.start_s + self.len_s.ceil() as usize
    }
}

/// Something worth showing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    /// From its first R peak to its last, in seconds.
    pub(super) span_s: (f64, f64),
    /// What it is.
    pub(super) what: String,
}

impl Event {
    fn of(beats: &[Beat], range: Range<usize>, what: String) -> Self {
        let span_s = (beats[range.start].time_s, beats[range.end - 1].time_s);
        Self { span_s, what }
    }

    /// What must lie inside of a strip for the event to be seen, in seconds.
    fn seen_s(&self, duration_s: f64) -> (f64, f64) {
        let (from, to) = self.span_s;
        let to = to.min(from + EVENT_SHOWN_S);
        ((from - MARGIN_S).max(0.0), (to + MARGIN_S).min(duration_s))
    }
}

/// Chooses at most `limit` strips by the rule above, in the rule's order.
pub(super) fn strips(beats: &[Beat], duration_s: f64, limit: usize) -> Vec<Strip> {
    let mut strips: Vec<Strip> = Vec::new();
    let mut least_certain: Vec<usize> = (0..beats.len())
        .filter(|i| beats[*i].class != Class::Q)
        .collect();
    least_certain.sort_by(|a, b| certainty(&beats[*a]).total_cmp(&certainty(&beats[*b])));
    let uncertain = least_certain.into_iter().map(|i| {
        let what = format!("least certain: {}", scores(&beats[i]));
        Event::of(beats, i..i + 1, what)
    });
    let named = ranked(beats).into_iter().map(|event| (event, true));
    for (event, named) in named.chain(uncertain.map(|event| (event, false))) {
        let (from, to) = event.seen_s(duration_s);
        let shown = |strip: &&mut Strip| {
            strip.start_s as f64 <= from && to <= strip.start_s as f64 + strip.len_s
        };
        if let Some(strip) = strips.iter_mut().find(shown) {
            if named {
                strip.events.push(event);
            }
            continue;
        }
        if strips.len() >= limit {
            if named {
                continue;
            }
            break;
        }
        if let Some(seconds) = place(&strips, &event, duration_s) {
            strips.push(Strip::new(beats, duration_s, seconds, vec![event]));
        }
    }
    strips
}

/// Where a strip that shows the event and overlaps no other may lie, in whole seconds: as near as possible to the place
/// preferred, and shorter than [`STRIP_S`] only where there is no more room.
fn place(strips: &[Strip], event: &Event, duration_s: f64) -> Option<Range<usize>> {
    let (from, to) = event.seen_s(duration_s);
    let (first, last) = (from as usize, to.ceil() as usize);
    let mut room = 0..duration_s.ceil() as usize;
    for other in strips.iter().map(Strip::seconds) {
        if other.end <= first {
            room.start = room.start.max(other.end);
        } else if last <= other.start {
            room.end = room.end.min(other.start);
        } else {
            return None;
        }
    }
    let latest = room.end.saturating_sub(STRIP_S).max(room.start);
    let preferred = (event.span_s.0 - LEAD_IN_S).max(0.0) as usize;
    let start = preferred
        .max(last.saturating_sub(STRIP_S))
        .clamp(room.start, latest);
    Some(start..(start + STRIP_S).min(room.end))
}

/// All events but the uncertain beats, in the rule's order.
fn ranked(beats: &[Beat]) -> Vec<Event> {
    let mut events = Vec::new();
    events.extend(usual(beats));

    let pauses = trend::pauses(beats);
    let pause = |i: &usize| {
        let rr_s = beats[*i].rr_ms.unwrap_or(PAUSE_MS) / 1000.0;
        Event::of(beats, i - 1..i + 1, format!("pause of {rr_s:.2} s"))
    };
    let all = trend::ectopic_runs(beats);
    let longest = |class: Class| {
        let mut runs: Vec<&Run> = all
            .iter()
            .filter(|run| run.class == class && run.beats.len() >= RUN_BEATS)
            .collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.beats.len()));
        runs
    };
    let run = |run: &&Run| {
        let (class, count) = (run.class, run.beats.len());
        Event::of(beats, run.beats.clone(), format!("run of {count} {class}"))
    };
    let (v_runs, s_runs) = (longest(Class::V), longest(Class::S));
    let prefixed = |prefix: &str, event: Event| Event {
        what: format!("{prefix} {}", event.what),
        ..event
    };
    events.extend(pauses.first().map(|i| prefixed("longest", pause(i))));
    events.extend(v_runs.first().map(|r| prefixed("longest", run(r))));
    events.extend(s_runs.first().map(|r| prefixed("longest", run(r))));

    for class in [Class::V, Class::S, Class::F] {
        let first = beats.iter().position(|beat| beat.class == class);
        events.extend(first.map(|i| Event::of(beats, i..i + 1, format!("first {class}"))));
    }
    for class in [Class::V, Class::S] {
        let couplet = all
            .iter()
            .find(|run| run.class == class && run.beats.len() == 2);
        events.extend(couplet.map(|couplet| {
            Event::of(
                beats,
                couplet.beats.clone(),
                format!("first {class} couplet"),
            )
        }));
    }
    events.extend(extreme_rates(beats));
    events.extend(v_runs.iter().skip(1).take(NEXT_LONGEST).map(run));
    events.extend(s_runs.iter().skip(1).take(NEXT_LONGEST).map(run));
    events.extend(pauses.iter().skip(1).take(NEXT_LONGEST).map(pause));
    let unreadable = beats.iter().position(|beat| beat.class == Class::Q);
    events.extend(unreadable.map(|i| Event::of(beats, i..i + 1, "first unreadable beat".into())));
    events
}

/// The beat that opens the most usual stretch of N.
fn usual(beats: &[Beat]) -> Option<Event> {
    // What the strip will show: from 2 s before the event to its end.
    let calm = |i: usize| {
        let at = beats[i].time_s;
        let first = beats.partition_point(|b| b.time_s < at - LEAD_IN_S - 1.0);
        let last = beats.partition_point(|b| b.time_s < at + STRIP_S as f64 - LEAD_IN_S + 1.0);
        beats[first..last].iter().all(|b| b.class == Class::N)
    };
    let mut rr: Vec<f64> = beats
        .iter()
        .filter(|beat| beat.class == Class::N)
        .filter_map(|beat| beat.rr_ms)
        .collect();
    rr.sort_by(f64::total_cmp);
    let median = *rr.get(rr.len() / 2)?;
    let distance = |i: usize| {
        beats[i]
            .rr_ms
            .map_or(f64::INFINITY, |rr| (rr - median).abs())
    };
    let mut candidates: Vec<usize> = (0..beats.len())
        .filter(|i| beats[*i].class == Class::N && beats[*i].rr_ms.is_some())
        .collect();
    candidates.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
    let best = candidates.into_iter().find(|i| calm(*i))?;
    Some(Event::of(beats, best..best + 1, "usual rhythm".to_owned()))
}

/// The fastest and the slowest heart rate over [`HEART_RATE_BEATS`] RR intervals.
fn extreme_rates(beats: &[Beat]) -> Vec<Event> {
    let rates: Vec<(f64, Range<usize>)> = beats
        .windows(HEART_RATE_BEATS + 1)
        .enumerate()
        .filter(|(_, window)| window.iter().all(|beat| beat.class != Class::Q))
        .filter_map(|(i, window)| {
            let sum: Option<f64> = window[1..].iter().map(|beat| beat.rr_ms).sum();
            let rate = 60_000.0 * HEART_RATE_BEATS as f64 / sum?;
            Some((rate, i..i + HEART_RATE_BEATS + 1))
        })
        .collect();
    let fastest = rates.iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let slowest = rates.iter().min_by(|a, b| a.0.total_cmp(&b.0));
    [("fastest", fastest), ("slowest", slowest)]
        .into_iter()
        .filter_map(|(name, found)| {
            let (rate, range) = found?;
            let what = format!("{name} rate, {rate:.0} /min over {HEART_RATE_BEATS} beats");
            Some(Event::of(beats, range.clone(), what))
        })
        .collect()
}

/// How much more probable the likeliest class is than the next.
pub(super) fn certainty(beat: &Beat) -> f32 {
    margin(&beat.scores)
}

/// The two most probable classes, as text.
fn scores(beat: &Beat) -> String {
    let mut scores: Vec<(f32, Class)> = beat.scores.into_iter().zip(Class::ALL).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let texts: Vec<String> = scores
        .iter()
        .take(2)
        .map(|(score, class)| format!("{class} {:.0} %", 100.0 * score))
        .collect();
    texts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{beats_of, rhythm};

    fn whats(strips: &[Strip]) -> Vec<&str> {
        strips
            .iter()
            .flat_map(|strip| strip.events.iter().map(|event| event.what.as_str()))
            .collect()
    }

    fn check(strips: &[Strip], beats: &[Beat], duration_s: f64) {
        for (i, a) in strips.iter().enumerate() {
            for b in &strips[..i] {
                let (a, b) = (a.seconds(), b.seconds());
                assert!(a.end <= b.start || b.end <= a.start, "{a:?} {b:?}");
            }
            assert!(a.start_s as f64 + a.len_s <= duration_s + 1e-9);
            for event in &a.events {
                let (from, to) = event.seen_s(duration_s);
                assert!(a.start_s as f64 <= from && to <= a.start_s as f64 + a.len_s);
            }
            for (j, beat) in beats.iter().enumerate() {
                let inside = (a.start_s as f64..a.start_s as f64 + a.len_s).contains(&beat.time_s);
                assert_eq!(inside, a.beats.contains(&j), "beat {j}");
            }
        }
    }

    #[test]
    fn no_second_is_shown_twice_and_every_event_is_seen() {
        for seed in 0..8 {
            let beats = rhythm(1000, seed);
            let duration_s = beats[beats.len() - 1].time_s + 0.3;
            let strips = strips(&beats, duration_s, MAX_STRIPS);
            assert_eq!(strips.len(), MAX_STRIPS);
            check(&strips, &beats, duration_s);
            for first in ["first V", "first S"] {
                assert!(whats(&strips).contains(&first), "{first}, seed {seed}");
            }
        }
    }

    #[test]
    fn the_rule_by_hand() {
        let classes = format!("{0}VVV{0}S{0}VV{0}N{0}", "N".repeat(20));
        let beats = beats_of(&classes, |i| if i == 90 { 2.4 } else { 0.8 });
        let duration_s = beats[beats.len() - 1].time_s + 0.5;
        let strips = strips(&beats, duration_s, 6);
        check(&strips, &beats, duration_s);
        assert_eq!(
            strips
                .iter()
                .map(|s| s.events[0].what.as_str())
                .collect::<Vec<_>>(),
            [
                "usual rhythm",
                "longest pause of 2.40 s",
                "longest run of 3 V",
                "first S",
                "first V couplet",
                "fastest rate, 75 /min over 8 beats"
            ]
        );
        assert_eq!(strips[2].events[1].what, "first V");
        assert_eq!(strips[2].start_s, (21.0_f64 * 0.8 - 2.0) as usize);
    }

    /// However the lead is cut into blocks.
    #[test]
    fn a_strip_takes_its_seconds() {
        let lead: Vec<f32> = (0..1000).map(|i| i as f32).collect();
        let (beats, duration_s) = (beats_of("NNNNNNNN", |_| 0.9), 1000.0 / 128.0);
        for len in [1, 7, 128, 999, 5000] {
            for (seconds, expected) in [(2..5, 256..640), (6..8, 768..1000), (0..1, 0..128)] {
                let mut strip = Strip::new(&beats, duration_s, seconds, Vec::new());
                for (i, block) in lead.chunks(len).enumerate() {
                    strip.take(i * len, block);
                }
                assert_eq!(strip.samples_mv, lead[expected], "blocks of {len}");
            }
        }
    }

    #[test]
    fn short_and_empty_recordings() {
        assert_eq!(strips(&[], 0.5, MAX_STRIPS), []);
        let beats = beats_of("NNN", |_| 0.8);
        let strips = strips(&beats, 2.6, MAX_STRIPS);
        assert_eq!(strips.len(), 1);
        assert_eq!((strips[0].start_s, strips[0].beats.clone()), (0, 0..3));
        assert!((strips[0].len_s - 2.6).abs() < 1e-9);
    }
}
