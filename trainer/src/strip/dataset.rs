//! Recordings with one label each, as windows of half a minute and less.

use crate::data::DatasetError;
use crate::data::weak_labels::{find_all, signal};
use crate::progress::bar;
use heartlens::pipeline::for_each_strip;
use heartlens_core::detector::Detector;
use heartlens_core::spec::STRIP_STEP_SAMPLES;
use heartlens_core::strip::{Strip, StripViews, StripWindow};
use rayon::prelude::*;
use std::path::Path;

/// One recording.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Its name.
    pub name: String,
    /// Its class, a place in [`heartlens_core::spec::STRIP_LABELS`].
    pub class: usize,
    /// The windows that are judged in use, in order.
    pub windows: Vec<StripViews>,
    /// The lengths of these, in seconds.
    pub seconds: Vec<f32>,
    /// Other windows of it, to train on as well.
    pub others: Vec<StripViews>,
}

/// Reads the recordings of `folder`, a data base of recordings with a label each. One too short for a window has none.
///
/// # Errors
/// If labels are missing or malformed, or a record cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Recording>, DatasetError> {
    let labels = find_all(folder)?;
    let progress = bar(labels.len() as u64, "recordings");
    let recordings = labels
        .into_par_iter()
        .map(|(path, class)| {
            let signal_mv = signal(&path, 0)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            progress.inc(1);
            Ok(Recording::of(name.into_owned(), class, &signal_mv))
        })
        .collect();
    progress.finish_and_clear();
    recordings
}

impl Recording {
    /// The windows of a lead in mV at the canonical rate, as they are judged in use, and of each that lasts longer than 10 s three
    /// parts: its first two thirds, its last two thirds, and its middle.
    pub fn of(name: String, class: usize, signal_mv: &[f32]) -> Self {
        let mut recording = Self {
            name,
            class,
            windows: Vec::new(),
            seconds: Vec::new(),
            others: Vec::new(),
        };
        for_each_strip(signal_mv, Detector::new(), |strip, window| {
            recording.take(strip, window);
        });
        recording
    }

    fn take(&mut self, strip: &Strip, window: StripWindow) {
        let compute = |window| {
            let mut views = StripViews::ZERO;
            strip.compute(window, &mut views);
            views
        };
        self.windows.push(compute(window));
        self.seconds.push(window.seconds());
        let StripWindow { start, end } = window;
        if end - start > STRIP_STEP_SAMPLES {
            let third = (end - start) / 3;
            let parts = [(0, third), (third, 0), (third / 2, third / 2)];
            self.others.extend(parts.map(|(from_start, from_end)| {
                compute(StripWindow {
                    start: start + from_start,
                    end: end - from_end,
                })
            }));
        }
    }
}
