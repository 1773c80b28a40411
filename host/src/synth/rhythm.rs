//! When the heart beats, and why: the sinus rhythm of ECGSYN, and ectopic beats that interrupt it.

use super::Classes;
use super::random::{Purpose, Random};
use crate::records::annotation::Code;
use std::f64::consts::TAU;

/// What a beat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From the sinus node: class N.
    Normal,
    /// Premature, from elsewhere in the atria, with another P wave: class S.
    Atrial,
    /// Premature, from the atrioventricular junction, without a P wave: class S.
    Junctional,
    /// Premature, from a ventricle: class V.
    Ventricular,
}

impl Kind {
    pub(super) fn code(self) -> Code {
        match self {
            Self::Normal => Code::NORMAL,
            Self::Atrial => Code::ATRIAL_PREMATURE,
            Self::Junctional => Code::JUNCTIONAL_PREMATURE,
            Self::Ventricular => Code::VENTRICULAR_PREMATURE,
        }
    }
}

/// One beat.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beat {
    /// When its R peak is due, in seconds.
    pub(super) time_s: f64,
    /// The RR interval of the sinus rhythm at that time, in seconds: the pace of the beat's waves.
    pub(super) sinus_rr_s: f64,
    pub(super) kind: Kind,
    /// The name of the rhythm that begins with this beat, as WFDB writes it, where one begins.
    pub(super) rhythm: Option<&'static str>,
}

/// The RR intervals of a sinus rhythm: a mean, and a spread with the bimodal spectrum of McSharry et al. 2003, section
/// III - Mayer waves around 0.1 Hz, respiration around 0.25 Hz.
///
/// The paper turns the spectrum into a series by an inverse Fourier transform of random phases. Here the same spectrum
/// is a sum of cosines of random phase whose frequencies are drawn, one from each slice of the spectrum, so that the
/// series neither repeats itself nor depends on the record's length (Shinozuka and Jan 1972, J. Sound Vib. 25:111).
#[derive(Debug)]
pub(super) struct SinusRhythm {
    mean_rr_s: f64,
    cosines: Vec<Cosine>,
}

#[derive(Debug)]
struct Cosine {
    amplitude_s: f64,
    hz: f64,
    phase: f64,
}

/// Centre and width (standard deviation) of the two peaks of the spectrum, in Hz.
const MAYER_HZ: (f64, f64) = (0.1, 0.01);
pub(super) const RESPIRATION_HZ: (f64, f64) = (0.25, 0.01);
/// Power of the first peak over that of the second, the paper's LF/HF ratio.
const LF_HF_RATIO: f64 = 0.5;

impl SinusRhythm {
    /// # Ranges
    /// `mean_bpm` above 0; `spread_bpm`, the heart rate's standard deviation, small against it.
    pub(super) fn new(mean_bpm: f64, spread_bpm: f64, seed: u64) -> Self {
        const SLICES: usize = 32;
        const REACH: f64 = 4.0;
        let mut random = Random::new(seed, Purpose::HeartRate);
        let spread_s = 60.0 * spread_bpm / (mean_bpm * mean_bpm);
        let mut cosines = Vec::with_capacity(2 * SLICES);
        for (peak, power) in [
            (MAYER_HZ, LF_HF_RATIO / (1.0 + LF_HF_RATIO)),
            (RESPIRATION_HZ, 1.0 / (1.0 + LF_HF_RATIO)),
        ] {
            let slice = 2.0 * REACH / SLICES as f64;
            let weights: Vec<f64> = (0..SLICES)
                .map(|i| {
                    let x = -REACH + (i as f64 + 0.5) * slice;
                    libm::exp(-0.5 * x * x)
                })
                .collect();
            let total: f64 = weights.iter().sum();
            for (i, weight) in weights.iter().enumerate() {
                let x = -REACH + (i as f64 + random.uniform(0.0, 1.0)) * slice;
                cosines.push(Cosine {
                    // A cosine of amplitude a has variance a^2 / 2.
                    amplitude_s: spread_s * (2.0 * power * weight / total).sqrt(),
                    hz: peak.0 + peak.1 * x,
                    phase: random.uniform(0.0, TAU),
                });
            }
        }
        Self {
            mean_rr_s: 60.0 / mean_bpm,
            cosines,
        }
    }

    /// The RR interval that the sinus node sets at `time_s`, in seconds.
    pub(super) fn rr_s(&self, time_s: f64) -> f64 {
        let spread: f64 = self
            .cosines
            .iter()
            .map(|c| c.amplitude_s * libm::cos(TAU * c.hz * time_s + c.phase))
            .sum();
        (self.mean_rr_s + spread).clamp(0.5 * self.mean_rr_s, 1.5 * self.mean_rr_s)
    }
}

/// Something other than sinus rhythm: ectopic beats, and what they do to the beats after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Episode {
    /// This many supraventricular beats in a row; 3 or more are a tachycardia.
    Supraventricular(u32),
    /// This many ventricular beats in a row; 2 are a couplet, 3 or more a tachycardia.
    Ventricular(u32),
    /// This many ventricular beats, every other beat being normal.
    Bigeminy(u32),
}

impl Episode {
    fn rhythm(self) -> Option<&'static str> {
        match self {
            Self::Supraventricular(3..) => Some("(SVTA"),
            Self::Ventricular(3..) => Some("(VT"),
            Self::Bigeminy(_) => Some("(B"),
            _ => None,
        }
    }
}

/// What happens in about [`ROUND_BEATS`] beats, in random order: 14 beats of S (4 %) and 21 of V (6 %).
const SUPRAVENTRICULAR_ROUND: [Episode; 11] = {
    let mut round = [Episode::Supraventricular(1); 11];
    round[0] = Episode::Supraventricular(2);
    round[1] = Episode::Supraventricular(3);
    round
};
const VENTRICULAR_ROUND: [Episode; 14] = {
    let mut round = [Episode::Ventricular(1); 14];
    round[0] = Episode::Ventricular(2);
    round[1] = Episode::Ventricular(3);
    round[2] = Episode::Bigeminy(5);
    round
};
const ROUND_BEATS: usize = 350;

/// The beats from just before the record's start to just after its end at `end_s`, in order of time.
pub(super) fn beats(end_s: f64, sinus: &SinusRhythm, classes: Classes, seed: u64) -> Vec<Beat> {
    let mut heart = Heart {
        sinus,
        random: Random::new(seed, Purpose::Rhythm),
        beats: Vec::new(),
    };
    let mut round: Vec<Episode> = Vec::new();
    if classes.supraventricular {
        round.extend(SUPRAVENTRICULAR_ROUND);
    }
    if classes.ventricular {
        round.extend(VENTRICULAR_ROUND);
    }
    // Each focus has its own coupling interval, in sinus RR intervals, which varies little from beat to beat.
    let coupling_s = heart.random.uniform(0.66, 0.72);
    let coupling_v = heart.random.uniform(0.62, 0.68);

    heart.push(-0.4, Kind::Normal, None);
    heart.normal(1.0, Some("(N"));
    let calm = ROUND_BEATS / (round.len() + 1);
    while heart.last().time_s <= end_s {
        heart.random.shuffle(&mut round);
        if round.is_empty() {
            heart.normal(1.0, None);
        }
        for &episode in &round {
            // From half to one and a half times as many normal beats as there are on average.
            for _ in 0..calm / 2 + heart.random.below(calm) {
                heart.normal(1.0, None);
            }
            match episode {
                Episode::Supraventricular(count) => {
                    heart.supraventricular(count, coupling_s, episode.rhythm());
                }
                Episode::Ventricular(count) => {
                    heart.ventricular(count, coupling_v, episode.rhythm());
                }
                Episode::Bigeminy(count) => {
                    for nth in 0..count {
                        heart.ventricular(1, coupling_v, episode.rhythm().filter(|_| nth == 0));
                    }
                }
            }
            if episode.rhythm().is_some() {
                heart.normal(1.0, Some("(N"));
            }
            if heart.last().time_s > end_s {
                break;
            }
        }
    }
    heart.beats
}

struct Heart<'a> {
    sinus: &'a SinusRhythm,
    random: Random,
    beats: Vec<Beat>,
}

impl Heart<'_> {
    fn last(&self) -> Beat {
        self.beats[self.beats.len() - 1]
    }

    fn push(&mut self, time_s: f64, kind: Kind, rhythm: Option<&'static str>) {
        self.beats.push(Beat {
            time_s,
            sinus_rr_s: self.sinus.rr_s(time_s),
            kind,
            rhythm,
        });
    }

    /// A beat of `kind` after `intervals` sinus RR intervals, give or take 2 %.
    fn premature(&mut self, intervals: f64, kind: Kind, rhythm: Option<&'static str>) {
        let last = self.last();
        let intervals = intervals * (1.0 + 0.02 * self.random.normal().clamp(-2.5, 2.5));
        self.push(last.time_s + intervals * last.sinus_rr_s, kind, rhythm);
    }

    /// A sinus beat, `intervals` sinus RR intervals after the beat before.
    fn normal(&mut self, intervals: f64, rhythm: Option<&'static str>) {
        let last = self.last();
        self.push(
            last.time_s + intervals * last.sinus_rr_s,
            Kind::Normal,
            rhythm,
        );
    }

    /// Supraventricular beats and the sinus beat after them. They reset the sinus node: the pause after them is little
    /// longer than an ordinary interval, and not compensatory.
    fn supraventricular(&mut self, count: u32, coupling: f64, rhythm: Option<&'static str>) {
        let kind = match self.random.below(4) {
            0 => Kind::Junctional,
            _ => Kind::Atrial,
        };
        for nth in 0..count {
            self.premature(coupling, kind, rhythm.filter(|_| nth == 0));
        }
        let pause = self.random.uniform(1.0, 1.1);
        self.normal(pause, None);
    }

    /// Ventricular beats and the sinus beat after them. They leave the sinus node alone: the next of its beats that
    /// finds the ventricles ready comes when it would have come anyway, after a compensatory pause.
    fn ventricular(&mut self, count: u32, coupling: f64, rhythm: Option<&'static str>) {
        let before = self.last();
        for nth in 0..count {
            let intervals = if nth == 0 { coupling } else { 0.62 };
            self.premature(intervals, Kind::Ventricular, rhythm.filter(|_| nth == 0));
        }
        let last = self.last();
        let mut next = before.time_s;
        while next < last.time_s + 0.9 * before.sinus_rr_s {
            next += before.sinus_rr_s;
        }
        self.push(next, Kind::Normal, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: Classes = Classes {
        supraventricular: true,
        ventricular: true,
    };

    fn an_hour(classes: Classes) -> Vec<Beat> {
        beats(3600.0, &SinusRhythm::new(70.0, 2.5, 5), classes, 5)
    }

    /// Mean, spread and the two peaks of the spectrum over 20 minutes, from a plain Fourier sum.
    #[test]
    fn the_sinus_rhythm_has_the_papers_spectrum() {
        let sinus = SinusRhythm::new(70.0, 2.5, 9);
        let (rate_hz, n) = (4.0, 4800);
        let rr: Vec<f64> = (0..n).map(|k| sinus.rr_s(k as f64 / rate_hz)).collect();
        let mean = rr.iter().sum::<f64>() / n as f64;
        assert!((mean - 60.0 / 70.0).abs() < 1e-3, "{mean}");
        let variance = rr.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
        let expected = 60.0 * 2.5 / (70.0 * 70.0);
        assert!((variance.sqrt() / expected - 1.0).abs() < 0.1);
        let power = |low_hz: f64, high_hz: f64| -> f64 {
            let bin = rate_hz / n as f64;
            ((low_hz / bin) as usize..(high_hz / bin) as usize)
                .map(|f| {
                    let (mut re, mut im) = (0.0, 0.0);
                    for (k, v) in rr.iter().enumerate() {
                        let angle = TAU * (f * k) as f64 / n as f64;
                        re += (v - mean) * angle.cos();
                        im += (v - mean) * angle.sin();
                    }
                    2.0 * (re * re + im * im) / (n as f64 * n as f64)
                })
                .sum()
        };
        let (low, high) = (power(0.05, 0.15), power(0.2, 0.3));
        assert!(((low + high) / variance - 1.0).abs() < 0.05);
        assert!((low / high / LF_HF_RATIO - 1.0).abs() < 0.2, "{low} {high}");
    }

    #[test]
    fn ectopic_beats_are_as_frequent_as_stated() {
        let beats = an_hour(BOTH);
        let share = |kinds: &[Kind]| {
            beats.iter().filter(|b| kinds.contains(&b.kind)).count() as f64 / beats.len() as f64
        };
        let s = share(&[Kind::Atrial, Kind::Junctional]);
        let v = share(&[Kind::Ventricular]);
        assert!((0.035..0.045).contains(&s), "{s}");
        assert!((0.053..0.067).contains(&v), "{v}");
        assert!(share(&[Kind::Junctional]) > 0.004);
        for rhythm in ["(N", "(VT", "(SVTA", "(B"] {
            assert!(beats.iter().any(|b| b.rhythm == Some(rhythm)), "{rhythm}");
        }
        let couplets = beats.windows(4).filter(|w| {
            let ectopic = |b: &Beat| b.kind == Kind::Ventricular;
            !ectopic(&w[0]) && ectopic(&w[1]) && ectopic(&w[2]) && !ectopic(&w[3])
        });
        assert!(couplets.count() > 3);
    }

    #[test]
    fn only_the_classes_asked_for_occur() {
        for (supraventricular, ventricular) in [(false, false), (true, false), (false, true)] {
            let beats = an_hour(Classes {
                supraventricular,
                ventricular,
            });
            let any = |kind| beats.iter().any(|b| b.kind == kind);
            assert_eq!(any(Kind::Atrial), supraventricular);
            assert_eq!(any(Kind::Junctional), supraventricular);
            assert_eq!(any(Kind::Ventricular), ventricular);
            assert!(beats.len() > 3600 / 60 * 60);
        }
    }

    /// A single ventricular beat leaves the sinus node alone: the normal beats on either side are two intervals apart.
    /// A single supraventricular one resets it, so that they are closer.
    #[test]
    fn only_ventricular_beats_have_a_compensatory_pause() {
        let (mut ventricular, mut supraventricular) = (0, 0);
        for around in an_hour(BOTH).windows(3) {
            let [before, ectopic, after] = around else {
                continue;
            };
            if before.kind != Kind::Normal || after.kind != Kind::Normal {
                continue;
            }
            let coupling = (ectopic.time_s - before.time_s) / before.sinus_rr_s;
            let both = (after.time_s - before.time_s) / before.sinus_rr_s;
            match ectopic.kind {
                Kind::Normal => continue,
                Kind::Ventricular => {
                    assert!((both - 2.0).abs() < 1e-9, "{both}");
                    ventricular += 1;
                }
                Kind::Atrial | Kind::Junctional => {
                    assert!((1.5..1.95).contains(&both), "{both}");
                    supraventricular += 1;
                }
            }
            assert!((0.55..0.8).contains(&coupling), "{coupling}");
        }
        assert!(ventricular > 100 && supraventricular > 50);
    }

    #[test]
    fn beats_are_in_order_and_reach_over_both_ends() {
        let beats = an_hour(BOTH);
        assert!(beats[0].time_s < 0.0 && beats[beats.len() - 1].time_s > 3600.0);
        for pair in beats.windows(2) {
            let interval = pair[1].time_s - pair[0].time_s;
            assert!((0.4..1.7).contains(&interval), "{interval}");
        }
    }
}
