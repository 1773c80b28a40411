//! Runs of supraventricular or ventricular beats, as a product tells them.

use super::Event;
use crate::class::Class;
use crate::classifier::Beat;

/// Beats of a run before it counts.
const BEATS: u32 = 3;
/// An RR interval of so many times the run's mean has a missed beat in it,
const MISSED: f32 = 1.6;
/// and of so many times more than one.
const MISSED_MORE: f32 = 2.5;

/// A run under way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    class: Class,
    since_ms: u64,
    last_ms: u64,
    /// Beats of the class so far; 0 outside of a run.
    beats: u32,
    /// Whether the beat before was of another class.
    interrupted: bool,
    /// Sum and number of the RR intervals in it.
    rr_s: (f32, u32),
}

impl Run {
    /// No run.
    pub(super) const NONE: Self = Self {
        class: Class::N,
        since_ms: 0,
        last_ms: 0,
        beats: 0,
        interrupted: false,
        rr_s: (0.0, 0),
    };

    /// Whether the run has been told.
    pub(super) fn is_told(&self) -> bool {
        self.beats >= BEATS
    }

    /// What is told of it.
    pub(super) fn event(&self, over: bool) -> Event {
        let (sum, count) = self.rr_s;
        Event::Run {
            class: self.class,
            since_ms: self.since_ms,
            beats: self.beats,
            rate_bpm: match sum > 0.0 {
                true => 60.0 * count as f32 / sum,
                false => 0.0,
            },
            over,
        }
    }

    /// Whether this beat does not belong to the run: it is of another class, and not one in between.
    pub(super) fn breaks(&self, beat: &Beat) -> bool {
        if self.beats == 0 {
            return false;
        }
        let missed = self.missed(beat);
        match beat.class {
            class if class == self.class => missed > 1 || missed == 1 && self.interrupted,
            Class::F | Class::Q => self.interrupted || missed > 0,
            _ => true,
        }
    }

    /// Takes a beat that does not break the run, and says whether the run counts from now on.
    pub(super) fn push(&mut self, beat: &Beat, at_ms: u64) -> bool {
        let member = matches!(beat.class, Class::S | Class::V);
        if self.beats == 0 {
            if member {
                *self = Self {
                    class: beat.class,
                    since_ms: at_ms,
                    last_ms: at_ms,
                    beats: 1,
                    ..Self::NONE
                };
            }
            return false;
        }
        if !member {
            self.interrupted = true;
            return false;
        }
        // With the beat in between, there are two intervals since the last of the class.
        let intervals = 1 + u32::from(self.interrupted) + self.missed(beat);
        self.rr_s.0 += (at_ms.saturating_sub(self.last_ms)) as f32 / 1000.0;
        self.rr_s.1 += intervals;
        self.last_ms = at_ms;
        self.interrupted = false;
        self.beats = self.beats.saturating_add(1);
        self.beats == BEATS
    }

    /// Beats that were missed before this one, as its RR interval says: 0, 1, or 2 for any more.
    fn missed(&self, beat: &Beat) -> u32 {
        let (sum, count) = self.rr_s;
        let mean = sum / count.max(1) as f32;
        match beat.rr_s {
            Some(rr_s) if count > 0 && rr_s > MISSED_MORE * mean => 2,
            Some(rr_s) if count > 0 && rr_s > MISSED * mean => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::BeatQuality;
    use std::string::String;
    use std::vec::Vec;

    /// The runs of beats that are 400 ms apart, each of the class of its letter; a dot is one that was missed. Beats and rate of each
    /// when it ends.
    fn runs(pattern: &str) -> Vec<(Class, u32, u32)> {
        let (mut run, mut runs, mut rr_ms) = (Run::NONE, Vec::new(), 0);
        let pattern = String::from(pattern) + "NN";
        for (at, letter) in (0_u64..).map(|i| 1000 + 400 * i).zip(pattern.chars()) {
            rr_ms += 400;
            let class = match letter {
                'N' => Class::N,
                'S' => Class::S,
                'V' => Class::V,
                'F' => Class::F,
                'Q' => Class::Q,
                _ => continue,
            };
            let beat = Beat {
                r_sample: 0,
                class,
                probabilities: [0.25; 4],
                logits: [0.0; 4],
                quality: BeatQuality::CLEAN,
                readable: class != Class::Q,
                rr_s: Some(rr_ms as f32 / 1000.0),
                fibrillation: None,
            };
            rr_ms = 0;
            if run.breaks(&beat) {
                if let Event::Run {
                    class,
                    beats,
                    rate_bpm,
                    ..
                } = run.event(true)
                    && run.is_told()
                {
                    runs.push((class, beats, libm::roundf(rate_bpm) as u32));
                }
                run = Run::NONE;
            }
            run.push(&beat, at);
        }
        runs
    }

    #[test]
    fn one_strange_or_missed_beat_is_survived_and_two_are_not() {
        for pattern in ["VVV", "VFVV", "VVQV", "VQVV", "VVFV", "VV.V"] {
            assert_eq!(runs(pattern), [(Class::V, 3, 150)], "{pattern}");
        }
        for pattern in ["SSS", "SQSS", "SS.S"] {
            assert_eq!(runs(pattern), [(Class::S, 3, 150)], "{pattern}");
        }
        // Each of them may come once between two of the run's.
        assert_eq!(runs("VVQVFV.VV"), [(Class::V, 6, 150)]);
        for pattern in [
            "VV", "VVQQV", "VVFQV", "VVF.V", "VV..V", "VNVV", "VVSVV", "QQQ", "FFF",
        ] {
            assert_eq!(runs(pattern), [], "{pattern}");
        }
        assert_eq!(runs("VVV..VVV"), [(Class::V, 3, 150), (Class::V, 3, 150)]);
    }
}
