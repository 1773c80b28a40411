//! The views by name.

use super::Views;
use crate::spec::{
    CHANNELS, METADATA_LEN, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES, SPECTRUM_BINS,
    WAVEFORM_LEN_SAMPLES,
};

/// One way to look at a beat, and one input of the network.
///
/// The number of a view is its place in [`View::ALL`] and in a device image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "lowercase")
)]
#[repr(u16)]
pub enum View {
    /// The samples around the R peak.
    Waveform = 0,
    /// Logarithmic magnitude over frequency, of the beat's second.
    Spectrum = 1,
    /// Logarithmic magnitude over frequency and time.
    Spectrogram = 2,
    /// RR intervals, the beat against the template, the patient.
    Metadata = 3,
}

impl View {
    /// All views, in the order of the network's inputs.
    pub const ALL: [Self; 4] = [
        Self::Waveform,
        Self::Spectrum,
        Self::Spectrogram,
        Self::Metadata,
    ];

    /// The name of the network's input.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waveform => "waveform",
            Self::Spectrum => "spectrum",
            Self::Spectrogram => "spectrogram",
            Self::Metadata => "metadata",
        }
    }

    /// The view with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.name() == name)
    }

    /// The shape of its values in [`Views`], row-major: the channel first, where there are two.
    pub const fn shape(self) -> &'static [usize] {
        match self {
            Self::Waveform => &[CHANNELS, WAVEFORM_LEN_SAMPLES],
            Self::Spectrum => &[CHANNELS, SPECTRUM_BINS],
            Self::Spectrogram => &[CHANNELS, SPECTROGRAM_BINS, SPECTROGRAM_FRAMES],
            Self::Metadata => &[METADATA_LEN],
        }
    }
}

impl core::fmt::Display for View {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

impl Views {
    /// The values of one view, in row-major order of [`View::shape`].
    pub const fn get(&self, view: View) -> &[f32] {
        match view {
            View::Waveform => &self.waveform,
            View::Spectrum => &self.spectrum,
            View::Spectrogram => &self.spectrogram,
            View::Metadata => &self.metadata,
        }
    }

    /// The values of one view, to be changed.
    pub const fn get_mut(&mut self, view: View) -> &mut [f32] {
        match view {
            View::Waveform => &mut self.waveform,
            View::Spectrum => &mut self.spectrum,
            View::Spectrogram => &mut self.spectrogram,
            View::Metadata => &mut self.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_numbers_shapes_and_values_agree() {
        let expected: [(&str, &[usize]); 4] = [
            ("waveform", &[2, 96]),
            ("spectrum", &[2, 64]),
            ("spectrogram", &[2, 16, 11]),
            ("metadata", &[46]),
        ];
        let mut views = Views::ZERO;
        for (number, (view, (name, shape))) in View::ALL.into_iter().zip(expected).enumerate() {
            assert_eq!(view as usize, number);
            assert_eq!((view.name(), View::named(name)), (name, Some(view)));
            assert_eq!(view.shape(), shape);
            let len = shape.iter().product::<usize>();
            assert_eq!(views.get(view).len(), len, "{view}");
            views.get_mut(view).fill(number as f32 + 1.0);
        }
        assert_eq!((views.waveform[191], views.spectrum[127]), (1.0, 2.0));
        assert_eq!((views.spectrogram[351], views.metadata[45]), (3.0, 4.0));
        assert_eq!(View::named("lead"), None);
    }
}
