//! The charts of a report: trade-offs, distributions, rates over the gallery's size and by group, wherever in the document they are.

use clearlane::Language;
use maud::Markup;
use serde_json::Value;

use super::tables::{children, find, short};
use super::words::word;
use crate::page::chart::{Axis, COLOURS, Chart, Mark, Series, figure};

/// All charts that a document has the numbers for.
pub(super) fn all(document: &Value, language: Language) -> Vec<Markup> {
    let charts = [
        trade_off(document, language),
        histograms(document, language),
        by_gallery_size(document, language),
        by_group(document, "fmr", language),
        by_group(document, "fnmr", language),
        by_discard(document, language),
    ];
    charts.into_iter().flatten().collect()
}

/// FNMR over FMR, both axes logarithmic: one line for each trade-off in the document.
fn trade_off(document: &Value, language: Language) -> Option<Markup> {
    let mut found = Vec::new();
    named(document, "det", &mut Vec::new(), &mut found);
    let number = |point: &Value, key: &str| point.get(key).and_then(Value::as_f64).filter(|rate| *rate > 0.0);
    let line = |(path, det): &(String, &Value)| {
        let points = det.as_array()?.iter().filter_map(|point| Some((number(point, "fmr")?, number(point, "fnmr")?)));
        let mut points: Vec<(f64, f64)> = points.collect();
        // As the threshold falls: false matches more, missed mates fewer.
        points.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        (points.len() > 1).then(|| Series::line(path.clone(), points))
    };
    let series: Vec<Series> = found.iter().filter_map(line).collect();
    let (title, x, y) = (word("det", language), word("fmr", language), word("fnmr", language));
    (!series.is_empty()).then(|| {
        figure(&Chart {
            title: &title,
            x: Axis::decades(&x, series.iter().flat_map(|series| &series.points).map(|point| point.0)),
            y: Axis::decades(&y, series.iter().flat_map(|series| &series.points).map(|point| point.1)),
            series,
        })
    })
}

/// The shares of mated and of non-mated scores in equal bars over [-1, 1].
fn histograms(document: &Value, language: Language) -> Option<Markup> {
    let area = |key: &str, name: &str| {
        let counts: Vec<f64> = find(document, key)?.as_array()?.iter().filter_map(Value::as_f64).collect();
        let (bars, total) = (counts.len() as f64, counts.iter().sum::<f64>());
        let middle = |bar: usize| -1.0 + (2.0 * bar as f64 + 1.0) / bars;
        let points = counts.iter().enumerate().map(|(bar, count)| (middle(bar), count / total)).collect();
        (total > 0.0).then(|| Series { name: word(name, language), points, band: Vec::new(), mark: Mark::Area })
    };
    let series: Vec<Series> = [("non_mated_histogram", "non_mated_series"), ("mated_histogram", "mated_series")]
        .into_iter()
        .filter_map(|(key, name)| area(key, name))
        .collect();
    let (title, x, y) = (word("histogram", language), word("score", language), word("share", language));
    let filled = || series.iter().flat_map(|series| &series.points).filter(|point| point.1 > 0.0);
    let low = filled().map(|point| point.0).fold(1.0, f64::min);
    let high = filled().map(|point| point.1).fold(0.0, f64::max);
    (!series.is_empty()).then(|| {
        let (x, y) = (Axis::linear(&x, (low - 0.02).max(-1.0)..1.0), Axis::linear(&y, 0.0..1.05 * high));
        figure(&Chart { title: &title, x, y, series })
    })
}

/// FNIR over the number of enrolled subjects, a line for each FPIR.
fn by_gallery_size(document: &Value, language: Language) -> Option<Markup> {
    let sets = find(document, "by_gallery_size")?.as_array()?;
    let mut series: Vec<Series> = Vec::new();
    for set in sets {
        let gallery = set.get("gallery")?.as_f64()?;
        for point in set.get("points")?.as_array()? {
            let name = format!("FPIR {}", short(point.get("target_fpir")?));
            let (value, low, high) = estimate(point.get("fnir_first")?)?;
            let at = series.iter().position(|series| series.name == name).unwrap_or_else(|| {
                series.push(Series { name, points: Vec::new(), band: Vec::new(), mark: Mark::Dots });
                series.len() - 1
            });
            series[at].points.push((gallery, value));
            series[at].band.push((gallery, low, high));
        }
    }
    let (title, x, y) =
        (word("by_gallery_size", language), word("gallery_axis", language), word("fnir_first", language));
    let high = series.iter().flat_map(|series| &series.band).map(|band| band.2).fold(0.0, f64::max);
    (!series.is_empty()).then(|| {
        let sizes = series.iter().flat_map(|series| &series.points).map(|point| point.0);
        let (x, y) = (Axis::decades(&x, sizes), Axis::linear(&y, 0.0..1.05 * high));
        figure(&Chart { title: &title, x, y, series })
    })
}

/// Each group's rate with its interval, at the strictest threshold at which all that have a rate show an error.
fn by_group(document: &Value, rate: &str, language: Language) -> Option<Markup> {
    let groups = find(document, "groups")?.as_array()?;
    let estimates = |place: usize| -> Vec<(String, (f64, f64, f64))> {
        let of = |group: &Value| {
            let rates = match group.get("rates") {
                Some(rates) => rates.get(place)?.get(rate)?,
                // Bounds of sets without identities: the lower one, which holds for certain.
                None => group.get("lower")?.get(rate)?.get(place)?,
            };
            Some((short(group.get("values")?), estimate(rates)?))
        };
        groups.iter().filter_map(of).collect()
    };
    let shown =
        (0..8).rev().map(estimates).find(|found| !found.is_empty() && found.iter().all(|(_, rate)| rate.0 > 0.0))?;
    let title = word(if rate == "fmr" { "fmr_by_group" } else { "fnmr_by_group" }, language);
    let (x, y) = (word("groups", language), word(rate, language));
    let count = shown.len() as f64;
    let rates = shown.iter().flat_map(|(_, (_, low, high))| [*low, *high]).collect::<Vec<_>>();
    let series = shown.iter().enumerate().map(|(at, (name, (value, low, high)))| Series {
        name: name.clone(),
        points: vec![(at as f64 + 1.0, *value)],
        band: vec![(at as f64 + 1.0, *low, *high)],
        mark: Mark::Dots,
    });
    let series = series.collect();
    let (x, y) = (Axis::linear(&x, 0.0..count + 1.0), Axis::decades(&y, rates.into_iter()));
    Some(figure(&Chart { title: &title, x, y, series }))
}

/// FNMR over the share of comparisons that is discarded: for the components that lower it most, as many as there are colours.
fn by_discard(document: &Value, language: Language) -> Option<Markup> {
    let points = find(document, "error_versus_discard")?.as_array()?;
    let mut series: Vec<Series> = Vec::new();
    for point in points {
        let name = short(point.get("component")?);
        let (fnmr, ..) = estimate(point.get("fnmr")?)?;
        let at = (point.get("discarded")?.as_f64()?, fnmr);
        match series.last_mut().filter(|series| series.name == name) {
            Some(series) => series.points.push(at),
            None => series.push(Series::line(name, vec![at])),
        }
    }
    let last = |series: &Series| series.points.last().map_or(1.0, |point| point.1);
    series.sort_by(|a, b| last(a).total_cmp(&last(b)));
    series.truncate(COLOURS.len());
    let (title, x, y) = (word("error_versus_discard", language), word("discarded", language), word("fnmr", language));
    let ends = || series.iter().flat_map(|series| &series.points);
    let [widest, highest] = [ends().map(|at| at.0).fold(0.0, f64::max), ends().map(|at| at.1).fold(0.0, f64::max)];
    (widest > 0.0 && highest > 0.0).then(|| {
        let (x, y) = (Axis::linear(&x, 0.0..widest), Axis::linear(&y, 0.0..1.05 * highest));
        figure(&Chart { title: &title, x, y, series })
    })
}

/// A rate's value and the ends of its interval.
fn estimate(value: &Value) -> Option<(f64, f64, f64)> {
    let interval = value.get("interval")?;
    let share = value.get("events")?.as_f64()? / value.get("trials")?.as_f64()?;
    let (low, high) = (interval.get("low")?.as_f64()?, interval.get("high")?.as_f64()?);
    share.is_finite().then_some((share, low, high))
}

/// Every value of this name, with the names above it.
fn named<'v>(value: &'v Value, key: &str, path: &mut Vec<&'v str>, found: &mut Vec<(String, &'v Value)>) {
    if let Value::Object(fields) = value {
        for (name, inner) in fields {
            if name == key {
                found.push((path.join(" ").replace('_', " "), inner));
            } else {
                path.push(name);
                named(inner, key, path, found);
                path.pop();
            }
        }
    } else {
        for inner in children(value) {
            named(inner, key, path, found);
        }
    }
}
