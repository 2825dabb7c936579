//! Scores of all with all are those of the templates one by one.
#![allow(clippy::unwrap_used)]

use clearlane_match::{GalleryError, TemplateRows};
use clearlane_template::{ModelId, Template};

fn template(model: &[u8], dimension: usize, number: usize) -> Template {
    let values = (0..dimension).map(|i| ((i * 7 + number * 13) % 29) as f32 - 14.2).collect();
    Template::normalised(ModelId::digest([model]), values).unwrap()
}

#[test]
fn scores_are_those_of_the_templates_themselves() {
    for dimension in [1, 63, 128, 200] {
        let templates: Vec<_> = (0..20).map(|number| template(b"m", dimension, number)).collect();
        let rows = TemplateRows::new(&templates).unwrap();
        assert_eq!((rows.len(), rows.is_empty(), rows.model()), (20, false, templates[0].model()));
        for probe in 0..20 {
            let mut scores = vec![0.0; 20 - probe];
            rows.scores(probe, probe, &mut scores);
            for (score, reference) in scores.iter().zip(&templates[probe..]) {
                assert!((score - templates[probe].score(reference).unwrap()).abs() < 1e-5);
                assert!((-1.0..=1.0).contains(score));
            }
        }
    }
}

#[test]
fn templates_of_two_models_or_dimensions_are_refused_and_none_are_no_rows() {
    let mixed = |other| TemplateRows::new(&[template(b"m", 8, 0), other]).err().unwrap();
    assert!(matches!(mixed(template(b"n", 8, 0)), GalleryError::OtherModel { .. }));
    assert!(matches!(mixed(template(b"m", 9, 0)), GalleryError::OtherDimension { gallery: 8, template: 9 }));
    assert!(TemplateRows::new(&[]).unwrap().is_empty());
}
