//! Half a minute of one lead, as a rhythm strip shows it: what the strip network reads.
//!
//! A beat's own network sees one second; whether the heart fibrillates is seen in the whole of half a minute: how evenly it
//! beats, whether a P wave comes before each beat, whether the line between beats trembles at 4 to 9 Hz. Four views say so
//! ([`StripViews`]): the beats one after another, their average and its spread, the spectrum of the signal as it is and without
//! its QRST complexes, and statistics.
//!
//! [`Strip`] keeps the last samples and beats of a lead. Every 10 s it has a window of the last 30 s ready, of the first 10
//! and 20 s at the start of a recording. [`StripVerdict`] is what the network says of one, and [`StripMonitor`] does it all on a device. The arithmetic is plain f32 in one written order, so that a view has the same bits on
//! every machine.

mod kept;
mod monitor;
mod sequence;
mod spectrum;
mod statistics;
mod verdict;
mod views;

pub use kept::{Strip, StripWindow};
pub use monitor::{JudgedBeat, StripMonitor};
pub use verdict::StripVerdict;
pub use views::{StripView, StripViews};
