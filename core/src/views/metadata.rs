//! The metadata view: what surrounds the beat - RR intervals, the patient's rhythm, how the beat differs from the
//! template, and the patient.
//!
//! Every value is a logarithm of a ratio, a correlation or a share, scaled to about unit size and clipped.
//!
//! | index | features |
//! |---|---|
//! | 0..14 | RR intervals against their running medians |
//! | 14..26 | the RR history's spread and the sinus reference |
//! | 26..38 | the beat against the template |
//! | 38..42 | energy of the P wave, width of the template |
//! | 42..46 | age and sex, each with a flag |

use crate::patient::{Patient, Sex};
use crate::rr::{RrContext, clip_rr};
use crate::spec::{
    ATRIAL_FEATURES, METADATA_LEN, PATIENT_FEATURES, RHYTHM_FEATURES, RR_FEATURES, SHAPE_FEATURES,
};
use crate::stats::{mean, median, pearson, rms, std_dev};
use crate::template::{BeatWindow, QRS, Template, around_r};
use libm::logf;

/// The P wave, in samples from the R peak.
const P_WAVE: (isize, isize) = (-36, -10);
/// The T wave, in samples from the R peak.
const T_WAVE: (isize, isize) = (16, 57);
/// The core of the QRS complex, whose shape is compared, in samples from the R peak.
const QRS_CORE: (isize, isize) = (-16, 16);
/// The whole beat, in samples from the R peak.
const BEAT: (isize, isize) = (-32, 57);
/// Where the steepest slope is looked for, in samples from the R peak.
const SLOPE: (isize, isize) = (-20, 19);
/// Amplitude below which nothing is told apart, in mV.
const FLOOR_MV: f32 = 0.02;

/// First index of the patient's features: they can be masked without knowing the others.
pub const PATIENT_START: usize = METADATA_LEN - PATIENT_FEATURES;

/// All features of a beat.
///
/// `post_s` is the RR interval that follows, in seconds; `None` where the recording ends before it is known, and then
/// it counts as the local median. `previous` is the beat before (the beat itself if there is none), in mV.
///
/// # Shapes
/// -> `[METADATA_LEN]`
pub(crate) fn metadata(
    rr: &RrContext,
    post_s: Option<f32>,
    beat: &BeatWindow,
    previous: &BeatWindow,
    template: &Template,
    patient: &Patient,
) -> [f32; METADATA_LEN] {
    let post_s = clip_rr(post_s.unwrap_or(rr.local_median_s));
    let mut view = [0.0; METADATA_LEN];
    let (rr_part, rest) = view.split_at_mut(RR_FEATURES);
    let (rhythm_part, rest) = rest.split_at_mut(RHYTHM_FEATURES);
    let (shape_part, rest) = rest.split_at_mut(SHAPE_FEATURES);
    let (atrial_part, patient_part) = rest.split_at_mut(ATRIAL_FEATURES);
    rr_part.copy_from_slice(&rr_features(rr, post_s));
    rhythm_part.copy_from_slice(&rhythm_features(rr, post_s));
    shape_part.copy_from_slice(&shape_features(beat, previous, template));
    atrial_part.copy_from_slice(&atrial_features(beat, template));
    patient_part.copy_from_slice(&patient_features(patient));
    view
}

/// RR intervals as logarithms of ratios, each clipped to +-1.5 and doubled.
pub(crate) fn rr_features(rr: &RrContext, post_s: f32) -> [f32; RR_FEATURES] {
    let pre = rr.pre_s;
    [
        logf(pre / rr.local_median_s),
        logf(post_s / rr.local_median_s),
        logf(post_s / pre),
        logf(pre / rr.global_median_s),
        logf(post_s / rr.global_median_s),
        logf(rr.previous_s / rr.local_median_s),
        logf(rr.before_previous_s / rr.local_median_s),
        logf(rr.global_median_s / 0.8),
        logf(pre / 0.8),
        3.0 * rr.local_step - 0.3,
        logf((pre + post_s) / (2.0 * rr.global_median_s)),
        logf(pre / rr.local_mean_s),
        logf(pre / rr.previous_s),
        rr.shorter_share - 0.5,
    ]
    .map(|v| v.clamp(-1.5, 1.5) * 2.0)
}

/// The RR history's spread, and the beat against the sinus reference; clipped to +-3.
pub(crate) fn rhythm_features(rr: &RrContext, post_s: f32) -> [f32; RHYTHM_FEATURES] {
    let from_median = rr.log - rr.log_median;
    [
        2.0 * (rr.log - rr.log_reference),
        2.0 * (logf(post_s) - rr.log_reference),
        2.0 * (logf(rr.previous_s) - rr.log_reference),
        2.0 * (rr.log_reference - logf(0.8)),
        from_median / (1.5 * rr.log_mad + 0.05) / 3.0,
        logf(rr.log_mad + 0.02) + 3.0,
        2.0 * (rr.log - rr.log_p10),
        2.0 * (rr.log - rr.log_p90),
        3.0 * rr.premature - 0.3,
        logf(rr.irregularity + 0.02) + 2.5,
        from_median / (rr.log_std + 0.05) / 3.0,
        logf(rr.log_std + 0.02) + 2.0,
    ]
    .map(|v| v.clamp(-3.0, 3.0))
}

/// Size, width and slope of a QRS complex, from the beat less its own median.
struct Complex {
    rms_mv: f32,
    /// Area over height, in samples.
    width: f32,
    /// Steepest step between two samples, in mV.
    slope_mv: f32,
}

impl Complex {
    fn of(window: &BeatWindow) -> Self {
        let mut whole = [0.0; (BEAT.1 - BEAT.0 + 1) as usize];
        whole.copy_from_slice(around_r(window, BEAT.0, BEAT.1));
        let baseline = median(&mut whole);
        let qrs = around_r(window, QRS.0, QRS.1);
        let mut levelled = [0.0; (QRS.1 - QRS.0 + 1) as usize];
        for (out, x) in levelled.iter_mut().zip(qrs) {
            *out = x - baseline;
        }
        let area: f32 = levelled.iter().map(|x| x.abs()).sum();
        let height = levelled.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
        let steepest = around_r(window, SLOPE.0, SLOPE.1)
            .windows(2)
            .fold(0.0_f32, |m, pair| m.max((pair[1] - pair[0]).abs()));
        Self {
            rms_mv: rms(&levelled) + FLOOR_MV,
            width: area / (height + FLOOR_MV),
            slope_mv: steepest + FLOOR_MV / 4.0,
        }
    }
}

/// Largest correlation of `beat`, shifted by each of `lags`, with `other`, both over `span`.
fn best_correlation(
    beat: &BeatWindow,
    other: &BeatWindow,
    (first, last): (isize, isize),
    lags: impl Iterator<Item = isize>,
) -> f32 {
    let other = around_r(other, first, last);
    lags.map(|lag| pearson(around_r(beat, first + lag, last + lag), other))
        .fold(-1.0, f32::max)
}

/// Root mean square of the difference of two windows over `span`, each less its own mean there, in mV.
fn difference_mv(a: &BeatWindow, b: &BeatWindow, (first, last): (isize, isize)) -> f32 {
    let (a, b) = (around_r(a, first, last), around_r(b, first, last));
    let offset = mean(a) - mean(b);
    let sum: f32 = a
        .iter()
        .zip(b)
        .map(|(a, b)| {
            let d = a - b - offset;
            d * d
        })
        .sum();
    libm::sqrtf(sum / a.len() as f32)
}

/// The beat against the template and the beat before; clipped to +-3.
pub(crate) fn shape_features(
    beat: &BeatWindow,
    previous: &BeatWindow,
    template: &Template,
) -> [f32; SHAPE_FEATURES] {
    let mean_beat = template.mean();
    let scale = template.scale_mv();
    let (own, usual) = (Complex::of(beat), Complex::of(mean_beat));
    [
        best_correlation(beat, mean_beat, QRS_CORE, -3..=3),
        best_correlation(beat, mean_beat, BEAT, [-2, 0, 2].into_iter()),
        logf(own.rms_mv / usual.rms_mv),
        logf((own.width + TINY) / (usual.width + TINY)),
        logf((own.width + TINY) / USUAL_WIDTH),
        logf(own.slope_mv / usual.slope_mv),
        logf((difference_mv(beat, mean_beat, P_WAVE) + FLOOR_MV / 2.0) / scale) + 2.0,
        logf((difference_mv(beat, mean_beat, T_WAVE) + FLOOR_MV / 2.0) / scale) + 1.5,
        pearson(
            around_r(beat, P_WAVE.0, P_WAVE.1),
            around_r(mean_beat, P_WAVE.0, P_WAVE.1),
        ),
        best_correlation(beat, previous, QRS_CORE, -2..=2),
        logf(own.slope_mv / own.rms_mv),
        2.0 * template.agreement() - 1.0,
    ]
    .map(|v| v.clamp(-3.0, 3.0))
}

/// Keeps the width of a flat line from being zero under a logarithm, in samples.
const TINY: f32 = 1e-3;
/// A usual width, area over height, in samples.
const USUAL_WIDTH: f32 = 12.0;

/// Energy of the P wave in template and beat, and the template's width; clipped to +-3.
pub(crate) fn atrial_features(beat: &BeatWindow, template: &Template) -> [f32; ATRIAL_FEATURES] {
    let scale = template.scale_mv();
    let energy = |window: &BeatWindow| {
        let p_wave = around_r(window, P_WAVE.0, P_WAVE.1);
        logf((std_dev(p_wave) + FLOOR_MV / 4.0) / scale) + 1.8
    };
    let (usual, own) = (energy(template.mean()), energy(beat));
    let width = Complex::of(template.mean()).width;
    [usual, own, logf((width + TINY) / USUAL_WIDTH), own - usual].map(|v| v.clamp(-3.0, 3.0))
}

/// Age and sex: `[(age - 50) / 50 clipped to +-1, age known, sex (female -1, male +1), sex known]`; what is not known
/// is zero, and so is its flag. An age that is not finite is not known.
pub(crate) fn patient_features(patient: &Patient) -> [f32; PATIENT_FEATURES] {
    let [age, age_known] = match patient.age_years.filter(|age| age.is_finite()) {
        Some(age) => [((age - 50.0) / 50.0).clamp(-1.0, 1.0), 1.0],
        None => [0.0, 0.0],
    };
    let [sex, sex_known] = match patient.sex {
        Some(Sex::Female) => [-1.0, 1.0],
        Some(Sex::Male) => [1.0, 1.0],
        None => [0.0, 0.0],
    };
    [age, age_known, sex, sex_known]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_that_is_not_finite_is_not_known() {
        for age in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let patient = Patient {
                age_years: Some(age),
                sex: None,
            };
            assert_eq!(patient_features(&patient), [0.0; 4], "{age}");
        }
    }
}
