//! What Linux says of this process' memory, in bytes.

/// A line of the process' status, such as `VmRSS`, what it holds now, or `VmHWM`, the most that it ever held.
pub(crate) fn held(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}
