//! `clearlane register list`.

use clap::Args;
use clearlane_store::Subject;

use crate::failure::{Exit, Result};
use crate::output::{Output, table};
use crate::registers::RegisterArgs;

/// List the subjects that are enrolled
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// List those who were revoked instead
    #[arg(long)]
    revoked: bool,
    #[command(flatten)]
    register: RegisterArgs,
}

/// Subjects that are printed together: a register may hold millions.
const PAGE: usize = 1000;

pub(super) fn run(args: &ListArgs, output: &Output) -> Result<Exit> {
    let register = args.register.open_read_only()?;
    let mut subjects = if args.revoked { register.revoked_subjects() } else { register.subjects() };
    loop {
        let page = subjects.by_ref().take(PAGE).collect::<Result<Vec<Subject>, _>>()?;
        if page.is_empty() {
            return Ok(Exit::Yes);
        }
        if output.is_json() {
            page.iter().try_for_each(|subject| output.line(subject, String::new))?;
        } else {
            let rows: Vec<_> = page.iter().map(row).collect();
            crate::output::print(&table(&["ID", "SUBJECT", "CATEGORY", "BIRTH", "CONSENT", "ENROLLED"], &[0], &rows))?;
        }
    }
}

fn row(subject: &Subject) -> Vec<String> {
    let details = &subject.details;
    let consent = match &details.consent {
        None => "none",
        Some(consent) if consent.withdrawn.is_some() => "withdrawn",
        Some(_) => "given",
    };
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    vec![
        subject.id.to_string(),
        subject.key.clone(),
        or_dash(details.category.map(|category| category.to_string())),
        or_dash(details.birth.map(|birth| birth.to_string())),
        consent.to_owned(),
        subject.enrolled.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
    ]
}
