/// Why a model did not load, or did not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InferError {
    /// The bytes do not decode as an ONNX model: another kind of file, or one that was cut short.
    #[error("the bytes are not a whole ONNX model: {detail}")]
    Decode {
        /// What the decoder met.
        detail: String,
    },
    /// The model keeps a tensor in another file. A model is one sequence of bytes here.
    #[error("tensor `{tensor}` lies in another file; save the model with its weights inside")]
    ExternalData {
        /// The tensor's name in the graph.
        tensor: String,
    },
    /// A tensor's extents and the bytes stored for it disagree.
    #[error("tensor `{tensor}` has extents {extents:?}, which its stored data do not fill")]
    TensorSize {
        /// The tensor's name in the graph.
        tensor: String,
        /// The extents that the file states.
        extents: Vec<i64>,
    },
    /// A value of the graph would take more memory than a network is allowed to.
    #[error("value `{value}` would have the extents {extents:?}, which is more than a network may take")]
    TooLarge {
        /// The value's name in the graph.
        value: String,
        /// Its extents for one image.
        extents: Vec<usize>,
    },
    /// A convolution's or pooling's window is beyond what image networks have.
    #[error("node `{node}` has a window, stride, dilation or padding of {number}; {limit} is the most")]
    Window {
        /// The node's name in the graph.
        node: String,
        /// The number in the file.
        number: i64,
        /// The most that is taken.
        limit: u64,
    },
    /// No operator of this name is known.
    #[error("node `{node}` uses the operator {operator}, which is not supported")]
    UnknownOperator {
        /// The operator's ONNX name, with its domain unless that is the default one.
        operator: String,
        /// The node's name in the graph.
        node: String,
    },
    /// The graph itself is wrong: an edge to nowhere, extents that do not fit, a missing attribute.
    #[error("the graph does not hold together: {detail}")]
    Graph {
        /// Where, and what.
        detail: String,
    },
    /// The model does not take exactly one tensor.
    #[error("the model has {found} inputs; one image batch is expected")]
    InputCount {
        /// How many the graph declares.
        found: usize,
    },
    /// The graph's input cannot have the wanted shape.
    #[error("the model's input is declared as {declared} and cannot be 1 x {wanted:?}")]
    DeclaredInput {
        /// The declared extents, `?` where the model leaves one open.
        declared: String,
        /// The wanted shape of one input: channels, height, width.
        wanted: [usize; 3],
    },
    /// The CPU does not have the instructions of the wanted path.
    #[error("this CPU does not have the instructions of {path:?}")]
    Instructions {
        /// The path that was asked for.
        path: crate::Path,
    },
    /// An output is not made of 32-bit floats.
    #[error("output `{output}` is of type {found}; 32-bit floats are expected")]
    OutputType {
        /// The output's name.
        output: String,
        /// Its element type.
        found: String,
    },
    /// The batch handed to [`Network::run`](crate::Network::run) has another shape than the network was made for.
    #[error("the input is {given:?}; a batch of at least one of {expected:?} is expected")]
    InputShape {
        /// The shape of one input: channels, height, width.
        expected: [usize; 3],
        /// The shape that was handed in, batch first.
        given: [usize; 4],
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
    #[error(transparent)]
    Model(#[from] InferError),
    /// There is nothing to calibrate with.
    #[error("there is no image to calibrate with")]
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
    #[error("the model has no convolution and no matrix product with constant weights")]
    NothingToQuantise,
    /// The quantised graph needs a newer operator set, in which an operator of the model means something else.
    #[error(
        "the model is of operator set {version}; its {operator} is not the one of set 13, which quantisation needs"
    )]
    OperatorSet {
        /// The model's operator set.
        version: i64,
        /// The operator's ONNX name.
        operator: String,
    },
    /// A value became infinite or no number on an image.
    #[error("value `{value}` is not finite on these images")]
    NotFinite {
        /// The value's name in the graph.
        value: String,
    },
}
