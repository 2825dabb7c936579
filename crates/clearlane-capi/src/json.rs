//! What has no struct of its own goes out as JSON.

use clearlane::{Language, Reason};
use serde_json::{Value, json};

use crate::status::Failure;

/// JSON that was written, to be added to. Numbers stay as they were written, single precision too.
pub(crate) fn reread(text: serde_json::Result<String>) -> Result<Value, Failure> {
    text.and_then(|text| serde_json::from_str(&text)).map_err(Failure::internal)
}

/// Reasons with their data, each with its phrase for an officer's screen.
pub(crate) fn reasons(reasons: &[Reason]) -> Result<Value, Failure> {
    let with_phrase = |reason: &Reason| {
        let mut value = reread(serde_json::to_string(reason))?;
        value["phrase"] = json!({ "en": reason.phrase(Language::English), "zh": reason.phrase(Language::Chinese) });
        Ok(value)
    };
    reasons.iter().map(with_phrase).collect()
}
