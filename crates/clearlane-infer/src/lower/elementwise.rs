//! Operators on values one by one: activations, sums and products.

use tract_onnx::pb::NodeProto;

use super::{Form, Lowering, input, output};
use crate::graph::Attributes;
use crate::kernel::epilogue::Activation;
use crate::kernel::function::Function;
use crate::kernel::integer::Rescale;
use crate::kernel::vector::LANES;
use crate::plan::layer::{Kind, TensorId};

impl<'a> Lowering<'a> {
    pub(super) fn activation(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let bound = |position, name, default| match input(node, position) {
            Some(value) => self.graph.floats(value)?.first().copied(),
            None => Some(node.float(name).unwrap_or(default)),
        };
        let channels = || self.graph.shape(from)?.get(1).copied();
        let activation = match node.op_type.as_str() {
            "Relu" => Activation::Clamp { low: 0.0, high: f32::INFINITY },
            "Clip" => {
                Activation::Clamp { low: bound(1, "min", f32::NEG_INFINITY)?, high: bound(2, "max", f32::INFINITY)? }
            }
            "LeakyRelu" => Activation::Slope(vec![node.float("alpha").unwrap_or(0.01); channels()?]),
            "PRelu" => Activation::Slope(self.per_channel(input(node, 1)?, from)?),
            _ => Activation::Function(self.function(node)?),
        };
        let mut form = *self.forms.get(from)?;
        let plain = self.layers.get(form.tensor()).lanes == 1;
        let is_list = self.made_list(from).is_some();
        if (plain && !is_list && self.graph.image(from).is_some()) || matches!(activation, Activation::Slope(_)) {
            form = Form::Tensor(self.blocked(from)?);
        } else if plain && !is_list {
            // A list that no convolution can surround with a halo any more.
            form = Form::Tensor(self.flat(from)?);
        }
        let tensor = form.tensor();
        if self.join_activation(index, tensor, &activation) {
            self.bind(to, form);
            return Some(());
        }
        let lanes = self.layers.get(tensor).lanes;
        let made = self.layers.tensor(lanes, self.extents(tensor));
        self.layers.push(Kind::Activate(activation), vec![tensor], made, Some(index));
        self.bind(to, form.with(made));
        Some(())
    }

    /// The function of one value that a node is.
    fn function(&self, node: &NodeProto) -> Option<Function> {
        Some(match node.op_type.as_str() {
            "Sigmoid" => Function::Sigmoid,
            "Tanh" => Function::Tanh,
            "Erf" => Function::Erf,
            "Gelu" if node.text("approximate") == Some("tanh") => Function::GeluTanh,
            "Gelu" => Function::Gelu,
            "HardSigmoid" => Function::HardSigmoid {
                slope: node.float("alpha").unwrap_or(0.2),
                offset: node.float("beta").unwrap_or(0.5),
            },
            "HardSwish" => Function::HardSwish,
            "Sqrt" => Function::Sqrt,
            "Abs" => Function::Abs,
            "Pow" => match self.graph.floats(input(node, 1)?)?[..] {
                [2.0] if self.graph.shape(input(node, 0)?) == self.graph.shape(output(node)?) => Function::Square,
                _ => return None,
            },
            _ => return None,
        })
    }

    /// Lets the layer that makes a tensor activate it as well, if nothing else reads the tensor.
    fn join_activation(&mut self, index: usize, tensor: TensorId, activation: &Activation) -> bool {
        if self.layers.get(tensor).shared {
            return false;
        }
        let Some(producer) = self.layers.producer(tensor) else { return false };
        let layer = &mut self.layers.order[producer];
        let has_addend = layer.from.len() > 1;
        let slot = match &mut layer.kind {
            Kind::Integer { rescale: Rescale { addend: Some(addend), .. }, .. } => {
                let &Activation::Clamp { low, high } = activation else { return false };
                if addend.bounds != [f32::NEG_INFINITY, f32::INFINITY] {
                    return false;
                }
                addend.bounds = [low, high];
                layer.nodes.push(index);
                return true;
            }
            Kind::Integer { rescale, .. } if !matches!(activation, Activation::Function(_)) => &mut rescale.activation,
            Kind::Convolution { activation, add_first, .. } if !has_addend || *add_first => activation,
            Kind::Add(activation) | Kind::Multiply(activation) | Kind::Affine { activation, .. } => activation,
            _ => return false,
        };
        if *slot != Activation::Identity {
            return false;
        }
        *slot = activation.clone();
        layer.nodes.push(index);
        true
    }

    /// Sums and products, with a constant or of two tensors.
    pub(super) fn arithmetic(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (a, b, to) = (input(node, 0)?, input(node, 1)?, output(node)?);
        let (tensor, constant) = match (self.graph.constant(a), self.graph.constant(b)) {
            (None, None) => return self.two_tensors(index, node, a, b, to),
            (None, Some(_)) => (a, b),
            (Some(_), None) => (b, a),
            (Some(_), Some(_)) => return None,
        };
        if self.graph.shape(tensor)? != self.graph.shape(to)? {
            return None;
        }
        let values = self.per_channel(constant, tensor)?;
        let (ones, zeros) = (vec![1.0; values.len()], vec![0.0; values.len()]);
        let negated = |values: &[f32]| values.iter().map(|value| -value).collect::<Vec<f32>>();
        let inverse = |values: &[f32]| values.iter().map(|value| value.recip()).collect::<Vec<f32>>();
        let (scale, shift) = match node.op_type.as_str() {
            "Add" => (ones, values),
            "Mul" => (values, zeros),
            "Sub" if constant == b => (ones, negated(&values)),
            "Sub" => (negated(&ones), values),
            "Div" if constant == b => (inverse(&values), zeros),
            _ => return None,
        };
        self.affine(index, tensor, to, scale, shift)
    }

    fn two_tensors(&mut self, index: usize, node: &'a NodeProto, a: &'a str, b: &'a str, to: &'a str) -> Option<()> {
        let shape = self.graph.shape(to)?;
        let whole = |value: &str| self.graph.shape(value) == Some(shape);
        let multiply = node.op_type == "Mul";
        if !(multiply || node.op_type == "Add") || !matches!(shape, [1, _, _, _] | [1, _]) {
            return None;
        }
        let scales = |value: &str| self.graph.image(value).is_some_and(|[c, h, w]| [c, h, w] == [shape[1], 1, 1]);
        let (a, b) = match (whole(a), whole(b)) {
            (true, true) => (a, b),
            (true, false) if multiply && scales(b) => (a, b),
            (false, true) if multiply && scales(a) => (b, a),
            _ => return None,
        };
        let (a, b) = (self.blocked(a)?, self.blocked(b)?);
        let made = self.layers.tensor(LANES, self.extents(a));
        if multiply {
            self.layers.push(Kind::Multiply(Activation::Identity), vec![a, b], made, Some(index));
        } else if !self.join_sum(index, a, b, made) {
            self.layers.push(Kind::Add(Activation::Identity), vec![a, b], made, Some(index));
        }
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    /// Lets the convolution that makes one of two tensors add the other as well, if nothing else reads what it made.
    fn join_sum(&mut self, index: usize, a: TensorId, b: TensorId, made: TensorId) -> bool {
        let Some((position, other)) = self.sums(a, b, |kind| matches!(kind, Kind::Convolution { .. })) else {
            return false;
        };
        // The convolution moves behind whatever makes the other tensor.
        let mut layer = self.layers.order.remove(position);
        if let Kind::Convolution { activation, add_first, .. } = &mut layer.kind {
            *add_first = *activation == Activation::Identity;
        }
        layer.from.push(other);
        layer.to = vec![made];
        layer.nodes.push(index);
        self.layers.order.push(layer);
        true
    }

    /// The layer that could add two tensors on the way, since it makes one of them for nobody else, is of a kind that
    /// `joins`, and adds nothing yet: its position, and the tensor that it would add.
    pub(super) fn sums(
        &self,
        a: TensorId,
        b: TensorId,
        joins: impl Fn(&Kind<'_>) -> bool,
    ) -> Option<(usize, TensorId)> {
        let joins = |tensor: TensorId| {
            let producer = self.layers.producer(tensor).filter(|_| !self.layers.get(tensor).shared)?;
            let layer = &self.layers.order[producer];
            (joins(&layer.kind) && layer.from.len() == 1).then_some(producer)
        };
        match (joins(a), joins(b)) {
            _ if a == b => None,
            (Some(of_a), Some(of_b)) if of_b > of_a => Some((of_b, a)),
            (Some(of_a), _) => Some((of_a, b)),
            (None, Some(of_b)) => Some((of_b, a)),
            (None, None) => None,
        }
    }

    /// `scale * x + shift` by channel: folded into the convolution before it, or a layer.
    pub(super) fn affine(
        &mut self,
        index: usize,
        from: &'a str,
        to: &'a str,
        scale: Vec<f32>,
        shift: Vec<f32>,
    ) -> Option<()> {
        let tensor = self.blocked(from)?;
        let (form, channels) = (*self.forms.get(from)?, self.extents(tensor)[0]);
        if scale.len() != channels || shift.len() != channels {
            return None;
        }
        let producer = self.layers.producer(tensor).filter(|_| !self.layers.get(tensor).shared);
        if let Some(layer) = producer.map(|producer| &mut self.layers.order[producer])
            && layer.from.len() == 1
            && let Kind::Convolution { convolution, activation: Activation::Identity, .. } = &mut layer.kind
        {
            let each = convolution.weights.len() / convolution.outputs;
            for (weight, scale) in convolution.weights.to_mut().chunks_mut(each).zip(&scale) {
                for weight in weight {
                    *weight *= scale;
                }
            }
            for (bias, (scale, shift)) in convolution.bias.iter_mut().zip(scale.iter().zip(&shift)) {
                *bias = *bias * scale + shift;
            }
            layer.nodes.push(index);
            self.bind(to, form);
            return Some(());
        }
        if let Some(layer) = producer.map(|producer| &mut self.layers.order[producer])
            && let Kind::Integer { convolution, rescale } = &mut layer.kind
            && rescale.activation == Activation::Identity
            && rescale.addend.is_none()
            && convolution.scale_and_shift(rescale, &scale, &shift)
        {
            layer.nodes.push(index);
            self.bind(to, form);
            return Some(());
        }
        let made = self.layers.tensor(LANES, self.extents(tensor));
        let kind = Kind::Affine { scale, shift, activation: Activation::Identity };
        self.layers.push(kind, vec![tensor], made, Some(index));
        self.bind(to, Form::Tensor(made));
        Some(())
    }

    pub(super) fn batch_norm(&mut self, index: usize, node: &'a NodeProto) -> Option<()> {
        let (from, to) = (input(node, 0)?, output(node)?);
        let of = |position: usize| self.graph.floats(input(node, position)?);
        let (gamma, beta, mean, variance) = (of(1)?, of(2)?, of(3)?, of(4)?);
        let epsilon = node.float("epsilon").unwrap_or(1e-5);
        let scale: Vec<f32> =
            gamma.iter().zip(&*variance).map(|(gamma, variance)| gamma / (variance + epsilon).sqrt()).collect();
        let shift = beta.iter().zip(mean.iter().zip(&scale)).map(|(beta, (mean, scale))| beta - mean * scale).collect();
        self.affine(index, from, to, scale, shift)
    }

    /// A constant as a value for each channel of a tensor, if it broadcasts so.
    fn per_channel(&self, constant: &str, tensor: &str) -> Option<Vec<f32>> {
        let (values, shape) = (self.graph.floats(constant)?, self.graph.shape(constant)?);
        let of = self.graph.shape(tensor)?;
        let channels = *of.get(1)?;
        if values.len() == 1 {
            return Some(vec![values[0]; channels]);
        }
        // The channels' axis counts from the right, as broadcasting does.
        let axis = shape.len().checked_sub(of.len() - 1)?;
        (shape.get(axis) == Some(&channels) && values.len() == channels).then_some(values.into_owned())
    }
}
