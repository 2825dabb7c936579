//! The threads on one run of a network: each task is done once, after all waves before it, whose results it sees.

mod sync {
    pub(crate) use loom::sync::Mutex;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(crate) use loom::thread::yield_now;
    pub(crate) use loom::thread::yield_now as spin_loop;
    pub(crate) use std::sync::PoisonError;
}
#[path = "../../crates/clearlane-infer/src/kernel/thread_team.rs"]
#[allow(dead_code, reason = "the product's runs have other work too")]
mod thread_team;

use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;
use thread_team::{Task, ThreadTeam, Work};

/// The error of the product's runs, as far as a team knows it.
#[derive(Debug, PartialEq)]
struct InferError;

/// One number for each task; a task of the second wave adds up those of the first.
struct Arena([UnsafeCell<u32>; 4]);

// SAFETY: that no number is read while it is written is what the test tries: loom ends it where one is.
unsafe impl Sync for Arena {}

fn tasks() -> Vec<Task> {
    let task = |step, after| Task { work: Work::Step(step), rows: 0..1, parts: 0..1, after };
    vec![task(0, 0), task(1, 0), task(2, 2), task(3, 2)]
}

impl Arena {
    fn run(&self, task: &Task, failing: Option<usize>) -> Result<(), InferError> {
        let Work::Step(step) = task.work else { return Ok(()) };
        // SAFETY: loom checks it.
        let read = |index: usize| self.0[index].with(|place| unsafe { *place });
        let value = if step < 2 { 1 << step } else { read(0) + read(1) };
        // SAFETY: loom checks it. A task that is done twice adds up wrongly.
        self.0[step].with_mut(|place| unsafe { *place += value });
        if failing == Some(step) { Err(InferError) } else { Ok(()) }
    }
}

/// Two threads on one run.
fn together(failing: Option<usize>) {
    let mut model = loom::model::Builder::new();
    // All orders in which no thread is interrupted more than three times.
    model.preemption_bound = Some(3);
    model.check(move || {
        let arena = Arc::new(Arena(std::array::from_fn(|_| UnsafeCell::new(0))));
        let tasks: &'static [Task] = Vec::leak(tasks());
        let run: &'static (dyn Fn(&Task) -> Result<(), InferError> + Sync) = {
            let arena = Arc::clone(&arena);
            Box::leak(Box::new(move |task: &Task| arena.run(task, failing)))
        };
        let team = Arc::new(ThreadTeam::new(tasks, 2, run));
        let other = {
            let team = Arc::clone(&team);
            thread::spawn(move || team.work(1))
        };
        team.work(0);
        // The one that waits for the outcome needs not be the last.
        assert_eq!(team.outcome(), failing.map_or(Ok(()), |_| Err(InferError)));
        // SAFETY: loom checks it.
        let values: Vec<_> = arena.0.iter().map(|place| place.with(|place| unsafe { *place })).collect();
        assert_eq!(values, [1, 2, 3, 3]);
        other.join().unwrap();
    });
}

#[test]
fn each_task_is_done_once_and_sees_what_those_before_it_made() {
    together(None);
}

#[test]
fn a_task_that_fails_ends_no_wait_and_is_the_outcome() {
    together(Some(1));
}
