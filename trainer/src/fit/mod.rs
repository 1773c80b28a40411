//! A training: its steps, when it stops, and what it leaves on disk.

pub mod checkpoint;
pub mod curves;
pub mod device;
pub mod early_stopping;
pub mod log;
pub mod tensorboard;
pub mod training_loop;
