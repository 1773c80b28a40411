//! The recent past of a signal, and windows of fixed size cut from it around a trigger.
//!
//! A trigger is an R peak today; nothing here knows what it is.

use heapless::Vec;

/// Why a window could not be cut. Positions count samples from the first one pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub(crate) enum WindowError {
    /// The window reaches past the last sample pushed.
    NotYet {
        /// One past the last sample that the window needs.
        needed: i64,
        /// Samples pushed so far.
        found: u32,
    },
    /// The window starts before the oldest sample that is kept.
    Gone {
        /// The first sample that the window needs.
        needed: i64,
        /// The oldest sample that is kept.
        oldest: u32,
    },
}

impl core::fmt::Display for WindowError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::NotYet { needed, found } => write!(
                f,
                "the window needs samples up to {needed}, but only {found} have been pushed"
            ),
            Self::Gone { needed, oldest } => write!(
                f,
                "the window starts at sample {needed}, but the oldest kept is {oldest}"
            ),
        }
    }
}

impl core::error::Error for WindowError {}

/// The last `N` values of something. heapless has the like, but with places that could panic, as far as the linker knows.
#[derive(Debug, Clone)]
pub(crate) struct Ring<T, const N: usize> {
    /// Places that have had no value are not written, so that making a ring takes no time and no stack.
    values: Vec<T, N>,
    /// The place of the oldest value.
    oldest: usize,
}

impl<T: Copy, const N: usize> Ring<T, N> {
    /// No value.
    pub(crate) const fn new() -> Self {
        Self {
            values: Vec::new(),
            oldest: 0,
        }
    }

    /// Forgets all values, in place.
    pub(crate) fn clear(&mut self) {
        self.values.clear();
        self.oldest = 0;
    }

    /// Appends a value, forgetting the oldest where all places are taken.
    pub(crate) fn push(&mut self, value: T) {
        let Err(value) = self.values.push(value) else {
            return;
        };
        if let Some(oldest) = self.values.get_mut(self.oldest) {
            *oldest = value;
        }
        self.oldest += 1;
        if self.oldest >= N {
            self.oldest = 0;
        }
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// The values, in two stretches, the older first.
    pub(crate) fn as_slices(&self) -> (&[T], &[T]) {
        let stretches = self.values.as_slice().split_at_checked(self.oldest);
        stretches.map_or((&[], &[]), |(newer, older)| (older, newer))
    }

    /// The values, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = T> {
        let (older, newer) = self.as_slices();
        older.iter().chain(newer).copied()
    }

    /// The oldest value.
    pub(crate) fn oldest(&self) -> Option<T> {
        self.values.get(self.oldest).copied()
    }
}

/// The last `N` samples of a signal, addressed by their position since the first one pushed.
///
/// Before its first sample the signal counts as zero, the steady state of [`crate::filter::BandPass`].
#[derive(Debug, Clone)]
pub(crate) struct History<const N: usize> {
    recent: Ring<f32, N>,
    len: u32,
}

impl<const N: usize> History<N> {
    /// A history of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            recent: Ring::new(),
            len: 0,
        }
    }

    /// Forgets all samples, in place.
    pub(crate) fn clear(&mut self) {
        self.recent.clear();
        self.len = 0;
    }

    /// Samples pushed so far; the position of the next one. Wraps never in practice: at 128 Hz after 388 days.
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    /// Appends a sample, forgetting the oldest where all `N` places are taken.
    pub(crate) fn push(&mut self, sample: f32) {
        self.recent.push(sample);
        self.len = self.len.wrapping_add(1);
    }

    /// Copies the `window.len()` samples from position `start` on. `start` may lie before the first sample.
    ///
    /// # Errors
    /// When the window reaches past the last sample, or starts before the oldest that is kept.
    pub(crate) fn copy_window(&self, start: i64, window: &mut [f32]) -> Result<(), WindowError> {
        let end = start.saturating_add(window.len() as i64);
        if end > i64::from(self.len) {
            return Err(WindowError::NotYet {
                needed: end,
                found: self.len,
            });
        }
        let oldest = self.len - self.recent.len() as u32;
        if start < i64::from(oldest) && oldest > 0 {
            return Err(WindowError::Gone {
                needed: start,
                oldest,
            });
        }
        let before_start = usize::try_from(start.min(0).unsigned_abs())
            .unwrap_or(usize::MAX)
            .min(window.len());
        let Some((silence, rest)) = window.split_at_mut_checked(before_start) else {
            return Ok(());
        };
        silence.fill(0.0);
        let skip = usize::try_from(start - i64::from(oldest)).unwrap_or(0);
        let (older, newer) = self.recent.as_slices();
        let from_older = older.get(skip..).unwrap_or_default();
        let from_newer = newer.get(skip.saturating_sub(older.len())..);
        let kept = from_older.iter().chain(from_newer.unwrap_or_default());
        for (place, sample) in rest.iter_mut().zip(kept) {
            *place = *sample;
        }
        Ok(())
    }
}

impl<const N: usize> Default for History<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn every_window_of_every_length_is_the_signal() {
        let mut history = History::<16>::new();
        for pushed in 0_i64..60 {
            for start in -8..pushed + 2 {
                for len in 1..12 {
                    let mut window = std::vec![f32::NAN; len];
                    let cut = history.copy_window(start, &mut window);
                    let oldest = (pushed - 16).max(0);
                    if start + len as i64 > pushed {
                        assert!(matches!(cut, Err(WindowError::NotYet { .. })), "{cut:?}");
                    } else if oldest > 0 && start < oldest {
                        assert!(matches!(cut, Err(WindowError::Gone { .. })), "{cut:?}");
                    } else {
                        assert_eq!(cut, Ok(()), "pushed {pushed}, start {start}, len {len}");
                        let expected: Vec<f32> = (start..start + len as i64)
                            .map(|i| if i < 0 { 0.0 } else { i as f32 + 1.0 })
                            .collect();
                        assert_eq!(window, expected);
                    }
                }
            }
            history.push(pushed as f32 + 1.0);
        }
    }

    #[test]
    fn windows_at_the_end_of_time_are_cut_or_refused() {
        let mut history = History::<16>::new();
        history.push(1.0);
        let mut window = [f32::NAN; 4];
        assert_eq!(history.copy_window(i64::MIN, &mut window), Ok(()));
        assert_eq!(window, [0.0; 4]);
        assert_eq!(
            history.copy_window(i64::MAX, &mut window),
            Err(WindowError::NotYet {
                needed: i64::MAX,
                found: 1
            })
        );
    }

    #[test]
    fn errors_name_what_was_found_and_expected() {
        let mut history = History::<4>::new();
        for i in 0..10 {
            history.push(i as f32);
        }
        assert_eq!(
            history.copy_window(8, &mut [0.0; 4]),
            Err(WindowError::NotYet {
                needed: 12,
                found: 10
            })
        );
        assert_eq!(
            history.copy_window(5, &mut [0.0; 4]),
            Err(WindowError::Gone {
                needed: 5,
                oldest: 6
            })
        );
    }
}
