//! `clearlane completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::{Exit, Result};
use crate::output::print;

/// Print a completion script for a shell
///
/// For example:
///   clearlane completions bash > ~/.local/share/bash-completion/completions/clearlane
///   clearlane completions zsh > "${fpath[1]}/_clearlane"
///   clearlane completions fish > ~/.config/fish/completions/clearlane.fish
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "clearlane", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Yes)
}
