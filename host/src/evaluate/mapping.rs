//! Which beat code of an annotation file is which class.

use super::bxb::{Event, Kind};
use crate::records::annotation::{Annotation, Code};
use heartlens_core::class::Class;
use serde::Serialize;

/// Which codes make which class. The two differ in the escape beats of atrium and node, `e j n`, alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mapping {
    /// The classes of [`Code::aami`], which all published classifiers use: `e j n` are N.
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
            _ => code.aami(),
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
