//! Operators that move nothing: they only rename axes, or pass a value on.

use super::super::error::CompileError;
use super::super::layout::Layout;
use super::super::onnx;
use super::{Importer, Value};

impl<'a> Importer<'a> {
    pub(super) fn identity(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&[])?;
        let output = self.output(node)?;
        // Exporters share equal constants this way.
        if let Some(constant) = node.input(0).and_then(|name| self.constants.get(name)) {
            self.constants.insert(output, constant);
        } else {
            let value = self.value(node, 0)?;
            self.values.insert(output, value);
        }
        Ok(())
    }

    /// At inference dropout is the identity.
    pub(super) fn dropout(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        node.only(&["ratio", "seed"])?;
        if node.input(2).is_some() {
            return Err(node.refuse("input 2 (training_mode)", "given", "a node without it"));
        }
        let value = self.value(node, 0)?;
        self.values.insert(self.output(node)?, value);
        Ok(())
    }

    pub(super) fn rename(&mut self, node: &onnx::Node<'a>) -> Result<(), CompileError> {
        let value = self.value(node, 0)?;
        let layout = &value.layout;
        let rank = layout.lengths().len();
        let (how, renamed) = match node.proto.op_type.as_str() {
            "Transpose" => {
                node.only(&["perm"])?;
                let reversed: Vec<i64> = (0..rank as i64).rev().collect();
                let numbers = node.ints("perm")?.unwrap_or(&reversed);
                let places: Option<Vec<usize>> =
                    numbers.iter().map(|n| usize::try_from(*n).ok()).collect();
                (
                    format!("{numbers:?}"),
                    places.and_then(|places| layout.transposed(&places)),
                )
            }
            "Flatten" => {
                node.only(&["axis"])?;
                let axis = node.int("axis", 1)?;
                let is_first = axis == 1 || axis == 1 - rank as i64;
                let batch_first = layout.lengths().first() == Some(&None);
                let renamed = (is_first && batch_first).then(|| layout.reshaped(&[0, -1]));
                (format!("from axis {axis}"), renamed.flatten())
            }
            "Reshape" => {
                node.only(&["allowzero"])?;
                node.must_be("allowzero", 0)?;
                let shape = onnx::integers(self.constant(node, 1)?)?;
                (format!("to {shape:?}"), layout.reshaped(&shape))
            }
            squeeze => {
                let (axes, renamed) = self.squeeze(node, layout, squeeze == "Unsqueeze")?;
                (format!("of {axes:?}"), renamed)
            }
        };
        let Some(renamed) = renamed else {
            return Err(node.refuse(
                format!("its effect {how} on {}", layout.text()),
                "more than new names for axes",
                "what keeps the batch apart and moves no element",
            ));
        };
        let value = Value {
            tensor: value.tensor,
            layout: renamed,
        };
        self.values.insert(self.output(node)?, value);
        Ok(())
    }

    /// The axes that `Squeeze` or `Unsqueeze` names, in an attribute or (from operator set 13 on) in a constant, and
    /// the layout after it.
    fn squeeze(
        &self,
        node: &onnx::Node<'a>,
        layout: &Layout,
        insert: bool,
    ) -> Result<(Vec<i64>, Option<Layout>), CompileError> {
        node.only(&["axes"])?;
        let axes = match node.ints("axes")? {
            Some(axes) => axes.to_vec(),
            None => onnx::integers(self.constant(node, 1)?)?,
        };
        let rank = layout.lengths().len() + if insert { axes.len() } else { 0 };
        let places: Option<Vec<usize>> = axes
            .iter()
            .map(|axis| {
                usize::try_from(if *axis < 0 {
                    axis.checked_add(rank as i64)?
                } else {
                    *axis
                })
                .ok()
            })
            .collect();
        let Some(mut places) = places else {
            return Ok((axes, None));
        };
        places.sort_unstable();
        let renamed = if insert {
            places
                .iter()
                .try_fold(layout.clone(), |layout, place| layout.with_axis(*place))
        } else {
            places
                .iter()
                .rev()
                .try_fold(layout.clone(), |layout, place| layout.without_axis(*place))
        };
        Ok((axes, renamed))
    }
}
