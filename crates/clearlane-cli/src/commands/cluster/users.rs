//! `clearlane cluster users`.

use clap::Args;
use clearlane_cluster::Roles;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// Print the brokers' configuration of who may do what
///
/// Put it into a file, and have each broker's configuration include that. Whoever is not in it is not let in.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane cluster users --registrar UA... --node UB... --node UC... --lane lane-1=UD... > users.conf"
)]
pub(crate) struct UsersArgs {
    /// The registrar's public key, as `cluster nkey` prints it
    #[arg(long, value_name = "KEY")]
    registrar: Vec<String>,

    /// A node's public key
    #[arg(long, value_name = "KEY")]
    node: Vec<String>,

    /// A lane's name and its public key
    #[arg(long, value_name = "NAME=KEY")]
    lane: Vec<String>,

    /// A worker's public key
    #[arg(long, value_name = "KEY")]
    worker: Vec<String>,
}

pub(super) fn run(args: &UsersArgs, output: &Output) -> Result<Exit> {
    let mut roles = Roles::new();
    for key in &args.registrar {
        roles = roles.registrar(key)?;
    }
    for key in &args.node {
        roles = roles.node(key)?;
    }
    for lane in &args.lane {
        let (name, key) = lane
            .split_once('=')
            .ok_or_else(|| Failure::new(Exit::Usage, format!("expected a lane as NAME=KEY, got `{lane}`")))?;
        roles = roles.lane(name, key)?;
    }
    for key in &args.worker {
        roles = roles.worker(key)?;
    }
    let config = roles.to_config();
    output.result(&json!({ "config": config }), || config.clone())?;
    Ok(Exit::Yes)
}
