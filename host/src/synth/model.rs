//! The dynamical model of McSharry, Clifford, Tarassenko and Smith, "A dynamical model for generating synthetic
//! electrocardiogram signals", IEEE Trans. Biomed. Eng. 50:289 (2003), known as ECGSYN.
//!
//! A point circles in the (x, y) plane, once a beat, with the R peak at angle 0. Along the way it passes the waves of
//! the ECG, each a Gaussian in the angle that pushes z up or down:
//!
//! ```text
//! dx/dt = (1 - r) x - w y        r = sqrt(x^2 + y^2), angle = atan2(y, x)
//! dy/dt = (1 - r) y + w x        w: angular velocity
//! dz/dt = - sum over the waves of a d exp(-d^2 / (2 b^2)) - (z - z0)        d = angle - wave's angle
//! z0    = A sin(2 pi f t)        f: respiration
//! ```
//!
//! Three things are added to the paper. Each wave is an electric dipole with a direction, so that several leads, each
//! with its own z, see the same waves from their own side. A beat from elsewhere in the heart brings waves of its own.
//! And w, constant from R peak to R peak in the paper, keeps the sinus rhythm's pace while waves pass and makes up for
//! a premature or late beat in the still time between the T wave and the next P wave; without ectopic beats the two
//! are the same.

use super::random::{Purpose, Random};
use super::rhythm::{Beat, Kind, RESPIRATION_HZ};
use std::f64::consts::{PI, TAU};

pub(super) const LEADS: usize = 2;

/// Names of the leads.
pub(super) const LEAD_NAMES: [&str; LEADS] = ["II", "V1"];

/// How much of a dipole along the axes x (to the left), y (to the feet), z (to the back) each lead sees: rows II and
/// V1 of Dower's matrix (Dower, Machado and Osborne 1980, Clin. Cardiol. 3:87).
const LEAD_VECTORS: [[f64; 3]; LEADS] = [[0.235, 1.066, -0.132], [-0.515, 0.157, -0.917]];

/// Millivolts for the paper's unit of z: it makes the R peak 1.2 mV in lead II at 60 beats a minute, as ECGSYN does.
const SCALE_MV: f64 = 31.4;

/// Amplitude A of the baseline's respiratory wander, in mV.
const WANDER_MV: f64 = 0.15;

/// A wave as the paper tabulates them: angle in degrees from the R peak, a, b in radians; and its dipole's direction.
struct Wave {
    degrees: f64,
    a: f64,
    b: f64,
    dipole: [f64; 3],
}

const fn wave(degrees: f64, a: f64, b: f64, dipole: [f64; 3]) -> Wave {
    Wave {
        degrees,
        a,
        b,
        dipole,
    }
}

// Table I of the paper has a as lead II sees it. Here a is positive and the direction decides on the sign: the septum (Q)
// is activated to the right and to the front, the base of the ventricles (S) last, upwards.
const P: Wave = wave(-70.0, 1.2, 0.25, [0.35, 0.65, -0.25]);
const Q: Wave = wave(-15.0, 5.0, 0.1, [-0.4, -0.6, -0.5]);
const R: Wave = wave(0.0, 30.0, 0.1, [0.5, 0.7, 0.5]);
const S: Wave = wave(15.0, 7.5, 0.1, [-0.3, -0.7, 0.5]);
const T: Wave = wave(100.0, 0.75, 0.4, [0.5, 0.7, -0.3]);

/// The waves of a beat, and the stretch of the circle around the R peak that they take, in degrees.
struct Morphology {
    waves: &'static [Wave],
    before: f64,
    after: f64,
}

static NORMAL: Morphology = Morphology {
    waves: &[P, Q, R, S, T],
    before: 100.0,
    after: 160.0,
};

/// A P wave from low in the atria: nearer to the QRS complex, smaller, and upside down in lead II.
static ATRIAL: Morphology = Morphology {
    waves: &[wave(-52.0, 1.2, 0.2, [0.2, -0.7, -0.3]), Q, R, S, T],
    before: 80.0,
    after: 160.0,
};

static JUNCTIONAL: Morphology = Morphology {
    waves: &[Q, R, S, T],
    before: 35.0,
    after: 160.0,
};

/// From the left ventricle, slowly from muscle cell to muscle cell: wide, to the right and upwards, with a T wave
/// against it.
static VENTRICULAR: Morphology = Morphology {
    waves: &[
        wave(-26.0, 2.4, 0.18, [0.3, 0.6, 0.4]),
        wave(0.0, 5.6, 0.27, [-0.5, -0.65, -0.6]),
        wave(34.0, 1.6, 0.22, [-0.2, -0.5, -0.3]),
        wave(108.0, 1.0, 0.36, [0.5, 0.7, 0.5]),
    ],
    before: 65.0,
    after: 165.0,
};

fn morphology(kind: Kind) -> &'static Morphology {
    match kind {
        Kind::Normal => &NORMAL,
        Kind::Atrial => &ATRIAL,
        Kind::Junctional => &JUNCTIONAL,
        Kind::Ventricular => &VENTRICULAR,
    }
}

/// A wave of one beat, ready to be integrated.
#[derive(Debug, Clone, Copy)]
struct Push {
    angle: f64,
    /// 1 / (2 b^2).
    sharpness: f64,
    /// Beyond this distance the wave is below 5e-5 of its size and left out.
    reach: f64,
    /// a in mV, as each lead sees it.
    a_mv: [f64; LEADS],
}

const MAX_WAVES: usize = 5;

/// The waves of one beat.
#[derive(Debug, Clone)]
struct Waves {
    pushes: [Push; MAX_WAVES],
    len: usize,
}

/// Beats and the waves that they bring.
pub(super) struct Model<'a> {
    beats: &'a [Beat],
    mean_rr_s: f64,
    shape: Random,
}

impl<'a> Model<'a> {
    /// `beats`: in order of time, the first before 0 s, the last after the end of what will be integrated.
    pub(super) fn new(beats: &'a [Beat], mean_rr_s: f64, seed: u64) -> Self {
        Self {
            beats,
            mean_rr_s,
            shape: Random::new(seed, Purpose::Shape),
        }
    }

    /// The waves of a beat of `kind`, their sizes varied by 3 %.
    ///
    /// As in ECGSYN, waves grow wider and move outwards with the root of the mean heart rate, T and P with its fourth
    /// root, so that their times change less than the RR interval.
    fn waves(&mut self, kind: Kind) -> Waves {
        let wider = (1.0 / self.mean_rr_s).sqrt();
        let mut waves = Waves {
            pushes: [Push {
                angle: 0.0,
                sharpness: 0.0,
                reach: 0.0,
                a_mv: [0.0; LEADS],
            }; MAX_WAVES],
            len: 0,
        };
        for (push, wave) in waves.pushes.iter_mut().zip(morphology(kind).waves) {
            let outwards = if wave.degrees.abs() > 45.0 {
                wider.sqrt()
            } else {
                wider
            };
            let b = wave.b * wider;
            let size = SCALE_MV * wave.a * (1.0 + 0.03 * self.shape.normal());
            *push = Push {
                angle: wave.degrees * outwards * PI / 180.0,
                sharpness: 0.5 / (b * b),
                reach: 4.5 * b,
                a_mv: LEAD_VECTORS.map(|lead| {
                    let seen: f64 = lead.iter().zip(wave.dipole).map(|(l, d)| l * d).sum();
                    size * seen
                }),
            };
            waves.len += 1;
        }
        waves
    }

    /// Integrates `len` samples at `hz` by the classical Runge-Kutta method of fourth order, one step a sample.
    ///
    /// # Shapes
    /// Two leads of `[len]`, in mV.
    pub(super) fn integrate(mut self, len: usize, hz: f64) -> [Vec<f32>; LEADS] {
        let step = 1.0 / hz;
        let mut leads: [Vec<f32>; LEADS] = std::array::from_fn(|_| Vec::with_capacity(len));
        // The beat that passed its R peak last, the next one, and their waves.
        let mut index = 0;
        let mut passed = self.waves(self.beats[0].kind);
        let mut next = self.waves(self.beats[1].kind);
        let mut phase = self.phase(index, 0.0);
        let mut state = State {
            x: libm::cos(phase),
            y: libm::sin(phase),
            z: [0.0; LEADS],
        };
        let mut angle = state.angle();
        let mut wander = wander_mv(0.0);
        for n in 0..len {
            for (lead, z) in leads.iter_mut().zip(state.z) {
                lead.push(z as f32);
            }
            let time = n as f64 * step;
            let mut end = self.phase(index, time + step);
            let new_beat = end >= TAU && index + 2 < self.beats.len();
            if new_beat {
                // The rest of the step belongs to the interval after the R peak.
                end = TAU + self.phase(index + 1, time + step);
            }
            let field = Field {
                velocity: (end - phase) / step,
                phase,
                angle,
                passed: &passed,
                next: &next,
            };
            let wanders = [wander, wander_mv(time + 0.5 * step), wander_mv(time + step)];
            state = field.runge_kutta(state, wanders, step);
            let turned = state.angle();
            phase += wrapped(turned - angle);
            angle = turned;
            wander = wanders[2];
            if new_beat {
                index += 1;
                phase -= TAU;
                passed = next;
                next = self.waves(self.beats[index + 1].kind);
            }
        }
        leads
    }

    /// Where on the circle the point is due at `time_s`: 0 at beat `index`, 2 pi at the one after it.
    ///
    /// The waves of either beat pass at the sinus rhythm's pace. The stretch between them takes what time is left;
    /// where that is none, the waves pass faster.
    fn phase(&self, index: usize, time_s: f64) -> f64 {
        let (from, to) = (&self.beats[index], &self.beats[index + 1]);
        let interval = to.time_s - from.time_s;
        let after = morphology(from.kind).after * PI / 180.0;
        let before = morphology(to.kind).before * PI / 180.0;
        // Seconds a radian; the last 3 % of the interval are left to the stretch without waves.
        let pace = (from.sinus_rr_s / TAU).min(0.97 * interval / (after + before));
        let time = time_s - from.time_s;
        let left = interval - time;
        if time < after * pace {
            time / pace
        } else if left < before * pace {
            TAU - left / pace
        } else {
            let still = (time - after * pace) / (interval - (after + before) * pace);
            after + still * (TAU - after - before)
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    x: f64,
    y: f64,
    z: [f64; LEADS],
}

impl State {
    fn angle(self) -> f64 {
        libm::atan2(self.y, self.x)
    }

    fn plus(self, step: f64, slope: Self) -> Self {
        Self {
            x: self.x + step * slope.x,
            y: self.y + step * slope.y,
            z: std::array::from_fn(|i| self.z[i] + step * slope.z[i]),
        }
    }
}

/// The differential equations during one step.
struct Field<'a> {
    velocity: f64,
    /// Phase and angle at the start of the step. They differ by full turns and by what the integration is off.
    phase: f64,
    angle: f64,
    passed: &'a Waves,
    next: &'a Waves,
}

impl Field<'_> {
    fn slope(&self, state: State, angle: f64, wander_mv: f64) -> State {
        let State { x, y, z } = state;
        let pull = 1.0 - (x * x + y * y).sqrt();
        let phase = self.phase + wrapped(angle - self.angle);
        // Before half of the circle the waves are those of the beat that has passed, from there on the next one's.
        let (waves, angle) = if phase < PI {
            (self.passed, phase)
        } else {
            (self.next, phase - TAU)
        };
        let mut slope = z.map(|z| wander_mv - z);
        for push in &waves.pushes[..waves.len] {
            let distance = angle - push.angle;
            if distance.abs() < push.reach {
                let bell = distance * libm::exp(-distance * distance * push.sharpness);
                for (slope, a) in slope.iter_mut().zip(push.a_mv) {
                    *slope -= a * bell;
                }
            }
        }
        State {
            x: pull * x - self.velocity * y,
            y: pull * y + self.velocity * x,
            z: slope,
        }
    }

    /// `wanders_mv`: z0 at the step's start, middle and end.
    fn runge_kutta(&self, state: State, wanders_mv: [f64; 3], step: f64) -> State {
        let at = |state: State, wander| self.slope(state, state.angle(), wander);
        let [start, middle, end] = wanders_mv;
        let k1 = self.slope(state, self.angle, start);
        let k2 = at(state.plus(0.5 * step, k1), middle);
        let k3 = at(state.plus(0.5 * step, k2), middle);
        let k4 = at(state.plus(step, k3), end);
        state
            .plus(step / 6.0, k1)
            .plus(step / 3.0, k2)
            .plus(step / 3.0, k3)
            .plus(step / 6.0, k4)
    }
}

fn wander_mv(time_s: f64) -> f64 {
    WANDER_MV * libm::sin(TAU * RESPIRATION_HZ.0 * time_s)
}

/// The angle's equal within -pi to pi.
fn wrapped(angle: f64) -> f64 {
    if angle > PI {
        angle - TAU
    } else if angle < -PI {
        angle + TAU
    } else {
        angle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regular(kinds: &[Kind], rr_s: f64) -> Vec<Beat> {
        kinds
            .iter()
            .enumerate()
            .map(|(i, &kind)| Beat {
                time_s: rr_s * (i as f64 - 0.5),
                sinus_rr_s: rr_s,
                kind,
                rhythm: None,
            })
            .collect()
    }

    /// On the circle, at a constant angular velocity, the third equation stands alone: dz/dt = f(t) - z. Its solution
    /// by exponential steps, 40 times as fine, is what the Runge-Kutta method must find.
    #[test]
    fn the_trajectory_solves_the_equations() {
        let (rr, hz, seed, fine) = (0.85, 360.0, 3, 40);
        let beats = regular(&[Kind::Normal; 12], rr);
        let found = Model::new(&beats, rr, seed).integrate((8.0 * rr * hz) as usize, hz);

        let mut model = Model::new(&beats, rr, seed);
        let waves: Vec<Waves> = beats.iter().map(|b| model.waves(b.kind)).collect();
        let step = 1.0 / (hz * f64::from(fine));
        for lead in 0..LEADS {
            let mut z = 0.0;
            let mut worst: f64 = 0.0;
            let mut highest: f64 = 0.0;
            for (n, found) in found[lead].iter().enumerate() {
                worst = worst.max((z - f64::from(*found)).abs());
                highest = highest.max(z.abs());
                for i in 0..fine {
                    let time = n as f64 / hz + (f64::from(i) + 0.5) * step;
                    // Beats are due at (i - 1/2) rr.
                    let beat = (time / rr + 0.5).round();
                    let angle = TAU * (time / rr + 0.5 - beat);
                    let mut force = WANDER_MV * (TAU * 0.25 * time).sin();
                    let waves = &waves[beat as usize];
                    for push in &waves.pushes[..waves.len] {
                        let d = angle - push.angle;
                        force -= push.a_mv[lead] * d * (-d * d * push.sharpness).exp();
                    }
                    z = force + (z - force) * (-step).exp();
                }
            }
            assert!(highest > 0.8, "lead {lead} reaches only {highest} mV");
            assert!(worst < 2e-3, "lead {lead} is off by {worst} mV");
        }
    }

    /// The point stays on its time table, however premature a beat is.
    #[test]
    fn every_r_peak_comes_when_it_is_due() {
        let hz = 360.0;
        let mut beats = regular(&[Kind::Normal; 30], 0.85);
        for i in (3..27).step_by(4) {
            beats[i].kind = [Kind::Atrial, Kind::Junctional][i / 4 % 2];
            beats[i].time_s -= 0.3;
        }
        let lead = &Model::new(&beats, 0.85, 1).integrate((24.0 * hz) as usize, hz)[0];
        for beat in &beats[1..28] {
            let due = (beat.time_s * hz).round() as usize;
            let window = &lead[due - 40..due + 40];
            let top = (0..80).fold(0, |top, i| if window[i] > window[top] { i } else { top });
            assert!(top.abs_diff(40) <= 2, "{:?} {top}", beat.kind);
        }
    }

    /// Halving the step changes next to nothing.
    #[test]
    fn the_sample_rate_does_not_matter() {
        let kinds = [Kind::Normal, Kind::Ventricular, Kind::Atrial].repeat(5);
        let beats = regular(&kinds, 0.8);
        let coarse = Model::new(&beats, 0.8, 1).integrate(2000, 250.0);
        let fine = Model::new(&beats, 0.8, 1).integrate(4000, 500.0);
        for (coarse, fine) in coarse.iter().zip(&fine) {
            for (k, value) in coarse.iter().enumerate() {
                assert!((value - fine[2 * k]).abs() < 0.01, "{k}");
            }
        }
    }
}
