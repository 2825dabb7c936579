//! `clearlane register backup` and `clearlane register restore`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::failure::{Exit, Result};
use crate::output::{Output, shown};
use crate::registers::RegisterArgs;

/// Copy a register, as it is at this moment, to a new file
///
/// The register goes on being used. The copy opens with the same keys. A file that is there already is left alone.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The copy
    file: PathBuf,
    #[command(flatten)]
    register: RegisterArgs,
}

/// Make a register out of a backup, after a check of its structure
///
/// A register that is there already is left alone: move it away first, together with the files beside it whose names
/// begin with its own (-wal, -shm). A witness takes the restored register for the newest.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The backup
    file: PathBuf,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn backup(args: &BackupArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let progress = output.progress(0, "copying");
    register.backup(&args.file, |done, total| progress.at(done, total))?;
    progress.done();
    output.result(&json!({ "backup": shown(&args.file) }), || format!("the backup is {}\n", shown(&args.file)))?;
    Ok(Exit::Yes)
}

pub(super) fn restore(args: &RestoreArgs, output: &Output) -> Result<Exit> {
    let progress = output.progress(0, "copying");
    let keys = args.register.keys()?;
    let register = args
        .register
        .options()
        .restore(&args.file, args.register.path(), keys, |done, total| progress.at(done, total))?;
    progress.done();
    let subjects = register.stats()?.subjects;
    output.result(&json!({ "register": shown(register.path()), "subjects": subjects }), || {
        format!("{}: {subjects} subjects\n", shown(register.path()))
    })?;
    Ok(Exit::Yes)
}
