//! `clearlane models add`: an entry in the manifest for an ONNX file as people have it.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane_embed::{InputSpec, Manifest, Models, Task};
use serde_json::json;

use super::candidates::{self, Found, NOT_STATED};
use crate::failure::{Exit, Failure, Result};
use crate::models::ModelArgs;
use crate::output::{Output, shown, write_whole};

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct AddArgs {
    /// The ONNX file; its entry goes into the manifest.toml beside it
    file: PathBuf,
    /// The name to ask for it by [default: the file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its licence, in words
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// Where it comes from, in words
    #[arg(long, value_name = "TEXT")]
    source: Option<String>,
    /// Of a PAD model: the side of what it sees of the frame, in sides of the face's box
    #[arg(long, value_name = "TIMES", value_parser = times)]
    crop: Option<f32>,
    /// Print the entry, and change no file
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    models: ModelArgs,
}

/// The most that is read of a manifest: no more makes one.
const LONGEST_MANIFEST: u64 = 1 << 20;

const EXAMPLES: &str = "\
Examples:
  clearlane models add models/w600k_r50.onnx --licence \"non-commercial research\"
  clearlane verify a.jpg b.jpg --models models --embedder w600k_r50 --threshold 0.4";

pub(super) fn run(args: &AddArgs, output: &Output) -> Result<Exit> {
    let Some(file) = args.file.file_name().and_then(|name| name.to_str()) else {
        return Err(Failure::new(Exit::Usage, format!("{}: not a file's name in UTF-8", shown(&args.file))));
    };
    let stem = args.file.file_stem().and_then(|stem| stem.to_str()).unwrap_or(file);
    let name = args.name.as_deref().unwrap_or(stem);
    let onnx = read(&args.file)?;
    let mut found = if let Some(entry) = Models::known(&onnx)? {
        Found {
            entry: clearlane_embed::ModelEntry { name: name.to_owned(), file: file.to_owned(), ..entry },
            tried: "it is a public model that clearlane knows by its digest".to_owned(),
            alike: Vec::new(),
            unknown: Vec::new(),
        }
    } else {
        candidates::find(name, file, &onnx, args.crop, &args.models)
            .map_err(|failure| Failure { message: format!("{}: {}", shown(&args.file), failure.message), ..failure })?
    };
    if args.crop.is_some() && !matches!(found.entry.task, Task::Pad { .. }) {
        let message = format!("{}: --crop is for a PAD model, and this is none", shown(&args.file));
        return Err(Failure::new(Exit::Usage, message));
    }
    if let Some(source) = &args.source {
        found.entry.source.clone_from(source);
    }
    match &args.licence {
        Some(licence) => found.entry.licence.clone_from(licence),
        None if found.entry.licence == NOT_STATED => {
            found.unknown.push("its licence: ask its maker, and say it with --licence");
        }
        None => {}
    }
    let folder = args.file.parent().unwrap_or(Path::new("."));
    let manifest = folder.join("manifest.toml");
    let text = with_entry(&manifest, &found, folder)?;
    if !args.dry_run {
        write(&manifest, &text, &args.file)?;
    }
    output.note(&found.tried);
    let ways: Vec<String> = found.alike.iter().map(way).collect();
    if !ways.is_empty() {
        output.note(&format!("could not tell its input from: {}", ways.join("; ")));
    }
    for unknown in &found.unknown {
        output.note(&format!("not known: {unknown}"));
    }
    let value = json!({
        "model": found.entry, "tried": found.tried, "alike": found.alike, "unknown": found.unknown,
        "manifest": (!args.dry_run).then(|| shown(&manifest).to_string()),
    });
    let printed =
        Manifest { models: vec![found.entry] }.to_toml().map_err(|error| Failure::of(Exit::System, &error))?;
    output.result(&value, || printed)?;
    Ok(Exit::Yes)
}

/// Writes the manifest for whoever could read it before, or can read the model. Where its name is a link, what that leads to.
fn write(manifest: &Path, text: &str, model: &Path) -> Result<()> {
    let place = manifest.canonicalize().unwrap_or_else(|_| manifest.to_owned());
    let like = if place.exists() { &place } else { model };
    let permissions = std::fs::metadata(like).map_err(|error| Failure::reading(like, &error))?.permissions();
    write_whole(&place, text.as_bytes())?;
    std::fs::set_permissions(&place, permissions).map_err(|error| Failure::writing(&place, &error))
}

/// A model file's bytes.
fn read(path: &Path) -> Result<Vec<u8>> {
    const MOST: u64 = 1 << 30;
    let failed = |error| Failure::reading(path, &error);
    let mut onnx = Vec::new();
    File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut onnx)).map_err(failed)?;
    if onnx.len() as u64 > MOST {
        return Err(Failure::new(Exit::Input, format!("{}: a model of more than {MOST} bytes", shown(path))));
    }
    Ok(onnx)
}

fn way(input: &InputSpec) -> String {
    format!("{:?}, mean {:?}, std {:?}", input.colour, input.mean, input.std)
}

/// The text of a manifest with one entry more; comments and order are kept. A folder without a manifest was read by what is known
/// of its files' names: their entries are written too, so that they are still found.
fn with_entry(manifest: &Path, found: &Found, folder: &Path) -> Result<String> {
    let mut text = match File::open(manifest) {
        Ok(file) => {
            let mut text = String::new();
            let read = file.take(LONGEST_MANIFEST).read_to_string(&mut text);
            read.map_err(|error| Failure::reading(manifest, &error))?;
            text
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut models = Models::default();
            models.add_folder(folder_or_here(folder))?;
            let models = models.iter().map(|(entry, _)| entry.clone()).filter(|entry| entry.file != found.entry.file);
            let known = Manifest { models: models.collect() };
            if known.models.is_empty() {
                String::new()
            } else {
                known.to_toml().map_err(|error| Failure::of(Exit::System, &error))?
            }
        }
        Err(error) => return Err(Failure::reading(manifest, &error)),
    };
    let one = Manifest { models: vec![found.entry.clone()] };
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(&one.to_toml().map_err(|error| Failure::of(Exit::System, &error))?);
    Manifest::parse(&text).map_err(|error| {
        Failure::at(Exit::Input, manifest, &error)
            .with_help("give the model another name with --name, or correct the manifest")
    })?;
    Ok(text)
}

fn folder_or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

fn times(text: &str) -> Result<f32, String> {
    let times = text.parse::<f32>().ok().filter(|times| (0.1..=100.0).contains(times));
    times.ok_or_else(|| "expected a number of sides from 0.1 to 100".to_owned())
}
