//! A reference that no column holds: the key id of a status update is inside of its message's `key`, which is jsonb. No
//! index leads there, and a hash of ten million messages fills no server's `work_mem`: it would spill to its disk.
//!
//! So the server only makes a hash of eight bytes for each row, and the rows are compared here: one reading of the messages
//! brings theirs, eighty megabytes for ten million; then pieces of the updates are held against them (see
//! [`Known`](crate::examine::known)). `--paranoid` compares the keys themselves.

use std::rc::Rc;

use anyhow::Result;

use super::first_rows::{FirstRows, first_five};
use super::hash_anti_join::{collect_missing, missing_in_chunk};
use crate::checks::context::CheckContext;
use crate::checks::step::{Next, Question, Step, StepAnswer};
use crate::checks::table_scan::{MOST_HASHES, MissingRows, Projection, ctid_condition, hash_expression};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// Renders the check's query with a query for the updates whose message is gone: their count and examples.
pub type UpdateQuery<'a> = Rc<dyn Fn(SqlFragment) -> Result<String> + 'a>;

/// The condition for an update, called `entry`, whose message is gone, as the server decides it.
fn anti_join(schema: &str) -> SqlFragment {
    let message = SqlFragment::qualified(schema, "Message");
    SqlFragment::assert_safe(format!(
        "NOT EXISTS (SELECT FROM {message} AS message WHERE message.\"key\" ->> 'id' = entry.\"keyId\" AND \
         message.\"instanceId\" = entry.\"instanceId\")"
    ))
}

/// Says that both tables are going to be read from end to end, where they are.
pub fn register_scans(scope: &CheckContext<'_>) {
    if fits(scope) {
        ["Message", "MessageUpdate"].iter().for_each(|table| scope.readings.register(table));
    }
}

/// The query for the updates for which a condition holds.
fn updates(schema: &str, gone: SqlFragment) -> Result<SqlFragment> {
    let variables = Variables::for_schema(schema).sql("gone", gone);
    render_file("sql/orphans/updates.sql", &variables).map(SqlFragment::assert_safe)
}

/// The question of a check that asks for updates of messages that are gone, among other things. `ask` makes a step of its
/// rendered query.
///
/// # Errors
/// When a file of this program is broken.
pub fn question<'a>(
    scope: &'a CheckContext<'a>,
    ask: impl Fn(String) -> Step + 'a,
    word: UpdateQuery<'a>,
) -> Result<Question<'a>> {
    let schema = &scope.catalog.schema;
    if !fits(scope) {
        return Ok(Question::step(ask(word(updates(schema, anti_join(schema))?)?)));
    }
    tracing::debug!(
        "MessageUpdate.keyId → Message: hashes of both are compared here, no index leads to key ids"
    );
    let of = |table: &str, key: &str| {
        let table = SqlFragment::qualified(schema, table);
        let of_instance = hash_expression(&format!("{table}.\"instanceId\""), "0");
        hash_expression(&format!("({table}.{key})"), &of_instance)
    };
    let (known, mut steps) = scope.readings.hash_set(
        scope.catalog,
        "Message",
        "hashes of Message",
        of("Message", "\"key\" ->> 'id'"),
    );
    // Without a key id, or an instance, it belongs to no message.
    let expression = format!("COALESCE({}, 0)", of("MessageUpdate", "\"keyId\""));
    let front = FirstRows { hash: expression.clone(), condition: "true".to_owned() };
    let wanted = Projection::Hashes { expression, condition: None, with_places: true };
    let about = "MessageUpdate against hashes of Message";
    let first = steps.len();
    steps.extend(scope.readings.subscribe(
        scope.catalog,
        "MessageUpdate",
        about,
        wanted,
        missing_in_chunk(&known),
    ));
    let then = move |mut answers: Vec<StepAnswer>| {
        let count = match collect_missing(&known, answers.split_off(first))? {
            MissingRows { rows: Some(rows), .. } => {
                return Ok(Next::finding(vec![ask(word(updates(schema, ctid_condition("entry", &rows))?)?)]));
            }
            MissingRows { count, .. } => count,
        };
        // They are counted, and only examples are wanted still.
        let table = SqlFragment::qualified(schema, "MessageUpdate");
        let order = SqlFragment::assert_safe(format!("{table}.\"id\""));
        let step = front.step(String::new(), &table, &Variables::default().sql("order", order))?;
        let then = move |answers: Vec<StepAnswer>| {
            let found = match first_five(&known, answers)? {
                None => updates(schema, anti_join(schema))?,
                Some(rows) => {
                    let variables = Variables::for_schema(schema)
                        .text("count", count.to_string())
                        .sql("gone", ctid_condition("entry", &rows));
                    render_file("sql/orphans/updates_counted.sql", &variables)
                        .map(SqlFragment::assert_safe)?
                }
            };
            Ok(Next::finding(vec![ask(word(found)?)]))
        };
        Ok(Next::Steps(vec![step], Box::new(then)))
    };
    Ok(Question { about: String::new(), steps: Ok(steps), then: Box::new(then) })
}

/// Whether both tables are there in their usual form, large enough to be worth it, and not too large.
fn fits(scope: &CheckContext<'_>) -> bool {
    let is_plain = |table: &str, columns: [&str; 2]| {
        let known = columns.map(|column| scope.catalog.columns.get(table, column));
        known.iter().all(|column| column.is_some_and(|column| column.is_deterministic))
    };
    let rows = |table: &str| scope.catalog.tables.get(table).map_or(0, |table| table.rows);
    !scope.paranoid
        && is_plain("Message", ["key", "instanceId"])
        && is_plain("MessageUpdate", ["keyId", "instanceId"])
        && scope.catalog.page_count("Message").min(scope.catalog.page_count("MessageUpdate")) >= scope.large
        && rows("Message") <= MOST_HASHES
}
