//! What may be known of a subject, on every way in: enrolled, updated, imported, and read back as it is shown.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{Consent, ConsentScope, Details, Enrolment, Format, Register, StoreError, Subject};
use clearlane_template::SubjectId;
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use support::{details, fixture, full, import};

/// What contradicts itself, with the field that is to be named.
fn contradictions(register: &Register) -> Vec<(&'static str, Details)> {
    let change = |change: &dyn Fn(&mut Details)| {
        let mut details = full(register);
        change(&mut details);
        details
    };
    vec![
        (
            "consent.withdrawn",
            change(&|details| {
                let consent = details.consent.as_mut().unwrap();
                consent.withdrawn = Some(consent.given - SignedDuration::from_secs(1));
            }),
        ),
        ("documents.valid_from", change(&|details| details.documents[0].valid_from = Some(date(2034, 1, 2)))),
        (
            "documents.endorsements.valid_from",
            change(&|details| details.documents[0].endorsements[1].valid_from = Some(date(2030, 1, 2))),
        ),
    ]
}

#[test]
fn details_that_contradict_themselves_are_refused_on_every_way_in_with_their_field() {
    let f = fixture();
    let enrolment = |details: &Details| Enrolment::new("somebody").with_details(details.clone());
    let named = |error: &StoreError, wanted| matches!(error, StoreError::Invalid { field, .. } if *field == wanted);
    let (known, _) = f.register.enrol(&Enrolment::new("known").with_details(full(&f.register))).unwrap();
    for (field, details) in contradictions(&f.register) {
        assert!(named(&f.register.enrol(&enrolment(&details)).unwrap_err(), field), "{field}");
        assert!(
            named(f.register.enrol_all(&[enrolment(&details)]).unwrap()[0].as_ref().unwrap_err(), field),
            "{field}"
        );
        assert!(named(&f.register.update(known, details.clone()).unwrap_err(), field), "{field}");

        // As a subject is shown, which is as it is exchanged but for the names of documents.
        let mut line = serde_json::to_value(&details).unwrap();
        line["key"] = "somebody".into();
        let imported = f.register.import(&mut line.to_string().as_bytes(), Format::JsonLines, |_| ()).unwrap();
        assert!(named(&imported.refused[0].error, field), "{field}: {imported:?}");
        let (documents, consent) = (line["documents"].to_string().replace('"', "\"\""), &line["consent"]);
        let text = format!(
            "key,documents,consent_given,consent_withdrawn,consent_face,consent_fingerprint\nsomebody,\"{documents}\",{},{},true,true\n",
            consent["given"].as_str().unwrap(),
            consent["withdrawn"].as_str().unwrap()
        );
        let imported = f.register.import(&mut text.as_bytes(), Format::Csv, |_| ()).unwrap();
        assert!(named(&imported.refused[0].error, field), "{field}: {imported:?}");
    }
    assert_eq!(f.register.subjects().count(), 1);
}

/// A clock that is wrong keeps nobody from withdrawing, and what is stored can be exported and imported.
#[test]
fn a_withdrawal_before_the_consent_counts_from_the_consent_on() {
    let f = fixture();
    let (id, _) = f.register.enrol(&Enrolment::new("known").with_details(details(&f.register))).unwrap();
    f.register.withdraw_consent(id, Timestamp::UNIX_EPOCH).unwrap();
    let consent = f.register.subject_by_id(id).unwrap().unwrap().details.consent.unwrap();
    assert_eq!(consent.withdrawn, Some(consent.given));
    for format in [Format::JsonLines, Format::Csv] {
        let mut out = Vec::new();
        f.register.export(&mut out, format, false, |_, _| ()).unwrap();
        assert_eq!(import(&out, format).unwrap().enrolled, 1);
    }
}

#[test]
fn nobody_was_enrolled_in_the_far_future() {
    let f = fixture();
    let at = |hours: i64| Enrolment {
        enrolled: Timestamp::now() + SignedDuration::from_hours(hours),
        ..Enrolment::new(hours.to_string())
    };
    f.register.enrol(&at(1)).unwrap();
    assert!(matches!(f.register.enrol(&at(48)), Err(StoreError::Invalid { field: "enrolled", .. })));
    let imported = import(br#"{"key": "a", "enrolled": "9999-01-01T00:00:00Z"}"#, Format::JsonLines).unwrap();
    assert!(matches!(imported.refused[0].error, StoreError::Invalid { field: "enrolled", .. }));
}

#[test]
fn a_subject_as_it_is_shown_is_read_back_and_no_unknown_field_with_it() {
    let f = fixture();
    f.register.enrol(&Enrolment::new("full").with_details(full(&f.register))).unwrap();
    let subject = f.register.subject_by_id(SubjectId(1)).unwrap().unwrap();
    let value = serde_json::to_value(&subject).unwrap();
    assert_eq!(serde_json::from_value::<Subject>(value.clone()).unwrap(), subject);
    let mut misspelt = value;
    misspelt["expire"] = "2024-01-01".into();
    assert!(serde_json::from_value::<Subject>(misspelt).is_err());
    let consent = Consent { given: Timestamp::UNIX_EPOCH, scope: ConsentScope::default(), withdrawn: None };
    let mut value = serde_json::to_value(&consent).unwrap();
    value["withdrawn_at"] = "1970-01-02T00:00:00Z".into();
    assert!(serde_json::from_value::<Consent>(value).is_err());
}
