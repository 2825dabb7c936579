//! `clearlane models`: which are available, what they are, whether they are whole; and quantised models.

mod add;
mod candidates;
mod quantise;

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use clearlane_embed::{Location, ModelEntry, Models, Task};
use clearlane_infer::{Network, NodeBackend, NodeInfo};
use serde::Serialize;
use serde_json::json;

use crate::failure::{Exit, Failure, Result, chain};
use crate::models::ModelArgs;
use crate::output::{Output, shown, table};

/// List the available models, and check them.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models: compiled in, and in the folder of --models
    List(ListArgs),
    /// Show all that is known of one model, and which backend runs each node of its graph
    Show(ShowArgs),
    /// Check that each model is the file its manifest describes, and that it loads and runs
    ///
    /// Exit code 0 where all do, 1 where one does not.
    Verify(VerifyArgs),
    /// Look into an ONNX file, find out what it is and how it is fed, and add it to the manifest beside it
    ///
    /// What the file does not say is tried on the built-in fictional faces: the order of colours, the mean and the scale of an
    /// embedder show in how far apart it holds two people. What cannot be found out is said.
    Add(add::AddArgs),
    /// Make an INT8 model from a floating-point embedder or detector: two to three times faster, about as accurate
    ///
    /// Its values are calibrated on pictures, which should look like those it will see and be none of those it is evaluated
    /// on: of an embedder on the faces in them, of a detector on the whole. Prints the new model's manifest entry. An embedder's
    /// templates are never compared with those of the model it was made from.
    Quantise(quantise::QuantiseArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    models: ModelArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The model's name
    name: String,
    #[command(flatten)]
    models: ModelArgs,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The models' names; all where none is given
    names: Vec<String>,
    #[command(flatten)]
    models: ModelArgs,
}

pub(super) fn run(command: &ModelsCommand, output: &Output) -> Result<Exit> {
    match command {
        ModelsCommand::List(args) => list(args, output),
        ModelsCommand::Show(args) => show(args, output),
        ModelsCommand::Verify(args) => verify(args, output),
        ModelsCommand::Add(args) => add::run(args, output),
        ModelsCommand::Quantise(args) => quantise::run(args, output),
    }
}

fn list(args: &ListArgs, output: &Output) -> Result<Exit> {
    let models = args.models.available()?;
    let value: Vec<_> = models.iter().map(|(entry, location)| described(entry, location)).collect();
    output.result(&value, || {
        let row = |(entry, location): (&ModelEntry, &Location)| {
            vec![entry.name.clone(), task(entry), input(entry), entry.licence.clone(), place(location)]
        };
        let rows: Vec<_> = models.iter().map(row).collect();
        if rows.is_empty() {
            return "no model is available: give a folder of models with --models DIR\n".to_owned();
        }
        table(&["NAME", "TASK", "INPUT", "LICENCE", "WHERE"], &[], &rows)
    })?;
    Ok(Exit::Yes)
}

fn show(args: &ShowArgs, output: &Output) -> Result<Exit> {
    let models = args.models.available()?;
    let (entry, location) = models.get(&args.name)?;
    let nodes = nodes(&models, entry);
    let mut value = described(entry, location);
    match &nodes {
        Ok(nodes) => value["nodes"] = nodes.iter().map(described_node).collect(),
        Err(problem) => value["problem"] = json!(problem),
    }
    output.result(&value, || {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:<10}{value}");
        };
        line("name", &entry.name);
        line("task", &task(entry));
        line("input", &input(entry));
        line("mean", &format!("{:?}", entry.input.mean));
        line("std", &format!("{:?}", entry.input.std));
        line("licence", &entry.licence);
        line("source", &entry.source);
        line("sha256", &entry.sha256);
        line("where", &place(location));
        if let Task::Embedding { calibrations, .. } = &entry.task {
            for calibration in calibrations {
                line("measured", &format!("on {}: {}", calibration.population, calibration.measured_on));
                for known in &calibration.thresholds {
                    let note = known.note.as_ref().map_or_else(String::new, |note| format!(", {note}"));
                    line("threshold", &format!("{:.4} at FMR {:e}{note}", known.threshold, known.fmr));
                }
            }
        }
        match &nodes {
            Ok(nodes) => {
                let (own, left): (Vec<_>, Vec<_>) = nodes.iter().partition(|node| node.backend == NodeBackend::Kernels);
                line("nodes", &format!("{} by clearlane's kernels, {} by tract", own.len(), left.len()));
                for node in left {
                    line("by tract", &format!("{} ({})", node.name, node.operator));
                }
            }
            Err(problem) => line("problem", problem),
        }
        text
    })?;
    Ok(Exit::Yes)
}

/// The nodes of a model's graph, or why it cannot be loaded.
fn nodes(models: &Models, entry: &ModelEntry) -> std::result::Result<Vec<NodeInfo>, String> {
    let onnx = models.read(&entry.name).map_err(|error| chain(&error))?;
    let network = Network::from_onnx(&onnx, [3, entry.input.height, entry.input.width]);
    Ok(network.map_err(|error| chain(&error))?.nodes().to_vec())
}

fn described_node(node: &NodeInfo) -> serde_json::Value {
    let by = if node.backend == NodeBackend::Kernels { "clearlane" } else { "tract" };
    json!({ "name": node.name, "operator": node.operator, "by": by })
}

/// What became of one model's check.
#[derive(Debug, Serialize)]
struct Checked {
    name: String,
    sound: bool,
    problem: Option<String>,
}

fn verify(args: &VerifyArgs, output: &Output) -> Result<Exit> {
    let models = args.models.available()?;
    let all = || models.iter().map(|(entry, _)| entry.name.clone()).collect();
    let names: Vec<String> = if args.names.is_empty() { all() } else { args.names.clone() };
    if names.is_empty() {
        return Err(
            Failure::new(Exit::Model, "no model is available").with_help("give a folder of models with --models")
        );
    }
    let mut checked = Vec::new();
    for name in names {
        let (entry, _) = models.get(&name)?;
        let loaded = match entry.task {
            Task::Detection { .. } => models.detector(&name).map(drop),
            Task::Embedding { .. } => models.embedder(&name).map(drop),
            Task::Pad { .. } => models.pad([name.as_str()]).map(drop),
            Task::Occlusion { .. } => models.occlusion(&name).map(drop),
        };
        let problem = loaded.err().map(|error| chain(&error));
        checked.push(Checked { name, sound: problem.is_none(), problem });
    }
    output.result(&checked, || {
        let row =
            |model: &Checked| vec![model.name.clone(), model.problem.clone().unwrap_or_else(|| "sound".to_owned())];
        table(&["NAME", "CHECK"], &[], &checked.iter().map(row).collect::<Vec<_>>())
    })?;
    Ok(Exit::answer(checked.iter().all(|model| model.sound)))
}

fn described(entry: &ModelEntry, location: &Location) -> serde_json::Value {
    json!({ "model": entry, "location": place(location) })
}

fn task(entry: &ModelEntry) -> String {
    match &entry.task {
        Task::Detection { family, .. } => format!("detection ({family})"),
        Task::Embedding { dimension, .. } => format!("embedding ({dimension}-d)"),
        Task::Pad { family, crop, .. } => format!("pad ({family}, crop {crop}x)"),
        Task::Occlusion { components } => format!("occlusion ({} components)", components.len()),
    }
}

fn input(entry: &ModelEntry) -> String {
    let input = &entry.input;
    format!("{} x {} {}", input.width, input.height, format!("{:?}", input.colour).to_uppercase())
}

fn place(location: &Location) -> String {
    match location {
        Location::File(path) => shown(path).to_string(),
        _ => "built in".to_owned(),
    }
}
