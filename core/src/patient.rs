//! What is known of the patient besides the signal.

/// Sex as the record states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Sex {
    /// Female.
    Female,
    /// Male.
    Male,
}

/// Age and sex, each where known. The default knows neither.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Patient {
    /// Age in years.
    pub age_years: Option<f32>,
    /// Sex.
    pub sex: Option<Sex>,
}
