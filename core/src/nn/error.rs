//! What can be wrong with an operator's geometry and weights.

/// Why an operator cannot be built. `what` names the part as the operator's documentation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum LayerError {
    /// A number is outside its range.
    Range {
        /// The part.
        what: &'static str,
        /// Its value.
        found: i64,
        /// The smallest value that will do.
        smallest: i64,
        /// The largest value that will do.
        largest: i64,
    },
    /// A list has another length than the geometry asks for.
    Length {
        /// The part.
        what: &'static str,
        /// Its elements.
        found: usize,
        /// The elements that the geometry asks for.
        expected: usize,
    },
    /// A weight that only fills up a block is not zero.
    Filler {
        /// The block, counted from the first.
        block: usize,
    },
}

impl core::fmt::Display for LayerError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Range {
                what,
                found,
                smallest,
                largest,
            } if smallest == largest => write!(f, "{what} is {found}, but must be {smallest}"),
            Self::Range {
                what,
                found,
                smallest,
                largest,
            } => write!(
                f,
                "{what} is {found}, but must be from {smallest} to {largest}"
            ),
            Self::Length {
                what,
                found,
                expected,
            } => write!(
                f,
                "{what}: found {found} elements, the geometry asks for {expected}"
            ),
            Self::Filler { block } => write!(
                f,
                "weight block {block} has a weight that is not zero beyond the last column or row"
            ),
        }
    }
}

impl core::error::Error for LayerError {}

/// `found` if it lies in the range.
pub(crate) fn within(
    what: &'static str,
    found: usize,
    smallest: usize,
    largest: usize,
) -> Result<usize, LayerError> {
    if (smallest..=largest).contains(&found) {
        Ok(found)
    } else {
        Err(LayerError::Range {
            what,
            found: found as i64,
            smallest: smallest as i64,
            largest: largest as i64,
        })
    }
}

/// An error unless both lengths are the same.
pub(crate) fn same_len(
    what: &'static str,
    found: usize,
    expected: usize,
) -> Result<(), LayerError> {
    if found == expected {
        Ok(())
    } else {
        Err(LayerError::Length {
            what,
            found,
            expected,
        })
    }
}

/// An error unless the multiplier lies in `0..=largest`.
pub(crate) fn multiplier(what: &'static str, found: i32, largest: i32) -> Result<i32, LayerError> {
    if (0..=largest).contains(&found) {
        Ok(found)
    } else {
        Err(LayerError::Range {
            what,
            found: i64::from(found),
            smallest: 0,
            largest: i64::from(largest),
        })
    }
}
