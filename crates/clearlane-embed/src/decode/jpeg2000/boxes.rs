//! The boxes of a JP2 file, as far as they decide what its decoder does (ISO/IEC 15444-1, annex I).

use super::super::{DecodeError, damaged, truncated, unsupported};
use super::{CODESTREAM, MAX_COMPONENTS};

/// Copies that the decoder makes of what describes a picture, and what it holds of an entry of a palette: a list of up to five numbers,
/// twice.
const COPIES: u64 = 4;
const BYTES_AN_ENTRY: u64 = 160;

/// What of a file is decoded.
pub(super) struct Contents<'a> {
    /// The file up to the end of its first codestream. Readers ignore those after it (I.5.4); the decoder would take the last.
    pub(super) file: &'a [u8],
    pub(super) codestream: &'a [u8],
    /// Bytes that the decoder's copies of what describes it take: colour profiles and palettes.
    pub(super) described: u64,
    /// Channels that a palette makes of the components (I.5.3.4 and I.5.3.5); 0 without one.
    pub(super) channels: u64,
}

impl<'a> Contents<'a> {
    pub(super) fn find(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let (mut described, mut channels) = (0, 0);
        if bytes.starts_with(CODESTREAM) {
            return Ok(Self { file: bytes, codestream: bytes, described, channels });
        }
        let mut rest = bytes;
        while let Some((kind, content)) = next(&mut rest)? {
            match &kind {
                b"jp2h" => {
                    let palette = Palette::read(content)?;
                    described += content.len() as u64 * COPIES + palette.entries * BYTES_AN_ENTRY;
                    channels = channels.max(palette.channels);
                }
                b"jp2c" if content.starts_with(CODESTREAM) => {
                    let file = &bytes[..bytes.len() - rest.len()];
                    return Ok(Self { file, codestream: content, described, channels });
                }
                b"jp2c" => return Err(damaged("the JPEG 2000 codestream does not begin as one")),
                _ => {}
            }
        }
        Err(truncated("the JPEG 2000 file has no codestream"))
    }
}

/// What a header's palettes and component mapping ask for.
#[derive(Default)]
struct Palette {
    entries: u64,
    channels: u64,
}

impl Palette {
    fn read(mut header: &[u8]) -> Result<Self, DecodeError> {
        let mut palette = Self::default();
        while let Some((kind, content)) = next(&mut header)? {
            let channels = match (&kind, content) {
                (b"cmap", mapped) => mapped.len().div_ceil(4) as u64,
                (b"pclr", &[high, low, columns, ..]) => {
                    palette.entries += u64::from(u16::from_be_bytes([high, low]));
                    u64::from(columns)
                }
                _ => 0,
            };
            palette.channels = palette.channels.max(channels);
        }
        if palette.channels > MAX_COMPONENTS {
            Err(unsupported("JPEG 2000 with a palette of more than five channels"))
        } else {
            Ok(palette)
        }
    }
}

/// A box's type and content.
type Named<'a> = ([u8; 4], &'a [u8]);

/// Takes the first box off (I.4); `None` where no bytes are left.
fn next<'a>(rest: &mut &'a [u8]) -> Result<Option<Named<'a>>, DecodeError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let ended = || truncated("the JPEG 2000 file ends within a box");
    let (&[a, b, c, d, ref kind @ ..], _) = rest.split_first_chunk::<8>().ok_or_else(ended)?;
    let (header, length) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (8, rest.len() as u64),
        1 => (16, rest.get(8..16).ok_or_else(ended)?.iter().fold(0, |length, &byte| length << 8 | u64::from(byte))),
        length => (8, u64::from(length)),
    };
    if length < header {
        return Err(damaged("a box of the JPEG 2000 file is shorter than its header"));
    }
    let length = usize::try_from(length).ok().filter(|&length| length <= rest.len()).ok_or_else(ended)?;
    let (this, after) = rest.split_at(length);
    *rest = after;
    Ok(Some((*kind, &this[header as usize..])))
}
