//! Clocks that cannot be right, told from the newest crossing record.

use jiff::{SignedDuration, Timestamp};

use crate::{Register, Result, StoreError};

/// By how much a clock may be behind the newest record: lanes record in another order than they begin, and clocks are
/// corrected by a little now and then.
pub const CLOCK_BEHIND: SignedDuration = SignedDuration::from_secs(60);

/// By how much a clock may be ahead of the newest record: no port that is in use is shut for so long.
pub const CLOCK_AHEAD: SignedDuration = SignedDuration::from_hours(31 * 24);

/// What is wrong with a clock that says `now`, after a record of the time `newest`.
pub(crate) fn plausible(newest: Option<Timestamp>, now: Timestamp) -> Result<()> {
    let Some(newest) = newest else { return Ok(()) };
    let ahead = now.duration_since(newest);
    if ahead < -CLOCK_BEHIND || ahead > CLOCK_AHEAD {
        return Err(StoreError::ImplausibleClock { now, newest });
    }
    Ok(())
}

impl Register {
    /// The newest plausible time of a crossing record: what clocks are held against.
    pub fn newest_time(&self) -> Result<Option<Timestamp>> {
        self.read(|state| Ok(state.root.clock))
    }

    /// Says that the clock is right, whatever the newest record says: after a port was shut for long, or after records were
    /// made while a clock was ahead. Somebody must have looked at the clock.
    pub fn confirm_clock(&self, now: Timestamp) -> Result<()> {
        self.write(|state| {
            state.root.clock = Some(now);
            Ok(())
        })
    }
}
