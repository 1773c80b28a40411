//! The classes of a beat by ANSI/AAMI EC57.

/// What a heartbeat is, by ANSI/AAMI EC57:2012.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Class {
    /// Normal or bundle branch block: any beat that is in none of the other classes.
    N,
    /// Supraventricular ectopic.
    S,
    /// Ventricular ectopic.
    V,
    /// Fusion of a ventricular and a normal beat.
    F,
    /// Paced, fused with a paced beat, or unreadable.
    Q,
}

impl Class {
    /// All five, in the order of AAMI EC57; the first [`crate::spec::LABELS`]`.len()` are the network's outputs.
    pub const ALL: [Self; 5] = [Self::N, Self::S, Self::V, Self::F, Self::Q];

    /// The class's one-letter name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::N => "N",
            Self::S => "S",
            Self::V => "V",
            Self::F => "F",
            Self::Q => "Q",
        }
    }

    /// What the class means, in one word.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::N => "normal",
            Self::S => "supraventricular",
            Self::V => "ventricular",
            Self::F => "fusion",
            Self::Q => "unreadable",
        }
    }

    /// The class of the network's output `index`, or `None` past the last.
    pub fn from_output(index: usize) -> Option<Self> {
        (index < crate::spec::LABELS.len()).then(|| Self::ALL[index])
    }

    /// The class of a beat with these logits or probabilities: that of the largest, the first of equals. [`Class::Q`]
    /// where the signal cannot be read, or where one of them is not a number.
    pub fn of(values: &[f32; crate::spec::LABELS.len()], readable: bool) -> Self {
        if !readable || values.iter().any(|value| value.is_nan()) {
            return Self::Q;
        }
        Self::ALL[crate::model::argmax(values)]
    }

    /// Whether a beat of this class with these probabilities is *unsure*: the two likeliest classes are closer than
    /// [`UNSURE_MARGIN`](crate::spec::UNSURE_MARGIN). `None` where there is nothing to be sure of: class Q, probabilities that are not
    /// all numbers, or none above 0.
    pub fn is_unsure(self, probabilities: &[f32; crate::spec::LABELS.len()]) -> Option<bool> {
        let margin = crate::model::margin(probabilities);
        let known = !margin.is_nan() && probabilities.iter().any(|p| *p > 0.0);
        let judged = known && self != Self::Q;
        judged.then_some(margin < crate::spec::UNSURE_MARGIN)
    }
}

impl core::fmt::Display for Class {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beat_is_unsure_where_two_classes_are_close() {
        let sure = [0.76, 0.24, 0.0, 0.0];
        let unsure = [0.7, 0.3, 0.0, 0.0];
        assert_eq!(Class::N.is_unsure(&sure), Some(false));
        assert_eq!(Class::N.is_unsure(&unsure), Some(true));
        assert_eq!(Class::Q.is_unsure(&unsure), None);
        assert_eq!(Class::N.is_unsure(&[f32::NAN; 4]), None);
        assert_eq!(Class::V.is_unsure(&[0.0; 4]), None);
    }

    #[test]
    fn outputs_are_named_as_the_specification_says() {
        for (index, label) in crate::spec::LABELS.iter().enumerate() {
            assert_eq!(
                Class::from_output(index).map(Class::name),
                Some(*label),
                "output {index}"
            );
        }
        assert_eq!(Class::from_output(4), None);
    }

    #[test]
    fn the_largest_logit_names_the_class_where_the_signal_can_be_read() {
        assert_eq!(Class::of(&[1.0, 3.0, 3.0, 2.0], true), Class::S);
        assert_eq!(Class::of(&[-1.0, -3.0, -3.0, -0.5], true), Class::F);
        assert_eq!(Class::of(&[1.0, 3.0, 3.0, 2.0], false), Class::Q);
    }

    #[test]
    fn what_is_not_a_number_is_q() {
        for place in 0..crate::spec::LABELS.len() {
            let mut values = [0.1, 0.2, 0.3, 0.4];
            values[place] = f32::NAN;
            assert_eq!(Class::of(&values, true), Class::Q, "{place}");
        }
        assert_eq!(Class::of(&[f32::NAN; 4], true), Class::Q);
    }
}
