//! 1:N figures on a table of searches small enough to count by hand.
#![allow(clippy::unwrap_used)]

use clearlane_eval::{MatedSearch, ScoreError, Searches, report};

fn mated(rank: usize, score: f32) -> MatedSearch {
    MatedSearch { rank: Some(rank), score }
}

fn searches() -> Searches {
    let found = vec![
        mated(1, 0.9),
        mated(1, 0.6),
        mated(1, 0.3),
        mated(2, 0.5),
        mated(7, 0.4),
        MatedSearch { rank: None, score: f32::NAN },
    ];
    Searches::new(found, vec![Some(0.2), Some(0.55), None, Some(0.35)]).unwrap()
}

#[test]
fn rank_k_counts_mates_among_the_first_k() {
    let searches = searches();
    assert_eq!([1, 2, 6, 7, 100].map(|k| searches.rank(k).events), [3, 4, 4, 5, 5]);
    assert_eq!(searches.rank(1).trials, 6);
}

#[test]
fn a_mate_that_comes_late_or_low_or_never_is_a_false_negative() {
    let searches = searches();
    assert_eq!(searches.fnir(1, 0.6).events, 4);
    assert_eq!(searches.fnir(1, 0.3).events, 3);
    assert_eq!(searches.fnir(7, -1.0).events, 1);
}

#[test]
fn a_non_mated_search_with_any_candidate_at_the_threshold_is_a_false_positive() {
    let searches = searches();
    assert_eq!([0.55, 0.56, 0.2, -1.0].map(|threshold| searches.fpir(threshold).events), [1, 0, 3, 3]);
    assert_eq!(searches.fpir(0.0).trials, 4);
}

#[test]
fn the_threshold_for_an_fpir_is_the_lowest_that_keeps_it() {
    let searches = searches();
    let threshold = searches.threshold_at_fpir(0.25).unwrap();
    assert!(threshold > 0.35 && threshold <= 0.55);
    assert_eq!(searches.fpir(threshold).value(), 0.25);
}

#[test]
fn a_report_says_ranks_and_operating_points_with_their_intervals() {
    let report = report::Identification::new(100, &searches(), &[1, 10], &[0.25]).unwrap();
    assert_eq!((report.gallery, report.mated, report.non_mated), (100, 6, 4));
    assert_eq!((report.ranks[0].rate, report.ranks[1].rate), (0.5, 5.0 / 6.0));
    assert_eq!(report.operating_points[0].fnir.events, 4);
    let interval = report.ranks[0].interval;
    assert!(interval.low < 0.5 && interval.high > 0.5);
}

#[test]
fn without_non_mated_searches_no_fpir_can_be_aimed_at() {
    let searches = Searches::new(vec![mated(1, 0.5)], vec![]).unwrap();
    assert!(matches!(searches.threshold_at_fpir(0.1), Err(ScoreError::Empty { kind: "non-mated" })));
}
