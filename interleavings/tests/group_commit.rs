//! Group commit: each thread gets the answer to its own job, nothing is written twice, one writes at a time, and nobody sleeps on.

mod sync {
    pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}
#[path = "../../crates/clearlane-store/src/group_commit/queue.rs"]
mod queue;

use std::sync::Arc;
use std::time::{Duration, Instant};

use queue::{Queue, Waiting};
use shuttle::rand::Rng as _;
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::thread;

const THREADS: u32 = 4;
const SCHEDULES: usize = 20_000;

#[derive(Debug, PartialEq)]
enum Failure {
    /// Another process writes: worth another try.
    Busy,
    /// This job cannot be written, whoever it is written with.
    Bad,
}

/// What is on disk, and who is at it.
#[derive(Default)]
struct Disk {
    written: Mutex<Vec<u32>>,
    at_it: AtomicBool,
}

impl Disk {
    /// Writes a batch whole or not at all.
    fn write(&self, batch: &[Arc<Waiting<u32, u32>>], bad: Option<u32>, moods: bool) -> Result<Vec<u32>, Failure> {
        assert!(!self.at_it.swap(true, Ordering::SeqCst), "two write at once");
        thread::yield_now();
        let refused = if moods && shuttle::rand::thread_rng().gen_bool(0.3) {
            Some(Failure::Busy)
        } else {
            batch.iter().any(|waiting| Some(waiting.job) == bad).then_some(Failure::Bad)
        };
        let answers = match refused {
            Some(failure) => Err(failure),
            None => {
                self.written.lock().unwrap().extend(batch.iter().map(|waiting| waiting.job));
                // An answer that tells jobs apart.
                Ok(batch.iter().map(|waiting| 100 + waiting.job).collect())
            }
        };
        assert!(self.at_it.swap(false, Ordering::SeqCst));
        answers
    }
}

/// All threads commit a job of their own; `bad` is a job that cannot be written.
fn all_commit(bad: Option<u32>, moods: bool) {
    let (queue, disk) = (Arc::new(Queue::default()), Arc::new(Disk::default()));
    let threads: Vec<_> = (0..THREADS)
        .map(|job| {
            let (queue, disk) = (Arc::clone(&queue), Arc::clone(&disk));
            thread::spawn(move || {
                // Longer than any test.
                let until = Instant::now() + Duration::from_secs(3600);
                queue.commit(job, until, |batch| disk.write(batch, bad, moods), |failure| *failure == Failure::Busy)
            })
        })
        .collect();
    for (job, thread) in (0..).zip(threads) {
        let expected = if Some(job) == bad { Err(Failure::Bad) } else { Ok(Some(100 + job)) };
        assert_eq!(thread.join().unwrap(), expected);
    }
    let mut written = disk.written.lock().unwrap().clone();
    written.sort_unstable();
    assert_eq!(written, (0..THREADS).filter(|job| Some(*job) != bad).collect::<Vec<_>>());
}

#[test]
fn each_gets_its_own_answer_and_is_written_once() {
    shuttle::check_random(|| all_commit(None, false), SCHEDULES);
    shuttle::check_pct(|| all_commit(None, false), SCHEDULES, 3);
}

#[test]
fn one_job_that_cannot_be_written_is_no_reason_for_the_others() {
    shuttle::check_random(|| all_commit(Some(1), false), SCHEDULES);
    shuttle::check_pct(|| all_commit(Some(1), false), SCHEDULES, 3);
}

#[test]
fn a_disk_that_is_busy_now_and_then_is_waited_for() {
    shuttle::check_random(|| all_commit(Some(2), true), SCHEDULES);
}

#[test]
fn whoever_comes_too_late_gets_no_answer_and_is_not_written() {
    let late = || {
        let (queue, disk) = (Arc::new(Queue::default()), Arc::new(Disk::default()));
        let threads: Vec<_> = (0..THREADS)
            .map(|job| {
                let (queue, disk) = (Arc::clone(&queue), Arc::clone(&disk));
                thread::spawn(move || {
                    let until = Instant::now() + if job == 0 { Duration::ZERO } else { Duration::from_secs(3600) };
                    queue.commit(job, until, |batch| disk.write(batch, None, false), |failure| *failure == Failure::Busy)
                })
            })
            .collect();
        let answers: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        let written = disk.written.lock().unwrap();
        for (job, answer) in (0..).zip(answers) {
            // Whoever has no time left is written by itself, or by others on the way, or has no answer; what has one is written once.
            assert_eq!(written.iter().filter(|written| **written == job).count(), usize::from(answer.is_some()));
            assert!(answer == Some(100 + job) || (job == 0 && answer.is_none()));
        }
    };
    shuttle::check_random(late, SCHEDULES);
}
