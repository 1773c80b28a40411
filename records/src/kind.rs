//! Whether a lead is an ECG, by its name.

/// What a lead records, as far as its name says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LeadKind {
    /// An ECG: its name is one of a lead, or says so.
    Ecg,
    /// Its name does not say.
    Unknown,
    /// Something else: brain, muscles, eyes, breath, pressure, movement, a counter; or nothing that ever changes.
    Other,
}

/// What the name says.
pub(crate) fn kind_of(name: &str) -> LeadKind {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    let says = |parts: &[&str]| parts.iter().any(|part| lower.contains(part));
    let is = |known: &[&str]| words.iter().any(|word| known.contains(word));
    // `ECG1`, `EKG`, but not `EMG (ECG artefact)`: the first that is said counts.
    let place = |parts: &[&str]| parts.iter().filter_map(|part| lower.find(part)).min();
    let (ecg, other) = (place(&ECG_PARTS), place(&OTHER_PARTS));
    match (ecg, other) {
        (Some(ecg), Some(other)) if other < ecg => return LeadKind::Other,
        (Some(_), _) => return LeadKind::Ecg,
        (None, Some(_)) => return LeadKind::Other,
        (None, None) => {}
    }
    if is(&OTHER_WORDS) || says(&["sp02"]) || is_of_the_scalp(&words) {
        LeadKind::Other
    } else if words.iter().any(|word| is_lead(word)) {
        LeadKind::Ecg
    } else {
        LeadKind::Unknown
    }
}

const ECG_PARTS: [&str; 6] = ["ecg", "ekg", "electrocard", "elektrokard", "cardio", "экг"];

const OTHER_PARTS: [&str; 46] = [
    "eeg",
    "emg",
    "eog",
    "resp",
    "breath",
    "acc",
    "gyro",
    "magnet",
    "ppg",
    "pleth",
    "spo2",
    "sao2",
    "press",
    "flow",
    "temp",
    "airflow",
    "snore",
    "thor",
    "abdo",
    "chin",
    "battery",
    "status",
    "event",
    "marker",
    "trigger",
    "impedance",
    "gsr",
    "eda",
    "scr",
    "skin",
    "pulse",
    "heart rate",
    "heartrate",
    "position",
    "light",
    "chest effort",
    "effort",
    "cannula",
    "eye",
    "leg",
    "nasal",
    "annotation",
    "stim",
    "digital",
    "noise level",
    "checksum",
];

const OTHER_WORDS: [&str; 28] = [
    "abp", "art", "bp", "cvp", "pap", "icp", "co2", "etco2", "hr", "rr", "pr", "roc", "loc", "lat",
    "rat", "tib", "plm", "mic", "pos", "body", "aux", "dc", "crc", "flags", "rip", "ox", "nn",
    "ihr",
];

/// Whether a word is the name of an ECG lead.
fn is_lead(word: &str) -> bool {
    const LEADS: [&str; 30] = [
        "i", "ii", "iii", "avr", "avl", "avf", "mli", "mlii", "mliii", "ml2", "mv1", "mv2", "mv5",
        "mcl", "mcl1", "mcl5", "mcl6", "cm5", "cc5", "cm2", "d1", "d2", "d3", "di", "dii", "diii",
        "vx", "vy", "vz", "ml5",
    ];
    let chest = word
        .strip_prefix("mv")
        .or(word.strip_prefix('v'))
        .unwrap_or(word);
    let is_chest = chest.len() < word.len()
        && (chest.is_empty() || matches!(chest.trim_end_matches('r').parse(), Ok(1..=9)));
    LEADS.contains(&word) || is_chest
}

/// Whether the words name electrodes of the 10-20 system: `fpz cz`, `c4 a1`, `fp1 f7`, `c3a2`.
fn is_of_the_scalp(words: &[&str]) -> bool {
    let is_site = |word: &str| {
        let letters = word.trim_end_matches(|c: char| c.is_ascii_digit());
        let digits = &word[letters.len()..];
        let numbered = [
            "fp", "af", "f", "fc", "ft", "c", "t", "cp", "tp", "p", "po", "o", "a", "m",
        ];
        let midline = [
            "fpz", "afz", "fz", "fcz", "cz", "cpz", "pz", "poz", "oz", "nz", "iz",
        ];
        match digits {
            "" => midline.contains(&letters),
            _ => numbered.contains(&letters) && digits.parse().is_ok_and(|n: u8| n <= 10),
        }
    };
    // Two sites written as one.
    let is_pair = |word: &str| {
        (1..word.len())
            .filter(|at| word.is_char_boundary(*at))
            .any(|at| is_site(&word[..at]) && is_site(&word[at..]))
    };
    // The ear and the mastoid alone are inputs of other devices: `A2`.
    if let [word] = words
        && word.starts_with(['a', 'm'])
        && is_site(word)
    {
        return false;
    }
    !words.is_empty()
        && words
            .iter()
            .all(|word| is_site(word) || is_pair(word) || *word == "ref")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_by_name() {
        for (kind, names) in [
            (
                LeadKind::Ecg,
                &[
                    "I",
                    "II",
                    "aVR",
                    "V1",
                    "V",
                    "v5",
                    "MLII",
                    "ECG",
                    "ECG1",
                    "EKG",
                    "ECG II",
                    "ecg [uV]",
                    "MCL1",
                    "CM5",
                    "Lead I",
                    "Electrocardiogram",
                    "D2",
                    "vx",
                    "EXG ECG LL-RA",
                    "V4R",
                ][..],
            ),
            (
                LeadKind::Other,
                &[
                    "EEG Fpz-Cz",
                    "EMG submental",
                    "EOG horizontal",
                    "Resp oro-nasal",
                    "Temp rectal",
                    "C4-A1",
                    "FP1-F7",
                    "C3A2",
                    "Fpz",
                    "SaO2",
                    "ABP",
                    "PLETH",
                    "Acc X",
                    "accelerometer_z",
                    "SpO2",
                    "HR",
                    "Event marker",
                    "O2-A1",
                    "T7-P7",
                    "EEG(sec)",
                    "Lefteye",
                    "Chin EMG",
                ],
            ),
            (
                LeadKind::Unknown,
                &[
                    "lead 0",
                    "chan 1",
                    "A2",
                    "EXG Channel 0",
                    "chest",
                    "",
                    "CH1",
                    "column",
                    "E-S",
                    "noise1",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(kind_of(name), kind, "{name}");
            }
        }
    }
}
