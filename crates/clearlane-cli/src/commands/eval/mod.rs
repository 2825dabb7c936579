//! `clearlane eval`: how well models recognise, by public protocols and on your own captures.

pub(super) mod all_pairs;
mod by_group;
mod compare;
mod folder;
mod halves;
mod ijb;
mod ijb_search;
mod kept;
mod lfw;
mod lfw_all_pairs;
mod lfw_identification;
mod lfw_view2;
mod pad;
mod pairs;
pub(in crate::commands) mod quality;
pub(super) mod report;
mod search_modes;
mod table;
pub(super) mod templates;
mod utkface;
mod verification;
mod worst;

use clap::{Args, Subcommand};
pub(super) use pairs::{is_packed, packed_bytes};

use crate::failure::{Exit, Result};
use crate::models::ModelArgs;
use crate::output::Output;
use report::ReportArgs;
use templates::TemplateArgs;

/// What every protocol on pictures takes: how templates are made, by which models, and what is made of the figures.
#[derive(Debug, Args)]
struct RunArgs {
    #[command(flatten)]
    how: TemplateArgs,
    #[command(flatten)]
    models: ModelArgs,
    #[command(flatten)]
    report: ReportArgs,
}

/// Measure how well models recognise, by public protocols and on your own captures.
#[derive(Debug, Subcommand)]
pub(crate) enum EvalCommand {
    Lfw(lfw::LfwArgs),
    Folder(folder::FolderArgs),
    Pairs(pairs::PairsArgs),
    Templates(ijb::IjbArgs),
    Search(ijb_search::SearchArgs),
    Table(table::TableArgs),
    Compare(compare::CompareArgs),
    Pad(pad::PadArgs),
    #[command(name = "utkface")]
    UtkFace(utkface::UtkFaceArgs),
}

pub(super) fn run(command: &EvalCommand, output: &Output) -> Result<Exit> {
    match command {
        EvalCommand::Lfw(args) => lfw::run(args, output),
        EvalCommand::Folder(args) => folder::run(args, output),
        EvalCommand::Pairs(args) => pairs::run(args, output),
        EvalCommand::Templates(args) => ijb::run(args, output),
        EvalCommand::Table(args) => table::run(args, output),
        EvalCommand::Search(args) => ijb_search::run(args, output),
        EvalCommand::Pad(args) => pad::run(args, output),
        EvalCommand::Compare(args) => compare::run(args, output),
        EvalCommand::UtkFace(args) => utkface::run(args, output),
    }
}
