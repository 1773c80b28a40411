//! When to stop: some patients judge the training that the others are trained on.

use crate::beat::config::EarlyStoppingConfig;
use crate::beat::dataset::Dataset;
use crate::beat::fit::Trainer;
use crate::data::split::{SplitError, deal, names};
use crate::study::results::Headline;
use heartlens::evaluate::tally::Tally;
use heartlens_core::class::Class;

/// Splits `records` (indices into `dataset`) by patient into those to train on and those that judge: about the config's share
/// of the patients of every database, the same for the same seed. Only annotated records judge.
///
/// # Errors
/// If there are too few patients, or those that judge have no S or V beat.
pub fn hold_out(
    dataset: &Dataset,
    records: &[usize],
    config: &EarlyStoppingConfig,
    seed: u64,
) -> Result<(Vec<usize>, Vec<usize>), SplitError> {
    let parts = (1.0 / config.share).round() as usize;
    let annotated: Vec<usize> = dataset
        .annotated()
        .filter(|record| records.contains(record))
        .collect();
    let judges = deal(dataset, &annotated, parts, seed)?.swap_remove(0);
    for class in [Class::S, Class::V] {
        let has = |&record: &usize| dataset.records[record].count(class) > 0;
        if !judges.iter().any(has) {
            return Err(SplitError::NoJudge {
                class,
                records: names(dataset, &judges),
            });
        }
    }
    let training = records.iter().copied();
    Ok((training.filter(|r| !judges.contains(r)).collect(), judges))
}

/// Records that judge a training, and what they have said so far.
#[derive(Debug)]
pub struct Judge<'a> {
    dataset: &'a Dataset,
    records: &'a [usize],
    /// The judgements so far.
    pub judgements: Judgements,
}

impl<'a> Judge<'a> {
    /// Judges by `records` (indices into `dataset`) with this patience; `None` where there are none.
    pub fn by(dataset: &'a Dataset, records: &'a [usize], patience: Option<u32>) -> Option<Self> {
        (!records.is_empty()).then(|| Self {
            dataset,
            records,
            judgements: Judgements::new(patience),
        })
    }

    /// Judges the averaged weights at this moment.
    pub fn judge(&mut self, trainer: &Trainer) -> (Headline, Verdict) {
        let headline = self.figures(trainer);
        let verdict = self.judgements.add(headline.jk, trainer.steps_done());
        (headline, verdict)
    }

    /// The figures of the averaged weights, all data bases together.
    pub fn figures(&self, trainer: &Trainer) -> Headline {
        let mut tally = Tally::new();
        for part in trainer.score(self.dataset, self.records).values() {
            tally.merge(part);
        }
        Headline::of(&tally)
    }
}

/// What a judgement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The best so far: keep these weights.
    Better,
    /// No better; go on.
    Wait,
    /// No better for too long: stop.
    Stop,
}

/// The judgements so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgements {
    /// `None`: never stop.
    patience: Option<u32>,
    best_jk: Option<f64>,
    best_step: u32,
    waited: u32,
}

impl Judgements {
    /// None yet.
    pub const fn new(patience: Option<u32>) -> Self {
        Self {
            patience,
            best_jk: None,
            best_step: 0,
            waited: 0,
        }
    }

    /// Takes up those of a training that is continued: the best one was after `best_step`, `waited` judgements ago.
    pub const fn resume(&mut self, jk: Option<f64>, best_step: u32, waited: u32) {
        self.best_jk = jk;
        self.best_step = best_step;
        self.waited = waited;
    }

    /// Takes note of the jk after `step` steps. An undefined one is worse than any other.
    pub fn add(&mut self, jk: Option<f64>, step: u32) -> Verdict {
        if jk > self.best_jk {
            (self.best_jk, self.best_step, self.waited) = (jk, step, 0);
            return Verdict::Better;
        }
        self.waited += 1;
        if self.is_over() {
            Verdict::Stop
        } else {
            Verdict::Wait
        }
    }

    /// Whether patience is at its end.
    pub fn is_over(&self) -> bool {
        self.patience
            .is_some_and(|patience| self.waited >= patience)
    }

    /// Judgements since the best one.
    pub const fn waited(&self) -> u32 {
        self.waited
    }

    /// The best jk so far, and after which step it was.
    pub const fn best(&self) -> (Option<f64>, u32) {
        (self.best_jk, self.best_step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_counts_judgements_since_the_best() {
        let mut judgements = Judgements::new(Some(2));
        let jk = [None, Some(0.5), Some(0.4), Some(0.6), Some(0.6), Some(0.59)];
        let verdicts = jk
            .iter()
            .zip(1..)
            .map(|(jk, step)| judgements.add(*jk, 10 * step));
        use Verdict::{Better, Stop, Wait};
        assert_eq!(
            verdicts.collect::<Vec<_>>(),
            [Wait, Better, Wait, Better, Wait, Stop]
        );
        assert_eq!(judgements.best(), (Some(0.6), 40));
        // One that is continued knows when to stop; one without patience never does.
        let mut resumed = Judgements::new(Some(2));
        resumed.resume(Some(0.6), 40, 1);
        assert!(!resumed.is_over());
        assert_eq!(resumed.add(Some(0.1), 60), Stop);
        let mut endless = Judgements::new(None);
        assert!((0..100).all(|step| endless.add(None, step) == Wait));
    }
}
