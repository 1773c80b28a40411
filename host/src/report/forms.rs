//! The forms of ventricular beats: V beats whose QRS complexes look alike, gathered while the lead is read.
//!
//! A beat joins the form that it is most like, or begins one. Two complexes are alike where the correlation of their
//! samples is at least [`ALIKE`] at the best of a few shifts (an R peak of a wide complex is not always placed alike) and
//! neither is more than [`TALLER`] times as high as the other. A form's template is the mean of its beats. At the end,
//! forms whose templates have become alike are joined.

use super::page::grouped;
use super::svg::{Area, Path, clock, num};
use crate::analysis::Beat;
use heartlens_core::class::Class;
use heartlens_core::spec::SAMPLE_RATE_HZ;
use maud::{Markup, html};
use std::collections::VecDeque;

const RATE: f64 = SAMPLE_RATE_HZ as f64;
/// Samples before and after the R peak that a form shows (300 ms and 450 ms).
const BEFORE: usize = 38;
const AFTER: usize = 58;
const LEN: usize = BEFORE + AFTER;
/// The complex within them, by which beats are compared: from 130 ms before the R peak to 250 ms after it.
const COMPLEX: std::ops::Range<usize> = BEFORE - 17..BEFORE + 32;
/// Largest shift, in samples (47 ms).
const SHIFT: usize = 6;

/// Correlation of two complexes of one form, at least.
const ALIKE: f64 = 0.9;
/// Ratio of their heights, at most.
const TALLER: f64 = 1.8;
/// Forms that are told apart, at most, while the lead is read.
const MOST: usize = 64;
/// Forms that are shown.
const SHOWN: usize = 8;

/// A beat's samples, or a mean of several beats', in mV less their mean.
type Wave = [f32; LEN];

/// Beats that look alike.
#[derive(Debug, Clone)]
pub(super) struct Form {
    /// The mean of its beats.
    template: Wave,
    /// The beat that was most like the template when it joined.
    example: Wave,
    /// When the example's R peak was, in seconds.
    pub(super) example_s: f64,
    likeness: f64,
    /// Its beats.
    pub(super) beats: usize,
}

/// All forms of a recording's V beats.
#[derive(Debug, Clone, Default)]
pub(super) struct Forms {
    /// The R peaks that are still to come, in samples at the canonical rate and in seconds.
    peaks: VecDeque<(usize, f64)>,
    /// The newest samples of the lead, and where they begin.
    recent_mv: Vec<f32>,
    start: usize,
    /// Most beats first, once all are in.
    pub(super) list: Vec<Form>,
    /// Beats in none of the forms: too near to an end of the recording or to missing samples, or of a form of their own
    /// when there were too many.
    pub(super) others: usize,
}

impl Forms {
    /// Forms of these beats' V.
    pub(super) fn of(beats: &[Beat]) -> Self {
        let ventricular = beats.iter().filter(|beat| beat.class == Class::V);
        Self {
            peaks: ventricular
                .map(|beat| ((beat.time_s * RATE).round() as usize, beat.time_s))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes the next samples of the lead, in mV at the canonical rate.
    pub(super) fn take(&mut self, block_mv: &[f32]) {
        const REACH: usize = BEFORE + SHIFT;
        self.recent_mv.extend_from_slice(block_mv);
        let end = self.start + self.recent_mv.len();
        while let Some((peak, time_s)) = self
            .peaks
            .pop_front_if(|(peak, _)| *peak + AFTER + SHIFT <= end)
        {
            let from = (peak.checked_sub(REACH)).and_then(|from| from.checked_sub(self.start));
            let samples = from.and_then(|from| self.recent_mv.get(from..from + LEN + 2 * SHIFT));
            match samples.filter(|samples| samples.iter().all(|mv| mv.is_finite())) {
                Some(samples) => {
                    let samples = samples.to_vec();
                    self.join(&samples, time_s);
                }
                None => self.others += 1,
            }
        }
        let next = self
            .peaks
            .front()
            .map_or(end, |(peak, _)| peak.saturating_sub(REACH));
        let old = next.min(end).saturating_sub(self.start);
        // Not at every block: what is left is moved.
        if old >= self.recent_mv.len() / 2 {
            self.recent_mv.drain(..old);
            self.start += old;
        }
    }

    /// Puts a beat into a form; `samples` reach [`SHIFT`] samples further than a wave on either side.
    fn join(&mut self, samples: &[f32], time_s: f64) {
        let waves: Vec<Wave> = (0..=2 * SHIFT)
            .map(|shift| wave(&samples[shift..]))
            .collect();
        let mut best: Option<(usize, usize, f64)> = None;
        for (place, form) in self.list.iter().enumerate() {
            for (shift, wave) in waves.iter().enumerate() {
                if let Some(likeness) = likeness(&form.template, wave)
                    && best.is_none_or(|best| likeness > best.2)
                {
                    best = Some((place, shift, likeness));
                }
            }
        }
        match best {
            Some((place, shift, likeness)) => {
                let (form, wave) = (&mut self.list[place], &waves[shift]);
                form.beats += 1;
                let weight = 1.0 / form.beats as f32;
                for (mean, x) in form.template.iter_mut().zip(wave) {
                    *mean += weight * (x - *mean);
                }
                if likeness > form.likeness {
                    (form.example, form.example_s, form.likeness) = (*wave, time_s, likeness);
                }
            }
            None if self.list.len() < MOST => self.list.push(Form {
                template: waves[SHIFT],
                example: waves[SHIFT],
                example_s: time_s,
                likeness: 0.0,
                beats: 1,
            }),
            None => self.others += 1,
        }
    }

    /// Ends the lead: joins forms that have become alike, and sorts.
    pub(super) fn finish(&mut self) {
        self.others += self.peaks.len();
        self.peaks.clear();
        self.recent_mv = Vec::new();
        let mut joined: Vec<Form> = Vec::new();
        self.list.sort_by(order);
        for form in self.list.drain(..) {
            let alike = |other: &&mut Form| likeness_shifted(&other.template, &form.template);
            match joined.iter_mut().find(alike) {
                // The template of the more frequent one stands for both.
                Some(other) => other.beats += form.beats,
                None => joined.push(form),
            }
        }
        joined.sort_by(order);
        self.list = joined;
    }

    /// The forms as pictures with their counts, most beats first.
    pub(super) fn markup(&self) -> Markup {
        let all: usize = self.list.iter().map(|form| form.beats).sum::<usize>() + self.others;
        let rest = self.list.iter().skip(SHOWN);
        let rest_beats: usize = rest.clone().map(|form| form.beats).sum();
        let shown = &self.list[..self.list.len().min(SHOWN)];
        let heights = shown
            .iter()
            .flat_map(|form| form.template.iter().chain(&form.example));
        let reach = heights.fold(0.5_f32, |reach, mv| reach.max(mv.abs()));
        html! {
            div.forms {
                @for (i, form) in shown.iter().enumerate() {
                    figure.form {
                        (picture(form, f64::from(reach)))
                        figcaption {
                            b { "Form " (i + 1) ": " (grouped(form.beats)) @if form.beats == 1 { " beat" } @else { " beats" } }
                            ", " (num(100.0 * form.beats as f64 / all as f64, 1)) " % of V; for example at "
                            (clock(form.example_s, true))
                        }
                    }
                }
            }
            @if rest.clone().count() > 0 {
                p.small { (rest.clone().count()) " more forms have " (rest_beats) " beats together." }
            }
            @if self.others > 0 {
                p.small { (self.others) " V beats were not compared: samples are missing around them, the recording begins or ends there, or there were more than " (MOST) " forms." }
            }
        }
    }
}

/// Most beats first; of equals the earlier.
fn order(a: &Form, b: &Form) -> std::cmp::Ordering {
    let by_beats = b.beats.cmp(&a.beats);
    by_beats.then(a.example_s.total_cmp(&b.example_s))
}

/// The first samples of a slice, less their mean.
fn wave(samples: &[f32]) -> Wave {
    let mut wave = [0.0; LEN];
    wave.copy_from_slice(&samples[..LEN]);
    let mean = wave.iter().sum::<f32>() / LEN as f32;
    wave.iter_mut().for_each(|x| *x -= mean);
    wave
}

/// The correlation of two complexes, if they are alike.
fn likeness(a: &Wave, b: &Wave) -> Option<f64> {
    correlation(&a[COMPLEX], &b[COMPLEX]).filter(|likeness| *likeness >= ALIKE)
}

/// Whether two complexes are alike at any shift.
fn likeness_shifted(a: &Wave, b: &Wave) -> bool {
    let len = COMPLEX.len();
    let at = |from: usize| b.get(from..from + len);
    (COMPLEX.start - SHIFT..=COMPLEX.start + SHIFT)
        .filter_map(at)
        .filter_map(|b| correlation(&a[COMPLEX], b))
        .any(|likeness| likeness >= ALIKE)
}

/// Pearson's correlation; `None` where the heights differ by more than [`TALLER`], or nothing moves.
fn correlation(a: &[f32], b: &[f32]) -> Option<f64> {
    let len = a.len() as f64;
    let mean = |x: &[f32]| x.iter().map(|x| f64::from(*x)).sum::<f64>() / len;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (f64::from(*a) - mean_a, f64::from(*b) - mean_b);
        aa += a * a;
        bb += b * b;
        ab += a * b;
    }
    let (low, high) = (aa.min(bb).sqrt(), aa.max(bb).sqrt());
    (low > 0.0 && high <= TALLER * low).then(|| ab / (low * high))
}

/// A form's template as a line, its example as a fainter one, over `reach_mv` up and down.
fn picture(form: &Form, reach_mv: f64) -> Markup {
    let area = Area {
        left: 4.0,
        right: 196.0,
        top: 4.0,
        bottom: 116.0,
        x: (0.0, (LEN - 1) as f64),
        y: (-reach_mv, reach_mv),
    };
    let line = |wave: &Wave| {
        let mut path = Path::default();
        for (i, mv) in wave.iter().enumerate() {
            let (x, y) = (area.x(i as f64), area.y(f64::from(*mv)));
            match i {
                0 => path.move_to(x, y),
                _ => path.line_to(x, y),
            }
        }
        path
    };
    let (zero, r) = (num(area.y(0.0), 1), num(area.x(BEFORE as f64), 1));
    let tenth = num(area.x(RATE / 5.0) - area.left, 1);
    let millivolt = num(area.y(0.0) - area.y(1.0), 1);
    html! {
        svg.view-chart viewBox="0 0 200 142" role="img" aria-label={ "Mean of " (form.beats) " V beats" } {
            path.grid d={ "M4 " (zero) "H196M" (r) " 4V116" } {}
            path.template d=(line(&form.example).data()) {}
            path.line d=(line(&form.template).data()) {}
            path.axis d={ "M4 122h" (tenth) "M196 116v-" (millivolt) } {}
            text x="4" y="137" { "200 ms" }
            text x="196" y="137" text-anchor="end" { "bar: 1 mV" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::beats_of;

    /// A complex of a height and a width, in mV and samples, at each R peak of the V beats; `late` samples after it.
    fn lead(beats: &[Beat], of: impl Fn(usize) -> (f32, f32, f32)) -> Vec<f32> {
        let end_s = beats.last().map_or(1.0, |beat| beat.time_s + 1.0);
        let mut lead = vec![0.2; (end_s * RATE) as usize];
        for (i, beat) in beats.iter().enumerate() {
            let (height, width, late) = of(i);
            for (place, mv) in lead.iter_mut().enumerate() {
                let far = place as f32 - (beat.time_s * RATE).round() as f32 - late;
                if far.abs() < 60.0 {
                    // A wave with an answer, so that shape tells more than height.
                    *mv += height
                        * ((-(far / width).powi(2)).exp()
                            - 0.5 * (-((far - 25.0) / 12.0).powi(2)).exp());
                }
            }
        }
        lead
    }

    fn forms(beats: &[Beat], lead: &[f32], block: usize) -> Vec<(usize, f64)> {
        let mut forms = Forms::of(beats);
        lead.chunks(block).for_each(|block| forms.take(block));
        forms.finish();
        let all: usize = forms.list.iter().map(|form| form.beats).sum();
        let ventricular = beats.iter().filter(|beat| beat.class == Class::V).count();
        assert_eq!(all + forms.others, ventricular);
        forms
            .list
            .iter()
            .map(|form| (form.beats, form.example_s))
            .collect()
    }

    /// Three forms - upright, upside down, much taller - are told apart, whatever the blocks and wherever in the complex the R
    /// peak was placed; N beats are in none.
    #[test]
    fn beats_that_look_alike_are_one_form() {
        let beats = beats_of(&"NVVNVVNVVV".repeat(8), |_| 0.9);
        let lead = lead(&beats, |i| match i % 10 {
            0 | 3 | 6 => (1.0, 2.0, 0.0),
            1 | 2 | 4 => (1.5 + 0.05 * (i % 7) as f32, 8.0, (i % 3) as f32 - 1.0),
            5 | 7 => (-1.2, 8.0, 2.0),
            _ => (4.5, 8.0, 0.0),
        });
        let whole = forms(&beats, &lead, usize::MAX);
        let counts: Vec<usize> = whole.iter().map(|form| form.0).collect();
        assert_eq!(counts[0], 24);
        assert_eq!(counts.len(), 3, "{whole:?}");
        // The last beat is too near to the end.
        assert_eq!(counts[1..].iter().sum::<usize>(), 32);
        for block in [1, 17, 128, 1000] {
            assert_eq!(forms(&beats, &lead, block), whole, "blocks of {block}");
        }
    }

    /// The example of a form is a beat of it.
    #[test]
    fn an_example_is_where_a_beat_is() {
        let beats = beats_of(&"NNV".repeat(10), |_| 0.8);
        let lead = lead(&beats, |_| (1.0, 6.0, 0.0));
        for (_, example_s) in forms(&beats, &lead, 500) {
            let beat = beats.iter().find(|beat| beat.time_s == example_s);
            assert!(beat.is_some_and(|beat| beat.class == Class::V));
        }
    }

    #[test]
    fn missing_samples_and_ends_are_counted() {
        let beats = beats_of("VNVNV", |_| 0.2);
        let mut lead = lead(&beats, |_| (1.0, 6.0, 0.0));
        lead.fill(f32::NAN);
        assert_eq!(forms(&beats, &lead, 64), []);
        assert_eq!(forms(&beats, &[], 64), []);
    }
}
