//! Thresholds into a manifest, whose comments and order stay.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use clearlane_embed::{Manifest, ModelEntry, Task};
use serde_json::{Value, json};
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, value};

use super::WriteArgs;
use super::fit::Fitted;
use crate::failure::{Exit, Failure, Result};
use crate::output::{shown, write_whole};
use crate::text;

impl WriteArgs {
    /// Writes the thresholds where that was asked for, and says where. `made` is the entry of the embedder that made the
    /// templates, where it is known, and `counts` say how much was compared.
    pub(super) fn write(&self, fitted: &[Fitted], made: Option<&ModelEntry>, counts: &str) -> Result<Option<Value>> {
        let (Some(path), Some(population), Some(measured_on)) = (&self.write, &self.population, &self.measured_on)
        else {
            return Ok(None);
        };
        let named = self.model.as_deref().or(made.map(|entry| entry.name.as_str()));
        let model = named.ok_or_else(|| Failure::new(Exit::Usage, "--write needs --model NAME"))?;
        let refused = |problem: &str| Failure::new(Exit::Input, format!("{}: {problem}", shown(path)));
        // Where a link leads to, so that the link stays one.
        let place = fs::canonicalize(path).map_err(|error| Failure::reading(path, &error))?;
        // Held from reading to writing: another process that calibrates waits, and then reads what this one wrote.
        let folder = place.parent().unwrap_or(&place);
        let _lock = locked(folder).map_err(|error| Failure::writing(folder, &error))?;
        let text = text::read(&place)?;
        let manifest = Manifest::parse(&text).map_err(|error| Failure::at(Exit::Model, path, &error))?;
        let entry = manifest.models.iter().find(|entry| entry.name == model);
        let Some(entry) = entry.filter(|entry| matches!(entry.task, Task::Embedding { .. })) else {
            return Err(refused(&format!("it has no embedder `{model}`")));
        };
        if let Some(made) = made.filter(|made| made.sha256 != entry.sha256 || made.input != entry.input) {
            let problem = format!("its `{model}` is another model than `{}`, which made the templates", made.name);
            return Err(refused(&problem));
        }
        let mut document: DocumentMut = text.parse().map_err(|error| Failure::at(Exit::Model, path, &error))?;
        let calibrations = calibrations(&mut document, model).ok_or_else(|| {
            refused(&format!("expected `{model}` to have a table [model.task.embedding], with calibrations as tables"))
        })?;
        let of_population = |table: &Table| table.get("population").and_then(Item::as_str) == Some(population.as_str());
        let known = calibrations.iter().position(of_population);
        let table = match known.and_then(|index| calibrations.get_mut(index)) {
            Some(_) if !self.replace => {
                let problem = format!("`{model}` has a calibration for `{population}` already");
                return Err(refused(&problem).with_help("--replace replaces it"));
            }
            Some(table) => table,
            None => {
                calibrations.push(Table::new());
                let last = calibrations.len() - 1;
                calibrations.get_mut(last).ok_or_else(|| refused("it cannot be extended"))?
            }
        };
        let points = points(fitted);
        table.insert("population", value(population.as_str()));
        table.insert("measured_on", value(format!("{measured_on}: {counts}")));
        table.insert("thresholds", value(listed(&points)));
        let text = document.to_string();
        // What a lane could not read is not written.
        Manifest::parse(&text).map_err(|error| Failure::at(Exit::Input, path, &error))?;
        let permissions = fs::metadata(&place).map_err(|error| Failure::reading(path, &error))?.permissions();
        write_whole(&place, text.as_bytes())?;
        fs::set_permissions(&place, permissions).map_err(|error| Failure::writing(path, &error))?;
        Ok(Some(json!({
            "manifest": shown(path), "model": model, "population": population, "thresholds": points.len(),
            "replaced": known.is_some(),
        })))
    }
}

/// The folder, which one process at a time holds.
fn locked(folder: &Path) -> io::Result<File> {
    let folder = File::open(folder)?;
    folder.lock()?;
    Ok(folder)
}

/// The calibrations of an embedder.
fn calibrations<'d>(document: &'d mut DocumentMut, model: &str) -> Option<&'d mut ArrayOfTables> {
    let named = |table: &&mut Table| table.get("name").and_then(Item::as_str) == Some(model);
    let entry = document.get_mut("model")?.as_array_of_tables_mut()?.iter_mut().find(named)?;
    let embedding = entry.get_mut("task")?.as_table_mut()?.get_mut("embedding")?.as_table_mut()?;
    embedding.entry("calibration").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new())).as_array_of_tables_mut()
}

/// The points of a manifest: the rate, the threshold, and what sets it apart. In a manifest each threshold is higher than the one
/// before, and none is higher than every possible score.
fn points(fitted: &[Fitted]) -> Vec<(f64, f64, Option<String>)> {
    let mut points: Vec<(f64, f64, Option<String>)> = Vec::new();
    for one in fitted {
        let rounded = (f64::from(one.threshold.threshold) * 1e4).ceil() / 1e4;
        if rounded <= 1.0 && points.last().is_none_or(|(_, last, _)| rounded > *last) {
            let note = one.is_extrapolated() || !one.group.is_empty();
            // What the user was warned of stands with the threshold.
            let said = |mut how: String| {
                for warning in &one.threshold.warnings {
                    how.extend(["; ", &warning.to_string()]);
                }
                how
            };
            points.push((one.threshold.target_fmr, rounded, note.then(|| said(one.how()))));
        }
    }
    points
}

/// One point a line.
fn listed(points: &[(f64, f64, Option<String>)]) -> Array {
    let mut list = Array::new();
    for (fmr, threshold, note) in points {
        let mut point = InlineTable::new();
        point.insert("fmr", (*fmr).into());
        point.insert("threshold", (*threshold).into());
        if let Some(note) = note {
            point.insert("note", note.as_str().into());
        }
        let mut point = toml_edit::Value::from(point);
        point.decor_mut().set_prefix("\n  ");
        list.push_formatted(point);
    }
    list.set_trailing("\n");
    list.set_trailing_comma(true);
    list
}
