//! `clearlane datasets list`: all sets in a table, or all that is known of one.

use clap::Args;
use clearlane_eval::datasets::Dataset;

use super::ManifestArgs;
use crate::failure::{Exit, Result};
use crate::output::{Output, table};

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Show all that is known of this set
    name: Option<String>,
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: &ListArgs, output: &Output) -> Result<Exit> {
    if let Some(name) = &args.name {
        let dataset = args.manifest.get(name)?;
        output.result(&dataset, || described(&dataset))?;
        return Ok(Exit::Yes);
    }
    let datasets = args.manifest.read()?;
    let all: Vec<_> = datasets.iter().collect();
    output.result(&all, || {
        let row = |set: &&Dataset| {
            let get = if set.fetch.is_empty() { "by hand" } else { "fetch" };
            vec![set.name.clone(), set.title.clone(), get.to_owned(), set.licence.clone()]
        };
        let rows: Vec<_> = all.iter().map(row).collect();
        table(&["NAME", "TITLE", "GET", "LICENCE"], &[], &rows)
            + "\n`clearlane datasets list NAME` says what for, where from and under which limits.\n"
    })?;
    Ok(Exit::Yes)
}

/// All that is known of a set, a line each.
fn described(set: &Dataset) -> String {
    let mut rows = vec![("name", &set.name), ("title", &set.title), ("for", &set.purpose), ("page", &set.page)];
    rows.extend([("licence", &set.licence), ("limits", &set.limits)]);
    rows.extend(set.fetch.iter().map(|file| ("fetch", &file.url)));
    rows.extend([("by hand", &set.obtain), ("read by", &set.command)]);
    rows.iter().map(|(key, value)| format!("{key:<9}{value}\n")).collect::<Vec<_>>().concat()
}
