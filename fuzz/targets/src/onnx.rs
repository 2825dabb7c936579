//! ONNX bytes: whatever loads runs, and gives what the reference gives.

use clearlane_infer::{Backend, Network, Options, Outputs, declared_input};
use ndarray::{Array4, ArrayBase};

/// The most values of an image.
const MOST: usize = 1 << 14;

/// The shape that the model declares, where it is small; open extents are 8.
fn input(bytes: &[u8]) -> [usize; 3] {
    let declared = declared_input(bytes).unwrap_or_default();
    let extents: Vec<usize> = declared.iter().map(|extent| extent.unwrap_or(8)).collect();
    match extents[..] {
        [_, c, h, w] if c.saturating_mul(h).saturating_mul(w) <= MOST => [c, h, w],
        _ => [3, 8, 8],
    }
}

/// An image of values in ±1, always the same.
pub(crate) fn image([c, h, w]: [usize; 3]) -> Array4<f32> {
    let mut state = 1_u64;
    Array4::from_shape_simple_fn((1, c, h, w), || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
    })
}

/// The outputs of one image on a backend, or why there are none.
pub(crate) fn run(bytes: &[u8], input: [usize; 3], backend: Backend) -> Result<Outputs, String> {
    let network = Network::with_options(bytes, input, &Options::on(backend)).map_err(|error| error.to_string())?;
    let outputs = network.run(image(input).view()).map_err(|error| error.to_string())?;
    for (info, output) in network.outputs().iter().zip(outputs.iter()) {
        assert_eq!(&output.shape()[1..], info.shape(), "{}", info.name());
    }
    Ok(outputs)
}

/// Whether all values of all outputs are numbers.
pub(crate) fn finite(outputs: &Outputs) -> bool {
    outputs.iter().flatten().all(|value| value.is_finite())
}

/// The bytes are a model. Where it runs on the kernels and on tract, finite values on tract are finite on the kernels, and shapes are
/// the same.
pub(crate) fn onnx(bytes: &[u8]) {
    if bytes.len() > 1 << 16 {
        return;
    }
    let input = input(bytes);
    let Ok(ours) = run(bytes, input, Backend::Auto) else { return };
    let Ok(theirs) = run(bytes, input, Backend::Tract) else { return };
    assert!(ours.iter().map(ArrayBase::shape).eq(theirs.iter().map(ArrayBase::shape)));
    assert!(!finite(&theirs) || finite(&ours), "finite on tract alone");
}
