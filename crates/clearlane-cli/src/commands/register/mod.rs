//! `clearlane register`: what a register holds, and its upkeep.

mod backup;
mod check;
mod clock;
mod erase;
mod exchange;
mod keygen;
mod list;
mod reembed;
mod rekey;
mod revoke;
mod show;
mod stats;
mod sweep;

pub(super) use exchange::{Style, format_of};
pub(super) use show::find;

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::output::Output;

/// Look into a register and keep it in order.
#[derive(Debug, Subcommand)]
pub(crate) enum RegisterCommand {
    Keygen(keygen::KeygenArgs),
    /// Count what a register holds
    Stats(stats::StatsArgs),
    /// List the subjects that are enrolled
    List(list::ListArgs),
    /// Show all that is known of one subject
    Show(show::ShowArgs),
    Revoke(revoke::RevokeArgs),
    Sweep(sweep::SweepArgs),
    Export(exchange::ExportArgs),
    Import(exchange::ImportArgs),
    Check(check::CheckArgs),
    Erase(erase::EraseArgs),
    ConfirmClock(clock::ConfirmClockArgs),
    Rekey(rekey::RekeyArgs),
    Reembed(reembed::ReembedArgs),
    Backup(backup::BackupArgs),
    Restore(backup::RestoreArgs),
}

pub(super) fn run(command: &RegisterCommand, output: &Output) -> Result<Exit> {
    match command {
        RegisterCommand::Keygen(args) => keygen::run(args, output),
        RegisterCommand::Stats(args) => stats::run(args, output),
        RegisterCommand::List(args) => list::run(args, output),
        RegisterCommand::Show(args) => show::run(args, output),
        RegisterCommand::Revoke(args) => revoke::run(args, output),
        RegisterCommand::Sweep(args) => sweep::run(args, output),
        RegisterCommand::Export(args) => exchange::export(args, output),
        RegisterCommand::Import(args) => exchange::import(args, output),
        RegisterCommand::Check(args) => check::run(args, output),
        RegisterCommand::Erase(args) => erase::run(args, output),
        RegisterCommand::ConfirmClock(args) => clock::run(args, output),
        RegisterCommand::Rekey(args) => rekey::run(args, output),
        RegisterCommand::Reembed(args) => reembed::run(args, output),
        RegisterCommand::Backup(args) => backup::backup(args, output),
        RegisterCommand::Restore(args) => backup::restore(args, output),
    }
}
