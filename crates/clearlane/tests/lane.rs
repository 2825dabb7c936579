//! The lane opens for the one enrolled and eligible traveller who stands before it, and for nobody else.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use clearlane::{
    Capture, ClaimIssuer, ClaimRefusal, Decision, Direction, Evidence, IdentifyOptions, LaneError, Passage, PortError,
    Reason,
};
use clearlane_embed::Frame;
use clearlane_store::{Outcome, RecordQuery};
use clearlane_template::{ModelId, SubjectId, Template};
use common::{Port, capture_of, eligible, enrolment, face, finger, near, now, policy};
use jiff::Timestamp;

#[test]
fn an_enrolled_and_eligible_traveller_is_admitted() {
    let port = Port::with(20);
    let subject = port.subject(3);
    let passage = port.lane().pass_capture(&capture_of(3, 0.8), &finger(subject), None);
    assert_eq!(passage.decision, Decision::Admit { subject });
    let comparison = passage.comparison.unwrap();
    assert!((comparison.score - 0.8).abs() < 1e-4 && comparison.score >= comparison.threshold);
    assert!(comparison.margin.unwrap() >= 0.05);
    assert_eq!(passage.time, now());
}

#[test]
fn whoever_is_not_enrolled_is_referred_as_nobody() {
    let port = Port::with(20);
    let passage = port.lane().pass_capture(&Capture::new(face(999), Some(0.99)), &[], None);
    assert_eq!(codes(&passage), ["no-candidate"]);
    assert_eq!(passage.comparison, None);
}

#[test]
fn a_picture_that_cannot_be_searched_for_a_claim_in_time_is_referred_for_both() {
    let port = Port::with(1);
    let picture = image::load_from_memory(include_bytes!("data/qr-finder-patterns-320x180.png")).unwrap().to_rgb8();
    let frame = Frame::rgb8(320, 180, picture.into_raw()).unwrap();
    let passage = port.lane().verify_claim(&[frame], &[], &[], Some(Duration::ZERO));
    assert_eq!(codes(&passage), ["no-claim", "budget-exceeded"]);
}

#[test]
fn an_empty_register_refers_everybody() {
    let port = Port::with(0);
    assert_eq!(codes(&port.lane().pass_capture(&capture_of(3, 0.8), &[], None)), ["no-candidate"]);
}

#[test]
fn two_subjects_within_the_margin_are_referred() {
    let port = Port::with(20);
    let twin = port.register.enrol(&enrolment(100, eligible()).with_template(near(3, 0.99, 5))).unwrap().0;
    port.references.refresh().unwrap();
    let passage = port.lane().pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None);
    let Decision::Refer { reasons, .. } = &passage.decision else { panic!("{passage:?}") };
    assert!(matches!(reasons[..], [Reason::MarginTooSmall { runner_up, required: 0.05, .. }] if runner_up == twin));
    // A second template of the same subject is no rival.
    port.register.revoke(twin, "moved").ok();
    port.register.add_templates(port.subject(3), &[near(3, 0.99, 5).into()]).unwrap();
    port.references.refresh().unwrap();
    let passage = port.lane().pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None);
    assert!(passage.decision.is_admission(), "{passage:?}");
}

#[test]
fn nobody_is_identified_by_a_threshold_or_a_margin_that_is_no_number() {
    let port = Port::with(2);
    let identify = |threshold, margin, list_from| {
        let options = IdentifyOptions { list_from, ..IdentifyOptions::new(threshold, margin) };
        port.references.identify(&capture_of(1, 0.8).probe, &options).map(|found| found.subject)
    };
    for list_from in [None, Some(0.1), Some(-1.0)] {
        assert_eq!(identify(0.4, 0.05, list_from).unwrap(), Some(port.subject(1)));
        for none in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            assert!(identify(none, 0.05, list_from).is_err(), "threshold {none}");
            assert!(identify(0.4, none, list_from).is_err(), "margin {none}");
        }
    }
}

#[test]
fn a_search_that_its_budget_cut_short_never_opens() {
    let port = Port::with(5_000);
    let subject = port.subject(3);
    let passage = port.lane().pass_capture(&capture_of(3, 0.9), &finger(subject), Some(Duration::ZERO));
    assert!(codes(&passage).contains(&"budget-exceeded"), "{passage:?}");
    assert!(codes(&passage).contains(&"partial-search"), "{passage:?}");
}

#[test]
fn pad_is_off_or_counts_if_assessed_or_is_required() {
    let port = Port::with(20);
    let evidence = finger(port.subject(3));
    let none: &[&str] = &[];
    let (missing, failed): (&[&str], &[&str]) = (&["pad-not-assessed"], &["pad-failed"]);
    for (rule, not_assessed, refused) in
        [("required", missing, failed), ("if-assessed", none, failed), ("off", none, none)]
    {
        let lane = port.lane_by(policy(&format!("pad = \"required\" => pad = \"{rule}\"")));
        let with = |pad| codes(&lane.pass_capture(&Capture::new(near(3, 0.8, 1), pad), &evidence, None));
        assert_eq!(with(None), not_assessed, "{rule}");
        for score in [0.499, 0.0, -0.5, 1.5, f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::INFINITY, f32::NAN] {
            assert_eq!(with(Some(score)), refused, "{rule}: {score}");
        }
        for score in [0.5, 1.0] {
            assert_eq!(with(Some(score)), none, "{rule}: {score}");
        }
    }
}

#[test]
fn a_register_that_was_not_checked_opens_for_nobody() {
    let port = Port::with(20);
    let unchecked = clearlane::References::load(port.register.clone(), common::model(), |_, _| {}).unwrap();
    let lane = clearlane::Port::builder(unchecked)
        .policy(policy(""))
        .port("gongbei".parse().unwrap())
        .calibration(common::calibration())
        .clock(now)
        .build()
        .unwrap()
        .lane("lane 1", Direction::Exit)
        .unwrap();
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None);
    assert_eq!(codes(&passage), ["register-not-sound"]);
}

#[test]
fn a_register_that_failed_its_check_opens_for_nobody_whoever_checked_it() {
    for (tampering, elsewhere) in [
        ("UPDATE template SET sealed = zeroblob(length(sealed)) WHERE id = 7", false),
        ("UPDATE subject SET birth = '1950-01-01' WHERE id = 7", true),
        ("DELETE FROM record WHERE seq = 1", true),
        ("UPDATE record SET subject = 9 WHERE seq = 1", false),
    ] {
        let port = Port::with(20);
        let lane = port.lane();
        let pass = || codes(&lane.pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None));
        assert!(pass().is_empty() && pass().is_empty());
        tamper(&port, tampering);
        if elsewhere {
            assert!(!port.another().check(|_, _| ()).unwrap().is_sound());
            port.references.refresh().unwrap();
        } else {
            assert!(!port.references.check(|_, _| ()).unwrap().is_sound());
        }
        assert_eq!(pass(), ["register-not-sound"], "{tampering}");
    }
}

#[test]
fn a_row_that_is_refused_on_the_way_shuts_the_lanes_until_a_check() {
    let port = Port::with(20);
    let lane = port.lane();
    tamper(&port, "UPDATE subject SET birth = '1950-01-01' WHERE key = 'traveller 3'");
    let pass = |n| codes(&lane.pass_capture(&capture_of(n, 0.8), &finger(SubjectId(n + 1)), None));
    assert!(pass(4).is_empty());
    assert_eq!(pass(3), ["internal-error"]);
    assert_eq!(pass(4), ["register-not-sound"]);
}

/// Does to the register's file what this library would not.
fn tamper(port: &Port, sql: &str) {
    rusqlite::Connection::open(port.path()).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn each_rule_of_eligibility_refers_a_traveller_whose_face_fits() {
    let port = Port::with(20);
    let lane = port.lane();
    port.change(1, |details| details.birth = Some("2015-01-01".parse().unwrap()));
    port.change(2, |details| details.consent = None);
    port.change(3, |details| details.documents[0].expires = "2025-03-09".parse().unwrap());
    port.change(4, |details| details.expires = Some("2025-03-09".parse().unwrap()));
    port.register.withdraw_consent(port.subject(5), "2025-03-10T03:59:00Z".parse().unwrap()).unwrap();
    let expected = [
        (1, "under-age"),
        (2, "no-consent"),
        (3, "document-expired"),
        (4, "enrolment-expired"),
        (5, "consent-withdrawn"),
    ];
    for (n, code) in expected {
        let passage = lane.pass_capture(&capture_of(n, 0.8), &finger(port.subject(n)), None);
        assert_eq!(codes(&passage), [code]);
        assert!(
            matches!(passage.decision, Decision::Refer { subject: Some(subject), .. } if subject == port.subject(n))
        );
    }
}

#[test]
fn a_revoked_subject_is_not_admitted_even_before_the_gallery_knows() {
    let port = Port::with(20);
    let lane = port.lane();
    let subject = port.subject(3);
    let _ = port.another().revoke(subject, "asked for it").unwrap();
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(subject), None);
    assert_eq!(codes(&passage), ["not-enrolled"]);
    assert_eq!(port.references.refresh().unwrap().removed, 1);
    assert_eq!(codes(&lane.pass_capture(&capture_of(3, 0.8), &finger(subject), None)), ["no-candidate"]);
}

#[test]
fn what_another_process_enrols_is_found_after_a_refresh() {
    let port = Port::with(20);
    let lane = port.lane();
    let (subject, _) = port.another().enrol(&enrolment(77, eligible())).unwrap();
    assert!(!lane.pass_capture(&capture_of(77, 0.8), &finger(subject), None).decision.is_admission());
    let refreshed = port.references.refresh().unwrap();
    assert_eq!((refreshed.added, refreshed.reloaded), (1, false));
    assert!(lane.pass_capture(&capture_of(77, 0.8), &finger(subject), None).decision.is_admission());
    assert_eq!(port.references.refresh().unwrap(), clearlane::Refreshed::default());
}

#[test]
fn the_first_subject_of_an_empty_register_is_found_after_a_refresh() {
    let port = Port::with(0);
    let (subject, _) = port.another().enrol(&enrolment(1, eligible())).unwrap();
    assert_eq!(port.references.refresh().unwrap().added, 1);
    assert!(port.lane().pass_capture(&capture_of(1, 0.8), &finger(subject), None).decision.is_admission());
}

#[test]
fn a_probe_of_another_model_is_an_error_and_never_a_low_score() {
    let port = Port::with(20);
    let other = ModelId::digest([b"another".as_slice()]);
    let probe = Template::normalised(other, face(3).as_slice().to_vec()).unwrap();
    assert_eq!(codes(&port.lane().pass_capture(&Capture::new(probe, Some(0.9)), &[], None)), ["internal-error"]);
}

#[test]
fn both_needs_face_and_finger_of_the_same_subject() {
    let port = Port::with(20);
    let lane = port.lane();
    let subject = port.subject(3);
    let with = |evidence: &[Evidence]| codes(&lane.pass_capture(&capture_of(3, 0.8), evidence, None));
    let scored = |subject, score| Evidence { matcher: "fingerprint".to_owned(), subject, score };
    assert_eq!(with(&[]), ["evidence-missing"]);
    assert_eq!(with(&[Evidence { matcher: "iris".to_owned(), ..scored(subject, 0.9) }]), ["evidence-missing"]);
    assert_eq!(with(&[scored(subject, 0.49)]), ["evidence-too-low"]);
    assert_eq!(with(&[scored(port.subject(4), 0.9)]), ["evidence-of-another"]);
    assert_eq!(with(&[scored(subject, f64::NAN)]), ["evidence-invalid"]);
    // A second try in the same passage does not improve the first.
    assert_eq!(with(&[scored(subject, 0.4), scored(subject, 0.9)]), ["evidence-too-low"]);
    assert!(with(&[scored(subject, 0.5)]).is_empty());
}

#[test]
fn either_takes_a_weak_face_with_a_finger_but_not_one_under_the_floor() {
    let port = Port::with(20);
    let lane = port.lane_by(policy("rule = \"both\" => rule = \"either\"\\nface-floor = 0.3"));
    let evidence = finger(port.subject(3));
    let with = |score, evidence: &[Evidence]| codes(&lane.pass_capture(&capture_of(3, score), evidence, None));
    assert!(with(0.8, &[]).is_empty());
    assert!(with(0.38, &evidence).is_empty());
    assert_eq!(with(0.38, &[]), ["not-matched", "evidence-missing"]);
    assert_eq!(with(0.25, &evidence), ["no-candidate"]);
}

#[test]
fn weighted_adds_log_likelihood_ratios() {
    let port = Port::with(20);
    let lane = port.lane_by(policy(
        "rule = \"both\" => rule = \"weighted\"\\nface-floor = 0.4\\nface = { slope = 40.0, intercept = -16.0, weight = 1.0 }\\nthreshold = 10.0
         threshold = 0.5\\nsource => likelihood = { slope = 10.0, intercept = -5.0, weight = 2.0 }\\nsource",
    ));
    let subject = port.subject(3);
    let with = |face, finger| {
        let evidence = Evidence { matcher: "fingerprint".to_owned(), subject, score: finger };
        codes(&lane.pass_capture(&capture_of(3, face), &[evidence], None))
    };
    // By hand: 40 · 0.6 − 16 = 8 of the face; 2 · (10 · score − 5) of the finger.
    assert!(with(0.6, 0.61).is_empty());
    assert_eq!(with(0.6, 0.59), ["fusion-too-low"]);
    assert!(with(0.8, 0.21).is_empty());
    assert_eq!(with(0.8, 0.19), ["fusion-too-low"]);
    assert_eq!(codes(&lane.pass_capture(&capture_of(3, 0.9), &[], None)), ["evidence-missing"]);
}

#[test]
fn the_face_alone_decides_where_the_policy_says_so() {
    let port = Port::with(20);
    let lane = port.lane_by(policy("").face_only());
    assert!(codes(&lane.pass_capture(&capture_of(3, 0.8), &[], None)).is_empty());
    assert_eq!(codes(&lane.pass_capture(&capture_of(3, 0.25), &[], None)), ["no-candidate"]);
}

/// Of a finger, only a number within ±1e9 that reaches its threshold opens a lane that needs one; and the largest calibration
/// that a policy may state adds up.
#[test]
fn a_score_of_no_sense_admits_nobody_by_any_rule() {
    let port = Port::with(20);
    let subject = port.subject(3);
    let sources = "threshold = 0.5\\nsource => likelihood = { slope = 1e6, intercept = 0.0, weight = 1e6 }\\nsource";
    let rules = [
        String::new(),
        "rule = \"both\" => rule = \"either\"\\nface-floor = 0.2".to_owned(),
        format!(
            "rule = \"both\" => rule = \"weighted\"\\nface-floor = 0.2\\nface = {{ slope = 1e6, intercept = -1e6, weight = 1e6 }}\\nthreshold = 1e6\n{sources}"
        ),
    ];
    for rule in rules {
        let lane = port.lane_by(policy(&rule));
        // Enough with a finger, and too little without.
        let face = if rule.is_empty() { 0.8 } else { 0.3 };
        let with = |score| {
            let evidence = Evidence { matcher: "fingerprint".to_owned(), subject, score };
            codes(&lane.pass_capture(&capture_of(3, face), &[evidence], None))
        };
        for score in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 1.7e308, -1.7e308, 1.1e9, -1.1e9]
        {
            assert!(with(score).contains(&"evidence-invalid"), "{rule}: {score}");
        }
        for score in [-1e9, -1.0, -f64::MIN_POSITIVE] {
            let refused = with(score);
            assert!(!refused.is_empty() && !refused.contains(&"evidence-invalid"), "{rule}: {score}");
        }
        for score in [1.0, 1e9] {
            assert!(with(score).is_empty(), "{rule}: {score}: {:?}", with(score));
        }
    }
}

#[test]
fn every_passage_is_recorded_with_its_outcome_and_without_a_template() {
    let port = Port::with(20);
    let lane = port.lane();
    let admitted = lane.pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None);
    let referred = lane.pass_capture(&Capture::new(face(999), None), &[], None);
    let records: Vec<_> = port.register.records(RecordQuery::default()).collect::<Result<_, _>>().unwrap();
    assert_eq!([records[0].seq, records[1].seq], [admitted.record.unwrap(), referred.record.unwrap()]);
    let first = &records[0].passage;
    assert_eq!((first.port.as_str(), first.lane.as_str()), ("shenzhen-bay", "lane 1"));
    assert_eq!((first.outcome, first.direction, first.time), (Outcome::Admit, Direction::Exit, now()));
    assert_eq!((first.subject, first.model), (Some(port.subject(3)), Some(common::model())));
    assert_eq!(first.score, admitted.comparison.map(|comparison| comparison.score));
    let second = &records[1].passage;
    assert_eq!((second.outcome, second.subject), (Outcome::Refer, None));
    assert_eq!(second.reasons, "no-candidate pad-not-assessed");
}

#[test]
fn nobody_passes_unrecorded() {
    let port = Port::with(20);
    let register =
        clearlane_store::Register::open_read_only(port.path(), clearlane_store::Keyring::new(port.key.clone()))
            .unwrap();
    let references = clearlane::References::load(register.into(), common::model(), |_, _| {}).unwrap();
    references.check(|_, _| {}).unwrap();
    let lane = clearlane::Port::builder(references)
        .policy(policy(""))
        .port("gongbei".parse().unwrap())
        .calibration(common::calibration())
        .clock(now)
        .build()
        .unwrap()
        .lane("lane 1", Direction::Exit)
        .unwrap();
    let passage = lane.pass_capture(&capture_of(3, 0.8), &finger(port.subject(3)), None);
    assert_eq!(codes(&passage), ["not-recorded"]);
    assert_eq!(passage.record, None);
}

#[test]
fn a_claim_admits_its_subject_once() {
    let port = Port::with(20);
    let issuer = ClaimIssuer::generate().unwrap();
    // The register forgets used claims by the system's clock.
    let lane = port.builder(policy("")).claims(issuer.verifier()).clock(Timestamp::now);
    let lane = common::lane(lane, "e-channel");
    let claim = |subject, place: &str| {
        let claim = issuer
            .issue(port.register.id(), subject, &[place.parse().unwrap()], Timestamp::now(), Duration::from_mins(1))
            .unwrap();
        claim.text().to_owned()
    };
    let show = |text: &str, capture, subject| lane.verify_claim_capture(text, &capture, &finger(subject), None);
    let subject = port.subject(3);
    let text = claim(subject, "shenzhen-bay");
    let passage = show(&text, capture_of(3, 0.8), subject);
    assert_eq!(passage.decision, Decision::Admit { subject });
    assert_eq!(passage.comparison.unwrap().margin, None);
    let refused = |passage: Passage| match passage.decision.reasons() {
        [Reason::ClaimRefused { refusal }] => *refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(show(&text, capture_of(3, 0.8), subject)), ClaimRefusal::Replayed);
    assert_eq!(refused(show(&claim(subject, "gongbei"), capture_of(3, 0.8), subject)), ClaimRefusal::OtherPort);
    // Somebody else with a good claim; and a claim of somebody who is not enrolled.
    assert_eq!(codes(&show(&claim(subject, "shenzhen-bay"), capture_of(4, 0.8), subject)), ["not-matched"]);
    let nobody = SubjectId(9_999);
    assert_eq!(codes(&show(&claim(nobody, "shenzhen-bay"), capture_of(4, 0.8), nobody)), ["not-enrolled"]);
}

#[test]
fn a_lane_is_not_built_of_parts_that_do_not_fit() {
    let port = Port::with(1);
    let elsewhere = port.builder_at("lo-wu", policy("")).build();
    assert!(matches!(elsewhere, Err(PortError::UnknownPort { known, .. }) if known.len() == 2));
    let opened = port.builder(policy("")).build().unwrap();
    for name in ["", "lane\n1", &"x".repeat(65)] {
        let refused = opened.lane(name, Direction::Exit).map(|_| ());
        assert_eq!(refused, Err(LaneError::Name { name: name.to_owned() }));
    }
    let without_policy = clearlane::Port::builder(port.references.clone()).build().unwrap();
    assert_eq!(without_policy.lane("lane 1", Direction::Exit).map(|_| ()), Err(LaneError::NoPolicy));
    let other = clearlane::Calibration::new(
        ModelId::digest([b"another".as_slice()]),
        common::POPULATION.parse().unwrap(),
        common::calibration().populations()[0].points().to_vec(),
        "",
    );
    let built = clearlane::Port::builder(port.references.clone())
        .policy(policy(""))
        .port("gongbei".parse().unwrap())
        .calibration(other.unwrap())
        .build();
    assert!(matches!(built, Err(PortError::CalibrationModel { .. })));
}

#[test]
fn a_lane_is_not_built_with_a_calibration_that_ends_above_what_the_policy_asks() {
    let port = Port::with(20);
    let build = |lowest: f64| {
        let whole = common::calibration();
        let known = &whole.populations()[0];
        let points = known.points().iter().filter(|point| point.fmr >= lowest).copied().collect();
        let calibration =
            clearlane::Calibration::new(common::model(), known.population().clone(), points, "cut").unwrap();
        clearlane::Port::builder(port.references.clone())
            .policy(policy(""))
            .port("gongbei".parse().unwrap())
            .calibration(calibration)
            .build()
            .map(|_| ())
    };
    let shortfall = |built| match built {
        Err(PortError::Uncalibrated(shortfall)) => (shortfall.rule, shortfall.entries),
        other => panic!("{other:?}"),
    };
    assert_eq!(shortfall(build(1e-2)), ("capture.agreement-fmr", 1));
    assert_eq!(shortfall(build(1e-5)), ("comparison.fmr", 1));
    // The policy asks for an FPIR of 1e-5: 5e-7 for each of twenty references.
    assert_eq!(shortfall(build(6e-7)), ("comparison.fpir", 20));
    build(1e-7).unwrap();
}

#[test]
fn the_host_can_read_what_the_lane_counted() {
    let port = Port::with(20);
    let lane = port.lane();
    for n in 0..10 {
        let _ = lane.pass_capture(&capture_of(n, 0.8), &finger(port.subject(n)), None);
    }
    for n in 900..903 {
        let _ = lane.pass_capture(&Capture::new(face(n), None), &[], None);
    }
    let metrics = lane.port().metrics().snapshot();
    let total = metrics.stage("total").unwrap();
    assert_eq!((metrics.admitted, metrics.referred), (10, 3));
    assert_eq!(
        metrics.reasons.iter().map(|(&reason, &count)| (reason, count)).collect::<Vec<_>>(),
        [("no-candidate", 3), ("pad-not-assessed", 3)]
    );
    assert_eq!((total.count, metrics.stage("search").unwrap().count), (13, 13));
    assert!(total.p50_us <= total.p95_us && total.p95_us <= total.p99_us && total.p99_us <= total.max_us);
}

fn codes(passage: &Passage) -> Vec<&'static str> {
    passage.decision.reasons().iter().map(Reason::code).collect()
}
