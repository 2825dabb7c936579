//! `clearlane cluster publish`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{Registrar, RegistrarOptions};
use clearlane_store::Register;
use clearlane_template::ModelId;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::registers::RegisterArgs;

/// Publish a register's gallery, and every change of it from then on
///
/// It makes the gallery's stream where there is none, publishes what the stream does not hold, and follows the register,
/// whichever process changes it, until Ctrl-C. One process publishes a gallery; of two, one stops.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane cluster publish --register port.db --key-file port.key --partitions 4 \\\n    --brokers nats://10.0.0.1:4222 --cluster-key cluster.key"
)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    register: RegisterArgs,

    #[command(flatten)]
    connection: ConnectionArgs,

    /// The model whose templates are published, by its id [default: the only one that the register has templates of]
    #[arg(long, value_name = "ID")]
    model_id: Option<ModelId>,

    /// Into how many partitions the gallery is divided; fixed when the stream is made
    #[arg(long, value_name = "COUNT", default_value_t = 4)]
    partitions: u32,

    /// How many brokers keep each message
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    replicas: usize,

    /// How often the nodes are told how far the gallery is, in seconds: answers are as old at least
    #[arg(long, value_name = "SECONDS", default_value = "0.25", value_parser = connection::seconds)]
    head_every: Duration,

    /// The most bytes that the stream may take on each broker [default: no limit]
    #[arg(long, value_name = "BYTES")]
    stream_bytes: Option<u64>,
}

pub(super) fn run(args: &PublishArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let register = Arc::new(args.register.open()?);
    let (model, dimension) = model(&register, args.model_id)?;
    let mut options = RegistrarOptions::new(model, dimension)
        .partitions(args.partitions)
        .replicas(args.replicas)
        .head_every(args.head_every);
    if let Some(bytes) = args.stream_bytes {
        options = options.stream_bytes(bytes);
    }
    connection::wait(async {
        let cluster = args.connection.options("registrar");
        let mut registrar = tokio::select! {
            opened = Registrar::open(register, key, &cluster, options) => opened?,
            () = connection::interrupted(&interrupt) => return Err(Failure::interrupted()),
        };
        output.note(&format!("{} subjects are published; following the register", registrar.progress().subjects));
        tokio::select! {
            error = registrar.failed() => return Err(error.into()),
            () = connection::interrupted(&interrupt) => {}
        }
        registrar.close().await?;
        Ok(Exit::Yes)
    })
}

/// The model whose templates are published.
fn model(register: &Register, wanted: Option<ModelId>) -> Result<(ModelId, usize)> {
    let models = register.stats()?.models;
    let known = models.iter().map(|model| model.id.to_string()).collect::<Vec<_>>().join(", ");
    let refused = |message: String| Failure::new(Exit::Model, message).with_help("choose one with --model-id");
    match (wanted, &models[..]) {
        (None, [only]) => Ok((only.id, only.dimension)),
        (None, []) => {
            let message = "the register has no templates yet, so that nobody knows of which model they will be";
            Err(Failure::new(Exit::Model, message).with_help("enrol somebody first"))
        }
        (None, _) => Err(refused(format!("the register has templates of several models: {known}"))),
        (Some(wanted), _) => match models.iter().find(|model| model.id == wanted) {
            Some(model) => Ok((model.id, model.dimension)),
            None => Err(refused(format!("the register has no templates of model {wanted}; it has those of {known}"))),
        },
    }
}
