//! A sample of the simulated day; the whole of it is `clearlane lane simulate`.
#![allow(clippy::unwrap_used)]

use clearlane::Policy;
use clearlane_simulate::{DayPlan, SimulationError, calibration};
use clearlane_template::ModelId;
use statrs::function::beta::beta_reg;

fn policy() -> Policy {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../policies/shenzhen-bay-and-gongbei.toml");
    Policy::open(path).unwrap()
}

#[test]
fn a_day_admits_enrolled_travellers_as_themselves_and_nobody_else_and_records_every_passage() {
    let folder = tempfile::tempdir().unwrap();
    let plan = DayPlan { enrolled: 2_000, passages: 1_500, non_enrolled: 0.2, lanes: 3, ..DayPlan::default() };
    let report = plan.run(&folder.path().join("day.register"), policy(), |_| {}).unwrap();
    assert_eq!((report.passages, report.records), (1_500, 1_500));
    assert_eq!(report.wrong_admissions, 0);
    assert!(report.sound);
    assert_eq!(report.admitted + report.mated_referred + report.non_enrolled, report.passages);
    assert!((200..=400).contains(&report.non_enrolled), "{report:?}");
    // Mated scores are 0.75 ± 0.07: few are under the threshold, which lies three deviations lower.
    assert!(report.threshold < 0.54, "{report:?}");
    assert!(report.mated_referred < 30, "{report:?}");
    assert_eq!(report.metrics.admitted + report.metrics.referred, 1_500);
}

#[test]
fn a_plan_that_cannot_be_lived_through_is_refused_with_what_it_says() {
    let path = std::path::Path::new("never made");
    for plan in [
        DayPlan { enrolled: 0, ..DayPlan::default() },
        DayPlan { lanes: 0, ..DayPlan::default() },
        DayPlan { dimension: 3, ..DayPlan::default() },
        DayPlan { non_enrolled: 1.5, ..DayPlan::default() },
    ] {
        let error = plan.run(path, policy(), |_| {}).unwrap_err();
        assert!(matches!(&error, SimulationError::Plan(refused) if *refused == plan), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn the_calibration_is_that_of_random_directions() {
    let model = ModelId::digest([b"calibrated".as_slice()]);
    // Independently: P(cos >= t) is half the regularised incomplete beta function of 1 - t^2.
    for dimension in [4, 128, 512] {
        let calibration = calibration(model, dimension, policy().populations()).unwrap();
        assert_eq!(calibration.model(), model);
        let [known] = calibration.populations() else { panic!("one population is served") };
        for point in known.points().iter().filter(|point| point.fmr > 1e-12) {
            let t = f64::from(point.threshold);
            let exact = beta_reg((dimension as f64 - 1.0) / 2.0, 0.5, 1.0 - t * t) / 2.0;
            assert!((point.fmr - exact).abs() < 1e-5 * exact, "{dimension}, {point:?}: {exact}");
        }
    }
}
