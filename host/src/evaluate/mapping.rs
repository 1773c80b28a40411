//! Which beat code of an annotation file is which class.

use super::bxb::{Event, Kind};
use crate::records::annotation::{Annotation, Annotations, Code};
use heartlens_core::class::Class;
use serde::Serialize;

/// The beat's class by ANSI/AAMI EC57, or `None` where the annotation is not a beat.
///
/// Escape beats of atrium and node (`e j n`) count as N as in de Chazal et al. 2004 (IEEE Trans. Biomed. Eng. 51:1196)
/// and all work that compares with it; WFDB's `bxb -L` counts them as S. `r` is a V, `B` an N and `?` a Q, as in `bxb`.
pub const fn aami(code: Code) -> Option<Class> {
    match code {
        Code::NORMAL
        | Code::LEFT_BUNDLE_BRANCH_BLOCK
        | Code::RIGHT_BUNDLE_BRANCH_BLOCK
        | Code::BUNDLE_BRANCH_BLOCK
        | Code::ATRIAL_ESCAPE
        | Code::JUNCTIONAL_ESCAPE
        | Code::SUPRAVENTRICULAR_ESCAPE => Some(Class::N),
        Code::ATRIAL_PREMATURE
        | Code::ABERRATED_ATRIAL_PREMATURE
        | Code::JUNCTIONAL_PREMATURE
        | Code::SUPRAVENTRICULAR_PREMATURE => Some(Class::S),
        Code::VENTRICULAR_PREMATURE | Code::VENTRICULAR_ESCAPE | Code::R_ON_T => Some(Class::V),
        Code::FUSION => Some(Class::F),
        Code::PACED | Code::PACED_FUSION | Code::UNCLASSIFIABLE | Code::LEARNING => Some(Class::Q),
        _ => None,
    }
}

/// The beats among annotations, in order of time, each with its class by [`aami`].
pub fn beats(annotations: &Annotations) -> impl Iterator<Item = (&Annotation, Class)> {
    let list = annotations.list.iter();
    list.filter_map(|annotation| Some((annotation, aami(annotation.code)?)))
}

/// Which codes make which class. The two differ in the escape beats of atrium and node, `e j n`, alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapping {
    /// The classes of [`aami`], which all published classifiers use: `e j n` are N.
    #[default]
    Aami,
    /// The classes of `bxb` with its options `-C`, `-L`, `-S` (its function `amap`): `e j n` are S.
    Bxb,
}

impl Mapping {
    /// The class of a beat code, or `None` where the code is not a beat.
    pub fn class(self, code: Code) -> Option<Class> {
        match (self, code) {
            (
                Self::Bxb,
                Code::ATRIAL_ESCAPE | Code::JUNCTIONAL_ESCAPE | Code::SUPRAVENTRICULAR_ESCAPE,
            ) => Some(Class::S),
            _ => aami(code),
        }
    }

    /// What an annotation means to the comparison.
    pub fn event(self, annotation: &Annotation) -> Event {
        let kind = match annotation.code {
            Code::FLUTTER_WAVE => Kind::FlutterWave,
            Code::FLUTTER_START => Kind::FlutterStart,
            Code::FLUTTER_END => Kind::FlutterEnd,
            Code::QUALITY_CHANGE => Kind::Quality {
                shutdown: annotation.subtype & 0x30 == 0x30,
            },
            code => self.class(code).map_or(Kind::Other, Kind::Beat),
        };
        Event {
            sample: annotation.sample,
            kind,
        }
    }

    /// What a list of annotations means to the comparison, event by event.
    pub fn events(self, annotations: &[Annotation]) -> Vec<Event> {
        annotations.iter().map(|a| self.event(a)).collect()
    }

    /// The codes of every class, as annotation files print them.
    pub fn codes(self) -> Codes {
        let of = |class| {
            (0..=u8::MAX)
                .filter_map(Code::new)
                .filter(|&code| self.class(code) == Some(class))
                .map(Code::mnemonic)
                .collect()
        };
        Codes {
            n: of(Class::N),
            s: of(Class::S),
            v: of(Class::V),
            f: of(Class::F),
            q: of(Class::Q),
        }
    }
}

/// The beat codes of every class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub struct Codes {
    /// Normal, bundle branch block and all that is in none of the others.
    pub n: Vec<&'static str>,
    /// Supraventricular ectopic.
    pub s: Vec<&'static str>,
    /// Ventricular ectopic.
    pub v: Vec<&'static str>,
    /// Fusion.
    pub f: Vec<&'static str>,
    /// Paced or unclassifiable.
    pub q: Vec<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The classes of all 50 codes, as one string in the codes' order; every beat has one.
    #[test]
    fn classes_are_those_of_ec57() {
        let codes = || (0..=u8::MAX).filter_map(Code::new);
        let classes: String = codes()
            .map(|code| aami(code).map_or(".", Class::name))
            .collect();
        assert_eq!(
            classes,
            ".NNNSVFSSSVNQQ...........N....Q...NN..Q..V........"
        );
        assert!(codes().all(|code| aami(code).is_some() == code.is_beat()));
        for (names, class) in [
            ("N L R B e j n", Class::N),
            ("A a J S", Class::S),
            ("V E r", Class::V),
            ("F", Class::F),
            ("/ f Q ?", Class::Q),
        ] {
            for name in names.split(' ') {
                assert_eq!(
                    Code::from_mnemonic(name).and_then(aami),
                    Some(class),
                    "{name}"
                );
            }
        }
    }
}
