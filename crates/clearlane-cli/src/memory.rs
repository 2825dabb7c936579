//! Limits on memory: one that leaves too little to work with is said at the beginning, in words, since an allocation that fails
//! later ends the process.

use crate::failure::Result;

/// The least that commands work with: the built-in models, a small register, and some threads.
#[cfg(target_os = "linux")]
const LEAST: u64 = 64 << 20;

/// With less than this one thread does what several would share: each takes address space of its own, and a pool of which a
/// thread cannot be had ends the process.
#[cfg(target_os = "linux")]
const FOR_THREADS: u64 = 512 << 20;

/// Fits the thread pool to the limit on this process' memory (`ulimit -v`, systemd's `LimitAS`), where there is one. An error
/// where it leaves less than any command needs.
pub(crate) fn prepare() -> Result<()> {
    #[cfg(target_os = "linux")]
    {
        use crate::failure::{Exit, Failure};
        use clearlane_simulate::soak::Process;
        use rustix::process::{Resource, getrlimit};
        const HELP: &str = "raise the limit (`ulimit -v`, or LimitAS of a service), or take it away";
        let limit = getrlimit(Resource::As).current;
        let left = limit.zip(Process::now().address_space).map(|(limit, taken)| limit.saturating_sub(taken));
        if let Some(left) = left.filter(|left| *left < LEAST) {
            let message = format!(
                "the limit on this process' memory leaves {} MiB: expected {} MiB or more",
                left >> 20,
                LEAST >> 20
            );
            return Err(Failure::new(Exit::System, message).with_help(HELP));
        }
        if left.is_some_and(|left| left < FOR_THREADS) {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
            pool.map_err(|error| Failure::of(Exit::System, &error).with_help(HELP))?;
        }
    }
    Ok(())
}
