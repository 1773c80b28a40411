//! Heartlens host library.
