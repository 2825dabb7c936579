//! The fast path against tract's plain output, for the models that lanes are built with.

mod common;

use clearlane_infer::{InferError, Network, NodePath, Options, Path};
use common::{images, model};

/// Every model with its input's extents and the range of its values.
const MODELS: [(&str, [usize; 3], f32); 8] = [
    ("mobilefacenet.onnx", [3, 112, 112], 2.0),
    ("scrfd_500m_bnkps_320.onnx", [3, 320, 320], 1.0),
    ("scrfd_500m_bnkps.onnx", [3, 640, 640], 1.0),
    ("scrfd_2.5g_bnkps.onnx", [3, 256, 320], 1.0),
    ("yunet_n_320_320.onnx", [3, 320, 320], 127.0),
    ("retinaface_mnet025_640.onnx", [3, 640, 640], 127.0),
    ("minifasnet_v2_2.7_80.onnx", [3, 80, 80], 127.0),
    ("minifasnet_v1se_4.0_80.onnx", [3, 80, 80], 127.0),
];

#[test]
fn every_path_agrees_with_tract_on_every_model() {
    for (file, input, range) in MODELS {
        let Some(bytes) = model(file) else { continue };
        let image = images([1, input[0], input[1], input[2]]).mapv(|value| value * range);
        let reference = Network::with_options(&bytes, input, &Options::on(Path::Reference)).unwrap();
        let expected = reference.run(image.view()).unwrap();
        for path in [Path::Avx512, Path::Avx2, Path::Portable] {
            let network = match Network::with_options(&bytes, input, &Options::on(path)) {
                Err(InferError::Instructions { .. }) => continue,
                network => network.unwrap(),
            };
            assert_eq!(network.outputs(), reference.outputs(), "{file} on {path:?}");
            let given = network.run(image.view()).unwrap();
            for (output, (given, expected)) in network.outputs().iter().zip(given.iter().zip(&expected)) {
                let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                let error = given.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / largest;
                let (mut dot, mut norms) = (0.0_f64, [0.0_f64; 2]);
                for (&a, &b) in given.iter().zip(expected) {
                    dot += f64::from(a) * f64::from(b);
                    norms[0] += f64::from(a).powi(2);
                    norms[1] += f64::from(b).powi(2);
                }
                let cosine = dot / (norms[0] * norms[1]).sqrt();
                assert!(error <= 1e-4, "{file} on {path:?}, output {}: relative error {error:e}", output.name());
                assert!(cosine >= 0.999_99, "{file} on {path:?}, output {}: cosine {cosine}", output.name());
            }
        }
    }
}

#[test]
fn no_node_of_these_models_is_left_to_tract() {
    for (file, input, _) in MODELS {
        let Some(bytes) = model(file) else { continue };
        let network = Network::from_onnx(&bytes, input).unwrap();
        let left = network.nodes().iter().filter(|node| node.path == NodePath::Reference);
        let left: Vec<_> = left.map(|node| format!("{} {}", node.operator, node.name)).collect();
        assert!(left.is_empty(), "{file}: {left:?}");
    }
}
