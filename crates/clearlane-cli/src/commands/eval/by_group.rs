//! Figures by group, in words.

use std::fmt::Write as _;

use clearlane_eval::{ByGroup, Estimate, FmrThreshold, PresumedByGroup, PresumedRates, Ratios};

use crate::output::table;

/// The rates of groups, within and across, and what each needs.
pub(super) fn described(groups: &ByGroup) -> String {
    let ByGroup { columns, groups, across, differentials, worst } = groups;
    let mut text = format!("\nBy {}\n", columns.join(" and "));
    for (place, differential) in differentials.iter().enumerate() {
        let _ = writeln!(text, "\nat the threshold {:.4}", differential.threshold);
        let within = groups.iter().map(|group| {
            let rates = &group.rates[place];
            vec![
                group.values.join(", "),
                group.captures.to_string(),
                group.non_mated.to_string(),
                estimate(&rates.fmr),
                group.mated.to_string(),
                estimate(&rates.fnmr),
            ]
        });
        let between = across.iter().map(|pair| {
            let name = format!("{} with {}", pair.a.join(", "), pair.b.join(", "));
            vec![
                name,
                String::new(),
                pair.non_mated.to_string(),
                estimate(&pair.fmr[place]),
                String::new(),
                String::new(),
            ]
        });
        let rows: Vec<Vec<String>> = within.chain(between).collect();
        text.push_str(&table(
            &["group", "captures", "non-mated", "FMR (95 %)", "mated", "FNMR (95 %)"],
            &[1, 2, 4],
            &rows,
        ));
        for (name, ratios) in [("FMR", &differential.fmr), ("FNMR", &differential.fnmr)] {
            text.extend(ratios.as_ref().map(|ratios| compared(name, ratios)));
        }
    }
    text.push_str("\nThe threshold that each group needs\n");
    let needs = groups.iter().map(|group| (group.values.join(", "), group.thresholds.as_slice()));
    text.push_str(&thresholds(&needs.collect::<Vec<_>>()));
    for threshold in worst {
        let (fmr, group) = (threshold.threshold.target_fmr, threshold.values.join(", "));
        let _ = writeln!(text, "  for FMR {fmr:.0e} in all groups: {:.4} ({group})", threshold.threshold.threshold);
    }
    text
}

/// The bounds of groups without identities.
pub(super) fn bounds(groups: &PresumedByGroup, stated: &[(f64, f32)]) -> String {
    let PresumedByGroup { columns, near_copies_from, groups, worst_upper, worst_lower } = groups;
    let mut text = format!(
        "\nFalse match rates by {}, lower (the two sexes) and upper (one sex; near-copies, at {near_copies_from} or above, left \
         out)\n",
        columns.join(" and ")
    );
    for (place, (fmr, threshold)) in stated.iter().enumerate() {
        let _ = writeln!(text, "\nat the threshold {threshold:.4}, stated for FMR {fmr:.0e}");
        let rows: Vec<Vec<String>> = groups
            .iter()
            .map(|group| {
                vec![
                    group.values.join(", "),
                    group.captures.to_string(),
                    group.lower.non_mated.to_string(),
                    estimate(&group.lower.fmr[place]),
                    group.upper.non_mated.to_string(),
                    estimate(&group.upper.fmr[place]),
                    group.near_copies.to_string(),
                ]
            })
            .collect();
        let header =
            ["group", "captures", "two sexes", "lower FMR (95 %)", "one sex", "upper FMR (95 %)", "near-copies"];
        text.push_str(&table(&header, &[1, 2, 4, 6], &rows));
    }
    let needs = |name: &str, rates: fn(&clearlane_eval::PresumedGroup) -> &PresumedRates| {
        let groups = groups.iter().map(|group| (group.values.join(", "), rates(group).thresholds.as_slice()));
        format!(
            "\nThe threshold that each group needs, by its {name} figures\n{}",
            thresholds(&groups.collect::<Vec<_>>())
        )
    };
    text.push_str(&needs("lower", |group| &group.lower));
    text.push_str(&needs("upper", |group| &group.upper));
    for (name, worst) in [("lower", worst_lower), ("upper", worst_upper)] {
        for group in worst {
            let (fmr, values) = (group.threshold.target_fmr, group.values.join(", "));
            let _ = writeln!(
                text,
                "  worst group by {name} figures, FMR {fmr:.0e}: {:.4} ({values})",
                group.threshold.threshold
            );
        }
    }
    text
}

fn thresholds(groups: &[(String, &[FmrThreshold])]) -> String {
    let targets = groups.iter().map(|(_, thresholds)| thresholds).max_by_key(|thresholds| thresholds.len());
    let header: Vec<String> = std::iter::once("group".to_owned())
        .chain(targets.into_iter().flat_map(|t| t.iter()).map(|threshold| format!("FMR {:.0e}", threshold.target_fmr)))
        .collect();
    let rows: Vec<Vec<String>> = groups
        .iter()
        .map(|(name, thresholds)| {
            let cell = |threshold: &FmrThreshold| {
                let range = threshold
                    .interval
                    .map_or(String::new(), |range| format!(" ({:.4} to {:.4})", range.low, range.high));
                let mark = if threshold.warnings.is_empty() { "" } else { " *" };
                format!("{:.4}{range}{mark}", threshold.threshold)
            };
            std::iter::once(name.clone()).chain(thresholds.iter().map(cell)).collect()
        })
        .collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut text = table(&header, &[], &rows);
    if groups.iter().any(|(_, thresholds)| thresholds.iter().any(|threshold| !threshold.warnings.is_empty())) {
        text.push_str("  * extrapolated: fewer than 30 false matches would show this rate\n");
    }
    text
}

fn estimate(estimate: &Estimate) -> String {
    let Estimate { value, interval, .. } = estimate;
    value.map_or_else(
        || "-".to_owned(),
        |value| match estimate.rate.rule_of_three() {
            Some(high) => format!("0 (to {high:.1e})"),
            None => format!("{value:.1e} ({:.1e} to {:.1e})", interval.low, interval.high),
        },
    )
}

fn compared(name: &str, ratios: &Ratios) -> String {
    let ratio =
        |ratio: Option<f64>| ratio.map_or_else(|| "unknown, a group shows no error".to_owned(), |r| format!("{r:.1}"));
    format!(
        "  {name}: worst {}, best {}; worst to best {}, worst to the geometric mean {}\n",
        ratios.worst.join(", "),
        ratios.best.join(", "),
        ratio(ratios.worst_to_best),
        ratio(ratios.worst_to_mean)
    )
}
