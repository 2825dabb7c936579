//! `clearlane bench`: what the parts take on this machine.

mod cpu;
mod embed;
mod plot;
mod search;
mod soak;

use clap::{Args, Subcommand};

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

/// Measure what the parts take on this machine
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct BenchArgs {
    /// Show which kernels this processor runs, and stop
    #[arg(long)]
    cpu: bool,
    #[command(subcommand)]
    command: Option<BenchCommand>,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    Search(Box<search::SearchArgs>),
    Embed(embed::EmbedArgs),
    Soak(Box<soak::SoakArgs>),
}

pub(super) fn run(args: &BenchArgs, output: &Output) -> Result<Exit> {
    match &args.command {
        _ if args.cpu => cpu::run(output),
        Some(BenchCommand::Search(args)) => search::run(args, output),
        Some(BenchCommand::Embed(args)) => embed::run(args, output),
        Some(BenchCommand::Soak(args)) => soak::run(args, output),
        None => Err(Failure::new(Exit::Usage, "nothing to measure").with_help("`clearlane bench --help` lists it")),
    }
}

/// The value that `share` of the ascending `times` do not exceed.
fn percentile(times: &[f64], share: f64) -> f64 {
    let last = times.len().saturating_sub(1);
    times.get(((times.len() as f64 * share) as usize).min(last)).copied().unwrap_or(f64::NAN)
}
