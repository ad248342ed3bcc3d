//! A reference that no column holds: the key id of a status update is inside of its message's `key`, which is jsonb. No
//! index leads there, and a hash of ten million messages fills no server's `work_mem`: it would spill to its disk.
//!
//! So the server only makes a hash of eight bytes for each row, and the rows are compared here. First one reading of the
//! messages brings theirs, eighty megabytes for ten million; then pieces of the updates are held against them. What has
//! no equal among the hashes has no message for certain. Two different keys have the same hash by chance once in some
//! hundred thousand databases of that size, and would hide an update of a message that is gone: `--paranoid` compares
//! the keys themselves.

use std::rc::Rc;

use anyhow::Result;

use crate::database::quote::Fragment;
use crate::examine::reading::{MOST_ROWS, Part, Place, Want, at, hashes, places};
use crate::examine::runner::Scope;
use crate::examine::step::{Answer, Next, Question};

/// Of more messages the hashes are not held in memory, where they would take 512 MB.
const MOST: u64 = 64 << 20;

/// Renders the check's query with the condition for an update, called `entry`, whose message is gone.
pub type Wording<'a> = Rc<dyn Fn(Fragment) -> Result<String> + 'a>;

/// The condition as the server decides it.
pub fn anti_join(schema: &str) -> Fragment {
    let message = Fragment::qualified(schema, "Message");
    Fragment::keyword(format!(
        "NOT EXISTS (SELECT FROM {message} AS message WHERE message.\"key\" ->> 'id' = entry.\"keyId\" AND \
         message.\"instanceId\" = entry.\"instanceId\")"
    ))
}

/// The question of a check that asks for updates of messages that are gone, among other things. `cost` is in pages.
///
/// # Errors
/// When a file of this program is broken.
pub fn question<'a>(scope: &'a Scope<'a>, cost: u64, word: Wording<'a>) -> Result<Question<'a>> {
    let schema = &scope.catalog.schema;
    if !fits(scope) {
        return Ok(Question::query("", cost, Ok(word(anti_join(schema))?)));
    }
    tracing::debug!(
        "MessageUpdate.keyId → Message: hashes of both are compared here, no index leads to key ids"
    );
    let of = |table: &str, key: &str| {
        let table = Fragment::qualified(schema, table);
        format!(
            "pg_catalog.hashtextextended(({table}.{key}) COLLATE pg_catalog.\"C\", \
             pg_catalog.hashtextextended({table}.\"instanceId\" COLLATE pg_catalog.\"C\", 0))"
        )
    };
    let wanted = Want::Hashes { expression: of("Message", "\"key\" ->> 'id'"), with_places: false };
    // Without a key id, or an instance, it belongs to no message.
    let expression = format!("COALESCE({}, 0)", of("MessageUpdate", "\"keyId\""));
    let steps = scope.readings.join(scope.catalog, "Message", "hashes of Message", wanted, Answer::of);
    let then = move |answers: Vec<Answer>| {
        let known = Rc::new(Known::new(hashes(answers)?));
        let wanted = Want::Hashes { expression, with_places: true };
        let about = "MessageUpdate against hashes of Message";
        let look = move |part: Part| Answer::of(known.missing(part));
        let steps = scope.readings.join(scope.catalog, "MessageUpdate", about, wanted, look);
        let then = move |answers: Vec<Answer>| {
            let gone = match places(answers)? {
                None => anti_join(schema),
                Some(rows) => at("entry", &rows),
            };
            Ok(Next::finding(vec![crate::examine::step::Step::query("", cost, word(gone)?)]))
        };
        Ok(Next::Steps(steps, Box::new(then)))
    };
    Ok(Question { about: String::new(), steps: Ok(steps), then: Box::new(then) })
}

/// Whether both tables are there in their usual form, large enough to be worth it, and not too large.
fn fits(scope: &Scope<'_>) -> bool {
    let is_plain = |table: &str, columns: [&str; 2]| {
        let known = columns.map(|column| scope.catalog.columns.get(table, column));
        known.iter().all(|column| column.is_some_and(|column| column.is_deterministic))
    };
    let rows = |table: &str| scope.catalog.tables.get(table).map_or(0, |table| table.rows);
    !scope.paranoid
        && is_plain("Message", ["key", "instanceId"])
        && is_plain("MessageUpdate", ["keyId", "instanceId"])
        && scope.catalog.pages("Message").min(scope.catalog.pages("MessageUpdate")) >= scope.large
        && rows("Message") <= MOST
}

/// The hashes that there are, for many look-ups in no order.
struct Known {
    sorted: Vec<u64>,
    /// Where those with the same first bits begin; as many as there are hashes for about four.
    starts: Vec<u32>,
    shift: u32,
}

impl Known {
    fn new(mut sorted: Vec<u64>) -> Self {
        sorted.sort_unstable();
        sorted.dedup();
        let bits = (sorted.len() / 4).max(2).ilog2();
        let shift = u64::BITS - bits;
        let mut starts = vec![0; (1 << bits) + 1];
        for hash in &sorted {
            starts[(hash >> shift) as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        Self { sorted, starts, shift }
    }

    fn has(&self, hash: u64) -> bool {
        let at = (hash >> self.shift) as usize;
        self.sorted[self.starts[at] as usize..self.starts[at + 1] as usize].contains(&hash)
    }

    /// The places of rows whose hash is not there.
    fn missing(&self, part: Part) -> Part {
        let Part::Hashes(hashes, places) = part else { return part };
        let rows =
            hashes.into_iter().zip(places).filter(|(hash, _)| !self.has(*hash)).map(|(_, place)| place);
        let rows: Vec<Place> = rows.take(MOST_ROWS + 1).collect();
        Part::Rows((rows.len() <= MOST_ROWS).then_some(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_known_or_its_row_is_missing() {
        for count in [0u64, 1, 2, 3, 100, 5000] {
            let hash = |number: u64| (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let known = Known::new((0..count).chain(0..count / 2).map(hash).collect());
            let asked: Vec<u64> = (0..2 * count + 3).map(hash).chain([0, u64::MAX]).collect();
            let places = (0..asked.len()).map(|page| (page as u32, 1)).collect();
            let Part::Rows(Some(rows)) = known.missing(Part::Hashes(asked.clone(), places)) else { panic!() };
            let expected: Vec<Place> = (count as u32..asked.len() as u32).map(|page| (page, 1)).collect();
            assert_eq!(rows, expected, "{count}");
        }
    }
}
