//! Waiting for a server: in a thread of its own, so that Ctrl-C and a limit on silence count while nothing comes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;

/// How soon a Ctrl-C is seen.
const GLANCE: Duration = Duration::from_millis(50);

/// How much may have come that nobody has taken yet.
const AHEAD: usize = 4;

/// How long a server may say nothing.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) interrupt: &'a Interrupt,
    pub(super) silence: Duration,
}

/// What comes from a server, piece by piece.
pub(super) struct Coming<T>(Receiver<T>);

impl<T: Send + 'static> Coming<T> {
    /// Starts `work`, which hands over what comes. It ends by itself once nobody takes anything any more and the server says
    /// something or hangs up.
    pub(super) fn start(work: impl FnOnce(&SyncSender<T>) + Send + 'static) -> Result<Self> {
        let (sender, receiver) = sync_channel(AHEAD);
        let thread = thread::Builder::new().name("clearlane-fetch".to_owned()).spawn(move || work(&sender));
        thread.map_err(|error| Failure::new(Exit::System, format!("the system refused a thread: {error}")))?;
        Ok(Self(receiver))
    }

    /// The next piece; `None` at the end. An error where the server was silent for too long, or the user asked to stop.
    pub(super) fn next(&self, url: &str, patience: Patience<'_>) -> Result<Option<T>> {
        let since = Instant::now();
        loop {
            patience.interrupt.check()?;
            match self.0.recv_timeout(GLANCE) {
                Ok(piece) => return Ok(Some(piece)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) if since.elapsed() < patience.silence => {}
                Err(RecvTimeoutError::Timeout) => return Err(silent(url, patience.silence)),
            }
        }
    }
}

fn silent(url: &str, silence: Duration) -> Failure {
    Failure::new(Exit::System, format!("{url}: the server has sent nothing for {} s", silence.as_secs())).with_help(
        "what came is kept: fetch again, now or later, and it goes on from there; --silence says how long to wait for a slow server",
    )
}
