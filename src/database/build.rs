//! Builds a database as a given Evolution release leaves it, from the embedded facts.
//!
//! Names, types and actions are the ones that Prisma's migrations produce, so that a catalog read from here and
//! one read from a user's database differ only where the user's differs from upstream.

use std::fmt::Write;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::quote::Fragment;
use super::script::{self, Script, Variables};
use crate::evolution::release::{Migration, Release};
use crate::evolution::schema::{Column, ForeignKey, Index, Table, schema as facts};

/// Makes the schema (unless it exists) and in it everything that `release` has once its last migration is
/// applied: enums, tables, indexes, foreign keys, and Prisma's record of the migrations. All or nothing.
///
/// # Errors
/// When the server refuses, for example because a table of that name exists.
pub async fn evolution_schema(connection: &mut PgConnection, schema: &str, release: Release) -> Result<()> {
    let sql = ddl(schema, release) + &history(schema, release)?;
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut *transaction)
        .await
        .with_context(|| format!("the schema {schema} of Evolution {release} cannot be built"))?;
    transaction.commit().await?;
    Ok(())
}

/// The statements that make a release's tables, without Prisma's own.
fn ddl(schema: &str, release: Release) -> String {
    let mut builder = Builder { schema, release, sql: String::new() };
    builder.statement(format_args!("CREATE SCHEMA IF NOT EXISTS {}", Fragment::ident(schema)));
    builder.enums();
    for table in facts().tables(release) {
        builder.table(table);
        for index in table.indexes(release) {
            builder.index(table, index);
        }
    }
    // After all tables: keys point both ways in the alphabet.
    for table in facts().tables(release) {
        for key in table.foreign_keys(release) {
            builder.foreign_key(table, key);
        }
    }
    builder.sql
}

struct Builder<'a> {
    schema: &'a str,
    release: Release,
    sql: String,
}

impl Builder<'_> {
    fn statement(&mut self, statement: std::fmt::Arguments<'_>) {
        writeln!(self.sql, "{statement};").expect("writing to a string");
    }

    fn qualified(&self, name: &str) -> Fragment {
        Fragment::qualified(self.schema, name)
    }

    fn enums(&mut self) {
        for kind in facts().enums(self.release) {
            let labels: Vec<_> = kind.values.iter().map(|v| Fragment::literal(v).to_string()).collect();
            let name = self.qualified(&kind.name);
            self.statement(format_args!("CREATE TYPE {name} AS ENUM ({})", labels.join(", ")));
        }
    }

    fn table(&mut self, table: &Table) {
        let mut parts: Vec<_> = table.columns(self.release).map(|c| self.column(table, c)).collect();
        let key = Fragment::ident(&format!("{}_pkey", table.name));
        let columns = Fragment::columns(None, &table.primary_key);
        parts.push(format!("CONSTRAINT {key} PRIMARY KEY ({columns})"));
        let name = self.qualified(&table.name);
        self.statement(format_args!("CREATE TABLE {name} (\n    {}\n)", parts.join(",\n    ")));
    }

    fn column(&self, table: &Table, column: &Column) -> String {
        let name = Fragment::ident(&column.name);
        let sequence = format!("nextval('\"{}_{}_seq\"'::regclass)", table.name, column.name);
        let (data_type, default) = match &column.default {
            // Prisma's SERIAL: Postgres names the sequence so, and makes the column its owner.
            Some(default) if *default == sequence => ("serial".to_owned(), None),
            default => (self.enums_qualified(&column.data_type), default.as_deref()),
        };
        let default = default.map(|d| format!(" DEFAULT {}", self.enums_qualified(d))).unwrap_or_default();
        let not_null = if column.not_null { " NOT NULL" } else { "" };
        format!("{name} {data_type}{not_null}{default}")
    }

    /// A type or default of the facts, with the names of enums qualified: no search_path is relied on.
    fn enums_qualified(&self, text: &str) -> String {
        facts().enums(self.release).fold(text.to_owned(), |text, kind| {
            text.replace(Fragment::ident(&kind.name).as_str(), self.qualified(&kind.name).as_str())
        })
    }

    fn index(&mut self, table: &Table, index: &Index) {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let (name, table) = (Fragment::ident(&index.name), self.qualified(&table.name));
        let columns = Fragment::columns(None, &index.columns);
        self.statement(format_args!("CREATE {unique}INDEX {name} ON {table} ({columns})"));
    }

    fn foreign_key(&mut self, table: &Table, key: &ForeignKey) {
        let (table, referenced) = (self.qualified(&table.name), self.qualified(&key.references));
        self.statement(format_args!(
            "ALTER TABLE {table} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {referenced} ({}) \
             ON DELETE {} ON UPDATE {}",
            Fragment::ident(&key.name),
            Fragment::columns(None, &key.columns),
            Fragment::columns(None, &key.referenced_columns),
            key.on_delete,
            key.on_update,
        ));
    }
}

/// Prisma's table with one finished row for each migration of the release.
fn history(schema: &str, release: Release) -> Result<String> {
    let variables = Variables::for_schema(schema);
    let mut sql = rendered("sql/build/prisma_migrations.sql", &variables)?;
    for (number, migration) in release.migrations().enumerate() {
        let variables = Variables::for_schema(schema)
            .text("id", row_id(migration, release))
            .text("checksum", checksum(migration, release))
            .text("date", release.date())
            .text("name", migration.name.as_str())
            .sql("number", Fragment::keyword(number.to_string()));
        sql += &rendered("sql/build/prisma_migration.sql", &variables)?;
    }
    Ok(sql)
}

fn rendered(path: &str, variables: &Variables) -> Result<String> {
    let script = Script::parse(script::file(path));
    Ok(script::render(script.single()?, variables)? + ";\n")
}

/// What Prisma would store as `checksum` when this release applies the migration.
fn checksum(migration: &Migration, release: Release) -> &str {
    let any = || migration.contents.first().map(|content| content.sha256.as_str());
    migration.checksum_in(release).or_else(any).unwrap_or_default()
}

/// A row's id in the form of a UUID, the same every time: what is built twice is equal.
fn row_id(migration: &Migration, release: Release) -> String {
    let digest = Sha256::digest(format!("{release} {}", migration.name));
    let hex = digest.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}
