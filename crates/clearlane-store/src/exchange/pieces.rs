//! A text in pieces, lines or CSV records: no more than a limit of each is ever held.

use std::io::{BufRead, ErrorKind};

use zeroize::Zeroizing;

use super::invalid_line;
use crate::{Result, StoreError};

/// The longest line or record: two hundred templates.
pub(super) const MAX_PIECE: usize = 4 << 20;

/// What some editors put before a text.
pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a text is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Lines.
    Lines,
    /// CSV records, as RFC 4180 has them: a line's end (CR LF, LF, or CR alone) within quotes does not end one.
    Records,
}

/// The pieces of a text. Empty ones are passed over, and so is a byte-order mark at the beginning.
pub(super) struct Pieces<'a> {
    text: &'a mut dyn BufRead,
    scan: Scan,
}

/// One piece.
pub(super) struct Piece {
    /// The line it begins on, from 1.
    pub(super) line: u64,
    /// The line it ends on.
    pub(super) last: u64,
    /// Its bytes without what ends it, or why they cannot be had.
    pub(super) content: Result<Zeroizing<Vec<u8>>>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a mut dyn BufRead, kind: Kind) -> Self {
        Self { text, scan: Scan { kind, line: 1, taken: 0, after_return: false, place: Place::FieldStart } }
    }

    /// The next piece; nothing where the text has ended. The error is the stream's.
    pub(super) fn next(&mut self) -> Result<Option<Piece>> {
        loop {
            let line = self.scan.line;
            let (content, ended) = self.one()?;
            let last = if ended { (self.scan.line - 1).max(line) } else { self.scan.line };
            match &content {
                Ok(bytes) if !self.scan.kind.is_empty(bytes) => {}
                Ok(_) if ended => continue,
                Ok(_) => return Ok(None),
                Err(_) => {}
            }
            return Ok(Some(Piece { line, last, content }));
        }
    }

    /// One piece, which may be empty, and whether a line's end ended it and not the text's.
    fn one(&mut self) -> Result<(Result<Zeroizing<Vec<u8>>>, bool)> {
        let mut content = Zeroizing::new(Vec::new());
        let (line, at_start, mut too_long) = (self.scan.line, self.scan.taken == 0, false);
        self.scan.place = Place::FieldStart;
        let ended = loop {
            let chunk = match self.text.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(StoreError::Stream { source }),
            };
            if chunk.is_empty() {
                break false;
            }
            let (used, ended) = self.scan.through(chunk);
            let body = &chunk[..used - usize::from(ended)];
            if too_long || content.len() + body.len() > MAX_PIECE {
                // What was held is wiped; the rest goes by.
                too_long = true;
                content = Zeroizing::new(Vec::new());
            } else {
                content.extend_from_slice(body);
            }
            self.text.consume(used);
            if ended {
                break true;
            }
        };
        if !ended && self.scan.place == Place::Quoted {
            let reason = "a quoted field is never closed: all that follows was taken for it";
            return Ok((Err(invalid_line(line, reason)), ended));
        }
        if too_long {
            return Ok((Err(invalid_line(line, format!("longer than {MAX_PIECE} bytes"))), ended));
        }
        if at_start && content.starts_with(BYTE_ORDER_MARK) {
            content.drain(..BYTE_ORDER_MARK.len());
        }
        Ok((Ok(content), ended))
    }
}

impl Kind {
    fn is_empty(self, piece: &[u8]) -> bool {
        match self {
            Self::Lines => piece.trim_ascii().is_empty(),
            Self::Records => piece.is_empty(),
        }
    }
}

/// Where in a text the reading is.
struct Scan {
    kind: Kind,
    /// The line of the next byte, from 1.
    line: u64,
    /// How many bytes were taken.
    taken: u64,
    /// Whether the byte before was a CR that ended a line.
    after_return: bool,
    place: Place,
}

/// Where in a CSV record the next byte stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    FieldStart,
    Field,
    Quoted,
    /// After a quote within quotes: the first of a pair, or the last one.
    QuoteInQuoted,
}

impl Scan {
    /// Goes through `chunk` up to the piece's end: how many bytes that takes, the end included, and whether it is there.
    fn through(&mut self, chunk: &[u8]) -> (usize, bool) {
        let end = match self.kind {
            Kind::Lines => chunk.iter().position(|byte| *byte == b'\n'),
            Kind::Records => chunk.iter().position(|byte| self.ends_record(*byte)),
        };
        if self.kind == Kind::Lines {
            self.line += u64::from(end.is_some());
            self.taken += chunk.len() as u64;
        }
        end.map_or((chunk.len(), false), |at| (at + 1, true))
    }

    /// Takes a byte of a CSV record: whether it ends the record.
    fn ends_record(&mut self, byte: u8) -> bool {
        let within_mark = BYTE_ORDER_MARK.get(self.taken as usize) == Some(&byte);
        self.taken += 1;
        let after_return = std::mem::replace(&mut self.after_return, byte == b'\r');
        // The LF of a CR LF belongs to the line that the CR ended.
        self.line += u64::from(byte == b'\r' || byte == b'\n' && !after_return);
        let ends = matches!(byte, b'\r' | b'\n') && self.place != Place::Quoted;
        if !within_mark {
            self.place = self.place.after(byte);
        }
        ends
    }
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Quoted, b'"') => Self::QuoteInQuoted,
            (Self::FieldStart | Self::QuoteInQuoted, b'"') | (Self::Quoted, _) => Self::Quoted,
            (_, b',') => Self::FieldStart,
            _ => Self::Field,
        }
    }
}
