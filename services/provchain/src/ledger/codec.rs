//! Strict reading of the binary formats: big-endian, nothing missing, nothing left over.

use super::{Digest, Error};

/// The unread rest of an encoding.
pub(crate) struct Fields<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) const fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self { what, rest: bytes }
    }

    /// Reads the version byte that every encoding begins with.
    pub(crate) fn version(&mut self, supported: u8) -> Result<(), Error> {
        let found = self.u8()?;
        if found == supported {
            return Ok(());
        }
        Err(Error::Version {
            what: self.what,
            found: found.into(),
            supported: supported.into(),
        })
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (head, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or_else(|| self.malformed("too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn bytes(&mut self, len: usize) -> Result<&'a [u8], Error> {
        let (head, rest) = self
            .rest
            .split_at_checked(len)
            .ok_or_else(|| self.malformed("too short"))?;
        self.rest = rest;
        Ok(head)
    }

    /// Text behind its length in bytes (`u16`), never empty.
    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        let len = u16::from_be_bytes(self.array()?);
        let bytes = self.bytes(len.into())?;
        match std::str::from_utf8(bytes) {
            Ok("") => Err(self.malformed("an empty name")),
            Ok(text) => Ok(text),
            Err(_) => Err(self.malformed("a name that is not UTF-8")),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn digest(&mut self) -> Result<Digest, Error> {
        self.array().map(Digest)
    }

    /// Everything that is left.
    pub(crate) const fn rest(self) -> &'a [u8] {
        self.rest
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.malformed("bytes behind the end"))
    }

    pub(crate) fn malformed(&self, reason: &'static str) -> Error {
        Error::malformed(self.what, reason)
    }
}

/// Appends text behind its length in bytes (`u16`).
pub(crate) fn put_text(out: &mut Vec<u8>, text: &str) -> Result<(), Error> {
    let len =
        u16::try_from(text.len()).map_err(|_| Error::Refused("a name of over 65535 bytes"))?;
    if len == 0 {
        return Err(Error::Refused("an empty name"));
    }
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
    Ok(())
}
