//! The models that are compiled in with the feature `builtin`; the manifest says what they are.

#[cfg(feature = "builtin")]
const FILES: &[(&str, &[u8])] = &[
    ("detector.onnx", include_bytes!("../models/detector.onnx")),
    ("embedder.onnx", include_bytes!("../models/embedder.onnx")),
    ("occlusion.onnx", include_bytes!("../models/occlusion.onnx")),
];
#[cfg(not(feature = "builtin"))]
const FILES: &[(&str, &[u8])] = &[];

/// The ONNX bytes of a model by its file's name.
pub(crate) fn bytes(file: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(name, _)| *name == file).map(|(_, bytes)| *bytes)
}
