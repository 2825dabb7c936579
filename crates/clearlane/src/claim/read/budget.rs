//! What reading a frame may cost: an instant by which it ends, and a number of steps.

use std::time::Instant;

/// The most steps on one frame. A step reads a pixel or does about as much: a few nanoseconds.
///
/// Looking at all of a frame of 4096 × 4096 pixels, three times, takes 200 million; codes and what looks like them take
/// some ten million more each time at the most.
pub const MAX_READ_STEPS: u64 = 400_000_000;

/// Steps between two looks at the clock: well under a millisecond.
const STEPS_PER_LOOK: u64 = 1 << 16;

/// What reading a claim from one frame may cost. Pictures come from anybody: none of them may hold a lane up.
#[derive(Clone, Debug)]
pub struct ReadBudget {
    deadline: Instant,
    steps: u64,
    looked_at: u64,
}

/// Reading ended before the whole frame had been searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadStopped {
    /// The deadline passed.
    #[error("the time for reading a claim is over")]
    Deadline,
    /// The picture would take more than [`MAX_READ_STEPS`].
    #[error("the picture takes more than {MAX_READ_STEPS} steps to search for a claim")]
    Steps,
}

impl ReadBudget {
    /// Until an instant, and [`MAX_READ_STEPS`].
    #[must_use]
    pub fn until(deadline: Instant) -> Self {
        Self { deadline, steps: 0, looked_at: 0 }
    }

    /// The steps that were taken.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Before the first step: a deadline that has passed leaves no work to do.
    pub(super) fn begin(&self) -> Result<(), ReadStopped> {
        if Instant::now() >= self.deadline { Err(ReadStopped::Deadline) } else { Ok(()) }
    }

    /// Asks for steps before they are taken; no more at once than a millisecond's.
    #[inline]
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), ReadStopped> {
        let after = self.steps + steps as u64;
        if after > MAX_READ_STEPS {
            return Err(ReadStopped::Steps);
        }
        self.steps = after;
        if after - self.looked_at >= STEPS_PER_LOOK {
            self.looked_at = after;
            self.begin()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn steps_end_at_the_bound_with_time_left() {
        let mut budget = ReadBudget::until(Instant::now() + Duration::from_mins(10));
        let share = MAX_READ_STEPS as usize / 4;
        assert!((0..4).all(|_| budget.spend(share).is_ok()));
        assert_eq!(budget.spend(1), Err(ReadStopped::Steps));
        assert_eq!(budget.steps(), MAX_READ_STEPS);
    }

    #[test]
    fn the_clock_is_looked_at_while_steps_are_taken() {
        let mut budget = ReadBudget::until(Instant::now());
        let taken = (0..=STEPS_PER_LOOK).find(|_| budget.spend(1000).is_err());
        assert!(taken.is_some_and(|thousands| thousands * 1000 <= STEPS_PER_LOOK));
    }
}
