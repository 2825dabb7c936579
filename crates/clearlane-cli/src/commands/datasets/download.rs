//! One file over HTTP: resumed where it was cut, checked while it comes, and in its place whole or not at all.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clearlane_eval::datasets::{Download, may_be_fetched};
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use super::waiting::{Coming, Patience};
use crate::failure::{Exit, Failure, Result, chain};
use crate::output::{Output, shown, write_whole};

/// How many redirects are followed.
const MAX_REDIRECTS: usize = 5;

/// How long a server may take to be found, to be connected to, and to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// The least bytes a second at which a file comes, for a bound on the whole.
const SLOWEST: u64 = 16 << 10;

/// The most bytes of what a server calls a version of its file.
const MAX_VALIDATOR: usize = 512;

/// Downloads a file to its place, and gives its SHA-256 digest, which must be the expected one.
pub(super) fn download(
    file: &Download,
    to: &Path,
    expected: Option<&str>,
    patience: Patience<'_>,
    output: &Output,
) -> Result<String> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).map_err(|error| Failure::writing(folder, &error))?;
    }
    let mut part = Part::open(to)?;
    // Without a digest and without the server's word nothing says that the beginning belongs to what comes now.
    let is_bound = expected.is_some() || part.validator.is_some();
    if part.length > file.at_most || !is_bound {
        part.restart()?;
    }
    let mut response = request(file, part.length, part.validator.as_deref(), patience)?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && part.length > 0 {
        part.restart()?;
        response = request(file, 0, None, patience)?;
    }
    let total = match response.status() {
        StatusCode::PARTIAL_CONTENT => Some(part.continued_by(&response, &file.url)?),
        StatusCode::OK => {
            part.restart()?;
            part.remember(validator(&response).as_deref())?;
            content_length(&response)
        }
        status => return Err(refused(&file.url, status)),
    };
    if let Some(total) = total.filter(|total| *total > file.at_most) {
        return Err(too_long(file, &format!("{total} are announced")));
    }
    let progress = output.bytes();
    progress.say(file.path.clone());
    let received = receive(response, file, &mut part, patience, |at| progress.at(at, total.unwrap_or(file.at_most)));
    progress.done();
    received?;
    if let Some(total) = total.filter(|total| *total != part.length) {
        return Err(cut(&file.url, &format!("{} of {total} bytes came", part.length)));
    }
    part.finish(to, expected)
}

/// A file that is not whole yet, beside its place.
struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    hash: Sha256,
    /// Which version of the file the server said it was.
    validator: Option<String>,
}

impl Part {
    /// What there is of the file at `to`; nobody else may be at it.
    fn open(to: &Path) -> Result<Self> {
        let path = beside(to, "part");
        // A link would lead what comes to another file.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            let message = format!("{}: expected a plain file, of what came before", shown(&path));
            return Err(Failure::new(Exit::System, message).with_help("delete it, and fetch again"));
        }
        let failed = |error: io::Error| Failure::writing(&path, &error);
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Failure::new(Exit::System, format!("{}: another process fetches it", shown(&path))));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            match file.read(&mut buffer).map_err(failed)? {
                0 => break,
                read => hash.update(&buffer[..read]),
            }
            length = file.stream_position().map_err(failed)?;
        }
        let validator = fs::read(beside(to, "version")).ok().filter(|bytes| bytes.len() <= MAX_VALIDATOR);
        // Empty where the server named no version.
        let validator = validator.and_then(|bytes| String::from_utf8(bytes).ok()).filter(|text| !text.is_empty());
        Ok(Self { path, file, length, hash, validator })
    }

    /// Forgets what there is.
    fn restart(&mut self) -> Result<()> {
        (self.length, self.hash, self.validator) = (0, Sha256::new(), None);
        let emptied = self.file.set_len(0).and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map(drop).map_err(|error| Failure::writing(&self.path, &error))
    }

    /// Remembers which version of the file comes.
    fn remember(&mut self, validator: Option<&str>) -> Result<()> {
        self.validator = validator.map(str::to_owned);
        write_whole(&self.path.with_extension("version"), validator.unwrap_or_default().as_bytes())
    }

    /// The whole length of a file whose rest comes, which must begin where this ends.
    fn continued_by(&self, response: &Response<Body>, url: &str) -> Result<u64> {
        let range = header(response, header::CONTENT_RANGE).unwrap_or_default();
        let parts = range.strip_prefix("bytes ").and_then(|range| range.split_once('-'));
        let start = parts.and_then(|(start, _)| start.parse::<u64>().ok());
        let total = range.rsplit('/').next().and_then(|total| total.parse::<u64>().ok());
        match (start, total) {
            (Some(start), Some(total)) if start == self.length => Ok(total),
            _ => {
                let message = format!("{url}: expected the bytes from {} on, got `{range}`", self.length);
                Err(Failure::new(Exit::System, message).with_help("delete the .part file, and fetch again"))
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Failure::writing(&self.path, &error))?;
        self.hash.update(bytes);
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Moves the file, which is whole, to its place, if it is the expected one.
    fn finish(self, to: &Path, expected: Option<&str>) -> Result<String> {
        let digest = HEXLOWER.encode(&self.hash.finalize());
        let version = self.path.with_extension("version");
        if let Some(expected) = expected.filter(|expected| *expected != digest) {
            // Neither going on from it nor keeping it makes sense.
            let _ = (fs::remove_file(&self.path), fs::remove_file(version));
            let message = format!("{}: expected SHA-256 {expected}, got {digest}: what came was removed", shown(to));
            return Err(Failure::new(Exit::Input, message).with_help(
                "the server has another file than the one that is known; fetch again, or look at the set's page",
            ));
        }
        let moved = self.file.sync_all().and_then(|()| fs::rename(&self.path, to));
        moved.map_err(|error| Failure::writing(to, &error))?;
        let _ = fs::remove_file(version);
        Ok(digest)
    }
}

fn beside(to: &Path, what: &str) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".");
    name.push(what);
    name.into()
}

/// Asks for a file, from a byte on; redirects are followed where they lead to what may be fetched.
fn request(file: &Download, from: u64, validator: Option<&str>, patience: Patience<'_>) -> Result<Response<Body>> {
    let mut url = file.url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let mut request =
            agent(&url, file.at_most, patience.silence).get(&url).header(header::ACCEPT_ENCODING, "identity");
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
            if let Some(validator) = validator {
                request = request.header(header::IF_RANGE, validator);
            }
        }
        let answer = Coming::start(move |answer| {
            // Nobody waits for it any more where the user asked to stop.
            let _ = answer.send(request.call());
        })?;
        // The thread sends one answer, whatever it is.
        let Some(response) = answer.next(&url, patience)? else { return Err(cut(&url, "no answer came")) };
        let response = response.map_err(|error| unreachable(&url, &error))?;
        if !response.status().is_redirection() {
            return Ok(response);
        }
        let to = header(&response, header::LOCATION).unwrap_or_default();
        let next =
            if to.starts_with('/') && !to.starts_with("//") { origin(&url).to_owned() + to } else { to.to_owned() };
        if !may_be_fetched(&next) || (url.starts_with("https:") && !next.starts_with("https:")) {
            let message = format!("{url}: leads to `{next}`, which is not fetched: expected an https URL");
            return Err(Failure::new(Exit::System, message));
        }
        url = next;
    }
    Err(Failure::new(Exit::System, format!("{url}: more than {MAX_REDIRECTS} redirects")))
}

fn agent(url: &str, at_most: u64, silence: Duration) -> Agent {
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(PATIENCE))
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE.max(silence)))
        .timeout_recv_body(Some(PATIENCE + Duration::from_secs(at_most / SLOWEST)))
        .user_agent(concat!("clearlane/", env!("CARGO_PKG_VERSION")));
    // What comes from this machine passes no proxy.
    let config = if url.starts_with("http:") { config.proxy(None) } else { config };
    config.build().into()
}

/// Scheme and host of a URL.
fn origin(url: &str) -> &str {
    let host = url.find("://").map_or(0, |at| at + 3);
    &url[..url[host..].find(['/', '?', '#']).map_or(url.len(), |at| host + at)]
}

fn header(response: &Response<Body>, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

fn content_length(response: &Response<Body>) -> Option<u64> {
    header(response, header::CONTENT_LENGTH)?.parse().ok()
}

/// What names a version of a file for certain: a strong entity tag, or else when it was changed (RFC 9110, section 13.1.5).
fn validator(response: &Response<Body>) -> Option<String> {
    let strong = header(response, header::ETAG).filter(|tag| !tag.starts_with("W/"));
    let validator = strong.or_else(|| header(response, header::LAST_MODIFIED))?;
    (validator.len() <= MAX_VALIDATOR).then(|| validator.to_owned())
}

fn receive(
    response: Response<Body>,
    file: &Download,
    part: &mut Part,
    patience: Patience<'_>,
    at: impl Fn(u64),
) -> Result<()> {
    let mut reader = response.into_body().into_reader();
    let coming = Coming::start(move |pieces| {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let piece = reader.read(&mut buffer).map(|read| buffer[..read].to_vec());
            let is_last = piece.as_ref().map_or(true, Vec::is_empty);
            if pieces.send(piece).is_err() || is_last {
                return;
            }
        }
    })?;
    while let Some(piece) = coming.next(&file.url, patience)? {
        let piece = piece.map_err(|error| cut(&file.url, &error.to_string()))?;
        if part.length + piece.len() as u64 > file.at_most {
            part.restart()?;
            return Err(too_long(file, "more came"));
        }
        part.append(&piece)?;
        at(part.length);
    }
    Ok(())
}

fn unreachable(url: &str, error: &ureq::Error) -> Failure {
    Failure::new(Exit::System, format!("{url}: {}", chain(error))).with_help(
        "is there a network here? Else get the file elsewhere, put it in the folder by its path, and run `datasets check`; \
         a proxy is taken from HTTPS_PROXY",
    )
}

fn refused(url: &str, status: StatusCode) -> Failure {
    Failure::new(Exit::System, format!("{url}: expected the file, got the server's answer {status}"))
        .with_help("look at the set's page: `clearlane datasets list NAME`")
}

fn cut(url: &str, why: &str) -> Failure {
    Failure::new(Exit::System, format!("{url}: the connection ended early: {why}"))
        .with_help("what came is kept: fetch again, and it goes on from there")
}

fn too_long(file: &Download, how: &str) -> Failure {
    let Download { url, at_most, .. } = file;
    Failure::new(Exit::Input, format!("{url}: expected at most {at_most} bytes; {how}"))
}
