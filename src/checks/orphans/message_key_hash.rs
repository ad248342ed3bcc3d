//! A reference that no column holds: the key id of a status update is inside of its message's `key`, which is jsonb. No
//! index leads there, and a hash of ten million messages fills no server's `work_mem`: it would spill to its disk.
//!
//! So the server only makes a hash of eight bytes for each row, and the rows are compared here: one scan of the messages
//! brings theirs, eighty megabytes for ten million; then chunks of the updates are compared with them (see
//! [`ValueHashes`](crate::checks::table_scan::ValueHashes)). `--paranoid` compares the keys themselves.

use anyhow::Result;
use futures_util::future::join;

use super::first_rows::FirstRows;
use super::hash_anti_join::{collect_missing, missing_in_chunk};
use crate::checks::check_error::CheckResult;
use crate::checks::context::CheckContext;
use crate::checks::scan_reader::read_scan;
use crate::checks::table_scan::{MAX_HASHES, Projection, ctid_condition, hash_expression};
use crate::checks::task_group::TaskGroup;
use crate::database::ident::SqlFragment;
use crate::database::sql_file::{Variables, render_file};

/// The condition for an update, called `entry`, whose message is gone, as the server decides it.
fn anti_join(schema: &str) -> SqlFragment {
    let message = SqlFragment::qualified(schema, "Message");
    SqlFragment::assert_safe(format!(
        "NOT EXISTS (SELECT FROM {message} AS message WHERE message.\"key\" ->> 'id' = entry.\"keyId\" AND \
         message.\"instanceId\" = entry.\"instanceId\")"
    ))
}

/// Says that both tables are going to be read from end to end, where they are.
pub fn register_scans(context: &CheckContext<'_>) {
    if fits(context) {
        ["Message", "MessageUpdate"].iter().for_each(|table| context.scans.register(table));
    }
}

/// The query for the updates for which a condition holds.
fn updates(schema: &str, gone: SqlFragment) -> Result<SqlFragment> {
    let variables = Variables::for_schema(schema).sql("gone", gone);
    render_file("sql/orphans/updates.sql", &variables).map(SqlFragment::assert_safe)
}

/// A query for the updates whose message is gone (`:updates`): their count and examples.
///
/// # Errors
/// Undecided when one of the tables cannot be read.
pub async fn orphaned_updates(group: &TaskGroup<'_, '_>) -> CheckResult<SqlFragment> {
    let context = group.context();
    let schema = &context.catalog.schema;
    if !fits(context) {
        return Ok(updates(schema, anti_join(schema))?);
    }
    tracing::debug!(
        "MessageUpdate.keyId → Message: hashes of both are compared here, no index leads to key ids"
    );
    let hash = |table: &str, key: &str| {
        let table = SqlFragment::qualified(schema, table);
        let of_instance = hash_expression(&format!("{table}.\"instanceId\""), "0");
        hash_expression(&format!("({table}.{key})"), &of_instance)
    };
    let messages = hash("Message", "\"key\" ->> 'id'");
    let (hashes, messages) = context.scans.hash_set(context.catalog, "Message", messages);
    // Without a key id, or an instance, it belongs to no message.
    let expression = format!("COALESCE({}, 0)", hash("MessageUpdate", "\"keyId\""));
    let projection = Projection::Hashes { expression: expression.clone(), condition: None, with_ctids: true };
    let entries =
        context.scans.subscribe(context.catalog, "MessageUpdate", projection, missing_in_chunk(&hashes));
    let (filled, parts) = join(
        read_scan(&messages, group, "hashes of Message"),
        read_scan(&entries, group, "MessageUpdate against hashes of Message"),
    )
    .await;
    filled?;
    let missing = collect_missing(&hashes, parts?)?;
    if let Some(rows) = missing.rows {
        return Ok(updates(schema, ctid_condition("entry", &rows))?);
    }
    // They are counted, and only examples are wanted still.
    let table = SqlFragment::qualified(schema, "MessageUpdate");
    let order = SqlFragment::assert_safe(format!("{table}.\"id\""));
    let first = FirstRows { table: &table, hash: expression, condition: "true".to_owned(), order };
    match first.five_missing(group, String::new(), &hashes).await? {
        None => Ok(updates(schema, anti_join(schema))?),
        Some(rows) => {
            let variables = Variables::for_schema(schema)
                .text("count", missing.count.to_string())
                .sql("gone", ctid_condition("entry", &rows));
            Ok(SqlFragment::assert_safe(render_file("sql/orphans/updates_counted.sql", &variables)?))
        }
    }
}

/// True if both tables exist in their usual form, are large enough for hashes to pay, and not too large.
fn fits(context: &CheckContext<'_>) -> bool {
    let is_plain = |table: &str, columns: [&str; 2]| {
        let columns = columns.map(|column| context.catalog.columns.get(table, column));
        columns.iter().all(|column| column.is_some_and(|column| column.is_deterministic))
    };
    let rows = |table: &str| context.catalog.tables.get(table).map_or(0, |table| table.rows);
    !context.paranoid
        && is_plain("Message", ["key", "instanceId"])
        && is_plain("MessageUpdate", ["keyId", "instanceId"])
        && context.catalog.page_count("Message").min(context.catalog.page_count("MessageUpdate"))
            >= context.large
        && rows("Message") <= MAX_HASHES
}
