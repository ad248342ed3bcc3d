//! The head of pg_dump's archives: which program made it, of which server's which database.
//!
//! The layout is that of `ReadHead` in PostgreSQL's `pg_backup_archiver.c`: `PGDMP`, the archive's version in three
//! bytes, the size of integers and of offsets, the format, then (since 1.15 in one byte, before as an integer) the
//! compression, seven integers of a date, and three texts.

/// The origin that a dump states.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpOrigin {
    /// The database's name, if the dump has it.
    pub database: Option<String>,
    /// The server's version, such as `17.2 (Debian 17.2-1.pgdg120+1)`.
    pub server: Option<String>,
    /// The version of pg_dump.
    pub program: Option<String>,
}

/// The first bytes of every archive.
pub const MAGIC: &[u8] = b"PGDMP";

/// The head of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveHeader {
    /// True if its rows are compressed.
    pub is_compressed: bool,
    /// Where it comes from.
    pub dumped: DumpOrigin,
}

impl ArchiveHeader {
    /// Reads it; `None` when it is damaged.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Some(Self::before(bytes)?.0)
    }

    /// The head, the archive's version (of 1.x the x), and what follows: its table of contents.
    pub(super) fn before(bytes: &[u8]) -> Option<(Self, u8, ArchiveBytes<'_>)> {
        let mut rest = ArchiveBytes { bytes: bytes.strip_prefix(MAGIC)?, integer: 4 };
        let [major, minor, _revision, integer, _offset, _format] = *rest.take(6)? else { return None };
        rest.integer = usize::from(integer);
        let is_compressed = match (major, minor) {
            (1, ..15) => rest.integer()? != 0,
            _ => rest.take(1)?[0] != 0,
        };
        for _ in 0..7 {
            rest.integer()?;
        }
        let (database, server, program) = (rest.text()?, rest.text()?, rest.text()?);
        let dumped = DumpOrigin { database: Some(database), server: Some(server), program: Some(program) };
        (major == 1).then_some((Self { is_compressed, dumped }, minor, rest))
    }
}

/// The rest of an archive that is still to be read.
pub(super) struct ArchiveBytes<'a> {
    bytes: &'a [u8],
    integer: usize,
}

impl<'a> ArchiveBytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length)?;
        self.bytes = rest;
        Some(taken)
    }

    /// A sign and the bytes of the number, the least first.
    pub(super) fn integer(&mut self) -> Option<i64> {
        let is_negative = self.take(1)?[0] != 0;
        let size = self.integer;
        let bytes = self.take(size).filter(|bytes| bytes.len() <= 8)?;
        let number = bytes.iter().rev().fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
        Some(if is_negative { -number } else { number })
    }

    fn text(&mut self) -> Option<String> {
        self.maybe_text()?
    }

    /// A text that may be none, which has a negative length.
    #[expect(clippy::option_option, reason = "the archive may end before it, or say that there is none")]
    pub(super) fn maybe_text(&mut self) -> Option<Option<String>> {
        let length = self.integer()?;
        if length < 0 {
            return Some(None);
        }
        let length = usize::try_from(length).ok()?;
        Some(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn archive(version: u8) -> Vec<u8> {
        let integer = |number: u8| [0, number, 0, 0, 0];
        let mut bytes = [MAGIC, &[1, version, 0, 4, 8, 1]].concat();
        bytes.extend(if version < 15 { vec![1, 1, 0, 0, 0] } else { vec![3] });
        bytes.extend([0; 7].map(integer).concat());
        for text in ["evolution", "17.2 (Debian)", "17.4"] {
            bytes.extend(integer(text.len().try_into().unwrap()));
            bytes.extend(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn both_layouts_are_read() {
        for version in [14, 16] {
            let header = ArchiveHeader::parse(&archive(version)).unwrap();
            assert!(header.is_compressed);
            let DumpOrigin { database, server, program } = header.dumped;
            assert_eq!(database.as_deref(), Some("evolution"));
            assert_eq!((server.as_deref(), program.as_deref()), (Some("17.2 (Debian)"), Some("17.4")));
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(at in 5_usize..60, byte: u8, length in 0_usize..80) {
            let mut bytes = archive(16);
            bytes[at] = byte;
            bytes.truncate(length);
            let _ = ArchiveHeader::parse(&bytes);
        }
    }
}
