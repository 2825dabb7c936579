//! `clearlane node`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{GallerySettings, Node, NodeOptions, Partitions};
use clearlane_match::Precision;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Result};
use crate::interrupt::Interrupt;
use crate::metrics::MetricsServer;
use crate::output::Output;

/// Follow partitions of a cluster's gallery, and answer lanes for them
///
/// It runs until Ctrl-C. A node that was killed starts again from its snapshots, and asks the brokers only for what came since.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane node node-1 --partitions 0-3 --snapshots /var/lib/clearlane --brokers nats://10.0.0.1:4222 \\\n    --cluster-key /etc/clearlane/cluster.key --nkey /etc/clearlane/node-1.nk"
)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// The node's name, by which `cluster status` lists it
    name: String,

    /// Its partitions, such as `0-3,7` or `all`
    #[arg(long, value_name = "LIST", default_value = "all")]
    partitions: Partitions,

    /// The folder of its snapshots
    #[arg(long, value_name = "FOLDER")]
    snapshots: Option<PathBuf>,

    /// How old an answer lanes bear, in seconds: a node that has heard nothing for half of it takes no questions
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = connection::seconds)]
    bound: Duration,

    /// Store vectors in half precision: half the memory, scores that are rounded; on all nodes or on none
    #[arg(long)]
    half: bool,

    /// How many searches run at a time [default: as many as the machine has processors]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    searches: Option<u32>,

    /// Answer GET /metrics with the node's metrics in Prometheus' text format, on this port of 127.0.0.1 alone; 0 is any that is free
    #[arg(long, value_name = "PORT")]
    metrics: Option<u16>,
}

/// Questions that wait for their turn, for each search that runs.
const WAITING: usize = 64;

pub(in crate::commands) fn run(args: &NodeArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let mut options = NodeOptions::new(&args.name, args.partitions.clone()).bound(args.bound);
    if let Some(folder) = &args.snapshots {
        options = options.snapshots(folder);
    }
    if args.half {
        options = options.gallery(GallerySettings::default().precision(Precision::F16));
    }
    if let Some(searches) = args.searches {
        options = options.searches(searches as usize, searches as usize * WAITING);
    }
    connection::wait(async {
        let mut node = Node::start(key, &args.connection.options(&args.name), options).await?;
        let figures = node.figures();
        let serve = |number| MetricsServer::start(number, move || figures().to_prometheus());
        let metrics = args.metrics.map(serve).transpose()?;
        if let Some(metrics) = &metrics {
            output.note(&format!("metrics are at http://{}/metrics", metrics.address()));
        }
        output.note(&format!("{} follows partitions {}", args.name, args.partitions));
        tokio::select! {
            error = node.failed() => return Err(error.into()),
            () = connection::interrupted(&interrupt) => {}
        }
        node.close().await?;
        Ok(Exit::Yes)
    })
}
