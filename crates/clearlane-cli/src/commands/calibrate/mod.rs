//! `clearlane calibrate`: which threshold gives which false match rate, among whom; and whether it still fits.

mod check;
mod fit;
mod folder;
mod manifest;
mod scores;

use clap::{Args, Subcommand};
use clearlane::Population;
use std::path::PathBuf;

use crate::failure::{Exit, Result};
use crate::output::Output;
use crate::thresholds::rate;

/// Measure thresholds of an embedder on a population, and write them into a manifest
///
/// A false match rate is one of people: at one threshold, others are matched falsely at another rate, ten times as often and
/// more. A policy names the populations that its lanes serve, and no lane opens with a model that was not calibrated on each of
/// them.
///
/// A rate is counted as far as the comparisons reach (the rule of 30: 30 false matches), and extrapolated beyond by a generalised
/// Pareto distribution that is fitted to the highest non-mated scores; what is extrapolated is marked, in the manifest too.
#[derive(Debug, Subcommand)]
pub(crate) enum CalibrateCommand {
    Folder(folder::FolderArgs),
    Scores(scores::ScoresArgs),
    Check(check::CheckArgs),
}

pub(super) fn run(command: &CalibrateCommand, output: &Output) -> Result<Exit> {
    match command {
        CalibrateCommand::Folder(args) => folder::run(args, output),
        CalibrateCommand::Scores(args) => scores::run(args, output),
        CalibrateCommand::Check(args) => check::run(args, output),
    }
}

/// Which rates are calibrated.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Rates")]
struct TargetArgs {
    /// The false match rates of single comparisons, in (0, 1) [default: 1e-1 to 1e-12, by tens]
    #[arg(long, value_name = "RATE", value_delimiter = ',', value_parser = rate)]
    fmr: Vec<f64>,

    /// The false positive identification rate of a search of --gallery references, in (0, 1), beside them
    #[arg(long, value_name = "RATE", value_parser = rate, requires = "gallery")]
    fpir: Option<f64>,

    /// The references that are searched
    #[arg(long, value_name = "N", requires = "fpir", value_parser = clap::value_parser!(u32).range(1..))]
    gallery: Option<u32>,
}

impl TargetArgs {
    /// The false match rates, from lenient to strict.
    fn rates(&self) -> Vec<f64> {
        let mut rates = self.fmr.clone();
        if rates.is_empty() {
            // From what one comparison needs to what a search of a million does at an FPIR of 1e-5 and less.
            rates.extend((1..=12).map(|tens| 10_f64.powi(-tens)));
        }
        let search = self.fpir.zip(self.gallery);
        rates.extend(search.map(|(fpir, gallery)| clearlane::fmr_for_fpir(fpir, gallery as usize)));
        rates.sort_by(|a, b| b.total_cmp(a));
        rates.dedup();
        rates
    }
}

/// Where the thresholds are written.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Manifest")]
struct WriteArgs {
    /// Write the thresholds into this manifest, whose comments stay; it appears whole or not at all
    #[arg(long, value_name = "MANIFEST.toml", requires_all = ["population", "measured_on"])]
    write: Option<PathBuf>,

    /// The embedder's name in it [default: the embedder that made the templates]
    #[arg(long, value_name = "NAME", requires = "write")]
    model: Option<String>,

    /// The population that the captures show, such as east-asian-adults: policies ask for it by this name
    #[arg(long, value_name = "NAME")]
    population: Option<Population>,

    /// Who the people are and what took the captures, in words: how many there were is added
    #[arg(long, value_name = "TEXT", requires = "write")]
    measured_on: Option<String>,

    /// Replace what the manifest has of this population already
    #[arg(long, requires = "write")]
    replace: bool,
}
