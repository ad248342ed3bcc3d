//! The server's errors for a dump, and whether they matter for the dumped database.

use sqlx::postgres::PgDatabaseError;

use crate::error::sqlstate::without_row_values;
use crate::redact;

/// A table by schema and name.
pub type TableName = (String, String);

/// The longest name of an object that has no better one, in characters.
const LONGEST: usize = 100;

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreError {
    /// The object that could not be restored, such as `"Chat_instanceId_fkey" of evolution_api."Chat"`.
    pub object: String,
    /// The server's words, without values of rows.
    pub error: String,
    /// True if it is a table, its rows, or what keeps them in order. Roles, grants, extensions, settings and the like
    /// belong to the server that the dump comes from.
    pub has_bearing: bool,
    /// The table whose rows are missing now.
    pub rows_of: Option<TableName>,
}

impl RestoreError {
    /// Of a statement with these first words (in small letters), and what the server said.
    pub fn from_statement(statement: &str, words: &[&str], error: &sqlx::Error) -> Self {
        let database = error.as_database_error();
        let state = database.and_then(|error| error.code()).unwrap_or_default();
        let message = database.map_or_else(|| error.to_string(), |error| error.message().to_owned());
        let is_there_already = state == "42P06" || state == "42P07" && words.contains(&"exists");
        let constraint = database
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
            .and_then(|error| Some((error.constraint()?, error.schema()?, error.table()?)));
        let object = match constraint {
            Some((constraint, schema, table)) => format!("{constraint:?} of {schema}.{table:?}"),
            // A key that was pasted into a name is masked there, too.
            None => redact::redact_text(&head(statement)),
        };
        let rows_of = table_of_rows(statement);
        let error = redact::redact_text(without_row_values(&state, &message));
        Self { object, error, has_bearing: bears(words) && !is_there_already, rows_of }
    }

    /// For rows that pg_restore could not load.
    pub fn from_rows(table: TableName, error: &str) -> Self {
        let error = error.split_once(": \"").map_or(error, |(what, _)| what).to_owned();
        let object = format!("rows of {}.{:?}", table.0, table.1);
        Self { object, error, has_bearing: true, rows_of: Some(table) }
    }
}

/// True if a statement makes a part of what is examined.
fn bears(words: &[&str]) -> bool {
    match words {
        ["copy" | "insert", ..] => true,
        ["create", "or", "replace", kind, ..] | ["create", "unique", kind, ..] | ["create", kind, ..] => {
            matches!(
                *kind,
                "table"
                    | "unlogged"
                    | "index"
                    | "sequence"
                    | "type"
                    | "domain"
                    | "schema"
                    | "view"
                    | "materialized"
                    | "trigger"
                    | "constraint"
                    | "rule"
            )
        }
        ["alter", "table", rest @ ..] => {
            let has = |word: &str| rest.contains(&word);
            (has("add") || has("attach") || has("alter")) && !has("owner") && !has("drop")
        }
        _ => false,
    }
}

/// The statement's beginning in one line, up to its first parenthesis: no values are before it.
fn head(statement: &str) -> String {
    let beginning = statement.split(['(', '\'', '$']).next().unwrap_or_default();
    let words: Vec<&str> = beginning.split_whitespace().collect();
    words.join(" ").chars().take(LONGEST).collect()
}

/// The table that a COPY or INSERT fills, as pg_dump writes it: `schema.table`, each quoted or not.
pub fn table_of_rows(statement: &str) -> Option<TableName> {
    let begins = |words: &str| {
        let start = statement.get(..words.len())?;
        start.eq_ignore_ascii_case(words).then(|| statement[words.len()..].trim_start())
    };
    let rest = begins("COPY ").or_else(|| begins("INSERT INTO "))?;
    let (schema, rest) = name(rest)?;
    let (table, _) = name(rest.strip_prefix('.')?)?;
    Some((schema, table))
}

/// The name that a text begins with, and what follows.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '$').unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_lowercase(), &text[end..]));
    };
    let mut end = 0;
    loop {
        end += quoted[end..].find('"')?;
        match quoted[end + 1..].strip_prefix('"') {
            Some(_) => end += 2,
            None => return Some((quoted[..end].replace("\"\"", "\""), &quoted[end + 1..])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_rows_is_found() {
        let table = |schema: &str, table: &str| Some((schema.to_owned(), table.to_owned()));
        for (statement, expected) in [
            ("COPY evolution_api.\"Chat\" (id, \"a.b\") FROM stdin", table("evolution_api", "Chat")),
            ("INSERT INTO \"Evo \"\"x\"\".y\".\"T\" VALUES ('a.b')", table("Evo \"x\".y", "T")),
            ("INSERT INTO public.Thing VALUES (1)", table("public", "thing")),
            ("COPY t FROM stdin", None),
            ("COPY \"open", None),
            ("é", None),
        ] {
            assert_eq!(table_of_rows(statement), expected, "{statement}");
        }
    }

    #[test]
    fn objects_of_the_original_server_are_not_relevant() {
        let bears = |sql: &str| super::bears(&sql.split(' ').collect::<Vec<_>>());
        for of_the_database in [
            "alter table only add constraint",
            "create unique index on",
            "create table x",
            "create or replace view x",
            "copy x from stdin",
        ] {
            assert!(bears(of_the_database), "{of_the_database}");
        }
        for of_the_server in [
            "alter table x owner to postgres",
            "alter table only drop constraint",
            "create extension if not exists",
            "comment on extension",
            "create event trigger",
            "create publication p",
            "create role r",
            "grant all on",
            "set transaction_timeout",
            "create function f",
            "create or replace function f",
            "drop table x",
        ] {
            assert!(!bears(of_the_server), "{of_the_server}");
        }
    }

    #[test]
    fn no_value_is_in_an_objects_name() {
        assert_eq!(head("INSERT INTO a.\"B\"\n  VALUES ('sk-secret')"), "INSERT INTO a.\"B\" VALUES");
        assert_eq!(head("SELECT 'sk-secret'"), "SELECT");
    }
}
