//! Quantised networks: exact to the last bit on every backend, and close to what the same file means in floats.
#![allow(
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "tests say what they may unwrap; a view is a reference"
)]

mod common;

use clearlane_infer::{Backend, InferError, Network, Options, Outputs, QuantiseError, quantise};
use common::{Graph, assert_fused, float, images, int, ints, model, on_every_backend};
use ndarray::{Array4, ArrayD, ArrayView4};
use proptest::prelude::*;
use tract_onnx::pb::tensor_proto::DataType;

/// A pseudo-random sequence of whole numbers.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn signed_bytes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.below(256) as u8 as i8).collect()
    }
}

/// A convolution of whole numbers, written for its reader.
struct Naive {
    inputs: usize,
    outputs: usize,
    depthwise: bool,
    kernel: [usize; 2],
    stride: usize,
    dilation: usize,
    pads: [usize; 4],
    weights: Vec<i8>,
    bias: Vec<i32>,
}

impl Naive {
    fn size(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let along = |size: usize, axis: usize| {
            let reach = (self.kernel[axis] - 1) * self.dilation + 1;
            (size + self.pads[axis] + self.pads[axis + 2] - reach) / self.stride + 1
        };
        [along(height, 0), along(width, 1)]
    }

    /// The sums of an image of whole numbers, channels first.
    fn run(&self, image: &[i32], [height, width]: [usize; 2]) -> Vec<i32> {
        let [rows, columns] = self.size([height, width]);
        let each = if self.depthwise { 1 } else { self.inputs };
        let [kh, kw] = self.kernel;
        let mut sums = Vec::new();
        for output in 0..self.outputs {
            for y in 0..rows {
                for x in 0..columns {
                    let mut sum = self.bias[output];
                    for input in 0..each {
                        let channel = if self.depthwise { output } else { input };
                        for (ky, kx) in (0..kh).flat_map(|ky| (0..kw).map(move |kx| (ky, kx))) {
                            let at = (y * self.stride + ky * self.dilation).checked_sub(self.pads[0]);
                            let row = at.filter(|&row| row < height);
                            let at = (x * self.stride + kx * self.dilation).checked_sub(self.pads[1]);
                            let column = at.filter(|&column| column < width);
                            if let (Some(row), Some(column)) = (row, column) {
                                let weight = self.weights[((output * each + input) * kh + ky) * kw + kx];
                                sum += i32::from(weight) * image[(channel * height + row) * width + column];
                            }
                        }
                    }
                    sums.push(sum);
                }
            }
        }
        sums
    }
}

fn assert_same(what: &str, given: &[(Backend, Outputs)], expected: &[f32]) {
    for (backend, outputs) in given {
        let values: Vec<f32> = outputs[0].iter().copied().collect();
        assert_eq!(values.len(), expected.len(), "{what} on {backend:?}");
        let wrong = values.iter().zip(expected).position(|(a, b)| a.to_bits() != b.to_bits() && a != b);
        assert_eq!(wrong, None, "{what} on {backend:?}: {:?}", wrong.map(|at| (values[at], expected[at])));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_integer_convolution_is_exact_on_every_backend(
        (inputs, outputs, depthwise) in prop_oneof![
            4 => (1..40_usize, 1..50_usize).prop_map(|(inputs, outputs)| (inputs, outputs, false)),
            3 => (5..50_usize).prop_map(|channels| (channels, channels, true)),
        ],
        size in [5..20_usize, 5..34_usize],
        kernel in [1..6_usize, 1..6_usize],
        stride in 1..3_usize,
        dilation in 1..3_usize,
        pads in [0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize],
        zeros in [any::<u8>(), any::<u8>()],
        last in 0..3_usize,
        seed in any::<u64>(),
    ) {
        let dilation = if depthwise { 1 } else { dilation };
        let reach = |axis: usize| (kernel[axis] - 1) * dilation + 1;
        prop_assume!(reach(0) <= size[0] + pads[0] + pads[2] && reach(1) <= size[1] + pads[1] + pads[3]);
        let mut numbers = Numbers(seed);
        let each = if depthwise { 1 } else { inputs } * kernel[0] * kernel[1];
        let mut weights = numbers.signed_bytes(outputs * each);
        // Channels without weights give their bias, to the bit.
        weights.chunks_mut(each).filter(|_| numbers.below(8) == 0).for_each(|weights| weights.fill(0));
        let naive = Naive {
            inputs, outputs, depthwise, kernel, stride, dilation, pads,
            weights,
            bias: (0..outputs).map(|_| numbers.below(2000) as i32 - 1000).collect(),
        };
        // Scales that are powers of two, so that every float on the way is exact and the answer is one.
        let [input_scale, output_scale] = [1.0 / 32.0, (each as f32 / 8.0).log2().ceil().exp2()];
        let scales: Vec<f32> = (0..outputs).map(|_| 1.0 / [16.0, 32.0, 64.0][numbers.below(3) as usize]).collect();
        let units: Vec<f32> = scales.iter().map(|scale| input_scale * scale).collect();
        let bytes: Vec<u8> = (0..inputs * size[0] * size[1]).map(|_| numbers.below(256) as u8).collect();
        let steps: Vec<i32> = bytes.iter().map(|&byte| i32::from(byte) - i32::from(zeros[0])).collect();

        let mut graph = Graph::new(&[1, inputs as i64, size[0] as i64, size[1] as i64]);
        let [_, input] = graph.quantised("input", input_scale, zeros[0]);
        let extents = [outputs, if depthwise { 1 } else { inputs }, kernel[0], kernel[1]];
        let weights = graph.weights(&extents, &naive.weights, &scales, 0);
        let bias = graph.bias(&naive.bias, &units);
        let attributes = vec![
            ints("strides", &[stride as i64; 2]),
            ints("dilations", &[dilation as i64; 2]),
            ints("pads", &pads.map(|pad| pad as i64)),
            int("group", if depthwise { inputs as i64 } else { 1 }),
        ];
        let mut out = graph.node("Conv", &[&input, &weights, &bias], attributes);
        if last == 1 {
            out = graph.node("Relu", &[&out], vec![]);
        }
        if last > 0 {
            [_, out] = graph.quantised(&out, output_scale, zeros[1]);
        }
        let onnx = graph.onnx(&[&out]);

        let [rows, columns] = naive.size(size);
        let value = |(at, sum): (usize, i32)| {
            let value = sum as f32 * units[at / (rows * columns)];
            let value = if last == 1 { value.max(0.0) } else { value };
            let zero = f32::from(zeros[1]);
            let byte = ((value / output_scale).round_ties_even() + zero).clamp(0.0, 255.0);
            if last == 0 { value } else { (byte - zero) * output_scale }
        };
        let expected: Vec<f32> = naive.run(&steps, size).into_iter().enumerate().map(value).collect();
        let image: Vec<f32> = steps.iter().map(|&step| step as f32 * input_scale).collect();
        let image = Array4::from_shape_vec((1, inputs, size[0], size[1]), image).unwrap();
        if kernel[0].max(kernel[1]) < 6 {
            assert_fused(&onnx, [inputs, size[0], size[1]]);
        }
        assert_same("convolution", &on_every_backend(&onnx, image.view()), &expected);
    }

    #[test]
    fn any_quantised_sum_is_exact_on_every_backend(
        channels in 1..36_usize,
        size in [4..13_usize, 4..18_usize],
        zeros in [any::<u8>(), any::<u8>(), any::<u8>()],
        relu in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut numbers = Numbers(seed);
        let mut graph = Graph::new(&[1, channels as i64, size[0] as i64, size[1] as i64]);
        let [_, input] = graph.quantised("input", 1.0 / 16.0, zeros[0]);
        let weights = graph.weights(&[channels, channels, 1, 1], &numbers.signed_bytes(channels * channels), &[1.0 / 64.0], 0);
        let sums = graph.node("Conv", &[&input, &weights], vec![]);
        let [_, sums] = graph.quantised(&sums, 1.0 / 8.0, zeros[1]);
        let mut out = graph.node("Add", &[&sums, &input], vec![]);
        if relu {
            out = graph.node("Relu", &[&out], vec![]);
        }
        let [_, out] = graph.quantised(&out, 1.0 / 4.0, zeros[2]);
        let onnx = graph.onnx(&[&out]);
        assert_fused(&onnx, [channels, size[0], size[1]]);
        // In these scales tract's floats are exact as well.
        let image = images([1, channels, size[0], size[1]]).mapv(|value| value * 8.0);
        let reference = on(&onnx, Backend::Tract, image.view());
        let expected: Vec<f32> = reference[0].iter().copied().collect();
        assert_same("sum", &on_every_backend(&onnx, image.view()), &expected);
    }
}

fn on(onnx: &[u8], backend: Backend, image: ArrayView4<'_, f32>) -> Outputs {
    let (_, c, h, w) = image.dim();
    Network::with_options(onnx, [c, h, w], &Options::on(backend)).unwrap().run(image).unwrap()
}

fn conv(graph: &mut Graph, from: &str, [inputs, outputs]: [usize; 2], kernel: usize, attributes: [i64; 2]) -> String {
    let [stride, group] = attributes;
    let each = inputs / group as usize;
    let range = 2.0 / ((each * kernel * kernel) as f32).sqrt();
    let weights = graph.random(&[outputs, each, kernel, kernel], range);
    let bias = graph.random(&[outputs], 0.5);
    let pad = (kernel / 2) as i64;
    let attributes = vec![ints("strides", &[stride; 2]), ints("pads", &[pad; 4]), int("group", group)];
    graph.node("Conv", &[from, &weights, &bias], attributes)
}

/// A network with everything that quantised embedders are made of.
fn embedder() -> Vec<u8> {
    let mut graph = Graph::new(&[1, 3, 28, 28]);
    let map = conv(&mut graph, "input", [3, 24], 3, [2, 1]);
    let slopes = graph.random(&[24, 1, 1], 0.4);
    let map = graph.node("PRelu", &[&map, &slopes], vec![]);
    let map = conv(&mut graph, &map, [24, 24], 3, [1, 24]);
    let (low, high) = (graph.constant(&[], vec![0.0]), graph.constant(&[], vec![6.0]));
    let map = graph.node("Clip", &[&map, &low, &high], vec![]);
    let trunk = conv(&mut graph, &map, [24, 20], 1, [1, 1]);
    let inner = conv(&mut graph, &trunk, [20, 40], 1, [1, 1]);
    let inner = graph.node("Relu", &[&inner], vec![]);
    let inner = conv(&mut graph, &inner, [40, 40], 3, [1, 40]);
    let inner = graph.node("LeakyRelu", &[&inner], vec![float("alpha", 0.1)]);
    let inner = conv(&mut graph, &inner, [40, 20], 1, [1, 1]);
    let trunk = graph.node("Add", &[&trunk, &inner], vec![]);
    let map = conv(&mut graph, &trunk, [20, 33], 3, [2, 1]);
    let gamma = graph.random(&[33], 1.0);
    let moved = graph.random(&[33], 0.2);
    let spread = graph.constant(&[33], vec![0.8; 33]);
    let map = graph.node("BatchNormalization", &[&map, &gamma, &moved, &moved, &spread], vec![]);
    let map = graph.node("Relu", &[&map], vec![]);
    let weights = graph.random(&[33, 1, 7, 7], 0.3);
    let point = graph.node("Conv", &[&map, &weights], vec![int("group", 33)]);
    let flat = graph.node("Flatten", &[&point], vec![]);
    let matrix = graph.random(&[16, 33], 0.4);
    let bias = graph.random(&[16], 0.2);
    let out = graph.node("Gemm", &[&flat, &matrix, &bias], vec![int("transB", 1)]);
    graph.onnx(&[&out])
}

fn cosine(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    let dot = |a: &ArrayD<f32>, b: &ArrayD<f32>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Asserts that a quantised network gives the same bits on every backend, with and without threads, and that they lie close
/// to tract's floats of the same file: a sum that ends near the middle between two bytes may fall to either.
fn assert_one_answer(what: &str, onnx: &[u8], image: ArrayView4<'_, f32>, least: f32) {
    let given = on_every_backend(onnx, image);
    let expected: Vec<f32> = given[0].1[0].iter().copied().collect();
    assert_same(what, &given, &expected);
    let (_, c, h, w) = image.dim();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let outputs = pool.install(|| Network::from_onnx(onnx, [c, h, w]).unwrap().run_parallel(image).unwrap());
    assert_same(what, &[(Backend::Auto, outputs)], &expected);
    let similar = cosine(&given[0].1[0], &on(onnx, Backend::Tract, image)[0]);
    assert!(similar >= least, "{what}: a cosine of {similar} with tract's");
}

#[test]
fn a_quantised_network_gives_the_same_bits_on_every_backend() {
    let onnx = embedder();
    let quantised = quantise(&onnx, [3, 28, 28], images([24, 3, 28, 28]).view()).unwrap();
    assert_eq!((quantised.operators, quantised.values), (9, 10));
    assert_fused(&quantised.onnx, [3, 28, 28]);
    let image = images([1, 3, 28, 28]).mapv(|value| value * 0.9);
    assert_one_answer("embedder", &quantised.onnx, image.view(), 0.9995);
    let float = on(&onnx, Backend::Auto, image.view());
    let similar = cosine(&float[0], &on(&quantised.onnx, Backend::Auto, image.view())[0]);
    assert!(similar > 0.99, "a cosine of {similar} with the network on floats");
}

#[test]
fn a_quantised_mobilefacenet_gives_the_same_bits_on_every_backend() {
    let Some(onnx) = model("mobilefacenet.onnx") else { return };
    let quantised = quantise(&onnx, [3, 112, 112], images([4, 3, 112, 112]).view()).unwrap();
    assert_fused(&quantised.onnx, [3, 112, 112]);
    let image = images([1, 3, 112, 112]).mapv(|value| value * 0.9);
    assert_one_answer("MobileFaceNet", &quantised.onnx, image.view(), 0.995);
}

#[test]
fn values_that_others_read_as_floats_are_dequantised() {
    // The image, and a map that a pooling operator and an output read besides a convolution.
    let mut graph = Graph::new(&[1, 3, 10, 9]);
    let [_, input] = graph.quantised("input", 1.0 / 64.0, 128);
    let weights = graph.weights(&[5, 3, 1, 1], &Numbers(7).signed_bytes(15), &[1.0 / 64.0], 0);
    let map = graph.node("Conv", &[&input, &weights], vec![]);
    let [_, map] = graph.quantised(&map, 1.0 / 32.0, 100);
    let pooled = graph.node("MaxPool", &[&map], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    let bent = graph.node("Tanh", &[&input], vec![]);
    let flat = graph.node("Flatten", &[&map], vec![]);
    let onnx = graph.onnx(&[&pooled, &bent, &flat, &map]);
    let image = images([1, 3, 10, 9]);
    let reference = on(&onnx, Backend::Tract, image.view());
    for (backend, outputs) in on_every_backend(&onnx, image.view()) {
        for (at, (given, expected)) in outputs.iter().zip(&reference).enumerate() {
            let error = given.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(error < 1e-6, "output {at} on {backend:?}: an error of {error}");
        }
    }
}

#[test]
fn weights_with_a_zero_point_run_as_floats() {
    let mut graph = Graph::new(&[1, 4, 6, 6]);
    let [_, input] = graph.quantised("input", 1.0 / 64.0, 128);
    let bytes = graph.raw(DataType::Uint8, &[3, 4, 1, 1], (0..12).map(|index| index * 20).collect());
    let (scale, zero) = (graph.constant(&[], vec![1.0 / 64.0]), graph.raw(DataType::Uint8, &[], vec![90]));
    let weights = graph.node("DequantizeLinear", &[&bytes, &scale, &zero], vec![]);
    let out = graph.node("Conv", &[&input, &weights], vec![]);
    let onnx = graph.onnx(&[&out]);
    common::assert_every_backend_agrees("unsigned weights", &onnx, images([1, 4, 6, 6]).view());
}

/// The image as it is, so that no kernel on bytes can take over; scales and zero points along either axis.
#[test]
fn weights_on_bytes_for_values_on_floats_run_as_floats() {
    let mut graph = Graph::new(&[1, 4, 6, 6]);
    let mut dequantised = |extents: &[usize], axis: i64| {
        let numbers = Numbers(5).signed_bytes(extents.iter().product());
        let bytes = graph.raw(DataType::Int8, extents, numbers.iter().map(|&value| value as u8).collect());
        let count = extents[axis as usize];
        let scales = graph.constant(&[count], (1..=count).map(|scale| scale as f32 / 512.0).collect());
        let zeros = graph.raw(DataType::Int8, &[count], (0..count).map(|zero| zero as u8).collect());
        graph.node("DequantizeLinear", &[&bytes, &scales, &zeros], vec![int("axis", axis)])
    };
    let (dense, grouped, matrix) =
        (dequantised(&[8, 4, 3, 3], 0), dequantised(&[4, 4, 3, 3], 1), dequantised(&[16, 5], 1));
    let map = graph.node("Conv", &["input", &dense], vec![]);
    let map = graph.node("Conv", &[&map, &grouped], vec![int("group", 2)]);
    let flat = graph.node("Flatten", &[&map], vec![]);
    graph.node("Gemm", &[&flat, &matrix], vec![]);
    let onnx = graph.onnx(&["Gemm_6"]);
    common::assert_every_backend_agrees("INT8 weights dequantised for floats", &onnx, images([1, 4, 6, 6]).view());
}

fn refusal(onnx: &[u8], images: ArrayView4<'_, f32>) -> QuantiseError {
    quantise(onnx, [3, 28, 28], images).expect_err("it cannot be quantised")
}

#[test]
fn what_cannot_be_quantised_is_refused_by_name() {
    let onnx = embedder();
    assert_eq!(refusal(&onnx, images([0, 3, 28, 28]).view()), QuantiseError::NoImages);
    let shape = InferError::InputShape { expected: [3, 28, 28], given: [1, 3, 27, 28] };
    assert_eq!(refusal(&onnx, images([1, 3, 27, 28]).view()), QuantiseError::Model(shape));
    assert!(matches!(refusal(b"no model", images([1, 3, 28, 28]).view()), QuantiseError::Model(_)));

    let quantised = quantise(&onnx, [3, 28, 28], images([1, 3, 28, 28]).view()).unwrap();
    let again = refusal(&quantised.onnx, images([1, 3, 28, 28]).view());
    assert!(matches!(again, QuantiseError::AlreadyQuantised { operator, .. } if operator == "QuantizeLinear"));

    let mut graph = Graph::new(&[1, 3, 28, 28]);
    let out = graph.node("Relu", &["input"], vec![]);
    assert_eq!(refusal(&graph.onnx(&[&out]), images([1, 3, 28, 28]).view()), QuantiseError::NothingToQuantise);

    let mut image = images([1, 3, 28, 28]);
    image[[0, 0, 3, 3]] = f32::NAN;
    assert_eq!(refusal(&onnx, image.view()), QuantiseError::NotFinite { value: "input".into() });
}
