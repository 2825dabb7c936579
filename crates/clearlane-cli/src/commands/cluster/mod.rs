//! `clearlane node` and `clearlane cluster`: one gallery over many machines.

mod batches;
mod collect;
mod connection;
mod duplicates;
mod nkey;
mod node;
mod publish;
mod reembed;
mod status;
mod users;
mod work;

pub(super) use connection::ConnectionArgs;
pub(super) use node::{NodeArgs, run as node};

use clap::Subcommand;
use clearlane_cluster::ClusterError;

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// Publish a register to a cluster, see how the cluster is, and have it do batches.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Publish(publish::PublishArgs),
    Status(status::StatusArgs),
    Collect(collect::CollectArgs),
    Duplicates(duplicates::DuplicatesArgs),
    Reembed(reembed::ReembedArgs),
    Batches(batches::BatchesArgs),
    Work(work::WorkArgs),
    Nkey(nkey::NkeyArgs),
    Users(users::UsersArgs),
}

pub(super) fn run(command: &ClusterCommand, output: &Output) -> Result<Exit> {
    match command {
        ClusterCommand::Publish(args) => publish::run(args, output),
        ClusterCommand::Status(args) => status::run(args, output),
        ClusterCommand::Collect(args) => collect::run(args, output),
        ClusterCommand::Duplicates(args) => duplicates::run(args, output),
        ClusterCommand::Reembed(args) => reembed::run(args, output),
        ClusterCommand::Batches(args) => batches::run(args, output),
        ClusterCommand::Work(args) => work::run(args, output),
        ClusterCommand::Nkey(args) => nkey::run(args, output),
        ClusterCommand::Users(args) => users::run(args, output),
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Register(error) => error.into(),
            ClusterError::Enrol(error) => error.into(),
            ClusterError::Setting { .. }
            | ClusterError::NoPartition { .. }
            | ClusterError::PublicKey { .. }
            | ClusterError::ChancePairs { .. }
            | ClusterError::Name { .. } => Self::of(Exit::Usage, &error),
            ClusterError::OtherModel { .. } | ClusterError::OtherDimension { .. } => Self::of(Exit::Model, &error),
            ClusterError::OtherRegister | ClusterError::Key(_) | ClusterError::NoKey => {
                Self::of(Exit::Register, &error)
            }
            error => Self::of(Exit::System, &error),
        }
    }
}
