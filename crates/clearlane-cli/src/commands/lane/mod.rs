//! `clearlane lane`: lanes as a port runs them, fed from files.

mod queue;
mod run;

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::output::Output;

/// Run lanes as a port does, fed from files
#[derive(Debug, Subcommand)]
pub(crate) enum LaneCommand {
    /// Let a queue of passengers through one lane or several
    Run(run::RunArgs),
}

pub(super) fn run(command: &LaneCommand, output: &Output) -> Result<Exit> {
    match command {
        LaneCommand::Run(args) => run::run(args, output),
    }
}
