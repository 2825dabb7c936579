//! A network as a sequence of operators over one arena.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::dense::Dense;
use super::depthwise::Depthwise;
use super::integer::dense::IntegerDense;
use super::integer::depthwise::IntegerDepthwise;
use super::integer::recode::Recode;
use super::layout::{Copy, Resize, ToRows, fill_halo};
use super::lists::Lists;
use super::memory::{Arena, View};
use super::product::Product;
use super::rowwise::{Combine, Pool};
use super::thread_team::{Task, ThreadTeam, Work};
use super::winograd::{TileInput, TileOutput, TileProducts};
use crate::InferError;

/// What an operator does.
pub(crate) enum Operator {
    Dense(Dense),
    Depthwise(Depthwise),
    TileInput(TileInput),
    TileProducts(TileProducts),
    TileOutput(TileOutput),
    IntegerDense(IntegerDense),
    IntegerDepthwise(IntegerDepthwise),
    Recode(Recode),
    Combine(Combine),
    Pool(Pool),
    Resize(Resize),
    /// Copies into disjoint channels of one tensor.
    Copy(Vec<Copy>),
    ToRows(ToRows),
    Lists(Lists),
    Product(Product),
    Fallback(Arc<dyn Fallback>),
}

/// An operator without a kernel in this crate: flat tensors in, flat tensors out.
pub(crate) trait Fallback: Send + Sync {
    fn run(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) -> Result<(), InferError>;
}

/// An operator with the tensors that it reads and writes.
pub(crate) struct Step {
    pub(crate) operator: Operator,
    pub(crate) from: Vec<View>,
    pub(crate) to: Vec<View>,
    /// What the output's halo holds, a value a channel; zeros by default.
    pub(crate) fill: Option<Vec<f32>>,
    /// The graph's nodes that it runs.
    pub(crate) nodes: Vec<usize>,
    /// Products that are summed up in one run.
    pub(crate) products: usize,
}

/// A network ready to run.
pub(crate) struct Program {
    floats: usize,
    input: View,
    steps: Vec<Step>,
    tasks: Vec<Task>,
    outputs: Vec<View>,
    /// The floats of the arena that are in use up to the end. All others are wiped after their last use, while the caches
    /// hold them.
    left: Vec<Range<usize>>,
    arenas: Mutex<Vec<Arena>>,
}

impl Program {
    /// `None` if a tensor lies outside of the `floats` of the arena, an operator would write what it reads, or one that takes lists
    /// would be given something else.
    pub(crate) fn new(floats: usize, input: View, steps: Vec<Step>, outputs: Vec<View>) -> Option<Self> {
        let inside = |view: &View| view.span().end <= floats;
        let apart = |a: &View, b: &View| {
            let (a, b) = (a.span(), b.span());
            a.end <= b.start || b.end <= a.start
        };
        let sound = steps.iter().all(|step| {
            let mut written = step.to.iter().enumerate();
            let reads_bytes = matches!(
                step.operator,
                Operator::IntegerDense(_) | Operator::IntegerDepthwise(_) | Operator::Recode(_)
            );
            let takes_lists =
                matches!(step.operator, Operator::Fallback(_) | Operator::Lists(_) | Operator::Product(_));
            let fits =
                |view: &View| inside(view) && (reads_bytes || view.is_float()) && (!takes_lists || view.is_flat());
            step.from.iter().chain(&step.to).all(fits)
                && written.all(|(index, to)| step.from.iter().chain(&step.to[..index]).all(|other| apart(to, other)))
        });
        let flat = outputs.iter().all(|view| inside(view) && view.is_flat() && view.is_float());
        if !(sound && flat && inside(&input) && input.lanes == 1 && input.is_float()) {
            return None;
        }
        let mut used = last_used(&input, &steps, &outputs);
        let left = used.split_off(steps.len()).concat();
        let mut tasks = Vec::new();
        wave(&mut tasks, &Work::Load, &[], [input.height, input.planes()], input.len());
        for (index, (step, unused)) in steps.iter().zip(&used).enumerate() {
            wave(&mut tasks, &Work::Step(index), unused, step.extent(), step.cost());
        }
        Some(Self { floats, input, steps, tasks, outputs, left, arenas: Mutex::default() })
    }

    /// Runs one image, plain C x H x W, into the outputs' slices, each as long as its output; on so many threads of the
    /// current rayon pool.
    pub(crate) fn run(&self, threads: usize, image: &[f32], outputs: &mut [&mut [f32]]) -> Result<(), InferError> {
        let kept = self.arenas.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // Should a task panic, the arena is not kept, and wiped as it is dropped.
        let mut arena = kept.map_or_else(|| Arena::new(self.floats), Ok)?;
        let result = self.run_in(&arena, threads, image);
        if result.is_ok() {
            for (view, output) in self.outputs.iter().zip(outputs) {
                output.copy_from_slice(&arena.slice(view)[..output.len()]);
            }
            self.left.iter().for_each(|range| arena.wipe_part(range));
        } else {
            arena.wipe();
        }
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner).push(arena);
        result
    }

    fn run_in(&self, arena: &Arena, threads: usize, image: &[f32]) -> Result<(), InferError> {
        let run = |task: &Task| self.task(arena, image, task);
        if threads <= 1 {
            return self.tasks.iter().try_for_each(run);
        }
        let team = &ThreadTeam::new(&self.tasks, threads, &run);
        rayon::in_place_scope(|scope| {
            (1..threads).for_each(|thread| scope.spawn(move |_| team.work(thread)));
            team.work(0);
        });
        team.outcome()
    }

    /// How long each step takes, in the order of the steps: the shortest of some runs.
    pub(crate) fn profile(&self, image: &[f32], runs: usize) -> Result<Vec<Duration>, InferError> {
        let arena = Arena::new(self.floats)?;
        let mut shortest = vec![Duration::MAX; self.steps.len()];
        for _ in 0..runs {
            for tasks in self.tasks.chunk_by(|a, b| a.work == b.work) {
                let start = Instant::now();
                tasks.iter().try_for_each(|task| self.task(&arena, image, task))?;
                if let Some(&Task { work: Work::Step(step), .. }) = tasks.first() {
                    shortest[step] = start.elapsed().min(shortest[step]);
                }
            }
        }
        Ok(shortest)
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    fn task(&self, arena: &Arena, image: &[f32], task: &Task) -> Result<(), InferError> {
        match &task.work {
            Work::Load => self.load(arena, image, task.rows.clone(), task.parts.clone()),
            Work::Step(step) => return self.steps[*step].run(arena, task.rows.clone(), task.parts.clone()),
            Work::Wipe(range) => arena.wipe_part(range),
        }
        Ok(())
    }

    fn load(&self, arena: &Arena, image: &[f32], rows: Range<usize>, channels: Range<usize>) {
        let View { height, width, .. } = self.input;
        fill_halo(arena, &self.input, None, rows.clone(), channels.clone());
        for channel in channels {
            for y in rows.clone() {
                let row = &image[(channel * height + y) * width..][..width];
                arena.write(self.input.at(channel, y, 0), row);
            }
        }
    }
}

/// Work of about this many products is worth a task of its own: some microseconds.
const TASK: usize = 400_000;

/// Floats that are worth a task of their own to wipe.
const WIPE: usize = 1 << 16;

/// Which floats of the arena are last used by the loading of the image, by each of the steps, and by the copying of the
/// outputs.
fn last_used(input: &View, steps: &[Step], outputs: &[View]) -> Vec<Vec<Range<usize>>> {
    let mut uses = vec![(0, input.span())];
    for (step, stage) in steps.iter().zip(1..) {
        uses.extend(step.from.iter().chain(&step.to).map(|view| (stage, view.span())));
    }
    uses.extend(outputs.iter().map(|view| (steps.len() + 1, view.span())));
    let mut ends: Vec<usize> = uses.iter().flat_map(|(_, span)| [span.start, span.end]).collect();
    ends.sort_unstable();
    ends.dedup();
    let mut used: Vec<Vec<Range<usize>>> = vec![Vec::new(); steps.len() + 2];
    for ends in ends.windows(2) {
        let users = uses.iter().filter(|(_, span)| span.start <= ends[0] && ends[1] <= span.end);
        let Some(stage) = users.map(|(stage, _)| *stage).max() else { continue };
        match used[stage].last_mut() {
            Some(before) if before.end == ends[0] => before.end = ends[1],
            _ => used[stage].push(ends[0]..ends[1]),
        }
    }
    used
}

/// Appends one step's tasks, which all wait for those before, and with them the wiping of what those before used last.
fn wave(tasks: &mut Vec<Task>, work: &Work, unused: &[Range<usize>], [rows, parts]: [usize; 2], cost: usize) {
    let after = tasks.len();
    for range in unused {
        for start in range.clone().step_by(WIPE) {
            let work = Work::Wipe(start..range.end.min(start + WIPE));
            tasks.push(Task { work, rows: 0..0, parts: 0..0, after });
        }
    }
    let tasks_worth = (cost / TASK).max(1);
    // Whole rows keep their input in the cache; where there are few, the channels are split as well or instead.
    let by_parts = if rows >= 16 { 1 } else { tasks_worth.min(parts) };
    let by_rows = if by_parts >= 4 || parts == 0 { 1 } else { tasks_worth.div_ceil(by_parts).min(rows) };
    for part in 0..by_parts {
        let parts = part * parts / by_parts..(part + 1) * parts / by_parts;
        for row in 0..by_rows {
            let rows = row * rows / by_rows..(row + 1) * rows / by_rows;
            tasks.push(Task { work: work.clone(), rows, parts: parts.clone(), after });
        }
    }
}

impl Step {
    /// How many rows and parts the step can be split into.
    fn extent(&self) -> [usize; 2] {
        let rows = self.to.first().map_or(0, |to| to.height);
        let planes = self.to.first().map_or(0, View::planes);
        match &self.operator {
            Operator::Dense(dense) => [rows, dense.groups()],
            Operator::IntegerDense(dense) => [rows, dense.groups()],
            Operator::TileInput(input) => input.extent(),
            Operator::TileProducts(products) => [1, products.groups()],
            Operator::TileOutput(output) => output.extent(),
            Operator::ToRows(_) => [self.from.first().map_or(0, |from| from.height), 1],
            Operator::Lists(lists) => [lists.rows(), 1],
            Operator::Product(product) => [1, product.parts()],
            Operator::Copy(_) => [rows, 1],
            Operator::Fallback(_) => [1, 1],
            _ => [rows, planes],
        }
    }

    /// Roughly what the step takes, in products of a dense convolution.
    fn cost(&self) -> usize {
        let values = self.to.first().map_or(0, View::len);
        match &self.operator {
            Operator::Dense(_) | Operator::TileProducts(_) => self.products,
            Operator::Product(product) => product.products(),
            // Loops over values, a few operations each.
            Operator::Lists(_) => 16 * values,
            // INT8 products come four at a time; rounding the sums takes as long as some tens of them.
            Operator::IntegerDense(_) => self.products / 4 + 4 * values,
            Operator::IntegerDepthwise(_) => self.products + 4 * values,
            Operator::Fallback(_) => 0,
            _ => 3 * self.products + 8 * values,
        }
    }

    fn run(&self, arena: &Arena, rows: Range<usize>, parts: Range<usize>) -> Result<(), InferError> {
        let Some(to) = self.to.first() else { return Ok(()) };
        let pixel_rows = match &self.operator {
            Operator::TileOutput(output) => output.rows(&rows),
            _ => rows.clone(),
        };
        let planes = match &self.operator {
            Operator::Dense(dense) => dense.planes(parts.clone()),
            Operator::IntegerDense(dense) => dense.planes(parts.clone()),
            Operator::Copy(_) => 0..to.planes(),
            _ => parts.clone(),
        };
        if !to.is_flat() {
            fill_halo(arena, to, self.fill.as_deref(), pixel_rows, planes.clone());
        }
        match &self.operator {
            Operator::Dense(dense) => dense.run(arena, rows, parts),
            Operator::Depthwise(depthwise) => depthwise.run(arena, rows, planes),
            Operator::TileInput(input) => input.run(arena, rows, planes),
            Operator::TileProducts(products) => products.run(arena, parts),
            Operator::TileOutput(output) => output.run(arena, rows, planes),
            Operator::IntegerDense(dense) => dense.run(arena, rows, parts),
            Operator::IntegerDepthwise(depthwise) => depthwise.run(arena, rows, planes),
            Operator::Recode(recode) => recode.run(arena, rows, planes),
            Operator::Combine(combine) => combine.run(arena, rows, planes),
            Operator::Pool(pool) => pool.run(arena, rows, planes),
            Operator::Resize(resize) => resize.run(arena, rows, planes),
            Operator::Copy(copies) => copies.iter().for_each(|copy| copy.run(arena, rows.clone())),
            Operator::ToRows(to_rows) => to_rows.run(arena, rows),
            Operator::Lists(lists) => lists.run(arena, rows),
            Operator::Product(product) => product.run(arena, parts),
            Operator::Fallback(fallback) => {
                let (inputs, mut outputs) = arena.split(&self.from, &self.to);
                return fallback.run(&inputs, &mut outputs);
            }
        }
        Ok(())
    }
}
