//! A thread that follows the register, for hosts that bring no timer of their own.

use std::sync::Weak;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Parts;

/// Polls a port on a thread of its own, from [`Port::refresh_every`](super::Port::refresh_every), until it is dropped or
/// the port is closed. A poll that fails is logged and tried again at the next.
#[derive(Debug)]
pub struct Refresher {
    /// Dropping it wakes the thread and ends it.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Refresher {
    pub(super) fn start(port: Weak<Parts>, period: Duration) -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                let Some(port) = port.upgrade() else { return };
                if let Err(error) = port.references.refresh() {
                    tracing::error!(%error, "the register could not be followed");
                }
            }
        });
        Self { stop: Some(stop), thread: Some(thread) }
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
