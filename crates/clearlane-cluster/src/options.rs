//! How a process reaches the brokers.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::{self, Context};
use async_nats::{ConnectOptions, Event};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::ClusterError;

/// How long the brokers may take for an answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// A broker that does not answer two of these any more is left for another: a link that is cut says nothing.
const PING_EVERY: Duration = Duration::from_millis(500);
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
        self.check_files()?;
        let mut options = ConnectOptions::new()
            .request_timeout(Some(REQUEST_TIMEOUT))
            .connection_timeout(REQUEST_TIMEOUT)
            .ping_interval(PING_EVERY)
            .subscription_capacity(4096)
            .max_reconnects(None)
            .reconnect_delay_callback(backoff)
            .event_callback(|event| async move {
                match event {
                    // Such as what a user may not do: nobody else hears of it.
                    Event::ServerError(_) => tracing::warn!(%event, "a broker refuses something"),
                    event => tracing::debug!(%event, "broker connection"),
                }
            });
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

impl ClusterOptions {
    /// That the files of TLS are what they should be: brokers that cannot be reached would otherwise hide it.
    fn check_files(&self) -> Result<(), ClusterError> {
        let certificates = self.root.iter().chain(self.certificate.iter().map(|(certificate, _)| certificate));
        for path in certificates {
            holds_one(path, "certificate", CertificateDer::pem_file_iter(path))?;
        }
        self.certificate
            .iter()
            .try_for_each(|(_, key)| holds_one(key, "private key", PrivateKeyDer::pem_file_iter(key)))
    }
}

/// That a file has one thing of a kind at least, and no broken one.
fn holds_one<T>(
    path: &Path,
    what: &str,
    items: Result<impl Iterator<Item = Result<T, pem::Error>>, pem::Error>,
) -> Result<(), ClusterError> {
    let unreadable = |error: pem::Error| match error {
        pem::Error::Io(source) => source,
        other => std::io::Error::new(std::io::ErrorKind::InvalidData, other.to_string()),
    };
    let mut items = items.map_err(unreadable).map_err(ClusterError::file(path))?;
    let missing = || std::io::Error::new(std::io::ErrorKind::InvalidData, format!("it holds no {what} in PEM's form"));
    let first = items.next().ok_or_else(missing).and_then(|first| first.map_err(unreadable));
    first.map(drop).map_err(ClusterError::file(path))
}

/// 10 ms after the first failure, then twice as long each time.
fn backoff(attempts: usize) -> Duration {
    Duration::from_millis(10 << attempts.min(10)).min(LONGEST_BACKOFF)
}

/// The seed in a file: its first line that is no comment.
fn seed(path: &Path) -> Result<String, ClusterError> {
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(ClusterError::file(path))?);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let seed = line.filter(|line| nkeys::KeyPair::from_seed(line).is_ok());
    seed.map(str::to_owned).ok_or_else(|| {
        let what = "it holds no seed, as `cluster nkey` writes one";
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, what);
        ClusterError::File { path: path.to_owned(), source }
    })
}
