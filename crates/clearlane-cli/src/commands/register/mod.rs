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
    /// Make a key for a new register
    Keygen(keygen::KeygenArgs),
    /// Count what a register holds
    Stats(stats::StatsArgs),
    /// List the subjects that are enrolled
    List(list::ListArgs),
    /// Show all that is known of one subject
    Show(show::ShowArgs),
    /// Take subjects out for good: templates, documents and details are deleted and overwritten
    Revoke(revoke::RevokeArgs),
    /// Take out those whose enrolment has ended or who withdrew their consent
    Sweep(sweep::SweepArgs),
    /// Write all enrolled subjects to a file
    Export(exchange::ExportArgs),
    /// Enrol the subjects of a file
    Import(exchange::ImportArgs),
    /// Check structure, seals and the chain of crossing records, row by row
    Check(check::CheckArgs),
    /// Empty the write-ahead log, so that nothing that was deleted is left in it
    Erase(erase::EraseArgs),
    /// Say that this machine's clock is right, whatever the newest crossing record says
    ConfirmClock(clock::ConfirmClockArgs),
    /// Give a register a new key: every template is transformed and sealed again, while the register is in use
    Rekey(rekey::RekeyArgs),
    /// Give those who are enrolled templates of a new embedder, beside those that they have
    Reembed(reembed::ReembedArgs),
    /// Copy a register, as it is at this moment, to a new file
    Backup(backup::BackupArgs),
    /// Make a register out of a backup, after a check of its structure
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
