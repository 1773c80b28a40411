//! What a network and its parts are worth on records that they have not seen.

pub mod ablate;
pub mod calibration;
pub mod card;
pub mod change;
pub mod cross_validate;
pub mod int8;
pub mod logits_cache;
pub mod noise;
pub mod results;
pub mod rhythm;
pub mod rules;
pub mod strip;
pub mod whole;
