//! Plain data between Python and Rust: numbers, texts, lists and dictionaries.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::failure::{Failure, Result};

/// Lists within lists that are read at most.
const DEEPEST: usize = 16;

/// A Rust value as Python's dictionaries, lists and numbers.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &impl Serialize) -> Result<Bound<'py, PyAny>> {
    let value = serde_json::to_value(value).map_err(|error| Failure::internal(error.to_string()))?;
    Ok(object(py, &value)?)
}

fn object<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => number.into_pyobject(py)?.into_any(),
            (None, Some(number)) => number.into_pyobject(py)?.into_any(),
            (None, None) => PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any(),
        },
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Array(items) => {
            let items = items.iter().map(|item| object(py, item)).collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, items)?.into_any()
        }
        Value::Object(entries) => {
            let dict = PyDict::new(py);
            for (key, value) in entries {
                dict.set_item(key, object(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// What Python's dictionaries, lists, numbers, dates and times say. `name` is the argument's.
pub(crate) fn from_python<T: DeserializeOwned>(name: &str, value: &Bound<'_, PyAny>) -> Result<T> {
    let value = plain(name, value, DEEPEST)?;
    serde_json::from_value(value).map_err(|error| Failure::input(format!("{name}: {error}")))
}

fn plain(name: &str, value: &Bound<'_, PyAny>, deeper: usize) -> Result<Value> {
    let Some(deeper) = deeper.checked_sub(1) else {
        return Err(Failure::input(format!("{name}: expected at most {DEEPEST} levels of lists and dictionaries")));
    };
    if value.is_none() {
        Ok(Value::Null)
    } else if let Ok(value) = value.cast::<PyBool>() {
        Ok(Value::Bool(value.is_true()))
    } else if value.is_instance_of::<PyInt>() {
        Ok(Value::from(value.extract::<i64>()?))
    } else if let Ok(value) = value.cast::<PyFloat>() {
        Ok(Value::from(value.value()))
    } else if let Ok(text) = value.cast::<PyString>() {
        Ok(Value::String(text.extract()?))
    } else if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        value.try_iter()?.map(|item| plain(name, &item?, deeper)).collect::<Result<Vec<_>>>().map(Value::Array)
    } else if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut entries = Map::new();
        for item in mapping.items()?.iter() {
            let (key, value): (String, Bound<'_, PyAny>) = item.extract()?;
            entries.insert(key, plain(name, &value, deeper)?);
        }
        Ok(Value::Object(entries))
    } else if value.hasattr("isoformat")? {
        Ok(Value::String(value.call_method0("isoformat")?.extract()?))
    } else {
        let class = value.get_type().name()?;
        Err(Failure::input(format!("{name}: expected numbers, texts, dates, lists and dictionaries, got {class}")))
    }
}

/// A time span in seconds. `name` is the argument's.
pub(crate) fn seconds(name: &str, value: Option<f64>) -> Result<Option<Duration>> {
    let span = |seconds| {
        Duration::try_from_secs_f64(seconds)
            .map_err(|_| Failure::input(format!("{name}: expected seconds from 0 on, got {seconds}")))
    };
    value.map(span).transpose()
}
