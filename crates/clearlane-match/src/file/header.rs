//! The file's first bytes: what it is.

use std::path::Path;

use clearlane_template::ModelId;
use zeroize::Zeroizing;

use super::seal::{Kind, SALT, SEAL, Seal};
use super::{GalleryFileError, MOST_TAG, Part};
use crate::Precision;
use crate::codes::Rotation;
use crate::gallery::Shape;

/// The first bytes. No text begins like this, and a transfer that changes line ends breaks it.
const MAGIC: [u8; 8] = *b"\x89CLGAL\n\x1a";
const VERSION: u32 = 1;

/// Bytes that anybody can read.
const PLAIN: usize = 104;
/// The most bytes that a rotation takes: that of the largest dimension.
const MOST_ROTATION: usize = Rotation::bytes(clearlane_template::MAX_DIMENSION);
/// Bytes of the header, which has room for any rotation and any tag: where rows begin does not depend on them.
pub(super) const HEADER: usize = PLAIN + 4 + MOST_TAG + MOST_ROTATION + SEAL;

/// What the header says besides the gallery's settings.
pub(super) struct Header {
    pub(super) rows: u64,
    pub(super) subjects: u64,
    /// The unit of one-bit codes.
    pub(super) unit: usize,
}

/// What a header holds that nobody can read without the secret.
pub(super) struct Secrets {
    pub(super) rotation: Rotation,
    pub(super) tag: Vec<u8>,
}

fn precision_code(precision: Precision) -> u8 {
    match precision {
        Precision::F32 => 1,
        Precision::F16 => 2,
        Precision::I8 => 3,
    }
}

impl Header {
    /// The header's bytes, sealed.
    pub(super) fn write(&self, shape: &Shape, salt: &[u8; SALT], seal: &Seal, tag: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(HEADER));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&(shape.dimension as u32).to_le_bytes());
        bytes.push(precision_code(shape.precision));
        bytes.push(shape.sketch.bits() as u8);
        bytes.push(self.unit as u8);
        bytes.push(u8::from(shape.fine.is_some()));
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.subjects.to_le_bytes());
        bytes.extend_from_slice(shape.model.as_bytes());
        bytes.extend_from_slice(salt);
        debug_assert_eq!(bytes.len(), PLAIN);
        bytes.extend_from_slice(&(tag.len() as u32).to_le_bytes());
        bytes.extend_from_slice(tag);
        bytes.resize(PLAIN + 4 + MOST_TAG, 0);
        bytes.extend_from_slice(&shape.rotation.to_bytes());
        bytes.resize(HEADER, 0);
        let (plain, sealed) = bytes.split_at_mut(PLAIN);
        seal.close(Kind::Header, 0, plain, sealed);
        bytes
    }

    /// What a gallery file's first bytes say, once they fit these settings; the seal that opens the rest, and what it opened here.
    pub(super) fn read(
        bytes: &mut [u8; HEADER],
        path: &Path,
        shape: &Shape,
        secret: &[u8; 32],
    ) -> Result<(Self, Seal, Secrets), GalleryFileError> {
        let path = || path.to_owned();
        let (plain, sealed) = bytes.split_at_mut(PLAIN);
        let mut fields = Fields(plain);
        let _magic = fields.take::<8>();
        let found = u32::from_le_bytes(fields.take());
        if found != VERSION {
            return Err(GalleryFileError::Version { path: path(), found, expected: VERSION });
        }
        let dimension = u32::from_le_bytes(fields.take()) as usize;
        let [precision, bits, unit, fine] = fields.take();
        let reserved = fields.take::<4>();
        let (rows, subjects) = (u64::from_le_bytes(fields.take()), u64::from_le_bytes(fields.take()));
        let model = ModelId::from_bytes(fields.take());
        let salt = fields.take::<SALT>();
        if model != shape.model {
            return Err(GalleryFileError::OtherModel { path: path(), found: model, expected: shape.model });
        }
        let settings = [
            ("dimension", dimension, shape.dimension),
            ("precision", precision as usize, precision_code(shape.precision) as usize),
            ("bits of a sketch code", bits as usize, shape.sketch.bits() as usize),
            ("codes for certified searches", fine as usize, usize::from(shape.fine.is_some())),
        ];
        for (what, found, expected) in settings {
            if found != expected {
                return Err(GalleryFileError::Setting { path: path(), what, found, expected });
            }
        }
        let seal = Seal::new(secret, &salt);
        let altered = |_| GalleryFileError::Sealed { path: path(), part: Part::Header };
        let content = seal.open(Kind::Header, 0, plain, sealed).map_err(altered)?;
        let contradiction = || GalleryFileError::Contradiction { path: path(), part: Part::Header };
        let (length, content) = content.split_first_chunk::<4>().ok_or_else(contradiction)?;
        let (tag, rotation) = content.split_at(MOST_TAG);
        let tag = tag.get(..u32::from_le_bytes(*length) as usize).ok_or_else(contradiction)?.to_vec();
        let rotation = Rotation::from_bytes(dimension, rotation).ok_or_else(contradiction)?;
        let sound = rows < u64::from(u32::MAX) && subjects <= rows && (subjects > 0 || rows == 0) && reserved == [0; 4];
        if !sound || !matches!(unit, 1 | 4 | 8) {
            return Err(contradiction());
        }
        Ok((Self { rows, subjects, unit: unit as usize }, seal, Secrets { rotation, tag }))
    }
}

/// Whether these are the first bytes of a gallery's file, of whatever version.
pub(super) fn begins_a_gallery(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// The header's fields, one after the other; the header is as long as they are together.
struct Fields<'b>(&'b [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut field = [0; N];
        if let Some((bytes, rest)) = self.0.split_first_chunk::<N>() {
            (field, self.0) = (*bytes, rest);
        }
        field
    }
}
