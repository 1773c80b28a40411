//! Bimodal compression: outside the protected zones, which hold the QRS complexes, only the mean of each few samples is kept.
//!
//! How many, section 6 says by its time between samples, which is that many times section 5's; where the zones are, section 4.
//! Samples between two zones that do not fill a group are kept as they are. What was thinned out is expanded as the standard says:
//! half of the first and of the last group is its mean, and a straight line goes from one group's middle to the next.

use super::{Places, Section, Span};
use crate::RecordError;
use std::ops::Range;
use std::path::Path;

/// The most samples that one stands for: the standard has 2 to 4.
const MAX_FACTOR: usize = 64;

/// How the samples of a record were thinned out.
#[derive(Debug)]
pub(super) struct Thinning {
    /// Samples that one of those that are kept stands for, at least 2.
    factor: usize,
    /// The first and the last sample of each protected zone, from 1, in order and apart.
    zones: Vec<[u32; 2]>,
}

impl Thinning {
    /// Reads it from section 4, where samples lie `step_us` apart in section 6 and `full_us` in section 5. `None` where the two are
    /// the same, so that nothing is thinned out.
    pub(super) fn of(
        path: &Path,
        rhythm: Section<'_>,
        places: &Places,
        [step_us, full_us]: [u16; 2],
    ) -> Result<Option<Self>, RecordError> {
        let factor = usize::from(step_us / full_us.max(1));
        if full_us == 0 || step_us % full_us != 0 || factor > MAX_FACTOR {
            let found = format!("{step_us} us, and {full_us} us in section 5");
            let expected = "a small multiple of the latter between samples in bimodal compression";
            return Err(rhythm.wrong(path, 2, found, expected));
        }
        let mut zones = places.protected.clone();
        zones.retain(|[first, last]| *first > 0 && first <= last);
        zones.sort_unstable();
        let mut before = 0_u32;
        for zone in &mut zones {
            zone[0] = zone[0].max(before.saturating_add(1));
            before = before.max(zone[1]);
        }
        zones.retain(|[first, last]| first <= last);
        Ok((factor > 1).then_some(Self { factor, zones }))
    }

    /// The samples that are kept of a lead.
    pub(super) fn kept(&self, span: &Span) -> usize {
        let stretch = |(samples, is_protected): (Range<u32>, bool)| match is_protected {
            true => samples.len(),
            false => samples.len() / self.factor + samples.len() % self.factor,
        };
        self.stretches(span).map(stretch).sum()
    }

    /// The stretches of a lead, protected and others in turn, and whether they are protected.
    fn stretches(&self, span: &Span) -> impl Iterator<Item = (Range<u32>, bool)> {
        let (first, end) = (span.first, span.last.saturating_add(1));
        let clamped = move |at: u32| at.clamp(first, end);
        let zones = self.zones.iter();
        let ends = zones.clone().map(|zone| zone[1].saturating_add(1));
        let begins = zones.clone().map(|zone| zone[0]).chain([end]);
        let between = std::iter::once(first)
            .chain(ends)
            .zip(begins)
            .map(move |(from, to)| (clamped(from)..clamped(to), false));
        let protected =
            zones.map(move |[from, to]| (clamped(*from)..clamped(to.saturating_add(1)), true));
        let protected = protected.chain([(end..end, true)]);
        between
            .zip(protected)
            .flat_map(|(between, protected)| [between, protected])
    }

    /// All samples of a lead, as far as those that are kept go.
    pub(super) fn expanded(&self, span: &Span, kept: &[i32]) -> Vec<i32> {
        let mut all = Vec::with_capacity(span.len());
        let mut rest = kept;
        for (samples, is_protected) in self.stretches(span) {
            let groups = match is_protected {
                true => 0,
                false => samples.len() / self.factor,
            };
            let whole = samples.len() - groups * self.factor;
            let means = rest.get(..groups.min(rest.len())).unwrap_or_default();
            self.join(means, &mut all);
            rest = &rest[means.len()..];
            let whole = rest.get(..whole.min(rest.len())).unwrap_or_default();
            all.extend_from_slice(whole);
            rest = &rest[whole.len()..];
        }
        all
    }

    /// A line through the means of groups.
    fn join(&self, means: &[i32], all: &mut Vec<i32>) {
        let factor = self.factor as i64;
        let half = factor / 2;
        for k in 0..factor * means.len() as i64 {
            // The group whose middle was passed last, and how far the next one's is.
            let group = ((k - half).div_euclid(factor)).max(0);
            let within = (k - half - group * factor).max(0);
            let at = |group: i64| {
                let group = usize::try_from(group).unwrap_or(0).min(means.len() - 1);
                i64::from(means[group])
            };
            let (from, to) = (at(group), at(group + 1));
            let value = (from * factor + (to - from) * within) as f64 / factor as f64;
            all.push(value.round() as i32);
        }
    }
}
