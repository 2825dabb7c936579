//! Ctrl-C, and what a system sends before it ends a process (SIGTERM, SIGHUP): long jobs finish the step that they are at, keep what is done, and stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::failure::{Exit, Failure, Result};

/// Tells whether the user asked to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens for Ctrl-C and its like from now on, for the whole process. A second one ends the command at once.
    pub(crate) fn listen() -> Result<Self> {
        static LISTENING: Mutex<Option<Interrupt>> = Mutex::new(None);
        let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(interrupt) = &*listening {
            return Ok(interrupt.clone());
        }
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::Relaxed) {
                std::process::exit(Exit::Interrupted as i32);
            }
        })
        .map_err(|error| Failure::new(Exit::System, format!("cannot listen for Ctrl-C: {error}")))?;
        *listening = Some(interrupt.clone());
        Ok(interrupt)
    }

    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// An error where the user asked to stop.
    pub(crate) fn check(&self) -> Result<()> {
        if self.requested() { Err(Failure::interrupted()) } else { Ok(()) }
    }
}
