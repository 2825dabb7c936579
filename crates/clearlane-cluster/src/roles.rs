//! Who may publish and read what at the brokers: users with nkeys, by role, as a nats-server's configuration.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use nkeys::KeyPair;

use crate::ClusterError;
use crate::gallery::{
    GALLERY_STREAM, JOB_SUBJECTS, RECORDS_STREAM, RESULT_SUBJECTS, RESULTS_STREAM, WORK_STREAM, WORK_SUBJECTS,
};
use crate::notice::NOTICES;
use crate::records::check_name;

/// Makes the nkey of a user: its seed goes into a new file at `path`, which only its owner can read, and its public key is
/// returned, for the brokers' configuration.
pub fn create_user_key(path: impl AsRef<Path>) -> Result<String, ClusterError> {
    let path = path.as_ref();
    let pair = KeyPair::new_user();
    let seed = pair.seed().map_err(|_| ClusterError::NoEntropy)?;
    let write = || -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            options.mode(0o600);
        }
        let mut file = options.open(path)?;
        writeln!(file, "{seed}")?;
        file.sync_all()
    };
    write().map_err(ClusterError::file(path))?;
    Ok(pair.public_key())
}

/// The users of a cluster, by their public keys.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Roles {
    registrars: Vec<String>,
    nodes: Vec<String>,
    lanes: Vec<(String, String)>,
    workers: Vec<String>,
}

impl Roles {
    /// Nobody yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registrar, which alone publishes the gallery, collects the crossing records, and gives out batches.
    pub fn registrar(mut self, public_key: &str) -> Result<Self, ClusterError> {
        self.registrars.push(checked(public_key)?);
        Ok(self)
    }

    /// A node, which reads the gallery and answers questions.
    pub fn node(mut self, public_key: &str) -> Result<Self, ClusterError> {
        self.nodes.push(checked(public_key)?);
        Ok(self)
    }

    /// A lane, which asks questions, may follow the gallery, and publishes its own crossing records.
    pub fn lane(mut self, name: &str, public_key: &str) -> Result<Self, ClusterError> {
        check_name(name)?;
        self.lanes.push((name.to_owned(), checked(public_key)?));
        Ok(self)
    }

    /// A worker, which reads the gallery, asks questions, says what it misses, pulls blocks of batches and publishes their results.
    pub fn worker(mut self, public_key: &str) -> Result<Self, ClusterError> {
        self.workers.push(checked(public_key)?);
        Ok(self)
    }

    /// The `authorization` block of each broker's configuration. Whoever is not in it is not let in.
    #[must_use]
    pub fn to_config(&self) -> String {
        let read: Vec<String> = [
            format!("$JS.API.STREAM.INFO.{GALLERY_STREAM}"),
            format!("$JS.API.STREAM.MSG.GET.{GALLERY_STREAM}"),
            format!("$JS.API.CONSUMER.CREATE.{GALLERY_STREAM}.*.gallery.>"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{GALLERY_STREAM}.>"),
            format!("$JS.API.CONSUMER.DELETE.{GALLERY_STREAM}.>"),
            NOTICES.to_owned(),
        ]
        .into();
        let mut text = String::from("authorization {\n  users = [\n");
        for key in &self.registrars {
            let publish = [
                "gallery.>",
                "$JS.API.>",
                "ask.*",
                "status.nodes",
                JOB_SUBJECTS,
                WORK_SUBJECTS,
                RESULT_SUBJECTS,
                NOTICES,
            ];
            let publish = publish.map(str::to_owned);
            user(&mut text, "registrar", key, &publish, &["_INBOX.>", NOTICES], false);
        }
        for key in &self.nodes {
            user(&mut text, "node", key, &read, &["_INBOX.>", "ask.*", "ask.* nodes", "status.nodes"], true);
        }
        for (name, key) in &self.lanes {
            let own = [
                "ask.*".to_owned(),
                "status.nodes".to_owned(),
                format!("records.{name}"),
                format!("$JS.API.STREAM.INFO.{RECORDS_STREAM}"),
                format!("$JS.API.STREAM.MSG.GET.{RECORDS_STREAM}"),
            ];
            let publish = [&own[..], &read[..]].concat();
            user(&mut text, &format!("lane {name}"), key, &publish, &["_INBOX.>"], false);
        }
        let work = [
            format!("$JS.API.STREAM.INFO.{GALLERY_STREAM}"),
            format!("$JS.API.STREAM.MSG.GET.{GALLERY_STREAM}"),
            "ask.*".to_owned(),
            format!("$JS.API.CONSUMER.INFO.{WORK_STREAM}.*"),
            format!("$JS.API.CONSUMER.MSG.NEXT.{WORK_STREAM}.*"),
            format!("$JS.ACK.{WORK_STREAM}.>"),
            format!("$JS.API.STREAM.MSG.GET.{RESULTS_STREAM}"),
            RESULT_SUBJECTS.to_owned(),
            NOTICES.to_owned(),
        ];
        for key in &self.workers {
            user(&mut text, "worker", key, &work, &["_INBOX.>"], false);
        }
        text.push_str("  ]\n}\n");
        text
    }
}

/// One user: what it may publish and subscribe to, and whether it may answer what it is asked.
fn user(text: &mut String, role: &str, key: &str, publish: &[String], subscribe: &[&str], answers: bool) {
    let list = |subjects: Vec<String>| subjects.join(", ");
    let publish = list(publish.iter().map(|subject| format!("\"{subject}\"")).collect());
    let subscribe = list(subscribe.iter().map(|subject| format!("\"{subject}\"")).collect());
    let answers = if answers { "\n      allow_responses = { max = 1, expires = \"1m\" }" } else { "" };
    // Writing to a String cannot fail.
    _ = write!(
        text,
        "    # {role}\n    {{ nkey: {key}, permissions = {{\n      publish = [{publish}]\n      subscribe = [{subscribe}]{answers}\n    }} }}\n"
    );
}

/// A user's public key: 56 letters and digits that begin with a U.
fn checked(public_key: &str) -> Result<String, ClusterError> {
    match KeyPair::from_public_key(public_key) {
        Ok(_) if public_key.starts_with('U') => Ok(public_key.to_owned()),
        _ => Err(ClusterError::PublicKey { key: public_key.to_owned() }),
    }
}
