//! Places of rows and hashes of their values, as a reading brings them.

use anyhow::{Result, bail};

use super::projection::{ChunkPart, Ctid, MOST_ROWS};
use crate::checks::step::StepAnswer;
use crate::database::ident::SqlFragment;

const PLACE: usize = 6;

pub(super) fn some_places(bytes: &[u8]) -> Option<Vec<Ctid>> {
    (bytes.len() / PLACE <= MOST_ROWS).then(|| decode_ctids(bytes))
}

/// Places as `tidsend` writes them, one behind the other.
pub fn decode_ctids(bytes: &[u8]) -> Vec<Ctid> {
    let (places, _) = bytes.as_chunks::<PLACE>();
    places
        .iter()
        .map(|[a, b, c, d, e, f]| (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f])))
        .collect()
}

/// Hashes as `int8send` writes them, one behind the other.
pub fn decode_hashes(bytes: &[u8]) -> Vec<u64> {
    let (hashes, _) = bytes.as_chunks::<8>();
    hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect()
}

/// All places in the answers; `None` when there are too many.
///
/// # Errors
/// When the answers are of something else.
pub fn collect_ctids(answers: Vec<StepAnswer>) -> Result<Option<Vec<Ctid>>> {
    let mut all = Some(Vec::new());
    for answer in answers {
        let ChunkPart::Rows(rows) = answer.made()? else { bail!("places of rows are expected") };
        all = all.zip(rows).map(|(mut all, rows)| {
            all.extend(rows);
            all
        });
    }
    Ok(all.filter(|all| all.len() <= MOST_ROWS))
}

/// The condition for the rows of a table, or of an alias, at these places.
pub fn ctid_condition(alias: &str, rows: &[Ctid]) -> SqlFragment {
    let places: Vec<String> = rows.iter().map(|(page, number)| format!("\"({page},{number})\"")).collect();
    SqlFragment::assert_safe(format!("{alias}.ctid = ANY ('{{{}}}'::pg_catalog.tid[])", places.join(",")))
}

/// The query for the rows of a table at these places.
pub fn rows_by_ctid(table: &SqlFragment, rows: &[Ctid]) -> SqlFragment {
    SqlFragment::assert_safe(format!(
        "SELECT suspect.* FROM {table} AS suspect WHERE {}",
        ctid_condition("suspect", rows)
    ))
}
