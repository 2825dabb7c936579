//! Embedders give templates bound to their model, the same from any number of threads; a network's NaN is an error.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::Path;

use clearlane_embed::{
    AlignedFace, Embedder, ExtractError, Manifest, ManifestError, ModelError, Models, Template, TemplateError,
};
use common::{bytes, data, embedder_entry};

fn embedder(name: &str) -> Embedder {
    Embedder::new(&embedder_entry(name), &bytes(&format!("{name}.onnx"))).unwrap()
}

fn face(seed: usize) -> AlignedFace {
    AlignedFace::from_rgb8((0..112 * 112 * 3).map(|i| ((i * (seed + 3)) / 97 % 251) as u8).collect()).unwrap()
}

#[test]
fn a_template_is_the_normalised_output_bound_to_the_model() {
    let embedder = embedder("embed_mean");
    let face = face(1);
    // The network gives the mean of each 14 × 14 square of each plane.
    let pixel = |c: usize, y: usize, x: usize| f32::from(face.as_rgb8()[3 * (y * 112 + x) + c]);
    let square = |c, by, bx| (0..196).map(|i| pixel(c, 14 * by + i / 14, 14 * bx + i % 14)).sum::<f32>() / 196.0;
    let means = (0..192).map(|i| square(i / 64, i / 8 % 8, i % 8)).collect();
    let expected = Template::normalised(embedder.model_id(), means).unwrap();
    let template = embedder.embed(&face).unwrap();
    assert_eq!(template.model(), embedder.model_id());
    assert!(template.score(&expected).unwrap() > 0.999_999);
}

#[test]
fn eight_threads_make_the_templates_that_one_makes() {
    let embedder = embedder("embed_mean");
    let faces: Vec<AlignedFace> = (0..32).map(face).collect();
    let one: Vec<Template> = faces.iter().map(|face| embedder.embed(face).unwrap()).collect();
    let eight: Vec<Template> = std::thread::scope(|scope| {
        let parts: Vec<_> = faces
            .chunks(4)
            .map(|chunk| scope.spawn(|| chunk.iter().map(|face| embedder.embed(face).unwrap()).collect::<Vec<_>>()))
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert_eq!(one, eight);
    assert_eq!(embedder.embed_batch(&faces).unwrap(), one);
    assert_eq!(embedder.embed_batch(&[]).unwrap(), []);
}

#[test]
fn flip_averaging_gives_a_face_and_its_mirror_image_one_template() {
    let embedder = embedder("embed_mean").with_flip(true);
    let face = face(2);
    let score = embedder.embed(&face).unwrap().score(&embedder.embed(&face.flipped()).unwrap()).unwrap();
    assert!(score > 0.999_999, "{score}");
}

#[test]
fn an_output_with_nan_or_without_direction_gives_no_template() {
    let error = |name| embedder(name).embed(&face(0)).unwrap_err();
    assert!(matches!(error("embed_zero"), ExtractError::Template(TemplateError::ZeroNorm { .. })));
    assert!(matches!(error("embed_nan"), ExtractError::Template(TemplateError::NotFinite { .. })));
}

#[test]
fn an_output_of_another_size_than_the_manifest_says_is_refused() {
    let mut entry = embedder_entry("embed_mean");
    if let clearlane_embed::Task::Embedding { dimension, .. } = &mut entry.task {
        *dimension = 128;
    }
    assert!(matches!(Embedder::new(&entry, &bytes("embed_mean.onnx")), Err(ModelError::Outputs { .. })));
}

#[test]
fn other_weights_or_other_preprocessing_are_another_model() {
    let mean = embedder("embed_mean");
    assert_ne!(mean.model_id(), embedder("embed_zero").model_id());
    let mut entry = embedder_entry("embed_mean");
    entry.input.mean[0] = 1.0;
    assert_ne!(mean.model_id(), Embedder::new(&entry, &bytes("embed_mean.onnx")).unwrap().model_id());
    entry.input.mean[0] = 0.0;
    entry.name = "renamed".to_owned();
    assert_eq!(mean.model_id(), Embedder::new(&entry, &bytes("embed_mean.onnx")).unwrap().model_id());
}

#[test]
fn a_cut_model_file_is_an_error() {
    let whole = bytes("embed_mean.onnx");
    // The last six bytes are the opset's version; without them the graph is still whole, and the digest tells.
    for length in 0..whole.len() - 6 {
        assert!(Embedder::new(&embedder_entry("embed_mean"), &whole[..length]).is_err(), "{length}");
    }
}

fn manifest(sha256: &str) -> String {
    format!(
        "[[model]]\nname = \"mean\"\nfile = \"embed_mean.onnx\"\n\
         sha256 = \"{sha256}\"\ninput = {{ width = 112, height = 112, colour = \"rgb\", mean = [0.0, 0.0, 0.0], \
         std = [1.0, 1.0, 1.0] }}\nlicence = \"none\"\nsource = \"tests\"\n\n\
         [model.task.embedding]\ndimension = 192\n"
    )
}

fn folder(manifest: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("manifest.toml"), manifest).unwrap();
    std::fs::copy(data("embed_mean.onnx"), folder.path().join("embed_mean.onnx")).unwrap();
    folder
}

fn models(folder: &Path) -> Result<Models, ModelError> {
    let mut models = Models::default();
    models.add_folder(folder)?;
    Ok(models)
}

#[test]
fn a_model_file_with_another_digest_than_its_manifest_says_is_not_loaded() {
    let folder = folder(&manifest(&"0".repeat(64)));
    let error = models(folder.path()).unwrap().embedder("mean").unwrap_err();
    let ModelError::Digest { found, .. } = error else { panic!("{error}") };
    std::fs::write(folder.path().join("manifest.toml"), manifest(&found)).unwrap();
    assert_eq!(models(folder.path()).unwrap().embedder("mean").unwrap().dimension(), 192);
    std::fs::write(folder.path().join("embed_mean.onnx"), &bytes("embed_mean.onnx")[..90]).unwrap();
    assert!(matches!(models(folder.path()).unwrap().embedder("mean"), Err(ModelError::Digest { .. })));
    std::fs::remove_file(folder.path().join("embed_mean.onnx")).unwrap();
    assert!(matches!(models(folder.path()).unwrap().embedder("mean"), Err(ModelError::Io { .. })));
}

#[test]
fn an_unknown_name_is_answered_with_the_available_ones() {
    let folder = folder(&manifest(&"0".repeat(64)));
    let error = models(folder.path()).unwrap().embedder("other").unwrap_err();
    assert!(error.to_string().contains("mean"), "{error}");
    assert!(matches!(models(&folder.path().join("none")), Err(ModelError::Io { .. })));
}

#[test]
fn a_manifest_says_what_is_wrong_and_where() {
    let good = manifest(&"0".repeat(64));
    let parse = |text: &str| Manifest::parse(text).unwrap_err();
    assert!(parse(&good.replace("licence", "license")).to_string().contains("license"));
    assert!(matches!(parse(&format!("{good}{good}")), ManifestError::Duplicate { .. }));
    for (from, to, field) in [
        ("embed_mean.onnx", "../secret.onnx", "file"),
        ("dimension = 192", "dimension = 0", "dimension"),
        ("width = 112", "width = 96", "input"),
        ("std = [1.0", "std = [0.0", "input.std"),
        (&*"0".repeat(64), "abc", "sha256"),
    ] {
        let error = parse(&good.replace(from, to));
        assert!(matches!(&error, ManifestError::Field { field: wrong, .. } if *wrong == field), "{error}");
    }
    let syntax = parse(&good.replace("192", "\"many\""));
    assert!(matches!(&syntax, ManifestError::Syntax { reason } if reason.contains("line")), "{syntax}");
}
