//! The checking code of a printed record.

use std::fmt;
use std::str::FromStr;

use crate::{Record, RecordHash};

/// What a printed record bears for an officer to check it by: the record's number and the first 80 bits of its hash.
///
/// As text `46000-7Z3K-9X2M-0QRT-V4WA`: the bits in Crockford's base32 (<https://www.crockford.com/base32.html>). It is read
/// whatever the case and the separators, `O` as 0, `I` and `L` as 1. Nobody without access to the register can make one
/// that fits; with it, look the record up, compare what is printed, and verify the chain
/// ([`Register::verify_records`](crate::Register::verify_records)), without which the record itself may have been altered.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CheckingCode {
    seq: u64,
    bits: u128,
}

/// The text is not a checking code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a checking code, a record's number and sixteen letters or digits as in 7-0123-4567-89AB-CDEF, got `{text}`"
)]
pub struct ParseCodeError {
    /// What was given.
    pub text: String,
}

const BITS: u32 = 80;
const DIGITS: usize = 16;
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

impl CheckingCode {
    /// The number of the record that it is of.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    fn new(seq: u64, hash: &RecordHash) -> Self {
        let bits = hash.0[..BITS as usize / 8].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte));
        Self { seq, bits }
    }
}

impl Record {
    /// The code by which a print of this record is checked.
    #[must_use]
    pub fn code(&self) -> CheckingCode {
        CheckingCode::new(self.seq, &self.hash)
    }
}

impl fmt::Display for CheckingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.seq)?;
        for place in 0..DIGITS {
            if place % 4 == 0 {
                f.write_str("-")?;
            }
            let digit = self.bits >> (5 * (DIGITS - 1 - place)) & 31;
            write!(f, "{}", char::from(ALPHABET[digit as usize]))?;
        }
        Ok(())
    }
}

impl fmt::Debug for CheckingCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckingCode({self})")
    }
}

impl FromStr for CheckingCode {
    type Err = ParseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = || {
            let (seq, digits) = text.trim().split_once(['-', ' '])?;
            let mut digits = digits.chars().filter(|letter| !matches!(letter, '-' | ' '));
            let bits = digits
                .by_ref()
                .take(DIGITS)
                .try_fold((0, 0), |(bits, count), letter| Some((bits << 5 | digit(letter)?, count + 1)));
            let (bits, _) = bits.filter(|(_, count)| *count == DIGITS)?;
            Some(Self { seq: seq.parse().ok()?, bits }).filter(|_| digits.next().is_none())
        };
        parsed().ok_or_else(|| ParseCodeError { text: text.to_owned() })
    }
}

impl serde::Serialize for CheckingCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn digit(letter: char) -> Option<u128> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        letter => letter,
    };
    ALPHABET.iter().position(|known| char::from(*known) == letter).map(|place| place as u128)
}
