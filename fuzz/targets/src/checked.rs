//! Panics that the product catches are found too: a lane answers with a referral, and nobody would see them here. So is memory that
//! an input takes beyond what its target allows.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::{Mutex, Once, PoisonError};

use peak_alloc::PeakAlloc;

use crate::Target;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Where this project's own code panicked since somebody looked.
static OWN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs a target, one at a time. An error says what panicked: the target itself, or code of this project in any thread, whoever
/// caught it; or what memory it took. A panic in a dependency that the product catches is what the catching is for.
pub fn check(target: &Target, bytes: &[u8]) -> Result<(), String> {
    static WATCH: Once = Once::new();
    // In place of libFuzzer's own hook too, which ends the process at any panic.
    WATCH.call_once(|| {
        set_hook(Box::new(|panic| {
            let foreign = panic.location().is_some_and(|at| at.file().contains("/registry/src/"));
            if !foreign {
                OWN.lock().unwrap_or_else(PoisonError::into_inner).push(panic.to_string());
            }
        }));
    });
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let outcome = catch_unwind(AssertUnwindSafe(|| (target.run)(bytes)));
    let taken = MEMORY.peak_usage().saturating_sub(before);
    let own = std::mem::take(&mut *OWN.lock().unwrap_or_else(PoisonError::into_inner));
    match outcome {
        Ok(()) if own.is_empty() && taken > target.memory << 20 => {
            Err(format!("{} KiB were held at once, more than {} MiB", taken >> 10, target.memory))
        }
        Ok(()) if own.is_empty() => Ok(()),
        Err(_) if own.is_empty() => Err("a panic in a dependency was not caught".to_owned()),
        _ => Err(own.join("; ")),
    }
}

/// Runs the target of this name as [`check`] does, and ends the process where it fails: for libFuzzer.
pub fn or_abort(name: &str, bytes: &[u8]) {
    let target = crate::target(name).unwrap();
    if let Err(failure) = check(target, bytes) {
        eprintln!("{name}: {failure}");
        std::process::abort();
    }
}
