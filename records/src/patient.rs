//! What a record says of the patient besides the signal.

/// Sex as the record states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// Age and sex, each where the record states it. The default states neither.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Patient {
    /// Age in years, 0 to 130.
    pub age_years: Option<f32>,
    /// Sex.
    pub sex: Option<Sex>,
}

impl Patient {
    /// What is known of the patient, and what `other` knows where this does not.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            age_years: self.age_years.or(other.age_years),
            sex: self.sex.or(other.sex),
        }
    }
}
