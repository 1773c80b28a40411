//! The log of a training: JSON lines, one a step and one a judgement by held-out records.

use crate::file::write_atomically;
use crate::study::results::Headline;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// A log that cannot be read.
#[derive(Debug, Error)]
pub enum LogError {
    /// The file cannot be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line is none of a log.
    #[error("{}, line {line}: {source}; expected a line of `heartlens-train fit`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The log has no step.
    #[error("{}: has no steps; expected the log of `heartlens-train fit`", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// A line of a log.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// One step.
    Step {
        /// The step, from 0.
        step: u32,
        /// Cross entropy of its batch; `None` where it was no number.
        loss: Option<f64>,
        /// Its learning rate.
        learning_rate: f64,
        /// Since the start of the program, in seconds.
        seconds: f64,
    },
    /// What held-out records say of the averaged weights.
    Judgement {
        /// Steps done.
        steps: u32,
        /// All databases together.
        held_out: Headline,
    },
}

impl Line {
    /// Whether a training that has done `steps` steps has written it.
    const fn is_before(&self, steps: u32) -> bool {
        match self {
            Self::Step { step, .. } => *step < steps,
            Self::Judgement { steps: at, .. } => *at <= steps,
        }
    }
}

/// Reads a log.
///
/// # Errors
/// If it cannot be read, a line is none of a log, or it has no step.
pub fn read(path: &Path) -> Result<Vec<Line>, LogError> {
    let text = std::fs::read_to_string(path).map_err(|source| LogError::Io {
        path: path.to_owned(),
        source,
    })?;
    // Where the program was killed or the disk full, the last line may be cut short: what it said was not done.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines: Vec<Line> = whole
        .lines()
        .zip(1..)
        .map(|(text, line)| {
            serde_json::from_str(text).map_err(|source| LogError::Line {
                path: path.to_owned(),
                line,
                source,
            })
        })
        .collect::<Result<_, _>>()?;
    if !lines.iter().any(|line| matches!(line, Line::Step { .. })) {
        return Err(LogError::Empty {
            path: path.to_owned(),
        });
    }
    Ok(lines)
}

/// A log that is being written.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    /// A log at `path`. That of a training that continues after `steps` steps keeps the lines of these and drops what was
    /// done after the checkpoint, to be done again; with 0 steps it starts empty.
    ///
    /// # Errors
    /// If it cannot be written, or what is there is no log.
    pub fn open(path: &Path, steps: u32) -> Result<Self, LogError> {
        let kept = match read(path) {
            Ok(lines) if steps > 0 => lines,
            Err(error @ LogError::Line { .. }) if steps > 0 => return Err(error),
            _ => Vec::new(),
        };
        let kept = kept.iter().filter(|line| line.is_before(steps));
        let fail = |source| LogError::Io {
            path: path.to_owned(),
            source,
        };
        let text = kept
            .map(text)
            .collect::<io::Result<String>>()
            .map_err(fail)?;
        write_atomically(path, text.as_bytes()).map_err(fail)?;
        let file = std::fs::OpenOptions::new().append(true).open(path);
        Ok(Self {
            path: path.to_owned(),
            file: file.map_err(fail)?,
        })
    }

    /// Adds lines.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn add(&mut self, lines: &[Line]) -> Result<(), LogError> {
        let text = lines.iter().map(text).collect::<io::Result<String>>();
        let written = text.and_then(|text| self.file.write_all(text.as_bytes()));
        written.map_err(|source| LogError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

fn text(line: &Line) -> io::Result<String> {
    Ok(serde_json::to_string(line)? + "\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn step(step: u32) -> Line {
        Line::Step {
            step,
            loss: (step != 2).then_some(0.5),
            learning_rate: 1e-3,
            seconds: 0.25,
        }
    }

    fn judgement(steps: u32) -> Line {
        Line::Judgement {
            steps,
            held_out: Headline {
                jk: Some(0.7),
                kappa: None,
                macro_f1_nsv: Some(0.8),
                f1_s: Some(0.5),
                f1_v: Some(0.9),
            },
        }
    }

    #[test]
    fn a_continued_log_has_each_step_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/log.jsonl");
        let lines = [
            step(0),
            step(1),
            judgement(2),
            step(2),
            step(3),
            judgement(4),
        ];
        let mut log = Log::open(&path, 0).unwrap();
        log.add(&lines[..3]).unwrap();
        log.add(&lines[3..]).unwrap();
        assert_eq!(read(&path).unwrap(), lines);
        // The checkpoint was written after two steps: what came later is done again.
        let mut log = Log::open(&path, 2).unwrap();
        assert_eq!(read(&path).unwrap(), lines[..3]);
        log.add(&lines[3..]).unwrap();
        assert_eq!(read(&path).unwrap(), lines);
        // A training from the start starts a log.
        Log::open(&path, 0).unwrap();
        assert!(matches!(read(&path), Err(LogError::Empty { .. })));
    }

    #[test]
    fn what_is_no_log_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.jsonl");
        std::fs::write(&path, "{\"step\": 3}\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("log.jsonl, line 1: "), "{error}");
        assert!(Log::open(&path, 5).is_err());
    }
}
