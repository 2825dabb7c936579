//! Gives each tensor a place in the arena, reusing memory that nothing reads any more, and packs the operators.

use super::layer::{Fill, Kind, Layer, Layers, Tensor, TensorId};
use crate::kernel::dense::Dense;
use crate::kernel::depthwise::Depthwise;
use crate::kernel::epilogue::{Activation, Epilogue};
use crate::kernel::integer::Quantisation;
use crate::kernel::integer::dense::IntegerDense;
use crate::kernel::integer::depthwise::IntegerDepthwise;
use crate::kernel::integer::epilogue::Epilogue as IntegerEpilogue;
use crate::kernel::integer::recode::Recode;
use crate::kernel::layout::{Copy, Resize, ToRows};
use crate::kernel::lists::Lists;
use crate::kernel::memory::{BYTES, Element, View};
use crate::kernel::product::Product;
use crate::kernel::program::{Operator, Program, Step};
use crate::kernel::rowwise::{Combine, Operand, Pool};
use crate::kernel::set::KernelSet;
use crate::kernel::vector::LANES;
use crate::kernel::winograd::{PLACES, TileInput, TileOutput, TileProducts};

/// `None` if the layers' extents disagree, which a graph whose shapes were analysed cannot cause.
pub(crate) fn program(kernels: &KernelSet, mut layers: Layers<'_>, input: TensorId) -> Option<Program> {
    super::merge::siblings(&mut layers);
    super::winograd::split(&mut layers);
    let (starts, floats) = places(&layers, input)?;
    let view = |id: TensorId| view(layers.get(id), starts[layers.root(id).0]);
    let mut steps = Vec::new();
    for layer in &layers.order {
        let as_run = |&id: &TensorId| as_run(&layer.kind, view(id));
        let from: Vec<View> = layer.from.iter().map(as_run).collect::<Option<_>>()?;
        let to: Vec<View> = layer.to.iter().map(as_run).collect::<Option<_>>()?;
        let operator = operator(kernels, &layers, layer, &from, &to)?;
        let fill = layer.to.first().and_then(|&id| match &layers.get(id).fill {
            Some(Fill::Values(values)) => Some(values.clone()),
            _ => None,
        });
        let products = match &layer.kind {
            Kind::Convolution { convolution, .. } => convolution.weights.len() * to[0].height * to[0].width,
            Kind::Integer { convolution, .. } => convolution.weights.len() * to[0].height * to[0].width,
            Kind::TileProducts(convolution) => convolution.weights.len() / 9 * PLACES * to[0].width,
            _ => 0,
        };
        steps.push(Step { operator, from, to, fill, nodes: layer.nodes.clone(), products });
    }
    let outputs = layers.outputs.iter().map(|&id| view(id)).collect();
    Program::new(floats, view(input), steps, outputs)
}

/// A tensor as a layer of this kind reads or writes it: a flat list is combined a block at a time, whatever its extents, up to the
/// end of its last block. `None` of one with a halo, which is none.
fn as_run(kind: &Kind<'_>, view: View) -> Option<View> {
    let combined = matches!(kind, Kind::Activate(_) | Kind::Add(_) | Kind::Multiply(_) | Kind::Affine { .. });
    match view {
        View { lanes: 1, halo: 1.., .. } if combined => None,
        View { lanes: 1, .. } if combined => {
            Some(View { lanes: LANES, channels: LANES, height: 1, width: view.len().div_ceil(LANES), ..view })
        }
        _ => Some(view),
    }
}

fn operator(
    kernels: &KernelSet,
    layers: &Layers<'_>,
    layer: &Layer<'_>,
    from: &[View],
    to: &[View],
) -> Option<Operator> {
    let combine = |from: View, operand: Operand, to: View, activation: &Activation| {
        Some(Operator::Combine(Combine::new(kernels, from, &operand, to, activation)?))
    };
    if let Kind::Fallback(fallback) = &layer.kind {
        return Some(Operator::Fallback(fallback.clone()));
    }
    let (first, target) = (*from.first()?, *to.first()?);
    match &layer.kind {
        Kind::Convolution { convolution, activation, add_first } => {
            let epilogue = Epilogue::new(activation, from.get(1).copied(), *add_first, &target)?;
            Some(if convolution.depthwise {
                Operator::Depthwise(Depthwise::new(kernels, convolution, first, target, epilogue)?)
            } else {
                Operator::Dense(Dense::new(kernels, convolution, first, target, epilogue)?)
            })
        }
        Kind::Integer { convolution, rescale } => {
            let output = layers.get(*layer.to.first()?).quantisation;
            let epilogue = IntegerEpilogue::new(rescale, from.get(1).copied(), output, &target)?;
            Some(if convolution.depthwise {
                Operator::IntegerDepthwise(IntegerDepthwise::new(
                    &kernels.integer,
                    convolution,
                    first,
                    target,
                    epilogue,
                )?)
            } else {
                Operator::IntegerDense(IntegerDense::new(&kernels.integer, convolution, first, target, epilogue)?)
            })
        }
        Kind::TileInput => Some(Operator::TileInput(TileInput::new(kernels, first, target)?)),
        Kind::TileProducts(convolution) => {
            Some(Operator::TileProducts(TileProducts::new(kernels, convolution, &first, &target)?))
        }
        Kind::TileOutput { bias, activation, add_first } => {
            let epilogue = Epilogue::new(activation, from.get(1).copied(), *add_first, &target)?;
            Some(Operator::TileOutput(TileOutput::new(kernels, bias, first, target, epilogue)?))
        }
        Kind::Recode => {
            let bytes = |tensor: &TensorId| layers.get(*tensor).quantisation;
            let quantisation = layer.from.iter().chain(&layer.to).find_map(bytes)?;
            Some(Operator::Recode(Recode::new(&kernels.integer, first, target, quantisation)?))
        }
        Kind::Activate(activation) => combine(first, Operand::Nothing, target, activation),
        Kind::Add(activation) => combine(first, Operand::Add(*from.get(1)?), target, activation),
        Kind::Multiply(activation) => combine(first, Operand::Multiply(*from.get(1)?), target, activation),
        Kind::Affine { scale, shift, activation } => {
            let operand = Operand::Affine { scale: scale.clone(), shift: shift.clone() };
            combine(first, operand, target, activation)
        }
        Kind::Pool { window, reduction } => {
            Some(Operator::Pool(Pool::new(kernels, first, target, *window, *reduction)?))
        }
        Kind::Resize { rows, columns } => {
            Some(Operator::Resize(Resize::new(first, target, rows.clone(), columns.clone())?))
        }
        Kind::Concat => {
            let mut done = 0;
            let copies = from.iter().map(|part| {
                let copy = Copy::new(*part, 0, part.channels, target, done);
                done += part.channels;
                copy
            });
            Some(Operator::Copy(copies.collect::<Option<_>>()?))
        }
        Kind::Channels { first: skip } => {
            Some(Operator::Copy(vec![Copy::new(first, *skip, target.channels, target, 0)?]))
        }
        Kind::ToRows { skip, count, sigmoid } => {
            Some(Operator::ToRows(ToRows::new(first, *skip, *count, target, *sigmoid)?))
        }
        Kind::Lists(operator) => Some(Operator::Lists(Lists::new(kernels.isa, operator.clone(), from, target)?)),
        Kind::Product { extents, weights } => {
            Some(Operator::Product(Product::new(kernels, *extents, weights.as_ref(), from, target)?))
        }
        Kind::Fallback(_) => None,
    }
}

/// The most floats that an arena may have: 4 GiB of them.
const LARGEST: usize = 1 << 30;

/// Where each tensor starts, and how many floats all of them take: first fit among the tensors that live at once. `None`
/// where that is more than an arena may have.
fn places(layers: &Layers<'_>, input: TensorId) -> Option<(Vec<usize>, usize)> {
    let count = layers.tensors.len();
    let (mut born, mut dies) = (vec![usize::MAX; count], vec![0; count]);
    born[input.0] = 0;
    for (time, layer) in layers.order.iter().enumerate() {
        for &id in &layer.to {
            let root = layers.root(id).0;
            born[root] = born[root].min(time + 1);
            dies[root] = dies[root].max(time + 1);
        }
        for &id in &layer.from {
            dies[layers.root(id).0] = time + 1;
        }
    }
    for &id in &layers.outputs {
        dies[layers.root(id).0] = usize::MAX;
    }
    let length = |tensor: &Tensor| {
        let side = |extent: usize| extent.checked_add(tensor.halo.checked_mul(2)?);
        let plane = side(tensor.height)?.checked_mul(side(tensor.width)?)?;
        let values = plane.checked_mul(tensor.channels.checked_next_multiple_of(tensor.lanes)?)?;
        (values <= LARGEST).then(|| view(tensor, 0).span().len().next_multiple_of(LANES))
    };
    let lengths: Vec<usize> = layers.tensors.iter().map(length).collect::<Option<_>>()?;
    let mut order: Vec<usize> = (0..count).filter(|&id| born[id] != usize::MAX).collect();
    order.sort_by_key(|&id| born[id]);
    let (mut starts, mut floats) = (vec![0; count], 0);
    let mut placed: Vec<usize> = Vec::new();
    for id in order {
        let length = lengths[id];
        let overlaps = |other: &usize| born[*other] <= dies[id] && born[id] <= dies[*other];
        let mut taken: Vec<(usize, usize)> =
            placed.iter().filter(|other| overlaps(other)).map(|&other| (starts[other], lengths[other])).collect();
        taken.sort_unstable();
        let mut start = 0;
        for (other, size) in taken {
            if start + length <= other {
                break;
            }
            start = start.max(other + size);
        }
        starts[id] = start;
        floats = floats.max(start + length);
        placed.push(id);
    }
    (floats <= LARGEST).then_some((starts, floats))
}

/// The view of a tensor that starts so many floats into the arena.
fn view(tensor: &Tensor, start: usize) -> View {
    let &Tensor { lanes, channels, height, width, halo, quantisation, .. } = tensor;
    let (element, start) = match quantisation {
        None => (Element::Float, start),
        Some(Quantisation { zero, .. }) => (Element::Byte { zero }, start * BYTES),
    };
    View { element, start, lanes, channels, height, width, halo }
}
