//! What a network is for, and so which views it reads.

use crate::spec::{FEATURES_VERSION, HASH, LABELS, STRIP_HASH, STRIP_LABELS, STRIP_VERSION};
use crate::strip::{StripView, StripViews};
use crate::views::{View, Views};

/// What a network is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Task {
    /// The class of a beat, from its [`Views`].
    Beat,
    /// The rhythm of half a minute, from its [`StripViews`].
    Strip,
}

impl Task {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Beat, Self::Strip];

    /// Identifies the features of this build, as an image states them.
    pub const fn hash(self) -> u64 {
        match self {
            Self::Beat => HASH,
            Self::Strip => STRIP_HASH,
        }
    }

    /// The version of their arithmetic, as an image states it.
    pub const fn features_version(self) -> u32 {
        match self {
            Self::Beat => FEATURES_VERSION,
            Self::Strip => STRIP_VERSION,
        }
    }

    /// What is told apart, in the order of the logits.
    pub const fn labels(self) -> [&'static str; LABELS.len()] {
        match self {
            Self::Beat => LABELS,
            Self::Strip => STRIP_LABELS,
        }
    }

    /// The views of this task, in the order of the network's inputs.
    pub fn views(self) -> [AnyView; 4] {
        match self {
            Self::Beat => View::ALL.map(AnyView::Beat),
            Self::Strip => StripView::ALL.map(AnyView::Strip),
        }
    }
}

/// A view of either task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum AnyView {
    /// Of a beat.
    Beat(View),
    /// Of half a minute.
    Strip(StripView),
}

impl AnyView {
    /// The view with this name.
    pub fn named(name: &str) -> Option<Self> {
        let strip = || StripView::named(name).map(Self::Strip);
        View::named(name).map(Self::Beat).or_else(strip)
    }

    /// The name of the network's input.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beat(view) => view.name(),
            Self::Strip(view) => view.name(),
        }
    }

    /// What networks that read it are for.
    pub const fn task(self) -> Task {
        match self {
            Self::Beat(_) => Task::Beat,
            Self::Strip(_) => Task::Strip,
        }
    }

    /// Its number in an image, among the views of its task.
    pub const fn number(self) -> u16 {
        match self {
            Self::Beat(view) => view as u16,
            Self::Strip(view) => view as u16,
        }
    }

    /// The shape of its values, row-major: the channel first, where there are several.
    pub const fn shape(self) -> &'static [usize] {
        match self {
            Self::Beat(view) => view.shape(),
            Self::Strip(view) => view.shape(),
        }
    }

    /// The tensor that it is quantised into: height, width, channels. The channel is last, and a number of a view without channels
    /// is one.
    pub const fn tensor_shape(self) -> [usize; 3] {
        match *self.shape() {
            [channels, width] => [1, width, channels],
            [channels, height, width] => [height, width, channels],
            [channels, ..] => [1, 1, channels],
            [] => [0; 3],
        }
    }
}

impl core::fmt::Display for AnyView {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.pad(self.name())
    }
}

/// The view with this number.
pub(super) fn view(task: Task, number: u16) -> Option<AnyView> {
    task.views().get(usize::from(number)).copied()
}

/// What a network can be run on.
pub trait ViewValues {
    /// What networks that read it are for.
    const TASK: Task;

    /// The values of one view, in row-major order of [`AnyView::shape`]; none of a view of another task.
    fn values(&self, view: AnyView) -> &[f32];
}

impl ViewValues for Views {
    const TASK: Task = Task::Beat;

    fn values(&self, view: AnyView) -> &[f32] {
        match view {
            AnyView::Beat(view) => self.get(view),
            AnyView::Strip(_) => &[],
        }
    }
}

impl ViewValues for StripViews {
    const TASK: Task = Task::Strip;

    fn values(&self, view: AnyView) -> &[f32] {
        match view {
            AnyView::Strip(view) => self.get(view),
            AnyView::Beat(_) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_view_has_its_name_number_and_values() {
        let (beat, strip) = (Views::ZERO, StripViews::ZERO);
        for task in Task::ALL {
            for (number, view) in task.views().into_iter().enumerate() {
                assert_eq!((view.number() as usize, view.task()), (number, task));
                assert_eq!(AnyView::named(view.name()), Some(view));
                let len = view.shape().iter().product::<usize>();
                let lens = [beat.values(view).len(), strip.values(view).len()];
                let expected = match task {
                    Task::Beat => [len, 0],
                    Task::Strip => [0, len],
                };
                assert_eq!(lens, expected, "{view}");
            }
        }
        assert_eq!(AnyView::named("lead"), None);
        let tensor = |name: &str| AnyView::named(name).map(AnyView::tensor_shape);
        for (name, shape) in [
            ("waveform", [1, 96, 2]),
            ("spectrogram", [16, 11, 2]),
            ("metadata", [1, 1, 46]),
            ("beats", [1, 64, 8]),
            ("statistics", [1, 1, 40]),
        ] {
            assert_eq!(tensor(name), Some(shape), "{name}");
        }
    }
}
