//! Graphs that bytes choose, of operators that networks are made of: what runs on the kernels gives what tract gives.

mod builder;

use clearlane_infer::{Backend, Outputs};
use ndarray::ArrayBase;

use crate::Steer;
use crate::onnx::{finite, run};
use builder::Builder;

/// The most nodes of a graph.
const NODES: usize = 14;

/// The bytes choose a graph. Where tract gives finite values, the kernels give the same, within the error of single precision.
pub(crate) fn graphs(bytes: &[u8]) {
    let mut steer = Steer::new(bytes);
    let input = [1 + steer.below(20), 1 + steer.below(14), 1 + steer.below(14)];
    let mut graph = Builder::new(steer, input);
    for _ in 0..NODES {
        if graph.steer.is_over() {
            break;
        }
        graph.add();
    }
    // The last value, and sometimes two more, so that values live long.
    let last = graph.values.len() - 1;
    let mut outputs = vec![last];
    for _ in 0..graph.steer.below(3) {
        outputs.push(graph.steer.below(last + 1));
    }
    outputs.sort_unstable();
    outputs.dedup();
    outputs.retain(|at| *at > 0);
    if outputs.is_empty() {
        return;
    }
    let onnx = graph.onnx(&outputs);
    let (ours, theirs) = (run(&onnx, input, Backend::Auto), run(&onnx, input, Backend::Tract));
    let said = || graph.said();
    let Ok(theirs) = theirs else { return };
    let ours = ours.unwrap_or_else(|error| panic!("tract alone runs {}: {error}", said()));
    assert!(ours.iter().map(ArrayBase::shape).eq(theirs.iter().map(ArrayBase::shape)), "{}", said());
    if !finite(&theirs) {
        return;
    }
    assert!(finite(&ours), "finite on tract alone: {}", said());
    if graph.rounds {
        return;
    }
    if error(&ours, &theirs) <= 1e-3 {
        return;
    }
    // Where large values cancel, the error is measured by them.
    let all: Vec<usize> = (1..graph.values.len()).collect();
    let largest = run(&graph.onnx(&all), input, Backend::Tract).map_or(f32::INFINITY, |values| {
        values.iter().flatten().fold(1.0, |largest: f32, value| largest.max(value.abs()))
    });
    if error(&ours, &theirs) <= 1e-5 * largest {
        return;
    }
    // The shortest graph that says it.
    let differs = |at: &usize| {
        let onnx = graph.onnx(&[*at]);
        let runs = [Backend::Auto, Backend::Tract].map(|backend| run(&onnx, input, backend));
        matches!(runs, [Ok(ours), Ok(theirs)] if error(&ours, &theirs) > 1e-3)
    };
    let first = all.iter().find(|at| differs(at)).map(|at| &graph.values[*at]);
    panic!(
        "error {} where the largest value is {largest}, first in {first:?}: {} of {:?}",
        error(&ours, &theirs),
        said(),
        graph.values
    );
}

/// The largest difference of two values, of the expected one or of 1.
fn error(ours: &Outputs, theirs: &Outputs) -> f32 {
    let pairs = ours.iter().zip(theirs.iter()).flat_map(|(ours, theirs)| ours.iter().zip(theirs.iter()));
    pairs.map(|(ours, theirs)| (ours - theirs).abs() / theirs.abs().max(1.0)).fold(0.0, f32::max)
}
