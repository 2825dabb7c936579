//! `clearlane claim`: a QR code that says who a traveller is, for a 1:1 lane to check against their face.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use clearlane::{ClaimIssuer, ClaimKeyError, PortId, QrError};
use serde_json::json;

use super::register::find;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, write_secret, write_whole};
use crate::registers::RegisterArgs;

/// Issue claims: QR codes for 1:1 lanes
#[derive(Debug, Subcommand)]
pub(crate) enum ClaimCommand {
    /// Make an issuer's key pair: FILE, and FILE.pub for the lanes
    Keygen(KeygenArgs),
    /// Issue a claim for one subject
    Issue(IssueArgs),
}

#[derive(Debug, Args)]
pub(crate) struct KeygenArgs {
    /// Where to write the private key (PKCS #8 PEM); only its owner may read it
    file: PathBuf,
}

/// Issue a claim for one subject
///
/// Signed, short-lived and good once, at the named ports. It holds the register's number of the subject and nothing else.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct IssueArgs {
    /// The subject, by name or #ID
    subject: String,
    /// Where it is good, by the policy's ids
    #[arg(long = "port", value_name = "ID", required = true, value_delimiter = ',')]
    ports: Vec<PortId>,
    /// For how many seconds it is good: 600 at most
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    lifetime: u64,
    /// The issuer's private key
    #[arg(long, value_name = "FILE")]
    issuer: PathBuf,
    /// Write the QR code to a file, .png or .svg, and not to the terminal
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane claim keygen issuer.pem
  clearlane claim issue Aaron --port shenzhen-bay --issuer issuer.pem --out aaron.png --register port.db";

/// Pixels of a side of a QR code's module.
const SCALE: u32 = 8;

pub(super) fn run(command: &ClaimCommand, output: &Output) -> Result<Exit> {
    match command {
        ClaimCommand::Keygen(args) => keygen(args, output),
        ClaimCommand::Issue(args) => issue(args, output),
    }
}

fn keygen(args: &KeygenArgs, output: &Output) -> Result<Exit> {
    let failed = |error: ClaimKeyError| Failure::of(Exit::System, &error);
    let issuer = ClaimIssuer::generate().map_err(failed)?;
    let (private, public) = (issuer.to_pem().map_err(failed)?, issuer.public_pem().map_err(failed)?);
    write_secret(&args.file, &private)?;
    let mut name = args.file.clone().into_os_string();
    name.push(".pub");
    let public_file = PathBuf::from(name);
    write_whole(&public_file, public.as_bytes())?;
    output.result(&json!({ "private": args.file, "public": public_file }), || {
        format!("the private key is {}, the lanes' {}\n", args.file.display(), public_file.display())
    })?;
    Ok(Exit::Yes)
}

fn issue(args: &IssueArgs, output: &Output) -> Result<Exit> {
    let pem = std::fs::read_to_string(&args.issuer).map_err(|error| Failure::reading(&args.issuer, &error))?;
    let issuer = ClaimIssuer::from_pem(&pem).map_err(|error| Failure::at(Exit::Input, &args.issuer, &error))?;
    let register = args.register.open_read_only()?;
    let subject = find(&register, &args.subject)?;
    let lifetime = Duration::from_secs(args.lifetime);
    let claim = issuer
        .issue(subject.id, &args.ports, jiff::Timestamp::now(), lifetime)
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    let unfit = |error: QrError| Failure::of(Exit::System, &error);
    if let Some(path) = &args.out {
        let svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        let code =
            if svg { claim.to_svg().map_err(unfit)?.into_bytes() } else { claim.to_png(SCALE).map_err(unfit)? };
        write_whole(path, &code)?;
    }
    let shown = match &args.out {
        Some(path) => format!("{}: good until {}\n", Path::display(path), claim.claim().expires),
        None => format!("{}\ngood until {}\n", claim.to_terminal().map_err(unfit)?, claim.claim().expires),
    };
    let value = json!({
        "subject": subject.key, "ports": args.ports, "expires": claim.claim().expires, "text": claim.text(), "file": args.out,
    });
    output.result(&value, || shown)?;
    Ok(Exit::Yes)
}
