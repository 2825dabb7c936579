//! The kernels against tract's plain output, for the models that lanes are built with.

mod common;

use clearlane_infer::{Network, NodeBackend};
use common::{assert_every_backend_agrees, images, model};

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
fn every_backend_agrees_with_tract_on_every_model() {
    for (file, input, range) in MODELS {
        let Some(bytes) = model(file) else { continue };
        let image = images([1, input[0], input[1], input[2]]).mapv(|value| value * range);
        assert_every_backend_agrees(file, &bytes, image.view());
    }
}

#[test]
fn no_node_of_these_models_is_left_to_tract() {
    for (file, input, _) in MODELS {
        let Some(bytes) = model(file) else { continue };
        let network = Network::from_onnx(&bytes, input).unwrap();
        let left = network.nodes().iter().filter(|node| node.backend == NodeBackend::Tract);
        let left: Vec<_> = left.map(|node| format!("{} {}", node.operator, node.name)).collect();
        assert!(left.is_empty(), "{file}: {left:?}");
    }
}
