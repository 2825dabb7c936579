//! Enrolling, finding again, and changing what is known.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{
    Coverage, Details, DocumentKind, Enrolment, Erasure, Keyring, NewTemplate, Register, StoreError,
};
use clearlane_template::{ModelId, SubjectId};
use jiff::Timestamp;
use support::{details, fixture, keyring, model, person, template, template_of};

#[test]
fn what_was_enrolled_is_there_after_the_register_was_closed() {
    let f = fixture();
    let enrolment = Enrolment::new("Aaron_Eckhart").with_details(details(&f.register)).with_template(template(1));
    let (id, templates) = f.register.enrol(&enrolment).unwrap();
    drop(f.register);
    for register in [Register::open(&f.path, keyring()).unwrap(), Register::open_read_only(&f.path, keyring()).unwrap()]
    {
        let subject = register.subject("Aaron_Eckhart").unwrap().unwrap();
        assert_eq!((subject.id, subject.details, subject.revoked), (id, enrolment.details.clone(), None));
        assert_eq!(subject.enrolled.as_millisecond(), enrolment.enrolled.as_millisecond());
        let stored = register.templates(id, model()).unwrap();
        assert_eq!(stored.iter().map(|row| row.id).collect::<Vec<_>>(), templates);
        let plain = register.protection(model()).unwrap().undo(&stored[0].template).unwrap();
        assert!(plain.score(&template(1)).unwrap() > 0.999_999);
    }
}

#[test]
fn a_second_enrolment_under_the_same_key_is_refused_and_leaves_nothing() {
    let f = fixture();
    let (first, _) = f.register.enrol(&person(1)).unwrap();
    let error = f.register.enrol(&person(1)).unwrap_err();
    assert!(matches!(error, StoreError::AlreadyEnrolled { key, subject } if key == "person-1" && subject == first));
    assert_eq!(f.register.subjects().count(), 1);
    assert_eq!(f.register.templates(first, model()).unwrap().len(), 1);
}

#[test]
fn of_many_enrolments_each_is_kept_or_refused_on_its_own() {
    let f = fixture();
    let mut wrong = person(2);
    wrong.templates.push(template_of(model(), 9, 32).into());
    let results = f.register.enrol_all(&[person(1), wrong, person(1), person(3)]).unwrap();
    assert!(matches!(results[1], Err(StoreError::OtherDimension { expected: 64, found: 32, .. })));
    assert!(matches!(results[2], Err(StoreError::AlreadyEnrolled { .. })));
    let keys: Vec<String> = f.register.subjects().map(|subject| subject.unwrap().key).collect();
    assert_eq!(keys, ["person-1", "person-3"]);
}

#[test]
fn subjects_come_in_the_order_of_their_ids_however_many_there_are() {
    let f = fixture();
    let people: Vec<Enrolment> = (0..1300).map(|number| Enrolment::new(format!("{number}"))).collect();
    f.register.enrol_all(&people).unwrap();
    let subjects: Vec<_> = f.register.subjects().map(Result::unwrap).collect();
    assert_eq!(subjects.len(), 1300);
    assert!(subjects.iter().zip(0..).all(|(subject, number)| subject.key == number.to_string()));
    assert!(subjects.is_sorted_by_key(|subject| subject.id));
}

#[test]
fn a_document_is_found_by_its_number_and_its_number_is_nowhere_in_the_file() {
    let f = fixture();
    let (id, _) = f.register.enrol(&person(1).with_details(details(&f.register))).unwrap();
    let digest = f.register.number_digest(DocumentKind::ExitEntryPermitHkMacao, "c12345678").unwrap();
    assert_eq!(f.register.holder(digest).unwrap(), Some(id));
    let other = f.register.number_digest(DocumentKind::Passport, "c12345678").unwrap();
    assert_eq!(f.register.holder(other).unwrap(), None);
    drop(f.register);
    let bytes = std::fs::read(&f.path).unwrap();
    assert!(!bytes.windows(8).any(|window| window == b"12345678"));
    // Another register digests the same number otherwise.
    let elsewhere = fixture();
    assert_ne!(elsewhere.register.number_digest(DocumentKind::ExitEntryPermitHkMacao, "c12345678").unwrap(), digest);
}

#[test]
fn details_are_replaced_whole_and_consent_is_withdrawn_with_its_time() {
    let f = fixture();
    let (id, _) = f.register.enrol(&person(1).with_details(details(&f.register))).unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    f.register.withdraw_consent(id, now).unwrap();
    let known = f.register.subject_by_id(id).unwrap().unwrap().details;
    assert_eq!(known.consent.unwrap().withdrawn, Some(now));
    f.register.update(id, Details { place: Some("Gongbei".into()), ..Details::default() }).unwrap();
    let known = f.register.subject_by_id(id).unwrap().unwrap().details;
    assert_eq!(known, Details { place: Some("Gongbei".into()), ..Details::default() });
}

#[test]
fn several_models_stand_side_by_side_and_an_unknown_one_is_an_error() {
    let f = fixture();
    let next = ModelId::digest([b"the next model".as_slice()]);
    let (id, _) = f.register.enrol(&person(1)).unwrap();
    f.register.add_templates(id, &[NewTemplate::from(template_of(next, 1, 128))]).unwrap();
    assert_eq!(f.register.templates(id, model()).unwrap()[0].template.dimension(), 64);
    assert_eq!(f.register.templates(id, next).unwrap()[0].template.dimension(), 128);
    let unknown = ModelId::digest([b"no model".as_slice()]);
    let error = f.register.templates(id, unknown).unwrap_err();
    assert!(matches!(error, StoreError::OtherModel { wanted, present } if wanted == unknown && present.len() == 2));
}

#[test]
fn a_register_goes_over_to_a_new_model_subject_by_subject_and_no_subject_twice() {
    let f = fixture();
    let next = ModelId::digest([b"the next model".as_slice()]);
    let ids: Vec<SubjectId> = (0..5).map(|number| f.register.enrol(&person(number)).unwrap().0).collect();
    let new = |place: usize| (ids[place], vec![NewTemplate::from(template_of(next, place as u64, 32))]);
    assert_eq!(f.register.coverage(next).unwrap().share(), 0.0);

    let added = f.register.add_missing_templates(next, &[new(0), new(1), new(0)]).unwrap();
    let counts: Vec<usize> = added.iter().map(|added| added.as_ref().unwrap().len()).collect();
    assert_eq!(counts, [1, 1, 0], "who has some gets no more");
    assert_eq!(f.register.models_of(ids[0]).unwrap(), [model(), next]);
    assert_eq!(f.register.models_of(ids[4]).unwrap(), [model()]);

    assert_eq!(f.register.revoke(ids[2], "moved away").unwrap(), Erasure::Complete);
    let other = (ids[3], vec![NewTemplate::from(template_of(model(), 3, 64))]);
    let added = f.register.add_missing_templates(next, &[new(2), other, new(4)]).unwrap();
    assert!(matches!(added[0], Err(StoreError::UnknownSubject { subject }) if subject == ids[2]));
    assert!(matches!(&added[1], Err(StoreError::OtherModel { wanted, .. }) if *wanted == next));
    assert!(added[2].is_ok());
    assert_eq!(f.register.coverage(next).unwrap(), Coverage { covered: 3, subjects: 4 });
    assert_eq!(f.register.without_template(next, SubjectId(0), 9).unwrap(), [ids[3]]);
    assert_eq!(f.register.coverage(model()).unwrap().share(), 1.0);
}

#[test]
fn values_that_cannot_be_stored_are_named() {
    let f = fixture();
    for key in ["", "a\nb", &"x".repeat(257)] {
        assert!(matches!(f.register.enrol(&Enrolment::new(key)), Err(StoreError::Invalid { field: "key", .. })));
    }
    let mut many = details(&f.register);
    many.documents = vec![many.documents[0].clone(); 65];
    let error = f.register.enrol(&person(1).with_details(many)).unwrap_err();
    assert!(matches!(error, StoreError::Invalid { field: "documents", .. }));
    assert!(matches!(f.register.add_templates(SubjectId(7), &[]), Err(StoreError::UnknownSubject { .. })));
    assert_eq!(f.register.subjects().count(), 0);
}

#[test]
fn without_a_key_subjects_can_be_read_and_nothing_opened_or_changed() {
    let f = fixture();
    let (id, _) = f.register.enrol(&person(1)).unwrap();
    drop(f.register);
    let register = Register::open(&f.path, Keyring::empty()).unwrap();
    assert_eq!(register.subject("person-1").unwrap().unwrap().id, id);
    assert!(matches!(register.templates(id, model()), Err(StoreError::NoKey { .. })));
    assert!(matches!(register.enrol(&person(2)), Err(StoreError::NoKey { .. })));
    // Nobody could tell the change from one that somebody else made.
    assert!(matches!(register.revoke(id, "asked for it"), Err(StoreError::NoKey { .. })));
}
