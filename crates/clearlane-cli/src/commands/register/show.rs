//! `clearlane register show`.

use clap::Args;
use clearlane_store::{Register, Subject};
use clearlane_template::SubjectId;

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown};
use crate::registers::RegisterArgs;

/// Show all that is known of one subject
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The subject's name, or #ID
    subject: String,
    #[command(flatten)]
    register: RegisterArgs,
}

pub(super) fn run(args: &ShowArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let subject = find(&register, &args.subject)?;
    output.result(&subject, || text(&subject))?;
    Ok(Exit::Yes)
}

/// The subject by its name, or by its id as `#12`; revoked ones by their id only.
pub(in crate::commands) fn find(register: &Register, name: &str) -> Result<Subject> {
    let found = match name.strip_prefix('#').map(str::parse) {
        Some(Ok(id)) => register.subject_by_id(SubjectId(id))?,
        _ => register.subject(name)?,
    };
    found.ok_or_else(|| {
        Failure::new(Exit::Register, format!("{}: no subject `{name}` is enrolled", shown(register.path())))
    })
}

/// As JSON has it, without the brackets: one field a line.
fn text(subject: &Subject) -> String {
    let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(subject) else { return format!("{subject:?}\n") };
    let lines: Vec<String> = fields.iter().map(|(name, value)| format!("{name:<12}{}\n", plain(value))).collect();
    lines.concat()
}

fn plain(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
