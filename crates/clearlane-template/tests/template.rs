//! What a template promises, through the public API.
#![allow(clippy::unwrap_used)]

use clearlane_template::{MAX_DIMENSION, ModelId, Template, TemplateError};
use proptest::prelude::*;

fn model(name: &str) -> ModelId {
    ModelId::digest([name.as_bytes()])
}

#[test]
fn a_model_id_survives_text_and_json() {
    let id = model("a");
    assert_eq!(id.to_string().parse::<ModelId>().unwrap(), id);
    assert_eq!(serde_json::from_str::<ModelId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    assert_eq!(format!("{id:.6}"), id.to_string()[..6]);
}

#[test]
fn a_text_that_is_not_a_model_id_is_named_in_the_error() {
    for text in ["", "12", &"g".repeat(64), &"é".repeat(32)] {
        assert_eq!(text.parse::<ModelId>().unwrap_err().text, text);
    }
}

#[test]
fn the_same_bytes_cut_into_other_parts_are_another_model() {
    assert_ne!(ModelId::digest([b"ab".as_slice(), b"c"]), ModelId::digest([b"a".as_slice(), b"bc"]));
}

#[test]
fn vectors_without_a_direction_are_refused() {
    let made = |values: Vec<f32>| Template::normalised(model("a"), values).unwrap_err();
    assert_eq!(made(vec![]), TemplateError::Dimension { dimension: 0 });
    assert_eq!(made(vec![0.5; MAX_DIMENSION + 1]), TemplateError::Dimension { dimension: MAX_DIMENSION + 1 });
    assert_eq!(made(vec![0.0; 8]), TemplateError::ZeroNorm { norm: 0.0 });
    assert!(matches!(made(vec![1.0, f32::NAN]), TemplateError::NotFinite { index: 1, .. }));
    assert!(matches!(made(vec![f32::INFINITY, 1.0]), TemplateError::NotFinite { index: 0, .. }));
}

#[test]
fn a_vector_that_is_not_unit_is_not_taken_as_one() {
    assert!(matches!(Template::from_unit(model("a"), vec![1.0, 0.1]), Err(TemplateError::NotUnit { .. })));
    let kept = Template::from_unit(model("a"), vec![0.6, 0.8]).unwrap();
    assert_eq!(kept.as_slice(), [0.6, 0.8]);
}

#[test]
fn templates_of_two_models_are_never_compared() {
    let a = Template::normalised(model("a"), vec![1.0, 2.0]).unwrap();
    let b = Template::normalised(model("b"), vec![1.0, 2.0]).unwrap();
    assert!(matches!(a.score(&b), Err(TemplateError::OtherModel { .. })));
    assert!(matches!(Template::mean([&a, &b]), Err(TemplateError::OtherModel { .. })));
    let longer = Template::normalised(model("a"), vec![1.0, 2.0, 3.0]).unwrap();
    assert!(matches!(a.score(&longer), Err(TemplateError::OtherDimension { left: 2, right: 3 })));
}

#[test]
fn the_mean_of_several_captures_lies_between_them() {
    let x = Template::normalised(model("a"), vec![1.0, 0.0]).unwrap();
    let y = Template::normalised(model("a"), vec![0.0, 1.0]).unwrap();
    let mean = Template::mean([&x, &y]).unwrap();
    assert!((mean.score(&x).unwrap() - std::f32::consts::FRAC_1_SQRT_2).abs() < 1e-6);
    assert!(matches!(Template::mean([]), Err(TemplateError::None)));
}

#[test]
fn debug_output_shows_no_values() {
    let template = Template::normalised(model("a"), vec![0.123_456, 0.9]).unwrap();
    assert!(!format!("{template:?}").contains("0.1"));
}

proptest! {
    #[test]
    fn any_vector_becomes_a_unit_template_or_an_error(values in prop::collection::vec(any::<f32>(), 0..64)) {
        if let Ok(template) = Template::normalised(model("a"), values) {
            let norm: f64 = template.as_slice().iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            prop_assert!((norm - 1.0).abs() < 1e-5);
            prop_assert!((template.score(&template).unwrap() - 1.0).abs() < 1e-5);
        }
    }
}

#[test]
fn a_template_survives_its_bytes_bit_for_bit() {
    let template = Template::normalised(model("a"), vec![1.0, -2.0, 0.5]).unwrap();
    let bytes = template.to_bytes();
    assert_eq!(bytes.len(), Template::byte_length(3));
    assert_eq!(bytes[..32], *model("a").as_bytes());
    assert_eq!(bytes[32..36], template.as_slice()[0].to_le_bytes());
    assert_eq!(Template::from_bytes(&bytes).unwrap(), template);
}

#[test]
fn bytes_that_are_no_templates_are_refused() {
    let bytes = Template::normalised(model("a"), vec![1.0, 2.0]).unwrap().to_bytes();
    for length in [0, 31, 32, 33, 39] {
        assert_eq!(Template::from_bytes(&bytes[..length]), Err(TemplateError::Length { length }));
    }
    let long = vec![0; Template::byte_length(MAX_DIMENSION + 1)];
    assert_eq!(Template::from_bytes(&long), Err(TemplateError::Length { length: long.len() }));
    // One value of two alone has no norm of 1.
    assert!(matches!(Template::from_bytes(&bytes[..36]), Err(TemplateError::NotUnit { .. })));
    let mut damaged = bytes.clone();
    damaged[32..36].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(Template::from_bytes(&damaged), Err(TemplateError::NotFinite { index: 0, .. })));
}
