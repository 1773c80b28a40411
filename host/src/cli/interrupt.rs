//! Ctrl-C, SIGTERM and SIGHUP: what is in the making is removed, and the process ends with exit code 130.
//!
//! A verb that has something to say or to finish is asked to end first. It may be unable to: a read of a network share that does not
//! answer cannot be called off. After [`PATIENCE`] the process ends in any case, unless the verb is writing.

use super::EXIT_INTERRUPTED;
use crate::engine::Stop;
use crate::file::remove_unfinished;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a verb has to end by itself.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often it is looked after.
const LOOK: Duration = Duration::from_millis(20);

/// What a verb says as it is ended; `None` while it must not be.
type LastWords = Box<dyn Fn() -> Option<String> + Send>;

/// A verb that ends when it is asked to.
static ASKED: Mutex<Option<(Stop, LastWords)>> = Mutex::new(None);

fn asked() -> MutexGuard<'static, Option<(Stop, LastWords)>> {
    ASKED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends the process by Ctrl-C from now on. Where the system does not allow that, Ctrl-C does as the system has it; and where the end
/// of the terminal is to be ignored (`nohup`), it still is.
pub(super) fn heed() {
    if ignores_hangups() {
        return;
    }
    let again = AtomicBool::new(false);
    let _ = ctrlc::set_handler(move || {
        if again.swap(true, Ordering::Relaxed) {
            end();
        }
        match &*asked() {
            Some((stop, _)) => stop.stop(),
            None => end(),
        }
        std::thread::spawn(end_in_time);
    });
}

/// Asks a verb to stop, and ends the process where it does not in time.
fn end_in_time() {
    let begun = Instant::now();
    loop {
        std::thread::sleep(LOOK);
        let asked = asked();
        let Some((_, last_words)) = &*asked else {
            return;
        };
        if begun.elapsed() >= PATIENCE
            && let Some(words) = last_words()
        {
            eprintln!("error: {words}");
            end();
        }
    }
}

/// Whether this process was started to outlive its terminal, as Linux tells it.
fn ignores_hangups() -> bool {
    const SIGHUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 1)
}

fn end() -> ! {
    remove_unfinished();
    std::process::exit(EXIT_INTERRUPTED.into())
}

/// Has Ctrl-C ask this stop first, as long as what comes back is kept.
pub(super) fn by(stop: Stop, last_words: impl Fn() -> Option<String> + Send + 'static) -> Asking {
    *asked() = Some((stop, Box::new(last_words)));
    Asking(())
}

/// See [`by`].
pub(super) struct Asking(());

impl Drop for Asking {
    fn drop(&mut self) {
        *asked() = None;
    }
}
