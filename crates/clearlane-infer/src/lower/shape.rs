//! Operators that move values without computing with them.

use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::vector::LANES;
use crate::plan::layer::Kind;

impl<'a> Lowering<'a> {
    /// A reshape keeps the flat list; only its form may have to be remembered.
    pub(super) fn reshape(&mut self, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let form = self.reshaped(*self.forms.get(from)?, from, to)?;
        self.bind(to, form);
        Some(())
    }

    /// The form of a value's list under another shape.
    pub(super) fn reshaped(&self, form: Form, from: &str, to: &str) -> Option<Form> {
        Some(match form {
            Form::Tensor(tensor)
                if self.layers.get(tensor).lanes > 1 && self.graph.shape(from)? != self.graph.shape(to)? =>
            {
                Form::Flattened(tensor)
            }
            Form::Tensor(tensor) if self.layers.get(tensor).halo > 0 => Form::Flattened(tensor),
            form => form,
        })
    }

    /// Channels last, which is put off until an operator reads the list.
    pub(super) fn transpose(&mut self, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let axes = node.lengths("perm", &[])?;
        let moved: Vec<usize> = axes.into_iter().filter(|&axis| axis != 0).collect();
        let Form::Tensor(tensor) = *self.forms.get(from)? else { return None };
        if self.graph.image(from).is_none() || moved != [2, 3, 1] || self.layers.get(tensor).lanes != LANES {
            return None;
        }
        self.bind(to, Form::Rows(tensor));
        Some(())
    }

    /// Some of a blocked tensor's channels, one after the other.
    pub(super) fn channels(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let ([channels, height, width], made) = (self.graph.image(from)?, self.graph.image(to)?);
        let form = *self.forms.get(from)?;
        let Form::Tensor(tensor) = form else { return None };
        let of = |position: usize| self.graph.ints(input(node, position)?);
        let one_by_one = input(node, 4).is_none_or(|steps| self.graph.ints(steps).is_some_and(|steps| steps == [1]));
        let (&[start], &[axis]) = (&of(1)?[..], &of(3)?[..]) else { return None };
        if self.layers.get(tensor).lanes != LANES
            || Self::axis(axis, 4)? != 1
            || made[1..] != [height, width]
            || !one_by_one
        {
            return None;
        }
        if made[0] == channels {
            self.bind(to, form);
            return Some(());
        }
        let first = if start < 0 { start.saturating_add(channels as i64) } else { start };
        let first = usize::try_from(first.max(0)).ok().filter(|first| first.saturating_add(made[0]) <= channels)?;
        let cut = self.layers.tensor(LANES, made);
        self.layers.push(Kind::Channels { first }, vec![tensor], cut, Some(index));
        self.bind(to, Form::Tensor(cut));
        Some(())
    }

    pub(super) fn concat(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let to = output(node)?;
        let shape = self.graph.shape(to)?;
        let axis = node.int("axis")?;
        let axis = usize::try_from(if axis < 0 { axis + shape.len() as i64 } else { axis }).ok()?;
        if node.input.iter().any(|value| !self.forms.contains_key(value.as_str())) {
            return None;
        }
        let blocked = |value: &String| {
            let Some(Form::Tensor(tensor)) = self.forms.get(value.as_str()) else { return false };
            self.layers.get(*tensor).lanes == LANES
        };
        if axis == 1 && shape.len() == 4 && node.input.iter().all(blocked) {
            let parts = node.input.iter().map(|value| self.blocked(value)).collect::<Option<Vec<_>>>()?;
            let made = self.layers.tensor(LANES, self.graph.image(to)?);
            self.layers.push(Kind::Concat, parts, made, Some(index));
            self.bind(to, Form::Tensor(made));
            return Some(());
        }
        if shape.get(..axis)?.iter().any(|&extent| extent != 1) {
            return None;
        }
        // Flat lists one after the other, in the largest pieces that all of them are made of.
        let length = |value: &String| Some(self.graph.shape(value)?.iter().product::<usize>());
        let lengths = node.input.iter().map(length).collect::<Option<Vec<_>>>()?;
        let piece = lengths.iter().copied().fold(0, gcd);
        if piece == 0 {
            return None;
        }
        let parts = node.input.iter().zip(&lengths).map(|(value, length)| {
            let flat = self.flat(value)?;
            Some(self.layers.alias(flat, 1, [length / piece, 1, piece]))
        });
        let parts = parts.collect::<Option<Vec<_>>>()?;
        let made = self.layers.tensor(1, [lengths.iter().sum::<usize>() / piece, 1, piece]);
        self.layers.push(Kind::Concat, parts, made, Some(index));
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    /// The nearest value, for the ways of counting coordinates that networks use.
    pub(super) fn resize(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let ([channels, height, width], [out_channels, out_height, out_width]) =
            (self.graph.image(from)?, self.graph.image(to)?);
        let upsample = node.op_type == "Upsample";
        if node.text("mode").unwrap_or("nearest") != "nearest"
            || channels != out_channels
            || node.attribute("axes").is_some()
        {
            return None;
        }
        let mode =
            if upsample { "asymmetric" } else { node.text("coordinate_transformation_mode").unwrap_or("half_pixel") };
        let rounding = if upsample { "floor" } else { node.text("nearest_mode").unwrap_or("round_prefer_floor") };
        // Scales that the file states count; where it states sizes, the scale is their ratio.
        let given = input(node, if upsample { 1 } else { 2 }).and_then(|scales| self.graph.floats(scales));
        let scale = |axis: usize, from: usize, to: usize| match given.as_deref() {
            Some(&[_, _, ref scales @ ..]) if scales.len() == 2 => scales[axis],
            _ => to as f32 / from as f32,
        };
        let nearest = |axis: usize, from: usize, to: usize| {
            let scale = scale(axis, from, to);
            // PyTorch takes the first value where only one is left.
            let mode = if mode == "pytorch_half_pixel" && to == 1 { "asymmetric" } else { mode };
            (0..to).map(|at| source(at, from, scale, mode, rounding)).collect::<Option<Vec<_>>>()
        };
        let (rows, columns) = (nearest(0, height, out_height)?, nearest(1, width, out_width)?);
        let tensor = self.blocked(from)?;
        let made = self.layers.tensor(LANES, [channels, out_height, out_width]);
        self.layers.push(Kind::Resize { rows, columns }, vec![tensor], made, Some(index));
        self.bind(to, Form::Tensor(made));
        Some(())
    }
}

/// Which of `from` values stands at position `at` after scaling. In single precision, as other runtimes count: where a position lies
/// half-way between two, its rounding decides.
fn source(at: usize, from: usize, scale: f32, mode: &str, rounding: &str) -> Option<usize> {
    let position = match mode {
        "asymmetric" => at as f32 / scale,
        "half_pixel" | "pytorch_half_pixel" => (at as f32 + 0.5) / scale - 0.5,
        _ => return None,
    };
    let nearest = match rounding {
        "floor" => position.floor(),
        "ceil" => position.ceil(),
        "round_prefer_floor" => (position - 0.5).ceil(),
        "round_prefer_ceil" => (position + 0.5).floor(),
        _ => return None,
    };
    Some(nearest.clamp(0.0, (from - 1) as f32) as usize)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
