//! A crash of the command writes no key, no template and no face to disk.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends a command that waits for ever.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_command_that_is_at_work_may_not_dump_core() {
    let folder = tempfile::tempdir().unwrap();
    // It waits for the first bytes of this picture, which nobody writes.
    let pipe = folder.path().join("picture.jpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    // As many bytes as the system allows, lest the limit of whoever runs the tests be taken for the command's own.
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -c \"$(ulimit -H -c)\"; exec \"$0\" inspect \"$1\""]);
    shell.arg(env!("CARGO_BIN_EXE_clearlane-under-test")).arg(&pipe).env_remove("CLEARLANE_LOG");
    shell.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running(shell.spawn().unwrap());
    let limits = format!("/proc/{}/limits", running.0.id());
    let limit = || {
        let limits = std::fs::read_to_string(&limits).unwrap();
        let line = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap().to_owned();
        line.split_ascii_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let start = Instant::now();
    while limit() != ["0", "0"] {
        assert!(start.elapsed() < Duration::from_mins(1), "core dumps of up to {:?} bytes, soft and hard", limit());
        assert_eq!(running.0.try_wait().unwrap(), None, "the command waits for its picture");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(running.0.try_wait().unwrap(), None, "the command waits for its picture");
}
