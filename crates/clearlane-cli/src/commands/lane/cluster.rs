//! Lanes on the gallery of a cluster.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{ArgMatches, Args, Command, FromArgMatches, Id};
use clearlane::{Port, PortOptions};
use clearlane_cluster::{ClusterGallery, GallerySettings, RecordForwarder};

use crate::commands::cluster::ConnectionArgs;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::registers::RegisterArgs;

/// How long the brokers may take for the last records.
const AT_THE_END: Duration = Duration::from_secs(5);

/// Where the lanes' gallery is, where it is a cluster's. The register then has their crossing records alone, and is made where there
/// is none.
#[derive(Debug, Args)]
pub(super) struct ClusterArgs {
    #[command(flatten)]
    connection: Connection,

    /// Follow the whole gallery in this process, which goes on through a network cut for as long as the policy's gallery-age-ms,
    /// in place of asking the nodes
    #[arg(long, requires = "brokers", help_heading = "Cluster")]
    follow: bool,

    /// Where a process that follows keeps its snapshots, so that it starts again from them
    #[arg(long, value_name = "FOLDER", requires = "follow", help_heading = "Cluster")]
    snapshots: Option<PathBuf>,

    /// Send the crossing records to the centre under this name, which is no other machine's
    #[arg(long, value_name = "NAME", requires_all = ["brokers", "outbox"], help_heading = "Cluster")]
    send_records: Option<String>,

    /// Where crossing records are kept until the brokers have them
    #[arg(long, value_name = "FOLDER", requires = "send_records", help_heading = "Cluster")]
    outbox: Option<PathBuf>,
}

/// The brokers, for commands that work without as well.
#[derive(Debug)]
struct Connection(Option<ConnectionArgs>);

impl Args for Connection {
    fn group_id() -> Option<Id> {
        ConnectionArgs::group_id()
    }

    fn augment_args(command: Command) -> Command {
        ConnectionArgs::augment_args(command)
            .mut_arg("brokers", |brokers| brokers.required(false).requires("cluster_key"))
            .mut_arg("cluster_key", |key| key.required(false))
            .mut_arg("tls_ca", |file| file.requires("brokers"))
            .mut_arg("tls_certificate", |file| file.requires("brokers"))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Connection {
    fn from_arg_matches(matches: &ArgMatches) -> std::result::Result<Self, clap::Error> {
        let there = matches.contains_id("brokers");
        Ok(Self(there.then(|| ConnectionArgs::from_arg_matches(matches)).transpose()?))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> std::result::Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl ClusterArgs {
    /// The port's gallery. On a cluster's, the register is made where there is none: it has records alone.
    pub(super) fn join(&self, register: &RegisterArgs, options: PortOptions) -> Result<PortOptions> {
        let Some(connection) = &self.connection.0 else {
            register.there()?;
            return Ok(options);
        };
        let (key, cluster) = (connection.key()?, connection.options("lane"));
        if let Some(outbox) = &self.outbox {
            std::fs::create_dir_all(outbox)
                .map_err(|error| Failure::new(Exit::System, format!("{}: {error}", shown(outbox))))?;
        }
        let gallery = if self.follow {
            ClusterGallery::following(key, &cluster, GallerySettings::default(), self.snapshots.clone())?
        } else {
            ClusterGallery::asking(key, &cluster)?
        };
        Ok(options.create().remote_gallery(Arc::new(gallery)))
    }

    /// What sends the port's crossing records.
    pub(super) fn forwarder(&self, port: &Port) -> Result<Forwarder> {
        let (Some(connection), Some(name), Some(outbox)) = (&self.connection.0, &self.send_records, &self.outbox)
        else {
            return Ok(Forwarder(None));
        };
        let (key, cluster) = (connection.key()?, connection.options(name));
        Ok(Forwarder(Some(RecordForwarder::start(key, &cluster, name, outbox, Arc::clone(port.register()))?)))
    }
}

/// Sends crossing records, where it was asked for.
pub(super) struct Forwarder(Option<RecordForwarder>);

impl Forwarder {
    /// Sends the rest, and says how many records wait for the brokers all the same.
    pub(super) fn finish(self, output: &Output) -> Result<()> {
        let waiting = self.0.map_or(Ok(0), |forwarder| forwarder.flush(AT_THE_END))?;
        if waiting > 0 {
            output.note(&format!("{waiting} crossing records wait for the brokers; the next run sends them"));
        }
        Ok(())
    }

    /// Sends what came since. What fails is sent with the next: the register has it.
    pub(super) fn forward(&self) {
        if let Some(Err(error)) = self.0.as_ref().map(RecordForwarder::forward) {
            tracing::error!(%error, "crossing records could not be sent");
        }
    }
}
