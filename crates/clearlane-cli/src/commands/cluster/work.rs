//! `clearlane cluster work`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use clearlane::{Policy, TemplateMaker};
use clearlane_cluster::{BatchWorker, BatchWorkerOptions};
use clearlane_embed::Selection;

use super::connection::{self, ConnectionArgs};
use crate::commands::reembedding;
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::models::ModelArgs;
use crate::output::Output;
use crate::pictures::PictureArgs;

/// Do the blocks of batches, such as `cluster duplicates` and `cluster reembed` give out
///
/// It waits for blocks, does them and publishes their results, until Ctrl-C, at which the block that it has goes to another worker.
/// Start as many as there are machines for it. Their searches are answered by the same nodes as the lanes'.
///
/// With --policy it makes templates for `cluster reembed` as well, on all processors: give it the policy, the models and the options of that
/// command, which says what to give as --embedder and --earlier. A re-embedding by another embedder or other rules passes it by, and the
/// log says in what they differ; how faces are found and pictures read has to be the same by the operator's care.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct WorkArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// How many searches it asks the nodes for at a time
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..))]
    searches: u16,

    /// The rules of the port (TOML), for `cluster reembed`
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// The embedder that the register has templates of, with which pictures are compared, by its name in the manifest
    #[arg(long, value_name = "NAME", requires = "policy")]
    earlier: Option<String>,

    #[command(flatten)]
    how: PictureArgs,

    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane cluster work --brokers nats://10.0.0.1:4222 --cluster-key cluster.key --nkey worker-1.nk
  clearlane cluster work --policy policies/port.toml --models models/ --embedder NEW --earlier OLD \\
      --brokers nats://10.0.0.1:4222 --cluster-key cluster.key --nkey worker-1.nk";

pub(super) fn run(args: &WorkArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let mut options = BatchWorkerOptions::default().searches(usize::from(args.searches));
    if let Some(policy) = &args.policy {
        options = options.reembedding(Arc::new(maker(args, policy)?), args.how.limits());
    }
    connection::wait(async {
        let cluster = args.connection.options("worker");
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

fn maker(args: &WorkArgs, policy: &Path) -> Result<TemplateMaker> {
    let policy = Policy::open(policy).map_err(|error| Failure::of(Exit::Input, &error))?;
    let extractor = args.models.load_extractor(Selection::Only)?.with_orientation(args.how.orientation());
    let models = args.models.available()?;
    let earlier = args.earlier.as_deref().map(|name| models.embedder(name)).transpose()?;
    reembedding::maker(Arc::new(policy), extractor, earlier)
}
