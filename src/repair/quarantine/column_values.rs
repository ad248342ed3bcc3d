//! The columns of a row on their way into the quarantine, and what a fix writes in their place.

use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;

/// The types whose values can be compared by `=`, and come back as they went in.
const COMPARABLE: [&str; 15] = [
    "text",
    "boolean",
    "smallint",
    "integer",
    "bigint",
    "uuid",
    "date",
    "jsonb",
    "bytea",
    "inet",
    "interval",
    "real",
    "double precision",
    "timestamp without time zone",
    "timestamp with time zone",
];

fn type_of<'t>(table: &'t CatalogTable, column: &str) -> Option<&'t str> {
    let position = table.stored_columns.iter().position(|stored| stored == column)?;
    table.stored_types.get(position).map(String::as_str)
}

/// True if a type is Evolution's, the user's or an extension's own: the server writes it with its schema.
fn is_own(of_type: &str) -> bool {
    of_type.contains('.')
}

fn is_comparable(of_type: &str) -> bool {
    let name = of_type.split('(').next().unwrap_or_default();
    let base = name.strip_suffix("[]").unwrap_or(name);
    COMPARABLE.contains(&base)
        || matches!(base, "character varying" | "character" | "numeric")
        || (base == "timestamp" && !is_own(of_type))
}

/// The columns of a `target` as they are kept: values of foreign types as text, so that no table of ours
/// keeps such a type from being altered or dropped.
pub fn kept_values(table: &CatalogTable, columns: &[String]) -> SqlFragment {
    let one = |column: &String| {
        let name = SqlFragment::ident(column);
        match type_of(table, column) {
            Some(of_type) if is_own(of_type) => format!("target.{name}::pg_catalog.text AS {name}"),
            _ => format!("target.{name}"),
        }
    };
    SqlFragment::assert_safe(columns.iter().map(one).collect::<Vec<_>>().join(",\n        "))
}

/// The value that a column had, of a `kept` row.
pub fn restored_value(table: &CatalogTable, column: &str) -> String {
    let name = SqlFragment::ident(column);
    match type_of(table, column) {
        Some(of_type) if is_own(of_type) => format!("CAST(kept.{name} AS {of_type})"),
        _ => format!("kept.{name}"),
    }
}

/// SQL for: a `target` row has the values of a `kept` one in these columns.
pub(super) fn is_as_kept(table: &CatalogTable, columns: &[String]) -> String {
    let one = |column: &String| {
        let name = SqlFragment::ident(column);
        match type_of(table, column) {
            Some(of_type) if is_comparable(of_type) => {
                format!("target.{name} IS NOT DISTINCT FROM kept.{name}")
            }
            _ => format!("target.{name}::pg_catalog.text IS NOT DISTINCT FROM kept.{name}::pg_catalog.text"),
        }
    };
    match columns {
        [] => "true".to_owned(),
        columns => columns.iter().map(one).collect::<Vec<_>>().join("\n        AND "),
    }
}

/// SQL for: a `target` row has the values that the fix gave it in these columns, according to a `kept` row.
pub(super) fn is_as_changed(columns: &[String]) -> String {
    let one = |column: &String| {
        let (name, key) = (SqlFragment::ident(column), SqlFragment::literal(column));
        format!(
            "COALESCE(pg_catalog.to_jsonb(target.{name}), 'null') = COALESCE(kept.\"evodoctor change\" -> {key}, 'null')"
        )
    };
    columns.iter().map(one).collect::<Vec<_>>().join("\n        AND ")
}

/// `"column" = value` for each column, with the new values of a `marked` row.
pub fn new_values(schema: &str, table: &CatalogTable, columns: &[String]) -> SqlFragment {
    let one = |column: &String| {
        let (name, key) = (SqlFragment::ident(column), SqlFragment::literal(column));
        let value = match type_of(table, column) {
            Some("jsonb") => format!("NULLIF(marked.\"evodoctor change\" -> {key}, 'null')"),
            Some(of_type) if !is_own(of_type) && !of_type.ends_with("[]") && of_type != "json" => {
                format!("CAST(marked.\"evodoctor change\" ->> {key} AS {of_type})")
            }
            _ => {
                let table = SqlFragment::qualified(schema, &table.name);
                format!(
                    "(pg_catalog.jsonb_populate_record(CAST(NULL AS {table}), marked.\"evodoctor change\")).{name}"
                )
            }
        };
        format!("{name} = {value}")
    };
    SqlFragment::assert_safe(columns.iter().map(one).collect::<Vec<_>>().join(",\n    "))
}

/// A number for the values of a `kept` row in these columns: the same for the same values. Each column has a seed of its own.
pub fn digest(columns: &[String]) -> SqlFragment {
    let one = |(number, column): (usize, &String)| {
        let (seed, name) = (number + 1, SqlFragment::ident(column));
        format!(
            "COALESCE(pg_catalog.hashtextextended(kept.{name}::pg_catalog.text COLLATE \"C\", {seed}), {seed})"
        )
    };
    SqlFragment::assert_safe(columns.iter().enumerate().map(one).collect::<Vec<_>>().join(" # "))
}
