//! `clearlane records`: the crossing records of a register.

mod export;
mod list;
mod print;
mod query;
mod verify;

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::output::Output;

/// Look into the crossing records
///
/// Every passage of a lane is recorded before the gate opens, each record chained to the one before. Records hold no face,
/// no template and no document's number.
#[derive(Debug, Subcommand)]
pub(crate) enum RecordsCommand {
    /// List the records, the oldest first
    List(query::QueryArgs),
    /// Show the newest record, such as a traveller's last entry at a port
    Last(query::QueryArgs),
    Print(print::PrintArgs),
    Verify(verify::VerifyArgs),
    Export(export::ExportArgs),
}

pub(super) fn run(command: &RecordsCommand, output: &Output) -> Result<Exit> {
    match command {
        RecordsCommand::List(args) => list::list(args, output),
        RecordsCommand::Last(args) => list::last(args, output),
        RecordsCommand::Print(args) => print::run(args, output),
        RecordsCommand::Verify(args) => verify::run(args, output),
        RecordsCommand::Export(args) => export::run(args, output),
    }
}
