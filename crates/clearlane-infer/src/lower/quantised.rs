//! Quantised tensors: `QuantizeLinear` and `DequantizeLinear`, and the operators between them that run quantised.
//!
//! A dequantised value is not made before an operator reads it as floats: convolutions, matrix products and sums whose
//! operands are dequantised read the quantised values, and a convolution whose sums are quantised writes them. INT8
//! tensors are kept as UINT8, 128 higher.

use tract_onnx::pb::NodeProto;
use tract_onnx::prelude::DatumType;

use super::{Form, Lowering, input, output};
use crate::dequantised::is_grouped;
use crate::graph::Attributes;
use crate::kernel::convolution::Convolution;
use crate::kernel::epilogue::Activation;
use crate::kernel::integer::recode::IMAGE_LANES;
use crate::kernel::integer::{Addend, Quantisation, Rescale};
use crate::kernel::vector::LANES;
use crate::plan::layer::{Fill, Kind, TensorId};

impl<'a> Lowering<'a> {
    /// What a `QuantizeLinear` makes, or a `DequantizeLinear` reads.
    fn quantisation(&self, node: &NodeProto) -> Option<Quantisation> {
        let &[scale] = &self.graph.floats(input(node, 1)?)?[..] else { return None };
        let zero = match input(node, 2) {
            None => 0,
            Some(zero) => {
                let lowest = match self.graph.constant(zero)?.datum_type() {
                    DatumType::U8 => 0,
                    DatumType::I8 => i64::from(i8::MIN),
                    _ => return None,
                };
                let &[zero] = &self.graph.ints(zero)?[..] else { return None };
                u8::try_from(zero - lowest).ok()?
            }
        };
        let sound = scale.is_normal() && scale > 0.0 && scale.recip().is_normal() && !is_grouped(node);
        sound.then_some(Quantisation { scale, zero })
    }

    pub(super) fn quantise(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let quantisation = self.quantisation(node)?;
        if let Some(&form) = self.quantised.get(from)
            && self.layers.get(form.tensor()).quantisation == Some(quantisation)
        {
            self.bind_quantised(to, form);
            return Some(());
        }
        self.dequantised(from)?;
        let form = *self.forms.get(from)?;
        let tensor = form.tensor();
        let producer = self.layers.producer(tensor).filter(|_| !self.layers.get(tensor).shared);
        if let Some(producer) = producer
            && matches!(self.layers.order[producer].kind, Kind::Integer { .. })
        {
            let made = self.layers.quantised(LANES, self.extents(tensor), quantisation);
            let layer = &mut self.layers.order[producer];
            layer.to = vec![made];
            layer.nodes.push(index);
            self.bind_quantised(to, form.with(made));
            return Some(());
        }
        let image = self.is_image(tensor, self.extents(tensor)) && self.graph.image(from) == Some(self.extents(tensor));
        let (lanes, tensor, form) = match self.layers.get(tensor).lanes {
            LANES => (LANES, tensor, form),
            _ if image && self.extents(tensor)[0] <= IMAGE_LANES => (IMAGE_LANES, tensor, form),
            _ => {
                let blocked = self.blocked(from)?;
                (LANES, blocked, Form::Tensor(blocked))
            }
        };
        let made = self.layers.quantised(lanes, self.extents(tensor), quantisation);
        self.layers.push(Kind::Recode, vec![tensor], made, Some(index));
        self.bind_quantised(to, form.with(made));
        Some(())
    }

    pub(super) fn dequantise(&mut self, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let form = *self.quantised.get(from)?;
        let known = self.layers.get(form.tensor()).quantisation;
        if known.is_none() || known != self.quantisation(node) {
            return None;
        }
        self.bind_quantised(to, form);
        Some(())
    }

    /// A node that runs on quantised values; `None`, and nothing done, if it needs floats.
    pub(super) fn integer(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        match node.op_type.as_str() {
            "Conv" => self.integer_conv(index, node),
            "Gemm" if node.int("transA").unwrap_or(0) == 0 && node.float("alpha").unwrap_or(1.0) == 1.0 => {
                let beta = node.float("beta").unwrap_or(1.0);
                let bias = match input(node, 2) {
                    Some(bias) => self.graph.floats(bias)?.iter().map(|bias| beta * bias).collect(),
                    None => vec![0.0],
                };
                self.integer_product(index, node, node.int("transB").unwrap_or(0) != 0, &bias)
            }
            "MatMul" => self.integer_product(index, node, false, &[0.0]),
            "Add" => self.integer_sum(index, node),
            "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Identity" | "Dropout" => {
                let (from, to) = (input(node, 0)?, output(node)?);
                let form = self.reshaped(*self.quantised.get(from)?, from, to)?;
                self.bind_quantised(to, form);
                Some(())
            }
            _ => None,
        }
    }

    fn integer_conv(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let &Form::Tensor(tensor) = self.quantised.get(from)? else { return None };
        let weights = self.graph.dequantised(input(node, 1)?)?;
        let outputs = self.graph.image(to)?[0];
        let scales = weights.scales(0, outputs)?;
        let bias = match input(node, 2) {
            Some(bias) => self.graph.floats(bias)?.into_owned(),
            None => vec![0.0; outputs],
        };
        let (convolution, size) = self.convolution(node, weights.bytes(), bias)?;
        self.integer_convolve(index, convolution, &scales, tensor, to, size)
    }

    fn integer_product(&mut self, index: usize, node: &'a NodeProto, transposed: bool, bias: &[f32]) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let tensor = match *self.quantised.get(from)? {
            Form::Tensor(tensor) | Form::Flattened(tensor) => tensor,
            Form::Rows(_) => return None,
        };
        let name = input(node, 1)?;
        let (&[1, inputs], &[rows, columns]) = (self.graph.shape(from)?, self.graph.shape(name)?) else { return None };
        let [channels, height, width] = self.extents(tensor);
        let (outputs, axis) = if transposed { (rows, 0) } else { (columns, 1) };
        if channels * height * width != inputs || rows * columns != inputs * outputs {
            return None;
        }
        let weights = self.graph.dequantised(name)?;
        let (scales, bytes) = (weights.scales(axis, outputs)?, weights.bytes());
        let at = |output, input| if transposed { output * inputs + input } else { input * outputs + output };
        let matrix = |at: usize| bytes.get(at).copied();
        let values = (0..outputs).flat_map(|output| (0..inputs).map(move |input| matrix(at(output, input))));
        let convolution = Convolution {
            outputs,
            inputs: channels,
            depthwise: false,
            kernel: [height, width],
            stride: 1,
            pad: [0, 0],
            dilation: [1, 1],
            weights: values.collect::<Option<Vec<i8>>>()?.into(),
            bias: if bias.len() == 1 { vec![bias[0]; outputs] } else { bias.to_vec() },
        };
        self.integer_convolve(index, convolution, &scales, tensor, to, [1, 1])
    }

    fn integer_convolve(
        &mut self,
        index: usize,
        convolution: Convolution<'a, i8>,
        scales: &[f32],
        from: TensorId,
        to: &'a str,
        size: [usize; 2],
    ) -> Option<()> {
        let entry = self.layers.get(from);
        let quantisation = entry.quantisation?;
        let known = if convolution.depthwise {
            entry.lanes == LANES && convolution.dilation[1] == 1
        } else {
            entry.lanes == LANES || entry.lanes == IMAGE_LANES
        };
        if !known || convolution.bias.len() != convolution.outputs {
            return None;
        }
        let [_, height, width] = self.extents(from);
        let halo = convolution.halo([height, width], size);
        let (convolution, scales) = whole(convolution, scales, quantisation)?;
        if !self.layers.ask_halo(from, halo, Fill::Zeros) {
            return None;
        }
        let made = self.layers.tensor(LANES, [convolution.outputs, size[0], size[1]]);
        let rescale = Rescale { scales, activation: Activation::Identity, addend: None };
        self.layers.push(Kind::Integer { convolution, rescale }, vec![from], made, Some(index));
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    /// The sum of two quantised tensors, made by the convolution that makes one of them.
    fn integer_sum(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (a, b, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        let (&Form::Tensor(of_a), &Form::Tensor(of_b)) = (self.quantised.get(a)?, self.quantised.get(b)?) else {
            return None;
        };
        let alike = self.graph.image(a)? == self.graph.image(b)? && of_a != of_b;
        let joins = |kind: &Kind<'_>| matches!(kind, Kind::Integer { rescale: Rescale { addend: None, .. }, .. });
        let (position, other) = self.sums(of_a, of_b, joins).filter(|_| alike)?;
        let made_before = *self.layers.order[position].to.first()?;
        let own = self.layers.get(made_before).quantisation?;
        let addend =
            Addend { own, other: self.layers.get(other).quantisation?, bounds: [f32::NEG_INFINITY, f32::INFINITY] };
        if self.layers.get(other).lanes != LANES {
            return None;
        }
        let made = self.layers.tensor(LANES, self.extents(other));
        let mut layer = self.layers.order.remove(position);
        if let Kind::Integer { rescale, .. } = &mut layer.kind {
            rescale.addend = Some(addend);
        }
        layer.from.push(other);
        layer.to = vec![made];
        layer.nodes.push(index);
        self.layers.order.push(layer);
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    /// Makes the floats of a quantised value; `None` where it is available in neither form.
    pub(super) fn dequantised(&mut self, value: &'a str) -> Option<()> {
        if self.forms.contains_key(value) {
            return Some(());
        }
        let form = *self.quantised.get(value).filter(|_| self.graph.is_float(value))?;
        let tensor = form.tensor();
        let lanes = if self.layers.get(tensor).lanes == IMAGE_LANES { 1 } else { LANES };
        let made = self.layers.tensor(lanes, self.extents(tensor));
        self.layers.push(Kind::Recode, vec![tensor], made, None);
        self.bind(value, form.with(made));
        Some(())
    }

    fn bind_quantised(&mut self, value: &'a str, form: Form) {
        self.quantised.insert(value, form);
        if self.graph.uses(value) != 1 {
            self.layers.tensors[form.tensor().0].shared = true;
        }
    }
}

/// The convolution with its biases in units of its sums, the input's zero point taken into them, and what a unit of each
/// output's sum stands for; `None` where a sum might not fit in 32 bits.
fn whole<'a>(
    convolution: Convolution<'a, i8>,
    scales: &[f32],
    input: Quantisation,
) -> Option<(Convolution<'a, i8, i32>, Vec<f32>)> {
    let Convolution { outputs, inputs, depthwise, kernel, stride, pad, dilation, weights, bias } = convolution;
    let each = weights.len().checked_div(outputs).filter(|&each| each > 0)?;
    let (mut whole, mut units) = (Vec::new(), Vec::new());
    for (weights, (&bias, &scale)) in weights.chunks(each).zip(bias.iter().zip(scales)) {
        let sum: i64 = weights.iter().map(|&weight| i64::from(weight)).sum();
        let idle = weights.iter().all(|&weight| weight == 0);
        // The unit of a channel without weights is free, and its scale often too small for its bias.
        let unit = if idle { unit_of(bias) } else { input.scale * scale };
        let steps = f64::from(bias) / f64::from(unit);
        if !(unit.is_normal() && unit > 0.0 && steps.abs() < f64::from(i32::MAX)) {
            return None;
        }
        whole.push(i32::try_from(steps.round_ties_even() as i64 - i64::from(input.zero) * sum).ok()?);
        units.push(unit);
    }
    let convolution = Convolution { outputs, inputs, depthwise, kernel, stride, pad, dilation, weights, bias: whole };
    convolution.sums_fit().then_some((convolution, units))
}

/// The unit of the last place of a number, of which it is less than 2²⁴ whole ones; for zero one that suits what may be added
/// later.
fn unit_of(number: f32) -> f32 {
    const EXPONENT: u32 = 0xff << 23;
    let power_of_two = f32::from_bits(number.to_bits() & EXPONENT);
    if number == 0.0 { 1.0 / (1 << 20) as f32 } else { (power_of_two * f32::EPSILON).max(f32::MIN_POSITIVE) }
}

impl Convolution<'_, i8, i32> {
    /// Whether no sum can leave 32 bits, whatever the bytes.
    fn sums_fit(&self) -> bool {
        let each = self.weights.len() / self.outputs.max(1);
        self.weights.chunks(each.max(1)).zip(&self.bias).all(|(weights, &bias)| {
            let products: i64 = weights.iter().map(|&weight| 255 * i64::from(weight).abs()).sum();
            products + i64::from(bias).abs() <= i64::from(i32::MAX)
        })
    }

    /// Scales the outputs and shifts them, by channel; `false`, and nothing done, where the sums could not hold it.
    pub(super) fn scale_and_shift(&mut self, rescale: &mut Rescale, scale: &[f32], shift: &[f32]) -> bool {
        let units: Vec<f32> = rescale.scales.iter().zip(scale).map(|(unit, scale)| unit * scale).collect();
        let moved = self.bias.iter().zip(shift.iter().zip(&units)).map(|(&bias, (&shift, &unit))| {
            let steps = (f64::from(shift) / f64::from(unit)).round_ties_even();
            i32::try_from(i64::from(bias).checked_add(steps as i64)?).ok().filter(|_| unit.is_normal())
        });
        let Some(moved) = moved.collect::<Option<Vec<i32>>>() else { return false };
        let before = std::mem::replace(&mut self.bias, moved);
        if !self.sums_fit() {
            self.bias = before;
            return false;
        }
        rescale.scales = units;
        true
    }
}
