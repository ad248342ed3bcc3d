//! Detects the kind of a file by its content: which kind of dump, from where, or what else.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::archive_contents::{self, unreadable_file};
use super::archive_header::{ArchiveHeader, DumpOrigin, MAGIC};
use crate::error::user_error;
use crate::text::decompress::{self, Compression};

/// Bytes of a file that are needed to identify it: a cluster's dump begins with its roles.
const HEAD: u64 = 64 * 1024;

/// Where a tar archive names its kind, and where its first member begins.
const TAR_MAGIC: usize = 257;
const TAR_HEADER: usize = 512;

/// pg_dump's formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DumpFormat {
    /// `pg_dump`, `pg_dumpall`: statements.
    Plain,
    /// `pg_dump -Fc`.
    Custom,
    /// `pg_dump -Ft`.
    Tar,
    /// `pg_dump -Fd`.
    Directory,
}

impl DumpFormat {
    /// As pg_dump's option names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Custom => "custom",
            Self::Tar => "tar",
            Self::Directory => "directory",
        }
    }
}

/// A dump.
#[derive(Debug, Clone)]
pub struct DumpFile {
    /// The file or directory; `-` for stdin.
    pub path: PathBuf,
    /// Its format.
    pub format: DumpFormat,
    /// The compression of the whole file.
    pub packing: Compression,
    /// Its size as it is stored, in bytes; `None` for stdin.
    pub size: Option<u64>,
    /// True if its rows are compressed inside of it.
    pub is_compressed: bool,
    /// Where it comes from.
    pub dumped: DumpOrigin,
    /// The beginning of stdin, which can be read once only.
    head: Vec<u8>,
}

impl DumpFile {
    /// Looks what the file at `path` is; `-` is stdin.
    ///
    /// # Errors
    /// When it cannot be read, or is not a dump that pg_dump or pg_dumpall made; the message says what it is instead.
    pub fn detect(path: &Path) -> Result<Self> {
        let is_stdin = path == Path::new("-");
        let shown = if is_stdin { "stdin".to_owned() } else { path.display().to_string() };
        let cannot = |error: io::Error| unreadable_file(&shown, &error);
        if !is_stdin && path.is_dir() {
            return directory(path, &shown);
        }
        let size = if is_stdin { None } else { Some(fs::metadata(path).map_err(cannot)?.len()) };
        let mut head = Vec::new();
        let mut file: Box<dyn Read> = match size {
            Some(_) => Box::new(File::open(path).map_err(cannot)?),
            None => Box::new(io::stdin()),
        };
        file.by_ref().take(HEAD).read_to_end(&mut head).map_err(cannot)?;
        let (packing, start) = beginning(&head).map_err(|_| damaged_error(&shown))?;
        let (format, is_compressed, dumped) = kind(&start, &shown)?;
        Ok(Self { path: path.to_owned(), format, packing, size, is_compressed, dumped, head })
    }

    /// Its name for people.
    pub fn display_name(&self) -> String {
        let name = self.path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.filter(|_| !self.is_stdin()).unwrap_or_else(|| "stdin".to_owned())
    }

    /// True if it comes from stdin.
    pub fn is_stdin(&self) -> bool {
        self.size.is_none()
    }

    /// True if pg_restore can take the file as it is.
    pub fn is_archive_file(&self) -> bool {
        self.format != DumpFormat::Plain && self.packing == Compression::None && !self.is_stdin()
    }

    /// All of it, unpacked; `watch` sees the stored bytes on their way.
    pub fn open(&self, watch: impl FnMut(usize) + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        let stored: Box<dyn Read + Send> = match self.size {
            Some(_) => Box::new(File::open(&self.path)?),
            None => Box::new(io::Cursor::new(self.head.clone()).chain(io::stdin())),
        };
        let watched = Watched { source: stored, watch };
        Ok(decompress::decompress_reader(BufReader::with_capacity(256 * 1024, watched))?.0)
    }
}

struct Watched<R, F> {
    source: R,
    watch: F,
}

impl<R: Read, F: FnMut(usize)> Read for Watched<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        (self.watch)(read);
        Ok(read)
    }
}

/// Returns the compression of a file that begins with these bytes, and its first bytes unpacked.
fn beginning(head: &[u8]) -> io::Result<(Compression, Vec<u8>)> {
    let mut start = Vec::new();
    let (reader, packing) = decompress::decompress_reader(head)?;
    match reader.take(HEAD).read_to_end(&mut start) {
        // The head ends in the middle of what is packed: what came until then is what is wanted.
        Err(error) if start.is_empty() => Err(error),
        _ => Ok((packing, start)),
    }
}

/// A directory that pg_dump made.
fn directory(path: &Path, shown: &str) -> Result<DumpFile> {
    archive_contents::expect_files(path, shown)?;
    let contents = path.join("toc.dat");
    let head = fs::read(&contents).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound if path.join("PG_VERSION").exists() => user_error(
            format!("{shown} is a server's data directory, not a dump"),
            "start a server on a copy of it, and examine that: evodoctor check --database-url URL",
        ),
        io::ErrorKind::NotFound => user_error(
            format!("{shown} is a directory, but not one that pg_dump -Fd made: it holds no toc.dat"),
            "name the dump's file, or the directory that pg_dump -Fd made",
        ),
        _ => unreadable_file(&contents.display().to_string(), &error),
    })?;
    let header = ArchiveHeader::parse(&head).ok_or_else(|| damaged_error(shown))?;
    archive_contents::expect_names_inside(&head, shown)?;
    let mut size = 0;
    let mut is_compressed = false;
    for entry in fs::read_dir(path).map_err(|error| unreadable_file(shown, &error))? {
        let entry = entry.map_err(|error| unreadable_file(shown, &error))?;
        size += entry.metadata().map_err(|error| unreadable_file(shown, &error))?.len();
        is_compressed |= entry.path().extension().is_some_and(|ending| ending != "dat");
    }
    Ok(DumpFile {
        path: path.to_owned(),
        format: DumpFormat::Directory,
        packing: Compression::None,
        size: Some(size),
        is_compressed,
        dumped: header.dumped,
        head: Vec::new(),
    })
}

fn kind(start: &[u8], shown: &str) -> Result<(DumpFormat, bool, DumpOrigin)> {
    if start.starts_with(MAGIC) {
        let header = ArchiveHeader::parse(start).ok_or_else(|| damaged_error(shown))?;
        return Ok((DumpFormat::Custom, header.is_compressed, header.dumped));
    }
    if start.get(TAR_MAGIC..).is_some_and(|rest| rest.starts_with(b"ustar")) {
        let header =
            start.starts_with(b"toc.dat\0").then(|| ArchiveHeader::parse(&start[TAR_HEADER..])).flatten();
        let header = header.ok_or_else(|| {
            user_error(
                format!("{shown} is a tar archive, but not one that pg_dump -Ft made"),
                "unpack it (tar xf), then name the dump or the dump's directory that is in it",
            )
        })?;
        return Ok((DumpFormat::Tar, false, header.dumped));
    }
    Ok((DumpFormat::Plain, false, plain(start, shown)?))
}

/// The origin of a plain dump, or why the file is not one.
fn plain(start: &[u8], shown: &str) -> Result<DumpOrigin> {
    let give = "give a dump that pg_dump or pg_dumpall made, in any of its formats, also compressed with \
                gzip or zstd";
    let text = String::from_utf8_lossy(start);
    let text = text.trim_start_matches('\u{feff}');
    if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
        return Err(user_error(
            format!("{shown} is text in UTF-16, as PowerShell's > writes it; pg_dump writes UTF-8"),
            "dump again with pg_dump --file=FILE instead of >, or convert: iconv -f UTF-16 -t UTF-8",
        ));
    }
    if text.trim().is_empty() {
        return Err(user_error(format!("{shown} is empty"), give));
    }
    if ["-- MySQL dump", "-- MariaDB dump", "/*!40", "/*M!", ") ENGINE="]
        .iter()
        .any(|mark| text.contains(mark))
    {
        return Err(user_error(
            format!("{shown} is a dump of MySQL or MariaDB; evodoctor examines Postgres databases only"),
            "give a dump of an Evolution database that runs on Postgres",
        ));
    }
    let first =
        text.split(|c: char| !c.is_ascii_alphabetic()).find(|word| !word.is_empty()).unwrap_or_default();
    let is_sql = text.trim_start().starts_with(['-', '/', '\\'])
        || STATEMENTS.iter().any(|word| first.eq_ignore_ascii_case(word));
    if start.contains(&0) || !is_sql || !text.lines().any(looks_like_sql) {
        return Err(user_error(format!("{shown} is not a dump of a Postgres database"), give));
    }
    let said = |prefix: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(prefix))?;
        Some(value.trim().to_owned())
    };
    Ok(DumpOrigin {
        database: None,
        server: said("-- Dumped from database version "),
        program: said("-- Dumped by pg_dump version "),
    })
}

/// The words that a dump's statements begin with.
const STATEMENTS: &[&str] = &[
    "set", "select", "create", "alter", "drop", "begin", "start", "copy", "insert", "do", "comment",
    "truncate",
];

fn looks_like_sql(line: &str) -> bool {
    let has_word = |word: &&str| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    STATEMENTS.iter().any(|word| has_word(word) && line.len() > word.len())
        || line.starts_with("-- PostgreSQL ")
}

/// A dump that begins well and is not whole.
pub fn damaged_error(shown: &str) -> anyhow::Error {
    user_error(
        format!("{shown} is a dump that is cut off or damaged"),
        "compare its size with the original's and copy it again (in binary mode), or make a new dump",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_a_dump_is_identified() {
        let utf16: Vec<u8> = "\u{feff}-- PostgreSQL".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (start, expected) in [
            (&b""[..], "is empty"),
            (b" \n", "is empty"),
            (b"-- MySQL dump 10.13\n--\n", "MySQL"),
            (b"/*!40101 SET NAMES utf8 */;\n", "MySQL"),
            (b"Dear Sir or Madam,\nI drop you a line.\n", "not a dump"),
            (b"SQLite format 3\0", "not a dump"),
            (b"\x7fELF\0\0", "not a dump"),
            (utf16.as_slice(), "UTF-16"),
            (b"PGDMP\x01", "cut off"),
        ] {
            let error = kind(start, "FILE").unwrap_err().to_string();
            assert!(error.contains(expected), "{start:?}: {error}");
        }
    }

    #[test]
    fn a_plain_dump_says_where_it_comes_from() {
        let text = "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\n-- Dumped from database version 16.4 (Debian)\n\
                    -- Dumped by pg_dump version 17.0\n\nSET x = 0;\n";
        let (format, is_compressed, dumped) = kind(text.as_bytes(), "FILE").unwrap();
        assert_eq!((format, is_compressed), (DumpFormat::Plain, false));
        assert_eq!(
            (dumped.server.as_deref(), dumped.program.as_deref()),
            (Some("16.4 (Debian)"), Some("17.0"))
        );
        for short in
            ["SET client_encoding = 'UTF8';\n", "create table x (a int);", "\u{feff}-- mine\nBEGIN;\n"]
        {
            assert!(kind(short.as_bytes(), "FILE").is_ok(), "{short}");
        }
    }
}
