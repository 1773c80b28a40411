//! How good are the beats: comparison with a reference by ANSI/AAMI EC57.
//!
//! [`bxb`] pairs the beats of two annotation lists, [`ec57`] computes figures from the pairs, [`tally`] collects
//! records and makes a [`report`] with intervals by [`bootstrap`] over patients. [`af`] compares episodes of atrial
//! fibrillation and [`runs`] runs of ectopic beats ([`episodes`] both). [`certainty`] says how far probabilities can be
//! believed. [`diagnosis`] knows recordings that have none. [`noise`] makes a record noisy by EC57's rule.

pub mod af;
pub mod bootstrap;
pub mod bxb;
pub mod certainty;
pub mod diagnosis;
pub mod ec57;
#[cfg(test)]
mod episode_tests;
pub mod episodes;
pub mod mapping;
pub mod noise;
pub mod report;
pub mod runs;
pub mod tally;
#[cfg(test)]
mod tests;
