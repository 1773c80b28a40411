//! How the axes of an ONNX value lie in memory. Operators that only rename axes change this and nothing else.

/// One ONNX axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Dim {
    /// The beats of a batch.
    Batch,
    /// The product of these axes of the storage, the last of them running fastest.
    Axes(Vec<usize>),
}

/// The axes of an ONNX value, each made of axes of the tensor that it is stored in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Layout {
    /// The storage's axes from the slowest to the fastest, those of length 1 left out; and the ONNX value's.
    Axes {
        /// Lengths of the storage's axes, all above 1.
        sizes: Vec<usize>,
        /// The ONNX value's axes.
        dims: Vec<Dim>,
    },
    /// A vector `[batch, features]` whose feature `k` is stored at `order[k]`: what a concatenation of flattened planes
    /// becomes.
    Shuffled {
        /// A permutation.
        order: Vec<usize>,
    },
}

impl Layout {
    /// A value whose axes are axes of its storage: `dims` has the index of each into `storage`, or `None` for the
    /// batch.
    pub(super) fn new(storage: &[usize], dims: &[Option<usize>]) -> Self {
        let kept: Vec<usize> = (0..storage.len()).filter(|i| storage[*i] > 1).collect();
        Self::Axes {
            sizes: kept.iter().map(|i| storage[*i]).collect(),
            dims: dims
                .iter()
                .map(|dim| match dim {
                    None => Dim::Batch,
                    Some(axis) => Dim::Axes(
                        kept.iter()
                            .position(|kept| kept == axis)
                            .into_iter()
                            .collect(),
                    ),
                })
                .collect(),
        }
    }

    /// A value of `[height, width, channels]` as ONNX has it: channels first, of rank 2 (a vector), 3 (a signal) or 4.
    pub(super) fn channels_first(storage: [usize; 3], rank: usize) -> Self {
        let dims: &[Option<usize>] = match rank {
            2 => &[None, Some(2)],
            3 => &[None, Some(2), Some(1)],
            _ => &[None, Some(2), Some(0), Some(1)],
        };
        Self::new(&storage, dims)
    }

    /// The axes' lengths; `None` is the batch.
    pub(super) fn lengths(&self) -> Vec<Option<usize>> {
        match self {
            Self::Axes { sizes, dims } => dims
                .iter()
                .map(|dim| match dim {
                    Dim::Batch => None,
                    Dim::Axes(axes) => Some(axes.iter().map(|axis| sizes[*axis]).product()),
                })
                .collect(),
            Self::Shuffled { order } => vec![None, Some(order.len())],
        }
    }

    /// Elements of one beat.
    pub(super) fn elements(&self) -> usize {
        self.lengths().iter().flatten().product()
    }

    /// The shape for an error message.
    pub(super) fn text(&self) -> String {
        let lengths: Vec<String> = self
            .lengths()
            .iter()
            .map(|length| length.map_or("batch".to_owned(), |n| n.to_string()))
            .collect();
        format!("[{}]", lengths.join(", "))
    }

    /// Where each element of the ONNX value, in its own order, is stored.
    pub(super) fn order(&self) -> Vec<usize> {
        let (sizes, dims) = match self {
            Self::Axes { sizes, dims } => (sizes, dims),
            Self::Shuffled { order } => return order.clone(),
        };
        let mut order = vec![0];
        for dim in dims {
            if let Dim::Axes(axes) = dim {
                for axis in axes {
                    let pitch: usize = sizes[axis + 1..].iter().product();
                    order = order
                        .iter()
                        .flat_map(|start| (0..sizes[*axis]).map(move |i| start + i * pitch))
                        .collect();
                }
            }
        }
        order
    }

    /// Whether the axes `wanted` of the ONNX value, one after the other, are the storage from the slowest axis to the
    /// fastest, and all others are the batch.
    fn stored_as(&self, wanted: &[usize]) -> bool {
        let Self::Axes { sizes, dims } = self else {
            return false;
        };
        let mut found: Vec<usize> = Vec::new();
        for index in wanted {
            match dims.get(*index) {
                Some(Dim::Axes(axes)) => found.extend(axes),
                _ => return false,
            }
        }
        found.into_iter().eq(0..sizes.len())
    }

    /// Height, width and channels of a value `[batch, channels, width]` or `[batch, channels, height, width]` that lies
    /// channels last.
    pub(super) fn plane(&self) -> Option<[usize; 3]> {
        let lengths = self.lengths();
        match *lengths.as_slice() {
            [None, Some(channels), Some(width)] if self.stored_as(&[2, 1]) => {
                Some([1, width, channels])
            }
            [None, Some(channels), Some(height), Some(width)] if self.stored_as(&[2, 3, 1]) => {
                Some([height, width, channels])
            }
            _ => None,
        }
    }

    /// Steps and channels of a value `[steps, batch, channels]` that lies channels last.
    pub(super) fn sequence(&self) -> Option<[usize; 2]> {
        match *self.lengths().as_slice() {
            [Some(steps), None, Some(channels)] if self.stored_as(&[0, 2]) => {
                Some([steps, channels])
            }
            _ => None,
        }
    }

    /// Whether it is a vector `[batch, features]`.
    pub(super) fn is_vector(&self) -> bool {
        matches!(*self.lengths().as_slice(), [None, Some(_)])
    }

    /// The axes in another order, or `None` where that is not a permutation.
    pub(super) fn transposed(&self, permutation: &[usize]) -> Option<Self> {
        let mut sorted = permutation.to_vec();
        sorted.sort_unstable();
        if !sorted.into_iter().eq(0..self.lengths().len()) {
            return None;
        }
        match self {
            Self::Axes { sizes, dims } => Some(Self::Axes {
                sizes: sizes.clone(),
                dims: permutation.iter().map(|i| dims[*i].clone()).collect(),
            }),
            Self::Shuffled { .. } if permutation == [0, 1] => Some(self.clone()),
            Self::Shuffled { .. } => None,
        }
    }

    /// With an axis of length 1 put in at `place`.
    pub(super) fn with_axis(&self, place: usize) -> Option<Self> {
        match self {
            Self::Axes { sizes, dims } if place <= dims.len() => {
                let mut dims = dims.clone();
                dims.insert(place, Dim::Axes(Vec::new()));
                Some(Self::Axes {
                    sizes: sizes.clone(),
                    dims,
                })
            }
            _ => None,
        }
    }

    /// Without the axis at `place`, which must have length 1.
    pub(super) fn without_axis(&self, place: usize) -> Option<Self> {
        match self {
            Self::Axes { sizes, dims } if dims.get(place) == Some(&Dim::Axes(Vec::new())) => {
                let mut dims = dims.clone();
                dims.remove(place);
                Some(Self::Axes {
                    sizes: sizes.clone(),
                    dims,
                })
            }
            _ => None,
        }
    }

    /// In another shape with the same elements in the same order: ONNX's `Reshape`, where 0 keeps the axis at that place
    /// and -1 is what is left. `None` where the batch would not stay an axis of its own, or the elements do not add up.
    pub(super) fn reshaped(&self, shape: &[i64]) -> Option<Self> {
        let targets = self.targets(shape)?;
        let (sizes, dims) = match self {
            Self::Axes { sizes, dims } => (sizes, dims),
            Self::Shuffled { order } => {
                let same = targets == [Target::Batch, Target::Length(order.len())]
                    || targets == [Target::Length(1), Target::Length(order.len())];
                return same.then(|| self.clone());
            }
        };
        let has_batch = targets.contains(&Target::Batch);
        let mut pieces = Pieces::new(sizes, dims);
        let mut made = Vec::new();
        for target in targets {
            let dim = match target {
                Target::Batch => pieces.batch()?,
                Target::Length(1) if !has_batch && pieces.at_batch() => pieces.batch()?,
                Target::Length(length) => pieces.axes(length, &mut made)?,
            };
            made.push(dim);
        }
        let one_batch = made.iter().filter(|dim| **dim == Dim::Batch).count() == 1;
        (pieces.left.is_empty() && one_batch).then_some(Self::Axes {
            sizes: pieces.sizes,
            dims: made,
        })
    }

    /// What `Reshape`'s numbers mean.
    fn targets(&self, shape: &[i64]) -> Option<Vec<Target>> {
        let lengths = self.lengths();
        let mut inferred = None;
        let mut targets = Vec::new();
        for (i, number) in shape.iter().enumerate() {
            targets.push(match *number {
                0 => lengths.get(i)?.map_or(Target::Batch, Target::Length),
                -1 if inferred.is_none() => {
                    inferred = Some(i);
                    Target::Length(1)
                }
                number => Target::Length(usize::try_from(number).ok().filter(|n| *n > 0)?),
            });
        }
        if let Some(place) = inferred {
            let mut known = 1_usize;
            for target in &targets {
                if let Target::Length(length) = target {
                    known = known.checked_mul(*length)?;
                }
            }
            let elements = self.elements();
            targets[place] = if known == elements && !targets.contains(&Target::Batch) {
                Target::Batch
            } else if elements.is_multiple_of(known) {
                Target::Length(elements / known)
            } else {
                return None;
            };
        }
        Some(targets)
    }

    /// Values side by side along ONNX axis `axis`, which must be the fastest of each storage, all else alike. Gives the
    /// channels of each and the layout of the whole.
    pub(super) fn concatenated(parts: &[&Self], axis: usize) -> Option<(Vec<usize>, Self)> {
        if axis == 1 && parts.iter().all(|part| part.is_vector()) {
            return Some(Self::concatenated_vectors(parts));
        }
        let mut widths = Vec::new();
        let mut whole: Option<(Vec<usize>, Vec<Dim>)> = None;
        for part in parts {
            let Self::Axes { sizes, dims } = part else {
                return None;
            };
            let Dim::Axes(own) = dims.get(axis)? else {
                return None;
            };
            let others = sizes.len() - own.len();
            if !own.iter().copied().eq(others..sizes.len()) {
                return None;
            }
            widths.push(sizes[others..].iter().product());
            let mut dims = dims.clone();
            dims[axis] = Dim::Axes(vec![others]);
            let frame = (sizes[..others].to_vec(), dims);
            match &whole {
                None => whole = Some(frame),
                Some(whole) if *whole == frame => {}
                Some(_) => return None,
            }
        }
        let (mut sizes, dims) = whole?;
        sizes.push(widths.iter().sum());
        // A sum of length 1 is one part of length 1, whose axis the storage leaves out.
        (widths.iter().sum::<usize>() > 1).then_some((widths, Self::Axes { sizes, dims }))
    }

    fn concatenated_vectors(parts: &[&Self]) -> (Vec<usize>, Self) {
        let mut order = Vec::new();
        let mut widths = Vec::new();
        for part in parts {
            let start = order.len();
            order.extend(part.order().into_iter().map(|place| start + place));
            widths.push(order.len() - start);
        }
        let in_order = order.iter().copied().eq(0..order.len());
        let whole = if in_order {
            Self::channels_first([1, 1, order.len()], 2)
        } else {
            Self::Shuffled { order }
        };
        (widths, whole)
    }
}

/// One axis that a `Reshape` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Batch,
    Length(usize),
}

/// The axes of a value that a `Reshape` has not used up yet.
struct Pieces {
    sizes: Vec<usize>,
    /// `None` is the batch.
    left: std::collections::VecDeque<Option<usize>>,
}

impl Pieces {
    fn new(sizes: &[usize], dims: &[Dim]) -> Self {
        let mut left = std::collections::VecDeque::new();
        for dim in dims {
            match dim {
                Dim::Batch => left.push_back(None),
                Dim::Axes(axes) => left.extend(axes.iter().copied().map(Some)),
            }
        }
        Self {
            sizes: sizes.to_vec(),
            left,
        }
    }

    fn at_batch(&self) -> bool {
        self.left.front() == Some(&None)
    }

    fn batch(&mut self) -> Option<Dim> {
        self.left.pop_front()?.is_none().then_some(Dim::Batch)
    }

    /// An axis of `length`, of whole axes of the storage and a part of the last; what was `made` before is renumbered
    /// where that splits one.
    fn axes(&mut self, length: usize, made: &mut [Dim]) -> Option<Dim> {
        let mut axes = Vec::new();
        let mut missing = length;
        while missing > 1 {
            let axis = self.left.pop_front()??;
            let size = self.sizes[axis];
            if missing.is_multiple_of(size) {
                missing /= size;
            } else if size.is_multiple_of(missing) {
                self.split(axis, missing, &mut axes, made);
                missing = 1;
            } else {
                return None;
            }
            axes.push(axis);
        }
        Some(Dim::Axes(axes))
    }

    /// Makes two axes of one: the first of length `first`.
    fn split(&mut self, axis: usize, first: usize, taken: &mut [usize], made: &mut [Dim]) {
        let second = self.sizes[axis] / first;
        self.sizes[axis] = first;
        self.sizes.insert(axis + 1, second);
        let renumber = |other: &mut usize| {
            if *other > axis {
                *other += 1;
            }
        };
        taken.iter_mut().for_each(renumber);
        self.left.iter_mut().flatten().for_each(renumber);
        for dim in made {
            if let Dim::Axes(axes) = dim {
                axes.iter_mut().for_each(renumber);
            }
        }
        self.left.push_front(Some(axis + 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Height 2, width 3, channels 5 in memory; `[batch, 5, 2, 3]` in ONNX.
    fn plane() -> Layout {
        Layout::channels_first([2, 3, 5], 4)
    }

    #[test]
    fn elements_of_a_plane_lie_channels_last() {
        let order = plane().order();
        assert_eq!(order.len(), 30);
        for channel in 0..5 {
            for row in 0..2 {
                for column in 0..3 {
                    let onnx = (channel * 2 + row) * 3 + column;
                    assert_eq!(order[onnx], (row * 3 + column) * 5 + channel);
                }
            }
        }
        assert_eq!(plane().plane(), Some([2, 3, 5]));
        assert_eq!(plane().text(), "[batch, 5, 2, 3]");
    }

    #[test]
    fn renaming_keeps_every_element_in_its_place() {
        let order = plane().order();
        for shape in [
            vec![0, -1],
            vec![-1, 30],
            vec![1, -1],
            vec![1, 30],
            vec![0, 5, 6],
            vec![0, 0, 6],
            vec![-1, 10, 3],
            vec![0, 1, 5, 1, 2, 3],
        ] {
            let renamed = plane().reshaped(&shape).expect("only renames");
            assert_eq!(renamed.order(), order, "{shape:?}");
        }
        let vector = plane().reshaped(&[0, -1]).expect("only renames");
        assert!(vector.is_vector() && vector.plane().is_none());
        // A split axis, and its parts the other way round.
        let signal = Layout::channels_first([1, 12, 1], 3);
        let split = signal.reshaped(&[0, 3, 4]).expect("12 is 3 times 4");
        assert_eq!(split.order(), (0..12).collect::<Vec<_>>());
        let turned = split.transposed(&[0, 2, 1]).expect("a permutation");
        assert_eq!(turned.plane(), Some([1, 3, 4]));
        assert_eq!(turned.order()[..4], [0, 4, 8, 1]);
    }

    #[test]
    fn what_is_more_than_a_renaming_is_refused() {
        for shape in [
            vec![30],
            vec![0, 7, -1],
            vec![0, 31],
            vec![2, 15],
            vec![0, -1, -1],
            vec![0, 0, 0, 0, 0],
            vec![0, i64::MAX, i64::MAX],
            vec![0, -2],
        ] {
            assert_eq!(plane().reshaped(&shape), None, "{shape:?}");
        }
        assert_eq!(plane().transposed(&[0, 1, 2]), None);
        assert_eq!(plane().transposed(&[0, 1, 2, 2]), None);
        assert_eq!(plane().without_axis(1), None);
        assert_eq!(plane().with_axis(5), None);
    }

    #[test]
    fn an_lstm_reads_what_a_convolution_wrote_without_a_copy() {
        let signal = Layout::channels_first([1, 12, 16], 3);
        let time_first = signal.transposed(&[2, 0, 1]).expect("a permutation");
        assert_eq!(time_first.sequence(), Some([12, 16]));
        assert_eq!(signal.sequence(), None);
        // All states of both directions, as PyTorch joins them.
        let states = Layout::new(&[12, 2, 10], &[Some(0), Some(1), None, Some(2)]);
        let joined = states
            .transposed(&[0, 2, 1, 3])
            .and_then(|states| states.reshaped(&[0, 0, -1]));
        assert_eq!(joined.and_then(|joined| joined.sequence()), Some([12, 20]));
    }

    #[test]
    fn concatenated_planes_and_vectors() {
        let other = Layout::channels_first([2, 3, 4], 4);
        let (widths, whole) = Layout::concatenated(&[&plane(), &other], 1).expect("same plane");
        assert_eq!((widths, whole.plane()), (vec![5, 4], Some([2, 3, 9])));
        assert_eq!(Layout::concatenated(&[&plane(), &other], 2), None);
        let narrow = Layout::channels_first([2, 2, 4], 4);
        assert_eq!(Layout::concatenated(&[&plane(), &narrow], 1), None);

        let flat = plane().reshaped(&[0, -1]).expect("only renames");
        let vector = Layout::channels_first([1, 1, 2], 2);
        let (widths, whole) = Layout::concatenated(&[&vector, &flat], 1).expect("vectors");
        assert_eq!(widths, [2, 30]);
        let order = whole.order();
        assert_eq!(order[..5], [0, 1, 2, 7, 12]);
        assert_eq!(whole.reshaped(&[1, -1]), Some(whole.clone()));
        assert_eq!(whole.reshaped(&[0, 4, 8]), None);
    }
}
