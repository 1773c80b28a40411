//! What tells a wearable's fibrillation.

use crate::model::Executor;
use crate::monitor::MonitoredBeat;
use crate::strip::{JudgedBeat, StripMonitor, StripVerdict};
use core::task::Poll;

/// What tells a wearable's fibrillation: [`NoStrips`], the intervals alone; or [`StripMonitor`], half a minute of signal, as a host
/// tells it. Nothing else does.
pub trait Strips: sealed::Sealed {
    /// Whether half minutes are judged at all.
    const JUDGED: bool;

    /// Takes the next filtered sample, in mV.
    fn push(&mut self, filtered_mv: f32);
    /// Takes the next beat.
    fn note(&mut self, beat: &MonitoredBeat);
    /// Ends the recording.
    fn finish(&mut self);
    /// Forgets the recording.
    fn restart(&mut self);
    /// Does one slice of the work.
    fn work(&mut self) -> Poll<Option<StripVerdict>>;
    /// The next beat of which it is certain whether it lies in fibrillation.
    fn poll(&mut self) -> Option<JudgedBeat>;
}

mod sealed {
    pub trait Sealed {
        type Network;
        fn new(network: Self::Network) -> Self;
    }
}
pub(super) use sealed::Sealed;

/// No strip network: fibrillation is told by the rhythm network's intervals alone. It takes no memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoStrips;

impl Sealed for NoStrips {
    type Network = ();

    fn new((): ()) -> Self {
        Self
    }
}

impl Strips for NoStrips {
    const JUDGED: bool = false;

    fn push(&mut self, _: f32) {}

    fn note(&mut self, _: &MonitoredBeat) {}

    fn finish(&mut self) {}

    fn restart(&mut self) {}

    fn work(&mut self) -> Poll<Option<StripVerdict>> {
        Poll::Ready(None)
    }

    fn poll(&mut self) -> Option<JudgedBeat> {
        None
    }
}

impl<'a> Sealed for StripMonitor<'a> {
    type Network = Executor<'a>;

    #[inline(always)]
    fn new(network: Self::Network) -> Self {
        StripMonitor::new(network)
    }
}

impl Strips for StripMonitor<'_> {
    const JUDGED: bool = true;

    fn push(&mut self, filtered_mv: f32) {
        StripMonitor::push(self, filtered_mv);
    }

    fn note(&mut self, beat: &MonitoredBeat) {
        StripMonitor::note(self, beat);
    }

    fn finish(&mut self) {
        StripMonitor::finish(self);
    }

    fn restart(&mut self) {
        StripMonitor::restart(self);
    }

    fn work(&mut self) -> Poll<Option<StripVerdict>> {
        StripMonitor::work(self)
    }

    fn poll(&mut self) -> Option<JudgedBeat> {
        StripMonitor::poll(self)
    }
}
