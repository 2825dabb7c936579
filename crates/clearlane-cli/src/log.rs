//! The log, on standard error: what goes wrong within lanes, and on request every stage.

use std::env::VarError;

use tracing_subscriber::filter::LevelFilter;

use crate::failure::{Exit, Failure, Result};

/// The environment variable that says how much is logged.
const VARIABLE: &str = "CLEARLANE_LOG";

/// Logs from now on, warnings and errors unless the environment says otherwise.
pub(crate) fn begin() -> Result<()> {
    let level = match std::env::var(VARIABLE) {
        Ok(level) => level.parse().map_err(|_| {
            Failure::new(Exit::Usage, format!("{VARIABLE} is `{level}`"))
                .with_help("it is one of off, error, warn, info, debug and trace")
        })?,
        Err(VarError::NotPresent) => LevelFilter::WARN,
        Err(error @ VarError::NotUnicode(_)) => {
            return Err(Failure::new(Exit::Usage, format!("{VARIABLE}: {error}")));
        }
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false);
    // A second one in a process is refused; the first goes on.
    let _ = log.try_init();
    Ok(())
}
