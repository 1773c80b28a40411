//! Units of voltage, as records write them.

use std::fmt;
use std::str::FromStr;

/// A unit of voltage. Parses from `mV`, `uV` (or `µV`), `nV` and `V` in upper and lower case alike, and from `millivolt`,
/// `microvolts`, ... spelled out (of EDF's eight letters as well), and from `мкВ`, `мВ`, `В`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoltageUnit {
    /// Volt.
    Volt,
    /// Millivolt.
    Millivolt,
    /// Microvolt.
    Microvolt,
    /// Nanovolt.
    Nanovolt,
}

impl VoltageUnit {
    /// How many of the unit are 1 mV.
    pub const fn per_mv(self) -> f64 {
        match self {
            Self::Volt => 1e-3,
            Self::Millivolt => 1.0,
            Self::Microvolt => 1e3,
            Self::Nanovolt => 1e6,
        }
    }
}

/// A text that names no unit of voltage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a unit of voltage: mV, uV, nV or V")]
pub struct NoVoltage;

impl FromStr for VoltageUnit {
    type Err = NoVoltage;

    fn from_str(text: &str) -> Result<Self, NoVoltage> {
        match text {
            "V" | "v" => Ok(Self::Volt),
            "mV" | "mv" | "MV" => Ok(Self::Millivolt),
            "uV" | "uv" | "UV" | "\u{b5}V" | "\u{3bc}V" => Ok(Self::Microvolt),
            "nV" | "nv" => Ok(Self::Nanovolt),
            _ => {
                let lower = text.trim().to_lowercase();
                match lower.trim_end_matches('s').trim_end_matches('.') {
                    "volt" | "в" => Ok(Self::Volt),
                    "millivolt" | "millivol" | "mvolt" | "milli volt" | "mv" | "мв" => {
                        Ok(Self::Millivolt)
                    }
                    "microvolt" | "microvol" | "uvolt" | "мкв" | "\u{b5}volt" | "\u{3bc}volt"
                    | "micro volt" | "uv" | "\u{b5}v" | "\u{3bc}v" | "microv" => {
                        Ok(Self::Microvolt)
                    }
                    "nanovolt" | "nvolt" | "nano volt" | "нв" => Ok(Self::Nanovolt),
                    _ => Err(NoVoltage),
                }
            }
        }
    }
}

impl fmt::Display for VoltageUnit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Volt => "V",
            Self::Millivolt => "mV",
            Self::Microvolt => "uV",
            Self::Nanovolt => "nV",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_by_symbol_and_by_name() {
        for (unit, texts) in [
            (VoltageUnit::Volt, &["V", "v", "Volt", "volts"][..]),
            (
                VoltageUnit::Millivolt,
                &["mV", "MV", "millivolt", "Millivolts", "mVolt"],
            ),
            (
                VoltageUnit::Microvolt,
                &[
                    "uV",
                    "\u{b5}V",
                    "\u{3bc}v",
                    "microvolts",
                    "uVolts",
                    "\u{b5}Volt",
                    "microvol",
                    "мкВ",
                ],
            ),
            (VoltageUnit::Nanovolt, &["nV", "nanovolt"]),
        ] {
            for text in texts {
                assert_eq!(text.parse(), Ok(unit), "{text}");
            }
        }
        for text in ["", "vs", "kV", "mmHg", "revolt", "mv/mm"] {
            assert_eq!(text.parse::<VoltageUnit>(), Err(NoVoltage), "{text}");
        }
    }
}
