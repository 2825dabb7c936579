//! How a process reaches the brokers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::ConnectOptions;
use async_nats::jetstream::{self, Context};
use zeroize::Zeroizing;

use crate::ClusterError;

/// How long the brokers may take for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest wait before the next try to connect.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// Which brokers, and how a process shows who it is.
#[derive(Clone, Debug)]
#[must_use]
pub struct ClusterOptions {
    servers: Vec<String>,
    name: Option<String>,
    nkey: Option<PathBuf>,
    root: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
}

impl ClusterOptions {
    /// Brokers by address, such as `nats://10.0.0.1:4222` or `tls://broker-1:4222`. Others of the same cluster are learnt from
    /// them.
    pub fn new(servers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let servers = servers.into_iter().map(Into::into).collect();
        Self { servers, name: None, nkey: None, root: None, certificate: None }
    }

    /// The name under which the brokers list this connection.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The file with the seed of the nkey of this process's user.
    pub fn nkey_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.nkey = Some(path.into());
        self
    }

    /// TLS with the certificates of this file as roots, instead of the system's.
    pub fn root_certificates(mut self, path: impl Into<PathBuf>) -> Self {
        self.root = Some(path.into());
        self
    }

    /// TLS with a client certificate and its key.
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Connects; tries again, for ever and with growing waits, when the connection is lost.
    pub(crate) async fn connect(&self) -> Result<Context, ClusterError> {
        if self.servers.is_empty() {
            return Err(ClusterError::Setting { setting: "servers", reason: "none is given" });
        }
        let mut options = ConnectOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .connection_timeout(REQUEST_TIMEOUT)
            .ping_interval(Duration::from_secs(2))
            .subscription_capacity(4096)
            .max_reconnects(None)
            .reconnect_delay_callback(backoff)
            .event_callback(|event| async move { tracing::debug!(%event, "broker connection") });
        if let Some(name) = &self.name {
            options = options.name(name);
        }
        if let Some(path) = &self.nkey {
            options = options.nkey(seed(path)?);
        }
        if let Some(root) = &self.root {
            options = options.add_root_certificates(root.clone());
        }
        if let Some((certificate, key)) = &self.certificate {
            options = options.add_client_certificate(certificate.clone(), key.clone());
        }
        options = options.require_tls(self.root.is_some() || self.certificate.is_some());
        let client = options.connect(&self.servers[..]).await.map_err(|error| {
            let mut reason = error.to_string();
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                reason = format!("{reason}: {cause}");
                source = cause.source();
            }
            ClusterError::Connect { servers: self.servers.join(", "), reason }
        })?;
        let context = jetstream::context::ContextBuilder::new().timeout(REQUEST_TIMEOUT).max_ack_inflight(4096);
        Ok(context.build(client))
    }
}

/// 10 ms after the first failure, then twice as long each time.
fn backoff(attempts: usize) -> Duration {
    Duration::from_millis(10 << attempts.min(10)).min(LONGEST_BACKOFF)
}

/// The seed in a file: its first line that is no comment.
fn seed(path: &Path) -> Result<String, ClusterError> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(ClusterError::file(path))?);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    line.map(str::to_owned).ok_or_else(|| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "it holds no seed");
        ClusterError::File { path: path.to_owned(), source }
    })
}
