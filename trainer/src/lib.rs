//! Heartlens trainer.
