//! The gallery's file: a cache of the register, so that a port opens without reading it all.
//!
//! The file says which state of the register it was made of, under a seal whose key only the register's present key gives.
//! What the register says changed since is applied before anybody searches, so an older file in the place of a newer one
//! brings nobody back. A file that is refused, or is not of this register's history, is made anew.

use std::path::Path;

use clearlane_match::{Gallery, GalleryBuilder, GalleryError, GalleryFileError};
use clearlane_store::{Anchor, Position, Register, StoreError, StoredTemplate};
use clearlane_template::{ModelId, shown};
use serde::{Deserialize, Serialize};

use super::{AT_ONCE, ReferencesError, apply, enrolments};

/// What a file was made of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Origin {
    register: [u8; 16],
    position: Position,
    /// Of the history that led there: a register that was restored from a backup, and went on otherwise, has another.
    anchor: Anchor,
}

/// Why a file does not serve.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error(transparent)]
    File(#[from] GalleryFileError),
    #[error("it was made of another register, or of another state than this one came from")]
    OtherHistory,
    #[error("the register got a new key since it was made")]
    NewKey,
    #[error("the register does not go on from the state that it was made of: {0}")]
    Store(#[from] StoreError),
    #[error("the register's changes do not fit: {0}")]
    Gallery(#[from] GalleryError),
}

/// The gallery of a model out of its file, brought up to the register's state, which is given with it. `None` where the file
/// does not serve, or is not there.
pub(super) fn open(
    register: &Register,
    model: ModelId,
    builder: GalleryBuilder,
    path: &Path,
) -> Result<Option<(Gallery, Position)>, ReferencesError> {
    let secret = register.gallery_key()?;
    let Ok(found) = path.metadata() else { return Ok(None) };
    if found.is_dir() {
        return Err(ReferencesError::NotAGallery(GalleryFileError::NotAGallery { path: path.to_owned() }));
    }
    match fit(register, model, builder, path, secret.as_bytes()) {
        Ok((gallery, position)) => {
            tracing::info!(path = %shown(path), references = gallery.len(), "the gallery was opened from its file");
            Ok(Some((gallery, position)))
        }
        // Somebody's file, under a wrong name.
        Err(Unfit::File(reason @ GalleryFileError::NotAGallery { .. })) if found.len() > 0 => {
            Err(ReferencesError::NotAGallery(reason))
        }
        Err(reason @ (Unfit::NewKey | Unfit::OtherHistory)) => {
            tracing::info!(path = %shown(path), %reason, "the gallery's file is of no use any more and is made anew");
            Ok(None)
        }
        Err(reason) => {
            tracing::warn!(path = %shown(path), %reason, "the gallery's file is refused and is made anew");
            Ok(None)
        }
    }
}

fn fit(
    register: &Register,
    model: ModelId,
    builder: GalleryBuilder,
    path: &Path,
    secret: &[u8; 32],
) -> Result<(Gallery, Position), Unfit> {
    let (gallery, tag) = builder.open_file(path, secret)?;
    let origin: Origin = serde_json::from_slice(&tag).map_err(|_| Unfit::OtherHistory)?;
    if origin.register != register.id() {
        return Err(Unfit::OtherHistory);
    }
    if register.anchor(origin.position)? != origin.anchor {
        return Err(Unfit::OtherHistory);
    }
    let changes = register.changes(origin.position, model)?;
    if changes.reload {
        return Err(Unfit::NewKey);
    }
    apply(&gallery, &changes)?;
    Ok((gallery, changes.position))
}

/// Makes the file of a model's templates, one after the other, and says which state of the register it is of.
pub(super) fn write(
    register: &Register,
    model: ModelId,
    builder: GalleryBuilder,
    path: &Path,
    mut progress: impl FnMut(u64, u64) + Send,
) -> Result<Result<(), GalleryFileError>, ReferencesError> {
    let secret = register.gallery_key()?;
    let mut file = match builder.create_file(path, secret.as_bytes()) {
        Ok(file) => file,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (mut waiting, mut refusal) = (Vec::with_capacity(AT_ONCE), None);
    let mut add = |waiting: &mut Vec<StoredTemplate>| {
        let added = file.extend(&enrolments(&*waiting));
        waiting.clear();
        added.err()
    };
    let mut loaded = 0;
    let position = register.load(model, |mut batch, total| {
        loaded += batch.len() as u64;
        waiting.append(&mut batch);
        if refusal.is_none() && waiting.len() >= AT_ONCE {
            refusal = add(&mut waiting);
            progress(loaded, total);
        }
    })?;
    let refusal = refusal.or_else(|| add(&mut waiting));
    if let Some(refusal) = refusal {
        return Ok(Err(refusal));
    }
    progress(loaded, loaded);
    let origin = Origin { register: register.id(), position, anchor: register.anchor(position)? };
    // Numbers and names alone: there is nothing in it that JSON cannot say.
    let tag = serde_json::to_vec(&origin).unwrap_or_default();
    Ok(file.finish(&tag))
}
