//! A record of samples that are in memory already: of a caller who has read them elsewhere.

use super::kind::kind_of;
use super::samples::malformed;
use super::{BLOCK_SAMPLES, Contents, Lead, Patient, Reader, Record, RecordError, Source, Warning};
use std::path::Path;

impl Record {
    /// A record of samples in memory: each lead's name and its samples in mV, NaN where there is no valid one. It has no
    /// file; messages call it `name`.
    ///
    /// ```
    /// use heartlens_records::Record;
    ///
    /// let signal_mv = vec![0.0; 2500];
    /// let record = Record::from_mv("signal", 250.0, vec![("II".to_owned(), signal_mv)])?;
    /// assert_eq!(record.duration_s(), 10.0);
    /// # Ok::<(), heartlens_records::RecordError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::Malformed`] where the rate is not above 0 Hz, there is no lead, or they differ in length;
    /// [`RecordError::NoSamples`] where they have no samples.
    pub fn from_mv(
        name: &str,
        sample_rate_hz: f64,
        leads_mv: Vec<(String, Vec<f32>)>,
    ) -> Result<Self, RecordError> {
        let path = Path::new(name);
        if !(sample_rate_hz.is_finite() && sample_rate_hz > 0.0) {
            let found = format!("{sample_rate_hz} Hz");
            return Err(malformed(path, "sample rate", found, "one above 0 Hz"));
        }
        let Some(len_samples) = leads_mv.first().map(|(_, samples)| samples.len()) else {
            return Err(malformed(path, "leads", "none", "at least one"));
        };
        if len_samples == 0 {
            return Err(RecordError::NoSamples {
                path: path.to_owned(),
            });
        }
        let mut leads = Vec::with_capacity(leads_mv.len());
        let mut kept = Vec::with_capacity(leads_mv.len());
        for (name, samples) in leads_mv {
            if samples.len() != len_samples {
                return Err(malformed(
                    path,
                    format!("lead {name}"),
                    format!("{} samples", samples.len()),
                    format!("{len_samples}, as in the first lead"),
                ));
            }
            leads.push(Lead {
                kind: kind_of(&name),
                name,
                units: "mV".to_owned(),
                is_voltage: true,
                counts_per_mv: None,
                baseline: 0,
                sample_rate_hz,
                len_samples,
                rails_mv: None,
            });
            kept.push(samples);
        }
        Ok(Self::of(
            name,
            path.to_owned(),
            Contents {
                annotation_rate_hz: sample_rate_hz,
                leads,
                patient: Patient::default(),
                start: None,
                comments: Vec::new(),
                source: Box::new(Millivolts(kept)),
            },
        ))
    }
}

/// The samples of each lead, in mV.
#[derive(Debug)]
struct Millivolts(Vec<Vec<f32>>);

impl Source for Millivolts {
    fn reader(&self, lead: usize, from: usize) -> Result<Box<dyn Reader + '_>, RecordError> {
        Ok(Box::new(Left(self.0[lead].get(from..).unwrap_or_default())))
    }

    fn warnings(&self) -> Vec<Warning> {
        Vec::new()
    }
}

/// Samples that are not read yet.
struct Left<'a>(&'a [f32]);

impl Reader for Left<'_> {
    fn read(&mut self, block: &mut Vec<f32>) -> Result<(), RecordError> {
        let (now, left) = self.0.split_at(self.0.len().min(BLOCK_SAMPLES));
        block.extend_from_slice(now);
        self.0 = left;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Result<T = (), E = RecordError> = std::result::Result<T, E>;

    #[test]
    fn samples_come_back_as_they_are_and_gaps_are_told() -> Result {
        let len = 2 * BLOCK_SAMPLES + 7;
        let mut first: Vec<f32> = (0..len).map(|i| (i % 251) as f32 / 97.0).collect();
        first[5..9].fill(f32::NAN);
        let second: Vec<f32> = first.iter().map(|mv| -mv).collect();
        let leads = vec![("II".to_owned(), first.clone()), ("V1".to_owned(), second)];
        let record = Record::from_mv("night", 250.0, leads)?;
        assert_eq!((record.name(), record.len_samples()), ("night", len));
        assert_eq!(record.lead_named("v1")?, 1);
        let bits = |samples: &[f32]| samples.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&record.read_lead(0)?), bits(&first));
        let part: Result<Vec<_>> = record.stream_mv(1, len - 3..usize::MAX)?.collect();
        assert_eq!(part?.concat().len(), 3);
        assert!(record.warnings().iter().any(|warning| matches!(
            warning,
            Warning::Missing {
                gaps: 1,
                samples: 4,
                ..
            }
        )));
        Ok(())
    }

    #[test]
    fn what_is_no_record_is_said() {
        let one = |mv: Vec<f32>| vec![("II".to_owned(), mv)];
        let message = |rate, leads| {
            let error: Option<RecordError> = Record::from_mv("signal", rate, leads).err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(
            message(0.0, one(vec![0.0])),
            "signal: sample rate: found 0 Hz, expected one above 0 Hz"
        );
        assert!(message(f64::NAN, one(vec![0.0])).contains("NaN Hz"));
        assert!(message(250.0, one(Vec::new())).contains("no samples"));
        assert!(message(250.0, Vec::new()).contains("found none"));
        let mut uneven = one(vec![0.0; 3]);
        uneven.push(("V1".to_owned(), vec![0.0; 2]));
        assert_eq!(
            message(250.0, uneven),
            "signal: lead V1: found 2 samples, expected 3, as in the first lead"
        );
    }
}
