//! What the system says about this process.

use serde::Serialize;

/// What a process holds of the system's. `None` where the system does not say: it is read from Linux' `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Resident memory, in bytes.
    pub resident: Option<u64>,
    /// Open files, sockets and pipes.
    pub handles: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

/// This process, now.
pub(super) fn now() -> Process {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // The list is read by a handle of its own.
    let handles = std::fs::read_dir("/proc/self/fd").ok().map(|list| (list.count() as u64).saturating_sub(1));
    Process { resident: field("VmRSS").map(|kilobytes| kilobytes * 1024), handles, threads: field("Threads") }
}
