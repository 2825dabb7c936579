//! Heads of one feature map that could be computed together.
//!
//! A detector reads scores, boxes and landmarks off the same tensor with convolutions of few channels each, which would
//! fill their blocks badly. Those that end in flat lists are joined; the lists then pick their channels out.

use super::layer::{Kind, Layer, Layers, TensorId};
use crate::kernel::convolution::Convolution;
use crate::kernel::epilogue::Activation;
use crate::kernel::function::Function;
use crate::kernel::vector::LANES;

/// Joins convolutions that read the same tensor in the same way and end in flat lists, directly or after a depthwise
/// convolution of their own.
pub(crate) fn siblings(layers: &mut Layers<'_>) {
    delay_sigmoids(layers);
    let mut position = 0;
    while position < layers.order.len() {
        let heads = siblings_of(layers, position);
        if heads.len() > 1 {
            join(layers, &heads);
        }
        position += 1;
    }
}

/// Lets the lists apply the sigmoid instead of the convolutions: to the channels that are real, and so that the
/// convolutions become alike.
fn delay_sigmoids(layers: &mut Layers<'_>) {
    for position in 0..layers.order.len() {
        let made = layers.order[position].to[0];
        let sigmoid = matches!(
            layers.order[position].kind,
            Kind::Convolution { activation: Activation::Function(Function::Sigmoid), .. }
        );
        let Some(readers) = list_readers(layers, made).filter(|_| sigmoid) else { continue };
        for reader in readers {
            if let Kind::ToRows { sigmoid, .. } = &mut layers.order[reader].kind {
                *sigmoid = true;
            }
        }
        if let Kind::Convolution { activation, .. } = &mut layers.order[position].kind {
            *activation = Activation::Identity;
        }
    }
}

/// A convolution that ends in flat lists: its position, and that of the depthwise convolution after it.
struct Head {
    dense: usize,
    depthwise: Option<usize>,
}

/// The head at a position and those after it that it can be joined with; empty if there is nothing to gain.
fn siblings_of(layers: &Layers<'_>, position: usize) -> Vec<Head> {
    let Some(first) = head(layers, position) else { return Vec::new() };
    let alike = |a: usize, b: usize| match (convolution(&layers.order[a]), convolution(&layers.order[b])) {
        (Some(a), Some(b)) => (a.kernel, a.stride, a.pad, a.dilation) == (b.kernel, b.stride, b.pad, b.dilation),
        _ => false,
    };
    let heads = (position + 1..layers.order.len()).filter_map(|other| {
        let same_input = layers.order[other].from == layers.order[position].from;
        let head = head(layers, other).filter(|_| same_input && alike(position, other))?;
        let depthwise_alike = match (first.depthwise, head.depthwise) {
            (None, None) => true,
            (Some(a), Some(b)) => alike(a, b),
            _ => false,
        };
        depthwise_alike.then_some(head)
    });
    let mut heads: Vec<Head> = heads.collect();
    heads.insert(0, first);
    let channels = |head: &Head| convolution(&layers.order[head.dense]).map_or(0, |convolution| convolution.outputs);
    let apart: usize = heads.iter().map(|head| channels(head).div_ceil(LANES)).sum();
    let together = heads.iter().map(channels).sum::<usize>().div_ceil(LANES);
    if together < apart { heads } else { Vec::new() }
}

fn head(layers: &Layers<'_>, position: usize) -> Option<Head> {
    let made = layers.order[position].to[0];
    convolution(&layers.order[position]).filter(|convolution| !convolution.depthwise)?;
    if list_readers(layers, made).is_some() {
        return Some(Head { dense: position, depthwise: None });
    }
    let &[reader] = &readers(layers, made)?[..] else { return None };
    convolution(&layers.order[reader]).filter(|convolution| convolution.depthwise)?;
    list_readers(layers, layers.order[reader].to[0])?;
    Some(Head { dense: position, depthwise: Some(reader) })
}

/// The layer's convolution, if that is all it does.
fn convolution<'l, 'a>(layer: &'l Layer<'a>) -> Option<&'l Convolution<'a>> {
    match &layer.kind {
        Kind::Convolution { convolution, activation: Activation::Identity, .. } if layer.from.len() == 1 => {
            Some(convolution)
        }
        _ => None,
    }
}

/// The layers that read a tensor; `None` if it is read in other ways as well.
fn readers(layers: &Layers<'_>, tensor: TensorId) -> Option<Vec<usize>> {
    let kept = layers.outputs.contains(&tensor) || layers.tensors.iter().any(|other| other.alias == Some(tensor));
    let reads = |position: &usize| layers.order[*position].from.contains(&tensor);
    (!kept).then(|| (0..layers.order.len()).filter(reads).collect())
}

/// The layers that read a tensor, if all of them write flat lists.
fn list_readers(layers: &Layers<'_>, tensor: TensorId) -> Option<Vec<usize>> {
    let readers = readers(layers, tensor)?;
    let lists = readers.iter().all(|&reader| matches!(layers.order[reader].kind, Kind::ToRows { .. }));
    (lists && !readers.is_empty()).then_some(readers)
}

/// Makes one head of several: the first takes over the others' channels, and their lists skip to them.
fn join(layers: &mut Layers<'_>, heads: &[Head]) {
    let dense: Vec<usize> = heads.iter().map(|head| head.dense).collect();
    let depthwise: Vec<usize> = heads.iter().filter_map(|head| head.depthwise).collect();
    join_layers(layers, &dense);
    if !depthwise.is_empty() {
        join_layers(layers, &depthwise);
        let made = layers.order[dense[0]].to[0];
        layers.order[depthwise[0]].from = vec![made];
    }
    let mut gone = [&dense[1..], depthwise.get(1..).unwrap_or_default()].concat();
    gone.sort_unstable();
    for position in gone.into_iter().rev() {
        layers.order.remove(position);
    }
}

/// Moves the channels of all these convolutions into the first, and its tensor's readers to a tensor of all channels.
fn join_layers(layers: &mut Layers<'_>, positions: &[usize]) {
    let mut channels = 0;
    let mut moved = Vec::new();
    let (mut weights, mut bias, mut nodes) = (Vec::new(), Vec::new(), Vec::new());
    for &position in positions {
        let layer = &layers.order[position];
        let Some(part) = convolution(layer) else { return };
        moved.push((layer.to[0], channels));
        channels += part.outputs;
        weights.extend_from_slice(&part.weights);
        bias.extend_from_slice(&part.bias);
        nodes.extend_from_slice(&layer.nodes);
    }
    let mut tensor = layers.get(moved[0].0).clone();
    tensor.channels = channels;
    layers.tensors.push(tensor);
    let made = TensorId(layers.tensors.len() - 1);
    let first = &mut layers.order[positions[0]];
    first.to = vec![made];
    first.nodes = nodes;
    if let Kind::Convolution { convolution, .. } = &mut first.kind {
        convolution.inputs = if convolution.depthwise { channels } else { convolution.inputs };
        (convolution.outputs, convolution.weights, convolution.bias) = (channels, weights.into(), bias);
    }
    for layer in &mut layers.order {
        let Kind::ToRows { skip, .. } = &mut layer.kind else { continue };
        if let Some(&(_, before)) = moved.iter().find(|(tensor, _)| layer.from == [*tensor]) {
            *skip += before;
            layer.from = vec![made];
        }
    }
}
