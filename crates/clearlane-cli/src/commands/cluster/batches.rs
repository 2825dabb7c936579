//! `clearlane cluster batches`.

use std::fmt::Write as _;

use clap::Args;
use clearlane_cluster::{BatchKind, StandingBatch, StandingBatches, discard_batch, standing_batches};
use serde_json::json;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Result};
use crate::output::{Output, table};

/// Show the batches that the brokers keep, or remove one
///
/// A search for people who are enrolled twice, or a re-embedding, stays at the brokers until its result is printed. One that was given up
/// stays, with up to 64 blocks of pictures where it is a re-embedding, and so does its work: workers go on with it. It takes the registrar's
/// user.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BatchesArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// Remove the batch of this name; what a re-embedding has written into the register stays. Exit code 1 where there is none
    #[arg(long, value_name = "NAME")]
    discard: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  clearlane cluster batches --brokers nats://10.0.0.1:4222 --cluster-key cluster.key
  clearlane cluster batches --discard 5f1d0c0e9b7a4c3d8e2f6a1b0c9d8e7f --brokers nats://10.0.0.1:4222 --cluster-key cluster.key";

pub(super) fn run(args: &BatchesArgs, output: &Output) -> Result<Exit> {
    let key = args.connection.key()?;
    connection::wait(async {
        let cluster = args.connection.options("batches");
        if let Some(name) = &args.discard {
            let found = discard_batch(&key, &cluster, name).await?;
            let words = if found { "the batch is removed" } else { "there is no such batch: nothing is removed" };
            output.result(&json!({ "name": name, "removed": found }), || format!("{words}\n"))?;
            return Ok(Exit::answer(found));
        }
        let standing = standing_batches(&key, &cluster).await?;
        output.result(&standing, || text(&standing))?;
        Ok(Exit::Yes)
    })
}

fn text(StandingBatches { batches, left_over, unreadable, .. }: &StandingBatches) -> String {
    let rows: Vec<Vec<String>> = batches.iter().map(row).collect();
    let mut text = if rows.is_empty() {
        "no batch stands at the brokers\n".to_owned()
    } else {
        table(&["name", "what", "begun", "blocks", "waiting", "done", "gallery"], &[3, 4, 5], &rows)
    };
    // Writing to a String cannot fail.
    if *left_over > 0 {
        _ = writeln!(text, "{left_over} blocks and results of no batch are left over: they go when one begins");
    }
    if *unreadable > 0 {
        _ = writeln!(text, "{unreadable} batches of another cluster key: they go when one begins");
    }
    text
}

fn row(batch: &StandingBatch) -> Vec<String> {
    let kind = match batch.kind {
        BatchKind::Duplicates => "duplicates",
        BatchKind::Reembedding => "reembed",
        _ => "another",
    };
    let numbers = [batch.blocks, batch.waiting, batch.done].map(|number| number.to_string());
    let gallery = if batch.of_this_gallery { "this one" } else { "another" };
    let words = [batch.name.clone(), kind.to_owned(), batch.begun.strftime("%Y-%m-%d %H:%M:%SZ").to_string()];
    [&words[..], &numbers[..], &[gallery.to_owned()]].concat()
}
