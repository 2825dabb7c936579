//! `clearlane datasets`: which public sets there are, whether a folder has one whole, and getting those that may be fetched.

mod check;
#[cfg(feature = "fetch")]
mod download;
mod fetch;
mod list;
mod lock;
#[cfg(feature = "fetch")]
mod waiting;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use clearlane_eval::datasets::{Dataset, Datasets};

use crate::failure::{Exit, Failure, Result};
use crate::output::Output;
use crate::text;

/// List the public data sets, check and fetch them.
#[derive(Debug, Subcommand)]
pub(crate) enum DatasetsCommand {
    /// List the public data sets: what for, where from, under which conditions
    List(list::ListArgs),
    /// Check that a folder has a data set whole: layout, counts, digests
    ///
    /// Exit code 0 where it is, 1 where something is missing or another than it should be.
    Check(check::CheckArgs),
    /// Fetch those files of a data set that anybody may download
    ///
    /// A fetch that was cut goes on where it stopped. Each file is checked against its digest; where that is not known, it is
    /// shown and pinned in the folder's SHA256SUMS. Of a set that its owner gives out only by agreement, says where and how.
    Fetch(fetch::FetchArgs),
}

/// Which manifest describes the sets.
#[derive(Clone, Debug, Args)]
struct ManifestArgs {
    /// A manifest of data sets in place of the built-in one, such as one of your own sets or of a mirror
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

pub(super) fn run(command: &DatasetsCommand, output: &Output) -> Result<Exit> {
    match command {
        DatasetsCommand::List(args) => list::run(args, output),
        DatasetsCommand::Check(args) => check::run(args, output),
        DatasetsCommand::Fetch(args) => fetch::run(args, output),
    }
}

impl ManifestArgs {
    fn read(&self) -> Result<Datasets> {
        match &self.manifest {
            None => Datasets::known().map_err(|error| Failure::of(Exit::System, &error)),
            Some(path) => Datasets::parse(&text::read(path)?).map_err(|error| Failure::at(Exit::Input, path, &error)),
        }
    }

    /// The set of this name.
    fn get(&self, name: &str) -> Result<Dataset> {
        self.read()?.get(name).cloned().ok_or_else(|| {
            Failure::new(Exit::Input, format!("no data set is named `{name}`"))
                .with_help("`clearlane datasets list` shows those that are known")
        })
    }
}
