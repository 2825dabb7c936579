//! `clearlane register rekey`.

use std::path::PathBuf;

use clap::Args;
use clearlane_store::{KeySource as _, Keyring, Rekeyed, StoreError};
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::registers::RegisterArgs;

/// Give a register a new key: every template is transformed and sealed again, while the register is in use
///
/// Until it is through both keys are needed, so put them into one file first, the new key on its first line, and let
/// --key-file name that file everywhere. Interrupted anywhere, the same command run again goes on where it stopped.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RekeyArgs {
    /// A file whose first line is the new key
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Example:
  clearlane register keygen new.key
  cat new.key old.key > both.key && chmod 600 both.key
  clearlane register rekey --to new.key --register port.db --key-file both.key";

pub(super) fn run(args: &RekeyArgs, output: &Output) -> Result<Exit> {
    let ring = Keyring::from_file(&args.to).map_err(StoreError::from)?;
    let key = ring.current().ok_or_else(|| Failure::new(Exit::Register, format!("{}: no key", shown(&args.to))))?;
    if args.register.keys()?.key(Some(key.id())).map_err(StoreError::from)?.is_none() {
        let message = format!("the new key {} is not among the register's keys: no lane would find it", key.id());
        return Err(Failure::new(Exit::Usage, message)
            .with_help("put it on the first line of the key file that --key-file names everywhere"));
    }
    let register = args.register.open()?;
    let progress = output.progress(0, "renewing");
    let Rekeyed { templates, problems, .. } = register.rekey(key, |done, total| progress.at(done, total))?;
    progress.done();
    let refused: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.row, problem.fault)).collect();
    let value = json!({ "key": key.id(), "templates": templates, "refused": refused });
    output.result(&value, || {
        let mut text = format!("{templates} templates were renewed; the key is {}\n", key.id());
        for row in &refused {
            text.extend(["  left as it is: ", row, "\n"]);
        }
        text
    })?;
    Ok(Exit::answer(refused.is_empty()))
}
