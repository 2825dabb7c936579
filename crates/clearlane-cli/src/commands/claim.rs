//! `clearlane claim`: a QR code that says who a traveller is, for a 1:1 lane to check against their face.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use clearlane::{ClaimIssuer, ClaimKeyError, ClaimVerifier, PortId, QrError, ReadBudget, read_claim_text};
use serde_json::json;

use super::register::find;
use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, shown, write_secret, write_whole};
use crate::pictures;
use crate::registers::RegisterArgs;
use crate::text;

/// Issue claims, QR codes for 1:1 lanes, and read them
#[derive(Debug, Subcommand)]
pub(crate) enum ClaimCommand {
    /// Make an issuer's key pair: FILE, and FILE.pub for the lanes
    Keygen(KeygenArgs),
    Issue(IssueArgs),
    Read(ReadArgs),
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
    #[arg(long, value_parser = crate::output::to_be_made(), value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    register: RegisterArgs,
}

/// Read a claim from a picture, and say whether it is good
///
/// As a lane reads it from a frame, but for its single use: reading here does not use it up, and a claim that was used is
/// not known here. Exit code 0 where it is good at the port now, 1 where it is refused, 3 where there is none.
#[derive(Debug, Args)]
#[command(after_help = READ_EXAMPLES)]
pub(crate) struct ReadArgs {
    /// The picture
    picture: PathBuf,
    /// The issuer's public key
    #[arg(long, value_name = "FILE")]
    issuer: PathBuf,
    /// Where it is shown, by the policy's ids
    #[arg(long, value_name = "ID")]
    port: PortId,
    #[command(flatten)]
    register: RegisterArgs,
}

const READ_EXAMPLES: &str = "\
Example:
  clearlane claim read aaron.png --port shenzhen-bay --issuer issuer.pem.pub --register port.db";

const EXAMPLES: &str = "\
Examples:
  clearlane claim keygen issuer.pem
  clearlane claim issue Aaron --port shenzhen-bay --issuer issuer.pem --out aaron.png --register port.db";

/// For how long a picture is searched for a claim: no lane waits, and the largest photograph takes a second or two.
const READ_TIME: Duration = Duration::from_secs(30);

/// Pixels of a side of a QR code's module.
const SCALE: u32 = 8;

pub(super) fn run(command: &ClaimCommand, output: &Output) -> Result<Exit> {
    match command {
        ClaimCommand::Keygen(args) => keygen(args, output),
        ClaimCommand::Issue(args) => issue(args, output),
        ClaimCommand::Read(args) => read(args, output),
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
    output.result(&json!({ "private": shown(&args.file), "public": shown(&public_file) }), || {
        format!("the private key is {}, the lanes' {}\n", shown(&args.file), shown(&public_file))
    })?;
    Ok(Exit::Yes)
}

fn issue(args: &IssueArgs, output: &Output) -> Result<Exit> {
    let pem = text::read(&args.issuer)?;
    let issuer = ClaimIssuer::from_pem(&pem).map_err(|error| Failure::at(Exit::Input, &args.issuer, &error))?;
    let register = args.register.open_read_only()?;
    let subject = find(&register, &args.subject)?;
    let lifetime = Duration::from_secs(args.lifetime);
    let claim = issuer
        .issue(register.id(), subject.id, &args.ports, jiff::Timestamp::now(), lifetime)
        .map_err(|error| Failure::of(Exit::Usage, &error))?;
    let unfit = |error: QrError| Failure::of(Exit::System, &error);
    if let Some(path) = &args.out {
        let svg = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("svg"));
        let code =
            if svg { claim.to_svg().map_err(unfit)?.into_bytes() } else { claim.to_png(SCALE).map_err(unfit)? };
        write_whole(path, &code)?;
    }
    let told = match &args.out {
        Some(path) => format!("{}: good until {}\n", shown(path), claim.claim().expires),
        None => format!("{}\ngood until {}\n", claim.to_terminal().map_err(unfit)?, claim.claim().expires),
    };
    let value = json!({
        "subject": subject.key, "ports": args.ports, "expires": claim.claim().expires, "text": claim.text(),
        "file": args.out.as_ref().map(shown),
    });
    output.result(&value, || told)?;
    Ok(Exit::Yes)
}

fn read(args: &ReadArgs, output: &Output) -> Result<Exit> {
    let verifier = trusted(&args.issuer)?;
    let frame = pictures::open(&args.picture)?;
    let text = read_claim_text(&frame, &mut ReadBudget::until(Instant::now() + READ_TIME))
        .map_err(|stopped| Failure::at(Exit::Input, &args.picture, &stopped))?;
    let text = text.ok_or_else(|| {
        Failure::new(Exit::Input, format!("{}: no claim is to be read in the picture", shown(&args.picture)))
    })?;
    let register = args.register.open_read_only()?.id();
    let claim = verifier.verify(&text, register, &args.port, jiff::Timestamp::now());
    let value = match &claim {
        Ok(claim) => json!({
            "good": true, "subject": claim.subject, "ports": claim.ports, "issued": claim.issued, "expires": claim.expires,
        }),
        Err(refusal) => json!({ "good": false, "refusal": refusal }),
    };
    output.result(&value, || match &claim {
        Ok(claim) => format!("good until {}: subject #{}\n", claim.expires, claim.subject),
        Err(refusal) => format!("refused: {refusal}\n"),
    })?;
    Ok(Exit::answer(claim.is_ok()))
}

/// Who believes the claims of the issuer with the public key in `file`.
pub(super) fn trusted(file: &Path) -> Result<ClaimVerifier> {
    let pem = text::read(file)?;
    let mut verifier = ClaimVerifier::default();
    verifier.trust_pem(&pem).map_err(|error| Failure::at(Exit::Input, file, &error))?;
    Ok(verifier)
}
