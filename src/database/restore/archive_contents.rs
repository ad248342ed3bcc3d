//! The files that a dump's directory names. pg_restore opens whatever its table of contents says, so a hostile dump
//! could name `../../.ssh/id_rsa`, or hold a link to it, and have it loaded as rows: everything is checked before
//! pg_restore reads it.
//!
//! The layout is that of `ReadToc` in PostgreSQL's `pg_backup_archiver.c`.

use std::path::Path;
use std::{fs, io};

use anyhow::Result;

use super::archive_header::ArchiveHeader;
use crate::error::user_error;

/// The newest version of archives that is understood: 1.16, of PostgreSQL 17 and 18.
const NEWEST: u8 = 16;

/// Refuses a directory with a dump in it that holds anything but files.
pub fn expect_files(path: &Path, shown: &str) -> Result<()> {
    if !path.join("toc.dat").exists() {
        return Ok(());
    }
    for entry in fs::read_dir(path).map_err(|error| unreadable_file(shown, &error))? {
        let entry = entry.map_err(|error| unreadable_file(shown, &error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Of a link this is the kind of the link itself.
        if !entry.file_type().map_err(|error| unreadable_file(shown, &error))?.is_file() {
            return Err(leads_out(
                shown,
                &format!("{name:?} in it is not a file: a link, a folder or a device"),
            ));
        }
        // A list of large objects: a number and a file in each line.
        if name != "toc.dat" && name.ends_with(".toc") {
            let list = fs::read(entry.path()).map_err(|error| unreadable_file(shown, &error))?;
            let list = String::from_utf8_lossy(&list);
            if let Some(line) = list.lines().find(|line| line.contains('/')) {
                return Err(leads_out(shown, &format!("{name:?} names {line:?}")));
            }
        }
    }
    Ok(())
}

/// Refuses a table of contents (`toc.dat`) with names that lead out of its directory.
pub fn expect_names_inside(contents: &[u8], shown: &str) -> Result<()> {
    let names = names(contents).ok_or_else(|| {
        user_error(
            format!("the table of contents of {shown} cannot be read, so it is unknown which files it names"),
            "dump into one file instead: pg_dump --format=custom --file=evolution.dump URL; or update evodoctor",
        )
    })?;
    match names.iter().find(|name| name.contains('/') || *name == "..") {
        None => Ok(()),
        Some(name) => Err(leads_out(shown, &format!("its table of contents names {name:?}"))),
    }
}

fn leads_out(shown: &str, what: &str) -> anyhow::Error {
    user_error(
        format!(
            "{shown} refers to files outside of itself, which pg_dump never writes: {what}; \
             nothing of it was read"
        ),
        "do not trust its source; if you made it yourself, copy the files themselves into it (cp -RL)",
    )
}

/// The files that the entries name.
fn names(contents: &[u8]) -> Option<Vec<String>> {
    let (_, version, mut rest) = ArchiveHeader::before(contents)?;
    // Older than PostgreSQL 8.4 there are no directories.
    if !(11..=NEWEST).contains(&version) {
        return None;
    }
    let mut names = Vec::new();
    for _ in 0..rest.integer()? {
        // The number of the entry, and whether it has rows.
        rest.integer()?;
        rest.integer()?;
        // Two oids, the name and the kind.
        for _ in 0..4 {
            rest.maybe_text()?;
        }
        // The section.
        rest.integer()?;
        // What makes it, drops it and copies it; the schema and the tablespace.
        for _ in 0..5 {
            rest.maybe_text()?;
        }
        if version >= 14 {
            // The access method.
            rest.maybe_text()?;
        }
        if version >= 16 {
            // The kind of relation.
            rest.integer()?;
        }
        // The owner, and whether it has oids.
        rest.maybe_text()?;
        rest.maybe_text()?;
        // What it depends on.
        while rest.maybe_text()?.is_some() {}
        names.extend(rest.maybe_text()?.filter(|name| !name.is_empty()));
    }
    Some(names)
}

/// Why a file of the dump cannot be read.
pub fn unreadable_file(shown: &str, error: &io::Error) -> anyhow::Error {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => "run as a user who may read it, or give this user the right",
        _ => "name the dump's file, or the directory that pg_dump -Fd made, with --snapshot",
    };
    user_error(format!("{shown} cannot be read: {error}"), next)
}
