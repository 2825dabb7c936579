//! The lane's reasons in words: their data is the same, whatever the language.

use clearlane::Reason;
use serde_json::Value;

/// Reasons on one line: each one's name, with its data in brackets.
pub(crate) fn listed(reasons: &[Reason]) -> String {
    reasons.iter().map(worded).collect::<Vec<_>>().join("; ")
}

fn worded(reason: &Reason) -> String {
    let Ok(Value::Object(fields)) = serde_json::to_value(reason) else { return format!("{reason:?}") };
    let name = fields.get("reason").and_then(Value::as_str).unwrap_or("refused").replace('-', " ");
    let data: Vec<String> = fields
        .iter()
        .filter(|(field, _)| *field != "reason")
        .map(|(field, value)| format!("{} {}", field.replace('-', " "), plain(value)))
        .collect();
    if data.is_empty() { name } else { format!("{name} ({})", data.join(", ")) }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => format!("{:.4}", number.as_f64().unwrap_or_default()),
        value => value.to_string(),
    }
}
