//! Templates are renewable and unlinkable: what the transform keeps, and what it breaks.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use clearlane_store::{Keyring, Register, StoreError, TemplateProtection};
use clearlane_template::Template;
use proptest::prelude::*;
use support::{fixture, key, model, person, template, template_of};

/// The transform of a fresh register for templates of so many values.
fn protection(dimension: usize) -> Arc<TemplateProtection> {
    let f = fixture();
    f.register.enrol(&person(0)).unwrap();
    let other = clearlane_template::ModelId::digest([b"of this dimension".as_slice(), &dimension.to_le_bytes()]);
    f.register.enrol(&clearlane_store::Enrolment::new("x").with_template(template_of(other, 1, dimension))).unwrap();
    f.register.protection(other).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn scores_stay_the_same_in_every_dimension(dimension in 1_usize..1100, a in any::<u64>(), b in any::<u64>()) {
        let protection = protection(dimension);
        let (a, b) = (template_of(protection.model(), a, dimension), template_of(protection.model(), b, dimension));
        let (protected_a, protected_b) = (protection.apply(&a).unwrap(), protection.apply(&b).unwrap());
        prop_assert!((protected_a.score(&protected_b).unwrap() - a.score(&b).unwrap()).abs() < 5e-7);
        let back = protection.undo(&protected_a).unwrap();
        for (value, original) in back.as_slice().iter().zip(a.as_slice()) {
            prop_assert!((value - original).abs() < 2e-7);
        }
    }
}

#[test]
fn the_transform_is_orthogonal() {
    // Basis vectors in, an orthonormal basis out: checked directly against the definition.
    for dimension in [64, 96, 100, 128] {
        let protection = protection(dimension);
        let basis = |index: usize| {
            let mut values = vec![0.0; dimension];
            values[index] = 1.0;
            protection.apply(&Template::from_unit(protection.model(), values).unwrap()).unwrap()
        };
        let columns: Vec<Template> = (0..dimension).map(basis).collect();
        for (i, a) in columns.iter().enumerate() {
            for (j, b) in columns.iter().enumerate() {
                let expected = if i == j { 1.0 } else { 0.0 };
                assert!((a.score(b).unwrap() - expected).abs() < 1e-6, "{dimension}: {i} {j}");
            }
        }
    }
}

#[test]
fn the_same_faces_in_two_registers_score_like_other_people() {
    // Of N mated pairs across registers, the scores should be those of random directions: mean 0, deviation 1/sqrt(D).
    // 4.9 deviations of the maximum of 2000 normal values would come by chance once in 500 runs; the seeds are fixed.
    let (here, there) = (protection(512), protection(512));
    let scores: Vec<f64> = (0..2000)
        .map(|seed| {
            let face = template_of(here.model(), seed, 512);
            let a = here.apply(&face).unwrap();
            let b = there.apply(&face).unwrap();
            a.as_slice().iter().zip(b.as_slice()).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        })
        .collect();
    let mean = scores.iter().sum::<f64>() / 2000.0;
    let deviation = (scores.iter().map(|score| score * score).sum::<f64>() / 2000.0).sqrt();
    let random = 1.0 / 512_f64.sqrt();
    // All faces go through the same pair of transforms, whose own relation to each other is one draw: hence not tighter.
    assert!(mean.abs() < 3.0 * random, "mean {mean}");
    assert!((0.5..2.0).contains(&(deviation / random)), "deviation {deviation}");
    assert!(scores.iter().all(|score| score.abs() < 8.0 * random));
}

#[test]
fn a_probe_that_was_not_transformed_for_this_register_is_an_error() {
    let (f, elsewhere) = (fixture(), fixture());
    let (id, _) = f.register.enrol(&person(1)).unwrap();
    elsewhere.register.enrol(&person(1)).unwrap();
    let reference = f.register.templates(id, model()).unwrap().remove(0).template;
    assert!(reference.score(&template(1)).is_err());
    let other = elsewhere.register.protection(model()).unwrap();
    assert!(reference.score(&other.apply(&template(1)).unwrap()).is_err());
    assert!(matches!(other.undo(&reference), Err(StoreError::OtherModel { .. })));
    let own = f.register.protection(model()).unwrap();
    assert!(own.apply(&template(1)).unwrap().score(&reference).unwrap() > 0.999_999);
    assert!(matches!(own.apply(&template_of(model(), 1, 32)), Err(StoreError::OtherDimension { .. })));
}

#[test]
fn the_transform_depends_on_key_register_and_model_alone() {
    let f = fixture();
    f.register.enrol(&person(1)).unwrap();
    let first = f.register.protection(model()).unwrap().apply(&template(5)).unwrap();
    drop(f.register);
    let again = Register::open(&f.path, Keyring::new(key(1))).unwrap();
    assert_eq!(again.protection(model()).unwrap().apply(&template(5)).unwrap(), first);
}
