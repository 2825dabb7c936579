//! What loads, what does not, and which error says so.

mod common;

use clearlane_infer::{Backend, InferError, Isa, Network, Options, UnknownBackend};
use common::{Graph, images, int, ints, model, text};
use ndarray::{Array4, Axis};
use tract_onnx::pb::tensor_proto::DataLocation;

/// input -> 1 x 1 convolution to 4 channels -> `Relu`.
fn small(extents: &[i64]) -> Graph {
    let mut graph = Graph::new(extents);
    let weights = graph.random(&[4, 3, 1, 1], 1.0);
    let sums = graph.node("Conv", &["input", &weights], vec![]);
    graph.node("Relu", &[&sums], vec![]);
    graph
}

fn failure(bytes: &[u8], input: [usize; 3]) -> InferError {
    Network::from_onnx(bytes, input).err().expect("the model is wrong")
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    for bytes in [&b""[..], b"\xFF\xD8\xFF\xE0 a JPEG", &[0; 64], b"hello, world"] {
        assert!(matches!(failure(bytes, [3, 4, 4]), InferError::Decode { .. }));
    }
}

#[test]
fn a_network_runs_with_the_kernels_of_each_instruction_set_that_the_processor_has() {
    let bytes = small(&[1, 3, 4, 4]).onnx(&["Relu_1"]);
    for isa in Isa::available() {
        assert!(Network::with_options(&bytes, [3, 4, 4], &Options::on(Backend::Kernels(isa))).is_ok(), "{isa}");
    }
}

/// What is refused on one processor for want of instructions says so; a name that nobody has is refused in the same words on all.
#[test]
fn a_backend_is_found_by_its_name() {
    assert_eq!("auto".parse(), Ok(Backend::Auto));
    assert_eq!("tract".parse(), Ok(Backend::Tract));
    for &isa in Isa::NAMES {
        let expected = Isa::by_name(isa).map(Backend::Kernels).ok_or(UnknownBackend::Processor { isa });
        assert_eq!(isa.parse(), expected, "{isa}");
    }
    for name in ["gpu", "", "AVX2"] {
        let unknown = name.parse::<Backend>().expect_err("no such backend");
        assert_eq!(unknown, UnknownBackend::Name { name: name.to_owned() });
        assert_eq!(
            unknown.to_string(),
            format!("expected one of auto, tract, avx512, avxvnni, avx2, neon, portable, got {name:?}")
        );
    }
}

#[test]
fn a_model_cut_short_anywhere_is_an_error_and_never_a_panic() {
    let bytes = small(&[1, 3, 4, 4]).onnx(&["Relu_1"]);
    for end in 0..bytes.len() {
        // What ends at a field's end may still be a model, of a graph without the fields that came after.
        let _ = Network::from_onnx(&bytes[..end], [3, 4, 4]);
    }
    assert!(matches!(failure(&bytes[..bytes.len() / 2], [3, 4, 4]), InferError::Decode { .. }));
}

#[test]
fn a_model_with_flipped_bytes_never_panics() {
    let bytes = small(&[1, 3, 4, 4]).onnx(&["Relu_1"]);
    for position in 0..bytes.len() {
        let mut spoiled = bytes.clone();
        spoiled[position] ^= 0x55;
        if let Ok(network) = Network::from_onnx(&spoiled, [3, 4, 4]) {
            let _ = network.run(images([1, 3, 4, 4]).view());
        }
    }
}

#[test]
fn an_unknown_operator_is_named() {
    let mut graph = small(&[1, 3, 4, 4]);
    graph.node("FaceMagic", &["Relu_1"], vec![]);
    let error = failure(&graph.onnx(&["FaceMagic_2"]), [3, 4, 4]);
    assert_eq!(error, InferError::UnknownOperator { operator: "FaceMagic".into(), node: "FaceMagic_2".into() });
}

#[test]
fn a_tensor_whose_data_are_missing_or_elsewhere_is_refused() {
    let mut graph = small(&[1, 3, 4, 4]);
    graph.proto().initializer[0].dims = vec![1 << 40, 1 << 40, 1, 1];
    assert!(matches!(failure(&graph.onnx(&["Relu_1"]), [3, 4, 4]), InferError::TensorSize { .. }));

    let mut graph = small(&[1, 3, 4, 4]);
    graph.proto().initializer[0].data_location = Some(DataLocation::External as i32);
    assert!(matches!(failure(&graph.onnx(&["Relu_1"]), [3, 4, 4]), InferError::ExternalData { .. }));
}

#[test]
fn weights_that_lie_in_another_field_of_their_tensor_never_panic() {
    let head = || {
        let mut graph = Graph::new(&[1, 3, 4, 4]);
        let flat = graph.node("Flatten", &["input"], vec![]);
        let weights = graph.random(&[48, 2], 0.5);
        let out = graph.node("Gemm", &[&flat, &weights], vec![]);
        (graph, out)
    };
    let (mut graph, out) = head();
    let tensor = &mut graph.proto().initializer[0];
    tensor.raw_data.clear();
    tensor.float_data.clear();
    tensor.double_data = vec![0.5; 96];
    let _ = failure(&graph.onnx(&[&out]), [3, 4, 4]);

    // Raw data count where there are any, whatever else the tensor holds.
    let (mut graph, out) = head();
    let tensor = &mut graph.proto().initializer[0];
    tensor.raw_data = [0.5_f32.to_le_bytes(); 96].concat();
    tensor.float_data = vec![0.25];
    let network = Network::from_onnx(&graph.onnx(&[&out]), [3, 4, 4]).unwrap();
    let image = images([1, 3, 4, 4]);
    let expected = 0.5 * image.sum();
    let given = network.run(image.view()).unwrap();
    assert!(given[0].iter().all(|value| (value - expected).abs() < 1e-4), "{given:?} {expected}");
}

#[test]
fn a_value_larger_than_memory_is_refused_and_not_allocated() {
    let mut graph = Graph::new(&[1, 3, 4, 4]);
    let scales = graph.constant(&[4], vec![1.0, 1.0, 1e5, 1e5]);
    graph.node("Resize", &["input", "", &scales], vec![]);
    assert!(matches!(failure(&graph.onnx(&["Resize_0"]), [3, 4, 4]), InferError::TooLarge { .. }));
}

/// Loads a graph whose numbers make no sense, and runs it where it loads. Either may fail; neither may take the process down.
fn survives(graph: Graph, output: &str) {
    if let Ok(network) = Network::from_onnx(&graph.onnx(&[output]), [3, 8, 8]) {
        let _ = network.run(images([1, 3, 8, 8]).view());
    }
}

#[test]
fn windows_and_dilations_beyond_reason_are_refused_or_lead_nowhere() {
    let mut graph = Graph::new(&[1, 3, 8, 8]);
    let weights = graph.random(&[8, 3, 3, 3], 1.0);
    graph.node("Conv", &["input", &weights], vec![ints("dilations", &[1, 1 << 40])]);
    let error = failure(&graph.onnx(&["Conv_0"]), [3, 8, 8]);
    assert!(matches!(error, InferError::Window { number: 0x100_0000_0000, .. }), "{error}");

    for exponent in [6, 20, 31, 32, 33, 40, 52, 56, 58, 59, 60, 61, 62] {
        let huge = 1_i64 << exponent;
        for attributes in [
            vec![ints("pads", &[1; 4]), ints("dilations", &[huge, 1])],
            vec![ints("pads", &[1; 4]), ints("dilations", &[1, huge])],
            vec![ints("pads", &[huge, 0, 0, 0])],
            vec![ints("strides", &[huge, huge])],
            vec![text("auto_pad", "SAME_UPPER"), ints("dilations", &[huge, huge])],
        ] {
            let mut graph = Graph::new(&[1, 3, 8, 8]);
            let weights = graph.random(&[8, 3, 3, 3], 1.0);
            graph.node("Conv", &["input", &weights], attributes);
            survives(graph, "Conv_0");
        }
        let mut graph = Graph::new(&[1, 3, 8, 8]);
        let [_, input] = graph.quantised("input", 1.0 / 64.0, 128);
        let weights = graph.weights(&[8, 3, 3, 3], &[1; 216], &[1.0 / 64.0], 0);
        graph.node("Conv", &[&input, &weights], vec![ints("pads", &[1; 4]), ints("dilations", &[huge, 1])]);
        survives(graph, "Conv_3");
    }
}

#[test]
fn weights_without_extent_never_panic() {
    for extents in [[8, 3, 0, 3], [8, 3, 3, 0], [8, 3, 0, 0], [0, 3, 3, 3], [8, 0, 1, 1]] {
        for before in [false, true] {
            let mut graph = Graph::new(&[1, 3, 8, 8]);
            let channels = if before { 3 } else { extents[0] };
            let [a, b, c, d] = [0; 4].map(|_| graph.random(&[channels], 1.0));
            let weights = graph.random(&extents, 1.0);
            if before {
                let normed = graph.node("BatchNormalization", &["input", &a, &b, &c, &d], vec![]);
                graph.node("Conv", &[&normed, &weights], vec![]);
            } else {
                let sums = graph.node("Conv", &["input", &weights], vec![]);
                graph.node("BatchNormalization", &[&sums, &a, &b, &c, &d], vec![]);
            }
            survives(graph, if before { "Conv_1" } else { "BatchNormalization_1" });
        }
    }
}

#[test]
fn a_value_without_extent_never_panics() {
    let reads: [fn(&mut Graph, &str) -> String; 4] = [
        |graph, empty| {
            let scales = graph.constant(&[4], vec![1.0, 1.0, 2.0, 2.0]);
            graph.node("Resize", &[empty, "", &scales], vec![text("mode", "nearest")])
        },
        |graph, empty| graph.node("GlobalAveragePool", &[empty], vec![]),
        |graph, empty| graph.node("Concat", &[empty, empty], vec![int("axis", 1)]),
        |graph, empty| {
            let weights = graph.random(&[8, 3, 1, 1], 1.0);
            graph.node("Conv", &[empty, &weights], vec![])
        },
    ];
    for (axis, read) in (1..4).flat_map(|axis| reads.iter().map(move |read| (axis, read))) {
        let mut graph = Graph::new(&[1, 3, 8, 8]);
        let (none, along) = (graph.integers(&[0]), graph.integers(&[axis]));
        let empty = graph.node("Slice", &["input", &none, &none, &along], vec![]);
        let output = read(&mut graph, &empty);
        survives(graph, &output);
    }
}

#[test]
fn an_order_of_axes_that_is_none_is_refused() {
    for order in [[0, 2, 3, 2], [0, 1, 2, 4], [1, 2, 3, -1]] {
        let mut graph = Graph::new(&[1, 3, 8, 8]);
        graph.node("Transpose", &["input"], vec![ints("perm", &order)]);
        assert!(matches!(failure(&graph.onnx(&["Transpose_0"]), [3, 8, 8]), InferError::Graph { .. }));
    }
}

#[test]
fn an_edge_from_nowhere_is_refused() {
    let mut graph = small(&[1, 3, 4, 4]);
    graph.node("Relu", &["nothing"], vec![]);
    assert!(matches!(failure(&graph.onnx(&["Relu_2"]), [3, 4, 4]), InferError::Graph { .. }));
    assert!(matches!(failure(&small(&[1, 3, 4, 4]).onnx(&["nothing"]), [3, 4, 4]), InferError::Graph { .. }));
}

#[test]
fn extents_that_do_not_fit_are_refused() {
    let mut graph = Graph::new(&[1, 3, 4, 4]);
    let weights = graph.random(&[4, 5, 1, 1], 1.0);
    graph.node("Conv", &["input", &weights], vec![]);
    assert!(matches!(failure(&graph.onnx(&["Conv_0"]), [3, 4, 4]), InferError::Graph { .. }));
}

#[test]
fn a_fixed_input_extent_has_to_agree_and_an_open_one_takes_the_size_asked_for() {
    let fixed = small(&[1, 3, 4, 4]).onnx(&["Relu_1"]);
    assert!(matches!(failure(&fixed, [3, 8, 4]), InferError::DeclaredInput { expected: [3, 8, 4], .. }));

    let open = small(&[0, 3, 0, 0]).onnx(&["Relu_1"]);
    let network = Network::from_onnx(&open, [3, 8, 6]).unwrap();
    assert_eq!(network.input_shape(), [3, 8, 6]);
    assert_eq!(network.outputs()[0].name(), "Relu_1");
    assert_eq!(network.outputs()[0].shape(), [4, 8, 6]);
}

/// A strided convolution, doubled again by a resize that states the size, beside a second one; all extents fixed.
fn pyramid([height, width]: [usize; 2]) -> Vec<u8> {
    let mut graph = Graph::new(&[1, 3, height as i64, width as i64]);
    let (weights, lateral) = (graph.random(&[16, 3, 3, 3], 1.0), graph.random(&[16, 3, 1, 1], 1.0));
    let pads = || ints("pads", &[1, 1, 1, 1]);
    let coarse = graph.node("Conv", &["input", &weights], vec![pads(), ints("strides", &[2, 2])]);
    let sizes = graph.integers(&[1, 16, height as i64, width as i64]);
    let fine = graph.node("Resize", &[&coarse, "", "", &sizes], vec![text("mode", "nearest")]);
    let lateral = graph.node("Conv", &["input", &lateral], vec![]);
    let sum = graph.node("Add", &[&fine, &lateral], vec![]);
    let rows = graph.node("Transpose", &[&sum], vec![ints("perm", &[0, 2, 3, 1])]);
    let shape = graph.integers(&[1, -1, 4]);
    graph.node("Reshape", &[&rows, &shape], vec![]);
    graph.onnx(&["Reshape_5"])
}

#[test]
fn a_fixed_height_and_width_give_way_where_that_is_asked() {
    let image = images([1, 3, 6, 10]);
    let made_so = Network::from_onnx(&pyramid([6, 10]), [3, 6, 10]).unwrap();
    for backend in [Backend::Auto, Backend::Tract] {
        let made_over = Network::with_options(&pyramid([8, 8]), [3, 6, 10], &Options::on(backend).refitted()).unwrap();
        assert_eq!(made_over.outputs(), made_so.outputs());
        let (ours, theirs) = (made_over.run(image.view()).unwrap(), made_so.run(image.view()).unwrap());
        assert!(ours[0].iter().zip(&theirs[0]).all(|(ours, theirs)| (ours - theirs).abs() < 1e-5), "{backend:?}");
    }
    let channels = Network::with_options(&pyramid([8, 8]), [4, 6, 10], &Options::default().refitted());
    assert!(matches!(channels, Err(InferError::DeclaredInput { .. })));
}

#[test]
fn a_detector_made_over_is_the_one_that_was_exported_for_that_size() {
    let (Some(of_320), Some(of_640)) = (model("scrfd_500m_bnkps_320.onnx"), model("scrfd_500m_bnkps.onnx")) else {
        return;
    };
    let input = [3, 640, 640];
    let image = images([1, 3, 640, 640]);
    let made_over = Network::with_options(&of_320, input, &Options::default().refitted()).unwrap();
    let made_so = Network::from_onnx(&of_640, input).unwrap();
    for (ours, theirs) in made_over.run(image.view()).unwrap().iter().zip(&made_so.run(image.view()).unwrap()) {
        assert_eq!(ours.shape(), theirs.shape());
        assert!(ours.iter().zip(theirs).all(|(ours, theirs)| (ours - theirs).abs() < 1e-4));
    }
}

#[test]
fn a_batch_of_another_shape_is_refused() {
    let network = Network::from_onnx(&small(&[0, 3, 4, 4]).onnx(&["Relu_1"]), [3, 4, 4]).unwrap();
    for shape in [[1, 3, 4, 5], [0, 3, 4, 4], [1, 4, 3, 4]] {
        let error = network.run(Array4::zeros(shape).view()).unwrap_err();
        assert_eq!(error, InferError::InputShape { expected: [3, 4, 4], given: shape });
    }
}

#[test]
fn an_output_that_is_not_float_is_refused() {
    let mut graph = Graph::new(&[1, 3, 4, 4]);
    graph.node("ArgMax", &["input"], vec![int("axis", 1)]);
    assert!(matches!(failure(&graph.onnx(&["ArgMax_0"]), [3, 4, 4]), InferError::OutputType { .. }));
}

#[test]
fn each_image_of_a_batch_gives_what_it_gives_alone() {
    let network = Network::from_onnx(&small(&[0, 3, 5, 7]).onnx(&["Relu_1"]), [3, 5, 7]).unwrap();
    let batch = images([3, 3, 5, 7]);
    let together = network.run(batch.view()).unwrap();
    assert_eq!(together[0].shape(), [3, 4, 5, 7]);
    for (index, image) in batch.outer_iter().enumerate() {
        let alone = network.run(image.insert_axis(Axis(0))).unwrap();
        assert_eq!(alone[0].index_axis(Axis(0), 0), together[0].index_axis(Axis(0), index));
    }
}

#[test]
fn an_image_in_another_memory_order_is_the_same_image() {
    let network = Network::from_onnx(&small(&[0, 3, 5, 7]).onnx(&["Relu_1"]), [3, 5, 7]).unwrap();
    let image = images([1, 3, 5, 7]);
    let mut transposed = Array4::zeros((7, 5, 3, 1)).reversed_axes();
    transposed.assign(&image);
    assert_eq!(network.run(image.view()).unwrap(), network.run(transposed.view()).unwrap());
}

#[test]
fn many_threads_may_run_one_network_at_once() {
    let network = Network::from_onnx(&small(&[1, 3, 16, 16]).onnx(&["Relu_1"]), [3, 16, 16]).unwrap();
    let image = images([1, 3, 16, 16]);
    let alone = network.run(image.view()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..8).for_each(|_| assert_eq!(network.run(image.view()).unwrap(), alone)));
        }
    });
}

#[test]
fn the_models_that_lanes_are_built_with_load() {
    let models: [(&str, [usize; 3], usize, &[usize]); 8] = [
        ("mobilefacenet.onnx", [3, 112, 112], 1, &[128]),
        ("scrfd_500m_bnkps_320.onnx", [3, 320, 320], 9, &[3200, 1]),
        ("scrfd_500m_bnkps.onnx", [3, 640, 640], 9, &[12800, 1]),
        ("scrfd_2.5g_bnkps.onnx", [3, 256, 320], 9, &[2560, 1]),
        ("yunet_n_320_320.onnx", [3, 320, 320], 12, &[1600, 1]),
        ("retinaface_mnet025_640.onnx", [3, 640, 640], 3, &[16800, 4]),
        ("minifasnet_v2_2.7_80.onnx", [3, 80, 80], 1, &[3]),
        ("minifasnet_v1se_4.0_80.onnx", [3, 80, 80], 1, &[3]),
    ];
    for (file, input, outputs, first) in models {
        let Some(bytes) = model(file) else { continue };
        let network = Network::from_onnx(&bytes, input).unwrap();
        assert_eq!(network.outputs().len(), outputs, "{file}");
        assert_eq!(network.outputs()[0].shape(), first, "{file}");
        let out = network.run(images([1, input[0], input[1], input[2]]).view()).unwrap();
        assert!(out.iter().flatten().all(|value| value.is_finite()), "{file}");
    }
}

#[test]
fn a_pool_of_threads_gives_the_same_numbers_for_one_image_and_for_batches() {
    let mut graph = Graph::new(&[0, 3, 40, 50]);
    let stem = graph.random(&[40, 3, 3, 3], 0.2);
    let stem = graph.node("Conv", &["input", &stem], vec![ints("pads", &[1; 4])]);
    let deep = graph.random(&[70, 40, 3, 3], 0.05);
    let deep = graph.node("Conv", &[&stem, &deep], vec![ints("pads", &[1; 4]), ints("strides", &[2, 2])]);
    let bent = graph.node("Tanh", &[&deep], vec![]);
    let out = graph.node("MaxPool", &[&bent], vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]);
    let network = Network::from_onnx(&graph.onnx(&[&out, &stem]), [3, 40, 50]).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for batch in [1, 2, 3, 7] {
        let images = images([batch, 3, 40, 50]);
        let alone = network.run(images.view()).unwrap();
        for _ in 0..10 {
            assert_eq!(pool.install(|| network.run_parallel(images.view())).unwrap(), alone, "a batch of {batch}");
        }
    }
}

#[test]
fn an_output_that_is_the_input_transposed_keeps_its_values() {
    let mut graph = Graph::new(&[1, 3, 4, 4]);
    graph.node("Transpose", &["input"], vec![ints("perm", &[0, 2, 3, 1])]);
    let network = Network::from_onnx(&graph.onnx(&["Transpose_0"]), [3, 4, 4]).unwrap();
    let image = images([1, 3, 4, 4]);
    let transposed = image.view().permuted_axes([0, 2, 3, 1]);
    assert_eq!(network.run(image.view()).unwrap()[0], transposed.to_owned().into_dyn());
}
