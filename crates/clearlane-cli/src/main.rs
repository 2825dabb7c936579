//! The `clearlane` command.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    clearlane_cli::main()
}
