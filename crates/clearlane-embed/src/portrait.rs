//! The portrait in a travel document's chip: data group 2, in either of its encodings.

use crate::decode::{DecodeError, DecodeLimits};
use crate::frame::Frame;

/// How a chip's portrait is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PortraitEncoding {
    /// A facial record of ISO/IEC 19794-5:2005.
    Iso19794,
    /// A face image data block of ISO/IEC 39794-5:2019.
    Iso39794,
}

/// The first portrait of a chip's data group 2 (ICAO Doc 9303-10, 4.7.2), as the chip's reader gives the file's bytes. The
/// chip's signature over them is not checked here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Portrait<'a> {
    encoding: PortraitEncoding,
    image: &'a [u8],
}

/// Why there is no portrait in some bytes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortraitError {
    /// The bytes are no data group 2.
    #[error("not a data group 2: expected tag 75, 7F61 or a facial record")]
    NotDataGroup2,
    /// The data group ends before what it announces.
    #[error("the data group 2 is cut short: {what} at byte {at} ends beyond it")]
    Truncated {
        /// What ends beyond.
        what: &'static str,
        /// Where it begins.
        at: usize,
    },
    /// The data group says what cannot be.
    #[error("the data group 2 is malformed: {what} at byte {at}")]
    Malformed {
        /// What.
        what: &'static str,
        /// Where.
        at: usize,
    },
    /// A part that must be there is not.
    #[error("the data group 2 has no {part}")]
    Missing {
        /// Which part.
        part: &'static str,
    },
    /// The portrait is in an encoding that is not read.
    #[error("the portrait's encoding is not supported: {reason}")]
    Unsupported {
        /// Which.
        reason: &'static str,
    },
    /// The picture within is not to be had.
    #[error("the portrait's picture: {0}")]
    Picture(#[from] DecodeError),
}

/// Whether what follows the first tag's length is the group's tag, as far as there is anything: the first tag alone is a letter
/// that texts begin with too.
fn is_followed_by_group(bytes: &[u8]) -> bool {
    let length = match bytes.get(1) {
        // A length without an end, which a chip's files do not have.
        Some(0x80) => return true,
        Some(&long @ 0x81..) => 1 + usize::from(long & 0x7F),
        _ => 1,
    };
    bytes.get(1 + length..).is_none_or(|rest| rest.iter().zip([0x7F, 0x61]).all(|(byte, tag)| *byte == tag))
}

impl<'a> Portrait<'a> {
    /// Finds the portrait in a data group 2, in its biometric information group template (tag 7F61) or in a facial record alone.
    pub fn find(bytes: &'a [u8]) -> Result<Self, PortraitError> {
        let all = Part { bytes, at: 0 };
        if bytes.starts_with(RECORD) {
            return Self::of_record(all);
        }
        let group = match bytes {
            [0x75, ..] if is_followed_by_group(bytes) => all.child(0x75, "data group")?.child(0x7F61, GROUP)?,
            [0x7F, 0x61, ..] => all.child(0x7F61, GROUP)?,
            _ => return Err(PortraitError::NotDataGroup2),
        };
        let template = group.child(0x7F60, "biometric information template")?;
        if let Some(record) = template.find(0x5F2E)? {
            return Self::of_record(record);
        }
        // Tagged, so that it is of ISO/IEC 39794; within it, in older drafts, without a tag around it.
        let block = template.child(0x7F2E, "biometric data block")?;
        if block.bytes.starts_with(RECORD) {
            return Self::of_record(block);
        }
        let block = block.find(0xA1)?.unwrap_or(block);
        Self::of_block(block.child(0x65, "face image data block")?)
    }

    /// How it is encoded.
    #[must_use]
    pub fn encoding(&self) -> PortraitEncoding {
        self.encoding
    }

    /// Its picture: a JPEG or JPEG 2000 file, or a JPEG 2000 codestream.
    #[must_use]
    pub fn image(&self) -> &'a [u8] {
        self.image
    }

    /// Decodes its picture.
    pub fn decode(&self, limits: &DecodeLimits) -> Result<Frame<'static>, DecodeError> {
        Frame::decode(self.image, limits)
    }

    /// ISO/IEC 19794-5:2005, clause 5: a header of 14 bytes, then for each image 20 bytes, 8 for each feature point, 12, and the
    /// image.
    fn of_record(record: Part<'a>) -> Result<Self, PortraitError> {
        let (header, _) = record.split(14, "facial record header")?;
        if !header.bytes.starts_with(RECORD) {
            return Err(header.malformed("a facial record of another format than FAC"));
        }
        if header.bytes[4..8] != *b"010\0" {
            return Err(PortraitError::Unsupported { reason: "a facial record of another version than 010" });
        }
        let (record, _) = record.split(header.number(8, 4), "facial record")?;
        if header.number(12, 2) == 0 {
            return Err(PortraitError::Missing { part: "image in its facial record" });
        }
        let Some(images) = record.after(14) else { return Err(record.malformed("a facial record's length")) };
        let (information, _) = images.split(20, "facial information")?;
        let (block, _) = images.split(information.number(0, 4), "facial record data")?;
        let points = information.number(4, 2);
        let Some(image) = block.after(20 + 8 * points + 12) else {
            return Err(block.malformed("a facial record data length"));
        };
        Self::new(PortraitEncoding::Iso19794, image)
    }

    /// ISO/IEC 39794-5:2019, annex A: representation blocks, the first one's image representation, its base, the block of a
    /// two-dimensional image, its data. Extensions have other tags.
    fn of_block(block: Part<'a>) -> Result<Self, PortraitError> {
        let representation = block.child(0xA1, "representation blocks")?.child(0x30, "representation block")?;
        let image = representation.child(0xA1, "image representation")?;
        let Some(base) = image.find(0xA0)? else {
            return Err(PortraitError::Unsupported { reason: "an extension in place of an image" });
        };
        let Some(flat) = base.find(0xA0)? else {
            return Err(PortraitError::Unsupported { reason: "a three-dimensional shape" });
        };
        Self::new(PortraitEncoding::Iso39794, flat.child(0x80, "image data")?)
    }

    fn new(encoding: PortraitEncoding, image: Part<'a>) -> Result<Self, PortraitError> {
        let image = image.bytes;
        let known: [&[u8]; 3] = [b"\xFF\xD8\xFF", b"\0\0\0\x0CjP  ", b"\xFF\x4F\xFF\x51"];
        if image.is_empty() {
            return Err(PortraitError::Missing { part: "image data" });
        }
        if !known.iter().any(|start| image.starts_with(start)) {
            return Err(PortraitError::Unsupported { reason: "a picture that is neither JPEG nor JPEG 2000" });
        }
        Ok(Self { encoding, image })
    }
}

impl Frame<'static> {
    /// Decodes the portrait of a travel document's chip: [`Portrait::find`], then [`Frame::decode`].
    pub fn decode_dg2(bytes: &[u8], limits: &DecodeLimits) -> Result<Self, PortraitError> {
        Ok(Portrait::find(bytes)?.decode(limits)?)
    }
}

/// No face in any log: the bytes are counted, not shown.
impl std::fmt::Debug for Portrait<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portrait").field("encoding", &self.encoding).field("bytes", &self.image.len()).finish()
    }
}

const RECORD: &[u8] = b"FAC\0";
const GROUP: &str = "biometric information group template";

/// Bytes of a data group, and where in it they begin.
#[derive(Clone, Copy)]
struct Part<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Part<'_> {
    /// The value of the first data object of this tag; `name` says what is missing.
    fn child(self, tag: u32, name: &'static str) -> Result<Self, PortraitError> {
        self.find(tag)?.ok_or(PortraitError::Missing { part: name })
    }

    /// The value of the first data object of this tag, if there is one.
    fn find(self, tag: u32) -> Result<Option<Self>, PortraitError> {
        let mut rest = self;
        while !rest.bytes.is_empty() {
            let (found, value, after) = rest.first()?;
            if found == tag {
                return Ok(Some(value));
            }
            rest = after;
        }
        Ok(None)
    }

    /// Tag and value of the first data object, and what follows it: one or two bytes of tag, and a definite length of up to
    /// four bytes (ISO/IEC 7816-4, 5.2.2).
    fn first(self) -> Result<(u32, Self, Self), PortraitError> {
        let (tag, rest) = match *self.bytes {
            [] => return Err(PortraitError::Truncated { what: "data object", at: self.at }),
            [first, second, ..] if first & 0x1F == 0x1F => {
                if second & 0x80 != 0 {
                    return Err(self.malformed("a tag of more than two bytes"));
                }
                (u32::from(first) << 8 | u32::from(second), self.split(2, "tag")?.1)
            }
            [first, ..] => (u32::from(first), self.split(1, "tag")?.1),
        };
        let (length, rest) = rest.split(1, "length")?;
        let (length, rest) = match length.number(0, 1) {
            short @ 0..=0x7F => (short, rest),
            long @ 0x81..=0x84 => {
                let (length, rest) = rest.split(long - 0x80, "length")?;
                (length.number(0, long - 0x80), rest)
            }
            _ => return Err(length.malformed("a length of no definite form")),
        };
        let (value, after) = rest.split(length, "data object")?;
        Ok((tag, value, after))
    }

    /// The first so many bytes, and the others.
    fn split(self, length: usize, what: &'static str) -> Result<(Self, Self), PortraitError> {
        let (first, rest) =
            self.bytes.split_at_checked(length).ok_or(PortraitError::Truncated { what, at: self.at })?;
        Ok((Self { bytes: first, at: self.at }, Self { bytes: rest, at: self.at + length }))
    }

    /// What follows so many bytes.
    fn after(self, length: usize) -> Option<Self> {
        Some(Self { bytes: self.bytes.get(length..)?, at: self.at + length })
    }

    /// An unsigned number of so many bytes, the highest first.
    fn number(self, at: usize, length: usize) -> usize {
        self.bytes[at..at + length].iter().fold(0, |number, &byte| number << 8 | usize::from(byte))
    }

    fn malformed(self, what: &'static str) -> PortraitError {
        PortraitError::Malformed { what, at: self.at }
    }
}
