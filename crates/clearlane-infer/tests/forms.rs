//! Graphs in forms that say the same as others: half precision, operators on quantised tensors, old resizes.
#![allow(clippy::unwrap_used)]

mod common;

use clearlane_infer::Network;
use common::{Graph, assert_fused, float, images, int, ints, on_every_backend, text};
use half::{bf16, f16};
use tract_onnx::pb::{tensor_proto::DataType, type_proto};

/// Declares an input or output of a graph to be of another type.
fn declare(value: &mut tract_onnx::pb::ValueInfoProto, data_type: DataType) {
    if let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_mut().and_then(|r#type| r#type.value.as_mut())
    {
        tensor.elem_type = data_type as i32;
    }
}

/// A small network whose constants are of one type, `None` for the same numbers in single precision.
fn network(half: Option<DataType>) -> Vec<u8> {
    let mut graph = Graph::new(&[1, 3, 12, 10]);
    let constant = |graph: &mut Graph, extents: &[usize]| {
        let count = extents.iter().product();
        let values: Vec<f32> = (0..count).map(|_| graph.uniform() * 0.3).collect();
        match half {
            Some(DataType::Bfloat16) => {
                let bytes = values.iter().flat_map(|value| bf16::from_f32(*value).to_le_bytes()).collect();
                graph.raw(DataType::Bfloat16, extents, bytes)
            }
            Some(data_type) => {
                let bytes = values.iter().flat_map(|value| f16::from_f32(*value).to_le_bytes()).collect();
                graph.raw(data_type, extents, bytes)
            }
            None => graph.constant(extents, values.iter().map(|value| f16::from_f32(*value).to_f32()).collect()),
        }
    };
    let weights = constant(&mut graph, &[20, 3, 3, 3]);
    let bias = constant(&mut graph, &[20]);
    let sums = graph.node("Conv", &["input", &weights, &bias], vec![ints("pads", &[1; 4])]);
    let slopes = constant(&mut graph, &[20, 1, 1]);
    let active = graph.node("PRelu", &[&sums, &slopes], vec![]);
    let mean = graph.node("GlobalAveragePool", &[&active], vec![]);
    if let Some(data_type) = half {
        declare(&mut graph.proto().input[0], data_type);
    }
    let mut bytes = graph.onnx(&[&mean]);
    if let Some(data_type) = half {
        use prost::Message;
        let mut model = tract_onnx::pb::ModelProto::decode(&bytes[..]).unwrap();
        declare(&mut model.graph.as_mut().unwrap().output[0], data_type);
        bytes = model.encode_to_vec();
    }
    bytes
}

#[test]
fn a_network_in_half_precision_runs_as_one_of_the_same_numbers_in_single() {
    let image = images([1, 3, 12, 10]);
    let halves = network(Some(DataType::Float16));
    assert_fused(&halves, [3, 12, 10]);
    let singles = on_every_backend(&network(None), image.view());
    for ((backend, given), (_, expected)) in on_every_backend(&halves, image.view()).iter().zip(&singles) {
        assert_eq!(given[0], expected[0], "{backend:?}");
    }
    // bfloat16 keeps three digits of them.
    let given = Network::from_onnx(&network(Some(DataType::Bfloat16)), [3, 12, 10]).unwrap().run(image.view()).unwrap();
    let furthest = given[0].iter().zip(&singles[0].1[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(0.0 < furthest && furthest < 0.01, "{furthest}");
}

#[test]
fn a_cast_to_half_precision_and_back_rounds() {
    for (to, rounded) in [
        (DataType::Float16, (|x| f16::from_f32(x).to_f32()) as fn(f32) -> f32),
        (DataType::Bfloat16, |x| bf16::from_f32(x).to_f32()),
    ] {
        let mut graph = Graph::new(&[1, 5, 6, 7]);
        let half = graph.node("Cast", &["input"], vec![int("to", to as i64)]);
        let single = graph.node("Cast", &[&half], vec![int("to", DataType::Float as i64)]);
        let twice = graph.node("Add", &[&single, &single], vec![]);
        let image = images([1, 5, 6, 7]);
        let expected = image.mapv(|x| 2.0 * rounded(x)).into_dyn();
        assert_ne!(expected, image.mapv(|x| 2.0 * x).into_dyn());
        for (backend, given) in on_every_backend(&graph.onnx(&[&twice]), image.view()) {
            assert_eq!(given[0], expected, "{backend:?} {to:?}");
        }
    }
}

#[test]
fn an_old_upsample_takes_the_pixel_at_the_position_divided_by_its_scale() {
    let image = images([1, 3, 5, 4]);
    for (opset, scale) in [(7, 2.0_f32), (9, 2.0), (9, 1.5), (7, 3.0)] {
        let mut graph = Graph::new(&[1, 3, 5, 4]);
        let attributes = |more: Vec<_>| [vec![text("mode", "nearest")], more].concat();
        let large = if opset == 7 {
            let mut scales = float("scales", 0.0);
            (scales.r#type, scales.floats) = (6, vec![1.0, 1.0, scale, scale]);
            graph.node("Upsample", &["input"], attributes(vec![scales]))
        } else {
            let scales = graph.constant(&[4], vec![1.0, 1.0, scale, scale]);
            graph.node("Upsample", &["input", &scales], attributes(vec![]))
        };
        let onnx = with_opset(&graph.onnx(&[&large]), opset);
        for (backend, given) in on_every_backend(&onnx, image.view()) {
            let [height, width] = [5.0, 4.0].map(|side: f32| (side * scale).floor() as usize);
            assert_eq!(given[0].shape(), [1, 3, height, width], "{backend:?}");
            for ((_, channel, y, x), value) in
                given[0].view().into_dimensionality::<ndarray::Ix4>().unwrap().indexed_iter()
            {
                let at = |place: usize| (place as f32 / scale).floor() as usize;
                assert_eq!(*value, image[[0, channel, at(y), at(x)]], "{backend:?}, opset {opset}, scale {scale}");
            }
        }
    }
}

fn with_opset(onnx: &[u8], opset: i64) -> Vec<u8> {
    use prost::Message;
    let mut model = tract_onnx::pb::ModelProto::decode(onnx).unwrap();
    model.opset_import[0].version = opset;
    model.encode_to_vec()
}

/// Quantises the input; gives the names of its bytes, its scale and its zero point.
fn quantised(graph: &mut Graph, value: &str, scale: f32, zero: u8) -> [String; 3] {
    let scale = graph.constant(&[], vec![scale]);
    let zero = graph.raw(DataType::Uint8, &[], vec![zero]);
    let bytes = graph.node("QuantizeLinear", &[value, &scale, &zero], vec![]);
    [bytes, scale, zero]
}

fn bytes_of(x: f32, scale: f32, zero: f32) -> f32 {
    ((x / scale).round_ties_even() + zero).clamp(0.0, 255.0)
}

/// What an operator makes of a value.
type Expected<'a> = Box<dyn Fn(f32) -> f32 + 'a>;

#[test]
fn operators_on_quantised_tensors_are_those_on_floats_between_roundings() {
    let image = images([1, 4, 6, 5]);
    let ([sa, za], [sb, zb], [sc, zc]) = ([0.011, 120.0], [0.017, 7.0], [0.02, 100.0]);
    let a = |x: f32| (bytes_of(x, sa, za) - za) * sa;
    let b = |x: f32| (bytes_of(2.0 * x, sb, zb) - zb) * sb;
    let cases: [(&str, Vec<_>, Expected<'_>); 4] = [
        ("QLinearAdd", vec![], Box::new(|x| a(x) + b(x))),
        ("QLinearMul", vec![], Box::new(|x| a(x) * b(x))),
        ("QLinearLeakyRelu", vec![float("alpha", 0.25)], Box::new(|x| a(x).max(0.0) + 0.25 * a(x).min(0.0))),
        ("QLinearSigmoid", vec![], Box::new(|x| 1.0 / (1.0 + (-a(x)).exp()))),
    ];
    for (operator, attributes, expected) in cases {
        let mut graph = Graph::new(&[1, 4, 6, 5]);
        let first = quantised(&mut graph, "input", sa, za as u8);
        let two = graph.constant(&[], vec![2.0]);
        let doubled = graph.node("Mul", &["input", &two], vec![]);
        let second = quantised(&mut graph, &doubled, sb, zb as u8);
        let scale = graph.constant(&[], vec![sc]);
        let zero = graph.raw(DataType::Uint8, &[], vec![zc as u8]);
        let binary = ["QLinearAdd", "QLinearMul"].contains(&operator);
        let operands = first.iter().chain(second.iter().filter(|_| binary)).chain([&scale, &zero]);
        let operands: Vec<&str> = operands.map(String::as_str).collect();
        let made = graph.node(operator, &operands, attributes);
        graph.proto().node.last_mut().unwrap().domain = "com.microsoft".into();
        let floats = graph.node("DequantizeLinear", &[&made, &scale, &zero], vec![]);
        for (backend, given) in on_every_backend(&graph.onnx(&[&floats]), image.view()) {
            for (given, x) in given[0].iter().zip(&image) {
                let exact = expected(*x);
                let rounded = (bytes_of(exact, sc, zc) - zc) * sc;
                // A value half way between two bytes may go to either.
                let tie = ((exact / sc).fract().abs() - 0.5).abs() < 1e-3;
                let off = (given - rounded).abs();
                assert!(off < 1e-5 || (tie && off < 1.01 * sc), "{operator} on {backend:?}: {given}, not {rounded}");
            }
        }
    }
}

#[test]
fn a_quantised_convolution_of_two_scales_and_a_bias_is_its_sum_in_integers() {
    let image = images([1, 3, 7, 6]);
    let (outputs, sx, zx, sy, zy) = (5, 0.009, 128.0, 0.05, 90.0);
    let mut graph = Graph::new(&[1, 3, 7, 6]);
    let weights: Vec<i8> = (0..outputs * 3 * 9).map(|_| (graph.uniform() * 127.0) as i8).collect();
    let bias: Vec<i32> = (0..outputs).map(|_| (graph.uniform() * 3000.0) as i32).collect();
    let scales: Vec<f32> = (0..outputs).map(|output| 0.002 + 0.0003 * output as f32).collect();
    let [bytes, scale, zero] = quantised(&mut graph, "input", sx, zx as u8);
    let w = graph.raw(DataType::Int8, &[outputs, 3, 3, 3], weights.iter().map(|&weight| weight as u8).collect());
    let ws = graph.constant(&[outputs], scales.clone());
    let wz = graph.raw(DataType::Int8, &[outputs], vec![0; outputs]);
    let ys = graph.constant(&[], vec![sy]);
    let yz = graph.raw(DataType::Uint8, &[], vec![zy as u8]);
    let b = graph.raw(DataType::Int32, &[outputs], bias.iter().flat_map(|value| value.to_le_bytes()).collect());
    let made =
        graph.node("QLinearConv", &[&bytes, &scale, &zero, &w, &ws, &wz, &ys, &yz, &b], vec![ints("pads", &[1; 4])]);
    let floats = graph.node("DequantizeLinear", &[&made, &ys, &yz], vec![]);
    let onnx = graph.onnx(&[&floats]);
    assert_fused(&onnx, [3, 7, 6]);
    for (backend, given) in on_every_backend(&onnx, image.view()) {
        let given = given[0].view().into_dimensionality::<ndarray::Ix4>().unwrap();
        for ((_, output, y, x), &given) in given.indexed_iter() {
            let mut sum = bias[output];
            for (input, dy, dx) in (0..27).map(|at| (at / 9, at / 3 % 3, at % 3)) {
                let (row, column) = ((y + dy).wrapping_sub(1), (x + dx).wrapping_sub(1));
                let Some(value) = image.get([0, input, row, column]) else { continue };
                let byte = bytes_of(*value, sx, zx) as i32 - zx as i32;
                sum += byte * i32::from(weights[(output * 3 + input) * 9 + 3 * dy + dx]);
            }
            let exact = sum as f32 * sx * scales[output];
            let rounded = (bytes_of(exact, sy, zy) - zy) * sy;
            let tie = ((exact / sy).fract().abs() - 0.5).abs() < 1e-3;
            let off = (given - rounded).abs();
            assert!(off < 1e-5 || (tie && off < 1.01 * sy), "{backend:?}: {given}, not {rounded}");
        }
    }
}

#[test]
fn quantised_operators_of_several_shapes_run_as_their_parts_written_out() {
    for operator in ["QLinearMatMul", "QLinearConcat", "QLinearGlobalAveragePool", "QLinearAveragePool"] {
        let made = |whole: bool| {
            let mut graph = Graph::new(&[1, 3, 6, 6]);
            let [bytes, scale, zero] = quantised(&mut graph, "input", 0.008, 125);
            let [wide, narrow] = [[0.02, 0.011, 0.003, 0.017, 0.005, 0.009], [0.01; 6]];
            let weights: Vec<u8> = (0..36).map(|_| (graph.uniform() * 127.0) as i8 as u8).collect();
            let w = graph.raw(DataType::Int8, &[6, 6], weights);
            let ws = graph.constant(&[6], if operator == "QLinearMatMul" { wide } else { narrow }.to_vec());
            let wz = graph.raw(DataType::Int8, &[6], vec![0; 6]);
            let ys = graph.constant(&[], vec![0.03]);
            let yz = graph.raw(DataType::Uint8, &[], vec![110]);
            let of = |graph: &mut Graph, names: [&str; 3], axis: Option<i64>| {
                graph.node("DequantizeLinear", &names, axis.map(|axis| int("axis", axis)).into_iter().collect())
            };
            let window = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
            let quantised = if whole {
                let (operands, attributes): (Vec<&str>, _) = match operator {
                    "QLinearMatMul" => (vec![&bytes, &scale, &zero, &w, &ws, &wz, &ys, &yz], vec![]),
                    "QLinearConcat" => {
                        (vec![&ys, &yz, &bytes, &scale, &zero, &bytes, &scale, &zero], vec![int("axis", 1)])
                    }
                    "QLinearAveragePool" => (vec![&bytes, &scale, &zero, &ys, &yz], window),
                    _ => (vec![&bytes, &scale, &zero, &ys, &yz], vec![]),
                };
                graph.node(operator, &operands, attributes)
            } else {
                let a = of(&mut graph, [&bytes, &scale, &zero], None);
                let sum = match operator {
                    "QLinearMatMul" => {
                        let b = of(&mut graph, [&w, &ws, &wz], Some(1));
                        graph.node("MatMul", &[&a, &b], vec![])
                    }
                    "QLinearConcat" => graph.node("Concat", &[&a, &a], vec![int("axis", 1)]),
                    "QLinearAveragePool" => graph.node("AveragePool", &[&a], window),
                    _ => graph.node("GlobalAveragePool", &[&a], vec![]),
                };
                graph.node("QuantizeLinear", &[&sum, &ys, &yz], vec![])
            };
            let floats = of(&mut graph, [&quantised, &ys, &yz], None);
            Network::from_onnx(&graph.onnx(&[&floats]), [3, 6, 6]).unwrap().run(images([1, 3, 6, 6]).view()).unwrap()
        };
        let (given, expected) = (made(true), made(false));
        assert_eq!(given[0].shape(), expected[0].shape(), "{operator}");
        assert!(given[0].iter().zip(&expected[0]).all(|(a, b)| (a - b).abs() < 1e-5), "{operator}");
        assert!(
            expected[0].iter().any(|value| (value - expected[0].iter().next().unwrap()).abs() > 0.02),
            "{operator}"
        );
    }
}

#[test]
fn names_that_a_graph_takes_on_purpose_stay_its_own() {
    let mut graph = Graph::new(&[1, 2, 3, 4]);
    let [bytes, scale, zero] = quantised(&mut graph, "input", 0.01, 128);
    let made = graph.node("QLinearAdd", &[&bytes, &scale, &zero, &bytes, &scale, &zero, &scale, &zero], vec![]);
    for part in ["operand0", "operand1", "float", "float.1"] {
        graph.constant(&[], vec![7.0]);
        graph.proto().initializer.last_mut().unwrap().name = format!("{made}.{part}");
    }
    let floats = graph.node("DequantizeLinear", &[&made, &scale, &zero], vec![]);
    let shifted = graph.node("Add", &[&floats, &format!("{made}.float")], vec![]);
    let image = images([1, 2, 3, 4]);
    for (backend, given) in on_every_backend(&graph.onnx(&[&shifted]), image.view()) {
        for (given, x) in given[0].iter().zip(&image) {
            let twice = 2.0 * (bytes_of(*x, 0.01, 128.0) - 128.0);
            assert!((given - 7.0 - 0.01 * twice.clamp(-128.0, 127.0)).abs() < 1e-4, "{backend:?}");
        }
    }
}

#[test]
fn what_a_cast_rounds_is_no_attribute_of_a_quantised_model() {
    use prost::Message;
    let onnx = network(Some(DataType::Float16));
    let mut graph = tract_onnx::pb::ModelProto::decode(&onnx[..]).unwrap();
    let nodes = &mut graph.graph.as_mut().unwrap().node;
    let mut cast = nodes[0].clone();
    (cast.name, cast.op_type, cast.attribute) =
        ("cast".into(), "Cast".into(), vec![int("to", DataType::Float16 as i64)]);
    (cast.input, cast.output) = (vec!["input".into()], vec!["rounded".into()]);
    nodes[0].input[0] = "rounded".into();
    nodes.insert(0, cast);
    let made = clearlane_infer::quantise(&graph.encode_to_vec(), [3, 12, 10], images([4, 3, 12, 10]).view()).unwrap();
    let written = tract_onnx::pb::ModelProto::decode(&made.onnx[..]).unwrap().graph.unwrap();
    let known = ["to", "axis", "saturate"];
    let casts: Vec<_> = written.node.iter().filter(|node| node.op_type == "Cast").collect();
    assert_eq!(casts.len(), 1);
    assert!(casts[0].attribute.iter().all(|attribute| known.contains(&attribute.name.as_str())));
}

#[test]
fn a_quantised_operator_without_its_inputs_is_an_error() {
    for operator in
        ["QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearConcat", "QGemm", "QLinearSigmoid", "Upsample"]
    {
        for given in 0..3 {
            let mut graph = Graph::new(&[1, 3, 4, 4]);
            let one = graph.constant(&[], vec![1.0]);
            let operands: Vec<&str> = std::iter::once("input").chain([one.as_str(); 2]).take(given).collect();
            let made = graph.node(operator, &operands, vec![]);
            assert!(Network::from_onnx(&graph.onnx(&[&made]), [3, 4, 4]).is_err(), "{operator} of {given}");
        }
    }
}
