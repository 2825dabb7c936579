//! A manifest is held to what it says, tried on every key of this project's own.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use clearlane_embed::{
    CalibratedThreshold, Manifest, ManifestError, MeasuredCalibration, ModelError, Models, Population, Task,
};
use toml::Value;

/// This project's manifest, with a PAD model and measured thresholds whatever it has.
fn manifest() -> Value {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/manifest.toml")).unwrap();
    let mut manifest = Manifest::parse(&text).unwrap();
    let mut pad = manifest.models[0].clone();
    "pad".clone_into(&mut pad.name);
    pad.task = Task::Pad { family: "minivision".to_owned(), crop: 2.7, live_class: 1 };
    manifest.models.push(pad);
    for model in &mut manifest.models {
        if let Task::Embedding { calibrations, .. } = &mut model.task {
            let point = CalibratedThreshold { fmr: 0.25, threshold: 0.1, note: Some("by hand".to_owned()) };
            calibrations.push(MeasuredCalibration {
                population: "somebody".parse().unwrap(),
                measured_on: "a test".to_owned(),
                thresholds: vec![point],
            });
        }
    }
    Value::try_from(&manifest).unwrap()
}

#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

type Place = Vec<Step>;

fn places(value: &Value, here: &Place, tables: &mut Vec<Place>, keys: &mut Vec<Place>) {
    let at = |step: Step| here.iter().cloned().chain([step]).collect::<Place>();
    match value {
        Value::Table(table) => {
            tables.push(here.clone());
            for (key, inner) in table {
                keys.push(at(Step::Key(key.clone())));
                places(inner, &at(Step::Key(key.clone())), tables, keys);
            }
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, inner)| places(inner, &at(Step::Index(index)), tables, keys));
        }
        _ => {}
    }
}

fn at<'v>(value: &'v mut Value, place: &[Step]) -> &'v mut Value {
    place.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key.as_str()],
        Step::Index(index) => &mut value[*index],
    })
}

fn name(place: &Place) -> String {
    let step = |step: &Step| match step {
        Step::Key(key) => format!(".{key}"),
        Step::Index(_) => "[]".to_owned(),
    };
    place.iter().map(step).collect::<String>().trim_start_matches('.').to_owned()
}

fn parsed(manifest: &Value) -> Result<Manifest, String> {
    Manifest::parse(&toml::to_string(manifest).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn unknown_keys_missing_keys_and_values_of_another_type_are_refused_in_every_table() {
    let manifest = manifest();
    assert!(parsed(&manifest).is_ok());
    let (mut tables, mut keys) = (Vec::new(), Vec::new());
    places(&manifest, &Vec::new(), &mut tables, &mut keys);
    for table in &tables {
        let mut unknown = manifest.clone();
        at(&mut unknown, table).as_table_mut().unwrap().insert("unknown".into(), true.into());
        let error = parsed(&unknown).expect_err(&name(table));
        // Of a task there is one.
        let named = ["unknown field `unknown`", "unexpected keys in table: unknown", "exactly 1 element"];
        assert!(named.iter().any(|words| error.contains(words)), "{error}");

        let mut list = manifest.clone();
        let value = at(&mut list, table);
        let values = value.as_table().unwrap().values().cloned().collect();
        *value = Value::Array(values);
        if !table.is_empty() {
            assert!(parsed(&list).is_err(), "`{}` as a list", name(table));
        }
    }
    for key in &keys {
        let (last, above) = key.split_last().unwrap();
        let Step::Key(field) = last else { unreachable!() };
        let mut without = manifest.clone();
        at(&mut without, above).as_table_mut().unwrap().remove(field);
        let optional = [
            "model",
            "model[].task.embedding.calibration",
            "model[].task.embedding.calibration[].thresholds[].note",
            "model[].task.pad.family",
        ];
        let optional = optional.contains(&name(key).as_str());
        assert_eq!(parsed(&without).is_ok(), optional, "without `{}`", name(key));

        let is = at(&mut manifest.clone(), key).clone();
        let others: [Value; 6] = [
            "words".into(),
            1.5.into(),
            (-1).into(),
            true.into(),
            Value::Array(vec![Value::Array(vec![])]),
            toml::Table::new().into(),
        ];
        for other in others {
            let number = |value: &Value| value.is_integer() || value.is_float();
            // A population's name is a word, the other texts are free.
            let fits = other.same_type(&is) && is.is_str() || number(&is) && number(&other);
            if !fits {
                let mut wrong = manifest.clone();
                *at(&mut wrong, key) = other.clone();
                assert!(parsed(&wrong).is_err(), "{} = {other}", name(key));
            }
        }
    }
}

fn words(words: &[&str]) -> Value {
    Value::Array(words.iter().map(|word| Value::String((*word).to_owned())).collect())
}

#[test]
fn values_out_of_their_range_are_refused_with_their_model_and_field() {
    let manifest = manifest();
    let text = toml::to_string(&manifest).unwrap();
    let (mut tables, mut keys) = (Vec::new(), Vec::new());
    places(&manifest, &Vec::new(), &mut tables, &mut keys);
    let mut tried = 0;
    for key in &keys {
        let out_of_range: &[Value] = match name(key).trim_start_matches("model[].") {
            "input.width" | "input.height" => &[Value::Integer(0), Value::Integer(-1), Value::Integer(100_000)],
            "task.detection.score_threshold" | "task.embedding.calibration[].thresholds[].fmr" => {
                &[Value::Float(0.0), Value::Float(1.0), Value::Float(f64::NAN)]
            }
            "task.detection.overlap_threshold" => &[Value::Float(0.0), Value::Float(1.1), Value::Float(f64::NAN)],
            "task.embedding.dimension" => &[Value::Integer(0), Value::Integer(-1), Value::Integer(i64::MAX)],
            "task.embedding.calibration[].population" => &[
                Value::String(String::new()),
                Value::String("Two Words".to_owned()),
                Value::String("a--b".to_owned()),
                Value::String("a".repeat(65)),
            ],
            "task.embedding.calibration[].measured_on" | "task.embedding.calibration[].thresholds[].note" => {
                &[Value::String(String::new()), Value::String("a\u{1b}b".to_owned()), Value::String("x".repeat(2000))]
            }
            "task.embedding.calibration[].thresholds" => &[Value::Array(Vec::new())],
            "task.embedding.calibration[].thresholds[].threshold" => &[Value::Float(1.1), Value::Float(f64::NAN)],
            "task.pad.crop" => &[Value::Float(0.9), Value::Float(f64::INFINITY), Value::Float(f64::NAN)],
            "task.occlusion.components" => {
                &[words(&[]), words(&["Sharpness"]), words(&["EyesVisible", "EyesVisible"]), words(&["Elegance"])]
            }
            "task.pad.live_class" => &[Value::Integer(-1)],
            _ => &[],
        };
        for value in out_of_range {
            let mut wrong = manifest.clone();
            *at(&mut wrong, key) = value.clone();
            assert!(parsed(&wrong).is_err(), "{} = {value}", name(key));
            tried += 1;
        }
    }
    assert!(tried >= 20, "{tried}");
    let entry = Manifest::parse(&text).unwrap().models[0].clone();
    for file in ["", ".", "..", "a/b", "a\\b", "a\0b", "a\nb"] {
        let mut wrong = entry.clone();
        wrong.file = file.to_owned();
        let error = Manifest::parse(&Manifest { models: vec![wrong] }.to_toml().unwrap()).unwrap_err();
        assert!(error.to_string().contains(": file "), "{file:?}: {error}");
    }
    for name in ["", "a\u{1b}[2J", &"x".repeat(2000)] {
        let mut wrong = entry.clone();
        wrong.name = name.to_owned();
        let error = Manifest::parse(&Manifest { models: vec![wrong] }.to_toml().unwrap()).unwrap_err();
        assert!(error.to_string().contains("name "), "{name:?}: {error}");
    }
}

#[test]
fn a_population_is_calibrated_once_and_thresholds_of_nobody_are_refused_with_what_to_write() {
    let mut twice = Manifest::parse(&toml::to_string(&manifest()).unwrap()).unwrap();
    let embedder = twice.models.iter_mut().find_map(|model| match &mut model.task {
        Task::Embedding { calibrations, .. } => Some(calibrations),
        _ => None,
    });
    let calibrations = embedder.unwrap();
    calibrations.push(calibrations[0].clone());
    let named = calibrations[0].population.to_string();
    let error = Manifest::parse(&twice.to_toml().unwrap()).unwrap_err().to_string();
    assert!(error.contains(&named) && error.contains("twice"), "{error}");

    let mut earlier = manifest();
    for model in earlier["model"].as_array_mut().unwrap() {
        if let Some(embedding) = model["task"].get_mut("embedding").and_then(Value::as_table_mut) {
            embedding.remove("calibration");
            let point = "points = [{ fmr = 1e-3, threshold = 0.5, measured_on = \"somebody\" }]".parse::<toml::Table>();
            embedding.insert("thresholds".to_owned(), point.unwrap()["points"].clone());
        }
    }
    let error = Manifest::parse(&toml::to_string(&earlier).unwrap()).unwrap_err();
    assert!(matches!(&error, ManifestError::NamelessThresholds { model } if model == "clearlane-embedder"), "{error}");
    assert!(error.to_string().contains("[[model.task.embedding.calibration]]"), "{error}");
}

#[test]
fn a_population_has_a_short_name_of_words_joined_by_hyphens() {
    let longest = "a".repeat(64);
    for name in ["lfw", "east-asian-adults", "over-60", "a", &longest] {
        assert_eq!(name.parse::<Population>().unwrap().to_string(), name);
    }
    let too_long = "a".repeat(65);
    for name in ["", "-a", "a-", "a--b", "A", "a b", "a_b", "\u{9999}", "a\n", &too_long, &"\u{9999}".repeat(1 << 16)] {
        let error = name.parse::<Population>().unwrap_err();
        assert!(error.text.chars().count() <= 64, "{error}");
    }
}

#[test]
fn a_pad_model_of_an_earlier_manifest_is_one_of_minivisions_family() {
    let manifest = manifest();
    let earlier = toml::to_string(&manifest).unwrap();
    let earlier = earlier.replace("[model.task.pad]", "[model.task.liveness]").replace("family = \"minivision\"\n", "");
    assert!(earlier.contains("liveness") && !earlier.contains("minivision"));
    assert_eq!(Manifest::parse(&earlier), Manifest::parse(&toml::to_string(&manifest).unwrap()));
}

#[test]
fn a_manifest_larger_than_any_or_that_is_not_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("manifest.toml");
    let add = || Models::default().add_folder(folder.path()).unwrap_err();
    fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
    assert!(matches!(add(), ModelError::TooLarge { bytes, .. } if bytes == 1 << 40));
    fs::write(&path, b"name = \"\xff\"").unwrap();
    assert!(matches!(add(), ModelError::Manifest { .. }));
    #[cfg(unix)]
    {
        // A device says that it has no bytes, and has no end.
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(matches!(add(), ModelError::TooLarge { .. }));
    }
}
