//! `Gelu` where a graph spells it out, as exports of opsets before 20 do: x · (1 + erf(x / √2)) / 2, halved first or last.

use std::collections::{HashMap, HashSet};
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

use tract_onnx::pb::{GraphProto, NodeProto, TensorProto, tensor_proto::DataType};

use super::node;
use crate::graph::{constants, floats_of};

pub(super) fn join(graph: &mut GraphProto) {
    // A subgraph may read what its node does not name.
    if graph.node.iter().any(|node| node.attribute.iter().any(|attribute| attribute.g.is_some())) {
        return;
    }
    let (found, joined) = {
        let spelled = Spelled::of(graph);
        let erf = |(index, node): (usize, &NodeProto)| (node.op_type == "Erf").then(|| spelled.around(index)).flatten();
        let found: Vec<Gelu> = graph.node.iter().enumerate().filter_map(erf).collect();
        let joined: HashSet<usize> = found.iter().flat_map(|gelu| gelu.nodes.iter().copied()).collect();
        (found, joined)
    };
    for gelu in found {
        let last = gelu.nodes.iter().copied().max().unwrap_or_default();
        let old = &graph.node[last];
        graph.node[last] = NodeProto { name: old.name.clone(), ..node("Gelu", vec![gelu.from], &gelu.to) };
    }
    let mut index = 0;
    graph.node.retain(|node| {
        index += 1;
        node.op_type == "Gelu" || !joined.contains(&(index - 1))
    });
}

/// The nodes that make a `Gelu`, what they read and what they give.
struct Gelu {
    nodes: Vec<usize>,
    from: String,
    to: String,
}

struct Spelled<'a> {
    graph: &'a GraphProto,
    scalars: HashMap<&'a str, f32>,
    makers: HashMap<&'a str, usize>,
    /// The only reader of a value.
    readers: HashMap<&'a str, usize>,
}

impl<'a> Spelled<'a> {
    fn of(graph: &'a GraphProto) -> Self {
        // One with more axes would give them to what it is combined with.
        let scalar = |(name, tensor): (_, &'a TensorProto)| match floats_of(tensor)[..] {
            [value] if tensor.data_type == DataType::Float as i32 && tensor.dims.len() <= 1 => Some((name, value)),
            _ => None,
        };
        let mut readers: HashMap<&str, Option<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for value in &node.input {
                readers.entry(value).and_modify(|reader| *reader = None).or_insert(Some(index));
            }
        }
        graph.output.iter().for_each(|output| {
            readers.insert(&output.name, None);
        });
        let makers = graph.node.iter().enumerate();
        Self {
            graph,
            scalars: constants(graph).into_iter().filter_map(scalar).collect(),
            makers: makers.flat_map(|(index, node)| node.output.iter().map(move |to| (to.as_str(), index))).collect(),
            readers: readers.into_iter().filter_map(|(value, reader)| Some((value, reader?))).collect(),
        }
    }

    /// What a node with this operator, one of whose operands is about this constant, does it to.
    fn with(&self, index: usize, operator: &str, constant: f32) -> Option<&'a str> {
        let node = &self.graph.node[index];
        let [a, b] = &node.input[..] else { return None };
        let is =
            |value: &str| self.scalars.get(value).is_some_and(|scalar| (scalar - constant).abs() < 1e-4 * constant);
        match (node.op_type == operator, is(a), is(b)) {
            (true, _, true) => Some(a),
            (true, true, _) if operator != "Div" => Some(b),
            _ => None,
        }
    }

    /// The node that alone reads what a node gives.
    fn after(&self, index: usize) -> Option<usize> {
        self.readers.get(self.graph.node[index].output.first()?.as_str()).copied()
    }

    /// The `Gelu` about an error function.
    fn around(&self, erf: usize) -> Option<Gelu> {
        let scaled = *self.makers.get(self.graph.node[erf].input.first()?.as_str())?;
        let from = self.with(scaled, "Div", SQRT_2).or_else(|| self.with(scaled, "Mul", FRAC_1_SQRT_2))?;
        self.after(scaled).filter(|&reader| reader == erf)?;
        let sum = self.after(erf)?;
        self.with(sum, "Add", 1.0)?;
        let product = self.after(sum)?;
        let [a, b] = &self.graph.node[product].input[..] else { return None };
        let sum_is = self.graph.node[sum].output.first()?;
        let other = if a == sum_is { b } else { a };
        let mut nodes = vec![scaled, erf, sum, product];
        let last = if other == from {
            let half = self.after(product)?;
            self.with(half, "Mul", 0.5)?;
            nodes.push(half);
            half
        } else {
            let half = *self.makers.get(other.as_str())?;
            self.after(half).filter(|&reader| reader == product)?;
            self.with(half, "Mul", 0.5).filter(|halved| *halved == from)?;
            nodes.push(half);
            product
        };
        let is_product = self.graph.node[product].op_type == "Mul" && (nodes.iter().max() == Some(&last));
        let to = self.graph.node[last].output.first()?.clone();
        is_product.then(|| Gelu { nodes, from: from.to_owned(), to })
    }
}
