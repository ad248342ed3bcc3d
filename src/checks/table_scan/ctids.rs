//! Ctids of rows and hashes of their values, as a scan brings them.

use anyhow::{Result, bail};

use super::projection::{ChunkPart, Ctid, MAX_ROWS};
use crate::database::ident::SqlFragment;

/// Bytes of a ctid.
const CTID: usize = 6;

/// Ctids as [`decode_ctids`] reads them; `None` when there are too many.
pub(super) fn decode_few_ctids(bytes: &[u8]) -> Option<Vec<Ctid>> {
    (bytes.len() / CTID <= MAX_ROWS).then(|| decode_ctids(bytes))
}

/// Ctids as `tidsend` writes them, one behind the other.
pub fn decode_ctids(bytes: &[u8]) -> Vec<Ctid> {
    let (ctids, _) = bytes.as_chunks::<CTID>();
    ctids
        .iter()
        .map(|[a, b, c, d, e, f]| (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f])))
        .collect()
}

/// Hashes as `int8send` writes them, one behind the other.
pub fn decode_hashes(bytes: &[u8]) -> Vec<u64> {
    let (hashes, _) = bytes.as_chunks::<8>();
    hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect()
}

/// All ctids of a scan's chunks; `None` when there are too many.
///
/// # Errors
/// When the parts are of something else.
pub fn collect_ctids(parts: Vec<ChunkPart>) -> Result<Option<Vec<Ctid>>> {
    let mut all = Some(Vec::new());
    for part in parts {
        let ChunkPart::Rows(rows) = part else { bail!("ctids of rows are expected") };
        all = all.zip(rows).map(|(mut all, rows)| {
            all.extend(rows);
            all
        });
    }
    Ok(all.filter(|all| all.len() <= MAX_ROWS))
}

/// The condition for the rows of a table, or of an alias, with these ctids.
pub fn ctid_condition(alias: &str, rows: &[Ctid]) -> SqlFragment {
    let ctids: Vec<String> = rows.iter().map(|(page, number)| format!("\"({page},{number})\"")).collect();
    SqlFragment::assert_safe(format!("{alias}.ctid = ANY ('{{{}}}'::pg_catalog.tid[])", ctids.join(",")))
}

/// The query for the rows of a table with these ctids.
pub fn rows_by_ctid(table: &SqlFragment, rows: &[Ctid]) -> SqlFragment {
    SqlFragment::assert_safe(format!(
        "SELECT suspect.* FROM {table} AS suspect WHERE {}",
        ctid_condition("suspect", rows)
    ))
}
