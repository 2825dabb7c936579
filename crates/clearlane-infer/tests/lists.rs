//! Operators on flat lists against tract, over odd shapes: what transformers and hybrids are made of.

mod common;

use clearlane_infer::{Network, NodeBackend};
use common::{Graph, assert_every_backend_agrees, float, images, int, ints, text};
use proptest::prelude::*;

/// A graph whose image of these extents is a list of the shape that is given, with that list's name.
fn reshaped(image: [usize; 3], shape: &[usize]) -> (Graph, String) {
    let mut graph = Graph::new(&[1, image[0] as i64, image[1] as i64, image[2] as i64]);
    let shape = graph.integers(&shape.iter().map(|&extent| extent as i64).collect::<Vec<_>>());
    let list = graph.node("Reshape", &["input", &shape], vec![]);
    (graph, list)
}

/// Asserts that every backend agrees with tract, and that kernels run all but operators that are named.
fn check(what: &str, bytes: &[u8], [c, h, w]: [usize; 3], left: &[&str]) {
    assert_every_backend_agrees(what, bytes, images([1, c, h, w]).view());
    let network = Network::from_onnx(bytes, [c, h, w]).expect("the graph is sound");
    let tract: Vec<_> = network.nodes().iter().filter(|node| node.backend == NodeBackend::Tract).collect();
    assert!(tract.iter().all(|node| left.contains(&node.operator.as_str())), "{what}: left to tract: {tract:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rows_times_a_constant_with_what_follows(
        [c, h, w] in [1..4_usize, 1..9_usize, 1..40_usize], columns in 1..40_usize, order in 0..4_usize, rank in 2..4_usize,
    ) {
        let shape = if rank == 2 { vec![c * h, w] } else { vec![1, c * h, w] };
        let (mut graph, list) = reshaped([c, h, w], &shape);
        let first = graph.random(&[w, columns], 0.5);
        let second = graph.random(&[w, columns], 0.5);
        let (row, factor) = (graph.random(&[columns], 0.5), graph.random(&[1, columns], 2.0));
        let one = graph.constant(&[], vec![0.75]);
        let product = graph.node("MatMul", &[&list, &first], vec![]);
        let other = graph.node("MatMul", &[&list, &second], vec![]);
        let out = match order {
            0 => {
                let sum = graph.node("Add", &[&row, &product], vec![]);
                let scaled = graph.node("Mul", &[&sum, &factor], vec![]);
                graph.node("Add", &[&scaled, &other], vec![])
            }
            1 => {
                let less = graph.node("Sub", &[&product, &row], vec![]);
                let part = graph.node("Div", &[&less, &one], vec![]);
                graph.node("Add", &[&other, &part], vec![])
            }
            2 => {
                let sum = graph.node("Add", &[&product, &product], vec![]);
                graph.node("Sub", &[&row, &sum], vec![])
            }
            _ => {
                let sum = graph.node("Add", &[&product, &other], vec![]);
                let more = graph.node("Add", &[&sum, &row], vec![]);
                graph.node("Mul", &[&more, &sum], vec![])
            }
        };
        check("rows", &graph.onnx(&[&out, &other]), [c, h, w], &[]);
    }

    #[test]
    fn a_gemm_of_several_rows([c, h, w] in [1..3_usize, 2..9_usize, 1..30_usize], columns in 1..30_usize, transposed in any::<bool>()) {
        let (mut graph, list) = reshaped([c, h, w], &[c * h, w]);
        let weights = graph.random(&if transposed { [columns, w] } else { [w, columns] }, 0.5);
        let bias = graph.random(&[columns], 0.5);
        let attributes = vec![int("transB", i64::from(transposed)), float("alpha", 0.5), float("beta", 2.0)];
        let out = graph.node("Gemm", &[&list, &weights, &bias], attributes);
        check("gemm", &graph.onnx(&[&out]), [c, h, w], &[]);
    }

    #[test]
    fn attention([heads, tokens, depth] in [1..4_usize, 1..36_usize, 1..36_usize], scale in 0.1..1.0_f32) {
        let image = [3, tokens, heads * depth];
        let (mut graph, list) = reshaped(image, &[1, 3, tokens, heads, depth]);
        let moved = graph.node("Transpose", &[&list], vec![ints("perm", &[1, 0, 3, 2, 4])]);
        let part = |graph: &mut Graph, index: i64| {
            let index = graph.integers(&[index]);
            let part = graph.node("Gather", &[&moved, &index], vec![]);
            let axes = graph.integers(&[0]);
            graph.node("Squeeze", &[&part, &axes], vec![])
        };
        let (query, key, value) = (part(&mut graph, 0), part(&mut graph, 1), part(&mut graph, -1));
        let scale = graph.constant(&[], vec![scale]);
        let query = graph.node("Mul", &[&query, &scale], vec![]);
        let key = graph.node("Transpose", &[&key], vec![ints("perm", &[0, 1, 3, 2])]);
        let scores = graph.node("MatMul", &[&query, &key], vec![]);
        let weights = graph.node("Softmax", &[&scores], vec![int("axis", -1)]);
        let out = graph.node("MatMul", &[&weights, &value], vec![]);
        check("attention", &graph.onnx(&[&weights, &out]), image, &[]);
    }

    #[test]
    fn values_in_another_order(
        [c, h, w] in [1..5_usize, 1..7_usize, 1..19_usize], order in Just(vec![0, 1, 2, 3]).prop_shuffle(), back in any::<bool>(),
    ) {
        let (mut graph, list) = reshaped([c, h, w], &[c, 1, h, w]);
        let order: Vec<i64> = order;
        let moved = graph.node("Transpose", &[&list], vec![ints("perm", &order)]);
        let reversed = graph.node("Transpose", &[&moved], vec![]);
        let entries = graph.integers(&[w as i64 - 1, (w as i64 - 1) / 2]);
        let some = graph.node("Gather", &[&list, &entries], vec![int("axis", 3)]);
        let wide = graph.integers(&[c as i64, 3, h as i64, w as i64]);
        let repeated = graph.node("Expand", &[&list, &wide], vec![]);
        let mut outputs = vec![moved, reversed, some, repeated];
        if h > 1 {
            // Of one row, nothing would be left.
            let (first, last, axis) =
                (graph.integers(&[-1, 1]), graph.integers(&[i64::MIN, 90]), graph.integers(&[3, -2]));
            let steps = graph.integers(&[if back { -1 } else { -2 }, 1]);
            outputs.push(graph.node("Slice", &[&list, &first, &last, &axis, &steps], vec![]));
        }
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        check("moves", &graph.onnx(&outputs), [c, h, w], &[]);
    }

    #[test]
    fn lists_combined_with_what_is_shorter(
        [c, h, w] in [1..5_usize, 1..7_usize, 1..19_usize], operator in prop::sample::select(vec!["Add", "Sub", "Mul", "Div"]),
        axes in 0..8_usize, rank in 0..5_usize, constant_first in any::<bool>(), varying in any::<bool>(),
    ) {
        let shape = [1, c, h, w];
        let (mut graph, list) = reshaped([c, h, w], &shape);
        let softmax = graph.node("Softmax", &[&list], vec![int("axis", -1)]);
        let short: Vec<usize> = shape.iter().enumerate().map(|(axis, &extent)| if axis > 0 && axes >> (axis - 1) & 1 == 1 { 1 } else { extent }).collect();
        let other = if varying {
            // A list of that shape: the mean over the axes of which it has one.
            let over: Vec<i64> = (1..4).filter(|axis| axes >> (axis - 1) & 1 == 1).collect();
            if over.is_empty() { softmax.clone() } else { graph.node("ReduceMean", &[&softmax], vec![ints("axes", &over)]) }
        } else {
            let extents = &short[4 - rank..];
            let values = (0..extents.iter().product()).map(|_| 1.5 + graph.uniform()).collect();
            graph.constant(extents, values)
        };
        let operands = if constant_first { [&*other, &*softmax] } else { [&*softmax, &*other] };
        let out = graph.node(operator, &operands, vec![]);
        check(operator, &graph.onnx(&[&out]), [c, h, w], &[]);
    }

    #[test]
    fn sums_means_and_norms(
        [c, h, w] in [1..5_usize, 1..7_usize, 1..40_usize], axes in 1..8_i64, keep in 0..2_i64,
        operator in prop::sample::select(vec!["ReduceMean", "ReduceSum", "ReduceL2"]),
    ) {
        let (mut graph, list) = reshaped([c, h, w], &[c, h, w]);
        let over: Vec<i64> = (0..3).filter(|axis| axes >> axis & 1 == 1).collect();
        let out = if operator == "ReduceSum" {
            let axes = graph.integers(&over);
            graph.node(operator, &[&list, &axes], vec![int("keepdims", keep)])
        } else {
            let from_the_end: Vec<i64> = over.iter().map(|axis| axis - 3).collect();
            graph.node(operator, &[&list], vec![ints("axes", &from_the_end), int("keepdims", keep)])
        };
        check(operator, &graph.onnx(&[&out]), [c, h, w], &[]);
    }

    #[test]
    fn layers_normalised([c, h, w] in [1..4_usize, 1..7_usize, 2..70_usize], axis in 1..3_i64, shifted in any::<bool>()) {
        let (mut graph, list) = reshaped([c, h, w], &[c, h, w]);
        let extents = &[h, w][axis as usize - 1..];
        if extents.iter().product::<usize>() > 1 {
            let (scale, shift) = (graph.random(extents, 2.0), graph.random(extents, 1.0));
            let inputs = if shifted { vec![&*list, &*scale, &*shift] } else { vec![&*list, &*scale] };
            let out = graph.node("LayerNormalization", &inputs, vec![int("axis", axis), float("epsilon", 1e-3)]);
            check("layer norm", &graph.onnx_of(17, &[&out]), [c, h, w], &[]);
        }
    }
}

#[test]
fn channels_normalised_by_themselves() {
    for image in [[5, 6, 7], [1, 1, 3], [20, 4, 4]] {
        let mut graph = Graph::new(&[1, image[0] as i64, image[1] as i64, image[2] as i64]);
        let (scale, shift) = (graph.random(&[image[0]], 2.0), graph.random(&[image[0]], 1.0));
        let out = graph.node("InstanceNormalization", &["input", &scale, &shift], vec![float("epsilon", 1e-2)]);
        check("instance norm", &graph.onnx(&[&out]), image, &[]);
    }
}

#[test]
fn functions_of_lists_and_of_images() {
    let operators: [(&str, Vec<_>, i64); 9] = [
        ("Sigmoid", vec![], 13),
        ("Tanh", vec![], 13),
        ("Erf", vec![], 13),
        ("Gelu", vec![], 20),
        ("Gelu", vec![text("approximate", "tanh")], 20),
        ("HardSigmoid", vec![float("alpha", 0.3), float("beta", 0.4)], 13),
        ("HardSwish", vec![], 14),
        ("Abs", vec![], 13),
        ("Sqrt", vec![], 13),
    ];
    let image = [19, 5, 7];
    for (operator, attributes, version) in operators {
        for padded in [false, true] {
            let (mut graph, list) = reshaped(image, &[19, 5, 7]);
            // Where it is an image, a convolution surrounds what the function makes with zeros.
            let weights = graph.random(&[4, 19, 3, 3], 0.1);
            let square = graph.node("Mul", &["input", "input"], vec![]);
            let source = if operator == "Sqrt" { square } else { "input".to_owned() };
            let of_image = graph.node(operator, &[&source], attributes.clone());
            let out = if padded {
                graph.node("Conv", &[&of_image, &weights], vec![ints("pads", &[1; 4])])
            } else {
                of_image.clone()
            };
            let softmax = graph.node("Softmax", &[&list], vec![int("axis", -1)]);
            let of_list = graph.node(operator, &[&softmax], attributes.clone());
            check(operator, &graph.onnx_of(version, &[&out, &of_list]), image, &[]);
        }
    }
}

#[test]
fn a_power_of_two_is_a_square_and_any_other_is_left_to_tract() {
    let (mut graph, list) = reshaped([2, 3, 5], &[6, 5]);
    let (two, three) = (graph.constant(&[], vec![2.0]), graph.constant(&[], vec![3.0]));
    let square = graph.node("Pow", &[&list, &two], vec![]);
    let cube = graph.node("Pow", &[&list, &three], vec![]);
    check("powers", &graph.onnx(&[&square, &cube]), [2, 3, 5], &["Pow"]);
}

#[test]
fn weights_of_what_depends_on_the_shape_alone_are_computed_once() {
    // A position embedding that is made of the image's shape.
    let image = [3, 4, 5];
    let (mut graph, list) = reshaped(image, &[3, 20]);
    let shape = graph.node("Shape", &["input"], vec![]);
    let extents = graph.node("Cast", &[&shape], vec![int("to", 1)]);
    let four = graph.integers(&[1, 4]);
    let row = graph.node("Reshape", &[&extents, &four], vec![]);
    let weights = graph.random(&[4, 20], 0.1);
    let embedding = graph.node("MatMul", &[&row, &weights], vec![]);
    let out = graph.node("Add", &[&list, &embedding], vec![]);
    check("position embedding", &graph.onnx(&[&out]), image, &[]);
}

#[test]
fn a_gelu_that_is_spelled_out_is_one_step() {
    // Halved last or first, by a quotient or a product, in either order.
    for (last, quotient, swapped) in
        [(true, true, false), (true, false, true), (false, true, true), (false, false, false)]
    {
        let (mut graph, list) = reshaped([2, 3, 21], &[6, 21]);
        let x = graph.node("Softmax", &[&list], vec![int("axis", -1)]);
        let constant = |graph: &mut Graph, value: f32| graph.constant(&[], vec![value]);
        let (half, one) = (constant(&mut graph, 0.5), constant(&mut graph, 1.0));
        let two = std::f32::consts::SQRT_2;
        let factor = constant(&mut graph, if quotient { two } else { two.recip() });
        let scaled = graph.node(if quotient { "Div" } else { "Mul" }, &[&x, &factor], vec![]);
        let erf = graph.node("Erf", &[&scaled], vec![]);
        let sum = graph.node("Add", if swapped { [&*one, &*erf] } else { [&*erf, &*one] }.as_slice(), vec![]);
        let halved = if last { x.clone() } else { graph.node("Mul", &[&x, &half], vec![]) };
        let product = graph.node("Mul", if swapped { [&*sum, &*halved] } else { [&*halved, &*sum] }.as_slice(), vec![]);
        let out = if last { graph.node("Mul", &[&product, &half], vec![]) } else { product.clone() };
        let bytes = graph.onnx(&[&out]);
        check("gelu", &bytes, [2, 3, 21], &[]);
        let network = Network::from_onnx(&bytes, [2, 3, 21]).expect("the graph is sound");
        assert!(network.nodes().iter().any(|node| node.operator == "Gelu"), "{:?}", network.nodes());
        assert!(network.nodes().iter().all(|node| node.operator != "Erf"), "{:?}", network.nodes());
    }
}

#[test]
fn what_only_looks_like_a_gelu_is_left_as_it_is() {
    // Another constant, and a value on the way that is an output as well.
    for (one, outputs) in [(1.5, 1), (1.0, 2)] {
        let (mut graph, list) = reshaped([2, 3, 5], &[6, 5]);
        let (two, one, half) = (
            graph.constant(&[], vec![std::f32::consts::SQRT_2]),
            graph.constant(&[], vec![one]),
            graph.constant(&[], vec![0.5]),
        );
        let scaled = graph.node("Div", &[&list, &two], vec![]);
        let erf = graph.node("Erf", &[&scaled], vec![]);
        let sum = graph.node("Add", &[&erf, &one], vec![]);
        let product = graph.node("Mul", &[&list, &sum], vec![]);
        let out = graph.node("Mul", &[&product, &half], vec![]);
        check("no gelu", &graph.onnx(&[&*out, &*erf][..outputs]), [2, 3, 5], &[]);
    }
}

#[test]
fn what_is_repeated_in_a_layer_norm_or_has_no_extent_is_left_to_tract() {
    let (mut graph, list) = reshaped([1, 4, 4], &[4, 4]);
    let scale = graph.random(&[4, 1], 2.0);
    let norm = graph.node("LayerNormalization", &[&list, &scale], vec![int("axis", -1)]);
    if let Ok(network) = Network::from_onnx(&graph.onnx_of(17, &[&norm]), [1, 4, 4]) {
        assert!(network.nodes().iter().any(|node| node.backend == NodeBackend::Tract));
    }
    // Nothing of the image, with many columns of nothing: refused, in no time and no memory.
    let (mut graph, list) = reshaped([1, 4, 4], &[4, 4]);
    let (from, to, axis) = (graph.integers(&[0]), graph.integers(&[0]), graph.integers(&[1]));
    let empty = graph.node("Slice", &[&list, &from, &to, &axis], vec![]);
    let weights = graph.raw(tract_onnx::pb::tensor_proto::DataType::Float, &[0, 1 << 40], vec![]);
    let product = graph.node("MatMul", &[&empty, &weights], vec![]);
    assert!(Network::from_onnx(&graph.onnx(&[&product]), [1, 4, 4]).is_err());
}
