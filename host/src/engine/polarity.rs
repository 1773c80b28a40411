//! Whether a lead was recorded upside down.
//!
//! In most leads the QRS complex of the usual beat points upward, and where it does not, the T wave does, for it mostly
//! points the other way then. A usual beat whose QRS complex and T wave both point downward is what a lead with its
//! electrodes exchanged shows. It is no proof, and many an inverted lead does not look like this: over the records of
//! `mitdb` and `svdb`, `host/tests/records.rs` counts how often each happens. So this is a warning, and no sample is ever
//! turned over.

use heartlens_core::beat::BeatFrame;
use heartlens_core::spec::{BEAT_BEFORE_SAMPLES, BEAT_LEN_SAMPLES};

/// Leads in which a healthy heart's QRS complex and T wave may well both point downward, in lower case.
const OFTEN_DOWNWARD: [&str; 8] = ["avr", "avl", "iii", "v1", "v2", "v3", "v4", "mv1"];

/// Where the QRS complex is, relative to the R peak, in samples: -62 to 94 ms.
const QRS: (isize, isize) = (-8, 12);
/// Where the T wave is: 156 to 437 ms.
const T_WAVE: (isize, isize) = (20, 56);
/// How much deeper than high a QRS complex is that points downward.
const DOWNWARD: f64 = 1.5;
/// Beats without which nothing is said.
const MIN_BEATS: u32 = 60;

/// The usual beat of a lead: the mean of its templates, in mV.
#[derive(Debug, Clone)]
pub(super) struct Polarity {
    sums: [f64; BEAT_LEN_SAMPLES],
    beats: u32,
}

impl Default for Polarity {
    fn default() -> Self {
        Self {
            sums: [0.0; BEAT_LEN_SAMPLES],
            beats: 0,
        }
    }
}

impl Polarity {
    /// Takes a readable beat.
    pub(super) fn push(&mut self, frame: &BeatFrame) {
        for (sum, mv) in self.sums.iter_mut().zip(frame.template) {
            *sum += f64::from(mv);
        }
        self.beats = self.beats.saturating_add(1);
    }

    /// Whether the usual beat of a lead of this name looks upside down.
    pub(super) fn is_upside_down(&self, lead: &str) -> bool {
        let name = lead.to_ascii_lowercase();
        let bare = name.strip_prefix("ecg ").unwrap_or(&name);
        if self.beats < MIN_BEATS || OFTEN_DOWNWARD.contains(&bare) {
            return false;
        }
        let (deepest, highest) = extremes(self.part(QRS));
        let (t_low, t_high) = extremes(self.part(T_WAVE));
        -deepest > DOWNWARD * highest && -t_low > t_high
    }

    fn part(&self, (from, to): (isize, isize)) -> &[f64] {
        let at = |offset: isize| BEAT_BEFORE_SAMPLES.saturating_add_signed(offset);
        &self.sums[at(from)..at(to)]
    }
}

/// The lowest and the highest value, and 0 where all are above or below it.
fn extremes(part: &[f64]) -> (f64, f64) {
    part.iter()
        .fold((0.0, 0.0), |(low, high), x| (x.min(low), x.max(high)))
}
