//! The verbs that need more than a record: `fetch` and the help of all of them, with a server of the tests' own; `view` and `device
//! --serve`, with a browser that is none. And what all verbs do where the machine has faults.

#![cfg(all(unix, feature = "cli", feature = "fetch"))]

#[cfg(feature = "parquet")]
#[path = "../common/demo.rs"]
mod demo;
mod emulated;
#[cfg(feature = "parquet")]
mod faults;
mod fetch;
mod help;
mod server;
mod view;
