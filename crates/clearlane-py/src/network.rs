//! ONNX networks on arrays.

use std::path::PathBuf;
use std::str::FromStr as _;

use clearlane_infer::{Backend, NodeBackend, Options};
use clearlane_template::shown;
use numpy::ndarray::Ix4;
use numpy::{IntoPyArray as _, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyBytesMethods};

use crate::failure::{Failure, Fault, Result, detached};
use crate::pictures::floats;

/// An ONNX network that takes one batch of images, ready to run from any number of threads.
///
/// onnx: the file, or its bytes.
/// input: channels, height and width of one image.
/// backend: "auto" (the widest instructions that the processor has), "tract" (the reference for every node), or an instruction
///     set by name, such as "portable"; an error lists those that the processor has.
/// refit: whether to make a graph over that fixes another height and width; detectors and other convolutions allow it.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Network(clearlane_infer::Network);

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (onnx, input, *, backend="auto", refit=false))]
    fn new(onnx: &Bound<'_, PyAny>, input: [usize; 3], backend: &str, refit: bool) -> Result<Self> {
        let backend = Backend::from_str(backend).map_err(|error| Failure::input(format!("backend: {error}")))?;
        let options = Options::on(backend);
        let options = if refit { options.refitted() } else { options };
        let given = onnx.cast::<PyBytes>().ok().map(PyBytesMethods::as_bytes);
        let path = if given.is_some() { None } else { Some(onnx.extract::<PathBuf>()?) };
        detached(onnx.py(), || {
            let read = path.map(|path| {
                let unread = |error| Failure::Ours(Fault::Configuration, format!("{}: {error}", shown(&path)));
                std::fs::read(&path).map_err(unread)
            });
            let read = read.transpose()?;
            let bytes = read.as_deref().or(given).unwrap_or_default();
            Ok(Self(clearlane_infer::Network::with_options(bytes, input, &options)?))
        })
    }

    /// Runs a batch of images, an array of float32, N x channels x height x width. Returns a list of arrays of float32, one
    /// for each output, with the batch as its first axis. `parallel`: whether to use all processors.
    #[pyo3(signature = (images, *, parallel=false))]
    fn run<'py>(&self, images: &Bound<'py, PyAny>, parallel: bool) -> Result<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        let [channels, height, width] = self.0.input_shape();
        let expected = format!("an array of float32, shape [N, {channels}, {height}, {width}] with N of 1 at least");
        let array = floats(
            "images",
            images,
            &expected,
            |shape| matches!(*shape, [count, c, h, w] if count > 0 && [c, h, w] == [channels, height, width]),
        )?;
        let batch = array.as_array().into_dimensionality::<Ix4>();
        let batch = batch.map_err(|error| Failure::internal(error.to_string()))?;
        let outputs = detached(images.py(), || {
            let run = if parallel { self.0.run_parallel(batch) } else { self.0.run(batch) };
            Ok(run?)
        })?;
        Ok(outputs.iter().map(|output| output.clone().into_pyarray(images.py())).collect())
    }

    /// Channels, height and width of one image.
    #[getter]
    fn input_shape(&self) -> (usize, usize, usize) {
        self.0.input_shape().into()
    }

    /// The outputs in the graph's order: name and shape, batch excluded.
    #[getter]
    fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        self.0.outputs().iter().map(|output| (output.name().to_owned(), output.shape().to_vec())).collect()
    }

    /// The graph's nodes in its order: name, operator, and "kernels" for clearlane's own or "tract".
    #[getter]
    fn nodes(&self) -> Vec<(String, String, &'static str)> {
        let backend = |node| if node == NodeBackend::Kernels { "kernels" } else { "tract" };
        let nodes = self.0.nodes().iter();
        nodes.map(|node| (node.name.clone(), node.operator.clone(), backend(node.backend))).collect()
    }

    fn __repr__(&self) -> String {
        format!("Network(input_shape={:?}, outputs={})", self.input_shape(), self.0.outputs().len())
    }
}
