//! A thread that follows the register, for hosts that bring no timer of their own.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Parts;

/// A port is polled no more often.
const SHORTEST: Duration = Duration::from_millis(1);

/// Polls a port on a thread of its own, from [`Port::refresh_every`](super::Port::refresh_every), until it is dropped or
/// the port is closed. A poll that fails, or panics in what the host brought, is logged and tried again at the next.
#[derive(Debug)]
#[must_use = "dropping the refresher ends it"]
pub struct Refresher {
    /// Dropping it wakes the thread and ends it.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Refresher {
    pub(super) fn start(port: Weak<Parts>, period: Duration) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let period = period.max(SHORTEST);
        let thread = thread::Builder::new().name("clearlane-refresher".to_owned()).spawn(move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                let Some(port) = port.upgrade() else { return };
                match catch_unwind(AssertUnwindSafe(|| port.references.refresh())) {
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::error!(%error, "the register could not be followed"),
                    Err(_) => tracing::error!("following the register panicked"),
                }
            }
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has logged it already; there is nothing to add.
            let _ = thread.join();
        }
    }
}
