//! Marking: each row that is to go or to change is put into the quarantine, with whatever hangs on it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow, bail};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::{Treatment, Work, treatment};
use crate::database::catalog::Table;
use crate::database::quote::Fragment;
use crate::database::run::rows;
use crate::database::script::{Script, Variables, file, render};
use crate::examine::references::{Reference, in_sql};
use crate::repair::quarantine::{self, RowAction, run, table_variables};

/// Which rows of a table are looked at.
#[derive(Debug, Clone, Copy)]
enum Among<'a> {
    All,
    Keys(&'a [Value]),
    /// Those that hang on a row that is to be removed.
    Hanging,
}

impl Work<'_> {
    /// Marks the rows that refer to nothing, and whatever hangs on those of them that are removed.
    ///
    /// # Errors
    /// When a reference cannot be treated.
    pub async fn mark_orphans(&self, connection: &mut PgConnection, orphaned: &[&Reference]) -> Result<()> {
        let mut waiting: Vec<(&Reference, Treatment)> = Vec::new();
        for reference in orphaned {
            match treatment(reference, self.catalog) {
                Ok(treatment) => waiting.push((reference, treatment)),
                Err(reason) => bail!("{} cannot be repaired: {reason}", reference.subject()),
            }
        }
        quarantine::room(connection, true).await?;
        self.spread(connection, waiting, None).await
    }

    /// Marks the rows that a fix's own query selects, and whatever hangs on those that are removed. The query returns
    /// `table`, `key` (the primary key as jsonb), `change` (the new values as jsonb; null removes the row), `reason`.
    /// `tables` are those that it may return rows of. Where it `gives_places` (`place`, their ctid), they are found again by
    /// these, which is quicker.
    pub async fn mark_selected(
        &self,
        connection: &mut PgConnection,
        selection: &str,
        tables: &[String],
        gives_places: bool,
    ) -> Result<()> {
        quarantine::room(connection, true).await?;
        for table in tables {
            let Some(table) = self.catalog.tables.get(table) else { continue };
            let variables = table_variables(&self.catalog.schema, table, self.code)
                .sql("selection", Fragment::keyword(selection.to_owned()))
                .sql("is_it", is_it(table, gives_places))
                .sql("may_differ", quarantine::may_differ("target", table))
                .sql("texts", quarantine::texts("target", table))
                .sql("target_key_object", key_object("target", table));
            let (_, marked) = run(connection, "sql/quarantine/mark_selected.sql", &variables).await?;
            quarantine::analyze(connection, marked).await?;
        }
        let lost = quarantine::counts(connection, self.code).await?.into_iter();
        let lost: BTreeSet<String> =
            lost.filter(|marked| marked.action == RowAction::Removed).map(|marked| marked.table).collect();
        let waiting = self.hanging_on(&lost);
        self.spread(connection, waiting, None).await
    }

    /// Keys of rows that refer to nothing, at most `limit`.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn orphans(
        &self,
        connection: &mut PgConnection,
        reference: &Reference,
        limit: usize,
    ) -> Result<Vec<Value>> {
        let variables = self.variables(reference, &[])?.text("limit", limit.to_string());
        let found = rows(connection, "sql/quarantine/orphans.sql", &variables).await?;
        found.iter().map(|row| Ok(row.try_get("key")?)).collect()
    }

    /// Marks those of the rows with these keys that refer to nothing, and whatever hangs on the ones that are removed.
    ///
    /// # Errors
    /// When the reference cannot be treated.
    pub async fn mark_batch(
        &self,
        connection: &mut PgConnection,
        reference: &Reference,
        keys: &[Value],
    ) -> Result<()> {
        let treatment = treatment(reference, self.catalog)
            .map_err(|reason| anyhow!("{} cannot be repaired: {reason}", reference.subject()))?;
        self.spread(connection, vec![(reference, treatment)], Some(keys)).await
    }

    /// The references into tables that lost rows, and what is done to theirs. Of those that cannot be treated
    /// `guard` looks whether any row really hangs on one.
    fn hanging_on(&self, lost: &BTreeSet<String>) -> Vec<(&Reference, Treatment)> {
        self.all
            .iter()
            .filter(|r| r.parent_schema == self.catalog.schema && lost.contains(&r.parent_table))
            .filter_map(|reference| Some((reference, treatment(reference, self.catalog).ok()?)))
            .collect()
    }

    /// Marks along references until nothing new turns up; what is only emptied comes last, when it is known which
    /// rows stay.
    async fn spread(
        &self,
        connection: &mut PgConnection,
        mut waiting: Vec<(&Reference, Treatment)>,
        batch: Option<&[Value]>,
    ) -> Result<()> {
        let mut emptying: Vec<(&Reference, Among<'_>)> = Vec::new();
        let mut among = batch.map_or(Among::All, Among::Keys);
        while !waiting.is_empty() {
            let mut lost: BTreeSet<String> = BTreeSet::new();
            for (reference, treatment) in waiting.drain(..) {
                if treatment == Treatment::Empty {
                    emptying.push((reference, among));
                } else if self.mark_one(connection, reference, treatment, among).await? > 0 {
                    lost.insert(reference.child_table.clone());
                }
            }
            waiting = self.hanging_on(&lost);
            if batch.is_some() {
                among = Among::Hanging;
            }
        }
        for (reference, among) in emptying {
            self.mark_one(connection, reference, Treatment::Empty, among).await?;
        }
        Ok(())
    }

    async fn mark_one(
        &self,
        connection: &mut PgConnection,
        reference: &Reference,
        treatment: Treatment,
        among: Among<'_>,
    ) -> Result<u64> {
        let child = self.table(&reference.child_table)?;
        let (action, changed): (_, &[String]) = match treatment {
            Treatment::Remove => (RowAction::Removed, &[]),
            Treatment::Empty => (RowAction::Changed, &reference.child_columns),
        };
        let change: BTreeMap<&String, ()> = changed.iter().map(|column| (column, ())).collect();
        let keys = if let Among::Keys(keys) = among { keys } else { &[] };
        let variables = self.variables(reference, keys)?;
        let within = |columns: &str, path: &str| -> Result<Fragment> {
            let query = render(Script::parse(file(path)).single()?, &variables)?;
            Ok(Fragment::keyword(format!("({columns}) IN ({query})")))
        };
        let among = match among {
            Among::All => Fragment::keyword("true".to_owned()),
            Among::Keys(_) => within(
                Fragment::columns(Some("child"), &child.primary_key).as_str(),
                "sql/quarantine/of_batch.sql",
            )?,
            Among::Hanging => within(
                Fragment::columns(Some("child"), &reference.child_columns).as_str(),
                "sql/quarantine/of_removed.sql",
            )?,
        };
        let variables = variables
            .sql("among", among)
            .text("action", action.as_str())
            .text("change", if changed.is_empty() { String::new() } else { serde_json::to_string(&change)? });
        let (_, marked) = run(connection, "sql/quarantine/mark.sql", &variables).await?;
        quarantine::analyze(connection, marked).await?;
        Ok(marked)
    }

    /// Both ends of a reference, as `child` and `parent`, and their rows in the quarantine.
    fn variables(&self, reference: &Reference, keys: &[Value]) -> Result<Variables> {
        let schema = &self.catalog.schema;
        let child = self.table(&reference.child_table)?;
        // A parent outside the schema loses no rows here; any column serves to say so.
        let parent_key = match self.catalog.tables.get(&reference.parent_table) {
            Some(parent) if reference.parent_schema == *schema && !parent.primary_key.is_empty() => {
                parent.primary_key.clone()
            }
            _ => reference.parent_columns.clone(),
        };
        Ok(Variables::for_schema(schema)
            .text("code", self.code)
            .text("table", &child.name)
            .text("reason", format!("{} is gone", in_sql(&reference.subject())))
            .text("keys", serde_json::to_string(keys)?)
            .text("parent_schema", &reference.parent_schema)
            .text("parent_table", &reference.parent_table)
            .sql("child", Fragment::qualified(schema, &child.name))
            .sql("parent", Fragment::qualified(&reference.parent_schema, &reference.parent_table))
            .sql("child_columns", Fragment::columns(Some("child"), &reference.child_columns))
            .sql("parent_columns", Fragment::columns(Some("parent"), &reference.parent_columns))
            .sql("gone_parent_columns", Fragment::columns(Some("gone"), &reference.parent_columns))
            .sql("may_differ", quarantine::may_differ("child", child))
            .sql("texts", quarantine::texts("child", child))
            .sql("child_key", key_object("child", child))
            .sql("child_primary_key", Fragment::columns(Some("child"), &child.primary_key))
            .sql("wanted_key", Fragment::columns(Some("wanted"), &child.primary_key))
            .sql("gone_child_key", Fragment::columns(Some("gone"), &child.primary_key))
            .sql("parent_key", Fragment::columns(Some("parent"), &parent_key))
            .sql("gone_parent_key", Fragment::columns(Some("gone"), &parent_key)))
    }
}

/// What finds a selected row again. Rows of several partitions may have one place.
fn is_it(table: &Table, gives_places: bool) -> Fragment {
    if gives_places && table.kind == "r" {
        return Fragment::keyword("target.ctid = selected.\"place\"".to_owned());
    }
    let columns = |alias| Fragment::columns(Some(alias), &table.primary_key);
    Fragment::keyword(format!("({}) = ({})", columns("key"), columns("target")))
}

/// The primary key of `alias` as a jsonb object.
fn key_object(alias: &str, table: &Table) -> Fragment {
    let pair =
        |column: &String| format!("{}, {alias}.{}", Fragment::literal(column), Fragment::ident(column));
    let pairs: Vec<String> = table.primary_key.iter().map(pair).collect();
    Fragment::keyword(format!("pg_catalog.jsonb_build_object({})", pairs.join(", ")))
}
