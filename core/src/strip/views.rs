//! The views of a strip.

use super::kept::{Strip, StripWindow};
use super::sequence::AVERAGE_PLACES;
use super::{sequence, spectrum, statistics};
use crate::spec::{
    STRIP_AVERAGE_LEN, STRIP_BEAT_CHANNELS, STRIP_BEATS, STRIP_SPECTRUM_BINS, STRIP_STATISTICS,
};

/// One way to look at a strip, and one input of the strip network.
///
/// The number of a view is its place in [`StripView::ALL`]; in a device image it follows those of a beat's views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[repr(u16)]
pub enum StripView {
    /// The beats one after another: intervals, and how each resembles the average.
    Beats = 0,
    /// The average beat, and its spread.
    Average = 1,
    /// Logarithmic power over frequency, of the signal as it is and without its QRST complexes.
    Power = 2,
    /// Statistics of intervals, resemblance and signal.
    Statistics = 3,
}

impl StripView {
    /// All views, in the order of the network's inputs.
    pub const ALL: [Self; 4] = [Self::Beats, Self::Average, Self::Power, Self::Statistics];

    /// The name of the network's input.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beats => "beats",
            Self::Average => "average",
            Self::Power => "power",
            Self::Statistics => "statistics",
        }
    }

    /// The view with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    /// The shape of its values in [`StripViews`], row-major: the channel first, where there are several.
    pub const fn shape(self) -> &'static [usize] {
        match self {
            Self::Beats => &[STRIP_BEAT_CHANNELS, STRIP_BEATS],
            Self::Average => &[2, STRIP_AVERAGE_LEN],
            Self::Power => &[2, STRIP_SPECTRUM_BINS],
            Self::Statistics => &[STRIP_STATISTICS],
        }
    }
}

impl core::fmt::Display for StripView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// The four views of a strip, each in row-major order of its shape.
#[derive(Debug, Clone, PartialEq)]
pub struct StripViews {
    /// Each beat of the window that lies in it whole, the newest last; the places before the first hold zeros. The channels:
    ///
    /// 0. 1 for a beat;
    /// 1. the RR interval before it, `3 clip(l - m, +-1)`, with `l` the logarithm of the interval and `m` the median of those
    ///    in view;
    /// 2. that interval against the one before, `3 clip(l - l', +-1)`;
    /// 3. the interval behind it, as 1;
    /// 4. the correlation of its QRS complex (`R-8..=R+8`) with the average beat's;
    /// 5. that of what comes before (P wave, `R-36..=R-9`);
    /// 6. that of what follows (T wave, `R+12..=R+51`);
    /// 7. the logarithm of its peak-to-peak amplitude over the average's, clipped to +-1.
    ///
    /// # Shapes
    /// `[STRIP_BEAT_CHANNELS, STRIP_BEATS]` = `[8, 64]`
    pub beats: [f32; STRIP_BEAT_CHANNELS * STRIP_BEATS],
    /// The median of the beats at each place of `R-44..=R+59`, in units of the window's scale, and the median of their
    /// absolute deviations from it. The scale is the median of the peak-to-peak amplitudes of its seconds; beats are clipped to
    /// +-3 scales.
    ///
    /// # Shapes
    /// `[2, STRIP_AVERAGE_LEN]` = `[2, 104]`
    pub average: [f32; 2 * STRIP_AVERAGE_LEN],
    /// Welch's spectrum (1967) at 0.5, 1, ... 32 Hz: half the natural logarithm of the mean power of Hann windows of 2 s, half
    /// overlapping, in units of the scale, and 4; of the signal, and of the signal with a line in place of each QRST complex
    /// (`R-12..=R+46`).
    ///
    /// # Shapes
    /// `[2, STRIP_SPECTRUM_BINS]` = `[2, 64]`
    pub power: [f32; 2 * STRIP_SPECTRUM_BINS],
    /// See `core/src/strip/statistics.rs`: intervals, resemblance and signal in numbers.
    ///
    /// # Shapes
    /// `[STRIP_STATISTICS]` = `[40]`
    pub statistics: [f32; STRIP_STATISTICS],
}

/// Parts of [`StripViews::compute_part`], in order: the scale, then some places of the average beat at a time,
const AVERAGE_PARTS: usize = STRIP_AVERAGE_LEN / AVERAGE_PLACES;
/// then beats at a time,
const BEATS_PER_PART: usize = 4;
const BEAT_PARTS: usize = STRIP_BEATS / BEATS_PER_PART;
/// then the spectra, frame by frame, their logarithms and the intervals, and last the statistics.
const POWER_PARTS: usize = 2 * spectrum::FRAMES;

/// In an even window half of the steps, of logarithms, are smaller.
const EVEN_STEP: f32 = 0.03;
/// A readable window has fewer beats that are no heartbeats, as a part of all.
const STRANGE_MOST: f32 = 0.25;

const _: () = {
    assert!(AVERAGE_PARTS * AVERAGE_PLACES == STRIP_AVERAGE_LEN);
    assert!(BEAT_PARTS * BEATS_PER_PART == STRIP_BEATS);
};

impl StripViews {
    /// Views of nothing: all zeros. To be filled by [`Strip::compute`].
    pub const ZERO: Self = Self {
        beats: [0.0; STRIP_BEAT_CHANNELS * STRIP_BEATS],
        average: [0.0; 2 * STRIP_AVERAGE_LEN],
        power: [0.0; 2 * STRIP_SPECTRUM_BINS],
        statistics: [0.0; STRIP_STATISTICS],
    };

    /// The values of one view, in row-major order of [`StripView::shape`].
    pub const fn get(&self, view: StripView) -> &[f32] {
        match view {
            StripView::Beats => &self.beats,
            StripView::Average => &self.average,
            StripView::Power => &self.power,
            StripView::Statistics => &self.statistics,
        }
    }

    /// The values of one view, to be changed.
    pub const fn get_mut(&mut self, view: StripView) -> &mut [f32] {
        match view {
            StripView::Beats => &mut self.beats,
            StripView::Average => &mut self.average,
            StripView::Power => &mut self.power,
            StripView::Statistics => &mut self.statistics,
        }
    }

    /// Whether the window may be judged: it has a beat, and more than three quarters of its beats are heartbeats in readable
    /// signal. If not it is noise, whatever the network says.
    pub fn is_readable(&self) -> bool {
        self.statistics[statistics::BEATS] > 0.0
            && self.statistics[statistics::STRANGE] < STRANGE_MOST
    }

    /// Whether the heart beats too evenly to fibrillate: half of the steps from one interval to the next are below 3 %. Atrial
    /// fibrillation is irregular by definition, and a network that has seen few even hearts without P waves does not know it.
    pub fn is_even(&self) -> bool {
        self.statistics[statistics::USUAL_STEP] < EVEN_STEP
    }

    /// One part of [`Strip::compute`], numbered from 0, to be called in order on a strip that has not changed. Whether more are to
    /// come. Between the parts the views are unfinished.
    pub fn compute_part(&mut self, strip: &Strip, window: StripWindow, part: usize) -> bool {
        if part == 0 {
            *self = Self::ZERO;
            self.statistics[statistics::SCALE] = strip.scale_mv(window);
            return true;
        }
        let per_scale = 1.0 / self.statistics[statistics::SCALE];
        let part = part - 1;
        if part < AVERAGE_PARTS {
            sequence::average(self, strip, window, per_scale, part * AVERAGE_PLACES);
            return true;
        }
        let part = part - AVERAGE_PARTS;
        if part < BEAT_PARTS {
            let first = part * BEATS_PER_PART;
            sequence::resemblance(
                self,
                strip,
                window,
                per_scale,
                first..first + BEATS_PER_PART,
            );
            return true;
        }
        let part = part - BEAT_PARTS;
        if part < POWER_PARTS {
            spectrum::add_frame(self, strip, window, per_scale, part);
            return true;
        }
        let Some(part) = part.checked_sub(POWER_PARTS + 1) else {
            spectrum::finish(self, window);
            sequence::intervals(self, strip, window);
            return true;
        };
        statistics::fill(self, strip, window, part);
        part + 1 < statistics::PARTS
    }
}
