//! `clearlane enrol`: pictures into a register, many at a time, resumable.

pub(in crate::commands) mod by_policy;
pub(in crate::commands) mod plan;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clearlane::{BulkStop, OpenError, Port, PortOptions, Reason, Unfinished};
use clearlane_embed::Extractor;
use clearlane_store::{Enrolment, ImageDigest, NewTemplate, Register, StoreError};
use clearlane_template::SubjectId;
use rayon::prelude::*;
use serde::Serialize;

use crate::failure::{Exit, Failure, Result};
use crate::job::Job;
use crate::models::ModelArgs;
use crate::output::{Output, ShownPath, shown};
use crate::pictures::{self, Face};
use crate::reasons;
use crate::registers::{RegisterArgs, open_port};
use plan::Candidate;

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

/// Subjects that are extracted together and enrolled in one transaction.
const BATCH: usize = 32;

/// What an enrolment did.
#[derive(Debug, Default, Serialize)]
struct Report {
    subjects: usize,
    enrolled: usize,
    templates: usize,
    /// Subjects that were enrolled before.
    passed_over: usize,
    failed: Vec<Failed>,
    interrupted: bool,
    seconds: f64,
}

/// Somebody who was not enrolled, or a picture of theirs that could not be used.
#[derive(Debug, Serialize)]
pub(in crate::commands) struct Failed {
    subject: String,
    /// The picture, or nothing where the subject itself was refused.
    image: Option<ShownPath>,
    reason: String,
    /// What an officer has to look at, as data.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refer: Vec<Reason>,
}

impl Failed {
    /// In words. A picture's reason begins with its path.
    pub(in crate::commands) fn line(&self) -> String {
        if self.image.is_some() { self.reason.clone() } else { format!("{}: {}", self.subject, self.reason) }
    }

    fn picture(subject: &str, image: &Path, reason: String) -> Self {
        Self { subject: subject.to_owned(), image: Some(shown(image)), reason, refer: Vec::new() }
    }

    fn subject(subject: String, reason: impl Into<String>) -> Self {
        Self { subject, image: None, reason: reason.into(), refer: Vec::new() }
    }
}

impl From<Unfinished> for Failed {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished.stop {
            BulkStop::Refer(refer) => Self {
                subject: unfinished.key,
                image: None,
                reason: format!("to an officer: {}", reasons::listed(&refer)),
                refer,
            },
            BulkStop::Unreadable(words) | BulkStop::Failed(words) => Self::subject(unfinished.key, words),
        }
    }
}

pub(super) fn run(args: &EnrolArgs, output: &Output) -> Result<Exit> {
    let candidates = plan::read(&args.source)?;
    let options = args.models.choose(args.register.port()?).create().check(false);
    let options = options.selection(args.face.into()).add_model(args.add_model);
    if let Some(policy) = &args.policy {
        let port = open(options.policy_file(policy), output)?;
        let report = by_policy::run(&port, &candidates, output)?;
        return conclude(&report, output);
    }
    let port = open(options, output)?;
    let (extractor, register) = (port.extractor()?, port.register());

    let job = Job::begin(candidates.len(), "enrolling", output)?;
    let (mut report, mut done) = (Report { subjects: candidates.len(), ..Report::default() }, 0);
    for batch in candidates.chunks(BATCH) {
        let extracted = batch.par_iter().map(|candidate| work(register, extractor, candidate));
        store(register, extracted.collect::<Result<_>>()?, &mut report)?;
        done += batch.len() as u64;
        if job.reached(done).is_break() {
            break;
        }
    }
    (report.seconds, report.interrupted) = job.end(done);
    conclude(&report, output)
}

fn conclude(report: &Report, output: &Output) -> Result<Exit> {
    output.result(report, || text(report))?;
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

/// What is to be done with one subject.
struct Work {
    action: Action,
    failed: Vec<Failed>,
}

enum Action {
    PassOver,
    Enrol(Enrolment),
    AddTemplates(SubjectId, Vec<NewTemplate>),
    Nothing,
}

/// Extracts the templates of one subject, unless it has some. Only a broken model or register is an error.
fn work(register: &Register, extractor: &Extractor, candidate: &Candidate) -> Result<Work> {
    let key = candidate.key.clone();
    let known = register.subject(&key)?;
    if let Some(subject) = &known {
        let enrolled = match register.templates(subject.id, extractor.embedder().model_id()) {
            Err(StoreError::OtherModel { .. }) => false,
            templates => !templates?.is_empty(),
        };
        if enrolled {
            return Ok(Work { action: Action::PassOver, failed: Vec::new() });
        }
    }
    let (mut templates, mut failed) = (Vec::new(), Vec::new());
    for picture in &candidate.pictures {
        match template(extractor, picture) {
            Ok(template) => templates.push(template),
            Err(failure) if failure.exit == Exit::Input => {
                failed.push(Failed::picture(&key, picture, failure.message));
            }
            Err(failure) => return Err(failure),
        }
    }
    if candidate.pictures.is_empty() {
        failed.push(Failed::subject(key.clone(), "the subject has no picture"));
    }
    let action = match known {
        _ if templates.is_empty() => Action::Nothing,
        Some(subject) => Action::AddTemplates(subject.id, templates),
        None => {
            let enrolment = Enrolment::new(&key).with_details(candidate.details.clone());
            Action::Enrol(templates.into_iter().fold(enrolment, Enrolment::with_template))
        }
    };
    Ok(Work { action, failed })
}

fn template(extractor: &Extractor, picture: &Path) -> Result<NewTemplate> {
    let bytes = pictures::read(picture)?;
    let extraction = pictures::extract_bytes(extractor, picture, &bytes)?;
    Ok(NewTemplate { template: extraction.template, source: Some(ImageDigest::of(&bytes)) })
}

/// Writes a batch in one transaction.
fn store(register: &Register, batch: Vec<Work>, report: &mut Report) -> Result<()> {
    let mut enrolments = Vec::new();
    for work in batch {
        report.failed.extend(work.failed);
        match work.action {
            Action::Nothing => {}
            Action::PassOver => report.passed_over += 1,
            Action::Enrol(enrolment) => enrolments.push(enrolment),
            Action::AddTemplates(subject, templates) => {
                report.templates += register.add_templates(subject, &templates)?.len();
                report.enrolled += 1;
            }
        }
    }
    let outcomes = if enrolments.is_empty() { Vec::new() } else { register.enrol_all(&enrolments)? };
    for (enrolment, outcome) in enrolments.into_iter().zip(outcomes) {
        match outcome {
            Ok((_, templates)) => {
                report.enrolled += 1;
                report.templates += templates.len();
            }
            Err(error) => {
                report.failed.push(Failed::subject(enrolment.key, error.to_string()));
            }
        }
    }
    Ok(())
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
