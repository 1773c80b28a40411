//! How good are the beats: comparison with a reference by ANSI/AAMI EC57.
//!
//! [`bxb`] pairs the beats of two annotation lists, [`ec57`] computes figures from the pairs, [`tally`] collects
//! records and makes a [`report`] with intervals by [`bootstrap`] over patients. [`noise`] makes a record noisy by
//! EC57's rule.

pub mod bootstrap;
pub mod bxb;
pub mod ec57;
pub mod mapping;
pub mod noise;
pub mod report;
pub mod tally;
#[cfg(test)]
mod tests;
