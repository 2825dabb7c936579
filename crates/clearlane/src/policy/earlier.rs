//! Policies of earlier versions.

use serde::Deserialize;
use toml::Spanned;

/// Keys of earlier versions, whose writers are told what to write now.
#[derive(Deserialize)]
pub(super) struct EarlierFile {
    pub(super) capture: EarlierCapture,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct EarlierCapture {
    pub(super) pad_required: Spanned<bool>,
}
