//! Templates out of the register: all at once, then what changed.
#![allow(clippy::unwrap_used)]

mod support;

use clearlane_store::{Enrolment, Register, StoreError, StoredTemplate};
use clearlane_template::{ModelId, SubjectId};
use support::{Fixture, fixture, keyring, model, person, template, template_of};

fn load(register: &Register) -> (Vec<StoredTemplate>, u64) {
    let (mut all, mut said) = (Vec::new(), 0);
    register
        .load(model(), |batch, total| {
            all.extend(batch);
            said = total;
        })
        .unwrap();
    (all, said)
}

fn filled(people: u64) -> Fixture {
    let f = fixture();
    let other = ModelId::digest([b"another".as_slice()]);
    let people: Vec<Enrolment> =
        (0..people).map(|number| person(number).with_template(template_of(other, number, 8))).collect();
    f.register.enrol_all(&people).unwrap().into_iter().for_each(|result| _ = result.unwrap());
    f
}

#[test]
fn every_template_of_the_model_is_loaded_once_in_order_and_on_any_number_of_threads() {
    let f = filled(6000);
    let (all, total) = load(&f.register);
    assert_eq!((all.len(), total), (6000, 6000));
    assert!(all.is_sorted_by_key(|row| row.id));
    let protection = f.register.protection(model()).unwrap();
    for row in all.iter().step_by(97) {
        let number = row.subject.0 - 1;
        assert!(protection.apply(&template(number)).unwrap().score(&row.template).unwrap() > 0.999_999);
    }
    for threads in [1, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool.install(|| load(&f.register)).0 == all);
    }
}

#[test]
fn an_empty_register_and_an_unknown_model_are_told_apart() {
    let f = fixture();
    assert!(
        matches!(f.register.load(model(), |_, _| ()), Err(StoreError::OtherModel { present, .. }) if present.is_empty())
    );
    let (id, _) = f.register.enrol(&person(1)).unwrap();
    f.register.revoke(id, "test").unwrap_complete();
    assert_eq!(load(&f.register), (vec![], 0));
}

#[test]
fn what_another_process_changed_is_picked_up_without_loading_all() {
    let f = filled(10);
    let reader = Register::open_read_only(&f.path, keyring()).unwrap();
    let start = reader.load(model(), |_, _| ()).unwrap();
    assert_eq!(reader.position().unwrap(), start);

    let (eleventh, templates) = f.register.enrol(&person(10)).unwrap();
    f.register.withdraw_consent(SubjectId(3), jiff::Timestamp::UNIX_EPOCH).unwrap();
    f.register.revoke(SubjectId(5), "test").unwrap_complete();
    let changes = reader.changes(start, model()).unwrap();
    assert!(!changes.reload);
    assert_eq!(changes.added.iter().map(|row| (row.subject, row.id)).collect::<Vec<_>>(), [(eleventh, templates[0])]);
    assert_eq!(changes.removed.len(), 2, "the templates of both models");
    assert_eq!(changes.subjects, [SubjectId(3), SubjectId(5)]);
    let none = reader.changes(changes.position, model()).unwrap();
    assert!(none.added.is_empty() && none.removed.is_empty() && none.subjects.is_empty());
    // Following the changes leads to what loading again would give.
    let mut followed = load(&reader).0;
    followed.retain(|row| !changes.removed.contains(&row.id));
    assert_eq!(followed, load(&reader).0);
}

#[test]
fn loading_sees_one_state_while_a_writer_goes_on() {
    let f = filled(6000);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let register = Register::open(&f.path, keyring()).unwrap();
            for number in 0..12 {
                register.enrol(&person(20_000 + number)).unwrap();
                _ = register.revoke(SubjectId(number + 1), "test").unwrap();
            }
        });
        for _ in 0..3 {
            let (mut rows, mut said) = (Vec::new(), 0);
            let position = f.register.load(model(), |batch, total| (rows.extend(batch), said = total).1).unwrap();
            // One came for each that went, so a mixed state would differ by more than the one in between.
            assert_eq!(rows.len() as u64, said);
            assert!(rows.len() == 6000 || rows.len() == 6001);
            f.register.changes(position, model()).unwrap();
        }
        writer.join().unwrap();
    });
}

trait UnwrapComplete {
    fn unwrap_complete(self);
}

impl UnwrapComplete for clearlane_store::Result<clearlane_store::Erasure> {
    fn unwrap_complete(self) {
        assert_eq!(self.unwrap(), clearlane_store::Erasure::Complete);
    }
}
