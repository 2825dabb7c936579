//! `clearlane eval`: how well models recognise, by public protocols and on your own captures.

mod all_pairs;
mod folder;
mod lfw;
mod lfw_all_pairs;
mod lfw_identification;
mod lfw_view2;
pub(super) mod templates;

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::output::Output;

/// Measure how well models recognise, by public protocols and on your own captures.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    /// Labeled Faces in the Wild: View 2, a 1:N test, or all pairs
    Lfw(lfw::LfwArgs),
    /// Your own captures, all against all: FNMR at low FMRs, and their thresholds
    Folder(folder::FolderArgs),
}

pub(super) fn run(command: &EvalCommand, output: &Output) -> Result<Exit> {
    match command {
        EvalCommand::Lfw(args) => lfw::run(args, output),
        EvalCommand::Folder(args) => folder::run(args, output),
    }
}
