//! Checks the free disk space for a dump, before it is restored.

use std::path::Path;

use anyhow::{Context, Result};

use super::dump_file::{DumpFile, DumpFormat};
use crate::error::user_error;
use crate::text::decompress::Compression;

/// Disk space of an empty server with its WAL, in bytes.
const EMPTY: u64 = 160 << 20;

/// The error for a disk that filled up in spite of the estimate.
pub fn disk_full_error() -> anyhow::Error {
    user_error(
        "the disk is full: the dump needs more room when it is restored",
        "free disk space, or use another folder: TMPDIR=/path/with/room evodoctor …",
    )
}

/// Refuses a dump that cannot fit. Deliberately an underestimate: a full disk is reported clearly later, but a wrong
/// refusal could not be avoided by the user.
///
/// # Errors
/// Says how much is needed, and where.
pub fn expect_disk_space(source: &DumpFile, place: &Path) -> Result<()> {
    let free =
        rustix::fs::statvfs(place).with_context(|| format!("how much is free in {}", place.display()))?;
    let free = free.f_bavail.saturating_mul(free.f_frsize);
    let needed = needed(source);
    if free >= needed {
        return Ok(());
    }
    Err(user_error(
        format!(
            "restoring {} takes about {}, and {} has {} free",
            source.display_name(),
            shown(needed),
            place.display(),
            shown(free)
        ),
        "free disk space, or use another folder: TMPDIR=/path/with/room evodoctor … (a short path, which \
         every user may enter when evodoctor runs as root)",
    ))
}

/// What the restored database takes, in bytes. Text, as Evolution's messages are, packs to a fifth at least; rows,
/// their indexes and the log of changes together take about as much as the dump unpacked.
fn needed(source: &DumpFile) -> u64 {
    let size = source.size.unwrap_or_default();
    let is_packed = source.is_compressed || source.packing != Compression::None;
    let restored = size.saturating_mul(if is_packed { 5 } else { 1 });
    let laid_out = match (source.format, source.is_archive_file()) {
        (DumpFormat::Plain, _) | (_, true) => 0,
        // pg_restore needs it as a file.
        _ => size,
    };
    EMPTY + restored + laid_out
}

/// A size for people.
fn shown(bytes: u64) -> String {
    match bytes >> 20 {
        megabytes @ 0..1024 => format!("{megabytes} MB"),
        megabytes => format!("{}.{} GB", megabytes >> 10, (megabytes % 1024) * 10 / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_the_unit_that_fits() {
        assert_eq!((shown(160 << 20).as_str(), shown(3 << 29).as_str()), ("160 MB", "1.5 GB"));
    }
}
