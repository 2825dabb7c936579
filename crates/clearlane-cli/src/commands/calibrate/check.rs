//! `clearlane calibrate check`: whether live scores still are what they were.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;

use clap::Args;
use clearlane_eval::{DriftSeries, FEWEST_SCORES, WindowDrift, drift};
use clearlane_store::{NewRecord, RecordQuery, Register};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::failure::{Exit, Failure, Result};
use crate::output::{Output, table};
use crate::registers::RegisterArgs;
use crate::thresholds::rate;

/// Tell from the crossing records whether live scores still are what they were
///
/// For each lane and each model, the scores of travellers since --since are compared with those before it, by the two-sample test
/// of Kolmogorov and Smirnov, corrected for the number of tests. Where nothing drifted, at most the share --alarm-rate of all
/// checks has an alarm, however many lanes there are. Exit code 0 where there is none, 1 where there is one, and 3 where no lane
/// has scores enough.
///
/// What it sees: that a camera, the light or the travellers changed, so that those who are found score higher or lower than they
/// did. What no record shows: the scores of people who are not enrolled, and so the false match rate; below its threshold a lane
/// records a best candidate at most. Scores count from the highest threshold in the compared records on, since a gallery that
/// grows raises it and cuts off more; how many passages ended below it is printed. Of each traveller one score counts in each
/// window, the first: many of the same few travellers would look like many.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Passages from then on are compared with those before, such as 2026-11-22T00:00:00Z
    #[arg(long, value_name = "TIME")]
    since: Timestamp,
    /// Not those before this time: such as when the lanes got the cameras that they have
    #[arg(long, value_name = "TIME")]
    from: Option<Timestamp>,
    /// Compare what came since in so many parts of equal length, each for itself
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=366))]
    windows: u32,
    /// The share of checks that may have an alarm though nothing drifted, in (0, 1)
    #[arg(long, value_name = "RATE", default_value = "0.01", value_parser = rate)]
    alarm_rate: f64,
    /// At this port only
    #[arg(long)]
    port: Option<String>,
    #[command(flatten)]
    register: RegisterArgs,
}

const EXAMPLES: &str = "\
Examples:
  clearlane calibrate check --since 2026-11-22T00:00:00Z --register port.db --key-file port.key
  clearlane calibrate check --since 2026-11-01T00:00:00Z --windows 4 --alarm-rate 0.001 --register port.db --key-file port.key --json";

/// Whose scores belong together: port, lane and model.
type Place = (String, String, String);

/// A comparison that a record holds.
struct Compared {
    time: Timestamp,
    subject: u64,
    score: f32,
    threshold: f32,
}

/// What a lane's records show with one model.
#[derive(Debug, Serialize)]
struct Shown {
    port: String,
    lane: String,
    model: String,
    /// The highest threshold of the compared records; scores count from it on.
    threshold: f32,
    /// Scores before `--since`.
    reference: usize,
    /// Passages before it whose best candidate scored below.
    reference_below: usize,
    windows: Vec<Window>,
}

#[derive(Debug, Serialize)]
struct Window {
    from: Timestamp,
    until: Timestamp,
    /// Passages whose best candidate scored below.
    below: usize,
    #[serde(flatten)]
    drift: WindowDrift,
}

/// The scores of a time, one a subject, and how many passages ended below the threshold.
#[derive(Default)]
struct Part {
    scores: Vec<f32>,
    subjects: HashSet<u64>,
    below: usize,
}

pub(super) fn run(args: &CheckArgs, output: &Output) -> Result<Exit> {
    if args.from.is_some_and(|from| from >= args.since) {
        return Err(Failure::new(Exit::Usage, "--from is not before --since"));
    }
    let places = read(&args.register.open_read_only()?, args)?;
    let last = places.values().flatten().map(|compared| compared.time).max();
    let Some(last) = last.filter(|last| *last >= args.since) else {
        return Err(Failure::new(Exit::Input, format!("no record since {} holds a comparison", args.since)));
    };
    let borders = borders(args.since, last, args.windows);
    let parts: Vec<_> = places.values().map(|compared| split(compared, &borders)).collect();
    // All lanes together, so that the false alarm rate is that of the whole check.
    let series: Vec<_> = parts.iter().map(|(_, parts)| series(parts)).collect();
    let found = drift(&series, args.alarm_rate)?;
    let lanes: Vec<_> = places
        .into_keys()
        .zip(parts)
        .zip(found)
        .map(|((place, (threshold, parts)), found)| lane(place, threshold, &parts, found, &borders))
        .collect();
    let tests = || lanes.iter().flat_map(|lane| &lane.windows).filter_map(|window| window.drift.test);
    let (tested, alarms) = (tests().count(), tests().filter(|test| test.alarm).count());
    let value = json!({ "false_alarm_rate": args.alarm_rate, "tests": tested, "alarms": alarms, "lanes": lanes });
    output.result(&value, || text(&lanes, args.alarm_rate, tested, alarms))?;
    if tested == 0 {
        let message = format!("no lane has {FEWEST_SCORES} travellers' scores before and since {}", args.since);
        return Err(Failure::new(Exit::Input, message).with_help("wait for more passages, or compare fewer --windows"));
    }
    Ok(Exit::answer(alarms == 0))
}

/// The comparisons that the records hold.
fn read(register: &Register, args: &CheckArgs) -> Result<BTreeMap<Place, Vec<Compared>>> {
    let mut places: BTreeMap<Place, Vec<Compared>> = BTreeMap::new();
    for record in register.records(RecordQuery { from: args.from, port: args.port.clone(), ..RecordQuery::default() }) {
        let passage = record?.passage;
        // A record that takes another back is of the same passage.
        let NewRecord { subject: Some(subject), score: Some(score), threshold: Some(threshold), voids: None, .. } =
            passage
        else {
            continue;
        };
        let Some(model) = passage.model else { continue };
        let compared = Compared { time: passage.time, subject: subject.0, score, threshold };
        places.entry((passage.port, passage.lane, model.to_string())).or_default().push(compared);
    }
    Ok(places)
}

/// The begins of the windows, and the end of the last.
fn borders(since: Timestamp, last: Timestamp, windows: u32) -> Vec<Timestamp> {
    let (begin, end) = (since.as_millisecond(), last.as_millisecond() + 1);
    let border = |n: u32| begin + ((end - begin) as i128 * i128::from(n) / i128::from(windows)) as i64;
    (0..=windows).map(|n| Timestamp::from_millisecond(border(n)).unwrap_or(last)).collect()
}

/// The common threshold, and the parts: first the reference, then each window.
fn split(compared: &[Compared], borders: &[Timestamp]) -> (f32, Vec<Part>) {
    let threshold = compared.iter().map(|compared| compared.threshold).fold(f32::NEG_INFINITY, f32::max);
    let mut parts: Vec<Part> = borders.iter().map(|_| Part::default()).collect();
    for Compared { time, subject, score, .. } in compared {
        // How many borders it has passed: none is the reference.
        let place = borders.partition_point(|border| border <= time).min(borders.len() - 1);
        let part = &mut parts[place];
        if *score < threshold {
            part.below += 1;
        } else if part.subjects.insert(*subject) {
            part.scores.push(*score);
        }
    }
    (threshold, parts)
}

fn series(parts: &[Part]) -> DriftSeries {
    let mut scores = parts.iter().map(|part| part.scores.clone());
    DriftSeries { reference: scores.next().unwrap_or_default(), windows: scores.collect() }
}

fn lane(
    (port, lane, model): Place,
    threshold: f32,
    parts: &[Part],
    found: Vec<WindowDrift>,
    borders: &[Timestamp],
) -> Shown {
    let window = |((drift, part), border): ((WindowDrift, &Part), &[Timestamp])| Window {
        from: border[0],
        until: border[1],
        below: part.below,
        drift,
    };
    let windows = found.into_iter().zip(&parts[1..]).zip(borders.windows(2)).map(window).collect();
    let (reference, reference_below) = (parts[0].scores.len(), parts[0].below);
    Shown { port, lane, model, threshold, reference, reference_below, windows }
}

fn text(lanes: &[Shown], alarm_rate: f64, tested: usize, alarms: usize) -> String {
    let row = |lane: &Shown, window: &Window| {
        let WindowDrift { scores, shift, test } = window.drift;
        let found = match test {
            None => ["-".to_owned(), "-".to_owned(), "too few scores".to_owned()],
            Some(test) => [
                format!("{shift:+.4}"),
                format!("{:.2e}", test.corrected),
                if test.alarm { "ALARM" } else { "fits" }.to_owned(),
            ],
        };
        let mut row = vec![
            format!("{} {}", lane.port, lane.lane),
            lane.model[..12].to_owned(),
            window.from.strftime("%Y-%m-%d %H:%M").to_string(),
            format!("{:.4}", lane.threshold),
            format!("{} (+{})", lane.reference, lane.reference_below),
            format!("{scores} (+{})", window.below),
        ];
        row.extend(found);
        row
    };
    let rows: Vec<_> = lanes.iter().flat_map(|lane| lane.windows.iter().map(move |window| row(lane, window))).collect();
    let header = ["LANE", "MODEL", "WINDOW FROM", "FROM SCORE", "BEFORE", "SINCE", "SHIFT", "P", ""];
    let mut text = table(&header, &[3, 4, 5, 6, 7], &rows);
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "\n{alarms} alarms of {tested} tests. Where nothing drifted, at most {:.2} % of such checks have any. In brackets: passages \
         whose best candidate scored below, of whom nothing is said.",
        100.0 * alarm_rate
    );
    text
}
