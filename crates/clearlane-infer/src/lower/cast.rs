//! Casts among floats: nothing is left of them but what one to half precision rounds.

use std::sync::Arc;

use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::InferError;
use crate::kernel::program::Fallback;
use crate::plan::layer::{Kind, Layer};
use crate::rewrite::is_rounding;

impl<'a> Lowering<'a> {
    pub(super) fn cast(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        if !self.graph.is_float(from) || !self.graph.is_float(to) {
            return None;
        }
        let Some(round) = is_rounding(node) else { return self.reshape(node) };
        let flat = self.flat(from)?;
        let made = self.layers.tensor(1, [1, 1, self.graph.shape(to)?.iter().product()]);
        let kind = Kind::Fallback(Arc::new(Rounding(round)));
        self.layers.order.push(Layer { kind, from: vec![flat], to: vec![made], nodes: vec![index] });
        self.bind(to, Form::Tensor(made));
        Some(())
    }
}

/// Rounds each value.
struct Rounding(fn(f32) -> f32);

impl Fallback for Rounding {
    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        for (from, to) in inputs.iter().zip(outputs) {
            to.iter_mut().zip(*from).for_each(|(to, from)| *to = (self.0)(*from));
        }
        Ok(())
    }
}
