//! The `clearlane` command: enrols faces, tells who stands there, evaluates models and measures what it all costs.
#![forbid(unsafe_code)]

mod cli;
mod commands;
mod dumps;
mod failure;
mod interrupt;
mod job;
mod log;
mod memory;
mod metrics;
mod models;
mod output;
mod page;
mod pictures;
mod progress;
mod reasons;
mod registers;
mod text;
mod thresholds;

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::cli::Cli;
use crate::output::Output;

/// What picture decoders and other libraries free is wiped too: nothing that a command has read outlives its use.
#[global_allocator]
static ALLOCATOR: clearlane_infer::WipingAllocator = clearlane_infer::WipingAllocator;

/// The command line, as data: its commands, their arguments, and which of these are paths.
#[must_use]
pub fn command_line() -> clap::Command {
    Cli::command()
}

/// What is wrong with the command line, or the help that was asked for. What the standard library says of numbers is told in words.
fn refuse(error: &clap::Error) -> ExitCode {
    let text = error.render().ansi().to_string();
    let text = text.replace("invalid digit found in string", "expected a whole number");
    let text = text.replace("invalid float literal", "expected a number");
    // Where neither can be written, nobody reads it.
    _ = if error.use_stderr() { write!(anstream::stderr(), "{text}") } else { write!(anstream::stdout(), "{text}") };
    u8::try_from(error.exit_code()).unwrap_or(2).into()
}

/// Runs the command that this process was called with.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { common, command } = match Cli::try_parse() {
        Ok(line) => line,
        Err(error) => return refuse(&error),
    };
    let output = Output::new(&common);
    let outcome = log::begin().and_then(|()| {
        dumps::forbid();
        memory::prepare()?;
        commands::run(command, &output)
    });
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}
