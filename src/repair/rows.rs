//! Rows that a fix removes or changes: marked in the quarantine with whatever hangs on them, then treated, children
//! before parents.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::quarantine::{self, RowAction, assignments, run, table_variables};
use crate::database::catalog::{Action, Catalog, DeclaredKey, Table};
use crate::database::quote::Fragment;
use crate::database::run::rows;
use crate::database::script::{Script, Variables, file, render};
use crate::examine::references::Reference;
use crate::exit::failure;

/// What is done to a row whose reference is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Treatment {
    /// It is removed.
    Remove,
    /// Its referencing columns are emptied.
    Empty,
}

/// What is done to a row whose reference is gone, or why nothing can be done.
pub fn treatment(reference: &Reference, catalog: &Catalog) -> Result<Treatment, String> {
    let table = match catalog.tables.get(&reference.child_table) {
        Some(table) if matches!(table.kind.as_str(), "r" | "p") => table,
        _ => return Err(format!("{} is no table", reference.child_table)),
    };
    if table.has_heirs {
        return Err(format!(
            "other tables inherit from {}, and some of these rows may be theirs",
            table.name
        ));
    }
    if table.primary_key.is_empty() {
        return Err(format!("{} has no primary key to recognise its rows by", table.name));
    }
    if reference.declared.as_ref().is_some_and(|key| key.comment.is_some() && !key.is_validated) {
        return Err(format!("{} carries a comment that undo could not put back", reference.constraint));
    }
    let nullable = table.all_nullable(&reference.child_columns);
    match reference.on_delete {
        Action::Cascade => Ok(Treatment::Remove),
        Action::SetNull | Action::Restrict | Action::NoAction if nullable => Ok(Treatment::Empty),
        Action::SetNull | Action::Restrict | Action::NoAction => Ok(Treatment::Remove),
        Action::SetDefault => Err(format!("{} is ON DELETE SET DEFAULT", reference.constraint)),
    }
}

/// The tables that treating rows may touch or must keep still: `touched` themselves, and whatever hangs on those of
/// them that lose rows.
pub fn reach(
    touched: Vec<String>,
    mut losing: Vec<String>,
    all: &[Reference],
    catalog: &Catalog,
) -> Vec<String> {
    let mut touched: BTreeSet<String> = touched.into_iter().collect();
    let mut lost: BTreeSet<String> = losing.iter().cloned().collect();
    while let Some(parent) = losing.pop() {
        for reference in all.iter().filter(|r| r.parent_schema == catalog.schema && r.parent_table == parent)
        {
            touched.insert(reference.child_table.clone());
            // A table may be known for another reason, and still lose rows only now.
            if treatment(reference, catalog) == Ok(Treatment::Remove)
                && lost.insert(reference.child_table.clone())
            {
                losing.push(reference.child_table.clone());
            }
        }
    }
    touched.retain(|table| catalog.tables.get(table).is_some_and(|t| matches!(t.kind.as_str(), "r" | "p")));
    touched.into_iter().collect()
}

/// Which rows of a table are looked at.
#[derive(Debug, Clone, Copy)]
enum Among<'a> {
    All,
    Keys(&'a [Value]),
    /// Those that hang on a row that is to be removed.
    Hanging,
}

/// The rows of one fix.
pub struct Work<'a> {
    /// The fix's code.
    pub code: &'a str,
    /// Tables and keys.
    pub catalog: &'a Catalog,
    /// Every reference that should hold.
    pub all: &'a [Reference],
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
    /// `tables` are those that it may return rows of.
    pub async fn mark_selected(
        &self,
        connection: &mut PgConnection,
        selection: &str,
        tables: &[String],
    ) -> Result<()> {
        quarantine::room(connection, true).await?;
        for table in tables {
            let Some(table) = self.catalog.tables.get(table) else { continue };
            let variables = table_variables(&self.catalog.schema, table, self.code)
                .sql("selection", Fragment::keyword(selection.to_owned()))
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
            .text("reason", format!("{} is gone", reference.subject()))
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

    /// Refuses when a row that cannot be quarantined hangs on one that is to be removed: the server would remove or
    /// change it silently.
    pub async fn guard(&self, connection: &mut PgConnection) -> Result<()> {
        let untreatable = self
            .all
            .iter()
            .filter(|r| treatment(r, self.catalog).is_err())
            .filter_map(|reference| reference.declared.as_ref())
            .chain(&self.catalog.incoming_keys);
        for key in untreatable.filter(|key| key.parent_schema == self.catalog.schema) {
            let count = hanging_on(connection, key).await?;
            if count > 0 {
                return Err(failure(
                    format!(
                        "{count} rows of {}.{} refer to rows that would be removed ({}), and evodoctor cannot put \
                         them back: they are in another schema, have no primary key, or may belong to a table that inherits",
                        key.child_schema, key.child_table, key.name
                    ),
                    "remove or repoint those rows yourself, then run the fix again",
                ));
            }
        }
        Ok(())
    }

    /// Changes rows, then removes rows, children first. Returns the statements.
    pub async fn treat(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        let mut to_change: BTreeMap<(String, Vec<String>), i64> = BTreeMap::new();
        let mut to_remove: BTreeMap<String, i64> = BTreeMap::new();
        for marked in quarantine::counts(connection, self.code).await? {
            if marked.action == RowAction::Removed {
                *to_remove.entry(marked.table).or_default() += marked.count;
            } else {
                *to_change.entry((marked.table, marked.columns)).or_default() += marked.count;
            }
        }
        for ((table, columns), count) in to_change {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, self.code)
                .text("changed_columns", serde_json::to_string(&columns)?)
                .sql("assignments", assignments(&columns, "changed"));
            let done = run(connection, "sql/quarantine/change.sql", &variables).await?;
            statements.push(counted(done, count, &table)?);
        }
        for table in self.children_first(to_remove.keys().cloned().collect()) {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, self.code);
            let done = run(connection, "sql/quarantine/remove.sql", &variables).await?;
            statements.push(counted(done, to_remove[&table], &table)?);
        }
        quarantine::room(connection, false).await?;
        Ok(statements)
    }

    /// Orders tables so that whatever refers to a table comes before it.
    fn children_first(&self, tables: Vec<String>) -> Vec<String> {
        children_first(tables, |child, parent| {
            self.all.iter().any(|r| r.child_table == child && r.parent_table == parent)
        })
    }

    fn table(&self, name: &str) -> Result<&Table> {
        let table = self.catalog.tables.get(name).with_context(|| format!("there is no table {name:?}"))?;
        if table.has_heirs {
            return Err(failure(
                format!(
                    "other tables inherit from {name}: their rows show up in it, and could not be put back as theirs"
                ),
                format!(
                    "end that first (ALTER TABLE … NO INHERIT {name:?}), or leave this fix out with --ignore {}",
                    self.code
                ),
            ));
        }
        Ok(table)
    }
}

/// Orders tables so that whatever refers to a table comes before it; tables in a circle keep their order.
pub fn children_first(mut tables: Vec<String>, refers: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let mut ordered = Vec::with_capacity(tables.len());
    while !tables.is_empty() {
        let free = tables
            .iter()
            .position(|parent| !tables.iter().any(|child| child != parent && refers(child, parent)));
        ordered.push(tables.remove(free.unwrap_or(0)));
    }
    ordered
}

/// A statement that touched another number of rows than were marked must not stand: a trigger or a rule interfered.
fn counted((sql, touched): (String, u64), expected: i64, table: &str) -> Result<String> {
    if i64::try_from(touched).is_ok_and(|touched| touched == expected) {
        return Ok(sql);
    }
    Err(failure(
        format!(
            "{expected} rows of {table} were to be treated, but the server treated {touched}; all was rolled back"
        ),
        format!("look for triggers or rules on {table:?} (\\d in psql) that keep rows from changing"),
    ))
}

async fn hanging_on(connection: &mut PgConnection, key: &DeclaredKey) -> Result<i64> {
    let rows = rows(connection, "sql/quarantine/hangs_on_removed.sql", &key.variables()).await?;
    Ok(rows.first().context("a count is one row")?.try_get("count")?)
}

/// The primary key of `alias` as a jsonb object.
fn key_object(alias: &str, table: &Table) -> Fragment {
    let pair =
        |column: &String| format!("{}, {alias}.{}", Fragment::literal(column), Fragment::ident(column));
    let pairs: Vec<String> = table.primary_key.iter().map(pair).collect();
    Fragment::keyword(format!("pg_catalog.jsonb_build_object({})", pairs.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_come_before_parents() {
        let edges = [("Media", "Message"), ("MessageUpdate", "Message"), ("Message", "IntegrationSession")];
        let refers = |child: &str, parent: &str| edges.contains(&(child, parent));
        let tables = ["IntegrationSession", "Message", "Media", "MessageUpdate"].map(String::from).to_vec();
        assert_eq!(
            children_first(tables, refers),
            ["Media", "MessageUpdate", "Message", "IntegrationSession"]
        );
        let circle = ["A", "B"].map(String::from).to_vec();
        assert_eq!(children_first(circle, |_, _| true).len(), 2);
    }
}
