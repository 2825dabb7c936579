//! An evaluation as one self-contained page, made of the very document that `--json` prints: there is no number in the one that
//! is not in the other.

mod charts;
mod tables;
mod words;

use std::path::PathBuf;

use clap::Args;
use clearlane::Language;
use jiff::Timestamp;
use maud::{Markup, PreEscaped, html};
use serde::Serialize;
use serde_json::{Value, json};

use super::worst::Worst;
use crate::failure::{Exit, Result};
use crate::output::{Output, shown, write_whole};
use crate::page::{LanguageArg, page};
use words::word;

/// What is made of an evaluation beside its figures on the terminal.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Report")]
pub(in crate::commands) struct ReportArgs {
    /// Write a self-contained page: figures with their intervals, charts, the models, the pictures' digest and the command
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE.html")]
    report: Option<PathBuf>,
    #[command(flatten)]
    language: LanguageArg,
    /// Show the pictures of the worst errors in the report. They are personal data, and then so is the report
    #[arg(long, requires = "report")]
    thumbnails: bool,
}

/// Prints an evaluation's document, or its `text`, and writes the report that was asked for.
pub(in crate::commands) fn finish(
    mut document: Value,
    worst: &Worst,
    args: &ReportArgs,
    output: &Output,
    text: impl FnOnce() -> String,
) -> Result<Exit> {
    document["run"] = json!(Run::now());
    if !worst.is_empty() {
        document["worst"] = json!(worst);
    }
    if let Some(path) = &args.report {
        let faces = args.thumbnails.then(|| worst.faces());
        let language = args.language.get();
        let mut body = body(&document, language);
        if let Some(faces) = &faces {
            body = html! { style { (PreEscaped(faces.style())) } (body) (worst.pictures(faces, language)) };
        }
        let title = word("title", language);
        write_whole(path, page(language, &title, &body).as_bytes())?;
        output.note(&format!("the report is in {}", shown(path)));
    }
    output.result(&document, text)?;
    Ok(Exit::Yes)
}

/// What a name of the document is called.
pub(super) fn named(key: &str, language: Language) -> String {
    word(key, language)
}

/// What a run needs to be repeated, beside its models and pictures.
#[derive(Serialize)]
struct Run {
    version: &'static str,
    time: String,
    command: Vec<String>,
    processor: String,
}

impl Run {
    fn now() -> Self {
        let instructions = clearlane_match::Kernel::best().name();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            time: Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
            command: std::env::args_os().map(|word| shown(&word).to_string()).collect(),
            processor: format!("{}, {instructions}", std::env::consts::ARCH),
        }
    }
}

/// The summary, the charts, and everything that the document holds.
fn body(document: &Value, language: Language) -> Markup {
    html! {
        p.note { (word("note", language)) }
        (tables::cards(document, language))
        div.charts { @for chart in charts::all(document, language) { (chart) } }
        (tables::section(document, language, 2))
    }
}
