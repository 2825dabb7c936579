//! A port's or a node's metrics over HTTP, for a Prometheus server on the same machine.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::failure::{Exit, Failure, Result};

/// The longest request that is read; a scraper's takes some hundred bytes.
const MAX_REQUEST: usize = 8 << 10;

/// How long one client may take in all: others wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long nothing is tried after a failure: the longer, the more have come one after the other, so that the log stays readable.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Answers `GET /metrics` on the loopback interface, one client after the other, on a thread of its own, until it is dropped.
#[derive(Debug)]
pub(crate) struct MetricsServer {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsServer {
    /// Listens on `number`; 0 is any that is free. `text` gives the metrics as they are.
    pub(crate) fn start(number: u16, text: impl Fn() -> String + Send + 'static) -> Result<Self> {
        let failed = |error: &dyn std::error::Error| {
            Failure::new(Exit::System, format!("metrics cannot be served on 127.0.0.1:{number}: {error}"))
                .with_help("choose another port with --metrics; 0 is any that is free")
        };
        // Loopback, so that nothing leaves this machine.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let serve = move || {
            let mut wait = SHORTEST_WAIT;
            for stream in listener.incoming() {
                if stopped.load(Ordering::Acquire) {
                    return;
                }
                let taken = stream.map(|stream| answer(&stream, &text));
                wait = if taken.is_ok() { SHORTEST_WAIT } else { wait };
                if let Err(error) = taken.and_then(|answered| answered) {
                    tracing::warn!(%error, "a request for metrics was not answered");
                    // Where no client could be taken, such as for want of handles, the next try fails as well.
                    thread::park_timeout(wait);
                    wait = LONGEST_WAIT.min(2 * wait);
                }
            }
        };
        let thread = thread::Builder::new().name("clearlane-metrics".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(|error| failed(&error))?);
        Ok(Self { address, stop, thread })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Wakes the thread; where that fails, it ends with the process.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok()
            && let Some(thread) = self.thread.take()
        {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn answer(stream: &TcpStream, text: &dyn Fn() -> String) -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let request = read(stream, deadline)?;
    let (status, extra, body) = match request.as_deref().map(target) {
        None => ("431 Request Header Fields Too Large", "", "the request is too long\n".to_owned()),
        Some(None) => ("400 Bad Request", "", "expected an HTTP request such as GET /metrics HTTP/1.1\n".to_owned()),
        Some(Some(("GET" | "HEAD", "/metrics"))) => ("200 OK", "", text()),
        Some(Some(("GET" | "HEAD", _))) => ("404 Not Found", "", "the metrics are at /metrics\n".to_owned()),
        Some(Some(_)) => ("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "metrics are read with GET\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n{extra}\
         Connection: close\r\n\r\n",
        body.len()
    );
    let with_body = request.as_deref().and_then(target).is_none_or(|(method, _)| method != "HEAD");
    let mut stream = stream;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(head.as_bytes())?;
    if with_body {
        stream.write_all(body.as_bytes())?;
    }
    stream.flush()
}

/// The head of a request; `None` where it is too long.
fn read(mut stream: &TcpStream, deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut request = Vec::new();
    let mut part = [0; 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the client took too long"));
        }
        stream.set_read_timeout(Some(left))?;
        let length = stream.read(&mut part)?;
        request.extend_from_slice(&part[..length]);
        if length == 0 || request.windows(4).any(|end| end == b"\r\n\r\n") {
            return Ok(Some(request));
        }
        if request.len() > MAX_REQUEST {
            return Ok(None);
        }
    }
}

/// Method and path of a request, without what follows a question mark.
fn target(request: &[u8]) -> Option<(&str, &str)> {
    let line = request.split(|byte| *byte == b'\r' || *byte == b'\n').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let (method, path, version) = (words.next()?, words.next()?, words.next()?);
    let path = path.split('?').next()?;
    (version.starts_with("HTTP/1.") && words.next().is_none()).then_some((method, path))
}
