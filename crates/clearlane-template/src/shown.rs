//! How paths are printed, here and in every crate above: whatever bytes their names have.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A path as it is printed, in text and in JSON. A name may be any bytes, and serde refuses those that are not UTF-8: they
/// stand as `\xFF` with a note that says so. What commands a terminal, or turns the text around, is escaped: see [`is_disguise`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ShownPath(PathBuf);

/// `path`, to be printed.
#[must_use]
pub fn shown(path: impl AsRef<Path>) -> ShownPath {
    ShownPath(path.as_ref().to_owned())
}

/// What the system said when a temporary file could not be made, without the drawn name of that file, which nobody has asked for.
#[must_use]
#[allow(clippy::needless_pass_by_value, reason = "it takes the error's place, as `map_err` has it")]
pub fn without_temporary_name(error: io::Error) -> io::Error {
    let said = error.to_string();
    io::Error::new(error.kind(), said.split(" at path \"").next().unwrap_or(&said))
}

/// Whether a character makes a text look like another than it is: a control character, which commands the terminal, the marks that
/// change the direction of writing (Unicode Standard Annex 9), which show `gpj.exe` as `exe.jpg`, and the separators of lines and
/// paragraphs. What letters of some scripts are joined by is none of them.
#[must_use]
pub fn is_disguise(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        )
}

impl fmt::Display for ShownPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name: &OsStr = self.0.as_ref();
        for chunk in name.as_encoded_bytes().utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    disguise if is_disguise(disguise) => write!(f, "{}", disguise.escape_default())?,
                    other => f.write_char(other)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?;
        }
        if name.to_str().is_some() { Ok(()) } else { f.write_str(" (not UTF-8)") }
    }
}

impl Serialize for ShownPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => serializer.collect_str(self),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn every_byte_of_a_name_is_seen() {
        let name = |bytes: &[u8]| shown(Path::new(OsStr::from_bytes(bytes))).to_string();
        assert_eq!(name("关口/port.register".as_bytes()), "关口/port.register");
        assert_eq!(name(b"a\xFFb\xE5\x85"), r"a\xFFb\xE5\x85 (not UTF-8)");
        assert_eq!(name(b"\x1B[2J\n"), r"\u{1b}[2J\n");
        assert_eq!(name("\u{202e}gpj.exe".as_bytes()), r"\u{202e}gpj.exe");
        assert_eq!(name("\u{2066}a\u{2069}\u{2028}\u{200f}".as_bytes()), r"\u{2066}a\u{2069}\u{2028}\u{200f}");
        // The joiner without a width belongs to Persian names.
        assert_eq!(name("\u{200c}".as_bytes()), "\u{200c}");
    }
}
