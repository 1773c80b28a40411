//! Synthetic ECG records with reference annotations.
//!
//! The signal is that of ECGSYN ([`Recording::generate`]), the rhythm a sinus rhythm with ectopic beats. It resembles
//! an ECG, comes from no patient, and proves nothing about real ones. All arithmetic is IEEE double precision with
//! transcendental functions from `libm`: the same options give the same bytes on every machine.

mod model;
mod noise;
mod random;
mod rhythm;

use crate::file::NewFile;
use crate::records::annotation::{Annotation, Annotations, Code, Unwritable};
use crate::records::header::{Header, Signal};
use crate::records::signal::{Format, checksum};
use model::{LEAD_NAMES, LEADS, Model};
use rhythm::SinusRhythm;
use std::fmt;
use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Lengths that are accepted, in minutes: up to two days.
pub const MINUTES: RangeInclusive<f64> = 0.1..=2880.0;
/// Sample rates that are accepted, in Hz.
pub const SAMPLE_RATES_HZ: RangeInclusive<f64> = 100.0..=1000.0;
/// Signal-to-noise ratios that are accepted, in dB.
pub const NOISE_DB: RangeInclusive<f64> = -20.0..=80.0;

/// Mean and standard deviation of the sinus rhythm, in beats a minute.
const HEART_RATE_BPM: (f64, f64) = (70.0, 2.5);

/// How far from its due time a QRS complex's tallest point is looked for, in seconds.
const PEAK_REACH_S: f64 = 0.06;
/// How long before its first beat a rhythm is annotated, in seconds.
const RHYTHM_LEAD_S: f64 = 0.15;

/// Counts per millivolt of a written record.
const COUNTS_PER_MV: f64 = 200.0;
const FORMAT: Format = Format::Bits12;

/// Which beats there are besides normal ones. Parses from `N`, `N,S`, `N,V` or `N,S,V`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classes {
    /// Supraventricular ectopic beats, 4 % of all.
    pub supraventricular: bool,
    /// Ventricular ectopic beats, 6 % of all.
    pub ventricular: bool,
}

impl Default for Classes {
    fn default() -> Self {
        Self {
            supraventricular: true,
            ventricular: true,
        }
    }
}

/// A list of classes that cannot be synthesised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found classes `{found}`, expected N alone or with S, V or both, as in `N,S,V`")]
pub struct UnknownClasses {
    found: String,
}

impl FromStr for Classes {
    type Err = UnknownClasses;

    fn from_str(text: &str) -> Result<Self, UnknownClasses> {
        let unknown = || UnknownClasses {
            found: text.to_owned(),
        };
        let mut classes = Self {
            supraventricular: false,
            ventricular: false,
        };
        let mut normal = false;
        for name in text.split(',') {
            let class = match name.trim() {
                "N" => &mut normal,
                "S" => &mut classes.supraventricular,
                "V" => &mut classes.ventricular,
                _ => return Err(unknown()),
            };
            *class = true;
        }
        if normal { Ok(classes) } else { Err(unknown()) }
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match (self.supraventricular, self.ventricular) {
            (false, false) => "N",
            (true, false) => "N,S",
            (false, true) => "N,V",
            (true, true) => "N,S,V",
        })
    }
}

/// What to synthesise.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Length in minutes, within [`MINUTES`].
    pub minutes: f64,
    /// Names the record: the same seed and options give the same record.
    pub seed: u64,
    /// The beats' classes.
    pub classes: Classes,
    /// The power of each lead over that of the noise on it, in dB within [`NOISE_DB`]; no noise where `None`.
    pub noise_db: Option<f64>,
    /// Samples per second, within [`SAMPLE_RATES_HZ`].
    pub sample_rate_hz: f64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            minutes: 5.0,
            seed: 1,
            classes: Classes::default(),
            noise_db: None,
            sample_rate_hz: 360.0,
        }
    }
}

/// A synthetic record.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Leads II and V1, in mV, of one length.
    pub leads_mv: [Vec<f32>; LEADS],
    /// Samples per second of either lead, in Hz.
    pub sample_rate_hz: f64,
    /// Every beat at its R peak, the tallest point of the QRS complex in lead II, and every change of rhythm.
    pub annotations: Annotations,
    /// What it was made from.
    options: Options,
}

/// A record that cannot be made or written.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// An option is out of range.
    #[error("found {found} as {option}, expected {} to {}", range.start(), range.end())]
    Option {
        /// Which.
        option: &'static str,
        /// Its value.
        found: f64,
        /// What is accepted.
        range: RangeInclusive<f64>,
    },
    /// The record's name is none for WFDB.
    #[error("found `{found}` as the record's name, expected letters, digits, `_` and `-`")]
    Name {
        /// The name.
        found: String,
    },
    /// The operating system refuses.
    #[error("{}: {cause}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The annotations cannot be written.
    #[error(transparent)]
    Annotations(#[from] Unwritable),
}

impl Recording {
    /// Synthesises a record.
    ///
    /// # Errors
    /// [`SynthError::Option`], naming the option and its range.
    pub fn generate(options: &Options) -> Result<Self, SynthError> {
        check("the length in minutes", options.minutes, MINUTES)?;
        check(
            "the sample rate in Hz",
            options.sample_rate_hz,
            SAMPLE_RATES_HZ,
        )?;
        if let Some(db) = options.noise_db {
            check("the signal-to-noise ratio in dB", db, NOISE_DB)?;
        }
        let hz = options.sample_rate_hz;
        let len = (options.minutes * 60.0 * hz).round() as usize;
        let (mean_bpm, spread_bpm) = HEART_RATE_BPM;
        let sinus = SinusRhythm::new(mean_bpm, spread_bpm, options.seed);
        let beats = rhythm::beats(len as f64 / hz, &sinus, options.classes, options.seed);
        let mut leads_mv = Model::new(&beats, 60.0 / mean_bpm, options.seed).integrate(len, hz);

        let reach = (PEAK_REACH_S * hz).round() as usize;
        let mut list = Vec::with_capacity(beats.len());
        for beat in &beats {
            let due = (beat.time_s * hz).round();
            // A complex that the record's start or end cuts is none.
            if due < reach as f64 || due + reach as f64 >= len as f64 {
                continue;
            }
            let due = due as usize;
            let peak = due - reach + tallest(&leads_mv[0][due - reach..=due + reach]);
            if let Some(rhythm) = beat.rhythm {
                let sample = peak.saturating_sub((RHYTHM_LEAD_S * hz).round() as usize);
                list.push(Annotation {
                    aux: [rhythm.as_bytes(), b"\0"].concat(),
                    ..Annotation::new(sample as u64, Code::RHYTHM_CHANGE)
                });
            }
            list.push(Annotation::new(peak as u64, beat.kind.code()));
        }
        if let Some(db) = options.noise_db {
            for (number, lead) in leads_mv.iter_mut().enumerate() {
                noise::add(lead, hz, db, options.seed, number as u64);
            }
        }
        Ok(Self {
            leads_mv,
            sample_rate_hz: hz,
            annotations: Annotations { list },
            options: options.clone(),
        })
    }

    /// Writes the record as WFDB files `stem.hea`, `stem.dat` (format 212, 200 counts per mV) and `stem.atr`, all of
    /// them or none. The folder is made where it does not exist.
    ///
    /// # Errors
    /// [`SynthError::Name`], and [`SynthError::Io`] with the file's name.
    pub fn write(&self, stem: &Path) -> Result<(), SynthError> {
        let name = stem.file_name().map(|n| n.to_string_lossy());
        let name = name.unwrap_or_default().into_owned();
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(SynthError::Name { found: name });
        }
        if let Some(folder) = stem.parent().filter(|f| !f.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|cause| SynthError::Io {
                path: folder.to_owned(),
                cause,
            })?;
        }
        let (low, high) = FORMAT.range();
        let counts = self.leads_mv.each_ref().map(|lead| {
            lead.iter()
                .map(|&mv| (f64::from(mv) * COUNTS_PER_MV).round() as i32)
                .map(|count| count.clamp(low, high))
                .collect::<Vec<i32>>()
        });
        let header = self.header(&name, &counts).to_text();
        let samples = FORMAT.encode(&counts.each_ref().map(Vec::as_slice));
        let annotations = self.annotations.to_bytes()?;
        // The header last: without it there is no record.
        write_all_or_none(&[
            (stem.with_extension("dat"), &samples),
            (stem.with_extension("atr"), &annotations),
            (stem.with_extension("hea"), header.as_bytes()),
        ])
    }

    fn header(&self, name: &str, counts: &[Vec<i32>; LEADS]) -> Header {
        let Options {
            minutes,
            seed,
            classes,
            noise_db,
            sample_rate_hz,
        } = &self.options;
        let noise = noise_db.map_or_else(String::new, |db| format!(" --noise {db}"));
        let signals = LEAD_NAMES
            .iter()
            .zip(counts)
            .map(|(lead, counts)| Signal {
                file: format!("{name}.dat"),
                format: Some(FORMAT),
                samples_per_frame: 1,
                skew_samples: 0,
                byte_offset: 0,
                gain: COUNTS_PER_MV,
                calibrated: true,
                baseline: 0,
                units: "mV".to_owned(),
                adc_resolution_bits: 12,
                adc_zero: 0,
                initial_value: counts.first().copied().unwrap_or(0),
                checksum: Some(checksum(counts)),
                description: (*lead).to_owned(),
            })
            .collect();
        Header {
            name: name.to_owned(),
            sample_rate_hz: *sample_rate_hz,
            sample_rate_stated: true,
            start: None,
            len_samples: Some(counts[0].len() as u64),
            signals,
            comments: vec![
                "SYNTHETIC: computed, not recorded from a patient.".to_owned(),
                "Model: ECGSYN (McSharry et al. 2003) with ectopic beats.".to_owned(),
                format!(
                    "Made by: heartlens synth --seed {seed} --minutes {minutes} --rate {sample_rate_hz} \
                     --classes {classes}{noise}"
                ),
            ],
        }
    }
}

fn check(option: &'static str, found: f64, range: RangeInclusive<f64>) -> Result<(), SynthError> {
    if range.contains(&found) {
        Ok(())
    } else {
        Err(SynthError::Option {
            option,
            found,
            range,
        })
    }
}

/// Index of the sample that is farthest from 0 mV, the model's isoelectric line.
fn tallest(samples: &[f32]) -> usize {
    let mut tallest = 0;
    for (i, sample) in samples.iter().enumerate() {
        if sample.abs() > samples[tallest].abs() {
            tallest = i;
        }
    }
    tallest
}

/// Writes every file under a temporary name, then renames them; where one cannot be, none stays.
fn write_all_or_none(files: &[(PathBuf, &[u8])]) -> Result<(), SynthError> {
    let mut written = Vec::with_capacity(files.len());
    for (path, content) in files {
        let io = |cause| SynthError::Io {
            path: path.clone(),
            cause,
        };
        let mut file = NewFile::begin(path).map_err(io)?;
        file.write_all(content).map_err(io)?;
        written.push((path, file));
    }
    let mut renamed: Vec<&PathBuf> = Vec::new();
    for (path, file) in written {
        if let Err(cause) = file.finish() {
            for path in renamed {
                // Nothing more can be done where this fails too; the first error is the one to tell.
                let _ = std::fs::remove_file(path);
            }
            return Err(SynthError::Io {
                path: path.clone(),
                cause,
            });
        }
        renamed.push(path);
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::evaluate::mapping;
    use crate::records::Record;
    use heartlens_core::class::Class;

    const DEMO_SEED: u64 = 1;

    fn options(minutes: f64, seed: u64) -> Options {
        Options {
            minutes,
            seed,
            ..Options::default()
        }
    }

    /// `models/demo/README.md` states these options.
    #[test]
    fn the_bundled_demo_is_made_again_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let demo = Recording::generate(&Options {
            noise_db: Some(24.0),
            ..options(5.0, DEMO_SEED)
        })
        .unwrap();
        demo.write(&folder.path().join("demo")).unwrap();
        let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo");
        for file in ["demo.hea", "demo.dat", "demo.atr"] {
            let made = std::fs::read(folder.path().join(file)).unwrap();
            assert!(
                made == std::fs::read(bundled.join(file)).unwrap(),
                "{file} differs"
            );
        }
    }

    #[test]
    fn the_bundled_demo_shows_what_it_should() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/demo/demo");
        let record = Record::open(path).unwrap();
        assert_eq!(record.duration_s(), 300.0);
        assert!(record.comments()[0].starts_with("SYNTHETIC"));
        let annotations = record.annotations("atr").unwrap();
        let count = |class| {
            mapping::beats(&annotations)
                .filter(|b| b.1 == class)
                .count()
        };
        let [n, s, v] = [Class::N, Class::S, Class::V].map(count);
        assert_eq!(n + s + v, annotations.beats().count());
        assert!((300..340).contains(&n), "{n} N");
        assert!((12..=16).contains(&s), "{s} S");
        assert!((18..=24).contains(&v), "{v} V");
        for rhythm in ["(B\0", "(VT\0", "(SVTA\0"] {
            let begins = |a: &Annotation| a.aux == rhythm.as_bytes();
            assert!(annotations.list.iter().any(begins), "{rhythm}");
        }
    }

    #[test]
    fn a_record_depends_on_its_options_only() {
        let one = Recording::generate(&options(1.0, 4)).unwrap();
        assert_eq!(one, Recording::generate(&options(1.0, 4)).unwrap());
        let other = Recording::generate(&options(1.0, 5)).unwrap();
        assert_ne!(one.leads_mv, other.leads_mv);
        assert_ne!(one.annotations, other.annotations);
        let noisy = Recording::generate(&Options {
            noise_db: Some(6.0),
            ..options(1.0, 4)
        })
        .unwrap();
        assert_ne!(one.leads_mv, noisy.leads_mv);
        assert_eq!(one.annotations, noisy.annotations);
    }

    /// The width in seconds of the QRS complex at half of its height, in lead II.
    fn width_s(recording: &Recording, sample: usize) -> f64 {
        let lead = &recording.leads_mv[0];
        let half = lead[sample] / 2.0;
        let beyond = |i: &usize| (lead[*i] / half) > 1.0;
        let after = (sample..).take_while(beyond).count();
        let before = (0..sample).rev().take_while(beyond).count();
        (after + before) as f64 / recording.sample_rate_hz
    }

    #[test]
    fn beats_look_like_their_class() {
        let recording = Recording::generate(&options(20.0, 2)).unwrap();
        let lead = &recording.leads_mv[0];
        let mut beats = 0;
        for (annotation, class) in mapping::beats(&recording.annotations) {
            let peak = annotation.sample as usize;
            // No sample around is taller than the one that is annotated.
            for sample in &lead[peak - 15..peak + 15] {
                assert!(sample.abs() <= lead[peak].abs(), "{annotation:?}");
            }
            let width = width_s(&recording, peak);
            let (widths, heights) = match class {
                Class::V => (0.07..0.16, -2.2..-0.8),
                _ => (0.015..0.05, 0.6..1.6),
            };
            assert!(widths.contains(&width), "{annotation:?} is {width} s wide");
            assert!(heights.contains(&lead[peak]), "{annotation:?}");
            beats += 1;
        }
        assert!(beats > 1300);
    }

    /// Lead II where a normal beat has its P wave, above the mean of what is before and after it.
    #[test]
    fn p_waves_are_where_they_belong() {
        let recording = Recording::generate(&options(20.0, 2)).unwrap();
        let lead = &recording.leads_mv[0];
        let mean_p = |code: Code| {
            let heights: Vec<f32> = recording
                .annotations
                .list
                .iter()
                .filter(|a| a.code == code)
                .map(|a| {
                    let at = |s: f64| lead[a.sample as usize - (s * 360.0) as usize];
                    at(0.165) - 0.5 * (at(0.3) + at(0.07))
                })
                .collect();
            heights.iter().sum::<f32>() / heights.len() as f32
        };
        let normal = mean_p(Code::NORMAL);
        assert!((0.1..0.35).contains(&normal), "{normal} mV");
        assert!(mean_p(Code::ATRIAL_PREMATURE) < 0.05);
        assert!(mean_p(Code::VENTRICULAR_PREMATURE) < 0.05);
    }

    #[test]
    fn a_written_record_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("new/folder/s-1");
        let recording = Recording::generate(&Options {
            noise_db: Some(12.0),
            sample_rate_hz: 250.0,
            ..options(0.5, 3)
        })
        .unwrap();
        recording.write(&stem).unwrap();
        let record = Record::open(&stem).unwrap();
        assert_eq!(record.sample_rate_hz(), 250.0);
        assert_eq!(record.len_samples(), 7500);
        assert_eq!(record.leads()[1].name, "V1");
        for (index, lead) in recording.leads_mv.iter().enumerate() {
            let read = record.read_lead(index).unwrap();
            for (a, b) in read.iter().zip(lead) {
                assert!((a - b).abs() <= 0.5 / 200.0 + 1e-6);
            }
        }
        assert_eq!(record.warnings(), []);
        assert_eq!(record.annotations("atr").unwrap(), recording.annotations);
        assert_eq!(
            record.comments()[2],
            "Made by: heartlens synth --seed 3 --minutes 0.5 --rate 250 --classes N,S,V --noise 12"
        );
        let files = std::fs::read_dir(stem.parent().unwrap()).unwrap();
        assert_eq!(files.count(), 3);
    }

    #[test]
    fn a_record_that_cannot_be_written_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let recording = Recording::generate(&options(0.1, 1)).unwrap();
        // A folder stands where the header should go.
        std::fs::create_dir(folder.path().join("r.hea")).unwrap();
        let error = recording.write(&folder.path().join("r")).unwrap_err();
        assert!(error.to_string().contains("r.hea: "), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        for name in ["a b", "x.y", "\u{e4}"] {
            let error = recording.write(&folder.path().join(name)).unwrap_err();
            assert!(matches!(error, SynthError::Name { .. }), "{error}");
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn options_out_of_range_are_refused() {
        let refusal = |change: fn(&mut Options)| {
            let mut options = Options::default();
            change(&mut options);
            Recording::generate(&options).unwrap_err().to_string()
        };
        assert_eq!(
            refusal(|o| o.minutes = 1e9),
            "found 1000000000 as the length in minutes, expected 0.1 to 2880"
        );
        assert!(refusal(|o| o.minutes = f64::NAN).contains("NaN"));
        assert!(refusal(|o| o.sample_rate_hz = 50.0).contains("the sample rate in Hz"));
        assert!(refusal(|o| o.noise_db = Some(-50.0)).contains("the signal-to-noise ratio"));
    }

    #[test]
    fn classes_parse_as_they_print() {
        for text in ["N", "N,S", "N,V", "N,S,V"] {
            assert_eq!(text.parse::<Classes>().unwrap().to_string(), text);
        }
        assert_eq!("V, N".parse::<Classes>().unwrap().to_string(), "N,V");
        for text in ["", "S", "N,F", "N,,V", "NSV"] {
            let error = text.parse::<Classes>().unwrap_err().to_string();
            assert!(error.contains("expected N alone or with S, V or both"));
        }
    }
}
