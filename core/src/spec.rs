//! Every rate, length and count of the features, each with its unit, once.
//!
//! A model is trained for exactly these numbers: [`HASH`] goes into every exported model and is compared when one
//! is loaded. Whatever changes a feature's value without changing a number here must raise [`FEATURES_VERSION`].
//!
//! Positions inside a beat are written relative to the R peak: `R-64..=R+63` is the beat window.

/// Version of the feature arithmetic. Raise it when a feature's value changes while its sizes stay.
pub const FEATURES_VERSION: u32 = 1;

/// The canonical sample rate, in Hz. Everything after resampling runs at this rate.
pub const SAMPLE_RATE_HZ: u32 = 128;

/// Lower corner of the band-pass filter, in Hz (-3 dB).
pub const FILTER_LOW_HZ: f64 = 0.5;
/// Upper corner of the band-pass filter, in Hz (-3 dB).
pub const FILTER_HIGH_HZ: f64 = 40.0;

/// Samples of the beat window before the R peak.
pub const BEAT_BEFORE_SAMPLES: usize = 64;
/// Length of the beat window, in samples: `R-64..=R+63`, one second.
pub const BEAT_LEN_SAMPLES: usize = 128;

/// Channels of waveform, spectrum and spectrogram: this beat, and the patient's template.
pub const CHANNELS: usize = 2;

/// Samples of the waveform view before the R peak.
pub const WAVEFORM_BEFORE_SAMPLES: usize = 40;
/// Length of the waveform view, in samples: `R-40..=R+55`.
pub const WAVEFORM_LEN_SAMPLES: usize = 96;

/// Points of the zero-padded transform behind the spectrum view.
pub(crate) const SPECTRUM_FFT_LEN: usize = 256;
/// Bins of the spectrum view: bins 1..=64 of the transform, 0.5 to 32 Hz in steps of 0.5 Hz.
pub const SPECTRUM_BINS: usize = 64;

/// Samples of the spectrogram's span before the R peak.
pub const SPECTROGRAM_BEFORE_SAMPLES: usize = 48;
/// Length of one frame of the spectrogram, in samples (250 ms).
pub const SPECTROGRAM_FRAME_SAMPLES: usize = 32;
/// Distance between the starts of two frames, in samples (62.5 ms).
pub const SPECTROGRAM_HOP_SAMPLES: usize = 8;
/// Frames of the spectrogram; they span `R-48..=R+63`.
pub const SPECTROGRAM_FRAMES: usize = 11;
/// Points of the zero-padded transform behind each frame.
pub(crate) const SPECTROGRAM_FFT_LEN: usize = 64;
/// Bins of the spectrogram: bins 1..=16 of the transform, 2 to 32 Hz in steps of 2 Hz.
pub const SPECTROGRAM_BINS: usize = 16;

/// Largest magnitude of a normalised sample, in units of the template's scale.
pub const CLIP_SCALES: f32 = 6.0;

/// Features made of RR intervals and their running medians.
pub const RR_FEATURES: usize = 14;
/// Features made of the RR history's spread and of the sinus reference.
pub const RHYTHM_FEATURES: usize = 12;
/// Features that compare the beat with the template.
pub const SHAPE_FEATURES: usize = 12;
/// Features of the P wave's energy and of the template's width.
pub const ATRIAL_FEATURES: usize = 4;
/// Features of the patient: age and sex, each with a flag that says whether it is known.
pub const PATIENT_FEATURES: usize = 4;
/// Length of the metadata view.
pub const METADATA_LEN: usize =
    RR_FEATURES + RHYTHM_FEATURES + SHAPE_FEATURES + ATRIAL_FEATURES + PATIENT_FEATURES;

/// RR intervals that the longest running statistic looks back on.
pub(crate) const RR_HISTORY: usize = 64;
/// RR intervals that the local statistics look back on.
pub(crate) const RR_LOCAL: usize = 10;
/// Shortest RR interval that the features tell apart, in seconds.
pub(crate) const RR_MIN_S: f32 = 0.15;
/// Longest RR interval that the features tell apart, in seconds. A longer one is a gap in the recording.
pub const RR_MAX_S: f32 = 4.0;

/// Version of the rhythm's arithmetic. Raise it when the rhythm network's input changes while its sizes stay.
pub(crate) const RHYTHM_VERSION: u32 = 1;
/// RR intervals that the rhythm network sees at a time, the newest beat's included.
pub const RHYTHM_INTERVALS: usize = 24;
/// Channels of the rhythm network's input: the interval against their median, and against the one before.
pub const RHYTHM_CHANNELS: usize = 2;
/// Shortest RR interval that the rhythm tells apart, in seconds.
pub const RHYTHM_RR_MIN_S: f32 = 0.2;
/// Longest RR interval that the rhythm tells apart, in seconds.
pub const RHYTHM_RR_MAX_S: f32 = 3.0;

/// Version of the strip views' arithmetic. Raise it when a value changes while sizes stay.
pub(crate) const STRIP_VERSION: u32 = 1;
/// Samples of the longest window that the strip network judges (30 s).
pub const STRIP_SAMPLES: usize = 30 * SAMPLE_RATE_HZ as usize;
/// Samples from the end of one window to that of the next (10 s).
pub const STRIP_STEP_SAMPLES: u32 = 10 * SAMPLE_RATE_HZ;
/// Samples of the shortest window (4 s).
pub const STRIP_MIN_SAMPLES: u32 = 4 * SAMPLE_RATE_HZ;
/// Beats of a window, at most.
pub const STRIP_BEATS: usize = 64;
/// Numbers that the beats' view has of each beat.
pub const STRIP_BEAT_CHANNELS: usize = 8;
/// Samples of the average beat before the R peak.
pub const STRIP_BEFORE_SAMPLES: usize = 44;
/// Samples of the average beat from the R peak on.
pub const STRIP_AFTER_SAMPLES: usize = 60;
/// Length of the average beat, in samples: `R-44..=R+59`.
pub const STRIP_AVERAGE_LEN: usize = STRIP_BEFORE_SAMPLES + STRIP_AFTER_SAMPLES;
/// Samples of a frame of the strip's spectrum (2 s), and points of its transform.
pub const STRIP_FRAME_SAMPLES: usize = 256;
/// Distance between the starts of two frames, in samples.
pub const STRIP_HOP_SAMPLES: usize = 128;
/// Bins of the strip's spectrum: 0.5 to 32 Hz in steps of 0.5 Hz.
pub const STRIP_SPECTRUM_BINS: usize = 64;
/// Numbers of the statistics view.
pub const STRIP_STATISTICS: usize = 40;
/// Largest magnitude of a strip's sample, in units of its scale.
pub const STRIP_CLIP_SCALES: f32 = 3.0;
/// What the strip network tells apart, in the order of its output: the classes of the Computing in Cardiology challenge 2017.
pub const STRIP_LABELS: [&str; 4] = ["N", "A", "O", "~"];
/// Atrial fibrillation among [`STRIP_LABELS`].
pub const STRIP_FIBRILLATION: usize = 1;

/// Longest time that the detector may take to report an R peak, in samples after the peak (2 s).
pub const DETECTOR_MAX_DELAY_SAMPLES: usize = 256;

/// A beat without a successor is completed once none can follow within 4 s: this long after its R peak.
pub const SUCCESSOR_TIMEOUT_SAMPLES: usize =
    RR_MAX_S as usize * SAMPLE_RATE_HZ as usize + DETECTOR_MAX_DELAY_SAMPLES;

/// Filtered samples that are kept, enough to cut the window of a beat that waits for its successor.
pub(crate) const HISTORY_SAMPLES: usize = 1024;

/// Beats that may wait for their window or their successor at one time.
pub(crate) const PENDING_BEATS: usize = 64;

/// The classes of a beat, AAMI EC57, in the order of the model's output.
/// (Class Q, unreadable or paced, is decided by signal quality and never by the network.)
pub const LABELS: [&str; 4] = ["N", "S", "V", "F"];

/// A beat whose two likeliest classes have probabilities closer than this is *unsure*: somebody should look at it. By
/// cross-validation about one beat in thirty is, and two in five of these are wrong (`models/beat/card.md`).
pub const UNSURE_MARGIN: f32 = 0.5;

const _: () = {
    assert!(BEAT_BEFORE_SAMPLES < BEAT_LEN_SAMPLES);
    assert!(WAVEFORM_BEFORE_SAMPLES <= BEAT_BEFORE_SAMPLES);
    assert!(
        WAVEFORM_LEN_SAMPLES - WAVEFORM_BEFORE_SAMPLES <= BEAT_LEN_SAMPLES - BEAT_BEFORE_SAMPLES
    );
    assert!(BEAT_LEN_SAMPLES <= SPECTRUM_FFT_LEN && SPECTRUM_BINS < SPECTRUM_FFT_LEN / 2);
    assert!(SPECTROGRAM_FRAME_SAMPLES <= SPECTROGRAM_FFT_LEN);
    assert!(SPECTROGRAM_BINS < SPECTROGRAM_FFT_LEN / 2);
    assert!(SPECTROGRAM_BEFORE_SAMPLES <= BEAT_BEFORE_SAMPLES);
    assert!(
        SPECTROGRAM_FRAME_SAMPLES + (SPECTROGRAM_FRAMES - 1) * SPECTROGRAM_HOP_SAMPLES
            <= SPECTROGRAM_BEFORE_SAMPLES + BEAT_LEN_SAMPLES - BEAT_BEFORE_SAMPLES
    );
    assert!(RR_LOCAL <= RR_HISTORY);
    assert!(STRIP_LABELS.len() == LABELS.len());
    assert!(SUCCESSOR_TIMEOUT_SAMPLES + BEAT_BEFORE_SAMPLES < HISTORY_SAMPLES);
    assert!(BEAT_LEN_SAMPLES - BEAT_BEFORE_SAMPLES <= PENDING_BEATS);
    assert!(FILTER_HIGH_HZ < SAMPLE_RATE_HZ as f64 / 2.0);
};

/// Identifies this specification: FNV-1a (64 bit) over the version and every number that shapes a feature, in the
/// order of this file, each as eight little-endian bytes.
pub const HASH: u64 = {
    let numbers = [
        FEATURES_VERSION as u64,
        SAMPLE_RATE_HZ as u64,
        FILTER_LOW_HZ.to_bits(),
        FILTER_HIGH_HZ.to_bits(),
        BEAT_BEFORE_SAMPLES as u64,
        BEAT_LEN_SAMPLES as u64,
        CHANNELS as u64,
        WAVEFORM_BEFORE_SAMPLES as u64,
        WAVEFORM_LEN_SAMPLES as u64,
        SPECTRUM_FFT_LEN as u64,
        SPECTRUM_BINS as u64,
        SPECTROGRAM_BEFORE_SAMPLES as u64,
        SPECTROGRAM_FRAME_SAMPLES as u64,
        SPECTROGRAM_HOP_SAMPLES as u64,
        SPECTROGRAM_FRAMES as u64,
        SPECTROGRAM_FFT_LEN as u64,
        SPECTROGRAM_BINS as u64,
        CLIP_SCALES.to_bits() as u64,
        RR_FEATURES as u64,
        RHYTHM_FEATURES as u64,
        SHAPE_FEATURES as u64,
        ATRIAL_FEATURES as u64,
        PATIENT_FEATURES as u64,
        RR_HISTORY as u64,
        RR_LOCAL as u64,
        RR_MIN_S.to_bits() as u64,
        RR_MAX_S.to_bits() as u64,
        LABELS.len() as u64,
    ];
    fnv(&numbers)
};

/// Identifies what the rhythm network reads, as [`HASH`] does for the beat's: a change of the one leaves models of the
/// other valid.
pub const RHYTHM_HASH: u64 = fnv(&[
    RHYTHM_VERSION as u64,
    SAMPLE_RATE_HZ as u64,
    RHYTHM_INTERVALS as u64,
    RHYTHM_CHANNELS as u64,
    RHYTHM_RR_MIN_S.to_bits() as u64,
    RHYTHM_RR_MAX_S.to_bits() as u64,
]);

/// Identifies what the strip network reads, as [`HASH`] does for the beat's.
pub const STRIP_HASH: u64 = fnv(&[
    STRIP_VERSION as u64,
    SAMPLE_RATE_HZ as u64,
    FILTER_LOW_HZ.to_bits(),
    FILTER_HIGH_HZ.to_bits(),
    STRIP_SAMPLES as u64,
    STRIP_BEATS as u64,
    STRIP_BEAT_CHANNELS as u64,
    STRIP_BEFORE_SAMPLES as u64,
    STRIP_AFTER_SAMPLES as u64,
    STRIP_FRAME_SAMPLES as u64,
    STRIP_HOP_SAMPLES as u64,
    STRIP_SPECTRUM_BINS as u64,
    STRIP_STATISTICS as u64,
    STRIP_CLIP_SCALES.to_bits() as u64,
    STRIP_LABELS.len() as u64,
]);

/// FNV-1a (64 bit) over numbers, each as eight little-endian bytes.
const fn fnv(numbers: &[u64]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut i = 0;
    while i < numbers.len() {
        let bytes = numbers[i].to_le_bytes();
        let mut j = 0;
        while j < bytes.len() {
            hash = (hash ^ bytes[j] as u64).wrapping_mul(0x0000_0100_0000_01b3);
            j += 1;
        }
        i += 1;
    }
    hash
}
