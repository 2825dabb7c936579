//! A traveller's last entry or exit on paper.

use std::fmt;

use clearlane_store::{CheckingCode, Direction, Outcome, RecordQuery, Register, StoreError, Subject};
use clearlane_template::SubjectId;
use jiff::{Timestamp, Zoned};
use serde::Serialize;

use crate::policy::Policy;
use crate::policy::PortId;

mod page;

/// A crossing record as a traveller takes it along: as text ([`fmt::Display`]), as JSON, or as a page to print
/// ([`PrintedRecord::to_html`]). It holds no face, no template, no score and no document's number.
///
/// The paper alone proves nothing. An officer looks its checking code up in the register, compares what is printed with
/// the record, and verifies the chain: `clearlane records verify --code CODE` does all three.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrintedRecord {
    /// The number of the crossing record.
    pub record: u64,
    /// The code to check it by.
    pub code: CheckingCode,
    /// Who passed, by the name that the register has for them.
    pub traveller: String,
    /// Who passed, by the register's number.
    pub subject: SubjectId,
    /// Into the mainland, or out of it.
    pub direction: Direction,
    /// Where.
    pub port: PrintedPort,
    /// In which lane.
    pub lane: String,
    /// When, in the policy's time zone.
    pub time: Zoned,
    /// When this was printed, in the same time zone.
    pub printed: Zoned,
}

/// A port on a printed record. One that the policy does not name has its id for a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PrintedPort {
    /// Its id.
    pub id: String,
    /// Its name in Chinese.
    pub zh: String,
    /// Its name in English.
    pub en: String,
}

impl PrintedRecord {
    /// The last passage that a lane admitted `subject` to: at `port` and in `direction`, where they are given. `None` where
    /// there is none. `policy` names the ports and their time zone, `now` is the time of printing.
    pub fn last(
        register: &Register,
        policy: &Policy,
        subject: &Subject,
        port: Option<&PortId>,
        direction: Option<Direction>,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let query = RecordQuery {
            subject: Some(subject.id),
            port: port.map(PortId::to_string),
            direction,
            outcome: Some(Outcome::Admit),
            ..RecordQuery::default()
        };
        let Some(record) = register.last_record(&query)? else { return Ok(None) };
        let code = record.code();
        let passage = record.passage;
        let known = passage.port.parse::<PortId>().ok().and_then(|id| policy.ports().get(&id));
        let (zh, en) = known.map_or((&passage.port, &passage.port), |port| (&port.zh, &port.en));
        Ok(Some(Self {
            record: record.seq,
            code,
            traveller: subject.key.clone(),
            subject: subject.id,
            direction: passage.direction,
            port: PrintedPort { zh: zh.clone(), en: en.clone(), id: passage.port },
            lane: passage.lane,
            time: passage.time.to_zoned(policy.time_zone().clone()),
            printed: now.to_zoned(policy.time_zone().clone()),
        }))
    }

    /// The record as one self-contained HTML page for A4 paper, in Chinese and English.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::html(self)
    }

    /// What is printed, line by line: the label in Chinese and in English, and the value.
    fn lines(&self) -> [(&'static str, &'static str, String); 8] {
        let (zh, en) = match self.direction {
            Direction::Entry => ("入境", "entry"),
            _ => ("出境", "exit"),
        };
        let time = |time: &Zoned| time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string();
        [
            ("通行人", "Traveller", format!("{} (#{})", self.traveller, self.subject)),
            ("方向", "Direction", format!("{zh} {en}")),
            ("口岸", "Port", format!("{} {}", self.port.zh, self.port.en)),
            ("通道", "Lane", self.lane.clone()),
            ("时间", "Time", time(&self.time)),
            ("记录编号", "Record number", self.record.to_string()),
            ("校验码", "Checking code", self.code.to_string()),
            ("打印时间", "Printed", time(&self.printed)),
        ]
    }
}

/// The page's title, in Chinese and in English.
const TITLE: (&str, &str) = ("出入境通行记录", "Record of a border crossing");

impl fmt::Display for PrintedRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}\n", TITLE.0, TITLE.1)?;
        self.lines().iter().try_for_each(|(zh, en, value)| writeln!(f, "{zh} {en}: {value}"))
    }
}
