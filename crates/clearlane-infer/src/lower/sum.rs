//! Operators that sum over channels or windows with weights: convolutions and matrix products.

use std::borrow::Cow;

use ndarray::ArrayView2;
use tract_onnx::pb::NodeProto;

use super::window::pads;
use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::convolution::Convolution;
use crate::kernel::epilogue::Activation;
use crate::kernel::vector::LANES;
use crate::plan::layer::{Fill, Kind, TensorId};

impl<'a> Lowering<'a> {
    pub(super) fn conv(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let bias = match input(node, 2) {
            Some(bias) => self.graph.floats(bias)?.into_owned(),
            None => vec![0.0; self.graph.image(to)?[0]],
        };
        let (convolution, size) = self.convolution(node, self.graph.floats(input(node, 1)?)?, bias)?;
        let few = !convolution.depthwise && convolution.inputs < LANES;
        let tensor = match *self.forms.get(from)? {
            Form::Tensor(tensor) if few && self.is_image(tensor, self.graph.image(from)?) => tensor,
            _ => self.blocked(from)?,
        };
        self.convolve(index, convolution, tensor, to, size);
        Some(())
    }

    /// The convolution that a node asks for, and the height and width of its output; `None` where no kernel supports
    /// it.
    pub(super) fn convolution<W: Clone>(
        &self,
        node: &NodeProto,
        weights: Cow<'a, [W]>,
        bias: Vec<f32>,
    ) -> Option<(Convolution<'a, W>, [usize; 2])> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let ([inputs, height, width], [outputs, out_height, out_width]) =
            (self.graph.image(from)?, self.graph.image(to)?);
        let &[_, each, kh, kw] = self.graph.shape(input(node, 1)?)? else { return None };
        let depthwise = each == 1 && inputs == outputs;
        let [stride, across] = node.pair("strides", 1)?;
        let dilation = node.pair("dilations", 1)?;
        let whole = [outputs, inputs, each, kh, kw].iter().all(|&extent| extent > 0)
            && weights.len() == outputs * each * kh * kw
            && bias.len() == outputs;
        if !(whole && (depthwise || each == inputs)) || stride != across || stride > 2 {
            return None;
        }
        let convolution = Convolution {
            outputs,
            inputs,
            depthwise,
            kernel: [kh, kw],
            stride,
            pad: pads(node, [height, width], [kh, kw], [stride; 2], dilation)?,
            dilation,
            weights,
            bias,
        };
        Some((convolution, [out_height, out_width]))
    }

    pub(super) fn is_image(&self, tensor: TensorId, extents: [usize; 3]) -> bool {
        let entry = self.layers.get(tensor);
        entry.lanes == 1 && entry.alias.is_none() && self.extents(tensor) == extents
    }

    fn convolve(
        &mut self,
        index: usize,
        mut convolution: Convolution<'a>,
        mut from: TensorId,
        to: &'a str,
        size: [usize; 2],
    ) {
        let [_, height, width] = self.extents(from);
        let halo = convolution.halo([height, width], size);
        let mut fill = Fill::Zeros;
        if let Some((before, values)) = self.fold_affine(&mut convolution, from) {
            (from, fill) = (before, Fill::Values(values));
        }
        if !self.layers.ask_halo(from, halo, fill.clone()) {
            let lanes = self.layers.get(from).lanes;
            let copy = self.layers.tensor(lanes, self.extents(from));
            self.layers.push(Kind::Concat, vec![from], copy, None);
            self.layers.ask_halo(copy, halo, fill);
            from = copy;
        }
        let made = self.layers.tensor(LANES, [convolution.outputs, size[0], size[1]]);
        let kind = Kind::Convolution { convolution, activation: Activation::Identity, add_first: false };
        self.layers.push(kind, vec![from], made, Some(index));
        self.bind(to, Form::Tensor(made));
    }

    /// Takes an affine layer that only this convolution reads into its weights: gives the tensor before it, and the
    /// values that its halo has to hold, so that they become the zeros that the convolution pads with.
    fn fold_affine(&mut self, convolution: &mut Convolution<'a>, from: TensorId) -> Option<(TensorId, Vec<f32>)> {
        if self.layers.get(from).shared || convolution.depthwise {
            return None;
        }
        let producer = self.layers.producer(from)?;
        let layer = &self.layers.order[producer];
        let Kind::Affine { scale, shift, activation: Activation::Identity } = &layer.kind else { return None };
        let fill: Vec<f32> = scale.iter().zip(shift).map(|(scale, shift)| -shift / scale).collect();
        if !fill.iter().all(|value| value.abs() < 1e6) {
            return None;
        }
        let positions = convolution.kernel[0] * convolution.kernel[1];
        let outputs = convolution.weights.to_mut().chunks_mut(convolution.inputs * positions);
        for (bias, weights) in convolution.bias.iter_mut().zip(outputs) {
            for (weights, (scale, shift)) in weights.chunks_mut(positions).zip(scale.iter().zip(shift)) {
                *bias += weights.iter().sum::<f32>() * shift;
                for weight in weights {
                    *weight *= scale;
                }
            }
        }
        let before = layer.from[0];
        self.layers.order.remove(producer);
        Some((before, fill))
    }

    pub(super) fn gemm(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, weights, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        let (alpha, beta) = (node.float("alpha").unwrap_or(1.0), node.float("beta").unwrap_or(1.0));
        if node.int("transA").unwrap_or(0) != 0 {
            return None;
        }
        let bias = match input(node, 2) {
            Some(bias) => Some(self.graph.floats(bias)?),
            None => None,
        };
        let transposed = node.int("transB").unwrap_or(0) != 0;
        self.product(index, from, weights, transposed, [alpha, beta], bias, to)
    }

    pub(super) fn matmul(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        self.product(index, input(node, 0)?, input(node, 1)?, false, [1.0, 1.0], None, output(node)?)
    }

    /// A row of numbers times a matrix: a convolution as large as the tensor that the row was flattened from.
    #[expect(clippy::too_many_arguments, reason = "the operands of a Gemm")]
    fn product(
        &mut self,
        index: usize,
        from: &'a str,
        weights: &str,
        transposed: bool,
        [alpha, beta]: [f32; 2],
        bias: Option<Cow<'a, [f32]>>,
        to: &'a str,
    ) -> Option<()> {
        let (&[1, inputs], &[rows, columns]) = (self.graph.shape(from)?, self.graph.shape(weights)?) else {
            return None;
        };
        let outputs = if transposed { rows } else { columns };
        let mut weights = self.graph.floats(weights)?;
        if inputs == 0 || outputs == 0 || weights.len() != inputs * outputs {
            return None;
        }
        if !transposed {
            let rows = ArrayView2::from_shape((inputs, outputs), &weights).ok()?;
            weights = rows.t().iter().copied().collect();
        }
        if alpha != 1.0 {
            for weight in weights.to_mut() {
                *weight *= alpha;
            }
        }
        let bias = match bias {
            None => vec![0.0; outputs],
            Some(bias) if bias.len() == 1 => vec![beta * bias[0]; outputs],
            Some(bias) if bias.len() == outputs => bias.iter().map(|bias| beta * bias).collect(),
            Some(_) => return None,
        };
        let tensor = match *self.forms.get(from)? {
            Form::Flattened(tensor) if self.extents(tensor).iter().product::<usize>() == inputs => tensor,
            _ => self.blocked(from)?,
        };
        let [channels, height, width] = self.extents(tensor);
        let kernel = [height, width];
        let convolution = Convolution {
            outputs,
            inputs: channels,
            depthwise: false,
            kernel,
            stride: 1,
            pad: [0, 0],
            dilation: [1, 1],
            weights,
            bias,
        };
        self.convolve(index, convolution, tensor, to, [1, 1]);
        Some(())
    }
}
