//! Operators on values that are kept as flat lists, in the order of their axes: what no kernel of the blocked layout serves.

use std::borrow::Cow;
use std::sync::Arc;

use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::lists::{
    ListOperator, Move, Norm, Operand, Operation, Pointwise, Reduce, Softmax, Summary, strides_in_order,
};
use crate::plan::layer::{Kind, Layer, TensorId};

impl<'a> Lowering<'a> {
    /// Lowers a node to operators on lists; `None`, and nothing done, where there is none for it.
    pub(super) fn on_lists(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        match node.op_type.as_str() {
            "MatMul" => self.list_matmul(index, node),
            "Gemm" => self.list_gemm(index, node),
            "Add" => self.pointwise(index, node, Operation::Add),
            "Sub" => self.pointwise(index, node, Operation::Subtract),
            "Mul" => self.pointwise(index, node, Operation::Multiply),
            "Div" => self.pointwise(index, node, Operation::Divide),
            "Transpose" => self.list_transpose(index, node),
            "Slice" => self.slice(index, node),
            "Split" => self.split(index, node),
            "Gather" => self.gather(index, node),
            "Expand" => self.expand(index, node),
            "ReduceMean" => self.reduce(index, node, Summary::Mean),
            "ReduceSum" => self.reduce(index, node, Summary::Sum),
            "ReduceL2" => self.reduce(index, node, Summary::L2),
            "LayerNormalization" => self.layer_norm(index, node),
            "InstanceNormalization" => self.instance_norm(index, node),
            "Softmax" => self.softmax(index, node),
            _ => None,
        }
    }

    /// The list that a value is, where a layer made it as one; nothing where it is an image, plain or blocked.
    pub(super) fn made_list(&self, value: &str) -> Option<TensorId> {
        let Form::Tensor(tensor) = *self.forms.get(value)? else { return None };
        let root = self.layers.root(tensor);
        let kind = &self.layers.order[self.layers.producer(root)?].kind;
        let makes_lists = matches!(kind, Kind::Lists(_) | Kind::Product { .. } | Kind::Fallback(_));
        // What activates a list makes one.
        let is_list = makes_lists || matches!(kind, Kind::Activate(_));
        (is_list && self.layers.get(tensor).lanes == 1).then_some(tensor)
    }

    /// A value as a list. One that a layer made as a list stays what it is, so that the layer can do more.
    pub(super) fn list(&mut self, value: &'a str) -> Option<TensorId> {
        match self.made_list(value) {
            Some(list) => Some(list),
            None => self.flat(value),
        }
    }

    /// Adds a layer that makes a list of a value's length.
    pub(super) fn make_list(&mut self, index: usize, kind: Kind<'a>, from: Vec<TensorId>, to: &'a str) -> Option<()> {
        let length = self.graph.shape(to)?.iter().product();
        let made = self.layers.tensor(1, [1, 1, length]);
        self.layers.order.push(Layer { kind, from, to: vec![made], nodes: vec![index] });
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    fn list_operator(&mut self, index: usize, operator: ListOperator, from: &'a str, to: &'a str) -> Option<()> {
        let list = self.list(from)?;
        self.make_list(index, Kind::Lists(Arc::new(operator)), vec![list], to)
    }

    /// An axis of a shape, which a negative number counts from the last.
    pub(super) fn axis(number: i64, rank: usize) -> Option<usize> {
        let axis = if number < 0 { number.checked_add(rank as i64)? } else { number };
        usize::try_from(axis).ok().filter(|&axis| axis < rank)
    }

    fn pointwise(&mut self, index: usize, node: &'a NodeProto, operation: Operation) -> Option<()> {
        let (a, b, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        // Opsets before 7 say by an axis how one is repeated.
        let by_axis = node.attribute("axis").is_some() || node.attribute("broadcast").is_some();
        if by_axis || self.graph.is_constant(a) && self.graph.is_constant(b) {
            return None;
        }
        if self.join_product(index, operation, a, b, to).is_some() {
            return Some(());
        }
        let extents = self.graph.shape(to)?.to_vec();
        let operand = |value: &'a str| {
            let shape = self.graph.shape(value)?;
            let own = strides_in_order(shape);
            let strides = (0..extents.len()).map(|axis| {
                // Axes are counted from the right, as broadcasting does.
                let axis = (axis + shape.len()).checked_sub(extents.len());
                axis.map_or(0, |axis| if shape[axis] == 1 { 0 } else { own[axis] })
            });
            let strides = strides.collect();
            Some(if self.graph.is_constant(value) {
                Operand::Constant { values: self.graph.floats(value)?.into_owned(), strides }
            } else {
                Operand::List { length: shape.iter().product(), strides }
            })
        };
        let operator = Pointwise::new(operation, &extents, [operand(a)?, operand(b)?])?;
        let varying = [a, b].into_iter().filter(|value| !self.graph.is_constant(value)).collect::<Vec<_>>();
        let from = varying.into_iter().map(|value| self.list(value)).collect::<Option<Vec<_>>>()?;
        self.make_list(index, Kind::Lists(Arc::new(ListOperator::Pointwise(operator))), from, to)
    }

    fn list_transpose(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let shape = self.graph.shape(from)?;
        let order = match node.attribute("perm") {
            Some(_) => node.lengths("perm", &[])?,
            None => (0..shape.len()).rev().collect(),
        };
        let strides = strides_in_order(shape);
        let axes =
            order.iter().map(|&axis| Some((*shape.get(axis)?, *strides.get(axis)?))).collect::<Option<Vec<_>>>()?;
        let operator = Move::new(&axes, 0, shape.iter().product())?;
        self.list_operator(index, ListOperator::Move(operator), from, to)
    }

    fn slice(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let (shape, made) = (self.graph.shape(from)?, self.graph.shape(to)?);
        let starts = self.graph.ints(input(node, 1)?)?;
        let axes = match input(node, 3) {
            Some(axes) => self.graph.ints(axes)?,
            None => (0..starts.len() as i64).collect(),
        };
        let steps = match input(node, 4) {
            Some(steps) => self.graph.ints(steps)?,
            None => vec![1; starts.len()],
        };
        let (mut strides, mut first) = (strides_in_order(shape), 0);
        let mut cut = vec![false; shape.len()];
        for ((&start, &axis), &step) in starts.iter().zip(&axes).zip(&steps) {
            let axis = Self::axis(axis, shape.len())?;
            if std::mem::replace(&mut cut[axis], true) {
                return None;
            }
            let extent = shape[axis] as i64;
            let last = if step < 0 { extent - 1 } else { extent };
            let start = if start < 0 { start.saturating_add(extent) } else { start }.clamp(0, last.max(0));
            first += start as usize * strides[axis] as usize;
            strides[axis] = strides[axis].checked_mul(isize::try_from(step).ok()?)?;
        }
        let axes: Vec<_> = made.iter().copied().zip(strides).collect();
        let operator = Move::new(&axes, first, shape.iter().product())?;
        self.list_operator(index, ListOperator::Move(operator), from, to)
    }

    fn split(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let from = input(node, 0)?;
        let shape = self.graph.shape(from)?.to_vec();
        let axis = Self::axis(node.int("axis").unwrap_or(0), shape.len())?;
        let strides = strides_in_order(&shape);
        let mut first = 0;
        let operators = node.output.iter().map(|to| {
            let made = self.graph.shape(to)?;
            let axes: Vec<_> = made.iter().copied().zip(strides.iter().copied()).collect();
            let operator = Move::new(&axes, first, shape.iter().product())?;
            first += made.get(axis)? * strides[axis] as usize;
            Some(operator)
        });
        for (operator, to) in operators.collect::<Option<Vec<_>>>()?.into_iter().zip(&node.output) {
            self.list_operator(index, ListOperator::Move(operator), from, to)?;
        }
        Some(())
    }

    /// One entry of an axis, or several at equal distances.
    fn gather(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let shape = self.graph.shape(from)?;
        let axis = Self::axis(node.int("axis").unwrap_or(0), shape.len())?;
        let indices = self.graph.ints(input(node, 1)?)?;
        let indices = indices.iter().map(|&at| Self::axis(at, shape[axis])).collect::<Option<Vec<_>>>()?;
        let entries = self.graph.shape(input(node, 1)?)?;
        let (&start, distance) = (indices.first()?, indices.get(1).map_or(0, |&at| at as isize - indices[0] as isize));
        let equal = indices.windows(2).all(|pair| pair[1] as isize - pair[0] as isize == distance);
        if !equal || entries.len() > 1 {
            return None;
        }
        let strides = strides_in_order(shape);
        let mut axes: Vec<_> = shape.iter().copied().zip(strides.iter().copied()).collect();
        axes[axis] = (indices.len(), strides[axis] * distance);
        let operator = Move::new(&axes, start * strides[axis] as usize, shape.iter().product())?;
        self.list_operator(index, ListOperator::Move(operator), from, to)
    }

    fn expand(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let (shape, made) = (self.graph.shape(from)?, self.graph.shape(to)?);
        let strides = strides_in_order(shape);
        let axes = made.iter().enumerate().map(|(axis, &extent)| {
            let axis = (axis + shape.len()).checked_sub(made.len());
            (extent, axis.map_or(0, |axis| if shape[axis] == 1 { 0 } else { strides[axis] }))
        });
        let operator = Move::new(&axes.collect::<Vec<_>>(), 0, shape.iter().product())?;
        self.list_operator(index, ListOperator::Move(operator), from, to)
    }

    /// The axes that a node sums over.
    pub(super) fn reduced_axes(&self, node: &NodeProto) -> Option<Vec<usize>> {
        let rank = self.graph.shape(input(node, 0)?)?.len();
        let axes = match (input(node, 1), node.attribute("axes")) {
            (Some(axes), _) => self.graph.ints(axes)?,
            (None, Some(axes)) => axes.ints.clone(),
            (None, None) => Vec::new(),
        };
        if axes.is_empty() {
            let none = node.int("noop_with_empty_axes").unwrap_or(0) != 0;
            return (!none).then(|| (0..rank).collect());
        }
        axes.into_iter().map(|axis| Self::axis(axis, rank)).collect()
    }

    fn reduce(&mut self, index: usize, node: &'a NodeProto, summary: Summary) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let axes = self.reduced_axes(node)?;
        let shape = self.graph.shape(from)?;
        let all = shape.iter().copied().zip(strides_in_order(shape)).enumerate();
        let (reduced, kept): (Vec<_>, Vec<_>) = all.partition(|(axis, _)| axes.contains(axis));
        let plain = |axes: Vec<(usize, (usize, isize))>| axes.into_iter().map(|(_, axis)| axis).collect::<Vec<_>>();
        let operator = Reduce::new(summary, &plain(kept), &plain(reduced))?;
        self.list_operator(index, ListOperator::Reduce(operator), from, to)
    }

    fn layer_norm(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let from = input(node, 0)?;
        let [to, others @ ..] = &node.output[..] else { return None };
        let shape = self.graph.shape(from)?;
        let axis = Self::axis(node.int("axis").unwrap_or(-1), shape.len())?;
        let length = shape[axis..].iter().product();
        // What is repeated over rows or values is left to tract.
        let whole = |value: &&str| self.graph.shape(value).is_some_and(|extents| extents == &shape[axis..]);
        let scale = self.graph.floats(Some(input(node, 1)?).filter(whole)?)?.into_owned();
        let shift = match input(node, 2) {
            Some(shift) => self.graph.floats(Some(shift).filter(whole)?)?.into_owned(),
            None => vec![0.0; length],
        };
        if scale.len() != length || others.iter().any(|name| !name.is_empty()) {
            return None;
        }
        let operator = Norm::by_value(scale, shift, node.float("epsilon").unwrap_or(1e-5))?;
        self.list_operator(index, ListOperator::Norm(operator), from, to)
    }

    /// Each channel of one image by itself.
    fn instance_norm(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let [1, channels, plane @ ..] = self.graph.shape(from)? else { return None };
        let of = |position: usize| self.graph.floats(input(node, position)?).map(Cow::into_owned);
        let (scale, shift) = (of(1)?, of(2)?);
        if scale.len() != *channels {
            return None;
        }
        let length = plane.iter().product();
        let operator = Norm::by_row(length, scale, shift, node.float("epsilon").unwrap_or(1e-5))?;
        self.list_operator(index, ListOperator::Norm(operator), from, to)
    }

    /// Softmax over the last axis.
    fn softmax(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let shape = self.graph.shape(from)?;
        if Self::axis(node.int("axis")?, shape.len())? != shape.len() - 1 {
            return None;
        }
        let operator = Softmax::new(*shape.last()?)?;
        self.list_operator(index, ListOperator::Softmax(operator), from, to)
    }
}
