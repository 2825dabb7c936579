//! Who writes, and for whom: threads that come meanwhile wait, and one of them writes for all of these. `interleavings/` tries it
//! in orders that the system rarely chooses.

use std::mem;
use std::sync::Arc;
use std::time::Instant;

use crate::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Jobs that wait for the next transaction, each for an answer.
pub(crate) struct Queue<J, A> {
    state: Mutex<State<J, A>>,
    written: Condvar,
}

struct State<J, A> {
    waiting: Vec<Arc<Waiting<J, A>>>,
    /// Whether somebody writes.
    writing: bool,
}

/// A job that waits, and its answer once that is there.
pub(crate) struct Waiting<J, A> {
    pub(crate) job: J,
    /// For how long.
    pub(crate) until: Instant,
    answer: Mutex<Answer<A>>,
}

/// A job that is written stays answered once its thread has taken the answer, or whoever wrote it would let it wait on.
enum Answer<A> {
    None,
    Given(A),
    Taken,
}

/// Who writes, for as long as they do, and for whom: however that ends, those who have no answer wait on, and all are woken.
struct Writing<'a, J, A> {
    queue: &'a Queue<J, A>,
    batch: Vec<Arc<Waiting<J, A>>>,
}

impl<J, A> Default for Queue<J, A> {
    fn default() -> Self {
        Self { state: Mutex::new(State { waiting: Vec::new(), writing: false }), written: Condvar::new() }
    }
}

impl<J, A> Queue<J, A> {
    /// The answer to `job`, once this thread or another has written it with `write`, which gives an answer to each job of a batch,
    /// or writes nothing and fails. `None`: nobody came to it until its time was over. A failure that `is_busy` is tried again for
    /// as long as there is time.
    pub(crate) fn commit<E>(
        &self,
        job: J,
        until: Instant,
        write: impl Fn(&[Arc<Waiting<J, A>>]) -> Result<Vec<A>, E>,
        is_busy: impl Fn(&E) -> bool,
    ) -> Result<Option<A>, E> {
        let own = Arc::new(Waiting { job, until, answer: Mutex::new(Answer::None) });
        loop {
            let Some(writing) = self.join(&own) else { return Ok(own.take()) };
            let mut written = write(&writing.batch);
            // One job that cannot be written is no reason for the others: each tries again by itself.
            if writing.batch.len() > 1 && written.as_ref().is_err_and(|error| !is_busy(error)) {
                written = write(std::slice::from_ref(&own));
                if let Ok(answers) = &mut written
                    && let Some(answer) = answers.pop()
                {
                    return Ok(Some(answer));
                }
            }
            match written {
                Ok(answers) => {
                    for (waiting, answer) in writing.batch.iter().zip(answers) {
                        *lock(&waiting.answer) = Answer::Given(answer);
                    }
                    return Ok(own.take());
                }
                // Somebody among those who waited had less time: who has more tries again.
                Err(error) if is_busy(&error) && Instant::now() < until => drop(writing),
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until `own` is written, or its time is over before anybody took it along, which is `None`; or until it is the
    /// caller's turn to write for all who wait, `own` among them.
    fn join(&self, own: &Arc<Waiting<J, A>>) -> Option<Writing<'_, J, A>> {
        let is_own = |waiting: &Arc<Waiting<J, A>>| Arc::ptr_eq(waiting, own);
        let mut state = lock(&self.state);
        state.waiting.push(Arc::clone(own));
        while state.writing {
            let left = own.until.saturating_duration_since(Instant::now());
            let taken = !state.waiting.iter().any(is_own);
            // Whoever took it along waits no longer than all of theirs have time; the disk may take its own.
            state = if taken {
                self.written.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                self.written.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            };
            if own.is_done() {
                return None;
            }
            if Instant::now() >= own.until && state.writing {
                let before = state.waiting.len();
                state.waiting.retain(|waiting| !is_own(waiting));
                if state.waiting.len() < before {
                    return None;
                }
            }
        }
        state.writing = true;
        // `own` first: whoever writes is answered by what they return, and does not wait on.
        let (mut batch, others): (Vec<_>, Vec<_>) = mem::take(&mut state.waiting).into_iter().partition(is_own);
        batch.extend(others);
        Some(Writing { queue: self, batch })
    }
}

impl<J, A> Waiting<J, A> {
    fn is_done(&self) -> bool {
        !matches!(*lock(&self.answer), Answer::None)
    }

    fn take(&self) -> Option<A> {
        let mut answer = lock(&self.answer);
        match mem::replace(&mut *answer, Answer::Taken) {
            Answer::Given(given) => Some(given),
            Answer::None | Answer::Taken => None,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<J, A> Drop for Writing<'_, J, A> {
    fn drop(&mut self) {
        let mut state = lock(&self.queue.state);
        state.writing = false;
        state.waiting.extend(self.batch.drain(..).skip(1).filter(|waiting| !waiting.is_done()));
        drop(state);
        self.queue.written.notify_all();
    }
}
