//! Half a minute after half a minute, judged as time goes by.

use super::kept::{Strip, StripWindow};
use super::verdict::StripVerdict;
use super::views::StripViews;
use crate::model::Executor;
#[cfg(doc)]
use crate::model::Task;
use crate::monitor::MonitoredBeat;
use crate::window::Ring;
use core::task::Poll;

/// Verdicts that are kept: three windows hold a sample, and a fourth where the recording ends.
const VERDICTS: usize = 4;

/// Whether a beat lies in atrial fibrillation, once that is certain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JudgedBeat {
    /// Position of the R peak, in samples since the first.
    pub r_sample: u32,
    /// Whether it lies in atrial fibrillation, by the mean of all windows that hold it. `None` where that is not judged: the beat is
    /// no heartbeat in readable signal, or its windows are noise.
    pub fibrillation: Option<bool>,
}

/// [`Strip`] with its network, in slices of at most 80,000 instructions of a Cortex-M4F with the shipped network.
///
/// It stands beside a [`Classifier`](crate::Classifier): after each sample it is [pushed](Self::push) the filtered one, each classified beat is
/// [noted](Self::note), and [`work`](Self::work) is called while the classifier has nothing to do. Every 10 s that gives a [`StripVerdict`] of the last half
/// minute, 6 s after its end. A beat's fibrillation is certain when all windows that hold it have been judged: [`poll`](Self::poll) gives it up to 46 s
/// after the beat. [`Wearable`](crate::wearable::Wearable) does all of this.
///
/// It takes [`RAM_BYTES`](Self::RAM_BYTES) of RAM; the network's arena comes on top.
#[derive(Debug)]
pub struct StripMonitor<'a> {
    strip: Strip,
    views: StripViews,
    network: Executor<'a>,
    /// The window that is worked on.
    window: Option<StripWindow>,
    /// Whether its views are there.
    seen: bool,
    /// Parts of the views, or then of the network, that are done.
    part: usize,
    verdicts: Ring<StripVerdict, VERDICTS>,
    /// Beats before this sample have been given,
    given: u32,
    /// and of those before this one all windows are known.
    certain: u32,
}

impl<'a> StripMonitor<'a> {
    /// What it takes of RAM, in bytes, the network's arena excepted.
    pub const RAM_BYTES: usize = size_of::<Self>();

    /// At the start of a recording. A network for another [`Task`] than [`Task::Strip`] takes every window for noise.
    // Inlined, so that it is made where it stays.
    #[inline(always)]
    pub const fn new(network: Executor<'a>) -> Self {
        Self {
            strip: Strip::new(),
            views: StripViews::ZERO,
            network,
            window: None,
            seen: false,
            part: 0,
            verdicts: Ring::new(),
            given: 0,
            certain: 0,
        }
    }

    /// Forgets the recording, and the window that is worked on.
    pub fn restart(&mut self) {
        self.strip.restart();
        self.verdicts.clear();
        self.window = None;
        (self.given, self.certain) = (0, 0);
    }

    /// Takes the next filtered sample, in mV, as [`Strip::push`].
    pub fn push(&mut self, filtered_mv: f32) {
        self.strip.push(filtered_mv);
    }

    /// Takes the next beat, as [`Strip::note`].
    pub fn note(&mut self, beat: &MonitoredBeat) {
        self.strip.note(beat);
    }

    /// Ends the recording: all of its beats are noted before [`work`](Self::work) is called again.
    pub fn finish(&mut self) {
        self.strip.finish();
    }

    /// The views of the window that was judged last, or is worked on.
    pub const fn views(&self) -> &StripViews {
        &self.views
    }

    /// Does one slice of the work on a window. `Pending` while there is one; then what is said of it, and `None` where there is
    /// nothing to do. To be called when all beats that are complete have been noted.
    ///
    /// A verdict has the same bits whenever this is called, but a window is there for 4 s from when it is ready: if its work is not
    /// done by then, nothing is said of it.
    pub fn work(&mut self) -> Poll<Option<StripVerdict>> {
        let Some(window) = self.window else {
            self.window = self.strip.ready();
            (self.seen, self.part) = (false, 0);
            return match self.window {
                Some(_) => Poll::Pending,
                None => {
                    if self.strip.is_over() {
                        self.certain = u32::MAX;
                    }
                    Poll::Ready(None)
                }
            };
        };
        if !self.strip.holds(window) {
            self.window = None;
            self.certain = self.certain.max(window.start);
            return Poll::Pending;
        }
        let part = self.part;
        self.part += 1;
        if !self.seen {
            if !self.look(window, part) {
                (self.seen, self.part) = (true, 0);
                if !self.views.is_readable() {
                    return self.judge(window, StripVerdict::NOISE);
                }
            }
            return Poll::Pending;
        }
        match self.network.run_part(&self.views, part).1 {
            Poll::Pending => Poll::Pending,
            Poll::Ready(logits) => {
                let probabilities = StripVerdict::probabilities(&self.views, &logits);
                self.judge(window, probabilities)
            }
        }
    }

    // Not inlined, so that what it needs of the stack is gone when the network runs.
    #[inline(never)]
    fn look(&mut self, window: StripWindow, part: usize) -> bool {
        self.views.compute_part(&self.strip, window, part)
    }

    fn judge(
        &mut self,
        window: StripWindow,
        probabilities: [f32; 4],
    ) -> Poll<Option<StripVerdict>> {
        let verdict = StripVerdict {
            window,
            probabilities,
        };
        self.verdicts.push(verdict);
        self.window = None;
        // No window to come begins before this one.
        self.certain = self.certain.max(window.start);
        Poll::Ready(Some(verdict))
    }

    /// The next beat of which it is certain whether it lies in fibrillation; in order of time, each once. To be called until `None`
    /// after each verdict, and when [`work`](Self::work) has nothing more to do after [`finish`](Self::finish). Where the heart is
    /// faster than 200 beats a minute for long, or nobody asks, some are passed over.
    pub fn poll(&mut self) -> Option<JudgedBeat> {
        // Mostly there is none, and that must be known at once.
        if self.given >= self.certain {
            return None;
        }
        let Some(beat) = self.strip.beat_in(self.given..self.certain) else {
            self.given = self.certain;
            return None;
        };
        self.given = beat.r_sample.saturating_add(1);
        let said = StripVerdict::fibrillation_at(self.verdicts.iter(), beat.r_sample);
        Some(JudgedBeat {
            r_sample: beat.r_sample,
            fibrillation: said.filter(|_| beat.heartbeat),
        })
    }
}
