//! insightface's packed validation sets: a Python pickle of `(pictures, labels)`, two pictures a pair.
//!
//! A pickle is a program, and Python's reader runs it. This one knows the opcodes that a pickler of protocol 2 to 5 writes for
//! a list of bytes and a list of booleans (`Lib/pickletools.py` of CPython describes them), takes the values from where they lie in the
//! file, and refuses everything else. Protocol 2 of Python 3 writes bytes as a call of `_codecs.encode` on text; that one call is
//! recognised, and stands for the bytes.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{CapturePair, PairTest};
use crate::{Capture, Captures};

/// The most entries of a list, and of what a pickle may refer back to. The largest public set, of 7,000 pairs, has 14,000.
const MAX_ENTRIES: usize = 1 << 21;

/// A packed set: its pictures, which lie in the file's bytes, and the labels of their pairs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed<'b> {
    pictures: Vec<PackedPicture<'b>>,
    mated: Vec<bool>,
}

/// A picture in a packed set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedPicture<'b>(Stored<'b>);

/// How a pickle holds bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored<'b> {
    Bytes(&'b [u8]),
    /// As text of the same number of characters, each below U+0100.
    Latin1(&'b str),
}

/// Bytes are not a packed set.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackedError {
    /// The bytes end before the pickle does.
    #[error("offset {offset}: the pickle ends within a value: the file is not whole")]
    Truncated {
        /// Where the value begins.
        offset: usize,
    },
    /// The file is a pickle of another protocol, or none.
    #[error("offset 0: expected a pickle of protocol 2 to 5")]
    Protocol,
    /// An opcode that a list of pictures and one of labels do not need.
    #[error(
        "offset {offset}: opcode {opcode:#04x} does not occur in a pickle of (list of bytes, list of bool): it is not read"
    )]
    Opcode {
        /// The opcode.
        opcode: u8,
        /// Where it is.
        offset: usize,
    },
    /// A call of a function that is not made.
    #[error("offset {offset}: the pickle calls `{name}`, which is not done")]
    Global {
        /// The beginning of the function's name.
        name: String,
        /// Where the call is prepared.
        offset: usize,
    },
    /// An opcode finds other values than it needs.
    #[error("offset {offset}: opcode {opcode:#04x} expects {expected} before it")]
    Order {
        /// The opcode.
        opcode: u8,
        /// Where it is.
        offset: usize,
        /// What it needs.
        expected: &'static str,
    },
    /// Text that stands for bytes has a character that is none.
    #[error("offset {offset}: expected text of characters below U+0100, which stand for bytes")]
    Latin1 {
        /// Where the text begins.
        offset: usize,
    },
    /// A list, or what the pickle refers back to, has more entries than are read.
    #[error("offset {offset}: more than {MAX_ENTRIES} entries, the most that are read")]
    TooMany {
        /// Where the first one too many is.
        offset: usize,
    },
    /// The pickle ends and the file does not.
    #[error("offset {offset}: expected the file's end after the pickle's")]
    Trailing {
        /// Where the pickle ends.
        offset: usize,
    },
    /// There are not two pictures for each label.
    #[error("expected two pictures for each label, got {pictures} pictures and {labels} labels")]
    Counts {
        /// How many pictures there are.
        pictures: usize,
        /// How many labels.
        labels: usize,
    },
}

impl<'b> Packed<'b> {
    /// Reads a packed set. The pictures stay where they are in `bytes`, and are not looked into.
    pub fn parse(bytes: &'b [u8]) -> Result<Self, PackedError> {
        let (pictures, mated) = Machine::new(bytes).run()?;
        if mated.is_empty() || pictures.len() != 2 * mated.len() {
            return Err(PackedError::Counts { pictures: pictures.len(), labels: mated.len() });
        }
        Ok(Self { pictures, mated })
    }

    /// The pictures, two for each pair.
    #[must_use]
    pub fn pictures(&self) -> &[PackedPicture<'b>] {
        &self.pictures
    }

    /// The test: captures named by their numbers in the file, from 0, of whom nobody knows whom they show.
    #[must_use]
    pub fn test(&self) -> PairTest {
        let capture = |number: usize| Capture { picture: number.to_string(), subject: None, labels: Vec::new() };
        let captures = Captures { columns: Vec::new(), captures: (0..self.pictures.len()).map(capture).collect() };
        let pair = |(at, &mated): (usize, &bool)| CapturePair { left: 2 * at, right: 2 * at + 1, mated, fold: 0 };
        let mut test = PairTest { captures, pairs: self.mated.iter().enumerate().map(pair).collect(), folds: 1 };
        test.fold();
        test
    }
}

impl<'b> PackedPicture<'b> {
    /// The picture file's bytes.
    #[must_use]
    pub fn bytes(&self) -> Cow<'b, [u8]> {
        match self.0 {
            Stored::Bytes(bytes) => Cow::Borrowed(bytes),
            Stored::Latin1(text) => Cow::Owned(text.chars().map(|character| character as u8).collect()),
        }
    }
}

/// A value on the pickle's stack.
#[derive(Clone, Copy, Debug)]
enum Value<'b> {
    Mark,
    Picture(PackedPicture<'b>),
    Label(bool),
    /// A list, by its number.
    List(usize),
    /// Text, and where it lies.
    Text(&'b str, usize),
    /// The function `_codecs.encode`.
    Encode,
    /// What it is called with.
    EncodeArguments(PackedPicture<'b>),
    /// The whole: two lists, by their numbers.
    Whole(usize, usize),
}

/// The entries of a list, which are all of one kind.
#[derive(Debug, Default)]
struct List<'b> {
    pictures: Vec<PackedPicture<'b>>,
    labels: Vec<bool>,
}

/// What reads a pickle.
struct Machine<'b> {
    bytes: &'b [u8],
    at: usize,
    /// The opcode that is carried out, and its offset.
    opcode: u8,
    offset: usize,
    stack: Vec<Value<'b>>,
    lists: Vec<List<'b>>,
    memo: HashMap<u32, Value<'b>>,
}

/// The opcodes, by their names in `pickletools`.
mod opcode {
    pub(super) const PROTO: u8 = 0x80;
    pub(super) const FRAME: u8 = 0x95;
    pub(super) const STOP: u8 = b'.';
    pub(super) const MARK: u8 = b'(';
    pub(super) const EMPTY_LIST: u8 = b']';
    pub(super) const APPEND: u8 = b'a';
    pub(super) const APPENDS: u8 = b'e';
    pub(super) const NEWTRUE: u8 = 0x88;
    pub(super) const NEWFALSE: u8 = 0x89;
    pub(super) const TUPLE2: u8 = 0x86;
    pub(super) const BINPUT: u8 = b'q';
    pub(super) const LONG_BINPUT: u8 = b'r';
    pub(super) const MEMOIZE: u8 = 0x94;
    pub(super) const BINGET: u8 = b'h';
    pub(super) const LONG_BINGET: u8 = b'j';
    pub(super) const SHORT_BINBYTES: u8 = b'C';
    pub(super) const BINBYTES: u8 = b'B';
    pub(super) const BINBYTES8: u8 = 0x8e;
    pub(super) const SHORT_BINSTRING: u8 = b'U';
    pub(super) const BINSTRING: u8 = b'T';
    pub(super) const BINUNICODE: u8 = b'X';
    pub(super) const GLOBAL: u8 = b'c';
    pub(super) const REDUCE: u8 = b'R';
}

impl<'b> Machine<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, at: 0, opcode: 0, offset: 0, stack: Vec::new(), lists: Vec::new(), memo: HashMap::new() }
    }

    fn run(mut self) -> Result<(Vec<PackedPicture<'b>>, Vec<bool>), PackedError> {
        if self.bytes.first() != Some(&opcode::PROTO) || !matches!(self.bytes.get(1), Some(2..=5)) {
            return Err(PackedError::Protocol);
        }
        self.at = 2;
        loop {
            self.offset = self.at;
            self.opcode = self.byte()?;
            if self.opcode == opcode::STOP {
                return self.finish();
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), PackedError> {
        match self.opcode {
            opcode::FRAME => {
                // A frame says how much may be read at once; everything is in memory.
                self.take(8)?;
            }
            opcode::MARK => self.push(Value::Mark)?,
            opcode::EMPTY_LIST => {
                if self.lists.len() == 2 {
                    return Err(self.order("fewer than two lists"));
                }
                self.lists.push(List::default());
                self.push(Value::List(self.lists.len() - 1))?;
            }
            opcode::APPEND => {
                let value = self.pop()?;
                self.append_all(&[value])?;
            }
            opcode::APPENDS => {
                let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
                let mark = mark.ok_or_else(|| self.order("a mark"))?;
                let values = self.stack.split_off(mark);
                self.append_all(&values[1..])?;
            }
            opcode::NEWTRUE => self.push(Value::Label(true))?,
            opcode::NEWFALSE => self.push(Value::Label(false))?,
            opcode::TUPLE2 => self.tuple()?,
            opcode::BINPUT => {
                let index = self.byte()?.into();
                self.remember(index)?;
            }
            opcode::LONG_BINPUT => {
                let index = self.number()?;
                self.remember(index)?;
            }
            opcode::MEMOIZE => self.remember(self.memo.len() as u32)?,
            opcode::BINGET => {
                let index = self.byte()?.into();
                self.recall(index)?;
            }
            opcode::LONG_BINGET => {
                let index = self.number()?;
                self.recall(index)?;
            }
            opcode::SHORT_BINBYTES | opcode::SHORT_BINSTRING => {
                let length = self.byte()?.into();
                self.picture(length)?;
            }
            opcode::BINBYTES | opcode::BINSTRING => {
                let length = self.number()?.into();
                self.picture(length)?;
            }
            opcode::BINBYTES8 => {
                let length = self.array().map(u64::from_le_bytes)?;
                self.picture(length)?;
            }
            opcode::BINUNICODE => {
                let length = self.number()?.into();
                let start = self.at;
                let text = std::str::from_utf8(self.take(length)?);
                let text = text.map_err(|_| PackedError::Latin1 { offset: start })?;
                self.push(Value::Text(text, start))?;
            }
            opcode::GLOBAL => self.global()?,
            opcode::REDUCE => {
                let (Value::EncodeArguments(picture), Value::Encode) = (self.pop()?, self.pop()?) else {
                    return Err(self.order("a function and its arguments"));
                };
                self.push(Value::Picture(picture))?;
            }
            opcode => return Err(PackedError::Opcode { opcode, offset: self.offset }),
        }
        Ok(())
    }

    /// The whole, where it is all that was made.
    fn finish(mut self) -> Result<(Vec<PackedPicture<'b>>, Vec<bool>), PackedError> {
        let (Value::Whole(pictures, labels), []) = (self.pop()?, &self.stack[..]) else {
            return Err(self.order("one tuple of two lists and nothing else"));
        };
        if self.at != self.bytes.len() {
            return Err(PackedError::Trailing { offset: self.at });
        }
        let mut list = |at: usize| std::mem::take(&mut self.lists[at]);
        let (pictures, labels) = (list(pictures), list(labels));
        if !pictures.labels.is_empty() || !labels.pictures.is_empty() {
            return Err(self.order("a list of bytes and a list of booleans"));
        }
        Ok((pictures.pictures, labels.labels))
    }

    /// Two lists are the whole; text and the name of its encoding are what `_codecs.encode` is called with.
    fn tuple(&mut self) -> Result<(), PackedError> {
        let (second, first) = (self.pop()?, self.pop()?);
        let value = match (first, second) {
            (Value::List(first), Value::List(second)) if first != second => Value::Whole(first, second),
            (Value::Text(text, offset), Value::Text("latin1", _)) => {
                if text.chars().any(|character| u32::from(character) > 0xff) {
                    return Err(PackedError::Latin1 { offset });
                }
                Value::EncodeArguments(PackedPicture(Stored::Latin1(text)))
            }
            _ => return Err(self.order("two lists, or text and `latin1`")),
        };
        self.push(value)
    }

    /// A function by its module and name, a line each.
    fn global(&mut self) -> Result<(), PackedError> {
        const LONGEST: usize = 200;
        let rest = &self.bytes[self.at..];
        let text = &rest[..rest.len().min(LONGEST)];
        let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
        let end = ends.nth(1).ok_or(PackedError::Truncated { offset: self.offset })?;
        if &text[..end] != b"_codecs\nencode" {
            let name = String::from_utf8_lossy(&text[..end]).replace('\n', ".");
            return Err(PackedError::Global { name, offset: self.offset });
        }
        self.at += end + 1;
        self.push(Value::Encode)
    }

    fn picture(&mut self, length: u64) -> Result<(), PackedError> {
        let bytes = self.take(length)?;
        self.push(Value::Picture(PackedPicture(Stored::Bytes(bytes))))
    }

    fn append_all(&mut self, values: &[Value<'b>]) -> Result<(), PackedError> {
        let Some(&Value::List(list)) = self.stack.last() else { return Err(self.order("a list")) };
        for value in values {
            let List { pictures, labels } = &mut self.lists[list];
            let fits = match *value {
                Value::Picture(picture) if labels.is_empty() => {
                    pictures.push(picture);
                    true
                }
                Value::Label(label) if pictures.is_empty() => {
                    labels.push(label);
                    true
                }
                _ => false,
            };
            if pictures.len().max(labels.len()) > MAX_ENTRIES {
                return Err(PackedError::TooMany { offset: self.offset });
            }
            if !fits {
                return Err(self.order("a list of bytes alone or of booleans alone"));
            }
        }
        Ok(())
    }

    fn remember(&mut self, index: u32) -> Result<(), PackedError> {
        let value = *self.stack.last().ok_or_else(|| self.order("a value"))?;
        if self.memo.len() >= 2 * MAX_ENTRIES {
            return Err(PackedError::TooMany { offset: self.offset });
        }
        self.memo.insert(index, value);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Result<(), PackedError> {
        let value = *self.memo.get(&index).ok_or_else(|| self.order("a value that was remembered"))?;
        self.push(value)
    }

    fn push(&mut self, value: Value<'b>) -> Result<(), PackedError> {
        // A pickler adds to a list after at most a thousand values.
        if self.stack.len() >= MAX_ENTRIES {
            return Err(PackedError::TooMany { offset: self.offset });
        }
        self.stack.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'b>, PackedError> {
        self.stack.pop().ok_or_else(|| self.order("a value"))
    }

    fn order(&self, expected: &'static str) -> PackedError {
        PackedError::Order { opcode: self.opcode, offset: self.offset, expected }
    }

    fn byte(&mut self) -> Result<u8, PackedError> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn number(&mut self) -> Result<u32, PackedError> {
        self.array().map(u32::from_le_bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PackedError> {
        let truncated = PackedError::Truncated { offset: self.offset };
        let array = *self.bytes[self.at..].first_chunk().ok_or(truncated)?;
        self.at += N;
        Ok(array)
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8], PackedError> {
        let rest = &self.bytes[self.at..];
        if length > rest.len() as u64 {
            return Err(PackedError::Truncated { offset: self.offset });
        }
        self.at += length as usize;
        Ok(&rest[..length as usize])
    }
}
