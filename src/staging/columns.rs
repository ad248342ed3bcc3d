//! The columns of a table, and how the values in each are treated.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::log_text;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::evolution::personal_data::{DataClass, json_class, value_class};
use crate::pseudonym::{Pseudonymizer, map_array};

/// Where Prisma keeps its history: names and hashes of upstream's files, and what a failed migration said.
pub(super) const HISTORY: &str = "_prisma_migrations";

/// The kinds of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Says nothing of anybody.
    Kept,
    /// A time, which the server shifts.
    Time,
    Text,
    Texts,
    Number,
    Numbers,
    Json,
    Bytes,
    /// Of the history: what the server said.
    Log,
}

/// One column.
#[derive(Debug, Clone)]
pub struct StagingColumn {
    /// Its name.
    pub name: String,
    data_type: String,
    kind: Kind,
}

/// The tables of a schema, with the columns that can be copied, and what cannot be.
#[derive(Debug, Default)]
pub struct StagingTables {
    /// By name.
    pub tables: BTreeMap<String, Vec<StagingColumn>>,
    /// Columns that are left out, with the reason.
    pub left_out: Vec<String>,
}

impl StagingTables {
    /// Reads them from the catalog.
    ///
    /// # Errors
    /// When a column can neither be copied nor left out.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self> {
        let rows = query_file(connection, "sql/staging/columns.sql", &Variables::for_schema(schema)).await?;
        let mut read = Self::default();
        for row in &rows {
            let (table, name): (String, String) = (row.try_get("table")?, row.try_get("column")?);
            let data_type: String = row.try_get("type")?;
            let kind: String = row.try_get("kind")?;
            let kind = match kind.as_str() {
                _ if table == HISTORY && name == "logs" => Kind::Log,
                "text" if table == HISTORY => Kind::Kept,
                "kept" => Kind::Kept,
                "time" => Kind::Time,
                "text" => Kind::Text,
                "texts" => Kind::Texts,
                "number" => Kind::Number,
                "numbers" => Kind::Numbers,
                "json" => Kind::Json,
                "bytes" => Kind::Bytes,
                _ if row.try_get("may_be_left_out")? => {
                    read.left_out
                        .push(format!("{table}.{name}: there is no pseudonym for the type {data_type}"));
                    read.tables.entry(table).or_default();
                    continue;
                }
                _ => {
                    return Err(user_error(
                        format!(
                            "column {table:?}.{name:?} has the type {data_type}, for which there is no pseudonym, and may not be empty"
                        ),
                        "drop its NOT NULL in a restored copy (ALTER TABLE … ALTER COLUMN … DROP NOT NULL), and make the snapshot of that",
                    ));
                }
            };
            read.tables.entry(table).or_default().push(StagingColumn { name, data_type, kind });
        }
        Ok(read)
    }
}

impl StagingColumn {
    /// The column as it is read: times are shifted by the server, which knows their calendars.
    pub fn expression(&self, names: &Pseudonymizer) -> SqlFragment {
        let name = SqlFragment::ident(&self.name);
        let text = match self.kind {
            Kind::Time => format!(
                "({name} + pg_catalog.make_interval(secs => {}))::{}",
                names.shift().seconds(),
                self.data_type
            ),
            _ => name.to_string(),
        };
        SqlFragment::assert_safe(text)
    }

    /// True if a value of it can go as it is, whatever it says.
    pub fn is_kept(&self) -> bool {
        matches!(self.kind, Kind::Kept | Kind::Time)
    }

    /// The pseudonym of a value. `seen` is called for every personal value in it, and returns whether a pseudonym is
    /// needed: a caller that only searches does not wait for one.
    pub fn map(
        &self,
        table: &str,
        value: &str,
        names: &Pseudonymizer,
        seen: &mut dyn FnMut(&str) -> bool,
    ) -> Result<String> {
        Ok(match self.kind {
            Kind::Kept | Kind::Time => value.to_owned(),
            Kind::Text if value_class(table, &self.name, value) == DataClass::Public => value.to_owned(),
            // A JSON document in a text column: Session.creds.
            Kind::Text if value.starts_with(['{', '[']) => {
                match names.map_document(value, &mut |_, text| !seen(text)) {
                    Some(document) => document,
                    None => personal_value(value, names, seen),
                }
            }
            Kind::Text => personal_value(value, names, seen),
            Kind::Texts => map_array(value, &mut |element| personal_value(element, names, seen)),
            Kind::Number => names.map_number(value).unwrap_or_else(|| value.to_owned()),
            Kind::Numbers => map_array(value, &mut |element| {
                names.map_number(element).unwrap_or_else(|| element.to_owned())
            }),
            Kind::Json => {
                let mut is_public = |path: &[&str], text: &str| {
                    let class = json_class(table, &self.name, path, &Value::String(text.to_owned()));
                    class == DataClass::Public || !seen(text)
                };
                names
                    .map_document(value, &mut is_public)
                    .with_context(|| format!("a value of {table}.{} is not JSON", self.name))?
            }
            // Hexadecimal digits behind `\x`.
            Kind::Bytes => match value.strip_prefix("\\x") {
                Some(digits) => format!("\\x{}", names.map_text(digits)),
                None => names.map_text(value),
            },
            Kind::Log => log_text::map_log(value, names),
        })
    }
}

fn personal_value(value: &str, names: &Pseudonymizer, seen: &mut dyn FnMut(&str) -> bool) -> String {
    if seen(value) { names.map_value(value) } else { value.to_owned() }
}
