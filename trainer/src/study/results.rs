//! The results of a cross-validation: trainings judged, pooled and laid out as JSON.

use super::calibration::Calibration;
use super::cross_validate::Plan;
use super::int8::Int8Results;
use super::logits_cache::HeldOut;
use crate::beat::config::Config;
use crate::beat::dataset::Dataset;
use crate::beat::fit::Logits;
use crate::data::record::{Lead, RecordBeats};
use crate::data::split::names;
use heartlens::choice::weights_by_quality;
use heartlens::evaluate::bootstrap::Bootstrap;
use heartlens::evaluate::bxb::Table;
use heartlens::evaluate::mapping::Mapping;
use heartlens::evaluate::report::{Peaks, Report, Setting};
use heartlens::evaluate::tally::Tally;
use heartlens_core::class::Class;
use heartlens_core::spec;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What a cross-validation found, the JSON of `heartlens-train cross-validate`: the keys of
/// [`Report`] pooled over folds and seeds (a beat counts once a seed), and how it came about.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The model's name.
    pub model: String,
    /// Trainable parameters.
    pub parameters: usize,
    /// Hash of the features, 16 hex digits.
    pub spec_hash: String,
    /// What was trained.
    pub config: Config,
    /// The lead that a beat is judged in.
    pub first_lead: &'static str,
    /// What decides on the class in all figures but those of `variants` and `int8`.
    pub context: &'static str,
    /// All data bases, all folds, all seeds.
    #[serde(flatten)]
    pub pooled: Report,
    /// The same by database.
    pub databases: BTreeMap<String, Report>,
    /// Every training alone.
    pub folds: Vec<FoldResults>,
    /// Every seed alone.
    pub seeds: Vec<SeedResults>,
    /// The held-out records of each fold.
    pub splits: Vec<Vec<String>>,
    /// The same trainings judged in other ways.
    pub variants: Vec<Variant>,
    /// How far probabilities can be believed.
    pub calibration: Option<Calibration>,
    /// The same networks as device images, where that was asked for: all folds and seeds together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8Results>,
}

/// The name of a judgement by the network's largest logit.
pub const NETWORK_ALONE: &str = "network alone";
/// [`Results::first_lead`], as [`Lead::First`](crate::data::record::Lead::First) has it.
const FIRST_LEAD: &str = "MLII where the record has it, else its first lead";

impl Results {
    /// The results without those of every record.
    ///
    /// # Errors
    /// If they are not JSON.
    pub fn summary(&self) -> serde_json::Result<Value> {
        let mut summary = serde_json::to_value(self)?;
        let leave_out = |report: &mut Value| {
            if let Some(report) = report.as_object_mut() {
                report.remove("per_record");
            }
        };
        leave_out(&mut summary);
        let databases = summary.get_mut("databases").and_then(Value::as_object_mut);
        for report in databases.into_iter().flat_map(|all| all.values_mut()) {
            leave_out(report);
        }
        Ok(summary)
    }
}

/// All trainings judged in one way.
#[derive(Debug, Clone, Serialize)]
pub struct Variant {
    /// Where the R peaks of the judged beats come from.
    pub peaks: Peaks,
    /// The leads that the network read.
    pub leads: Leads,
    /// What weighs on the network's probabilities.
    pub context: &'static str,
    /// Figures by database.
    pub databases: BTreeMap<String, VariantFigures>,
}

/// One database, judged in one way.
#[derive(Debug, Clone, Serialize)]
pub struct VariantFigures {
    /// All seeds together.
    #[serde(flatten)]
    pub headline: Headline,
    /// jk of each seed.
    pub seeds: Vec<Option<f64>>,
}

/// One training.
#[derive(Debug, Clone, Serialize)]
pub struct FoldResults {
    /// Seed of the training.
    pub seed: u64,
    /// Index into `splits`.
    pub fold: usize,
    /// Beats scored.
    pub beats: u64,
    /// Figures of the held-out records together.
    #[serde(flatten)]
    pub headline: Headline,
    /// Duration of the training, in seconds.
    pub training_s: f64,
    /// Duration of the scoring, in seconds.
    pub scoring_s: f64,
    /// The same network as a device image, calibrated on the training records, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub int8: Option<Int8Results>,
}

/// One seed over all folds.
#[derive(Debug, Clone, Serialize)]
pub struct SeedResults {
    /// The seed.
    pub seed: u64,
    /// Figures by database.
    pub databases: BTreeMap<String, Headline>,
}

/// The figures that are compared most.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// kappa/2 + (Se_S + Se_V + PPV_S + PPV_V)/8.
    pub jk: Option<f64>,
    /// Cohen's kappa.
    pub kappa: Option<f64>,
    /// Mean F1 of N, S, V.
    pub macro_f1_nsv: Option<f64>,
    /// F1 of S.
    pub f1_s: Option<f64>,
    /// F1 of V.
    pub f1_v: Option<f64>,
}

impl Headline {
    /// Of all beats in `tally`.
    pub fn of(tally: &Tally) -> Self {
        Self::of_table(&tally.gross().table)
    }

    /// Of these pairs.
    pub fn of_table(table: &Table) -> Self {
        let confusion = table.confusion();
        Self {
            jk: confusion.jk(),
            kappa: confusion.kappa(),
            macro_f1_nsv: confusion.macro_f1_nsv(),
            f1_s: confusion.class(Class::S as usize).f1,
            f1_v: confusion.class(Class::V as usize).f1,
        }
    }
}

/// The results of trainings whose classes `decide` names: for a training and an index into the data set's records, one
/// class a beat. Records whose R peaks come from elsewhere than those of `judged` are left out.
pub fn results(
    config: &Config,
    dataset: &Dataset,
    plan: &Plan,
    trained: &[HeldOut],
    judged: Judged,
    decide: impl Fn(&HeldOut, usize) -> Vec<Class>,
) -> Results {
    let peaks = judged.peaks;
    let setting = Setting {
        peaks,
        runtime: "libtorch".to_owned(),
        mapping: Mapping::default(),
        from_s: 0.0,
        bootstrap: Bootstrap::default(),
    };
    let tallied: Vec<BTreeMap<String, Tally>> = trained
        .iter()
        .map(|done| tallies(dataset, done, peaks, |record| decide(done, record)))
        .collect();
    let by_seed = |seed: u64| {
        let both = trained.iter().zip(&tallied);
        both.filter(move |(done, _)| done.seed == seed)
            .map(|(_, tallies)| tallies)
    };
    let databases = by_database(tallied.iter());
    Results {
        model: config.name.clone(),
        parameters: trained.first().map_or(0, |done| done.parameters),
        spec_hash: format!("{:016x}", spec::HASH),
        config: config.clone(),
        first_lead: FIRST_LEAD,
        context: judged.context,
        pooled: all(&databases).report(&setting),
        databases: databases
            .into_iter()
            .map(|(database, tally)| (database, tally.report(&setting)))
            .collect(),
        folds: trained
            .iter()
            .zip(&tallied)
            .map(|(done, tallies)| {
                let tally = all(tallies);
                FoldResults {
                    seed: done.seed,
                    fold: done.fold,
                    beats: tally.gross().table.reference_beats(),
                    headline: Headline::of(&tally),
                    training_s: done.training_s,
                    scoring_s: done.scoring_s,
                    int8: Int8Results::of(dataset, [done], peaks),
                }
            })
            .collect(),
        seeds: plan
            .seeds
            .iter()
            .map(|&seed| SeedResults {
                seed,
                databases: by_database(by_seed(seed))
                    .into_iter()
                    .map(|(database, tally)| (database, Headline::of(&tally)))
                    .collect(),
            })
            .collect(),
        splits: plan
            .splits
            .iter()
            .map(|records| names(dataset, records))
            .collect(),
        variants: Vec::new(),
        calibration: None,
        int8: Int8Results::of(dataset, trained, peaks),
    }
}

/// Leads that a network reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Leads {
    /// The first alone.
    First,
    /// The one of the better quality over the record, alone.
    Best,
    /// Both, by the mean of their logits.
    Both,
    /// Both, by the mean of their logits weighted by the quality around the beat.
    All,
}

impl Leads {
    /// Every choice.
    pub const EACH: [Self; 4] = [Self::First, Self::Best, Self::Both, Self::All];

    /// The leads that are read of a record.
    pub fn read(self, record: &RecordBeats) -> &'static [Lead] {
        match self {
            Self::First => &[Lead::First],
            Self::Best if record.best == Lead::First => &[Lead::First],
            Self::Best => &[Lead::Second],
            Self::Both | Self::All => &[Lead::First, Lead::Second],
        }
    }

    /// Logits of the leads of `record`, the data set's record `index`, which `done` has not seen; none where the second
    /// lead was not scored.
    pub fn logits<'a>(
        self,
        done: &'a HeldOut,
        index: usize,
        record: &RecordBeats,
    ) -> Cow<'a, [Logits]> {
        let first = &done.logits[&index];
        if self == Self::First {
            return Cow::Borrowed(first);
        }
        let Some(second) = done.second_lead.as_ref().map(|scored| &scored[&index]) else {
            return Cow::Borrowed(&[]);
        };
        let fused = |weights: &dyn Fn(usize) -> [f32; 2]| {
            let pairs = first.iter().zip(second).enumerate();
            let mean = |(beat, (a, b)): (usize, (&Logits, &Logits))| {
                let [of_a, of_b] = weights(beat);
                std::array::from_fn(|class| of_a * a[class] + of_b * b[class])
            };
            Cow::Owned(pairs.map(mean).collect())
        };
        match self {
            Self::Best if record.best == Lead::First => Cow::Borrowed(first),
            Self::First | Self::Best => Cow::Borrowed(second),
            Self::Both => fused(&|_| [0.5, 0.5]),
            Self::All => fused(&|beat| {
                let quality = |lead| Some(record.beat(lead, beat).quality());
                let weights = weights_by_quality(&[quality(Lead::First), quality(Lead::Second)]);
                [weights[0], weights[1]]
            }),
        }
    }
}

/// One way of judging trainings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Where the R peaks of the judged beats come from.
    pub peaks: Peaks,
    /// [`Variant::leads`].
    pub leads: Leads,
    /// [`Variant::context`].
    pub context: &'static str,
}

/// The headlines of trainings whose classes `decide` names, by database; as [`results`].
pub fn variant(
    dataset: &Dataset,
    plan: &Plan,
    trained: &[HeldOut],
    judged: Judged,
    decide: impl Fn(&HeldOut, usize) -> Vec<Class>,
) -> Variant {
    let Judged {
        peaks,
        leads,
        context,
    } = judged;
    let by_seed: Vec<BTreeMap<String, Tally>> = plan
        .seeds
        .iter()
        .map(|seed| {
            let of_seed: Vec<_> = trained
                .iter()
                .filter(|done| done.seed == *seed)
                .map(|done| tallies(dataset, done, peaks, |record| decide(done, record)))
                .collect();
            by_database(of_seed.iter())
        })
        .collect();
    let figures = by_database(by_seed.iter())
        .into_iter()
        .map(|(database, pooled)| {
            let seeds = by_seed.iter().map(|tallies| {
                let tally = tallies.get(&database);
                tally.and_then(|tally| Headline::of(tally).jk)
            });
            let figures = VariantFigures {
                headline: Headline::of(&pooled),
                seeds: seeds.collect(),
            };
            (database, figures)
        })
        .collect();
    Variant {
        peaks,
        leads,
        context,
        databases: figures,
    }
}

/// One tally a database of what a training did not see, at `peaks`.
fn tallies(
    dataset: &Dataset,
    done: &HeldOut,
    peaks: Peaks,
    decide: impl Fn(usize) -> Vec<Class>,
) -> BTreeMap<String, Tally> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    for &index in done.logits.keys() {
        let record = &dataset.records[index];
        if record.peaks != peaks {
            continue;
        }
        let tally = tallies.entry(record.database.clone()).or_default();
        for (&class, found) in record.classes.iter().zip(decide(index)) {
            tally.add_beat(&record.name, class, found);
        }
    }
    tallies
}

/// The trainings' tallies, added up by database.
fn by_database<'a>(
    results: impl Iterator<Item = &'a BTreeMap<String, Tally>>,
) -> BTreeMap<String, Tally> {
    let mut pooled: BTreeMap<String, Tally> = BTreeMap::new();
    for (database, tally) in results.flatten() {
        pooled.entry(database.clone()).or_default().merge(tally);
    }
    pooled
}

/// All databases together.
fn all(tallies: &BTreeMap<String, Tally>) -> Tally {
    let mut pooled = Tally::new();
    for tally in tallies.values() {
        pooled.merge(tally);
    }
    pooled
}

/// A rate to three digits, `-` where it is undefined.
pub(crate) fn digits(rate: Option<f64>) -> String {
    rate.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.3}"))
}
