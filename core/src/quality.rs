//! Whether a signal is worth reading. Thresholds are still to be found: every beat counts as readable.

/// The quality of the signal around a beat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BeatQuality {
    /// 0..=1.
    pub score: f32,
}

impl BeatQuality {
    /// Whether the signal is worth reading.
    pub fn is_readable(&self) -> bool {
        self.score > 0.0
    }
}

/// Watches a signal's quality.
#[derive(Debug, Clone, Default)]
pub struct Quality;

impl Quality {
    /// Has seen nothing.
    pub const fn new() -> Self {
        Self
    }

    /// Takes a sample, raw and filtered, in mV.
    pub fn push(&mut self, _raw_mv: f32, _filtered_mv: f32) {}

    /// The quality around a beat.
    pub fn at(&self, _r_sample: u32) -> BeatQuality {
        BeatQuality { score: 1.0 }
    }
}
