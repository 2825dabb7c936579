//! Names for what is added to a graph.

use std::collections::HashSet;

use tract_onnx::pb::GraphProto;

/// The names of a graph's values and nodes.
pub(crate) struct Names {
    taken: HashSet<String>,
    /// How often a name was taken already: names that are tried never come again, however many a file takes on purpose.
    clashes: usize,
}

impl Names {
    pub(crate) fn of(graph: &GraphProto) -> Self {
        let values = graph.node.iter().flat_map(|node| node.input.iter().chain(&node.output));
        let nodes = graph.node.iter().map(|node| &node.name);
        let declared = graph.input.iter().chain(&graph.output).map(|value| &value.name);
        let tensors = graph.initializer.iter().map(|tensor| &tensor.name);
        Self { taken: values.chain(nodes).chain(declared).chain(tensors).cloned().collect(), clashes: 0 }
    }

    /// A name that no value and no node has yet.
    pub(crate) fn fresh(&mut self, of: &str, what: &str) -> String {
        let mut name = format!("{of}.{what}");
        while !self.taken.insert(name.clone()) {
            self.clashes += 1;
            name = format!("{of}.{what}.{}", self.clashes);
        }
        name
    }
}
