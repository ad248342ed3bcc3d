//! Rows for every table of a release, made from the facts, and what became of them after an upgrade.

use std::collections::{BTreeMap, BTreeSet};

use evodoctor::database::ident::SqlFragment;
use evodoctor::evolution::release::Release;
use evodoctor::evolution::schema::{Column, Table, schema as facts};
use serde_json::{Map, Value};
use sqlx::{AssertSqlSafe, PgConnection, Row};

use super::database::execute;

/// The number of rows each table gets.
const ROWS: usize = 3;

/// Fills the tables of a release, parents first, three rows each, except those in `without`. No two rows are equal in a
/// column that is unique in any release.
pub async fn fill(connection: &mut PgConnection, schema: &str, release: Release, without: &[&str]) {
    fill_with(connection, schema, release, without, ROWS).await;
}

/// The same with so many rows each.
pub async fn fill_with(
    connection: &mut PgConnection,
    schema: &str,
    release: Release,
    without: &[&str],
    rows: usize,
) {
    let mut sql = String::from("SET session_replication_role = replica;\n");
    for table in facts().tables(release).filter(|table| !without.contains(&table.name.as_str())) {
        sql += &inserts(table, schema, release, without, rows, "");
    }
    execute(connection, &sql).await;
    execute(connection, "RESET session_replication_role; ANALYZE").await;
}

/// The rows of one table once more, those that are not there: as a server that writes again what was removed.
pub fn missing_rows(table: &Table, schema: &str, release: Release, rows: usize) -> String {
    inserts(table, schema, release, &[], rows, " ON CONFLICT DO NOTHING")
}

fn inserts(
    table: &Table,
    schema: &str,
    release: Release,
    without: &[&str],
    rows: usize,
    on_conflict: &str,
) -> String {
    let columns: Vec<&Column> =
        table.columns(release).filter(|column| is_filled(column, table, release, without)).collect();
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let one = |number| {
        let values: Vec<String> =
            columns.iter().map(|column| value(table, column, release, schema, number)).collect();
        format!(
            "INSERT INTO {} ({}) VALUES ({}){on_conflict};\n",
            SqlFragment::qualified(schema, &table.name),
            SqlFragment::columns(None, &names),
            values.join(", ")
        )
    };
    (0..rows).map(one).collect()
}

/// A column of a key that leads to an empty table stays null; so does what the server fills in.
fn is_filled(column: &Column, table: &Table, release: Release, without: &[&str]) -> bool {
    let leads_nowhere = table
        .foreign_keys(release)
        .any(|key| key.columns.contains(&column.name) && without.contains(&key.references.as_str()));
    !leads_nowhere && !column.default.as_deref().is_some_and(|default| default.contains("nextval"))
}

fn value(table: &Table, column: &Column, release: Release, schema: &str, number: usize) -> String {
    let key = table.foreign_keys(release).find(|key| key.columns == [column.name.clone()]);
    if let Some(key) = key {
        return SqlFragment::literal(&format!("{} {number}", key.references)).to_string();
    }
    match column.data_type.as_str() {
        "boolean" => "true".to_owned(),
        "integer" => number.to_string(),
        "jsonb" if column.name == "labels" => "'[\"1\"]'".to_owned(),
        "jsonb" => "'{\"a\": 1}'".to_owned(),
        "date" | "timestamp without time zone" => "'2024-08-01'".to_owned(),
        kind if kind.starts_with('"') => {
            let name = kind.trim_matches('"');
            let kind = facts().enums(release).find(|one| one.name == name).expect("a known type");
            let last = kind.values.last().expect("a type has values");
            format!("{}::{}", SqlFragment::literal(last), SqlFragment::qualified(schema, name))
        }
        _ if column.name == "id" => SqlFragment::literal(&format!("{} {number}", table.name)).to_string(),
        _ => SqlFragment::literal(&format!("{} {number}", column.name)).to_string(),
    }
}

/// Every row of every table, by table and id, as JSON.
pub type Contents = BTreeMap<String, BTreeMap<String, Map<String, Value>>>;

/// Reads all of a schema.
pub async fn contents(connection: &mut PgConnection, schema: &str) -> Contents {
    let sql = "SELECT relname::text FROM pg_catalog.pg_class WHERE relkind = 'r'
               AND relnamespace = pg_catalog.to_regnamespace($1) AND relname <> '_prisma_migrations'";
    let quoted = SqlFragment::ident(schema).to_string();
    let tables: Vec<String> =
        sqlx::query_scalar(sql).bind(quoted).fetch_all(&mut *connection).await.expect("readable");
    let one = |table: &String| {
        let name = SqlFragment::literal(table);
        let from = SqlFragment::qualified(schema, table);
        format!(
            "SELECT {name}::text, t.\"id\"::text, pg_catalog.to_jsonb(t) FROM {from} AS t
             UNION ALL SELECT {name}, NULL, NULL"
        )
    };
    let sql = tables.iter().map(one).collect::<Vec<_>>().join(" UNION ALL ");
    let rows =
        sqlx::query(AssertSqlSafe(sql)).persistent(false).fetch_all(connection).await.expect("readable");
    let mut contents = Contents::new();
    for row in rows {
        let table = contents.entry(row.get(0)).or_default();
        if let (Some(id), Some(Value::Object(fields))) = (row.get(1), row.get::<Option<Value>, _>(2)) {
            table.insert(id, fields);
        }
    }
    contents
}

/// What became of the rows: per table and action (`removes-rows`, `changes-rows`, `drops-values`) how many.
pub fn difference(before: &Contents, after: &Contents, release: Release) -> BTreeMap<(String, String), i64> {
    let mut counts = BTreeMap::new();
    let mut count = |table: &str, action: &str| {
        *counts.entry((table.to_owned(), action.to_owned())).or_insert(0) += 1;
    };
    for (table, rows) in before {
        let left = after.get(table);
        // Of a column that is new in a table its default is not a change.
        let defaults = defaults(table, release);
        for (id, old) in rows {
            let Some(new) = left.and_then(|left| left.get(id)) else {
                count(table, "removes-rows");
                continue;
            };
            let is_dropped = |name: &String, value: &Value| !new.contains_key(name) && !value.is_null();
            if old.iter().any(|(name, value)| is_dropped(name, value)) {
                count(table, "drops-values");
            }
            let is_changed = |name: &String, value: &Value| match old.get(name) {
                Some(before) => before != value,
                None => !value.is_null() && !defaults.contains(name),
            };
            if new.iter().any(|(name, value)| is_changed(name, value)) {
                count(table, "changes-rows");
            }
        }
    }
    counts
}

fn defaults(table: &str, release: Release) -> BTreeSet<String> {
    let tables = facts().tables(release).filter(|fact| fact.name == table);
    let columns = tables.flat_map(|fact| fact.columns(release)).filter(|column| column.default.is_some());
    columns.map(|column| column.name.clone()).collect()
}
