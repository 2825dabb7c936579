//! A network as a sequence of operators over one arena.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dense::Dense;
use super::depthwise::Depthwise;
use super::layout::{Copy, Resize, Softmax, ToRows, fill_halo};
use super::memory::{Arena, View};
use super::rowwise::{Combine, Pool};
use crate::InferError;

/// What an operator does.
pub(crate) enum Operator {
    Dense(Dense),
    Depthwise(Depthwise),
    Combine(Combine),
    Pool(Pool),
    Resize(Resize),
    /// Copies into disjoint channels of one tensor.
    Copy(Vec<Copy>),
    ToRows(ToRows),
    Softmax(Softmax),
    Foreign(Arc<dyn Foreign>),
}

/// An operator that is no kernel of this crate: flat tensors in, flat tensors out.
pub(crate) trait Foreign: Send + Sync {
    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<(), InferError>;
}

/// An operator with the tensors that it reads and writes.
pub(crate) struct Step {
    pub(crate) operator: Operator,
    pub(crate) from: Vec<View>,
    pub(crate) to: Vec<View>,
    /// What the output's halo holds, a value a channel; zeros by default.
    pub(crate) fill: Option<Vec<f32>>,
    /// The graph's nodes that it carries out.
    pub(crate) nodes: Vec<usize>,
    /// Products that are summed up in one run.
    pub(crate) products: usize,
}

/// A network ready to run.
pub(crate) struct Program {
    floats: usize,
    input: View,
    steps: Vec<Step>,
    outputs: Vec<View>,
    arenas: Mutex<Vec<Arena>>,
}

impl Program {
    /// `None` if a tensor lies outside of the `floats` of the arena, or an operator would write what it reads.
    pub(crate) fn new(floats: usize, input: View, steps: Vec<Step>, outputs: Vec<View>) -> Option<Self> {
        let inside = |view: &View| view.start + view.len() <= floats;
        let apart = |a: &View, b: &View| a.start + a.len() <= b.start || b.start + b.len() <= a.start;
        let sound = steps.iter().all(|step| {
            step.from.iter().chain(&step.to).all(inside)
                && step
                    .to
                    .iter()
                    .enumerate()
                    .all(|(index, to)| step.from.iter().chain(&step.to[..index]).all(|other| apart(to, other)))
        });
        let flat = outputs.iter().all(|view| inside(view) && view.is_flat());
        (sound && flat && inside(&input) && input.lanes == 1).then(|| Self {
            floats,
            input,
            steps,
            outputs,
            arenas: Mutex::default(),
        })
    }

    /// Runs one image, plain C x H x W, into the outputs' slices, each as long as its output.
    pub(crate) fn run(&self, image: &[f32], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        let kept = self.arenas.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut arena = kept.unwrap_or_else(|| Arena::new(self.floats));
        let result = self.run_in(&mut arena, image, outputs);
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        result
    }

    fn run_in(&self, arena: &mut Arena, image: &[f32], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        self.load(arena, image);
        for step in &self.steps {
            step.run(arena)?;
        }
        for (view, output) in self.outputs.iter().zip(outputs) {
            output.copy_from_slice(&arena.slice(view)[..output.len()]);
        }
        Ok(())
    }

    /// How long each step takes, in the order of the steps: the shortest of some runs.
    pub(crate) fn profile(&self, image: &[f32], runs: usize) -> Result<Vec<Duration>, InferError> {
        let mut arena = Arena::new(self.floats);
        let mut shortest = vec![Duration::MAX; self.steps.len()];
        for _ in 0..runs {
            self.load(&mut arena, image);
            for (step, shortest) in self.steps.iter().zip(&mut shortest) {
                let start = Instant::now();
                step.run(&mut arena)?;
                *shortest = start.elapsed().min(*shortest);
            }
        }
        Ok(shortest)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn load(&self, arena: &mut Arena, image: &[f32]) {
        let View { channels, height, width, .. } = self.input;
        fill_halo(arena, &self.input, None, 0..height, 0..channels);
        for (index, row) in image.chunks_exact(width).take(channels * height).enumerate() {
            arena.row_mut(&self.input, index / height, index % height).copy_from_slice(row);
        }
    }
}

impl Step {
    fn run(&self, arena: &mut Arena) -> Result<(), InferError> {
        if let Operator::Foreign(foreign) = &self.operator {
            let (inputs, mut outputs) = arena.split(&self.from, &self.to);
            return foreign.run(&inputs, &mut outputs);
        }
        let Some(to) = self.to.first() else { return Ok(()) };
        let rows = match &self.operator {
            Operator::ToRows(_) => 0..self.from.first().map_or(0, |from| from.height),
            Operator::Softmax(softmax) => 0..softmax.rows(),
            _ => 0..to.height,
        };
        self.run_part(arena, to, rows, 0..to.planes());
        Ok(())
    }

    fn run_part(&self, arena: &Arena, to: &View, rows: Range<usize>, planes: Range<usize>) {
        fill_halo(arena, to, self.fill.as_deref(), rows.clone(), planes.clone());
        match &self.operator {
            Operator::Dense(dense) => dense.run(arena, rows, 0..dense.groups()),
            Operator::Depthwise(depthwise) => depthwise.run(arena, rows, planes),
            Operator::Combine(combine) => combine.run(arena, rows, planes),
            Operator::Pool(pool) => pool.run(arena, rows, planes),
            Operator::Resize(resize) => resize.run(arena, rows, planes),
            Operator::Copy(copies) => copies.iter().for_each(|copy| copy.run(arena, rows.clone())),
            Operator::ToRows(to_rows) => to_rows.run(arena, rows),
            Operator::Softmax(softmax) => softmax.run(arena, rows),
            Operator::Foreign(_) => {}
        }
    }
}
