//! `clearlane datasets`: what is known of public sets, whether a folder has one whole, and fetching, against a server that does what
//! servers do.
#![allow(clippy::unwrap_used, clippy::format_collect)]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use assert_cmd::Command;
use common::{clearlane, file, json};
use predicates::str::contains;
use serde_json::Value;

/// A file of a data set, long enough to be cut.
fn content() -> Vec<u8> {
    (0..200_000_u32).flat_map(|value| (value.wrapping_mul(2_654_435_761)).to_le_bytes()).collect()
}

/// SHA-256 of [`content`], by Python's hashlib.
const DIGEST: &str = "d591016697e7379424830bc5232dc1450ef7fb56192f929c9ed278ba996a655b";

/// What a server does with the requests for a file, one after the other.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// Sends what is asked for, all or from a byte on.
    Ranges,
    /// Sends half of what is asked for, then ends the connection.
    CutInHalf,
    /// As `Ranges`, of a file that was changed meanwhile.
    Changed,
    /// Sends the whole file, whatever is asked for.
    WithoutRanges,
    /// Ranges that begin elsewhere.
    WrongRange,
    /// Says that there is no such range.
    NotSatisfiable,
    NotFound,
    /// Says that it is elsewhere.
    Redirect(&'static str),
    /// Sends half of what is asked for, then nothing, and waits for the client to hang up.
    Stalls,
    /// Says nothing at all until the client hangs up.
    Silent,
    /// Sends without an end.
    Endless,
    /// Says that it will send more than it may.
    Announces(u64),
}

/// A server on this machine, in a thread, for as many requests as there are answers.
struct Server {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn new(answers: &[Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/list.bin", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answers, seen) = (answers.to_vec(), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            for answer in answers {
                let (stream, _) = listener.accept().unwrap();
                let request = head(&stream);
                seen.lock().unwrap().push(request.to_lowercase());
                // The client may hang up before all is sent.
                let _ = respond(stream, &request, answer);
            }
        });
        Self { url, requests, thread: Some(thread) }
    }

    /// The heads of the requests that came, once all answers are given.
    fn requests(mut self) -> Vec<String> {
        self.thread.take().unwrap().join().unwrap();
        self.requests.lock().unwrap().clone()
    }
}

fn head(stream: &TcpStream) -> String {
    let lines = BufReader::new(stream).lines().map(Result::unwrap);
    lines.take_while(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

fn respond(mut stream: TcpStream, request: &str, answer: Answer) -> std::io::Result<()> {
    let content = content();
    let from = request.lines().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let from: usize = from.map_or(0, |range| range.trim_end_matches('-').parse().unwrap());
    let head = |status: &str, length: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    let rest = &content[from.min(content.len())..];
    let range = format!("Content-Range: bytes {from}-{}/{}\r\nETag: \"1\"\r\n", content.len() - 1, content.len());
    let whole = head("200 OK", content.len(), "ETag: \"1\"\r\n");
    let begin = if from > 0 { head("206 Partial Content", rest.len(), &range) } else { whole.clone() };
    match answer {
        Answer::Ranges => write!(stream, "{begin}").and_then(|()| stream.write_all(rest))?,
        Answer::CutInHalf => write!(stream, "{begin}").and_then(|()| stream.write_all(&rest[..rest.len() / 2]))?,
        Answer::Stalls => {
            write!(stream, "{begin}").and_then(|()| stream.write_all(&rest[..rest.len() / 2]))?;
            let _ = stream.read(&mut [0]);
        }
        Answer::Silent => drop(stream.read(&mut [0])),
        Answer::Changed => {
            // If-Range names the version before, so that all comes.
            write!(stream, "{}", head("200 OK", content.len(), "ETag: \"2\"\r\n"))?;
            stream.write_all(&content)?;
        }
        Answer::WithoutRanges => {
            write!(stream, "{}", head("200 OK", content.len(), "")).and_then(|()| stream.write_all(&content))?;
        }
        Answer::WrongRange => {
            let range = format!("Content-Range: bytes 7-{}/{}\r\n", content.len() - 1, content.len());
            write!(stream, "{}", head("206 Partial Content", content.len() - 7, &range))?;
            stream.write_all(&content[7..])?;
        }
        Answer::NotSatisfiable => write!(stream, "{}", head("416 Range Not Satisfiable", 0, ""))?,
        Answer::NotFound => write!(stream, "{}", head("404 Not Found", 0, ""))?,
        Answer::Redirect(to) => write!(stream, "{}", head("302 Found", 0, &format!("Location: {to}\r\n")))?,
        Answer::Endless => {
            write!(stream, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                write!(stream, "{:x}\r\n", content.len())?;
                stream.write_all(&content)?;
                write!(stream, "\r\n")?;
            }
        }
        Answer::Announces(length) => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
            stream.write_all(&content)?;
        }
    }
    stream.shutdown(Shutdown::Write)
}

/// The folder of a test: a manifest with one set of one file, and a folder to fetch it into.
struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    fn new(url: &str, digest: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let digest = digest.map_or(String::new(), |digest| format!("sha256 = \"{digest}\", "));
        let manifest = format!(
            "[[dataset]]\nname = \"mine\"\ntitle = \"Mine\"\npurpose = \"tests\"\npage = \"https://example.org/\"\n\
             licence = \"mine\"\nlimits = \"none\"\nobtain = \"fetch it\"\ncommand = \"clearlane eval pairs DIR\"\n\
             fetch = [{{ path = \"sub/list.bin\", url = \"{url}\", {digest}at_most = 800000 }}]\n\
             layout = [{{ path = \"sub/list.bin\" }}]\n"
        );
        file(folder.path(), "manifest.toml", manifest.as_bytes());
        Self { folder }
    }

    fn command(&self, command: &str) -> Command {
        let mut run = clearlane();
        for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"] {
            run.env_remove(proxy);
        }
        run.args(["datasets", command, "mine"])
            .arg(self.dir())
            .arg("--manifest")
            .arg(self.folder.path().join("manifest.toml"));
        run
    }

    fn dir(&self) -> std::path::PathBuf {
        self.folder.path().join("set")
    }

    /// The files of the set's folder `sub`, by name.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.dir().join("sub"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn is_whole(&self) {
        assert_eq!(fs::read(self.dir().join("sub/list.bin")).unwrap(), content());
        assert_eq!(self.files(), ["list.bin"]);
        let sums = fs::read_to_string(self.dir().join("SHA256SUMS")).unwrap();
        assert_eq!(sums, format!("{DIGEST}  sub/list.bin\n"));
        let checked = json(&mut self.command("check"));
        assert_eq!(checked["whole"], Value::Bool(true), "{checked}");
    }
}

#[test]
fn a_file_comes_whole_and_a_digest_that_was_not_known_is_pinned() {
    let server = Server::new(&[Answer::Ranges]);
    let bench = Bench::new(&server.url, None);
    let fetched = json(&mut bench.command("fetch"));
    assert_eq!((&fetched["files"][0]["sha256"], &fetched["files"][0]["known"]), (&DIGEST.into(), &false.into()));
    bench.is_whole();
    assert_eq!(server.requests().len(), 1);
    // There is no server any more, and none is asked.
    let again = json(&mut bench.command("fetch"));
    assert_eq!((&again["files"][0]["how"], &again["files"][0]["known"]), (&"already there".into(), &true.into()));

    // Another file under the pinned digest is not the set's.
    fs::write(bench.dir().join("sub/list.bin"), b"other").unwrap();
    let checked = json(&mut bench.command("check"));
    assert_eq!((&checked["whole"], &checked["findings"][0]["state"]), (&false.into(), &"wrong".into()));
    bench.command("check").assert().code(1);
}

#[test]
fn a_fetch_that_was_cut_goes_on_where_it_stopped() {
    for digest in [None, Some(DIGEST)] {
        let server = Server::new(&[Answer::CutInHalf, Answer::CutInHalf, Answer::Ranges]);
        let bench = Bench::new(&server.url, digest);
        for come in [400_000, 600_000] {
            bench
                .command("fetch")
                .assert()
                .code(6)
                .stderr(contains("the connection ended early"))
                .stderr(contains("fetch again"));
            assert_eq!(fs::metadata(bench.dir().join("sub/list.bin.part")).unwrap().len(), come);
        }
        bench.command("fetch").assert().success();
        bench.is_whole();
        let requests = server.requests();
        assert!(!requests[0].contains("range:"), "{}", requests[0]);
        for (request, from) in requests[1..].iter().zip([400_000, 600_000]) {
            assert!(request.contains(&format!("\nrange: bytes={from}-")), "{request}");
            assert!(request.contains("\nif-range: \"1\""), "{request}");
        }
    }
}

#[test]
fn a_server_that_stalls_is_given_up_and_a_later_fetch_goes_on() {
    let server = Server::new(&[Answer::Stalls, Answer::Silent, Answer::Ranges]);
    let bench = Bench::new(&server.url, Some(DIGEST));
    for _ in 0..2 {
        let mut fetch = bench.command("fetch");
        let stalled = fetch.args(["--silence", "1"]).assert().code(6);
        stalled.stderr(contains("the server has sent nothing for 1 s")).stderr(contains("it goes on from there"));
        assert_eq!(fs::metadata(bench.dir().join("sub/list.bin.part")).unwrap().len(), 400_000);
    }
    bench.command("fetch").assert().success();
    bench.is_whole();
    assert!(server.requests()[2].contains("\nrange: bytes=400000-"));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_fetch_that_waits_for_a_silent_server() {
    for (answer, come) in [(Answer::Stalls, 400_000), (Answer::Silent, 0)] {
        let server = Server::new(&[answer]);
        let bench = Bench::new(&server.url, Some(DIGEST));
        let mut fetch = std::process::Command::new(env!("CARGO_BIN_EXE_clearlane-under-test"));
        fetch.args(["datasets", "fetch", "mine"]).arg(bench.dir());
        // An hour of silence would be borne: nothing but the interrupt ends it, and the code says so.
        fetch.args(["--silence", "3600", "--manifest"]).arg(bench.folder.path().join("manifest.toml"));
        let mut running = fetch.stderr(std::process::Stdio::null()).spawn().unwrap();
        let part = bench.dir().join("sub/list.bin.part");
        let asked = || !server.requests.lock().unwrap().is_empty();
        while !asked() || !fs::metadata(&part).is_ok_and(|part| part.len() == come) {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let interrupt = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
        assert!(interrupt.success());
        assert_eq!(running.wait().unwrap().code(), Some(130));
    }
}

#[test]
fn what_cannot_go_on_begins_again() {
    for second in [Answer::Changed, Answer::WithoutRanges] {
        let server = Server::new(&[Answer::CutInHalf, second]);
        let bench = Bench::new(&server.url, None);
        bench.command("fetch").assert().code(6);
        bench.command("fetch").assert().success();
        bench.is_whole();
    }
    let server = Server::new(&[Answer::CutInHalf, Answer::NotSatisfiable, Answer::Ranges]);
    let bench = Bench::new(&server.url, Some(DIGEST));
    bench.command("fetch").assert().code(6);
    bench.command("fetch").assert().success();
    bench.is_whole();
    assert!(!server.requests()[2].contains("range:"));
}

#[test]
fn a_rest_that_begins_elsewhere_is_refused() {
    let server = Server::new(&[Answer::CutInHalf, Answer::WrongRange]);
    let bench = Bench::new(&server.url, None);
    bench.command("fetch").assert().code(6);
    bench.command("fetch").assert().code(6).stderr(contains("expected the bytes from 400000 on, got `bytes 7-"));
    assert!(!bench.dir().join("sub/list.bin").exists());
}

#[test]
fn a_file_with_another_digest_is_removed() {
    let server = Server::new(&[Answer::Ranges]);
    let wrong = "0".repeat(64);
    let bench = Bench::new(&server.url, Some(&wrong));
    bench.command("fetch").assert().code(3).stderr(contains(format!("expected SHA-256 {wrong}, got {DIGEST}")));
    assert_eq!(bench.files(), [""; 0]);
    assert!(!bench.dir().join("SHA256SUMS").exists());
}

#[test]
fn a_server_that_has_no_such_file_or_is_not_there_is_said() {
    let server = Server::new(&[Answer::NotFound]);
    let bench = Bench::new(&server.url, None);
    bench.command("fetch").assert().code(6).stderr(contains("got the server's answer 404"));
    // The server has given its only answer and is gone.
    server.requests();
    bench.command("fetch").assert().code(6).stderr(contains("is there a network here?"));
}

#[test]
fn redirects_are_followed_over_tls_or_on_this_machine_alone() {
    let server = Server::new(&[Answer::Redirect("/elsewhere/list.bin"), Answer::Ranges]);
    let bench = Bench::new(&server.url, None);
    bench.command("fetch").assert().success();
    bench.is_whole();
    assert!(server.requests()[1].starts_with("get /elsewhere/list.bin "));

    for to in ["http://example.org/list.bin", "//example.org/list.bin", "file:///etc/passwd", ""] {
        let server = Server::new(&[Answer::Redirect(to)]);
        let bench = Bench::new(&server.url, None);
        bench.command("fetch").assert().code(6).stderr(contains("which is not fetched"));
    }
    let server = Server::new(&[Answer::Redirect("/list.bin"); 6]);
    let bench = Bench::new(&server.url, None);
    bench.command("fetch").assert().code(6).stderr(contains("more than 5 redirects"));
}

#[test]
fn no_more_comes_than_the_manifest_allows() {
    for answer in [Answer::Endless, Answer::Announces(800_001)] {
        let server = Server::new(&[answer]);
        let bench = Bench::new(&server.url, None);
        bench.command("fetch").assert().code(3).stderr(contains("expected at most 800000 bytes"));
        let part = fs::metadata(bench.dir().join("sub/list.bin.part")).unwrap();
        assert!(part.len() <= 800_000);
    }
}

#[test]
fn a_place_that_cannot_be_written_is_said_before_anything_is_asked_for() {
    let bench = Bench::new("http://127.0.0.1:9/list.bin", None);
    // A file where the folder should be: not even root can write below it.
    fs::write(bench.dir(), b"").unwrap();
    bench.command("fetch").assert().code(6).stderr(contains("cannot write"));
    fs::remove_file(bench.dir()).unwrap();
    fs::create_dir_all(bench.dir().join("sub/list.bin.part")).unwrap();
    bench.command("fetch").assert().code(6).stderr(contains("list.bin.part"));
}

#[test]
fn a_set_that_its_owner_gives_out_says_where_and_how() {
    let folder = tempfile::tempdir().unwrap();
    let mut fetch = clearlane();
    fetch.args(["datasets", "fetch", "rfw"]).arg(folder.path().join("rfw"));
    fetch
        .assert()
        .code(3)
        .stderr(contains("cannot be fetched"))
        .stderr(contains("whdeng.cn/RFW"))
        .stderr(contains("Licence:"));
    assert!(!folder.path().join("rfw").exists());
    clearlane()
        .args(["datasets", "fetch", "nothing"])
        .arg(folder.path())
        .assert()
        .code(3)
        .stderr(contains("no data set is named `nothing`"));
}

#[test]
fn all_known_sets_are_listed_in_text_and_as_json() {
    let all = json(clearlane().args(["datasets", "list"]));
    let names: Vec<_> = all.as_array().unwrap().iter().map(|set| set["name"].as_str().unwrap()).collect();
    for name in ["lfw", "cfp", "agedb-30", "calfw", "cplfw", "insightface-packed", "rfw", "ijb-b", "ijb-c", "utkface"] {
        assert!(names.contains(&name), "{name}");
        clearlane().args(["datasets", "list"]).assert().success().stdout(contains(name));
        let one = json(clearlane().args(["datasets", "list", name]));
        clearlane()
            .args(["datasets", "list", name])
            .assert()
            .success()
            .stdout(contains(one["limits"].as_str().unwrap()));
    }
}

#[test]
fn a_folder_is_compared_with_the_sets_layout_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let list: String = (0..3000).map(|pair| format!("1 a/{pair}.jpg a/x.jpg\n0 a/{pair}.jpg b/y.jpg\n")).collect();
    file(folder.path(), "agedb_30_ann.txt", list.as_bytes());
    let check = |folder: &Path| {
        let mut command = clearlane();
        command.args(["datasets", "check", "agedb-30"]).arg(folder);
        command
    };
    check(folder.path()).assert().code(1).stdout(contains("of its pictures, 3002 are missing: a/0.jpg, a/x.jpg"));
    for pair in 0..3000 {
        file(folder.path(), &format!("a/{pair}.jpg"), b"");
    }
    file(folder.path(), "a/x.jpg", b"");
    check(folder.path()).assert().code(1).stdout(contains("1 are missing: b/y.jpg"));
    file(folder.path(), "b/y.jpg", b"");
    check(folder.path()).assert().success().stdout(contains("6000 pairs, all 3002 pictures there"));
    file(folder.path(), "agedb_30_ann.txt", b"1 a/1.jpg a/2.jpg\n");
    check(folder.path()).assert().code(1).stdout(contains("expected 6000 pairs, got 1"));
    file(folder.path(), "agedb_30_ann.txt", b"1 a/1.jpg\n");
    check(folder.path()).assert().code(1).stdout(contains("line 1: expected"));
    check(&folder.path().join("nowhere")).assert().code(3);
    // A set with nothing but optional parts needs one of them.
    clearlane().args(["datasets", "check", "insightface-packed"]).arg(folder.path()).assert().code(1);
}

#[test]
fn the_real_lfw_is_compared_with_its_layout() {
    let Some((_, datasets)) = common::research() else { return };
    let checked = json(clearlane().args(["datasets", "check", "lfw"]).arg(datasets.join("lfw")));
    assert_eq!(checked["findings"][0]["state"], "whole", "{checked}");
    assert!(
        checked["findings"][0]["found"].as_str().unwrap().contains("6000 pairs, all 7701 pictures there"),
        "{checked}"
    );
}
