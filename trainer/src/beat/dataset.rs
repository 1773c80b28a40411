//! The beats of annotated records, and of recordings that are trained on beside them.

use super::config::Config;
use crate::data::DatasetError;
use crate::data::find::{Folders, Found, Wanted, find};
use crate::data::record::RecordBeats;
use crate::progress::bar;
use heartlens::evaluate::report::Peaks;
use rayon::prelude::*;

/// Annotated records, and recordings that are trained on beside them.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// In order of data base and name, recordings last; a record that is read at several choices of R peaks comes once
    /// for each.
    pub records: Vec<RecordBeats>,
}

impl Dataset {
    /// Reads what is `wanted` and nothing else: annotated records once for each choice of R peaks, then recordings.
    ///
    /// # Errors
    /// If one is missing, lacks its annotations, or cannot be read.
    pub fn read(folders: &Folders, wanted: &Wanted) -> Result<Self, DatasetError> {
        Self::prepare(&find(folders, wanted)?, &wanted.peaks)
    }

    /// Reads what [`find`] has found.
    pub(crate) fn prepare(found: &[Found], peaks: &[Peaks]) -> Result<Self, DatasetError> {
        let progress = bar(found.len() as u64, "records");
        let records: Result<Vec<Vec<RecordBeats>>, DatasetError> = found
            .par_iter()
            .map(|found| {
                let record = found.read(peaks);
                progress.inc(1);
                record
            })
            .collect();
        progress.finish_and_clear();
        Ok(Self {
            records: records?.into_iter().flatten().collect(),
        })
    }

    /// Indices of the records with reference annotations: those that can be judged.
    pub fn annotated(&self) -> impl Iterator<Item = usize> {
        let records = self.records.iter().enumerate();
        records.filter_map(|(index, record)| record.rhythm.is_none().then_some(index))
    }

    /// Indices of the records and recordings that `config` trains on, without those `held_out`.
    pub fn training(&self, config: &Config, held_out: &[usize]) -> Vec<usize> {
        let labels = config.wanted(&[]).weak_labels;
        let rhythms = labels.map_or(Vec::new(), |labels| labels.rhythms);
        let is_diagnosed = |record: &RecordBeats| {
            let mut all = config.diagnosed.iter();
            all.any(|diagnosed| diagnosed.database == record.database)
        };
        let wanted = |record: &RecordBeats| match &record.rhythm {
            None => config.data.peaks.contains(&record.peaks),
            Some(rhythm) => rhythms.contains(rhythm) || is_diagnosed(record),
        };
        (0..self.records.len())
            .filter(|record| !held_out.contains(record) && wanted(&self.records[*record]))
            .collect()
    }

    /// Indices of the annotated records called by `names`, which may leave out the database.
    ///
    /// # Errors
    /// If there is no such record.
    pub fn indices_of(&self, names: &[String]) -> Result<Vec<usize>, DatasetError> {
        let mut indices = Vec::new();
        for wanted in names {
            let before = indices.len();
            let suffix = format!("/{wanted}");
            indices.extend(self.annotated().filter(|&index| {
                let name = &self.records[index].name;
                name == wanted || name.ends_with(&suffix)
            }));
            if indices.len() == before {
                let example = self.records.first().map(|record| record.name.clone());
                return Err(DatasetError::NoSuchRecord {
                    wanted: wanted.clone(),
                    count: self.annotated().count(),
                    example: example.unwrap_or_default(),
                });
            }
        }
        Ok(indices)
    }

    /// Names of the data bases of annotated records, in alphabetical order.
    pub fn databases(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .annotated()
            .map(|record| self.records[record].database.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
