//! Products of matrices that are kept as lists, and what can be done while they are computed.

use std::borrow::Cow;

use ndarray::ArrayView2;
use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::lists::Operation;
use crate::kernel::product::{Extents, Weights};
use crate::plan::layer::Kind;

impl<'a> Lowering<'a> {
    /// Rows with a constant, or matrices with as many others.
    pub(super) fn list_matmul(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (a, b, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        if self.graph.is_constant(b) {
            let &[_, columns] = self.graph.shape(b)? else { return None };
            let weights = Weights { values: self.graph.floats(b)?, bias: vec![0.0; columns] };
            return self.rows_by_weights(index, a, weights, to);
        }
        let (of_a, of_b) = (self.graph.shape(a)?, self.graph.shape(b)?);
        let ([batches @ .., rows, depth], [others @ .., under, columns]) = (of_a, of_b) else { return None };
        if self.graph.is_constant(a) || batches != others || depth != under {
            return None;
        }
        let batches = batches.iter().product();
        let extents = Extents { batches, rows: *rows, depth: *depth, columns: *columns };
        if of_a.iter().chain(of_b).any(|&extent| extent == 0) {
            return None;
        }
        let lists = vec![self.list(a)?, self.list(b)?];
        self.make_list(index, Kind::Product { extents, weights: None }, lists, to)
    }

    /// Rows with a constant, and a constant row added.
    pub(super) fn list_gemm(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (a, b, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        let &[rows, columns] = self.graph.shape(b)? else { return None };
        if node.int("transA").unwrap_or(0) != 0 || !self.graph.is_constant(b) {
            return None;
        }
        let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
        let mut values = self.graph.floats(b)?;
        let columns = if node.int("transB").unwrap_or(0) != 0 {
            let matrix = ArrayView2::from_shape((rows, columns), &values).ok()?;
            values = Cow::Owned(matrix.t().iter().copied().collect());
            rows
        } else {
            columns
        };
        if alpha != 1.0 {
            values.to_mut().iter_mut().for_each(|value| *value *= alpha);
        }
        let bias = match input(node, 2) {
            None => vec![0.0; columns],
            Some(bias) => self.row(bias, columns)?.iter().map(|bias| beta * bias).collect(),
        };
        self.rows_by_weights(index, a, Weights { values, bias }, to)
    }

    fn rows_by_weights(&mut self, index: usize, from: &'a str, weights: Weights<'a>, to: &'a str) -> Option<()> {
        let (&depth, rows) = self.graph.shape(from)?.split_last()?;
        let extents = Extents { batches: 1, rows: rows.iter().product(), depth, columns: weights.bias.len() };
        if extents.rows == 0 || extents.depth == 0 || extents.columns == 0 || self.graph.is_constant(from) {
            return None;
        }
        let list = self.list(from)?;
        self.make_list(index, Kind::Product { extents, weights: Some(weights) }, vec![list], to)
    }

    /// A constant as one row that is the same for all others.
    fn row(&self, constant: &str, columns: usize) -> Option<Vec<f32>> {
        let (values, shape) = (self.graph.floats(constant)?, self.graph.shape(constant)?);
        match values.len() {
            1 => Some(vec![values[0]; columns]),
            count => (count == columns && shape.last() == Some(&columns)).then(|| values.into_owned()),
        }
    }

    /// Lets the product that makes one of two values do what is done with the other: scale its columns, add a row, or add a
    /// list of its own extents, if nothing else reads what it made.
    pub(super) fn join_product(
        &mut self,
        index: usize,
        operation: Operation,
        a: &'a str,
        b: &'a str,
        to: &'a str,
    ) -> Option<()> {
        let shape = self.graph.shape(to)?;
        let constant = |value: &str| self.graph.is_constant(value);
        match (constant(a), constant(b)) {
            (false, true) => self.join_row(index, operation, a, b, to),
            (true, false) if matches!(operation, Operation::Add | Operation::Multiply) => {
                self.join_row(index, operation, b, a, to)
            }
            (false, false) if operation == Operation::Add => {
                if self.graph.shape(a)? != shape || self.graph.shape(b)? != shape {
                    return None;
                }
                let lists = [self.made_list(a), self.made_list(b)];
                if lists.iter().all(Option::is_none) {
                    return None;
                }
                let (a, b) = (self.list(a)?, self.list(b)?);
                let joins = |kind: &Kind<'_>| matches!(kind, Kind::Product { weights: Some(_), .. });
                let (position, other) = self.sums(a, b, joins)?;
                // The product moves behind whatever makes the other list.
                let mut layer = self.layers.order.remove(position);
                let made = layer.to[0];
                layer.from.push(other);
                layer.nodes.push(index);
                self.layers.order.push(layer);
                self.bind(to, Form::Tensor(made));
                Some(())
            }
            _ => None,
        }
    }

    fn join_row(
        &mut self,
        index: usize,
        operation: Operation,
        from: &'a str,
        constant: &str,
        to: &'a str,
    ) -> Option<()> {
        let shape = self.graph.shape(to)?;
        let row = self.row(constant, *shape.last()?).filter(|_| self.graph.shape(from) == Some(shape))?;
        // What is infinite for one sum would be for each of its products.
        let by_factor = matches!(operation, Operation::Multiply | Operation::Divide);
        if by_factor && !row.iter().all(|factor| factor.is_normal()) {
            return None;
        }
        let list = self.made_list(from).filter(|&list| !self.layers.get(list).shared)?;
        let producer = self.layers.producer(list)?;
        let layer = &mut self.layers.order[producer];
        let Kind::Product { extents, weights: Some(weights) } = &mut layer.kind else { return None };
        if layer.from.len() > 1 || extents.columns != row.len() {
            return None;
        }
        let Weights { values, bias } = weights;
        let scale = |values: &mut Cow<'_, [f32]>, bias: &mut [f32], by: &dyn Fn(f32, f32) -> f32| {
            for values in values.to_mut().chunks_exact_mut(row.len()).chain([bias]) {
                values.iter_mut().zip(&row).for_each(|(value, factor)| *value = by(*value, *factor));
            }
        };
        match operation {
            Operation::Add => bias.iter_mut().zip(&row).for_each(|(bias, row)| *bias += row),
            Operation::Subtract => bias.iter_mut().zip(&row).for_each(|(bias, row)| *bias -= row),
            Operation::Multiply => scale(values, bias, &|value, factor| value * factor),
            Operation::Divide => scale(values, bias, &|value, factor| value / factor),
        }
        layer.nodes.push(index);
        self.bind(to, Form::Tensor(list));
        Some(())
    }
}
