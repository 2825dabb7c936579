//! The bytes of a picture, borrowed from a camera or owned.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use clearlane_infer::Wiped;

use super::deferred::Deferred;

/// Bytes of a picture. Owned ones are wiped when they are dropped.
#[derive(Clone)]
pub struct Pixels<'a>(pub(super) Source<'a>);

#[derive(Clone)]
pub(super) enum Source<'a> {
    Borrowed(&'a [u8]),
    Owned(Wiped<u8>),
    /// Made when they are looked at.
    Deferred(Arc<Deferred>),
}

impl Pixels<'_> {
    /// The bytes in memory of their own, which nobody wipes from now on.
    #[must_use]
    pub fn into_owned(self) -> Vec<u8> {
        match self.0 {
            Source::Borrowed(bytes) => bytes.to_vec(),
            Source::Owned(bytes) => bytes.into_vec(),
            Source::Deferred(picture) => match Arc::try_unwrap(picture) {
                Ok(picture) => picture.into_whole().into_vec(),
                Err(picture) => picture.whole().to_vec(),
            },
        }
    }

    /// How many bytes there are, made or not.
    pub(super) fn count(&self) -> usize {
        match &self.0 {
            Source::Borrowed(bytes) => bytes.len(),
            Source::Owned(bytes) => bytes.len(),
            Source::Deferred(picture) => picture.bytes(),
        }
    }
}

impl<'a> From<Cow<'a, [u8]>> for Pixels<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        match bytes {
            Cow::Borrowed(bytes) => Self(Source::Borrowed(bytes)),
            Cow::Owned(bytes) => Self(Source::Owned(bytes.into())),
        }
    }
}

impl Deref for Pixels<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Source::Borrowed(bytes) => bytes,
            Source::Owned(bytes) => bytes,
            Source::Deferred(picture) => picture.whole(),
        }
    }
}

impl AsRef<[u8]> for Pixels<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// No face in any log: the bytes are counted, not shown.
impl fmt::Debug for Pixels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pixels").field("bytes", &self.count()).finish_non_exhaustive()
    }
}
