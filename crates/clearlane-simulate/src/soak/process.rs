//! What the system says about this process.

use serde::Serialize;

/// What a process holds of the system's. `None` where the system does not say: it is read from Linux' `/proc`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Resident memory, in bytes.
    pub resident: Option<u64>,
    /// Address space, in bytes: what a limit such as `ulimit -v` counts.
    pub address_space: Option<u64>,
    /// Open files, sockets and pipes.
    pub handles: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
}

impl Process {
    /// This process, now.
    #[must_use]
    pub fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let bytes = |name| field(name).map(|kilobytes| kilobytes * 1024);
        // The list is read by a handle of its own.
        let handles = std::fs::read_dir("/proc/self/fd").ok().map(|list| (list.count() as u64).saturating_sub(1));
        Self { resident: bytes("VmRSS"), address_space: bytes("VmSize"), handles, threads: field("Threads") }
    }
}
