//! A staging snapshot: a copy of a database that identifies nobody and has the same findings.
//!
//! Rows are read in one snapshot, get pseudonyms on their way ([`crate::pseudonym`]), and fill a throwaway server's
//! database of the same structure, which is then dumped. The dump is restored and examined before the file is written:
//! what is found there is compared with what is found in the original ([`comparison`]), and the original's values are
//! looked for in it ([`originals`]).

mod columns;
pub mod comparison;
pub mod copier;
mod log_text;
mod originals;
pub mod preconditions;
pub mod row_filter;
mod rows;

use serde::Serialize;

/// The result.
#[derive(Debug, Serialize)]
pub struct StagingSnapshot {
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The tables whose rows are in it.
    pub tables: usize,
    /// The number of those rows.
    pub rows: u64,
    /// The most rows of a table besides those that a finding names, where the user has set it.
    pub rows_per_table: Option<u64>,
    /// The parts that are left out, with the reason.
    pub left_out: Vec<String>,
    /// The number of different values of the original that were looked for in the copy.
    pub values_looked_for: u64,
    /// The number of them that were found. Always 0 in a file that is written.
    pub values_found: u64,
    /// The number of findings the original and the copy have alike.
    pub same_findings: usize,
    /// Findings of one of them only, or with another count.
    pub differences: Vec<String>,
    /// Findings about the server, roles, other schemas, and with `--rows` the size of tables, which the dump does not carry.
    pub not_carried: Vec<String>,
}
