//! What the command line looks like.

use clap::{Args, Parser};

use crate::commands::Command;

/// Lets people through a border by their face, or says why not.
///
/// clearlane enrols faces in a register, tells who of the enrolled stands in a picture (1:N), compares two pictures
/// (1:1), and measures how well and how fast it does so. Nothing leaves this machine, and nothing but `datasets fetch` uses the network
/// (and, where they are built in, `node` and `cluster`).
#[derive(Debug, Parser)]
#[command(name = "clearlane", version, propagate_version = true, after_help = EXAMPLES, after_long_help = AFTER_LONG)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// Print the result as JSON on standard output, and errors as JSON on standard error
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,

    /// Show no progress
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  clearlane demo                                  the whole job on built-in faces
  clearlane inspect portrait.jpg                  faces, landmarks and quality of a picture
  clearlane verify passport.jpg live.jpg          do both show one person?
  clearlane enrol list.csv --policy port.toml --register port.db
                                                  enrol by the rules of a policy
  clearlane identify live.jpg --register port.db  who of the enrolled is it?

`clearlane COMMAND --help` says more about each.";

const AFTER_LONG: &str = "\
Examples:
  clearlane demo                                  the whole job on built-in faces
  clearlane inspect portrait.jpg                  faces, landmarks and quality of a picture
  clearlane verify passport.jpg live.jpg          do both show one person?
  clearlane enrol list.csv --policy port.toml --register port.db
                                                  enrol by the rules of a policy
  clearlane identify live.jpg --register port.db  who of the enrolled is it?

Exit codes:
  0    done; the answer is yes (a match, an admission, a sound register)
  1    done; the answer is no (no match, a referral, faults found, pictures that could not be enrolled)
  2    the command line is wrong
  3    an input cannot be used (not a picture, cut short, no face, several faces, an unreadable list)
  4    a model cannot be used (missing, another digest, an unknown family)
  5    a register cannot be used (damaged, locked, another model's, the wrong key)
  6    the system refused (no room on the disk, no permission to write)
  130  interrupted; what was finished is kept

Environment:
  CLEARLANE_MODELS      a folder of models, where no --models is given
  CLEARLANE_REGISTER    a register, as --register
  CLEARLANE_KEY         a register's keys, where no --key-file is given
  CLEARLANE_LOG         what is logged to standard error: off, error, warn (the default), info, debug or trace";
