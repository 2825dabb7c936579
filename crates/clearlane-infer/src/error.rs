use clearlane_simd::Isa;

/// Why a model did not load, or did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// The bytes do not decode as an ONNX model: another kind of file, or one that was cut short.
    #[error("expected a whole ONNX model, got other or truncated bytes: {detail}")]
    Decode {
        /// What the decoder met.
        detail: String,
    },
    /// The model keeps a tensor in another file. A model is one sequence of bytes here.
    #[error("tensor `{tensor}` is stored in another file: save the model with its weights inside")]
    ExternalData {
        /// The tensor's name in the graph.
        tensor: String,
    },
    /// A tensor's extents and the bytes stored for it disagree.
    #[error("tensor `{tensor}`: expected data for the extents {extents:?}, got more or less")]
    TensorSize {
        /// The tensor's name in the graph.
        tensor: String,
        /// The extents that the file states.
        extents: Vec<i64>,
    },
    /// A value of the graph would take more memory than a network is allowed to.
    #[error("value `{value}` has extents {extents:?}, more than the limit of 2^28 elements")]
    TooLarge {
        /// The value's name in the graph.
        value: String,
        /// Its extents for one image.
        extents: Vec<usize>,
    },
    /// A convolution's or pooling's window, stride, dilation or padding is out of range.
    #[error("node `{node}`: expected a window, stride, dilation and padding of at most {limit}, got {number}")]
    Window {
        /// The node's name in the graph.
        node: String,
        /// The number in the file.
        number: i64,
        /// The most that is taken.
        limit: u64,
    },
    /// The model uses an operator that is not supported.
    #[error("node `{node}`: unsupported operator {operator}")]
    UnknownOperator {
        /// The operator's ONNX name, with its domain unless that is the default one.
        operator: String,
        /// The node's name in the graph.
        node: String,
    },
    /// The graph itself is wrong: an edge to nowhere, extents that do not fit, a missing attribute.
    #[error("invalid graph: {detail}")]
    Graph {
        /// Where, and what.
        detail: String,
    },
    /// The model does not take exactly one tensor.
    #[error("expected a model with one input, a batch of images, got {found} inputs")]
    InputCount {
        /// How many the graph declares.
        found: usize,
    },
    /// The graph's input is declared with another shape than the network is to be made for.
    #[error("expected a model whose input can be 1 x {expected:?}, got one declared as {declared}")]
    DeclaredInput {
        /// The declared extents, `?` where the model leaves one open.
        declared: String,
        /// The shape of one input that was asked for: channels, height, width.
        expected: [usize; 3],
    },
    /// An output is not made of 32-bit floats.
    #[error("output `{output}`: expected 32-bit floats, got {found}")]
    OutputType {
        /// The output's name.
        output: String,
        /// Its element type.
        found: String,
    },
    /// The batch handed to [`Network::run`](crate::Network::run) has another shape than the network was made for.
    #[error("expected a batch of at least one {expected:?}, got {given:?}")]
    InputShape {
        /// The shape of one input: channels, height, width.
        expected: [usize; 3],
        /// The shape that was handed in, batch first.
        given: [usize; 4],
    },
    /// The system gave no memory for a run.
    #[error("the system refused {bytes} bytes of memory for a run of the network")]
    OutOfMemory {
        /// How much was asked for.
        bytes: usize,
    },
    /// A node failed while running.
    #[error("the network failed while running: {detail}")]
    Run {
        /// Where, and what.
        detail: String,
    },
}

/// Why a model was not quantised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QuantiseError {
    /// The model does not load, or does not run on the images.
    #[error("the model does not run on the calibration images")]
    Model(#[from] InferError),
    /// There is nothing to calibrate with.
    #[error("expected at least one image to calibrate with, got none")]
    NoImages,
    /// The model is quantised already.
    #[error("the model is quantised already: node `{node}` is a {operator}")]
    AlreadyQuantised {
        /// The operator's ONNX name.
        operator: String,
        /// The node's name in the graph.
        node: String,
    },
    /// No node is a convolution or matrix product with weights of the model.
    #[error("expected a convolution or matrix product with constant weights, got a model without one")]
    NothingToQuantise,
    /// The quantised graph needs a newer operator set, in which an operator of the model means something else.
    #[error("expected operator set 13 or an equivalent {operator}, got operator set {version}: export the model anew")]
    OperatorSet {
        /// The model's operator set.
        version: i64,
        /// The operator's ONNX name.
        operator: String,
    },
    /// A value became infinite or no number on an image.
    #[error("value `{value}` is infinite or not a number on the calibration images")]
    NotFinite {
        /// The value's name in the graph.
        value: String,
    },
}

/// Why there is no [`Backend`](crate::Backend) of a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownBackend {
    /// There are kernels for this instruction set, and the processor does not have it.
    #[error("this processor has no {isa}; it has {}", Isa::available().into_iter().map(Isa::name).collect::<Vec<_>>().join(", "))]
    Processor {
        /// One of [`Isa::NAMES`].
        isa: &'static str,
    },
    /// No backend has this name.
    #[error("expected one of auto, tract, {}, got {name:?}", Isa::NAMES.join(", "))]
    Name {
        /// The name as it was given.
        name: String,
    },
}
