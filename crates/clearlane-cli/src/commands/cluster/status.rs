//! `clearlane cluster status`.

use std::fmt::Write as _;
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{ClusterStatus, cluster_status};

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Result};
use crate::interrupt::Interrupt;
use crate::output::{Output, table};

/// Show brokers, partitions and nodes, and how old each is
///
/// The answer is no (exit code 1) where a partition has no node that answers, or a broker is not up to date.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane cluster status --watch 2 --brokers nats://10.0.0.1:4222 --cluster-key cluster.key"
)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// How long nodes have to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "0.5", value_parser = connection::seconds)]
    wait: Duration,

    /// Show it again and again, with so many seconds between, until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = connection::seconds)]
    watch: Option<Duration>,
}

pub(super) fn run(args: &StatusArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    connection::wait(async {
        loop {
            let status = cluster_status(&key, &args.connection.options("status"), args.wait).await?;
            output.line(&status, || text(&status))?;
            let sound = (0..status.partitions).all(|partition| status.answering(partition) > 0)
                && status.replicas.iter().all(|(_, current)| *current);
            let Some(watch) = args.watch else { return Ok(Exit::answer(sound)) };
            tokio::select! {
                () = tokio::time::sleep(watch) => {}
                () = connection::interrupted(&interrupt) => return Ok(Exit::answer(sound)),
            }
        }
    })
}

fn text(status: &ClusterStatus) -> String {
    let mut text = String::new();
    let brokers = status
        .replicas
        .iter()
        .map(|(name, current)| if *current { format!(", {name}") } else { format!(", {name} (not up to date)") });
    let leader = status.leader.as_deref().unwrap_or("none that leads");
    // Writing to a String cannot fail.
    _ = writeln!(text, "brokers     {leader}{}", brokers.collect::<String>());
    let megabytes = status.bytes as f64 / 1e6;
    _ = writeln!(text, "stream      {} messages, {megabytes:.1} MB, at {}", status.messages, status.sequence);
    let missing: Vec<_> = (0..status.partitions)
        .filter(|partition| status.answering(*partition) == 0)
        .map(|one| one.to_string())
        .collect();
    let missing =
        if missing.is_empty() { String::new() } else { format!("; no node answers for {}", missing.join(", ")) };
    _ = writeln!(text, "partitions  {}{missing}\n", status.partitions);
    let rows: Vec<Vec<String>> = status
        .nodes
        .iter()
        .flat_map(|node| {
            node.partitions.iter().map(|partition| {
                let age = partition.age_ms.map_or("-".to_owned(), |age| format!("{:.2} s", age as f64 / 1000.0));
                let health = serde_json::to_value(partition.health).ok();
                let health = health.as_ref().and_then(|health| health.as_str()).unwrap_or_default().to_owned();
                let (sequence, templates) = (partition.sequence.to_string(), partition.templates.to_string());
                let reloads = partition.reloads.to_string();
                vec![node.node.clone(), partition.partition.to_string(), health, age, sequence, templates, reloads]
            })
        })
        .collect();
    let header = ["node", "partition", "is", "age", "position", "templates", "reloads"];
    text.push_str(&table(&header, &[1, 3, 4, 5, 6], &rows));
    text
}
