use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use ndarray::{ArrayD, ArrayView, ArrayView3, ArrayView4, Axis, Dimension};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefMutIterator, ParallelIterator};
use tract_onnx::Onnx;
use tract_onnx::pb::{GraphProto, ModelProto};

use crate::InferError;
use crate::graph::Graph;
use crate::kernel::memory::View;
use crate::kernel::program::{Program, Step};
use crate::kernel::set::KernelSet;
use crate::lower::lower;
use crate::options::Options;
use crate::proto;
use crate::reference::Runnable;
use crate::refit::refit;
use crate::rewrite::framework;
use crate::wiped::{Wiped, wipe};

/// An ONNX model ready to run.
///
/// It is `Send + Sync`; [`run`](Self::run) takes `&self` and may be called from many threads at once.
pub struct Network {
    input: [usize; 3],
    outputs: Vec<OutputInfo>,
    nodes: Vec<NodeInfo>,
    engine: Engine,
}

/// One output of a [`Network`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputInfo {
    name: String,
    shape: Vec<usize>,
}

/// What a [`Network::run`] made: the outputs in the graph's order, each with the batch as its first axis. They are zeroed
/// when they are dropped, since one may be an embedding.
#[derive(Clone, Default, PartialEq)]
pub struct Outputs(Vec<ArrayD<f32>>);

/// One node of the graph that a [`Network`] was made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeInfo {
    /// The node's name in the graph.
    pub name: String,
    /// The operator's ONNX name.
    pub operator: String,
    /// What runs it.
    pub backend: NodeBackend,
}

/// What runs a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NodeBackend {
    /// This crate's kernels.
    Kernels,
    /// tract.
    Tract,
}

/// One step of a network's run, as [`Network::profile`] measures it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepProfile {
    /// Positions in [`Network::nodes`] of the nodes that the step runs; none where it only moves values.
    pub nodes: Vec<usize>,
    /// Channels, height and width of what it reads first and of what it makes.
    pub extents: [[usize; 3]; 2],
    /// Multiplications with a weight, of which each comes with an addition.
    pub products: usize,
    /// The shortest time of the runs.
    pub time: Duration,
}

enum Engine {
    Kernels(Program),
    Tract(Runnable),
}

impl OutputInfo {
    /// `shape` with the batch, an extent of 1 at the front; an output without one is taken for one image's.
    pub(crate) fn new(name: String, shape: &[usize]) -> Self {
        Self { name, shape: shape.strip_prefix(&[1]).unwrap_or(shape).to_vec() }
    }

    /// The output's name in the graph.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The shape of one image's output, batch excluded.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }
}

impl Deref for Outputs {
    type Target = [ArrayD<f32>];

    fn deref(&self) -> &[ArrayD<f32>] {
        &self.0
    }
}

impl<'a> IntoIterator for &'a Outputs {
    type Item = &'a ArrayD<f32>;
    type IntoIter = std::slice::Iter<'a, ArrayD<f32>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl Drop for Outputs {
    fn drop(&mut self) {
        // Each was made in one piece, so that it is a slice.
        self.0.iter_mut().filter_map(|output| output.as_slice_memory_order_mut()).for_each(wipe);
    }
}

/// No embedding in any log: the shapes are shown, not the values.
impl fmt::Debug for Outputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(ArrayD::shape)).finish()
    }
}

/// The extents that a model declares for its image, batch first, `None` for those that it leaves open; nothing where it
/// declares none. A model that takes its channels last declares them so, and is not one that a [`Network`] runs.
pub fn declared_input(onnx: &[u8]) -> Result<Vec<Option<usize>>, InferError> {
    let model = proto::decode(&framework(), onnx)?;
    let Some(graph) = &model.graph else {
        return Err(InferError::Decode { detail: "it holds no graph".into() });
    };
    let extents = proto::declared_extents(proto::only_input(graph)?).unwrap_or_default();
    Ok(extents.into_iter().map(|extent| extent.and_then(|extent| usize::try_from(extent).ok())).collect())
}

impl Network {
    /// Reads an ONNX model and readies it for images of one shape.
    ///
    /// `input` is the shape of one image, batch excluded: channels, height, width, e.g. `[3, 112, 112]`. Where the
    /// graph fixes an extent it has to agree; extents that the graph leaves open are fixed to it.
    pub fn from_onnx(bytes: &[u8], input: [usize; 3]) -> Result<Self, InferError> {
        Self::with_options(bytes, input, &Options::default())
    }

    /// As [`from_onnx`](Self::from_onnx), with a say in how the network runs.
    pub fn with_options(bytes: &[u8], input: [usize; 3], options: &Options) -> Result<Self, InferError> {
        let onnx = framework();
        let mut model = proto::decode(&onnx, bytes)?;
        if options.refit {
            refit(&onnx, &mut model, input);
        }
        let Some(graph) = &model.graph else {
            return Err(InferError::Decode { detail: "it holds no graph".into() });
        };
        let image = proto::only_input(graph)?;
        proto::check_input(image, input)?;
        let kernels = options.backend.isa().map(KernelSet::of);
        if let Ok(known) = Graph::analyse(&onnx, &model, graph, &image.name, input) {
            known.check_sizes()?;
            if let Some(network) = kernels.and_then(|kernels| Self::with_kernels(&known, input, &kernels)) {
                return Ok(network);
            }
        }
        Self::with_tract(onnx, &model, graph, input)
    }

    /// `None` where kernels cannot run the graph, even with tract's help.
    fn with_kernels(graph: &Graph<'_>, input: [usize; 3], kernels: &KernelSet) -> Option<Self> {
        let outputs = graph.proto.output.iter().map(|output| {
            let shape = graph.shape(&output.name).filter(|_| graph.is_float(&output.name))?;
            Some(OutputInfo::new(output.name.clone(), shape))
        });
        let outputs = outputs.collect::<Option<Vec<_>>>()?;
        let lowered = lower(graph, input).ok()?;
        let backend = |own: &bool| if *own { NodeBackend::Kernels } else { NodeBackend::Tract };
        let nodes = nodes(graph.proto, lowered.own.iter().map(backend));
        let program = crate::plan::program(kernels, lowered.layers, lowered.input)?;
        Some(Self { input, outputs, nodes, engine: Engine::Kernels(program) })
    }

    fn with_tract(onnx: Onnx, model: &ModelProto, proto: &GraphProto, input: [usize; 3]) -> Result<Self, InferError> {
        let [c, h, w] = input;
        let runnable = Runnable::new(onnx, model, &[vec![1, c, h, w]])?;
        let names: Vec<String> = proto.output.iter().map(|output| output.name.clone()).collect();
        let outputs = runnable.outputs(&names)?;
        let nodes = nodes(proto, std::iter::repeat(NodeBackend::Tract));
        Ok(Self { input, outputs, nodes, engine: Engine::Tract(runnable) })
    }

    /// The shape of one image, batch excluded: channels, height, width.
    #[must_use]
    pub fn input_shape(&self) -> [usize; 3] {
        self.input
    }

    /// The outputs, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[OutputInfo] {
        &self.outputs
    }

    /// The graph's nodes, in its order, and what runs each.
    #[must_use]
    pub fn nodes(&self) -> &[NodeInfo] {
        &self.nodes
    }

    /// Runs a batch of images, N x C x H x W with N at least 1. Gives each output, in the graph's order, with the batch
    /// as its first axis.
    #[expect(clippy::needless_pass_by_value, reason = "a view is a reference")]
    pub fn run(&self, input: ArrayView4<'_, f32>) -> Result<Outputs, InferError> {
        self.run_with(1, &input)
    }

    /// As [`run`](Self::run), with all threads of the current rayon pool (the one whose `install` this is called in, or
    /// else the global one): for one image they share the work, for a batch of as many images as there are threads or
    /// more, each takes images of its own. The results are the same.
    #[expect(clippy::needless_pass_by_value, reason = "a view is a reference")]
    pub fn run_parallel(&self, input: ArrayView4<'_, f32>) -> Result<Outputs, InferError> {
        self.run_with(rayon::current_num_threads(), &input)
    }

    fn run_with(&self, threads: usize, input: &ArrayView4<'_, f32>) -> Result<Outputs, InferError> {
        let (n, c, h, w) = input.dim();
        if n == 0 || [c, h, w] != self.input {
            return Err(InferError::InputShape { expected: self.input, given: [n, c, h, w] });
        }
        let zeros = self.outputs.iter().map(|output| ArrayD::zeros([&[n], output.shape()].concat()));
        let mut outputs = Outputs(zeros.collect());
        let run = |threads: usize, index: usize, outputs: &mut [&mut [f32]]| {
            let image = input.index_axis(Axis(0), index);
            in_order(&image, |image| self.run_one(threads, image, outputs))
        };
        let mut rows: Vec<Vec<&mut [f32]>> = (0..n).map(|_| Vec::new()).collect();
        for output in &mut outputs.0 {
            for (rows, row) in rows.iter_mut().zip(output.outer_iter_mut()) {
                rows.extend(row.into_slice());
            }
        }
        if threads > 1 && n >= threads {
            rows.par_iter_mut().enumerate().try_for_each(|(index, rows)| run(1, index, rows))?;
        } else {
            rows.iter_mut().enumerate().try_for_each(|(index, rows)| run(threads, index, rows))?;
        }
        drop(rows);
        Ok(outputs)
    }

    /// Times each step of the kernels over some runs of one image, plain C x H x W; nothing where tract runs the whole
    /// graph.
    #[expect(clippy::needless_pass_by_value, reason = "a view is a reference")]
    pub fn profile(&self, image: ArrayView3<'_, f32>, runs: usize) -> Result<Vec<StepProfile>, InferError> {
        let (c, h, w) = image.dim();
        if [c, h, w] != self.input {
            return Err(InferError::InputShape { expected: self.input, given: [1, c, h, w] });
        }
        let Engine::Kernels(program) = &self.engine else { return Ok(Vec::new()) };
        let times = in_order(&image, |image| program.profile(image, runs))?;
        let extents = |views: &[View]| views.first().map_or([0; 3], |view| [view.channels, view.height, view.width]);
        let profile = |(step, time): (&Step, Duration)| StepProfile {
            nodes: step.nodes.clone(),
            extents: [extents(&step.from), extents(&step.to)],
            products: step.products,
            time,
        };
        Ok(program.steps().iter().zip(times).map(profile).collect())
    }

    fn run_one(&self, threads: usize, image: &[f32], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        let runnable = match &self.engine {
            Engine::Kernels(program) => return program.run(threads, image, outputs),
            Engine::Tract(runnable) => runnable,
        };
        let [c, h, w] = self.input;
        runnable.run(&[(&[1, c, h, w], image)], outputs)
    }
}

/// Gives an array's values in the order of their indices to `work`: borrowed where they lie so.
pub(crate) fn in_order<D: Dimension, T>(array: &ArrayView<'_, f32, D>, work: impl FnOnce(&[f32]) -> T) -> T {
    if let Some(values) = array.as_slice() {
        return work(values);
    }
    let mut values = Wiped::zeroed(array.len());
    values.iter_mut().zip(array).for_each(|(to, from)| *to = *from);
    work(&values)
}

fn nodes(proto: &GraphProto, backends: impl Iterator<Item = NodeBackend>) -> Vec<NodeInfo> {
    let info = |(node, backend): (&tract_onnx::pb::NodeProto, NodeBackend)| NodeInfo {
        name: node.name.clone(),
        operator: node.op_type.clone(),
        backend,
    };
    proto.node.iter().zip(backends).map(info).collect()
}
