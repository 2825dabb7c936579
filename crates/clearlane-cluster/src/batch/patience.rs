//! What a worker tries again, and for how long.

use std::time::{Duration, Instant};

/// So long a block waits for what may come right, where somebody sees to it: a registrar's audit reads one partition after the other.
const REPAIR: Duration = Duration::from_mins(5);
/// After so long a worker hands its block back: another one may have a better clock, or a better way to the nodes.
const OWN: Duration = Duration::from_mins(1);
/// The try whose failure is warned of.
const WARN_AT: u32 = 6;
/// The first wait, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a part of a block could not be done.
pub(super) enum Trouble {
    /// It comes right by itself, or with another worker: brokers or nodes do not answer, or not to this clock.
    Passing(String),
    /// It may come right, where somebody sees to it.
    Doubtful(String),
    /// It never does.
    Lasting(String),
}

/// Why a block is not done here.
#[derive(Debug)]
pub(super) enum Undone {
    /// It is for another worker, or for later.
    HandedBack(String),
    /// It cannot be done.
    Failed(String),
}

/// Does it again until it is done, or is not done here: then why.
pub(super) async fn patiently<T, W: Future<Output = Result<T, Trouble>>>(
    mut work: impl FnMut() -> W,
) -> Result<T, Undone> {
    let (begun, mut wait, mut tries) = (Instant::now(), FIRST_WAIT, 0);
    loop {
        let reason = match work().await {
            Ok(done) => return Ok(done),
            Err(Trouble::Lasting(reason)) => return Err(Undone::Failed(reason)),
            Err(Trouble::Doubtful(reason)) if begun.elapsed() > REPAIR => return Err(Undone::Failed(reason)),
            Err(Trouble::Passing(reason)) if begun.elapsed() > OWN => return Err(Undone::HandedBack(reason)),
            Err(Trouble::Doubtful(reason) | Trouble::Passing(reason)) => reason,
        };
        tracing::debug!(reason, "a part of a block is tried again");
        tries += 1;
        if tries == WARN_AT {
            tracing::warn!(reason, "a part of a block waits for this");
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
