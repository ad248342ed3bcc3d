//! Facts about the table for the query that merges duplicates (EVO103): which row is the newest, and which columns one
//! row can take over from another.

use crate::checks::unique_indexes::UniqueIndex;
use crate::database::catalog::{Catalog, CatalogTable};
use crate::database::ident::SqlFragment;
use crate::database::sql_file::Variables;

/// The column that has a rule of its own: the labels of all rows.
const UNITED: &str = "labels";

/// The variables of the query for one index: those of its check, the table's columns by their use, and which of its rows
/// are looked at: all, or those at `places`.
pub fn merge_variables(index: &UniqueIndex, catalog: &Catalog, places: Option<&[String]>) -> Variables {
    let all = SqlFragment::qualified(&catalog.schema, &index.table);
    let place = if places.is_some() { "target.\"evodoctor at\"" } else { "target.ctid" };
    let among = match places {
        None => all,
        Some(places) => {
            let places = places.iter().map(|place| format!("\"{place}\"")).collect::<Vec<_>>().join(",");
            let list = SqlFragment::literal(&format!("{{{places}}}"));
            SqlFragment::assert_safe(format!(
                "(SELECT one.*, one.ctid AS \"evodoctor at\" FROM {all} AS one WHERE one.ctid = ANY ({list}::pg_catalog.tid[]))"
            ))
        }
    };
    let variables =
        index.variables(catalog).sql("among", among).sql("place", SqlFragment::assert_safe(place.to_owned()));
    let Some(table) = catalog.tables.get(&index.table) else { return variables };
    let taken_over = taken_over(table, &index.columns);
    let first = |(column, of_type): &(&String, &String)| {
        let value = format!("ranked.{}", SqlFragment::ident(column));
        // A JSON null is not a value either.
        let is_known = match of_type.as_str() {
            "json" | "jsonb" => format!("pg_catalog.to_jsonb({value}) <> 'null'"),
            // Nor is an empty text, which servers up to 2.2.3 write over a chat's name.
            of_type if is_text(of_type) => format!("{value} <> ''"),
            _ => format!("{value} IS DISTINCT FROM NULL"),
        };
        format!("pg_catalog.min(ranked.\"evodoctor position\") FILTER (WHERE {is_known}) OVER thing")
    };
    let field = |(number, (column, _)): (usize, &(&String, &String))| {
        format!(
            "({}, CASE WHEN known.\"evodoctor first\"[{}] = known.\"evodoctor position\" \
             THEN pg_catalog.to_jsonb(known.{}) END)",
            SqlFragment::literal(column),
            number + 1,
            SqlFragment::ident(column)
        )
    };
    let or = |list: Vec<String>, nothing: &str| match list.is_empty() {
        true => SqlFragment::assert_safe(nothing.to_owned()),
        false => SqlFragment::assert_safe(list.join(", ")),
    };
    let has_labels = table.stored_columns.iter().any(|stored| stored == UNITED);
    let labels = if has_labels { "known.\"labels\"" } else { "CAST(NULL AS jsonb)" };
    variables
        .sql("newest", newest(table))
        .sql("first_known", or(taken_over.iter().map(first).collect(), "CAST(NULL AS bigint)"))
        .sql("fields", or(taken_over.iter().enumerate().map(field).collect(), "('', CAST(NULL AS jsonb))"))
        .sql("labels", SqlFragment::assert_safe(labels.to_owned()))
}

/// The columns that may be empty in one row and filled in another, with their types.
fn taken_over<'a>(table: &'a CatalogTable, key: &[String]) -> Vec<(&'a String, &'a String)> {
    let may_be_empty = |(column, _): &(&String, &String)| {
        column.as_str() != UNITED
            && !key.contains(column)
            && table.all_nullable(std::slice::from_ref(*column))
    };
    table.stored_columns.iter().zip(&table.stored_types).filter(may_be_empty).collect()
}

fn is_text(of_type: &str) -> bool {
    of_type == "text" || of_type.starts_with("character varying") || of_type.starts_with("varchar")
}

/// The newest row first, and always the same one: `target."updatedAt" DESC NULLS LAST, …`.
fn newest(table: &CatalogTable) -> SqlFragment {
    let times = ["updatedAt", "createdAt"].into_iter();
    let times = times.filter(|time| table.stored_columns.iter().any(|column| column == time));
    let mut order: Vec<String> =
        times.map(|time| format!("target.{} DESC NULLS LAST", SqlFragment::ident(time))).collect();
    order.push(SqlFragment::columns(Some("target"), &table.primary_key).to_string());
    SqlFragment::assert_safe(order.join(", "))
}
