//! Places of rows and hashes of their values, as a reading brings them.

use anyhow::{Result, bail};

use super::Part;
use crate::database::quote::Fragment;
use crate::examine::step::Answer;

/// Of so many suspect rows the places are kept; more are too many to look up one by one.
pub const MOST_ROWS: usize = 100_000;

/// Where a row is: page and number.
pub type Place = (u32, u16);

const PLACE: usize = 6;

pub(super) fn some_places(bytes: &[u8]) -> Option<Vec<Place>> {
    (bytes.len() / PLACE <= MOST_ROWS).then(|| read_places(bytes))
}

/// Places as `tidsend` writes them, one behind the other.
pub fn read_places(bytes: &[u8]) -> Vec<Place> {
    let (places, _) = bytes.as_chunks::<PLACE>();
    places
        .iter()
        .map(|[a, b, c, d, e, f]| (u32::from_be_bytes([*a, *b, *c, *d]), u16::from_be_bytes([*e, *f])))
        .collect()
}

/// Hashes as `int8send` writes them, one behind the other.
pub fn read_hashes(bytes: &[u8]) -> Vec<u64> {
    let (hashes, _) = bytes.as_chunks::<8>();
    hashes.iter().map(|hash| u64::from_be_bytes(*hash)).collect()
}

/// All places in the answers; `None` when there are too many.
///
/// # Errors
/// When the answers are of something else.
pub fn places(answers: Vec<Answer>) -> Result<Option<Vec<Place>>> {
    let mut all = Some(Vec::new());
    for answer in answers {
        let Part::Rows(rows) = answer.made()? else { bail!("places of rows are expected") };
        all = all.zip(rows).map(|(mut all, rows)| {
            all.extend(rows);
            all
        });
    }
    Ok(all.filter(|all| all.len() <= MOST_ROWS))
}

/// The condition for the rows of a table, or of an alias, at these places.
pub fn at(alias: &str, rows: &[Place]) -> Fragment {
    let places: Vec<String> = rows.iter().map(|(page, number)| format!("\"({page},{number})\"")).collect();
    Fragment::keyword(format!("{alias}.ctid = ANY ('{{{}}}'::pg_catalog.tid[])", places.join(",")))
}

/// The query for the rows of a table at these places.
pub fn rows_at(table: &Fragment, rows: &[Place]) -> Fragment {
    Fragment::keyword(format!("SELECT suspect.* FROM {table} AS suspect WHERE {}", at("suspect", rows)))
}
