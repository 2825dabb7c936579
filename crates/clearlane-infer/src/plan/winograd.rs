//! 3 × 3 convolutions that take less time by way of transformed tiles ([`crate::kernel::winograd`]).

use super::layer::{Fill, Kind, Layer, Layers, TensorId};
use crate::kernel::vector::LANES;
use crate::kernel::winograd::{PLACES, applies, halo, tiles};

/// What making or reading one transformed value takes, in products of a convolution: it goes through the second or third
/// cache once each way.
const VALUE: usize = 10;

/// The most floats of a transformed tensor: more of them leave the caches, and memory is slower than the products saved.
const LARGEST: usize = 1 << 22;

/// Splits each such convolution into three layers.
pub(crate) fn split(layers: &mut Layers<'_>) {
    let mut position = 0;
    while position < layers.order.len() {
        position += if pays(layers, position) && ask_halo(layers, position) { replace(layers, position) } else { 1 };
    }
}

fn pays(layers: &Layers<'_>, position: usize) -> bool {
    let Kind::Convolution { convolution, .. } = &layers.order[position].kind else { return false };
    let (from, to) = (layers.get(layers.order[position].from[0]), layers.get(layers.order[position].to[0]));
    let [down, across] = tiles([to.height, to.width]);
    let (tiles, channels) = (down * across, convolution.inputs.max(convolution.outputs));
    let values = PLACES * tiles * (convolution.inputs + convolution.outputs);
    let products = convolution.weights.len() / 9 * PLACES * tiles;
    applies(convolution)
        && [from.height, from.width] == [to.height, to.width]
        && [from.lanes, to.lanes] == [LANES; 2]
        && PLACES * tiles * channels <= LARGEST
        && products + VALUE * values < convolution.weights.len() * to.height * to.width
}

fn ask_halo(layers: &mut Layers<'_>, position: usize) -> bool {
    let from = layers.order[position].from[0];
    let tensor = layers.get(from);
    let (halo, fill) = (halo([tensor.height, tensor.width]), tensor.fill.clone().unwrap_or(Fill::Zeros));
    layers.ask_halo(from, halo, fill)
}

/// Puts the three layers in the convolution's place; gives how many they are.
fn replace(layers: &mut Layers<'_>, position: usize) -> usize {
    let Layer { kind, from, to, nodes } = layers.order.remove(position);
    let Kind::Convolution { convolution, activation, add_first } = kind else { return 0 };
    let target = layers.get(to[0]);
    let [down, across] = tiles([target.height, target.width]);
    let mut transformed = |channels: usize| -> TensorId {
        layers.tensor(LANES, [PLACES * channels.next_multiple_of(LANES), 1, down * across])
    };
    let (input, sums) = (transformed(convolution.inputs), transformed(convolution.outputs));
    let bias = convolution.bias.clone();
    let more: Vec<TensorId> = from[1..].to_vec();
    let layer = |kind, from, to| Layer { kind, from, to, nodes: nodes.clone() };
    let three = [
        layer(Kind::TileInput, vec![from[0]], vec![input]),
        layer(Kind::TileProducts(convolution), vec![input], vec![sums]),
        layer(Kind::TileOutput { bias, activation, add_first }, [vec![sums], more].concat(), to),
    ];
    let count = three.len();
    layers.order.splice(position..position, three);
    count
}
