//! Each operator with kernels against tract, over odd sizes, strides, paddings and channel counts.

mod common;

use clearlane_infer::{Network, NodeBackend};
use common::{Graph, assert_every_backend_agrees, assert_fused, float, images, int, ints, text};
use proptest::prelude::*;

/// A graph of these extents and random seeds.
fn seeded(extents: [usize; 3], seed: u64) -> Graph {
    let mut graph = Graph::new(&[1, extents[0] as i64, extents[1] as i64, extents[2] as i64]);
    (0..seed % 97).for_each(|_| {
        graph.uniform();
    });
    graph
}

fn check(what: &str, graph: Graph, outputs: &[&str], [c, h, w]: [usize; 3]) {
    assert_every_backend_agrees(what, &graph.onnx(outputs), images([1, c, h, w]).view());
}

/// A convolution with random weights, padded to keep its input's size where the stride is 1.
fn conv(graph: &mut Graph, from: &str, [inputs, outputs]: [usize; 2], kernel: usize, stride: usize) -> String {
    let range = 1.0 / ((inputs * kernel * kernel) as f32).sqrt();
    let weights = graph.random(&[outputs, inputs, kernel, kernel], range);
    let bias = graph.random(&[outputs], 0.5);
    let (pad, stride) = ((kernel / 2) as i64, stride as i64);
    graph.node("Conv", &[from, &weights, &bias], vec![ints("strides", &[stride; 2]), ints("pads", &[pad; 4])])
}

fn depthwise(graph: &mut Graph, from: &str, channels: usize, kernel: usize, stride: usize) -> String {
    let weights = graph.random(&[channels, 1, kernel, kernel], 1.0 / kernel as f32);
    let (pad, stride) = ((kernel / 2) as i64, stride as i64);
    let attributes = vec![ints("strides", &[stride; 2]), ints("pads", &[pad; 4]), int("group", channels as i64)];
    graph.node("Conv", &[from, &weights], attributes)
}

fn batch_norm(graph: &mut Graph, from: &str, channels: usize) -> String {
    let gamma = graph.random(&[channels], 1.0);
    let beta = graph.random(&[channels], 0.5);
    let mean = graph.random(&[channels], 0.5);
    let variance: Vec<f32> = (0..channels).map(|_| graph.uniform().abs() + 0.5).collect();
    let variance = graph.constant(&[channels], variance);
    graph.node("BatchNormalization", &[from, &gamma, &beta, &mean, &variance], vec![float("epsilon", 1e-5)])
}

fn activation(graph: &mut Graph, from: &str, which: usize, channels: usize) -> String {
    match which {
        0 => graph.node("Relu", &[from], vec![]),
        1 => {
            let (low, high) = (graph.constant(&[], vec![-0.5]), graph.constant(&[], vec![0.6]));
            graph.node("Clip", &[from, &low, &high], vec![])
        }
        2 => {
            let slopes = graph.random(&[channels, 1, 1], 0.5);
            graph.node("PRelu", &[from, &slopes], vec![])
        }
        3 => graph.node("LeakyRelu", &[from], vec![float("alpha", 0.1)]),
        4 => graph.node("Sigmoid", &[from], vec![]),
        _ => from.to_owned(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_convolution_agrees(
        (inputs, outputs, group) in prop_oneof![
            4 => (1..40_usize, 1..50_usize).prop_map(|(inputs, outputs)| (inputs, outputs, 1)),
            3 => (2..50_usize).prop_map(|channels| (channels, channels, channels)),
            1 => (1..6_usize, 1..6_usize).prop_map(|(inputs, outputs)| (2 * inputs, 2 * outputs, 2)),
        ],
        height in 5..20_usize,
        width in 5..34_usize,
        kernel in [1..6_usize, 1..6_usize],
        stride in 1..4_usize,
        dilation in 1..3_usize,
        pads in [0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize],
        which in 0..6_usize,
        seed in any::<u64>(),
    ) {
        let reach = |axis: usize| (kernel[axis] - 1) * dilation + 1;
        prop_assume!(reach(0) <= height + pads[0] + pads[2] && reach(1) <= width + pads[1] + pads[3]);
        let mut graph = seeded([inputs, height, width], seed);
        let each = inputs / group;
        let range = 1.0 / ((each * kernel[0] * kernel[1]) as f32).sqrt();
        let weights = graph.random(&[outputs, each, kernel[0], kernel[1]], range);
        let attributes = vec![
            ints("strides", &[stride as i64; 2]),
            ints("dilations", &[dilation as i64; 2]),
            ints("pads", &pads.map(|pad| pad as i64)),
            int("group", group as i64),
        ];
        let sums = graph.node("Conv", &["input", &weights], attributes);
        let out = activation(&mut graph, &sums, which, outputs);
        let bytes = graph.onnx(&[&out]);
        if stride < 3 && (group == 1 || group == inputs && group == outputs) {
            assert_fused(&bytes, [inputs, height, width]);
        }
        assert_every_backend_agrees("convolution", &bytes, images([1, inputs, height, width]).view());
    }

    #[test]
    fn a_residual_block_with_its_norms_agrees(
        channels in 1..72_usize,
        size in [4..13_usize, 4..18_usize],
        which in 0..6_usize,
        after in 0..6_usize,
        stride in 1..3_usize,
        seed in any::<u64>(),
    ) {
        let mut graph = seeded([3, size[0], size[1]], seed);
        let stem = conv(&mut graph, "input", [3, channels], 3, 1);
        let normed = batch_norm(&mut graph, &stem, channels);
        let stem = activation(&mut graph, &normed, which, channels);
        // A norm that stands before a padded convolution, as residual blocks for faces have it.
        let normed = batch_norm(&mut graph, &stem, channels);
        let inner = conv(&mut graph, &normed, [channels, channels + 3], 3, 1);
        let normed = batch_norm(&mut graph, &inner, channels + 3);
        let inner = activation(&mut graph, &normed, which, channels + 3);
        let inner = conv(&mut graph, &inner, [channels + 3, channels], 3, stride);
        let inner = batch_norm(&mut graph, &inner, channels);
        let shortcut = if stride == 1 { stem } else { conv(&mut graph, &stem, [channels, channels], 1, stride) };
        let sum = graph.node("Add", &[&inner, &shortcut], vec![]);
        let out = activation(&mut graph, &sum, after, channels);
        let bytes = graph.onnx(&[&out, &sum]);
        assert_fused(&bytes, [3, size[0], size[1]]);
        assert_every_backend_agrees("residual block", &bytes, images([1, 3, size[0], size[1]]).view());
    }

    #[test]
    fn any_pooling_agrees(
        channels in 1..40_usize,
        size in [4..14_usize, 4..14_usize],
        kernel in 1..4_usize,
        stride in 1..4_usize,
        pad in 0..2_usize,
        which in 0..3_usize,
        ceil in 0..2_i64,
        seed in any::<u64>(),
    ) {
        prop_assume!(pad < kernel);
        let mut graph = seeded([channels, size[0], size[1]], seed);
        let attributes = vec![
            ints("kernel_shape", &[kernel as i64; 2]),
            ints("strides", &[stride as i64; 2]),
            ints("pads", &[pad as i64; 4]),
            int("ceil_mode", if which == 2 { 0 } else { ceil }),
        ];
        let out = match which {
            0 => graph.node("MaxPool", &["input"], attributes),
            1 => graph.node("AveragePool", &["input"], attributes),
            _ => graph.node("AveragePool", &["input"], [attributes, vec![int("count_include_pad", 1)]].concat()),
        };
        let bytes = graph.onnx(&[&out]);
        assert_fused(&bytes, [channels, size[0], size[1]]);
        assert_every_backend_agrees("pooling", &bytes, images([1, channels, size[0], size[1]]).view());
    }

    #[test]
    fn heads_that_end_in_lists_agree_together_and_apart(
        channels in 1..40_usize,
        heads in prop::collection::vec((1..24_usize, any::<bool>(), any::<bool>()), 1..5),
        kernel in prop_oneof![Just(1_usize), Just(3)],
        deep in any::<bool>(),
        size in [2..9_usize, 2..12_usize],
        seed in any::<u64>(),
    ) {
        let mut graph = seeded([3, size[0], size[1]], seed);
        let map = conv(&mut graph, "input", [3, channels], 3, 1);
        let map = activation(&mut graph, &map, 0, channels);
        let mut outputs = Vec::new();
        for &(count, sigmoid, early) in &heads {
            let mut head = conv(&mut graph, &map, [channels, count], kernel, 1);
            if deep {
                head = depthwise(&mut graph, &head, count, 3, 1);
            }
            if sigmoid && early {
                head = graph.node("Sigmoid", &[&head], vec![]);
            }
            let transposed = graph.node("Transpose", &[&head], vec![ints("perm", &[0, 2, 3, 1])]);
            let shape = graph.integers(&[1, -1, count as i64]);
            let mut list = graph.node("Reshape", &[&transposed, &shape], vec![]);
            if sigmoid && !early {
                list = graph.node("Sigmoid", &[&list], vec![]);
            }
            outputs.push(list);
        }
        let bytes = graph.onnx(&outputs.iter().map(String::as_str).collect::<Vec<_>>());
        assert_fused(&bytes, [3, size[0], size[1]]);
        assert_every_backend_agrees("heads", &bytes, images([1, 3, size[0], size[1]]).view());
    }
}

#[test]
fn a_pyramid_with_nearest_upsampling_agrees() {
    for (mode, nearest, scale, joins) in [
        ("asymmetric", "floor", 2.0, true),
        ("half_pixel", "round_prefer_floor", 2.0, true),
        ("half_pixel", "round_prefer_ceil", 1.5, false),
        ("asymmetric", "floor", 3.0, false),
    ] {
        let mut graph = seeded([3, 12, 18], 5);
        let fine = conv(&mut graph, "input", [3, 24], 3, 1);
        let coarse = conv(&mut graph, &fine, [24, 24], 3, 2);
        let scales = graph.constant(&[4], vec![1.0, 1.0, scale, scale]);
        let attributes =
            vec![text("mode", "nearest"), text("coordinate_transformation_mode", mode), text("nearest_mode", nearest)];
        let up = graph.node("Resize", &[&coarse, "", &scales], attributes);
        let out = if joins { graph.node("Add", &[&fine, &up], vec![]) } else { up };
        let bytes = graph.onnx(&[&out]);
        assert_fused(&bytes, [3, 12, 18]);
        assert_every_backend_agrees(mode, &bytes, images([1, 3, 12, 18]).view());
    }
}

#[test]
fn an_embedding_head_agrees() {
    for (channels, transposed) in [(16, 0), (37, 1), (64, 1)] {
        let mut graph = seeded([3, 14, 14], channels as u64);
        let map = conv(&mut graph, "input", [3, channels], 3, 2);
        let map = depthwise(&mut graph, &map, channels, 3, 1);
        let map = batch_norm(&mut graph, &map, channels);
        let flat = graph.node("Flatten", &[&map], vec![]);
        let inputs = channels * 49;
        let extents = if transposed == 1 { [40, inputs] } else { [inputs, 40] };
        let weights = graph.random(&extents, 0.05);
        let bias = graph.random(&[40], 0.5);
        let dense = graph.node("Gemm", &[&flat, &weights, &bias], vec![int("transB", transposed)]);
        let normed = batch_norm(&mut graph, &dense, 40);
        let matrix = graph.random(&[40, 7], 0.2);
        let out = graph.node("MatMul", &[&normed, &matrix], vec![]);
        let bytes = graph.onnx(&[&out, &normed]);
        assert_fused(&bytes, [3, 14, 14]);
        assert_every_backend_agrees("embedding head", &bytes, images([1, 3, 14, 14]).view());
    }
}

#[test]
fn a_global_depthwise_head_agrees() {
    let mut graph = seeded([3, 28, 28], 1);
    let map = conv(&mut graph, "input", [3, 72], 3, 2);
    let map = conv(&mut graph, &map, [72, 72], 3, 2);
    let weights = graph.random(&[72, 1, 7, 7], 0.2);
    let point = graph.node("Conv", &[&map, &weights], vec![int("group", 72)]);
    let narrow = graph.random(&[20, 72, 1, 1], 0.2);
    let narrow = graph.node("Conv", &[&point, &narrow], vec![]);
    let shape = graph.integers(&[1, -1]);
    let out = graph.node("Reshape", &[&narrow, &shape], vec![]);
    let bytes = graph.onnx(&[&out]);
    assert_fused(&bytes, [3, 28, 28]);
    assert_every_backend_agrees("global depthwise", &bytes, images([1, 3, 28, 28]).view());
}

#[test]
fn channels_weighed_by_their_own_mean_agree() {
    let mut graph = seeded([3, 9, 11], 3);
    let map = conv(&mut graph, "input", [3, 20], 3, 1);
    let mean = graph.node("GlobalAveragePool", &[&map], vec![]);
    let squeezed = conv(&mut graph, &mean, [20, 5], 1, 1);
    let squeezed = activation(&mut graph, &squeezed, 0, 5);
    let gates = conv(&mut graph, &squeezed, [5, 20], 1, 1);
    let gates = activation(&mut graph, &gates, 4, 20);
    let weighed = graph.node("Mul", &[&map, &gates], vec![]);
    let out = conv(&mut graph, &weighed, [20, 7], 3, 1);
    let bytes = graph.onnx(&[&out]);
    assert_fused(&bytes, [3, 9, 11]);
    assert_every_backend_agrees("squeeze and excite", &bytes, images([1, 3, 9, 11]).view());
}

#[test]
fn joined_maps_and_joined_lists_agree() {
    let mut graph = seeded([3, 10, 10], 3);
    let maps = [16, 8, 5].map(|channels| conv(&mut graph, "input", [3, channels], 3, 1));
    let maps: Vec<&str> = maps.iter().map(String::as_str).collect();
    let joined = graph.node("Concat", &maps, vec![int("axis", 1)]);
    let lists = [1_usize, 2].map(|stride| {
        let head = conv(&mut graph, &joined, [29, 4], 1, stride);
        let transposed = graph.node("Transpose", &[&head], vec![ints("perm", &[0, 2, 3, 1])]);
        let shape = graph.integers(&[1, -1, 2]);
        graph.node("Reshape", &[&transposed, &shape], vec![])
    });
    let list = graph.node("Concat", &[&lists[0], &lists[1]], vec![int("axis", 1)]);
    let shares = graph.node("Softmax", &[&list], vec![int("axis", -1)]);
    let bytes = graph.onnx(&[&shares, &list]);
    assert_fused(&bytes, [3, 10, 10]);
    assert_every_backend_agrees("joined", &bytes, images([1, 3, 10, 10]).view());
}

#[test]
fn numbers_added_to_and_multiplied_with_an_image_agree() {
    let mut graph = seeded([3, 9, 7], 3);
    let mean = graph.constant(&[3, 1, 1], vec![0.1, -0.2, 0.3]);
    let scale = graph.constant(&[], vec![0.25]);
    let moved = graph.node("Sub", &["input", &mean], vec![]);
    let scaled = graph.node("Div", &[&moved, &scale], vec![]);
    let map = conv(&mut graph, &scaled, [3, 8], 3, 2);
    let shifted = graph.node("Sub", &[&scale, &map], vec![]);
    let out = graph.node("Mul", &[&shifted, &scale], vec![]);
    check("affine", graph, &[&out, &scaled], [3, 9, 7]);
}

#[test]
fn an_operator_without_a_kernel_goes_through_tract_and_the_rest_does_not() {
    let mut graph = seeded([3, 9, 7], 3);
    let map = conv(&mut graph, "input", [3, 20], 3, 1);
    let bent = graph.node("Sin", &[&map], vec![]);
    let out = conv(&mut graph, &bent, [20, 7], 3, 1);
    let out = graph.node("Softsign", &[&out], vec![]);
    let bytes = graph.onnx(&[&out]);
    assert_every_backend_agrees("mixed", &bytes, images([1, 3, 9, 7]).view());
    let network = Network::from_onnx(&bytes, [3, 9, 7]).unwrap();
    let backends: Vec<_> = network.nodes().iter().map(|node| (node.operator.as_str(), node.backend)).collect();
    let expected = [
        ("Conv", NodeBackend::Kernels),
        ("Sin", NodeBackend::Tract),
        ("Conv", NodeBackend::Kernels),
        ("Softsign", NodeBackend::Tract),
    ];
    assert_eq!(backends, expected);
}

#[test]
fn a_padding_taller_than_the_kernel_agrees() {
    // Whole windows lie in the padding; the pixel that the stride leads to lies below it.
    for group in [1, 6] {
        let mut graph = seeded([6, 10, 5], 3);
        let weights = graph.random(&[6, 6 / group, 1, 4], 0.5);
        let attributes = vec![ints("strides", &[2, 2]), ints("pads", &[1, 0, 2, 0]), int("group", group as i64)];
        let out = graph.node("Conv", &["input", &weights], attributes);
        check("a tall padding", graph, &[&out], [6, 10, 5]);
    }
}

#[test]
fn an_output_may_be_the_input_or_a_step_on_the_way() {
    let mut graph = seeded([3, 6, 5], 3);
    let same = graph.node("Identity", &["input"], vec![]);
    let map = conv(&mut graph, "input", [3, 4], 3, 1);
    let out = activation(&mut graph, &map, 0, 4);
    check("steps", graph, &[&same, &map, &out], [3, 6, 5]);
}

#[test]
fn what_follows_an_operator_without_a_kernel_agrees() {
    for (height, width, stride) in [(22, 19, 3), (9, 7, 3), (5, 30, 4), (16, 16, 3)] {
        let mut graph = Graph::new(&[1, 1, height, width]);
        let low = graph.constant(&[], vec![-0.5]);
        let clipped = graph.node("Clip", &["input", &low], vec![]);
        let weights = graph.random(&[21, 1, 1, 1], 1.0);
        let far = graph.node("Conv", &[&clipped, &weights], vec![ints("strides", &[stride; 2])]);
        let normal = batch_norm(&mut graph, &far, 21);
        let end = activation(&mut graph, &normal, 3, 21);
        check("a stride without a kernel", graph, &[&end], [1, height as usize, width as usize]);
    }
}

#[test]
fn activations_of_the_image_itself_and_of_lists_agree() {
    let extents = [3, 9, 11];
    for which in 0..5 {
        // Padded convolutions surround with a halo what they read: before the activation, after it, or both.
        for (before, after) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut graph = seeded(extents, which as u64);
            let mut outputs = Vec::new();
            let active = activation(&mut graph, "input", which, 3);
            if before {
                outputs.push(conv(&mut graph, "input", [3, 5], 3, 1));
            }
            if after {
                outputs.push(conv(&mut graph, &active, [3, 7], 5, 1));
            }
            let pooled = graph.node("ReduceMax", &[&active], vec![ints("axes", &[2])]);
            outputs.extend([active, pooled]);
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            check(&format!("activation {which} of the image, {before}, {after}"), graph, &outputs, extents);
        }
        let mut graph = seeded(extents, which as u64);
        let map = conv(&mut graph, "input", [3, 4], 3, 2);
        let shape = graph.integers(&[0, 2, -1]);
        let list = graph.node("Reshape", &[&map, &shape], vec![]);
        let turned = graph.node("Transpose", &[&list], vec![ints("perm", &[0, 2, 1])]);
        let ends = [&list, &turned].map(|list| match which {
            2 => list.clone(),
            _ => activation(&mut graph, list, which, 2),
        });
        check(&format!("activation {which} of lists"), graph, &[&ends[0], &ends[1]], extents);
    }
}

/// Expected by the standard's text: x is 0 where one value is left, and by half pixels otherwise.
#[test]
fn one_value_that_is_left_by_pytorchs_half_pixels_is_the_first() {
    let mut graph = Graph::new(&[1, 1, 4, 3]);
    let sizes = graph.integers(&[1, 1, 2, 1]);
    let attributes = vec![
        text("mode", "nearest"),
        text("coordinate_transformation_mode", "pytorch_half_pixel"),
        text("nearest_mode", "ceil"),
    ];
    let small = graph.node("Resize", &["input", "", "", &sizes], attributes);
    let network = Network::from_onnx(&graph.onnx(&[&small]), [1, 4, 3]).unwrap();
    let image = ndarray::Array::from_iter((0..12_u8).map(f32::from)).into_shape_with_order((1, 1, 4, 3)).unwrap();
    // Rows at 0.5 and 2.5, rounded up.
    assert_eq!(network.run(image.view()).unwrap()[0].as_slice().unwrap(), [3.0, 9.0]);
}

#[test]
fn a_convolution_over_what_tract_made_of_an_image_agrees() {
    let extents = [3, 9, 11];
    for axes in [&[1_i64, 2, 3][..], &[1, 2], &[2, 3]] {
        let mut graph = seeded(extents, axes.len() as u64);
        let least = graph.node("ReduceMin", &["input"], vec![ints("axes", axes)]);
        let channels = if axes.contains(&1) { 1 } else { 3 };
        let first = conv(&mut graph, &least, [channels, 5], 3, 1);
        let second = conv(&mut graph, &least, [channels, 2], 5, 2);
        check(&format!("after the least over {axes:?}"), graph, &[&first, &second, &least], extents);
    }
}

#[test]
fn the_soft_maximum_of_large_values_is_no_infinity() {
    let mut graph = Graph::new(&[1, 1, 1, 5]);
    let soft = graph.node("Softplus", &["input"], vec![]);
    let onnx = graph.onnx(&[&soft]);
    let image = ndarray::array![[[[-200.0, -1.0, 0.0, 3.0, 500.0]]]];
    let network = Network::from_onnx(&onnx, [1, 1, 5]).unwrap();
    let found = network.run(image.view()).unwrap();
    for (found, x) in found[0].iter().zip(image.iter().map(|&x| f64::from(x))) {
        // In double precision e⁵⁰⁰ is a number.
        let expected = x.exp().ln_1p();
        assert!((f64::from(*found) - expected).abs() < 1e-6 * expected.max(1.0), "{x}: {found}, not {expected}");
    }
}

#[test]
fn what_kernels_run_they_run_with_uneven_padding_and_beside_lists_of_the_image_too() {
    for (pads, side) in [([1, 1, 0, 0], 21), ([1, 1, 2, 2], 8), ([0, 1, 1, 1], 14), ([1, 1, 1, 1], 14)] {
        let mut graph = Graph::new(&[1, 64, side, side]);
        let weights = graph.random(&[64, 64, 3, 3], 0.05);
        let made = graph.node("Conv", &["input", &weights], vec![ints("pads", &pads)]);
        let onnx = graph.onnx(&[&made]);
        let side = side as usize;
        assert_fused(&onnx, [64, side, side]);
        assert_every_backend_agrees(&format!("padded by {pads:?}"), &onnx, images([1, 64, side, side]).view());
    }
    let mut graph = Graph::new(&[1, 3, 8, 8]);
    let shape = graph.integers(&[1, 192]);
    let list = graph.node("Reshape", &["input", &shape], vec![]);
    let active = graph.node("Relu", &[&list], vec![]);
    let made = conv(&mut graph, "input", [3, 5], 3, 1);
    let onnx = graph.onnx(&[&active, &made]);
    assert_fused(&onnx, [3, 8, 8]);
    assert_every_backend_agrees("a list of the image beside a convolution", &onnx, images([1, 3, 8, 8]).view());
}
