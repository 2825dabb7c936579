//! `clearlane cluster collect`.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use clearlane_cluster::{Collected, CollectorState, RecordCollector};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::connection::{self, ConnectionArgs};
use crate::failure::{Exit, Failure, Result};
use crate::interrupt::Interrupt;
use crate::output::{Output, shown};

/// Collect the crossing records of all lanes
///
/// FOLDER gets `records.jsonl`, one record a line, each once and in its lane's order, and `state.json`, from which collecting goes on
/// after it was ended or killed. A record that is missing, altered or does not follow from the one before is named, in the file
/// and on the screen. One process collects into a folder. It runs until Ctrl-C.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  clearlane cluster collect records/ --brokers nats://10.0.0.1:4222 --cluster-key cluster.key"
)]
pub(crate) struct CollectArgs {
    #[command(flatten)]
    connection: ConnectionArgs,

    /// Where the records go
    folder: PathBuf,

    /// How many brokers keep each record
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    replicas: usize,
}

/// How long what came may wait for the disk.
const SYNC_EVERY: Duration = Duration::from_millis(200);

/// How far records were collected, and how long the file was then.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    bytes: u64,
    collector: CollectorState,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    lane: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

pub(super) fn run(args: &CollectArgs, output: &Output) -> Result<Exit> {
    let interrupt = Interrupt::listen()?;
    let key = args.connection.key()?;
    let (mut folder, state) = Folder::open(&args.folder)?;
    connection::wait(async {
        let cluster = args.connection.options("collector");
        let mut collector = RecordCollector::start(key, &cluster, args.replicas, state).await?;
        output.note(&format!("records go to {}", shown(&folder.path)));
        let mut every = tokio::time::interval(SYNC_EVERY);
        loop {
            tokio::select! {
                collected = collector.next() => {
                    if let Some(fault) = &collected.fault {
                        output.note(&format!("{}: {fault}", collected.lane));
                    }
                    folder.add(&collected)?;
                }
                _ = every.tick() => folder.keep(collector.state())?,
                () = connection::interrupted(&interrupt) => break,
            }
        }
        folder.keep(collector.state())?;
        Ok(Exit::Yes)
    })
}

/// The two files.
struct Folder {
    path: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    /// How much of it the state counts.
    kept: u64,
}

impl Folder {
    /// Cuts off what was written after the state was kept: it comes again.
    fn open(path: &Path) -> Result<(Self, CollectorState)> {
        let (records, state_path) = (path.join("records.jsonl"), path.join("state.json"));
        std::fs::create_dir_all(path).map_err(failed(path))?;
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(false).open(&records).map_err(failed(&records))?;
        match file.try_lock() {
            // Nobody else changes the state from here on.
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{}: another process collects into it", shown(&records));
                return Err(Failure::new(Exit::System, message).with_help("end that one, or choose another folder"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&records)(error)),
        }
        let length = file.metadata().map_err(failed(&records))?.len();
        let refused = |message: String| {
            Failure::new(Exit::Input, message)
                .with_help("put state.json and records.jsonl back, or choose another folder")
        };
        let state: State = match std::fs::read(&state_path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                refused(format!("{}: it is not what `cluster collect` keeps: {error}", shown(&state_path)))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && length == 0 => State::default(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(refused(format!(
                    "{}: there are records, and no state.json that counts them",
                    shown(&records)
                )));
            }
            Err(error) => return Err(failed(&state_path)(error)),
        };
        if length < state.bytes {
            let bytes = state.bytes;
            return Err(refused(format!(
                "{}: it is shorter than the {bytes} bytes that state.json counts",
                shown(&records)
            )));
        }
        let cut = file.set_len(state.bytes).and_then(|()| file.seek(SeekFrom::End(0)).map(drop));
        cut.map_err(failed(&records))?;
        let file = BufWriter::new(file);
        let mut folder = Self { path: path.to_owned(), file, bytes: state.bytes, kept: u64::MAX };
        // It is there before the first record is.
        folder.keep(&state.collector)?;
        Ok((folder, state.collector))
    }

    fn add(&mut self, collected: &Collected) -> Result<()> {
        let (count, bytes) = collected.record.as_ref().map(|(count, bytes)| (*count, &bytes[..])).unzip();
        // A lane of another program may send what is no JSON: it is named, and the chain goes on.
        let sent = bytes.map(serde_json::from_slice::<Value>);
        let strange = matches!(sent, Some(Err(_))).then(|| "what the lane sent is no JSON".to_owned());
        let fault = collected.fault.as_ref().map(ToString::to_string).or(strange);
        let line = Line { lane: &collected.lane, count, sent: sent.and_then(std::result::Result::ok), fault };
        let mut text = serde_json::to_vec(&line)
            .map_err(|error| Failure::new(Exit::System, format!("cannot write JSON: {error}")))?;
        text.push(b'\n');
        self.file.write_all(&text).map_err(failed(&self.path))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Brings records to the disk, and then the state that counts them.
    fn keep(&mut self, collector: &CollectorState) -> Result<()> {
        if self.bytes == self.kept {
            return Ok(());
        }
        let state = State { bytes: self.bytes, collector: collector.clone() };
        let mut keep = || -> io::Result<()> {
            self.file.flush()?;
            self.file.get_ref().sync_data()?;
            let mut beside = tempfile::NamedTempFile::new_in(&self.path)?;
            serde_json::to_writer(&mut beside, &state)?;
            beside.as_file().sync_data()?;
            beside.persist(self.path.join("state.json"))?;
            File::open(&self.path)?.sync_all()
        };
        keep().map_err(failed(&self.path))?;
        self.kept = self.bytes;
        Ok(())
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failure + '_ {
    move |error| Failure::new(Exit::System, format!("{}: {error}", shown(path)))
}
