//! What a table of beat pairs says: the statistics of ANSI/AAMI EC57 and those of the 4 x 4 confusion.
//!
//! # Two views of one table
//! EC57 counts everything: a missed ventricular beat is a false negative of the ventricular class, an extra beat that
//! the test calls ventricular a false positive ([`Table::qrs`], [`Table::veb`], [`Table::sveb`]). The
//! [`Confusion`] looks at the classifier alone: beats of the classes N, S, V, F that were found and named one of
//! these. What it leaves out is counted in [`Excluded`].
//!
//! # Undefined rates
//! A rate whose denominator is zero is `None`, with one exception: a class that occurs in the reference and is never
//! predicted has no positive predictivity, yet its F1 is 0 (2 tp / (2 tp + fp + fn)). F1 is `None` where the
//! class does not occur in the reference. A mean is `None` where one of its parts is.

use super::bxb::{Label, Table};
use heartlens_core::class::Class;
use heartlens_core::spec;
use serde::Serialize;

const BEATS: [Label; 5] = [
    Label::Beat(Class::N),
    Label::Beat(Class::S),
    Label::Beat(Class::V),
    Label::Beat(Class::F),
    Label::Beat(Class::Q),
];
const PSEUDO: [Label; 2] = [Label::Missing, Label::Shutdown];

pub(super) fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Harmonic mean of sensitivity and positive predictivity; `None` without anything to find.
fn f1(tp: u64, false_negatives: u64, fp: u64) -> Option<f64> {
    rate(2 * tp, 2 * tp + false_negatives + fp).filter(|_| tp + false_negatives > 0)
}

/// How well QRS complexes were found, of whatever class. Rates are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Qrs {
    /// Reference beats that were found.
    pub tp: u64,
    /// Reference beats that were missed, in shutdown too.
    #[serde(rename = "fn")]
    pub missed: u64,
    /// Test beats where the reference has none.
    pub fp: u64,
    /// Sensitivity, tp / (tp + fn).
    pub se: Option<f64>,
    /// Positive predictivity, tp / (tp + fp).
    pub ppv: Option<f64>,
    /// Harmonic mean of the two.
    pub f1: Option<f64>,
}

impl Qrs {
    fn new(tp: u64, missed: u64, fp: u64) -> Self {
        Self {
            tp,
            missed,
            fp,
            se: rate(tp, tp + missed),
            ppv: rate(tp, tp + fp),
            f1: f1(tp, missed, fp),
        }
    }

    /// Nothing was detected and nothing tested: all counts zero, all rates undefined.
    pub fn untested() -> Self {
        Self::new(0, 0, 0)
    }
}

/// How well ectopic beats of one kind were found and named. Rates are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ectopic {
    /// Ectopic beats of the reference that the test names so.
    pub tp: u64,
    /// Ectopic beats of the reference that the test misses or calls something else.
    #[serde(rename = "fn")]
    pub missed: u64,
    /// Beats that the test names so and the reference does not, but for those that EC57 leaves out.
    pub fp: u64,
    /// Test beats that neither of the two calls so.
    pub tn: u64,
    /// Sensitivity, tp / (tp + fn).
    pub se: Option<f64>,
    /// Positive predictivity, tp / (tp + fp).
    pub ppv: Option<f64>,
    /// False positive rate, fp / (tn + fp).
    pub fpr: Option<f64>,
}

impl Ectopic {
    fn new(tp: u64, missed: u64, fp: u64, tn: u64) -> Self {
        Self {
            tp,
            missed,
            fp,
            tn,
            se: rate(tp, tp + missed),
            ppv: rate(tp, tp + fp),
            fpr: rate(fp, tn + fp),
        }
    }
}

impl Table {
    /// Reference beats that were compared, missed ones included.
    pub fn reference_beats(&self) -> u64 {
        self.sum(&BEATS, &Label::ALL)
    }

    /// QRS statistics, as `bxb` prints them.
    pub fn qrs(&self) -> Qrs {
        Qrs::new(
            self.sum(&BEATS, &BEATS),
            self.sum(&BEATS, &PSEUDO),
            self.sum(&PSEUDO, &BEATS),
        )
    }

    /// Ventricular ectopic beats, as `bxb` prints them: a fusion or unclassifiable beat that the test calls ventricular
    /// is no false positive.
    pub fn veb(&self) -> Ectopic {
        self.ectopic(Class::V, &[Class::F, Class::Q])
    }

    /// Supraventricular ectopic beats, as `bxb` prints them: an unclassifiable beat that the test calls
    /// supraventricular is no false positive. (`bxb` prints no false positive rate for them; it is formed as for
    /// ventricular beats.)
    pub fn sveb(&self) -> Ectopic {
        self.ectopic(Class::S, &[Class::Q])
    }

    fn ectopic(&self, class: Class, forgiven: &[Class]) -> Ectopic {
        let this = [Label::Beat(class)];
        let others: Vec<Label> = Label::ALL.into_iter().filter(|l| *l != this[0]).collect();
        let accused: Vec<Label> = others
            .iter()
            .copied()
            .filter(|l| !forgiven.iter().any(|&f| *l == Label::Beat(f)))
            .collect();
        let named_otherwise: Vec<Label> = BEATS.into_iter().filter(|l| *l != this[0]).collect();
        Ectopic::new(
            self.sum(&this, &this),
            self.sum(&this, &others),
            self.sum(&accused, &this),
            self.sum(&others, &named_otherwise),
        )
    }

    /// The beats of the classes N, S, V, F that the test names one of these.
    pub fn confusion(&self) -> Confusion {
        let mut rows = [[0; CLASSES]; CLASSES];
        for (row, reference) in rows.iter_mut().zip(BEATS) {
            for (cell, test) in row.iter_mut().zip(BEATS) {
                *cell = self.get(reference, test);
            }
        }
        Confusion(rows)
    }

    /// What [`Self::confusion`] leaves out.
    pub fn excluded(&self) -> Excluded {
        let known = &BEATS[..CLASSES];
        let unreadable = [Label::Beat(Class::Q)];
        Excluded {
            reference_q: self.sum(&unreadable, &Label::ALL),
            unreadable: self.sum(known, &unreadable),
            missed: self.sum(known, &PSEUDO),
            extra: self.sum(&PSEUDO, &BEATS),
        }
    }
}

/// Beats that are not in a [`Confusion`]. The first three and the confusion's sum make up the reference beats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Excluded {
    /// Reference beats of class Q (paced, unclassifiable), whatever the test says of them.
    pub reference_q: u64,
    /// Reference beats of class N, S, V or F that the test calls Q: found, but too noisy to be named.
    pub unreadable: u64,
    /// Reference beats of class N, S, V or F that were missed.
    pub missed: u64,
    /// Test beats where the reference has none.
    pub extra: u64,
}

const CLASSES: usize = spec::LABELS.len();

/// Beats by class: rows are the reference, columns the prediction, both in the order of
/// [`spec::LABELS`], N S V F.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Confusion([[u64; CLASSES]; CLASSES]);

/// How well one class was told from the others. Rates are 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ClassRates {
    /// Sensitivity.
    pub se: Option<f64>,
    /// Positive predictivity.
    pub ppv: Option<f64>,
    /// Their harmonic mean, 0 for a class that is never predicted.
    pub f1: Option<f64>,
}

impl Confusion {
    /// A confusion from its rows (reference N S V F) by columns (predicted N S V F).
    pub const fn from_rows(rows: [[u64; CLASSES]; CLASSES]) -> Self {
        Self(rows)
    }

    /// The rows, reference N S V F by prediction N S V F.
    pub const fn rows(&self) -> &[[u64; CLASSES]; CLASSES] {
        &self.0
    }

    /// All beats.
    pub fn total(&self) -> u64 {
        self.0.iter().flatten().sum()
    }

    fn right(&self) -> u64 {
        (0..CLASSES).map(|i| self.0[i][i]).sum()
    }

    fn row_sum(&self, class: usize) -> u64 {
        self.0[class].iter().sum()
    }

    fn column_sum(&self, class: usize) -> u64 {
        self.0.iter().map(|row| row[class]).sum()
    }

    /// Share of the beats that got their own class.
    pub fn accuracy(&self) -> Option<f64> {
        rate(self.right(), self.total())
    }

    /// Rates of the class at place `class` of [`spec::LABELS`], 0 to 3.
    pub fn class(&self, class: usize) -> ClassRates {
        let tp = self.0[class][class];
        let (references, predictions) = (self.row_sum(class), self.column_sum(class));
        ClassRates {
            se: rate(tp, references),
            ppv: rate(tp, predictions),
            f1: f1(tp, references - tp, predictions - tp),
        }
    }

    /// Mean of the F1 of the first `classes` classes: all four, or N, S and V.
    fn macro_f1_of(&self, classes: usize) -> Option<f64> {
        let sum: Option<f64> = (0..classes).map(|class| self.class(class).f1).sum();
        sum.map(|sum| sum / classes as f64)
    }

    /// Mean F1 of N, S, V and F.
    pub fn macro_f1(&self) -> Option<f64> {
        self.macro_f1_of(CLASSES)
    }

    /// Mean F1 of N, S and V, from the same confusion.
    pub fn macro_f1_nsv(&self) -> Option<f64> {
        self.macro_f1_of(3)
    }

    /// Cohen's kappa: agreement beyond chance, 1 for perfect, 0 for what the marginal frequencies alone would give
    /// (Cohen 1960, Educ. Psychol. Meas. 20:37). `None` for no beats, and where chance alone would always agree.
    pub fn kappa(&self) -> Option<f64> {
        let total = self.total() as f64;
        let observed = self.accuracy()?;
        let by_chance: f64 = (0..CLASSES)
            .map(|i| self.row_sum(i) as f64 / total * (self.column_sum(i) as f64 / total))
            .sum();
        (by_chance < 1.0).then(|| (observed - by_chance) / (1.0 - by_chance))
    }

    /// The index j-kappa, kappa / 2 + (Se_S + Se_V + +P_S + +P_V) / 8, at most 1 (Mar et al. 2011, IEEE Trans. Biomed.
    /// Eng. 58:2168).
    ///
    /// `None` where kappa is undefined or S or V does not occur in the reference. A positive predictivity that is
    /// undefined because the class was never predicted counts as 0: who never says S shall not escape judgement.
    pub fn jk(&self) -> Option<f64> {
        let (s, v) = (self.class(1), self.class(2));
        let predictivity = s.ppv.unwrap_or(0.0) + v.ppv.unwrap_or(0.0);
        Some(self.kappa()? / 2.0 + (s.se? + v.se? + predictivity) / 8.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Rows N S V F Q O X by n s v f q o x, all cells different, so that no two sums agree by accident.
    const TABLE: Table = Table::from_rows([
        [1000, 20, 30, 4, 5, 6, 7],
        [80, 90, 10, 11, 12, 13, 14],
        [15, 16, 170, 18, 19, 21, 22],
        [23, 24, 25, 26, 27, 28, 29],
        [31, 32, 33, 34, 35, 36, 37],
        [38, 39, 40, 41, 42, 0, 0],
        [43, 44, 45, 46, 47, 0, 0],
    ]);

    fn close(found: Option<f64>, expected: f64) {
        let found = found.unwrap();
        assert!((found - expected).abs() < 1e-12, "{found}, not {expected}");
    }

    /// Sums by hand, of the cells that `print_results` of bxb.c names: QTP = Nn + Ns + ... + Qq, QFN = No + Nx + ...,
    /// QFP = On + ... + Xq.
    #[test]
    fn qrs_by_hand() {
        let qrs = TABLE.qrs();
        assert_eq!((qrs.tp, qrs.missed, qrs.fp), (1790, 213, 425));
        close(qrs.se, 1790.0 / 2003.0);
        close(qrs.ppv, 1790.0 / 2215.0);
        close(qrs.f1, 3580.0 / (3580.0 + 213.0 + 425.0));
    }

    /// VTP = Vv, VFN = Vn + Vs + Vf + Vq + Vo + Vx, VFP = Nv + Sv + Ov + Xv (no Fv, no Qv), VTN = every n, s, f and q
    /// but the row V's.
    #[test]
    fn ventricular_by_hand() {
        let veb = TABLE.veb();
        assert_eq!((veb.tp, veb.missed, veb.fp), (170, 111, 125));
        assert_eq!(veb.tn, 1029 + 193 + 100 + 132 + 160 + 180);
        close(veb.se, 170.0 / 281.0);
        close(veb.ppv, 170.0 / 295.0);
        close(veb.fpr, 125.0 / (1794.0 + 125.0));
    }

    /// STP = Ss, SFN = Sn + Sv + Sf + Sq + So + Sx, SFP = Ns + Vs + Fs + Os + Xs (no Qs).
    #[test]
    fn supraventricular_by_hand() {
        let sveb = TABLE.sveb();
        assert_eq!((sveb.tp, sveb.missed, sveb.fp), (90, 140, 143));
        assert_eq!(sveb.tn, 1039 + 222 + 101 + 133 + 161 + 181);
        close(sveb.se, 90.0 / 230.0);
        close(sveb.ppv, 90.0 / 233.0);
        close(sveb.fpr, 143.0 / (1837.0 + 143.0));
    }

    #[test]
    fn the_confusion_leaves_out_what_it_says() {
        let confusion = TABLE.confusion();
        assert_eq!(
            confusion.rows(),
            &[
                [1000, 20, 30, 4],
                [80, 90, 10, 11],
                [15, 16, 170, 18],
                [23, 24, 25, 26]
            ]
        );
        let excluded = Excluded {
            reference_q: 238,
            unreadable: 63,
            missed: 140,
            extra: 425,
        };
        assert_eq!(TABLE.excluded(), excluded);
        assert_eq!(TABLE.reference_beats(), confusion.total() + 238 + 63 + 140);
    }

    /// By hand: 120 beats, 95 right; chance agreement is (60 50 + 30 30 + 20 30 + 10 10) / 120^2 = 4600 / 14400.
    #[test]
    fn kappa_and_jk_by_hand() {
        let confusion =
            Confusion::from_rows([[45, 10, 5, 0], [5, 20, 5, 0], [0, 0, 20, 0], [0, 0, 0, 10]]);
        let observed = 95.0 / 120.0;
        let chance = 4600.0 / 14400.0;
        let kappa = (observed - chance) / (1.0 - chance);
        close(confusion.accuracy(), observed);
        close(confusion.kappa(), kappa);
        let rates = 20.0 / 30.0 + 20.0 / 20.0 + 20.0 / 30.0 + 20.0 / 30.0;
        close(confusion.jk(), kappa / 2.0 + rates / 8.0);
        let f1 = [90.0 / 110.0, 40.0 / 60.0, 40.0 / 50.0, 1.0];
        close(confusion.macro_f1(), f1.iter().sum::<f64>() / 4.0);
        close(confusion.macro_f1_nsv(), f1[..3].iter().sum::<f64>() / 3.0);
    }

    /// Cohen's kappa of Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions (2003), table 18.1: three
    /// categories, frequencies 75 1 4 / 5 4 1 / 0 0 10 of 100, kappa 0.68.
    #[test]
    fn kappa_of_a_textbook() {
        let confusion =
            Confusion::from_rows([[75, 1, 4, 0], [5, 4, 1, 0], [0, 0, 10, 0], [0, 0, 0, 0]]);
        close(confusion.kappa(), (0.89 - 0.66) / (1.0 - 0.66));
    }

    #[test]
    fn guessing_by_frequency_has_no_kappa() {
        let confusion = Confusion::from_rows([[36, 18, 6, 0], [18, 9, 3, 0], [6, 3, 1, 0], [0; 4]]);
        close(confusion.kappa(), 0.0);
    }

    #[test]
    fn the_best_is_one() {
        let confusion =
            Confusion::from_rows([[9, 0, 0, 0], [0, 8, 0, 0], [0, 0, 7, 0], [0, 0, 0, 6]]);
        for figure in [
            confusion.accuracy(),
            confusion.macro_f1(),
            confusion.macro_f1_nsv(),
            confusion.kappa(),
            confusion.jk(),
        ] {
            close(figure, 1.0);
        }
    }

    #[test]
    fn nothing_to_judge_is_undefined() {
        let table = Table::default();
        let confusion = table.confusion();
        assert_eq!(table.qrs(), Qrs::untested());
        assert_eq!(table.qrs().se, None);
        assert_eq!(table.veb().fpr, None);
        for figure in [
            confusion.accuracy(),
            confusion.macro_f1(),
            confusion.kappa(),
            confusion.jk(),
            confusion.class(0).se,
            confusion.class(0).f1,
        ] {
            assert_eq!(figure, None);
        }
        let one_class = Confusion::from_rows([[9, 0, 0, 0], [0; 4], [0; 4], [0; 4]]);
        assert_eq!((one_class.accuracy(), one_class.kappa()), (Some(1.0), None));
    }

    /// A class that occurs and is never predicted: no predictivity, F1 zero, and jk counts it as zero.
    #[test]
    fn never_predicting_a_class_is_no_escape() {
        let confusion = Confusion::from_rows([[50, 0, 0, 0], [10, 0, 0, 0], [0, 0, 20, 0], [0; 4]]);
        let s = confusion.class(1);
        assert_eq!((s.se, s.ppv, s.f1), (Some(0.0), None, Some(0.0)));
        let kappa = confusion.kappa().unwrap();
        close(confusion.jk(), kappa / 2.0 + (0.0 + 1.0 + 0.0 + 1.0) / 8.0);
    }

    /// A class that does not occur has no sensitivity and no F1, predicted or not, and the means over it are undefined.
    #[test]
    fn an_absent_class_is_undefined() {
        let confusion = Confusion::from_rows([[50, 2, 0, 3], [1, 10, 0, 0], [0, 0, 20, 0], [0; 4]]);
        let f = confusion.class(3);
        assert_eq!((f.se, f.ppv, f.f1), (None, Some(0.0), None));
        assert_eq!(confusion.macro_f1(), None);
        assert!(confusion.macro_f1_nsv().is_some() && confusion.jk().is_some());
        let without_v = Confusion::from_rows([[50, 2, 0, 0], [1, 10, 0, 0], [0; 4], [0; 4]]);
        assert_eq!((without_v.macro_f1_nsv(), without_v.jk()), (None, None));
    }
}
