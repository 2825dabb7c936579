//! The commands, one a file.

mod bench;
mod calibrate;
mod claim;
#[cfg(feature = "cluster")]
mod cluster;
mod completions;
mod datasets;
mod demo;
mod enrol;
mod eval;
mod identify;
mod inspect;
mod lane;
mod models;
mod records;
mod reembedding;
mod register;
mod verify;

use clap::Subcommand;

use crate::failure::{Exit, Result};
use crate::output::Output;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(demo::DemoArgs),
    Inspect(inspect::InspectArgs),
    Verify(verify::VerifyArgs),
    Enrol(enrol::EnrolArgs),
    Identify(identify::IdentifyArgs),
    /// Look into a register and keep it in order
    #[command(subcommand)]
    Register(register::RegisterCommand),
    /// Issue claims, QR codes for 1:1 lanes, and read them
    #[command(subcommand)]
    Claim(claim::ClaimCommand),
    /// Run lanes as a port does, fed from files
    #[command(subcommand)]
    Lane(lane::LaneCommand),
    /// Look into the crossing records
    #[command(subcommand)]
    Records(records::RecordsCommand),
    /// List the available models, and check them
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// List the public data sets, check and fetch them
    #[command(subcommand)]
    Datasets(datasets::DatasetsCommand),
    /// Measure how well models recognise, by public protocols and on your own captures
    #[command(subcommand)]
    Eval(eval::EvalCommand),
    /// Measure thresholds of an embedder on a population, and write them into a manifest
    #[command(subcommand)]
    Calibrate(calibrate::CalibrateCommand),
    /// Measure what the parts take on this machine
    Bench(bench::BenchArgs),
    #[cfg(feature = "cluster")]
    Node(cluster::NodeArgs),
    /// Publish a register to a cluster, see how the cluster is, and have it do batches
    #[cfg(feature = "cluster")]
    #[command(subcommand)]
    Cluster(cluster::ClusterCommand),
    Completions(completions::CompletionsArgs),
}

/// Runs a command to its end.
pub(crate) fn run(command: Command, output: &Output) -> Result<Exit> {
    match command {
        Command::Demo(args) => demo::run(&args, output),
        Command::Inspect(args) => inspect::run(&args, output),
        Command::Verify(args) => verify::run(&args, output),
        Command::Enrol(args) => enrol::run(&args, output),
        Command::Identify(args) => identify::run(&args, output),
        Command::Register(command) => register::run(&command, output),
        Command::Claim(command) => claim::run(&command, output),
        Command::Lane(command) => lane::run(&command, output),
        Command::Records(command) => records::run(&command, output),
        Command::Models(command) => models::run(&command, output),
        Command::Datasets(command) => datasets::run(&command, output),
        Command::Eval(command) => eval::run(&command, output),
        Command::Calibrate(command) => calibrate::run(&command, output),
        Command::Bench(args) => bench::run(&args, output),
        #[cfg(feature = "cluster")]
        Command::Node(args) => cluster::node(&args, output),
        #[cfg(feature = "cluster")]
        Command::Cluster(command) => cluster::run(&command, output),
        Command::Completions(args) => completions::run(&args),
    }
}
