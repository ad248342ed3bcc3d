//! Builds a database as a given Evolution release leaves it, from the embedded facts.
//!
//! Names, types and actions are the ones that Prisma's migrations produce, so that a catalog read from here and
//! one read from a user's database differ only where the user's differs from upstream.

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::ident::SqlFragment;
use super::sql_file::{self, SqlFile, Variables};
use crate::evolution::release::{Migration, Release};
use crate::evolution::schema::{Column, EnumType, ForeignKey, Index, Table, schema as facts};
use crate::text::hex::encode_hex;

/// Makes the schema (unless it exists) and in it everything that `release` has once its last migration is
/// applied: enums, tables, indexes, foreign keys, and Prisma's record of the migrations. All or nothing.
///
/// # Errors
/// When the server refuses, for example because a table of that name exists.
pub async fn create_release_schema(
    connection: &mut PgConnection,
    schema: &str,
    release: Release,
) -> Result<()> {
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
    let builder = DdlBuilder { schema, release };
    let mut statements = vec![format!("CREATE SCHEMA IF NOT EXISTS {}", SqlFragment::ident(schema))];
    statements.extend(facts().enums(release).map(|kind| builder.create_enum(kind)));
    for table in facts().tables(release) {
        statements.push(builder.create_table(table));
        statements.extend(table.indexes(release).map(|index| builder.create_index(table, index)));
    }
    // After all tables: keys point both ways in the alphabet.
    for table in facts().tables(release) {
        statements.extend(table.foreign_keys(release).map(|key| builder.add_foreign_key(table, key)));
    }
    statements.iter().map(|statement| format!("{statement};\n")).collect()
}

/// Writes the statements that make one thing of a release in a schema.
pub struct DdlBuilder<'a> {
    /// Evolution's schema.
    pub schema: &'a str,
    /// The release that has the thing.
    pub release: Release,
}

impl DdlBuilder<'_> {
    /// `"schema"."name"`.
    pub fn qualified(&self, name: &str) -> SqlFragment {
        SqlFragment::qualified(self.schema, name)
    }

    /// `CREATE TYPE … AS ENUM`.
    pub fn create_enum(&self, kind: &EnumType) -> String {
        let labels: Vec<_> = kind.values.iter().map(|v| SqlFragment::literal(v).to_string()).collect();
        format!("CREATE TYPE {} AS ENUM ({})", self.qualified(&kind.name), labels.join(", "))
    }

    /// `CREATE TABLE`, with columns and primary key.
    pub fn create_table(&self, table: &Table) -> String {
        let mut parts: Vec<_> =
            table.columns(self.release).map(|c| self.column_definition(table, c)).collect();
        let key = SqlFragment::ident(&format!("{}_pkey", table.name));
        let columns = SqlFragment::columns(None, &table.primary_key);
        parts.push(format!("CONSTRAINT {key} PRIMARY KEY ({columns})"));
        format!("CREATE TABLE {} (\n    {}\n)", self.qualified(&table.name), parts.join(",\n    "))
    }

    /// A column's part of `CREATE TABLE` or `ADD COLUMN`.
    pub fn column_definition(&self, table: &Table, column: &Column) -> String {
        let name = SqlFragment::ident(&column.name);
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
    pub fn enums_qualified(&self, text: &str) -> String {
        facts().enums(self.release).fold(text.to_owned(), |text, kind| {
            text.replace(SqlFragment::ident(&kind.name).as_str(), self.qualified(&kind.name).as_str())
        })
    }

    /// `CREATE INDEX`.
    pub fn create_index(&self, table: &Table, index: &Index) -> String {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let (name, table) = (SqlFragment::ident(&index.name), self.qualified(&table.name));
        let columns = SqlFragment::columns(None, &index.columns);
        format!("CREATE {unique}INDEX {name} ON {table} ({columns})")
    }

    /// `ALTER TABLE … ADD CONSTRAINT … FOREIGN KEY`.
    pub fn add_foreign_key(&self, table: &Table, key: &ForeignKey) -> String {
        let (table, referenced) = (self.qualified(&table.name), self.qualified(&key.references));
        format!(
            "ALTER TABLE {table} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {referenced} ({}) \
             ON DELETE {} ON UPDATE {}",
            SqlFragment::ident(&key.name),
            SqlFragment::columns(None, &key.columns),
            SqlFragment::columns(None, &key.referenced_columns),
            key.on_delete,
            key.on_update,
        )
    }
}

/// Prisma's table with one finished row for each migration of the release.
fn history(schema: &str, release: Release) -> Result<String> {
    let variables = Variables::for_schema(schema);
    let mut sql = rendered("sql/release_schema/prisma_migrations.sql", &variables)?;
    for (number, migration) in release.migrations().enumerate() {
        let variables = Variables::for_schema(schema)
            .text("id", row_id(migration, release))
            .text("checksum", checksum(migration, release))
            .text("date", release.date())
            .text("name", migration.name.as_str())
            .sql("number", SqlFragment::assert_safe(number.to_string()));
        sql += &rendered("sql/release_schema/prisma_migration.sql", &variables)?;
    }
    Ok(sql)
}

fn rendered(path: &str, variables: &Variables) -> Result<String> {
    let script = SqlFile::parse(sql_file::embedded_file(path));
    Ok(sql_file::render(script.only_statement()?, variables)? + ";\n")
}

/// The value that Prisma would store as `checksum` when this release applies the migration.
fn checksum(migration: &Migration, release: Release) -> &str {
    let any = || migration.contents.first().map(|content| content.sha256.as_str());
    migration.checksum_in(release).or_else(any).unwrap_or_default()
}

/// A row's id in the form of a UUID, the same every time: what is built twice is equal.
fn row_id(migration: &Migration, release: Release) -> String {
    let digest = Sha256::digest(format!("{release} {}", migration.name));
    let hex = encode_hex(&digest);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
}
