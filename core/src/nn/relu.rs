//! ReLU where no layer before it could take it over.

/// `max(x, 0)` in place; scale and zero point stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relu {
    /// The tensor's zero point.
    pub zero_point: i8,
}

impl Relu {
    /// Replaces what is below zero.
    pub fn run(&self, values: &mut [i8]) {
        for value in values {
            *value = (*value).max(self.zero_point);
        }
    }
}
