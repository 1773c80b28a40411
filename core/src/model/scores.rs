//! From logits to scores, the same on every machine.

use crate::spec::LABELS;

/// One logit a class, in the order of [`LABELS`].
pub type Logits = [f32; LABELS.len()];

/// Probabilities of the classes: `exp(x - max)` over their sum. All are NaN where a logit is NaN or positive infinity, or
/// none is above negative infinity.
pub fn softmax(logits: &Logits) -> Logits {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exp = logits.map(|x| libm::expf(x - max));
    let sum: f32 = exp.iter().sum();
    exp.map(|x| x / sum)
}

/// The largest less the second largest; NaN where one is NaN.
pub fn margin(values: &Logits) -> f32 {
    let mut best = [f32::NEG_INFINITY; 2];
    for &value in values {
        if value.is_nan() {
            return value;
        }
        if value > best[0] {
            best = [value, best[0]];
        } else if value > best[1] {
            best[1] = value;
        }
    }
    best[0] - best[1]
}

/// Index of the largest logit, the first of equals. NaN is never larger; [`Class::of`](crate::class::Class::of) tells
/// whether there is a class at all.
pub fn argmax(logits: &Logits) -> usize {
    (1..logits.len()).fold(0, |best, i| if logits[i] > logits[best] { i } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_and_argmax_by_hand() {
        let p = softmax(&[0.0, (3.0_f32).ln(), 0.0, 0.0]);
        assert!((p[1] - 0.5).abs() < 1e-6 && (p[0] - 1.0 / 6.0).abs() < 1e-6);
        let p = softmax(&[1000.0, -1000.0, 1000.0, f32::MIN]);
        assert_eq!(p, [0.5, 0.0, 0.5, 0.0]);
        for bad in [
            [f32::NAN, 1.0, 2.0, 3.0],
            [1.0, 2.0, 3.0, f32::NAN],
            [0.0, f32::INFINITY, 0.0, 0.0],
            [f32::NEG_INFINITY; 4],
        ] {
            assert!(softmax(&bad).iter().all(|p| p.is_nan()), "{bad:?}");
        }
        assert_eq!(margin(&[0.1, 0.6, 0.0, 0.3]), 0.6 - 0.3);
        assert_eq!(margin(&[0.4, 0.4, 0.2, 0.0]), 0.0);
        assert!(margin(&[0.5, 0.4, f32::NAN, 0.1]).is_nan());
        assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
        assert_eq!(argmax(&[4.0, 3.0, 3.0, 2.0]), 0);
    }
}
