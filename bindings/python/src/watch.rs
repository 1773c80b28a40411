//! Work without the interpreter, which hears of it now and then.

use pyo3::prelude::*;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How long Ctrl-C may go unnoticed.
const NOTICED: Duration = Duration::from_millis(50);

/// What comes next, without the interpreter; waits for it no longer than [`NOTICED`].
pub(crate) fn received<T: Send>(
    py: Python<'_>,
    receiver: &mut Receiver<T>,
) -> Result<T, RecvTimeoutError> {
    py.detach(move || receiver.recv_timeout(NOTICED))
}

/// Asks for Ctrl-C and tells a callback how much is done, both at most every [`NOTICED`].
pub(crate) struct Watch {
    progress: Option<Py<PyAny>>,
    last: Instant,
    /// What ended the work.
    pub(crate) error: Option<PyErr>,
}

impl Watch {
    pub(crate) fn new(progress: Option<Py<PyAny>>) -> Self {
        Self {
            progress,
            last: Instant::now(),
            error: None,
        }
    }

    /// Hears that this much is done, 0..=1.
    pub(crate) fn hear(&mut self, done: f64) -> ControlFlow<()> {
        if self.last.elapsed() < NOTICED {
            return ControlFlow::Continue(());
        }
        self.last = Instant::now();
        let heard = Python::attach(|py| {
            py.check_signals()?;
            match &self.progress {
                Some(progress) => progress.call1(py, (done,)).map(drop),
                None => Ok(()),
            }
        });
        match heard {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.error = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// What ended the work, or else tells the callback that all is done.
    pub(crate) fn finish(self, py: Python<'_>) -> PyResult<()> {
        match (self.error, self.progress) {
            (Some(error), _) => Err(error),
            (None, Some(progress)) => progress.call1(py, (1.0,)).map(drop),
            (None, None) => Ok(()),
        }
    }
}
