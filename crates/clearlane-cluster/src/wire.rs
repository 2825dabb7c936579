//! Numbers and lists of the encodings: little-endian, each length checked before memory is taken for it.

use zeroize::Zeroizing;

use crate::ClusterError;

/// Reads an encoding from its beginning.
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
    length: usize,
}

impl<'a> Reader<'a> {
    /// `what` names the encoding in errors.
    pub(crate) fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes, length: bytes.len() }
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], ClusterError> {
        let short = ClusterError::Short { what: self.what, bytes: self.length };
        let (bytes, rest) = self.rest.split_at_checked(count).ok_or(short)?;
        self.rest = rest;
        Ok(bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ClusterError> {
        let mut array = [0; N];
        array.copy_from_slice(self.bytes(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ClusterError> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ClusterError> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ClusterError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ClusterError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, ClusterError> {
        self.array().map(i64::from_le_bytes)
    }

    pub(crate) fn f32(&mut self) -> Result<f32, ClusterError> {
        self.array().map(f32::from_le_bytes)
    }

    pub(crate) fn f64(&mut self) -> Result<f64, ClusterError> {
        self.array().map(f64::from_le_bytes)
    }

    /// Bytes with their length before them, at most `most`.
    pub(crate) fn list(&mut self, most: usize) -> Result<&'a [u8], ClusterError> {
        let length = self.count("a length", most)?;
        self.bytes(length)
    }

    /// How many of something follow, at most `most`.
    pub(crate) fn count(&mut self, field: &'static str, most: usize) -> Result<usize, ClusterError> {
        let count = self.u32()? as usize;
        if count > most { Err(self.value(field)) } else { Ok(count) }
    }

    /// The error that a field has a value that nobody writes.
    pub(crate) fn value(&self, field: &'static str) -> ClusterError {
        ClusterError::Value { what: self.what, field }
    }

    /// That nothing follows.
    pub(crate) fn end(&self) -> Result<(), ClusterError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.value("what follows its end")) }
    }
}

/// Writes an encoding. Wiped when dropped: it may hold a template.
#[derive(Default)]
pub(crate) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    /// With room for all of it: what grows leaves copies behind.
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes(&[value])
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn i64(&mut self, value: i64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn f32(&mut self, value: f32) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn f64(&mut self, value: f64) -> &mut Self {
        self.bytes(&value.to_le_bytes())
    }

    pub(crate) fn list(&mut self, bytes: &[u8]) -> &mut Self {
        self.u32(bytes.len() as u32).bytes(bytes)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }
}
