//! What the whole recording says of each beat, once all of it has been heard: [`Mode::Whole`](crate::Mode::Whole).
//!
//! A stream has to say what a beat is within seconds. Whoever has the recording can ask what the heart did afterwards, and
//! how the beats of the half hour before and behind look. Nothing here is trained. Three things are done to the network's
//! probabilities:
//!
//! 1. **Fibrillation, looking both ways.** Where the strip network's verdicts whose windows end within 30 s of a beat
//!    are sure of fibrillation ([`StripVerdict::rules_out_s`]), all probability of S goes to N.
//! 2. **Beats that are alike get like answers.** Each beat has [`NEIGHBOURS`] nearest neighbours by shape (P wave and QRS complex in
//!    every lead that is read), and as many by shape and timing (the RR intervals before and behind it, against the
//!    median of 121 around it). The mean probabilities of both enter its own by a product of experts: with `p`
//!    its own and `a`, `b` those of its neighbours, `p^0.4 a^0.3 b^0.3`, made to add up to 1.
//! 3. **Fibrillation again**, since neighbours may bring S back.
//!
//! Beats that cannot be read stay Q, and are nobody's neighbours. What it gains is in
//! `models/beat/card.md`; what was tried besides, in `docs/experiments.md`.

use heartlens_core::model::Logits;
use heartlens_core::rhythm::{all_s_to_n, product_of_experts, timing};
use heartlens_core::spec::{
    LABELS, RHYTHM_RR_MAX_S, RHYTHM_RR_MIN_S, SAMPLE_RATE_HZ, STRIP_FIBRILLATION,
};
use heartlens_core::strip::StripVerdict;
use heartlens_core::views::{Shape, Views};
use std::num::NonZeroUsize;

/// Neighbours of a beat, of each kind.
pub const NEIGHBOURS: usize = 15;
/// Neighbours are sought among this many beats before a beat and as many behind it: half an hour each way at 68 a minute.
const REACH: usize = 2048;
/// Verdicts on windows that end within this of a beat speak of it.
const AROUND_SAMPLES: u32 = 30 * SAMPLE_RATE_HZ;
/// Intervals around a beat whose median its own are held against: this many before, its own, and this many behind.
const INTERVALS_EACH_WAY: usize = 60;
/// The share of the neighbours in a beat's logarithm of probability, both kinds together.
const SHARE: f32 = 0.6;
/// The beats of a recording, as they are compared.
#[derive(Debug, Clone, Default)]
pub struct Whole {
    /// Where the R peaks are, in samples at the canonical rate.
    r_samples: Vec<u32>,
    /// The beats that a recording begins with behind a gap, by their places.
    begins: Vec<usize>,
    /// Whether a beat can be read.
    readable: Vec<bool>,
    /// The shapes of all beats, one after another: one in each lead.
    shapes: Vec<Shape>,
    /// Leads of a beat.
    leads: usize,
}

impl Whole {
    /// Takes the next beat: its R peak at 128 Hz, whether it can be read, and its views in each lead; as many leads for every beat.
    pub fn push(&mut self, r_sample: u32, readable: bool, leads: &[&Views]) {
        self.r_samples.push(r_sample);
        self.readable.push(readable);
        self.shapes
            .extend(leads.iter().map(|views| Shape::of(views)));
        self.leads = leads.len();
    }

    /// The next beat is the first behind a gap: the interval between it and the beat before says nothing.
    pub fn begin(&mut self) {
        self.begins.push(self.r_samples.len());
    }

    /// Weighs the network's probabilities of each beat, in order, by the whole recording and the verdicts on its half minutes, which
    /// come in order of time. `threads` work at it; their number changes no bit.
    ///
    /// # Panics
    /// If there are not as many probabilities as beats.
    pub fn weigh(
        &self,
        probabilities: &mut [Logits],
        verdicts: &[StripVerdict],
        threads: NonZeroUsize,
    ) {
        let beats = self.r_samples.len();
        assert_eq!(probabilities.len(), beats, "one beat, one answer");
        let fibrillates = fibrillation(&self.r_samples, verdicts);
        let without_s = |probabilities: &mut [Logits]| {
            for (beat, fibrillates) in probabilities.iter_mut().zip(&fibrillates) {
                if *fibrillates {
                    all_s_to_n(beat);
                }
            }
        };
        without_s(probabilities);
        let timing = self.timing();
        let own = probabilities.to_vec();
        let each = beats.div_ceil(threads.get()).max(1);
        let settle = |part: usize, answers: &mut [Logits]| {
            for (at, answer) in answers.iter_mut().enumerate() {
                *answer = self.settle(part * each + at, &own, &timing);
            }
        };
        std::thread::scope(|scope| {
            let mut parts = probabilities.chunks_mut(each).enumerate();
            // The first is this thread's, so that there need be no other.
            let mine = parts.next();
            for (part, answers) in parts {
                let settle = &settle;
                scope.spawn(move || settle(part, answers));
            }
            if let Some((part, answers)) = mine {
                settle(part, answers);
            }
        });
        without_s(probabilities);
    }

    /// The timing of each beat, within its recording.
    fn timing(&self) -> Vec<[f32; 2]> {
        let ends = self.begins.iter().copied().chain([self.r_samples.len()]);
        let mut from = 0;
        let mut all = Vec::with_capacity(self.r_samples.len());
        for end in ends {
            all.extend(timing_within(&self.r_samples[from..end]));
            from = end;
        }
        all
    }

    /// The shapes of a beat.
    fn shapes(&self, beat: usize) -> &[Shape] {
        &self.shapes[beat * self.leads..][..self.leads]
    }

    /// The probabilities of a beat, its neighbours heard.
    fn settle(&self, beat: usize, own: &[Logits], timing: &[[f32; 2]]) -> Logits {
        let mine = own[beat];
        if !self.readable[beat] || mine.iter().any(|p| !p.is_finite()) {
            return mine;
        }
        let (mut by_shape, mut by_both) = (Nearest::new(), Nearest::new());
        let reach = beat.saturating_sub(REACH)..(beat + REACH + 1).min(own.len());
        let ([before, behind], shapes) = (timing[beat], self.shapes(beat));
        for other in reach {
            if other == beat || !self.readable[other] {
                continue;
            }
            let pairs = shapes.iter().zip(self.shapes(other));
            let distance: f32 = pairs.map(|(mine, its)| mine.squared_distance(its)).sum();
            by_shape.offer(distance, other);
            let (a, b) = (timing[other][0] - before, timing[other][1] - behind);
            by_both.offer(distance + a * a + b * b, other);
        }
        let (Some(shape), Some(both)) = (by_shape.mean(own), by_both.mean(own)) else {
            return mine;
        };
        product_of_experts(&mine, SHARE, &[&shape, &both])
    }
}

/// The logarithms of the intervals before and behind each of these beats, against the median of those around it.
fn timing_within(r_samples: &[u32]) -> Vec<[f32; 2]> {
    let gaps = r_samples.windows(2).map(|pair| {
        let rr_s = (pair[1] - pair[0]) as f32 / SAMPLE_RATE_HZ as f32;
        rr_s.clamp(RHYTHM_RR_MIN_S, RHYTHM_RR_MAX_S).ln()
    });
    let gaps: Vec<f32> = gaps.collect();
    let (Some(first), Some(last)) = (gaps.first(), gaps.last()) else {
        return vec![[0.0; 2]; r_samples.len()];
    };
    let before: Vec<f32> = std::iter::once(first).chain(&gaps).copied().collect();
    let behind = gaps.iter().chain([last]);
    let mut around: Vec<f32> = Vec::with_capacity(2 * INTERVALS_EACH_WAY + 1);
    let beats = before.iter().zip(behind).enumerate();
    beats
        .map(|(at, (before_it, behind_it))| {
            let from = at.saturating_sub(INTERVALS_EACH_WAY);
            let to = (at + INTERVALS_EACH_WAY + 1).min(before.len());
            around.clear();
            around.extend_from_slice(&before[from..to]);
            let middle = around.len() / 2;
            let (_, median, _) = around.select_nth_unstable_by(middle, f32::total_cmp);
            [before_it, behind_it].map(|x| timing(x - *median))
        })
        .collect()
}

/// Whether each beat lies in fibrillation, by the windows that end within 30 s of it.
fn fibrillation(r_samples: &[u32], verdicts: &[StripVerdict]) -> Vec<bool> {
    let mut first = 0;
    let of_beat = |r_sample: &u32| {
        let from = r_sample.saturating_sub(AROUND_SAMPLES);
        let to = r_sample.saturating_add(AROUND_SAMPLES);
        let rest = verdicts.get(first..).unwrap_or_default();
        first += rest
            .iter()
            .take_while(|verdict| verdict.window.end <= from)
            .count();
        let rest = verdicts.get(first..).unwrap_or_default();
        let near = rest.iter().take_while(|verdict| verdict.window.end <= to);
        StripVerdict::rules_out_s(near.map(|verdict| verdict.probabilities[STRIP_FIBRILLATION]))
    };
    r_samples.iter().map(of_beat).collect()
}

/// The nearest beats so far, the nearest first; of equally near ones, the earlier.
struct Nearest {
    beats: [(f32, usize); NEIGHBOURS],
    len: usize,
}

impl Nearest {
    const fn new() -> Self {
        Self {
            beats: [(f32::INFINITY, 0); NEIGHBOURS],
            len: 0,
        }
    }

    fn offer(&mut self, distance: f32, beat: usize) {
        if distance.is_nan() || distance >= self.beats[NEIGHBOURS - 1].0 {
            return;
        }
        let place = self
            .beats
            .partition_point(|(nearer, _)| *nearer <= distance);
        self.beats[place..].rotate_right(1);
        self.beats[place] = (distance, beat);
        self.len = (self.len + 1).min(NEIGHBOURS);
    }

    /// The mean of their probabilities; `None` where there are none.
    fn mean(&self, probabilities: &[Logits]) -> Option<Logits> {
        if self.len == 0 {
            return None;
        }
        let mut mean = [0.0; LABELS.len()];
        for (_, beat) in &self.beats[..self.len] {
            for (mean, probability) in mean.iter_mut().zip(probabilities[*beat]) {
                *mean += probability / self.len as f32;
            }
        }
        Some(mean)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use heartlens_core::spec::{WAVEFORM_BEFORE_SAMPLES, WAVEFORM_LEN_SAMPLES};
    use heartlens_core::strip::StripWindow;

    /// A beat with a QRS complex of this width in samples, at this place.
    fn beat(width: usize) -> Views {
        let mut views = Views::ZERO;
        for (at, x) in views.waveform[..WAVEFORM_LEN_SAMPLES]
            .iter_mut()
            .enumerate()
        {
            let from_r = at.abs_diff(WAVEFORM_BEFORE_SAMPLES);
            *x = if from_r <= width { 3.0 } else { 0.0 };
        }
        views
    }

    const ONE: NonZeroUsize = NonZeroUsize::MIN;

    /// Thirty narrow beats and ten wide ones, 0.8 s apart: which are wide, and what a network says of them.
    fn recording() -> (Whole, Vec<bool>, Vec<Logits>) {
        let (narrow, wide) = (beat(3), beat(9));
        let mut whole = Whole::default();
        let is_wide: Vec<bool> = (0..40).map(|i| i % 4 == 3).collect();
        for (i, is_wide) in is_wide.iter().enumerate() {
            let views = if *is_wide { &wide } else { &narrow };
            whole.push(i as u32 * 102, true, &[views]);
        }
        let said = is_wide.iter().map(|is_wide| match is_wide {
            true => [0.1, 0.0, 0.9, 0.0],
            false => [0.9, 0.0, 0.1, 0.0],
        });
        (whole, is_wide.clone(), said.collect())
    }

    fn classes(said: &[Logits]) -> Vec<usize> {
        let largest = |p: &Logits| (0..4).max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap();
        said.iter().map(largest).collect()
    }

    #[test]
    fn beats_that_look_alike_get_like_answers() {
        let (whole, is_wide, mut said) = recording();
        // A wide beat that was just taken for N, and a narrow one that was just taken for V.
        said[7] = [0.55, 0.0, 0.45, 0.0];
        said[8] = [0.4, 0.0, 0.6, 0.0];
        let mut weighed = said.clone();
        whole.weigh(&mut weighed, &[], ONE);
        let expected: Vec<usize> = is_wide.iter().map(|w| if *w { 2 } else { 0 }).collect();
        assert_ne!(classes(&said), expected);
        assert_eq!(classes(&weighed), expected);
        for p in &weighed {
            assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{p:?}");
        }
        // A network that is sure is not outvoted.
        said[8] = [0.0, 0.0, 1.0, 0.0];
        whole.weigh(&mut said, &[], ONE);
        assert_eq!(classes(&said)[8], 2);
        for threads in 2..6 {
            let mut again = recording().2;
            (again[7], again[8]) = ([0.55, 0.0, 0.45, 0.0], [0.4, 0.0, 0.6, 0.0]);
            whole.weigh(&mut again, &[], NonZeroUsize::new(threads).unwrap());
            assert_eq!(again, weighed, "{threads} threads");
        }
    }

    #[test]
    fn what_cannot_be_read_has_no_say() {
        let (narrow, mut whole) = (beat(3), Whole::default());
        for i in 0..20 {
            whole.push(i * 102, i < 2, &[&narrow]);
        }
        let mut said = vec![[0.0, 0.0, 1.0, 0.0]; 20];
        (said[0], said[1]) = ([0.6, 0.4, 0.0, 0.0], [0.6, 0.4, 0.0, 0.0]);
        whole.weigh(&mut said, &[], ONE);
        assert_eq!(classes(&said)[..2], [0, 0], "the others are no neighbours");
        assert!(said[2..].iter().all(|p| *p == [0.0, 0.0, 1.0, 0.0]));
        let mut alone = Whole::default();
        alone.push(5, true, &[&narrow]);
        let mut said = [[0.2, 0.3, 0.5, 0.0]];
        alone.weigh(&mut said, &[], ONE);
        assert_eq!(said, [[0.2, 0.3, 0.5, 0.0]]);
        Whole::default().weigh(&mut [], &[], ONE);
    }

    #[test]
    fn early_beats_are_normal_where_the_windows_around_show_fibrillation() {
        let narrow = beat(3);
        let mut whole = Whole::default();
        // Three minutes; fibrillation in the windows that end in the second.
        for i in 0..225 {
            whole.push(i * 102, true, &[&narrow]);
        }
        let verdicts: Vec<StripVerdict> = (1..=18_u32)
            .map(|window| {
                let end = window * 1280;
                let fibrillation = if (7..=12).contains(&window) { 1.0 } else { 0.0 };
                StripVerdict {
                    window: StripWindow {
                        start: end.saturating_sub(3840),
                        end,
                    },
                    probabilities: [1.0 - fibrillation, fibrillation, 0.0, 0.0],
                }
            })
            .collect();
        let mut said = vec![[0.1, 0.9, 0.0, 0.0]; 225];
        whole.weigh(&mut said, &verdicts, ONE);
        let class = classes(&said);
        let at = |seconds: u32| class[(seconds * 128 / 102) as usize];
        assert_eq!((at(10), at(90), at(170)), (1, 0, 1));
    }
}
