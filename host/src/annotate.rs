//! Beats and their rhythm as WFDB annotations.

use crate::analysis::Beat;
use crate::records::annotation::{Annotation, Code};
use heartlens_core::class::Class;

/// Rhythms as WFDB names them. What is no fibrillation has no name of its own: `(N` stands for it.
const FIBRILLATION: &str = "(AFIB";
const OTHER: &str = "(N";

/// The annotations of a recording's beats, in order of time: each with the code of its class, and a change of rhythm one
/// sample before the beat at which atrial fibrillation begins or ends. Before the rhythm is judged there is none.
pub fn annotations(beats: &[Beat]) -> Vec<Annotation> {
    let mut annotations: Vec<Annotation> = Vec::with_capacity(beats.len());
    let mut before = None;
    for beat in beats {
        if let Some(fibrillation) = beat.fibrillation
            && before != beat.fibrillation
        {
            let name = if fibrillation { FIBRILLATION } else { OTHER };
            let earliest = annotations.last().map_or(0, |last| last.sample);
            let sample = beat.sample.saturating_sub(1).max(earliest);
            annotations.push(Annotation::rhythm_change(sample, name));
            before = beat.fibrillation;
        }
        annotations.push(Annotation::new(beat.sample, code(beat.class)));
    }
    annotations
}

/// The WFDB code that stands for a class of EC57.
pub(crate) fn code(class: Class) -> Code {
    match class {
        Class::N => Code::NORMAL,
        Class::S => Code::SUPRAVENTRICULAR_PREMATURE,
        Class::V => Code::VENTRICULAR_PREMATURE,
        Class::F => Code::FUSION,
        Class::Q => Code::UNCLASSIFIABLE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rhythm_changes_stand_before_their_beats() {
        let rhythm = [None, Some(false), Some(true), Some(true), Some(false)];
        let beats: Vec<Beat> = (0..5)
            .map(|i| Beat {
                class: if i == 3 { Class::V } else { Class::N },
                fibrillation: rhythm[i],
                ..Beat::at(100 * i as u64, i as f64)
            })
            .collect();
        let found = annotations(&beats);
        let words: Vec<String> = found
            .iter()
            .map(|a| {
                let name = a.rhythm().unwrap_or_default();
                format!("{}{}{}", a.sample, a.code, String::from_utf8_lossy(name))
            })
            .collect();
        assert_eq!(
            words,
            [
                "0N",
                "99+(N",
                "100N",
                "199+(AFIB",
                "200N",
                "300V",
                "399+(N",
                "400N"
            ]
        );
    }
}
