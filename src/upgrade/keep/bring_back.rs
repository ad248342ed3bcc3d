//! After the upgrade, restores kept values that fit into the newer tables. Everything else is named, and stays kept.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{KeptPart, KeptRun, LostRows, Overwritten};
use crate::database::catalog::{Catalog, CatalogTable};
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render};
use crate::repair::quarantine::{Quarantine, RowAction, RowDiff, restored_value};
use crate::repair::work_tables::run_file;

/// The result of restoring, done or predicted.
#[derive(Debug, Default)]
pub struct BroughtBack {
    /// The restored rows, by table and columns.
    pub rows: Vec<RowDiff>,
    /// The rows that stay kept, and why, a sentence each.
    pub stays: Vec<String>,
    /// The statements.
    pub statements: Vec<String>,
}

/// Works on what one run has kept.
pub struct BringingBack<'a> {
    /// Tables as they are now.
    pub catalog: &'a Catalog,
    /// The number of the run.
    pub run: i64,
    /// The migrations that are applied by now.
    pub applied: &'a BTreeSet<String>,
    /// True if it is written, or only counted.
    pub writes: bool,
}

impl BringingBack<'_> {
    /// Goes through all parts.
    pub async fn bring_back(&self, connection: &mut PgConnection, kept: &KeptRun) -> Result<BroughtBack> {
        let mut done = BroughtBack::default();
        for part in &kept.parts {
            let count = self.count(connection, part, "true").await?;
            if count == 0 {
                continue;
            }
            let name = &part.part.table;
            if !part.part.migrations.iter().any(|migration| self.applied.contains(migration)) {
                done.stays.push(format!("{name}: {count} rows are kept, and none of them is missing yet"));
                continue;
            }
            let Some(table) = self.catalog.tables.get(name) else {
                done.stays.push(format!("{name}: the table does not exist any more; {count} rows stay kept"));
                continue;
            };
            match &part.part.what {
                LostRows::All => {
                    done.stays
                        .push(format!("{name}: the table is a different one now; {count} rows stay kept"));
                }
                LostRows::Values { columns, overwritten } => {
                    for column in columns {
                        match overwritten.get(column) {
                            Some(over) if table.columns.contains(column) => {
                                self.overwritten(connection, part, table, column, over, &mut done).await?;
                            }
                            _ => self.moved(connection, part, table, column, &mut done).await?,
                        }
                    }
                }
                LostRows::Duplicates { columns } => {
                    self.duplicates(connection, part, table, columns, &mut done).await?;
                    done.stays.push(format!(
                        "{name}: {count} rows that were equal in {} stay kept as they were",
                        columns.join(" and ")
                    ));
                }
            }
        }
        Ok(done)
    }

    /// Puts the values back that every row has lost to the same one.
    async fn overwritten(
        &self,
        connection: &mut PgConnection,
        kept: &KeptPart,
        table: &CatalogTable,
        column: &str,
        over: &Overwritten,
        done: &mut BroughtBack,
    ) -> Result<()> {
        let name = SqlFragment::ident(column);
        let path = format!("{}.{column}", table.name);
        let Some(value) = &over.value else {
            let values = self.count(connection, kept, &format!("kept.{name} IS NOT NULL")).await?;
            done.stays.push(format!(
                "{path}: the values were cast and are in place; {values} stay kept as they were"
            ));
            return Ok(());
        };
        let word = word(column, over);
        let variables = self
            .variables(kept, table)
            .sql("column", name.clone())
            .sql("word", SqlFragment::assert_safe(word.clone()))
            .sql("nullable", SqlFragment::assert_safe(table.all_nullable(&[column.to_owned()]).to_string()))
            .text("value", value);
        let found = rendered("sql/quarantine/overwritten.sql", &variables)?;
        let of_type = type_of(table, column);
        let assignment = format!("{name} = CAST(found.\"evodoctor value\" AS {of_type})");
        let rows = self.write(connection, table, &found, &assignment, done).await?;
        let reason = format!("the upgrade had made it {value}, and nothing has changed it since");
        done.rows.extend(changed(table, &[column.to_owned()], rows, &reason));
        let unknown =
            self.count(connection, kept, &format!("kept.{name} IS NOT NULL AND {word} IS NULL")).await?;
        if unknown > 0 {
            done.stays
                .push(format!("{path}: {unknown} values do not exist in the newer release, and stay kept"));
        }
        Ok(())
    }

    /// Gives the row that is left of duplicates what all of them held together.
    async fn duplicates(
        &self,
        connection: &mut PgConnection,
        kept: &KeptPart,
        table: &CatalogTable,
        group: &[String],
        done: &mut BroughtBack,
    ) -> Result<()> {
        let stored = self.kept_columns(connection, &kept.relation).await?;
        let has = |column: &String| stored.contains(column);
        if !group.iter().chain(&table.primary_key).all(has)
            || !group.iter().all(|c| table.columns.contains(c))
        {
            done.stays.push(format!(
                "{}: the columns that identified duplicates do not exist any more",
                table.name
            ));
            return Ok(());
        }
        let is_plain = |column: &&String| {
            let of_type = type_of(table, column);
            has(column)
                && !group.contains(column)
                && !table.primary_key.contains(column)
                && !of_type.contains('.')
                && !of_type.ends_with("[]")
                && of_type != "json"
        };
        let columns: Vec<String> = table.stored_columns.iter().filter(is_plain).cloned().collect();
        if columns.is_empty() {
            return Ok(());
        }
        let newest_first = newest_first(&stored, &table.primary_key);
        let each = |make: &dyn Fn(&String) -> String| columns.iter().map(make).collect::<Vec<_>>();
        let list = |parts: Vec<String>| SqlFragment::assert_safe(parts.join(",\n            "));
        let name = |column: &String| SqlFragment::ident(column).to_string();
        let new = |column: &String| SqlFragment::ident(&format!("evodoctor new {column}")).to_string();
        let old = |column: &String| SqlFragment::ident(&format!("evodoctor old {column}")).to_string();
        let variables = self
            .variables(kept, table)
            .sql("merged_key", SqlFragment::columns(Some("merged"), &table.primary_key))
            .sql("kept_group", SqlFragment::columns(Some("kept"), group))
            .sql("whole_group", SqlFragment::columns(Some("whole"), group))
            .sql("target_group", SqlFragment::columns(Some("target"), group))
            .sql("merged_columns", list(each(&|c| format!("merged.{}", new(c)))))
            .sql("aggregates", list(each(&|c| aggregate(&name(c), type_of(table, c), &newest_first))))
            .sql(
                "merging",
                list(each(&|c| {
                    let (n, merged) = (name(c), merged_value(&name(c), type_of(table, c)));
                    format!(
                        "CASE WHEN target.{n}::pg_catalog.text IS NOT DISTINCT FROM kept.{n}::pg_catalog.text THEN {merged} ELSE target.{n} END AS {},\n            target.{n} AS {}",
                        new(c), old(c)
                    )
                })),
            )
            .sql(
                "is_other",
                SqlFragment::assert_safe(
                    each(&|c| format!("merged.{} IS DISTINCT FROM merged.{}", new(c), old(c))).join("\n    OR "),
                ),
            );
        let found = rendered("sql/quarantine/merged.sql", &variables)?;
        let assignments = each(&|c| format!("{} = found.{}", name(c), new(c))).join(",\n    ");
        let rows = self.write(connection, table, &found, &assignments, done).await?;
        let reason =
            format!("another of the rows that were equal in {} was newer, or held more", group.join(" and "));
        done.rows.extend(changed(table, &columns, rows, &reason));
        Ok(())
    }

    /// Writes what a query finds, or counts it.
    pub(super) async fn write(
        &self,
        connection: &mut PgConnection,
        table: &CatalogTable,
        found: &str,
        assignments: &str,
        done: &mut BroughtBack,
    ) -> Result<i64> {
        let variables = Variables::default()
            .sql("table", SqlFragment::qualified(&self.catalog.schema, &table.name))
            .sql("found", SqlFragment::assert_safe(found.to_owned()))
            .sql("found_key", SqlFragment::columns(Some("found"), &table.primary_key))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key))
            .sql("assignments", SqlFragment::assert_safe(assignments.to_owned()));
        let found = query_file(connection, "sql/quarantine/count_found.sql", &variables).await?;
        let count: i64 = found.first().context("a count is one row")?.try_get("count")?;
        if count == 0 {
            return Ok(0);
        }
        if !self.writes {
            let text = SqlFile::parse(embedded_file("sql/quarantine/write_found.sql"));
            done.statements.push(render(text.only_statement()?, &variables)?);
            return Ok(count);
        }
        let (sql, touched) = run_file(connection, "sql/quarantine/write_found.sql", &variables).await?;
        done.statements.push(sql);
        Ok(i64::try_from(touched)?)
    }

    pub(super) async fn count(
        &self,
        connection: &mut PgConnection,
        kept: &KeptPart,
        condition: &str,
    ) -> Result<i64> {
        let variables = Variables::default()
            .sql("kept", Quarantine::name(&kept.relation))
            .sql("runs", self.runs())
            .sql("condition", SqlFragment::assert_safe(condition.to_owned()));
        let found = query_file(connection, "sql/quarantine/count_kept.sql", &variables).await?;
        Ok(found.first().context("a count is one row")?.try_get("count")?)
    }

    async fn kept_columns(&self, connection: &mut PgConnection, relation: &str) -> Result<Vec<String>> {
        let variables = Variables::default().text("relation", relation);
        let found = query_file(connection, "sql/quarantine/kept_columns.sql", &variables).await?;
        Ok(found.iter().map(|row| row.try_get("name")).collect::<sqlx::Result<_>>()?)
    }

    pub(super) fn variables(&self, kept: &KeptPart, table: &CatalogTable) -> Variables {
        let key = self.restored_key(table);
        Variables::default()
            .sql("table", SqlFragment::qualified(&self.catalog.schema, &table.name))
            .sql("kept", Quarantine::name(&kept.relation))
            .sql("kept_key", SqlFragment::assert_safe(key.join(", ")))
            .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key))
            .sql("runs", self.runs())
    }

    /// The primary key as the quarantine's tables have it.
    pub(super) fn restored_key(&self, table: &CatalogTable) -> Vec<String> {
        table.primary_key.iter().map(|column| restored_value(table, column)).collect()
    }

    fn runs(&self) -> SqlFragment {
        SqlFragment::assert_safe(format!("ARRAY[{}]::pg_catalog.int8[]", self.run))
    }
}

pub(super) fn rendered(path: &str, variables: &Variables) -> Result<String> {
    render(SqlFile::parse(embedded_file(path)).only_statement()?, variables).with_context(|| path.to_owned())
}

fn type_of<'t>(table: &'t CatalogTable, column: &str) -> &'t str {
    let position = table.stored_columns.iter().position(|stored| stored == column);
    position.and_then(|position| table.stored_types.get(position)).map_or("text", String::as_str)
}

/// The kept value as the newer release writes it; null where it has no word for it.
fn word(column: &str, over: &Overwritten) -> String {
    let kept = format!("kept.{}::pg_catalog.text", SqlFragment::ident(column));
    if over.words.is_empty() {
        return kept;
    }
    let one = |(old, new): (&String, &String)| {
        format!("WHEN {} THEN {}", SqlFragment::literal(old), SqlFragment::literal(new))
    };
    format!("(CASE {kept} {} END)", over.words.iter().map(one).collect::<Vec<_>>().join(" "))
}

/// The order of duplicates: the one that was updated last comes first.
fn newest_first(stored: &[String], primary_key: &[String]) -> String {
    let times =
        ["updatedAt", "createdAt"].into_iter().filter(|time| stored.iter().any(|column| column == time));
    let times = times.map(|time| format!("kept.{} DESC NULLS LAST", SqlFragment::ident(time)));
    times.chain([SqlFragment::columns(Some("kept"), primary_key).to_string()]).collect::<Vec<_>>().join(", ")
}

fn aggregate(name: &str, of_type: &str, newest_first: &str) -> String {
    let (function, first) = if of_type == "jsonb" { ("jsonb_agg", "") } else { ("array_agg", "[1]") };
    format!(
        "(pg_catalog.{function}(kept.{name} ORDER BY {newest_first}) FILTER (WHERE kept.{name} IS NOT NULL)){first} AS {name}"
    )
}

/// The merged value of duplicates in a column; for jsonb all elements, if every value is an array.
fn merged_value(name: &str, of_type: &str) -> String {
    if of_type != "jsonb" {
        return format!("COALESCE(whole.{name}, target.{name})");
    }
    format!(
        "CASE
                WHEN whole.{name} IS NULL THEN target.{name}
                WHEN EXISTS (
                    SELECT FROM pg_catalog.jsonb_array_elements(whole.{name}) AS one (value)
                    WHERE pg_catalog.jsonb_typeof(one.value) <> 'array'
                ) THEN whole.{name} -> 0
                ELSE COALESCE((
                    SELECT pg_catalog.jsonb_agg(element.value ORDER BY element.place)
                    FROM (
                        SELECT part.value, pg_catalog.min(ARRAY[one.place, part.place]) AS place
                        FROM
                            pg_catalog.jsonb_array_elements(whole.{name}) WITH ORDINALITY AS one (value, place)
                            CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(one.value) WITH ORDINALITY AS part (value, place)
                        GROUP BY part.value
                    ) AS element
                ), whole.{name} -> 0)
            END"
    )
}

pub(super) fn changed(table: &CatalogTable, columns: &[String], count: i64, reason: &str) -> Option<RowDiff> {
    (count > 0).then(|| RowDiff {
        table: table.name.clone(),
        action: RowAction::Changed,
        columns: columns.to_vec(),
        reason: reason.to_owned(),
        count,
        digest: String::new(),
        sample: Vec::new(),
    })
}
