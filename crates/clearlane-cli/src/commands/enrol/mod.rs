//! `clearlane enrol`: pictures into a register, many at a time, resumable.

pub(in crate::commands) mod plan;
pub(in crate::commands) mod supplied;

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use clearlane::{Application, OpenError, Port, PortOptions};
use clearlane_store::StoreError;
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::Output;
use crate::pictures::{Face, PictureArgs};
use crate::registers::{RegisterArgs, open_port};
use supplied::{Failed, Supplied};

/// Enrol faces from a folder or a CSV file
///
/// SOURCE is a folder with one folder for each subject (SUBJECT/IMAGE), or a CSV file with the columns subject and image
/// and, where known, category, nationality, birth, expires, consent, `consent_fingerprint`, place and method; images are
/// looked for beside it. Subjects that `register import` brought without templates get theirs.
///
/// The rules of enrolment of --policy apply: consent, one face a picture, quality floors, all pictures of one person, the best
/// of them kept, and no face that is enrolled under another name already. Whoever does not pass is listed for an officer with
/// the reasons, and is not enrolled. --without-policy enrols every face that is found, however small or blurred, whoever it
/// may be: for tests and evaluations.
///
/// What is enrolled is on disk at once. Ctrl-C stops after the pictures under way; the same command run again goes on where
/// it stopped, since subjects that are enrolled are passed over. Pictures that cannot be used are listed with the reason;
/// a subject with no usable picture is not enrolled, and the exit code is 1.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EnrolArgs {
    /// A folder SUBJECT/IMAGE, or a CSV file
    source: PathBuf,
    /// The rules of enrolment (TOML)
    #[arg(long, value_name = "FILE", required_unless_present = "without_policy", conflicts_with_all = ["face", "add_model"])]
    policy: Option<PathBuf>,
    /// Enrol without any rule
    #[arg(long, conflicts_with = "policy")]
    without_policy: bool,
    /// Which face to take where a picture has several
    #[arg(long, value_enum, default_value_t)]
    face: Face,
    /// Let the register hold templates of this embedder beside those of another; `register reembed` does so by the rules
    #[arg(long)]
    add_model: bool,
    #[command(flatten)]
    how: PictureArgs,
    #[command(flatten)]
    register: RegisterArgs,
    #[command(flatten)]
    models: ModelArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane register keygen port.key
  clearlane enrol list.csv --policy policies/port.toml --register port.db --key-file port.key
  clearlane enrol list.csv --policy policies/port.toml --register port.db --key-file port.key --json > report.json
  clearlane enrol photos/ --without-policy --register port.db --key-file port.key";

/// What an enrolment did.
#[derive(Debug, Serialize)]
struct Report {
    subjects: usize,
    enrolled: u64,
    templates: u64,
    /// Subjects that were enrolled before.
    passed_over: u64,
    failed: Vec<Failed>,
    interrupted: bool,
    seconds: f64,
}

pub(super) fn run(args: &EnrolArgs, output: &Output) -> Result<Exit> {
    let candidates = plan::read(&args.source)?;
    let options = args.models.choose(args.register.port()?).create().check(false);
    let options = options.selection(args.face.into()).orientation(args.how.orientation()).add_model(args.add_model);
    let enroller = match &args.policy {
        Some(policy) => open(options.policy_file(policy), output)?.enroller()?,
        None => open(options, output)?.enroller_without_rules()?,
    };

    let (job, supplied) = (Job::begin(candidates.len(), "enrolling", output)?, Supplied::by(&candidates, args.how));
    let applications = candidates.iter().map(|candidate| {
        let supplied = &supplied;
        let read = move || {
            let pictures = supplied.read(candidate)?;
            Ok(Application { key: candidate.key.clone(), details: candidate.details.clone(), pictures })
        };
        (candidate.key.clone(), read)
    });
    let done = enroller.enrol_many(applications, Timestamp::now(), |reached| job.reached(reached.done))?;
    let (seconds, interrupted) = job.end(done.progress.done);
    let report = Report {
        subjects: candidates.len(),
        enrolled: done.progress.enrolled,
        templates: done.progress.templates,
        passed_over: done.progress.already,
        failed: supplied.failed(done),
        interrupted,
        seconds,
    };
    output.result(&report, || text(&report))?;
    Ok(if report.interrupted { Exit::Interrupted } else { Exit::answer(report.failed.is_empty()) })
}

/// A register of another model is refused, unless the user wants both.
fn open(options: PortOptions, output: &Output) -> Result<Port> {
    open_port(options, output).map_err(|error| match error {
        OpenError::Store(error @ StoreError::OtherModel { .. }) => Failure::from(error)
            .with_help("choose the register's embedder with --embedder, or keep both: `clearlane register reembed` gives those who are enrolled templates of another model, --add-model takes them without its rules"),
        error => error.into(),
    })
}

fn text(report: &Report) -> String {
    let Report { subjects, enrolled, templates, passed_over, failed, interrupted, seconds } = report;
    let mut text = format!("{enrolled} of {subjects} subjects enrolled with {templates} templates in {seconds:.1} s\n");
    // Writing to a String cannot fail.
    if *passed_over > 0 {
        let _ = writeln!(text, "{passed_over} were enrolled before");
    }
    if !failed.is_empty() {
        let _ = writeln!(text, "{} could not be used:", failed.len());
        for failed in failed {
            text.extend(["  ", &failed.line(), "\n"]);
        }
    }
    if *interrupted {
        text.push_str("interrupted; run the same command again to go on\n");
    }
    text
}
