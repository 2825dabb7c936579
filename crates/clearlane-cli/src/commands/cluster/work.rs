//! `clearlane cluster work`.

use clap::Args;
use clearlane_cluster::{BatchWorker, BatchWorkerOptions};

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Do the blocks of batches, such as `cluster duplicates` gives out
///
/// It waits for blocks, does them and publishes their results, until Ctrl-C, at which the block that it has goes to another worker.
/// Start as many as there are machines for it. Their searches are answered by the same nodes as the lanes'.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane cluster work --brokers nats://10.0.0.1:4222 --cluster-key cluster.key --nkey worker-1.nk"
)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// How many searches it asks the nodes for at a time
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    searches: u16,
}

pub(super) fn run(args: &WorkArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    connection::wait(async {
        let cluster = args.connection.options("worker");
        let options = BatchWorkerOptions::default().searches(usize::from(args.searches));
        let mut worker = BatchWorker::start(key, &cluster, options).await?;
        output.note("waiting for blocks");
        tokio::select! {
            error = worker.failed() => return Err(error.into()),
            () = connection::interrupted(&interrupt) => {}
        }
        let progress = worker.progress();
        worker.close().await?;
        output.result(&progress, || match progress.failed {
            0 => format!("{} blocks are done\n", progress.blocks),
            failed => format!("{} blocks are done, of which {failed} could not be\n", progress.blocks),
        })?;
        Ok(Exit::Yes)
    })
}
