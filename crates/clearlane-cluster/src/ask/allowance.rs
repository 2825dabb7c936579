//! How many second questions a lane may ask a partition.
//!
//! Whoever does not answer in time is dead or has too much to do, and the asker cannot know which. Asking somebody else is right in the
//! first case and harmful in the second: where all lanes do so, machines that were behind for a moment have several times as much
//! to do, and stay behind. So second questions to a partition are a share of its first ones, and a few beyond that.

use std::sync::atomic::{AtomicU32, Ordering};

/// First questions that allow a second one: nodes that are busy for up to two thirds of the time catch up again.
const EACH: u32 = 2;
/// The most second questions beyond that. A lane asks rarely, and there are many: a few each would be a second load.
const MOST: u32 = 1;

/// Counted in first questions.
pub(super) struct Allowance(AtomicU32);

impl Default for Allowance {
    fn default() -> Self {
        Self(AtomicU32::new(MOST * EACH))
    }
}

impl Allowance {
    /// A first question is asked.
    pub(super) fn first(&self) {
        let more = |count: u32| (count < MOST * EACH).then_some(count + 1);
        _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// Whether a second question may be asked; it is taken off then.
    pub(super) fn second(&self) -> bool {
        let less = |count: u32| count.checked_sub(EACH);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}
