//! Threads for callers that block and have no runtime: they may be threads of a runtime themselves, which must neither wait for one
//! nor drop it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::runtime::Runtime;

use crate::ClusterError;

/// Threads on which work for the brokers goes on. They end with it.
pub(crate) struct Background(Option<Runtime>);

impl Background {
    pub(crate) fn start() -> Result<Self, ClusterError> {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_name("clearlane-cluster").enable_all().build();
        Ok(Self(Some(runtime.map_err(|source| ClusterError::Threads { source })?)))
    }

    /// The result of some work; `None` where it is not there after `wait`, and the work ends then.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        wait: Duration,
        work: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
    ) -> Result<Option<T>, ClusterError> {
        let Some(runtime) = &self.0 else { return Err(ClusterError::Stopped) };
        let (done, result) = mpsc::sync_channel(1);
        let working = runtime.spawn(async move { _ = done.send(work.await) });
        match result.recv_timeout(wait) {
            Ok(result) => result.map(Some),
            Err(RecvTimeoutError::Disconnected) => Err(ClusterError::Stopped),
            Err(RecvTimeoutError::Timeout) => {
                working.abort();
                Ok(None)
            }
        }
    }

    /// As [`Self::run`], however long it takes.
    pub(crate) fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, ClusterError>> + Send + 'static,
    ) -> Result<T, ClusterError> {
        self.run(Duration::MAX, work)?.ok_or(ClusterError::Stopped)
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
