//! `clearlane register keygen`.

use std::path::PathBuf;

use clap::Args;
use clearlane_store::{Key, Keyring, StoreError};
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::{Output, shown, write_secret};

/// Make a key for a new register
///
/// Without its key nobody reads a register's templates: keep a copy of the file in a safe place, and never beside the
/// register. A file that is there already is left alone.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  clearlane register keygen /etc/clearlane/port.key")]
pub(crate) struct KeygenArgs {
    /// Where to write the key; only its owner may read it
    file: PathBuf,
}

pub(super) fn run(args: &KeygenArgs, output: &Output) -> Result<Exit> {
    let key = Key::random().map_err(StoreError::from)?;
    write_secret(&args.file, &Keyring::new(key.clone()).to_text())?;
    let value = json!({ "file": shown(&args.file), "key": key.id() });
    output.result(&value, || format!("key {} is in {}\n", key.id(), shown(&args.file)))?;
    Ok(Exit::Yes)
}
