//! Error versus discard, and PAD, on tables small enough to count by hand.
#![allow(clippy::unwrap_used)]

use clearlane_eval::{PadScores, QualityComparison, ScoreError, error_versus_discard};

#[test]
fn discarding_the_worst_leaves_the_errors_of_the_rest() {
    let comparison = |(quality, score)| QualityComparison { quality, score };
    let all = [(0.1, 0.2), (0.2, 0.2), (0.2, 0.9), (0.5, 0.8), (0.6, 0.3), (0.9, 0.9), (0.9, 0.9), (1.0, 0.9)];
    let points = error_versus_discard(&all.map(comparison), 0.5, &[0.0, 0.125, 0.25, 0.5]).unwrap();
    let counts: Vec<_> = points.iter().map(|point| (point.fnmr.rate.events, point.fnmr.rate.trials)).collect();
    // Both of quality 0.2 go together, and not before a quarter and more may go.
    assert_eq!(counts, [(3, 8), (2, 7), (2, 7), (1, 4)]);
    assert_eq!(points[3].lowest_quality, 0.6);
    assert!(matches!(error_versus_discard(&[], 0.5, &[0.0]), Err(ScoreError::Empty { .. })));
    assert!(matches!(error_versus_discard(&all.map(comparison), 0.5, &[1.0]), Err(ScoreError::Target { .. })));
    let unfit = [comparison((f32::NAN, 0.5))];
    assert!(matches!(error_versus_discard(&unfit, 0.5, &[0.0]), Err(ScoreError::NotFinite { .. })));
}

#[test]
fn the_worst_kind_of_attack_counts() {
    let attacks = vec![("print".to_owned(), vec![0.1, 0.2, 0.3, 0.4]), ("screen".to_owned(), vec![0.1, 0.6, 0.7, 0.2])];
    let scores = PadScores::new(vec![0.9, 0.8, 0.65, 0.3], attacks).unwrap();
    let point = scores.at(0.5);
    let apcer: Vec<f64> = point.apcer.iter().map(|apcer| apcer.rate.value.unwrap()).collect();
    assert_eq!((apcer, point.worst_apcer), (vec![0.0, 0.5], 0.5));
    assert_eq!((point.bpcer.rate.events, point.bpcer.rate.trials), (1, 4));
    // No error among four says that the rate is at most 3/4.
    assert_eq!(point.apcer[0].rate.interval.high, 0.75);
    let quarter = scores.at_apcer(0.25).unwrap();
    assert_eq!(quarter.threshold, 0.6_f32.next_up());
    assert_eq!((quarter.worst_apcer, quarter.bpcer.rate.events), (0.25, 1));
    assert!(matches!(PadScores::new(vec![0.5], vec![]), Err(ScoreError::Empty { kind: "attack" })));
}
