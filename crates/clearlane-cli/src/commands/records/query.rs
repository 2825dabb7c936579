//! Which records are asked for.

use clap::Args;
use clearlane_store::{Direction, Outcome, RecordQuery, Register};

use crate::commands::register::find;
use crate::failure::{Exit, Failure, Result};
use crate::registers::RegisterArgs;

/// Which records are asked for: those that fit all that is given.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    pub(super) register: RegisterArgs,
}

/// What a record has to be.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Of this subject, by name or #ID
    #[arg(long, value_name = "NAME")]
    subject: Option<String>,
    /// At this port
    #[arg(long)]
    port: Option<String>,
    /// In this direction: entry or exit
    #[arg(long)]
    direction: Option<Direction>,
    /// With this outcome: admit or refer
    #[arg(long)]
    outcome: Option<Outcome>,
    /// Not before this time, such as 2026-11-22T08:00:00Z
    #[arg(long, value_name = "TIME")]
    from: Option<jiff::Timestamp>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    until: Option<jiff::Timestamp>,
}

const EXAMPLES: &str = "\
Examples:
  clearlane records list --outcome refer --register port.db --key-file port.key
  clearlane records last --subject Aaron --direction entry --register port.db --key-file port.key --json";

impl QueryArgs {
    pub(super) fn query(&self, register: &Register) -> Result<RecordQuery> {
        self.filter.query(register)
    }
}

impl Filter {
    pub(super) fn query(&self, register: &Register) -> Result<RecordQuery> {
        if self.from.zip(self.until).is_some_and(|(from, until)| from >= until) {
            return Err(Failure::new(Exit::Usage, "--from is not before --until"));
        }
        let subject = self.subject.as_deref().map(|name| find(register, name)).transpose()?;
        Ok(RecordQuery {
            subject: subject.map(|subject| subject.id),
            port: self.port.clone(),
            direction: self.direction,
            outcome: self.outcome,
            from: self.from,
            until: self.until,
        })
    }
}
