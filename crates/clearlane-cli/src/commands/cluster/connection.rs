//! How a command reaches the brokers, and the cluster's key.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{ClusterError, ClusterKey, ClusterOptions};
use clearlane_store::KeyFile;

use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;

/// The brokers of a cluster, and who is asking.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Cluster")]
pub(in crate::commands) struct ConnectionArgs {
    /// A broker's address, such as `nats://10.0.0.1:4222` or `tls://broker-1:4222`; several, separated by commas
    #[arg(long = "brokers", value_name = "URL", value_delimiter = ',', required = true, env = "CLEARLANE_BROKERS")]
    brokers: Vec<String>,

    /// The file with the cluster's key, as `register keygen` makes one
    #[arg(long, value_name = "FILE", env = "CLEARLANE_CLUSTER_KEY_FILE")]
    cluster_key: PathBuf,

    /// The file with the seed of this process's user, as `cluster nkey` makes one
    #[arg(long, value_name = "FILE", env = "CLEARLANE_NKEY_FILE")]
    nkey: Option<PathBuf>,

    /// TLS with the certificates of this file as roots
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,

    /// TLS with this client certificate
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,

    /// The private key of the client certificate
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
}

impl ConnectionArgs {
    pub(in crate::commands) fn options(&self, name: &str) -> ClusterOptions {
        let mut options = ClusterOptions::new(&self.brokers).name(name);
        if let Some(path) = &self.nkey {
            options = options.nkey_file(path);
        }
        if let Some(path) = &self.tls_ca {
            options = options.root_certificates(path);
        }
        if let (Some(certificate), Some(key)) = (&self.tls_certificate, &self.tls_key) {
            options = options.client_certificate(certificate, key);
        }
        options
    }

    pub(in crate::commands) fn key(&self) -> Result<ClusterKey> {
        let file = KeyFile::open(&self.cluster_key).map_err(ClusterError::Key)?;
        Ok(ClusterKey::from_source(&file)?)
    }
}

/// Runs a command's work with the brokers.
pub(super) fn wait<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let failed = |error| Failure::new(Exit::System, format!("the system gives no threads: {error}"));
    let runtime = runtime.map_err(failed)?;
    let done = runtime.block_on(work);
    // What still waits for a broker that does not answer is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

/// Ends when the user asks to stop.
pub(super) async fn interrupted(interrupt: &Interrupt) {
    while !interrupt.requested() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// A number of seconds, as an argument.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|wait| !wait.is_zero()).ok_or_else(|| format!("expected a number of seconds, got `{text}`"))
}
