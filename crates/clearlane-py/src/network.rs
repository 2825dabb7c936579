//! ONNX networks on arrays.

use clearlane_infer::{NodePath, Options, Path};
use numpy::ndarray::Ix4;
use numpy::{IntoPyArray as _, PyArrayDyn};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::ThreadPool;
use std::path::PathBuf;

use crate::failure::{Failure, Fault, Result, detached};
use crate::pictures::floats;

/// An ONNX network that takes one batch of images, ready to run from any number of threads.
///
/// onnx: the file, or its bytes.
/// input: channels, height and width of one image.
/// backend: "auto" (the widest instructions that the processor has), "avx512", "avx-vnni", "avx2", "neon", "portable" or
///     "reference" (tract).
/// refit: whether to make a graph over that fixes another height and width; detectors and other convolutions allow it.
/// threads: how many threads a run uses; 0 for one for each processor.
#[pyclass(frozen, module = "clearlane")]
pub(crate) struct Network {
    network: clearlane_infer::Network,
    pool: Option<ThreadPool>,
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (onnx, input, *, backend="auto", refit=false, threads=1))]
    fn new(onnx: &Bound<'_, PyAny>, input: [usize; 3], backend: &str, refit: bool, threads: usize) -> Result<Self> {
        let backend = match backend {
            "auto" => Path::Auto,
            "avx512" => Path::Avx512,
            "avx-vnni" => Path::AvxVnni,
            "avx2" => Path::Avx2,
            "neon" => Path::Neon,
            "portable" => Path::Portable,
            "reference" => Path::Reference,
            _ => return Err(Failure::input(format!("backend: expected \"auto\" or one by name, got {backend:?}"))),
        };
        let options = if refit { Options::on(backend).refitted() } else { Options::on(backend) };
        let given = onnx.cast::<PyBytes>().ok().map(|bytes| bytes.as_bytes());
        let path = if given.is_some() { None } else { Some(onnx.extract::<PathBuf>()?) };
        detached(onnx.py(), || {
            let read = path.map(|path| {
                let unread = |error| Failure::Ours(Fault::Configuration, format!("{}: {error}", path.display()));
                std::fs::read(&path).map_err(unread)
            });
            let read = read.transpose()?;
            let bytes = read.as_deref().or(given).unwrap_or_default();
            let network = clearlane_infer::Network::with_options(bytes, input, &options)?;
            let pool = || {
                let built = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
                built.map_err(|error| Failure::input(format!("threads: {error}")))
            };
            Ok(Self { network, pool: if threads == 1 { None } else { Some(pool()?) } })
        })
    }

    /// Runs a batch of images, an array of float32, N x channels x height x width. Returns a list of arrays of float32, one
    /// for each output, with the batch as its first axis.
    fn run<'py>(&self, images: &Bound<'py, PyAny>) -> Result<Vec<Bound<'py, PyArrayDyn<f32>>>> {
        let [channels, height, width] = self.network.input_shape();
        let expected = format!("an array of float32, shape [N, {channels}, {height}, {width}] with N of 1 at least");
        let array = floats("images", images, &expected, |shape| {
            matches!(*shape, [count, c, h, w] if count > 0 && [c, h, w] == [channels, height, width])
        })?;
        let batch = array.as_array().into_dimensionality::<Ix4>();
        let batch = batch.map_err(|error| Failure::internal(error.to_string()))?;
        let outputs = detached(images.py(), || {
            Ok(match &self.pool {
                Some(pool) => self.network.run_on(pool, batch)?,
                None => self.network.run(batch)?,
            })
        })?;
        Ok(outputs.iter().map(|output| output.clone().into_pyarray(images.py())).collect())
    }

    /// Channels, height and width of one image.
    #[getter]
    fn input_shape(&self) -> (usize, usize, usize) {
        self.network.input_shape().into()
    }

    /// The outputs in the graph's order: name and shape, batch excluded.
    #[getter]
    fn outputs(&self) -> Vec<(String, Vec<usize>)> {
        self.network.outputs().iter().map(|output| (output.name().to_owned(), output.shape().to_vec())).collect()
    }

    /// The graph's nodes in its order: name, operator, and "fused" for clearlane's kernels or "reference" for tract.
    #[getter]
    fn nodes(&self) -> Vec<(String, String, &'static str)> {
        let backend = |path| if path == NodePath::Fused { "fused" } else { "reference" };
        let nodes = self.network.nodes().iter();
        nodes.map(|node| (node.name.clone(), node.operator.clone(), backend(node.path))).collect()
    }

    fn __repr__(&self) -> String {
        format!("Network(input_shape={:?}, outputs={})", self.input_shape(), self.network.outputs().len())
    }
}
