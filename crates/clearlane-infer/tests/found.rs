//! What fuzzing found: graphs that once gave other numbers than they should.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_infer::{Backend, Network, Options};
use common::{Graph, backends, images, ints};

/// A padded convolution of which every second row from `start` on is taken, by hand and by a slice.
fn sliced(pads: [i64; 4], start: i64) {
    let convolution = || {
        let mut graph = Graph::new(&[1, 5, 9, 10]);
        let weights = graph.random(&[6, 5, 2, 3], 0.3);
        let sums = graph.node("Conv", &["input", &weights], vec![ints("pads", &pads), ints("strides", &[1, 2])]);
        (graph, sums)
    };
    let image = images([1, 5, 9, 10]);
    let (graph, sums) = convolution();
    let whole = Network::with_options(&graph.onnx(&[&sums]), [5, 9, 10], &Options::on(Backend::Tract)).unwrap();
    let whole = whole.run(image.view()).unwrap();
    let expected = whole[0].slice(ndarray::s![.., .., start as usize..(start as usize + 4); 2, ..]);
    let (mut graph, sums) = convolution();
    let [from, to, axis, step] = [start, start + 4, 2, 2].map(|number| graph.integers(&[number]));
    let rows = graph.node("Slice", &[&sums, &from, &to, &axis, &step], vec![]);
    let bytes = graph.onnx(&[&rows]);
    for backend in backends().into_iter().chain([Backend::Tract]) {
        let network = Network::with_options(&bytes, [5, 9, 10], &Options::on(backend)).unwrap();
        let given = network.run(image.view()).unwrap();
        let error = given[0].iter().zip(expected.iter()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(error < 1e-4, "{backend:?}, pads {pads:?}, from row {start}: {error}");
    }
}

#[test]
fn every_second_row_of_a_convolution_is_the_one_that_was_asked_for() {
    for pads in [[0; 4], [1, 1, 1, 1], [2, 2, 0, 0], [0, 0, 2, 2]] {
        for start in 0..4 {
            sliced(pads, start);
        }
    }
}

/// A convolution's sums `x`, and what an operator makes of them and a constant, which comes first or second.
fn combined(operator: &str, extents: &[usize], first: bool, by: fn(f32, f32) -> f32) {
    let mut graph = Graph::new(&[1, 3, 5, 4]);
    let weights = graph.random(&[6, 3, 3, 2], 0.5);
    let bias = graph.random(&[6], 0.5);
    let sums = graph.node("Conv", &["input", &weights, &bias], vec![ints("pads", &[1; 4])]);
    let values: Vec<f32> = (0..extents.iter().product()).map(|_| graph.uniform()).collect();
    let constant = graph.constant(extents, values.clone());
    let inputs = if first { [&constant[..], &sums] } else { [&sums[..], &constant] };
    let made = graph.node(operator, &inputs, vec![]);
    let bytes = graph.onnx(&[&sums, &made]);
    let alone = graph_of(&bytes, &made);
    let image = images([1, 3, 5, 4]);
    let constant = ndarray::ArrayD::from_shape_vec(extents, values).unwrap();
    for backend in backends().into_iter().chain([Backend::Tract]) {
        let run = |bytes: &[u8]| {
            Network::with_options(bytes, [3, 5, 4], &Options::on(backend)).unwrap().run(image.view()).unwrap()
        };
        let (both, alone) = (run(&bytes), run(&alone));
        let constant = constant.broadcast(both[0].shape()).unwrap();
        let expected = both[0].iter().zip(constant.iter()).map(|(&x, &c)| if first { by(c, x) } else { by(x, c) });
        for (given, expected) in both[1].iter().zip(expected.clone()).chain(alone[0].iter().zip(expected)) {
            assert!(
                (given - expected).abs() < 1e-4,
                "{backend:?}: {operator} with {extents:?}, {first}: {given} {expected}"
            );
        }
    }
}

/// The same model with one output.
fn graph_of(bytes: &[u8], output: &str) -> Vec<u8> {
    use prost::Message as _;
    let mut model = tract_onnx::pb::ModelProto::decode(bytes).unwrap();
    model.graph.as_mut().unwrap().output.retain(|value| value.name == output);
    model.encode_to_vec()
}

#[test]
fn a_constant_before_or_after_a_convolutions_sums_is_taken_in_that_order() {
    for extents in [&[1][..], &[6, 1, 1], &[1, 6, 1, 1], &[1, 1, 5, 1], &[1, 1, 1, 5], &[1, 6, 5, 5], &[1, 1, 1, 1]] {
        for first in [false, true] {
            combined("Sub", extents, first, |a, b| a - b);
            combined("Add", extents, first, |a, b| a + b);
            combined("Mul", extents, first, |a, b| a * b);
            combined("Div", extents, first, |a, b| a / b);
            combined("Max", extents, first, f32::max);
            combined("Min", extents, first, f32::min);
        }
    }
}
