//! `clearlane records print`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clearlane::{Policy, PortId, PrintedRecord};
use clearlane_store::Direction;

use crate::commands::register::find;
use crate::failure::{Exit, Failure, Result};
use crate::output::{self, Output, write_whole};
use crate::registers::RegisterArgs;

/// Print a traveller's last entry or exit, in Chinese and English, with a code to check it by
///
/// The last passage that a lane admitted the traveller to: at one port, in one direction, or in all. --format html makes one
/// page for A4 paper that needs nothing else. An officer checks the page with `clearlane records verify --code CODE`.
///
/// Exit code 1 where there is no such passage.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PrintArgs {
    /// The traveller, by name or #ID
    subject: String,
    /// At this port, by its id in the policy
    #[arg(long, value_name = "ID")]
    port: Option<PortId>,
    /// In this direction: entry or exit
    #[arg(long)]
    direction: Option<Direction>,
    /// The rules of the port (TOML), for the ports' names and their time zone
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// The form; --json is the same as --format json
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    /// Write to a file
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    register: RegisterArgs,
}

/// The form of a printed record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Lines of text
    #[default]
    Text,
    /// JSON
    Json,
    /// One page for A4 paper
    Html,
}

const EXAMPLES: &str = "\
Examples:
  clearlane records print Aaron --port shenzhen-bay --policy policies/port.toml --register port.db --key-file port.key
  clearlane records print Aaron --direction entry --format html --out entry.html --policy policies/port.toml --register port.db";

pub(super) fn run(args: &PrintArgs, output: &Output) -> Result<Exit> {
    let policy = Policy::open(&args.policy).map_err(|error| Failure::of(Exit::Input, &error))?;
    let register = args.register.open_read_only()?;
    let subject = find(&register, &args.subject)?;
    let now = jiff::Timestamp::now();
    let printed = PrintedRecord::last(&register, &policy, &subject, args.port.as_ref(), args.direction, now)?;
    let Some(printed) = printed else {
        return Err(Failure::new(Exit::No, format!("{}: no such passage is recorded", subject.key)));
    };
    let text = match args.format {
        Form::Json => None,
        Form::Text if output.is_json() => None,
        Form::Text => Some(printed.to_string()),
        Form::Html => Some(printed.to_html()),
    };
    let text = text.map_or_else(|| output::json(&printed), Ok)?;
    match &args.out {
        Some(path) => write_whole(path, text.as_bytes())?,
        None => output::print(&text)?,
    }
    Ok(Exit::Yes)
}
