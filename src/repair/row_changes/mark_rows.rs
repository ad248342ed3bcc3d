//! Marking: which rows are removed or changed, with the rows that depend on them. Nothing is written yet.

use std::collections::BTreeMap;

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{OrphanTreatment, RowChanges, orphan_treatment};
use crate::checks::references::{Reference, encode_subject};
use crate::database::catalog::CatalogTable;
use crate::database::ident::SqlFragment;
use crate::database::query::query_file;
use crate::database::sql_file::{SqlFile, Variables, embedded_file, render, render_file};
use crate::repair::work_tables::{self, SCHEMA, WorkTable, run_file};

impl<'a> RowChanges<'a> {
    /// Marks the orphaned rows, and the rows that depend on those that are removed.
    pub async fn mark_orphans(
        &mut self,
        connection: &mut PgConnection,
        orphaned: &[&Reference],
    ) -> Result<()> {
        work_tables::set_planner(connection, true).await?;
        let mut emptied = Vec::new();
        let mut removed: BTreeMap<&str, Vec<&Reference>> = BTreeMap::new();
        for reference in orphaned {
            match orphan_treatment(reference, self.catalog) {
                Ok(OrphanTreatment::Remove) => {
                    removed.entry(&reference.child_table).or_default().push(reference);
                }
                Ok(OrphanTreatment::Empty) => emptied.push(*reference),
                Err(reason) => bail!("{} cannot be repaired: {reason}", reference.subject()),
            }
        }
        for references in removed.values() {
            if let [_, _, ..] = references.as_slice()
                && references.iter().all(|reference| self.refers_to_primary_key(reference))
            {
                self.mark_removed_by_keys(connection, references).await?;
                continue;
            }
            for reference in references {
                self.mark_removed(connection, reference, None).await?;
            }
        }
        self.spread(connection).await?;
        for reference in emptied {
            self.mark_emptied(connection, reference, None).await?;
        }
        self.settle(connection).await
    }

    /// Marks the rows that a fix's own query selects, and whatever hangs on those that are removed. The query returns
    /// `table`, `key` (the primary key as jsonb), `change` (the new values as jsonb; null removes the row), `reason`.
    /// `tables` are those that it may return rows of. Where it `gives_places` (`place`, their ctid), they are found again by
    /// these, which is quicker.
    pub async fn mark_selected(
        &mut self,
        connection: &mut PgConnection,
        selection: &str,
        tables: &[String],
        gives_places: bool,
    ) -> Result<()> {
        work_tables::set_planner(connection, true).await?;
        let selected = SqlFragment::qualified(SCHEMA, &self.marks.next_name());
        let place = if gives_places { "selection.\"place\"" } else { "CAST(NULL AS pg_catalog.tid)" };
        let variables = Variables::default()
            .sql("selected", selected.clone())
            .sql("place", SqlFragment::assert_safe(place.to_owned()))
            .sql("selection", SqlFragment::assert_safe(selection.to_owned()));
        run_file(connection, "sql/work_tables/selected.sql", &variables).await?;
        work_tables::analyze(connection, selected.clone()).await?;
        let catalog = self.catalog;
        for name in tables {
            let Some(table) = catalog.tables.get(name) else { continue };
            let variables = Variables::default()
                .text("table_name", name)
                .sql("selected", selected.clone())
                .sql("table", SqlFragment::qualified(&catalog.schema, name))
                .sql("target_key", SqlFragment::columns(Some("target"), &table.primary_key))
                .sql("for_update", self.for_update(name, "target"))
                .sql("is_it", is_it(table, gives_places));
            self.marks
                .remove(connection, "sql/work_tables/selected_removed.sql", &variables, table, 0)
                .await?;
            self.marks.change(connection, "sql/work_tables/selected_changed.sql", &variables, table).await?;
        }
        run_file(connection, "sql/work_tables/drop.sql", &Variables::default().sql("marks", selected))
            .await?;
        self.spread(connection).await?;
        self.settle(connection).await
    }

    /// Keys of orphaned rows, at most `limit`.
    pub async fn orphans(
        &self,
        connection: &mut PgConnection,
        reference: &Reference,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let variables = self.ends(reference)?.text("limit", limit.to_string());
        let found = query_file(connection, "sql/work_tables/orphans.sql", &variables).await?;
        found.iter().map(|row| Ok(row.try_get("key")?)).collect()
    }

    /// Marks those of the rows with these keys that are orphans, and the rows that depend on the ones that are removed.
    pub async fn mark_batch(
        &mut self,
        connection: &mut PgConnection,
        reference: &Reference,
        keys: &[Value],
    ) -> Result<()> {
        work_tables::set_planner(connection, true).await?;
        let treatment = orphan_treatment(reference, self.catalog)
            .map_err(|reason| anyhow!("{} cannot be repaired: {reason}", reference.subject()))?;
        if treatment == OrphanTreatment::Remove {
            self.mark_removed(connection, reference, Some(keys)).await?;
            self.spread(connection).await?;
        } else {
            self.mark_emptied(connection, reference, Some(keys)).await?;
        }
        self.settle(connection).await
    }

    /// Follows the references to rows that are removed, round by round, until no new rows are found; rows that are only
    /// emptied come last, when it is known which rows are removed. References that cannot be repaired are left to the
    /// guard.
    async fn spread(&mut self, connection: &mut PgConnection) -> Result<()> {
        for round in 0.. {
            let lost = self.marks.lost_in(round);
            if lost.is_empty() {
                break;
            }
            for reference in self.hanging_on(&lost, OrphanTreatment::Remove) {
                let child = self.table(&reference.child_table)?;
                let variables = self.hanging(reference, Some(round))?.text("round", round.to_string());
                let path = "sql/work_tables/hanging_removed.sql";
                self.marks.remove(connection, path, &variables, child, round + 1).await?;
            }
        }
        let lost: Vec<String> = self.marks.removed().map(|(table, _)| table.clone()).collect();
        for reference in self.hanging_on(&lost, OrphanTreatment::Empty) {
            let child = self.table(&reference.child_table)?;
            let variables = self.hanging(reference, None)?.text("change", emptying(reference)?);
            self.marks.change(connection, "sql/work_tables/hanging_emptied.sql", &variables, child).await?;
        }
        Ok(())
    }

    /// The references into tables that lost rows, of those that are treated so.
    fn hanging_on(&self, lost: &[String], wanted: OrphanTreatment) -> Vec<&'a Reference> {
        let all: &'a [Reference] = self.all;
        let is_hanging = |r: &&Reference| {
            r.parent_schema == self.catalog.schema
                && lost.contains(&r.parent_table)
                && orphan_treatment(r, self.catalog) == Ok(wanted)
        };
        all.iter().filter(is_hanging).collect()
    }

    async fn mark_removed(
        &mut self,
        connection: &mut PgConnection,
        reference: &Reference,
        keys: Option<&[Value]>,
    ) -> Result<()> {
        let child = self.table(&reference.child_table)?;
        let variables = self.orphaned(reference, keys)?;
        let path = "sql/work_tables/orphans_removed.sql";
        let found = self.marks.remove(connection, path, &variables, child, 0).await?;
        // They are all that there are: whatever else is marked refers to something by this key.
        if let Some(key) = reference.declared.as_ref().filter(|_| keys.is_none()) {
            self.counted.insert((child.name.clone(), key.name.clone()), i64::try_from(found)?);
        }
        Ok(())
    }

    /// Marks the rows of one table that are orphaned by any of these keys, in one pass over the table. Each key must refer to a
    /// primary key, as a row that is found twice would be marked twice.
    async fn mark_removed_by_keys(
        &mut self,
        connection: &mut PgConnection,
        references: &[&Reference],
    ) -> Result<()> {
        let child = references.first().context("several keys")?;
        let child = self.table(&child.child_table)?;
        let variables = self.orphaned_by_keys(child, references);
        let path = "sql/work_tables/orphans_of_keys_removed.sql";
        let row = self.marks.remove_first(connection, path, &variables, child).await?;
        for (reference, count) in references.iter().zip(row.try_get::<Vec<i64>, _>("counts")?) {
            if let Some(key) = &reference.declared {
                self.counted.insert((child.name.clone(), key.name.clone()), count);
            }
        }
        Ok(())
    }

    /// True if each value has at most one row that it refers to.
    fn refers_to_primary_key(&self, reference: &Reference) -> bool {
        let parent = self.catalog.tables.get(&reference.parent_table);
        reference.parent_schema == self.catalog.schema
            && parent.is_some_and(|parent| parent.primary_key == reference.parent_columns)
    }

    async fn mark_emptied(
        &mut self,
        connection: &mut PgConnection,
        reference: &Reference,
        keys: Option<&[Value]>,
    ) -> Result<()> {
        let child = self.table(&reference.child_table)?;
        let variables = self.orphaned(reference, keys)?.text("change", emptying(reference)?);
        self.marks.change(connection, "sql/work_tables/orphans_emptied.sql", &variables, child).await
    }

    async fn settle(&mut self, connection: &mut PgConnection) -> Result<()> {
        let catalog = self.catalog;
        let key = |table: &str| catalog.tables.get(table).map(|t| t.primary_key.clone()).unwrap_or_default();
        self.marks.spare(connection, key).await
    }

    /// The variables of the statements that mark orphans: all rows, or those with these keys.
    fn orphaned(&self, reference: &Reference, keys: Option<&[Value]>) -> Result<Variables> {
        let variables = self.ends(reference)?;
        let among = match keys {
            None => SqlFragment::assert_safe("true".to_owned()),
            Some(keys) => {
                let child = self.table(&reference.child_table)?;
                let variables = variables
                    .clone()
                    .text("keys", serde_json::to_string(keys)?)
                    .sql("wanted_key", SqlFragment::columns(Some("wanted"), &child.primary_key));
                let query = render(
                    SqlFile::parse(embedded_file("sql/work_tables/of_batch.sql")).only_statement()?,
                    &variables,
                )?;
                let key = SqlFragment::columns(Some("child"), &child.primary_key);
                SqlFragment::assert_safe(format!("({key}) IN ({query})"))
            }
        };
        Ok(variables.sql("among", among))
    }

    /// The variables of the statement that marks orphans of several keys.
    fn orphaned_by_keys(&self, child: &CatalogTable, references: &[&Reference]) -> Variables {
        let schema = &self.catalog.schema;
        let (mut joined, mut orphaned, mut reasons, mut counts) = (vec![], vec![], vec![], vec![]);
        for (number, reference) in (1..).zip(references) {
            let parent = format!("parent_{number}");
            let referring = SqlFragment::columns(Some("child"), &reference.child_columns);
            let referred = SqlFragment::columns(Some(&parent), &reference.parent_columns);
            let table = SqlFragment::qualified(&reference.parent_schema, &reference.parent_table);
            joined.push(format!("LEFT JOIN {table} AS {parent} ON ({referred}) = ({referring})"));
            orphaned.push(format!("({referring}) IS NOT NULL AND ({referred}) IS NULL"));
            reasons.push(SqlFragment::literal(&reason(reference)).to_string());
            counts.push(format!("pg_catalog.count(*) FILTER (WHERE orphaned.\"evodoctor keys\"[{number}])"));
        }
        let all = |parts: &[String], separator| SqlFragment::assert_safe(parts.join(separator));
        Variables::default()
            .sql("child", SqlFragment::qualified(schema, &child.name))
            .sql("child_key", SqlFragment::columns(Some("child"), &child.primary_key))
            .sql("orphaned_key", SqlFragment::columns(Some("orphaned"), &child.primary_key))
            .sql("joined_parents", all(&joined, " "))
            .sql("is_orphaned", all(&orphaned, ", "))
            .sql("is_any_orphaned", all(&orphaned, " OR "))
            .sql("reasons", all(&reasons, ", "))
            .sql("counts", all(&counts, ", "))
            .sql("for_update", self.for_update(&child.name, "child"))
    }

    /// The variables of the statements that mark dependent rows: those of rows marked in one round, or in any.
    fn hanging(&self, reference: &Reference, round: Option<u32>) -> Result<Variables> {
        let marks = self.marks.removed_from(&reference.parent_table);
        let marks = marks.ok_or_else(|| anyhow!("{} lost no row", reference.parent_table))?;
        let gone = self.gone(&reference.parent_table, &reference.parent_columns, marks, round)?;
        Ok(self
            .ends(reference)?
            .sql("gone", gone)
            .sql("gone_columns", SqlFragment::columns(Some("gone"), &reference.parent_columns)))
    }

    /// A query for these columns of a table's rows that are to be removed.
    pub(super) fn gone(
        &self,
        parent: &str,
        columns: &[String],
        marks: &WorkTable,
        round: Option<u32>,
    ) -> Result<SqlFragment> {
        let key = &self.table(parent)?.primary_key;
        let variables = Variables::default()
            .text("round", round.map(|round| round.to_string()).unwrap_or_default())
            .sql("parent_marks", marks.name());
        let query = if columns.iter().all(|column| key.contains(column)) {
            let variables = variables.sql("marked_columns", SqlFragment::columns(Some("marked"), columns));
            render_file("sql/work_tables/gone_keys.sql", &variables)?
        } else {
            let variables = variables
                .sql("parent", SqlFragment::qualified(&self.catalog.schema, parent))
                .sql("parent_columns", SqlFragment::columns(Some("parent"), columns))
                .sql("marked_parent_key", SqlFragment::columns(Some("marked"), key))
                .sql("parent_key", SqlFragment::columns(Some("parent"), key));
            render_file("sql/work_tables/gone_rows.sql", &variables)?
        };
        Ok(SqlFragment::assert_safe(query))
    }

    /// Both ends of a reference, as `child` and `parent`.
    fn ends(&self, reference: &Reference) -> Result<Variables> {
        let schema = &self.catalog.schema;
        let child = self.table(&reference.child_table)?;
        Ok(Variables::for_schema(schema)
            .text("reason", reason(reference))
            .sql("child", SqlFragment::qualified(schema, &child.name))
            .sql("parent", SqlFragment::qualified(&reference.parent_schema, &reference.parent_table))
            .sql("child_columns", SqlFragment::columns(Some("child"), &reference.child_columns))
            .sql("parent_columns", SqlFragment::columns(Some("parent"), &reference.parent_columns))
            .sql("child_key", SqlFragment::columns(Some("child"), &child.primary_key))
            .sql("child_key_object", key_object("child", child))
            .sql("for_update", self.for_update(&child.name, "child")))
    }

    /// Locks rows that tables of other schemas may refer to, so that no new reference can appear after the guard has
    /// checked. The table lock keeps everybody else away.
    fn for_update(&self, table: &str, alias: &str) -> SqlFragment {
        let is_referred_to = self.catalog.incoming_keys.iter().any(|key| key.parent_table == table);
        SqlFragment::assert_safe(if is_referred_to {
            format!("FOR UPDATE OF {alias}")
        } else {
            String::new()
        })
    }
}

/// Why an orphan is marked.
fn reason(reference: &Reference) -> String {
    format!("{} is gone", encode_subject(&reference.subject()))
}

/// The change that empties the referring columns.
fn emptying(reference: &Reference) -> Result<String> {
    let change: BTreeMap<&String, ()> = reference.child_columns.iter().map(|column| (column, ())).collect();
    Ok(serde_json::to_string(&change)?)
}

/// The columns that identify a selected row. Rows of several partitions may have one ctid.
fn is_it(table: &CatalogTable, gives_places: bool) -> SqlFragment {
    if gives_places && table.kind == "r" {
        return SqlFragment::assert_safe("target.ctid = selected.\"place\"".to_owned());
    }
    let types = table.stored_columns.iter().zip(&table.stored_types);
    let of_type =
        |column: &String| types.clone().find(|(stored, _)| *stored == column).map(|(_, of_type)| of_type);
    let one = |column: &String| match of_type(column) {
        Some(of_type) => format!(
            "target.{} = CAST(selected.\"key\" ->> {} AS {of_type})",
            SqlFragment::ident(column),
            SqlFragment::literal(column)
        ),
        None => "false".to_owned(),
    };
    SqlFragment::assert_safe(table.primary_key.iter().map(one).collect::<Vec<_>>().join(" AND "))
}

/// The primary key of `alias` as a jsonb object.
fn key_object(alias: &str, table: &CatalogTable) -> SqlFragment {
    let pair =
        |column: &String| format!("{}, {alias}.{}", SqlFragment::literal(column), SqlFragment::ident(column));
    let pairs: Vec<String> = table.primary_key.iter().map(pair).collect();
    SqlFragment::assert_safe(format!("pg_catalog.jsonb_build_object({})", pairs.join(", ")))
}
