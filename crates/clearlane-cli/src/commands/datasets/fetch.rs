//! `clearlane datasets fetch`: what may be downloaded, and how to get the rest.

use std::path::PathBuf;

use clap::Args;
use clearlane_eval::datasets::{Dataset, Download};

use super::ManifestArgs;
use crate::failure::{Exit, Failure, Result};
use crate::output::Output;

#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    /// The data set's name
    name: String,
    /// The folder to put it in; made where it is not there
    dir: PathBuf,
    /// Give up where the server sends nothing for so many seconds; what came is kept, and a later fetch goes on from there
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3600))]
    silence: u32,
    #[command(flatten)]
    manifest: ManifestArgs,
}

pub(super) fn run(args: &FetchArgs, output: &Output) -> Result<Exit> {
    let dataset = args.manifest.get(&args.name)?;
    if dataset.fetch.is_empty() {
        let message =
            format!("`{}` cannot be fetched: it is not given out without its owner's conditions", dataset.name);
        return Err(Failure::new(Exit::Input, message).with_help(by_hand(&dataset)));
    }
    fetched(args, &dataset, output)
}

/// Where a set is, under which conditions, and how to get it.
fn by_hand(dataset: &Dataset) -> String {
    let Dataset { page, licence, limits, obtain, .. } = dataset;
    format!("{page}\n  {obtain}\n  Licence: {licence}. {limits}")
}

#[cfg(not(feature = "fetch"))]
fn fetched(args: &FetchArgs, dataset: &Dataset, _: &Output) -> Result<Exit> {
    let place = |path: &str| crate::output::shown(args.dir.join(path));
    let urls: Vec<_> =
        dataset.fetch.iter().map(|Download { url, path, .. }| format!("{url} as {}", place(path))).collect();
    Err(Failure::new(Exit::System, "this build of clearlane has no HTTP client")
        .with_help(format!("get {}; `datasets check` says whether it is whole", urls.join(", "))))
}

#[cfg(feature = "fetch")]
fn fetched(args: &FetchArgs, dataset: &Dataset, output: &Output) -> Result<Exit> {
    use serde_json::json;

    use super::download::download;
    use super::lock::{Lock, digest_of};
    use super::waiting::Patience;
    use crate::interrupt::Interrupt;

    std::fs::create_dir_all(&args.dir).map_err(|error| Failure::writing(&args.dir, &error))?;
    let interrupt = Interrupt::listen()?;
    let patience = Patience { interrupt: &interrupt, silence: std::time::Duration::from_secs(args.silence.into()) };
    let mut lock = Lock::read(&args.dir)?;
    let mut files = Vec::new();
    let mut lines = Vec::new();
    for file in &dataset.fetch {
        let Download { path, url, sha256, .. } = file;
        let to = args.dir.join(path);
        let expected = sha256.as_deref().or_else(|| lock.get(path)).map(str::to_owned);
        let is_known = expected.is_some();
        let there = if to.is_file() { Some(digest_of(&to, &interrupt)?) } else { None };
        let (digest, how) = match there {
            Some(digest) if expected.as_deref().is_none_or(|expected| expected == digest) => (digest, "already there"),
            _ => (download(file, &to, expected.as_deref(), patience, output)?, "fetched"),
        };
        if lock.get(path) != Some(&digest) {
            lock.pin(&args.dir, path, &digest)?;
        }
        let known = if is_known { "as expected" } else { "not known before, now pinned in SHA256SUMS" };
        lines.push(format!("{path}: {how}, SHA-256 {digest} ({known})\n"));
        files.push(json!({ "path": path, "url": url, "how": how, "sha256": digest, "known": is_known }));
    }
    let value = json!({ "name": dataset.name, "files": files, "by_hand": dataset.obtain });
    output.result(&value, || format!("{}\n{}\n", lines.concat(), by_hand(dataset)))?;
    Ok(Exit::Yes)
}
