//! What a worker tries again, and how often.

use std::time::Duration;

/// How often what may be wrong for good is tried.
const TRIES: u32 = 8;
/// The first wait, and the longest.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why a part of a block could not be done.
pub(super) enum Trouble {
    /// It comes right by itself: brokers or nodes do not answer.
    Passing(String),
    /// It may come right, where somebody sees to it.
    Doubtful(String),
    /// It never does.
    Lasting(String),
}

/// Does it again until it is done, or cannot be: then why.
pub(super) async fn patiently<T, W: Future<Output = Result<T, Trouble>>>(
    mut work: impl FnMut() -> W,
) -> Result<T, String> {
    let (mut wait, mut doubtful) = (FIRST_WAIT, 0);
    loop {
        match work().await {
            Ok(done) => return Ok(done),
            Err(Trouble::Lasting(reason)) => return Err(reason),
            Err(Trouble::Doubtful(reason)) => {
                doubtful += 1;
                if doubtful == TRIES {
                    return Err(reason);
                }
            }
            Err(Trouble::Passing(reason)) => tracing::debug!(reason, "a part of a block is tried again"),
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}
