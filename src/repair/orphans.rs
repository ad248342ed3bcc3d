//! The fix of EVO101: rows that refer to nothing are treated as their key would have treated them, whatever hangs on
//! them likewise, children before parents; then the constraint is put in place.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::fix::Fix;
use super::quarantine::{RowAction, assignments, run, table_variables};
use crate::database::catalog::{Action, Catalog, DeclaredKey, Table};
use crate::database::quote::Fragment;
use crate::database::run::{execute, rows};
use crate::database::script::{Variables, render};
use crate::examine::references::Reference;
use crate::exit::failure;

/// What the constraint was before the fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Before {
    /// There was none.
    Absent,
    /// Declared NOT VALID.
    NotValid,
    /// Declared and claimed to be valid, although rows referred to nothing.
    ClaimedValid,
    /// Declared and not enforced (18 and later).
    NotEnforced,
}

/// A constraint that the fix dealt with: all that undo needs to put it back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Constraint {
    /// Its name.
    pub name: String,
    /// The referencing table.
    pub child_table: String,
    /// Its columns.
    pub child_columns: Vec<String>,
    /// The referenced table's schema.
    pub parent_schema: String,
    /// The referenced table.
    pub parent_table: String,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: Action,
    /// ON UPDATE.
    pub on_update: Action,
    /// DEFERRABLE.
    pub is_deferrable: bool,
    /// INITIALLY DEFERRED.
    pub is_deferred: bool,
    /// What it was.
    pub before: Before,
}

impl Constraint {
    fn of(reference: &Reference) -> Self {
        let declared = reference.declared.as_ref();
        Self {
            name: reference.constraint.clone(),
            child_table: reference.child_table.clone(),
            child_columns: reference.child_columns.clone(),
            parent_schema: reference.parent_schema.clone(),
            parent_table: reference.parent_table.clone(),
            parent_columns: reference.parent_columns.clone(),
            on_delete: reference.on_delete,
            on_update: reference.on_update,
            is_deferrable: declared.is_some_and(|key| key.is_deferrable),
            is_deferred: declared.is_some_and(|key| key.is_deferred),
            before: match declared {
                None => Before::Absent,
                Some(key) if !key.is_enforced => Before::NotEnforced,
                Some(key) if !key.is_validated => Before::NotValid,
                Some(_) => Before::ClaimedValid,
            },
        }
    }

    /// The variables of EVO101's fix files.
    pub fn variables(&self, schema: &str) -> Variables {
        let mut definition = format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            Fragment::columns(None, &self.child_columns),
            Fragment::qualified(&self.parent_schema, &self.parent_table),
            Fragment::columns(None, &self.parent_columns),
            self.on_delete.as_sql(),
            self.on_update.as_sql(),
        );
        if self.is_deferrable {
            definition.push_str(if self.is_deferred {
                " DEFERRABLE INITIALLY DEFERRED"
            } else {
                " DEFERRABLE"
            });
        }
        Variables::for_schema(schema)
            .text("constraint", &self.name)
            .sql("child", Fragment::qualified(schema, &self.child_table))
            .sql("definition", Fragment::keyword(definition))
    }
}

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

/// The tables that the treatment of these references may touch or must keep still: both ends of each, and whatever
/// hangs on tables that lose rows.
pub fn tables(references: &[&Reference], all: &[Reference], catalog: &Catalog) -> Vec<String> {
    let mut touched: BTreeSet<String> = BTreeSet::new();
    let mut losing: Vec<String> = Vec::new();
    for reference in references {
        touched.insert(reference.child_table.clone());
        if treatment(reference, catalog) == Ok(Treatment::Remove) {
            losing.push(reference.child_table.clone());
        }
        if reference.parent_schema == catalog.schema {
            touched.insert(reference.parent_table.clone());
        }
    }
    while let Some(parent) = losing.pop() {
        for reference in all.iter().filter(|r| r.parent_schema == catalog.schema && r.parent_table == parent)
        {
            if touched.insert(reference.child_table.clone())
                && treatment(reference, catalog) == Ok(Treatment::Remove)
            {
                losing.push(reference.child_table.clone());
            }
        }
    }
    touched.retain(|table| catalog.tables.get(table).is_some_and(|t| matches!(t.kind.as_str(), "r" | "p")));
    touched.into_iter().collect()
}

/// Treats the orphans of `orphaned` and puts the constraints in place.
///
/// Returns the statements that touched Evolution's tables, and the constraints dealt with.
///
/// # Errors
/// When rows that cannot be quarantined hang on rows to be removed, or the server refuses a statement.
pub async fn apply(
    connection: &mut PgConnection,
    fix: &Fix,
    catalog: &Catalog,
    orphaned: &[&Reference],
    all: &[Reference],
) -> Result<(Vec<String>, Vec<Constraint>)> {
    let work = Work { fix, catalog, all };
    work.mark(connection, orphaned).await?;
    work.guard(connection).await?;
    let mut statements = work.treat(connection).await?;

    let [add, validate] = fix.up.as_slice() else { bail!("EVO101's fix holds two statements") };
    let constraints: Vec<Constraint> = orphaned.iter().map(|reference| Constraint::of(reference)).collect();
    for constraint in &constraints {
        let variables = constraint.variables(&catalog.schema);
        let needed: &[&String] = match constraint.before {
            Before::Absent => &[add, validate],
            Before::NotValid => &[validate],
            Before::ClaimedValid | Before::NotEnforced => &[],
        };
        for statement in needed {
            let sql = render(statement, &variables)?;
            execute(connection, sql.clone())
                .await
                .with_context(|| format!("while restoring the constraint {:?}", constraint.name))?;
            statements.push(sql);
        }
    }
    Ok((statements, constraints))
}

struct Work<'a> {
    fix: &'a Fix,
    catalog: &'a Catalog,
    all: &'a [Reference],
}

impl Work<'_> {
    /// Marks the orphans, then whatever hangs on a row that is to be removed, until nothing new turns up.
    async fn mark(&self, connection: &mut PgConnection, orphaned: &[&Reference]) -> Result<()> {
        let (mut removing, mut emptying): (Vec<&Reference>, Vec<&Reference>) = (Vec::new(), Vec::new());
        for reference in orphaned {
            match treatment(reference, self.catalog) {
                Ok(Treatment::Remove) => removing.push(reference),
                Ok(Treatment::Empty) => emptying.push(reference),
                Err(reason) => bail!("{} cannot be repaired: {reason}", reference.subject()),
            }
        }
        while !removing.is_empty() {
            let mut grown: BTreeSet<&str> = BTreeSet::new();
            for reference in removing.drain(..) {
                if self.mark_one(connection, reference, Treatment::Remove).await? > 0 {
                    grown.insert(&reference.child_table);
                }
            }
            let hangs_on_grown = |r: &&Reference| {
                r.parent_schema == self.catalog.schema && grown.contains(r.parent_table.as_str())
            };
            for reference in self.all.iter().filter(hangs_on_grown) {
                match treatment(reference, self.catalog) {
                    Ok(Treatment::Remove) => removing.push(reference),
                    Ok(Treatment::Empty) => emptying.push(reference),
                    Err(_) => {} // `guard` looks whether any row really hangs on one.
                }
            }
        }
        for reference in emptying {
            self.mark_one(connection, reference, Treatment::Empty).await?;
        }
        Ok(())
    }

    async fn mark_one(
        &self,
        connection: &mut PgConnection,
        reference: &Reference,
        treatment: Treatment,
    ) -> Result<u64> {
        let schema = &self.catalog.schema;
        let child = self.table(&reference.child_table)?;
        // A parent outside the schema loses no rows here; any column serves to say so.
        let parent_key = match self.catalog.tables.get(&reference.parent_table) {
            Some(parent) if reference.parent_schema == *schema && !parent.primary_key.is_empty() => {
                parent.primary_key.clone()
            }
            _ => reference.parent_columns.clone(),
        };
        let (action, changed): (_, &[String]) = match treatment {
            Treatment::Remove => (RowAction::Removed, &[]),
            Treatment::Empty => (RowAction::Changed, &reference.child_columns),
        };
        let key_pairs = child
            .primary_key
            .iter()
            .map(|column| format!("{}, child.{}", Fragment::literal(column), Fragment::ident(column)))
            .collect::<Vec<_>>()
            .join(", ");
        let variables = Variables::for_schema(schema)
            .text("code", &self.fix.code)
            .text("table", &child.name)
            .text("action", action.as_str())
            .text("changed_columns", serde_json::to_string(changed)?)
            .text("reason", format!("{} is gone", reference.subject()))
            .text("parent_schema", &reference.parent_schema)
            .text("parent_table", &reference.parent_table)
            .sql("child", Fragment::qualified(schema, &child.name))
            .sql("parent", Fragment::qualified(&reference.parent_schema, &reference.parent_table))
            .sql("child_columns", Fragment::columns(Some("child"), &reference.child_columns))
            .sql("parent_columns", Fragment::columns(Some("parent"), &reference.parent_columns))
            .sql("child_key", Fragment::keyword(format!("pg_catalog.jsonb_build_object({key_pairs})")))
            .sql("child_primary_key", Fragment::columns(Some("child"), &child.primary_key))
            .sql("gone_child_key", Fragment::columns(Some("gone"), &child.primary_key))
            .sql("parent_key", Fragment::columns(Some("parent"), &parent_key))
            .sql("gone_parent_key", Fragment::columns(Some("gone"), &parent_key));
        Ok(run(connection, "sql/quarantine/mark.sql", &variables).await?.1)
    }

    /// Refuses when a row that cannot be quarantined hangs on one that is to be removed: the server would remove or
    /// change it silently.
    async fn guard(&self, connection: &mut PgConnection) -> Result<()> {
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
                         them back: they are in another schema or have no primary key",
                        key.child_schema, key.child_table, key.name
                    ),
                    "remove or repoint those rows yourself, then run the fix again",
                ));
            }
        }
        Ok(())
    }

    /// Empties columns, then removes rows, children first.
    async fn treat(&self, connection: &mut PgConnection) -> Result<Vec<String>> {
        let mut statements = Vec::new();
        let marked = super::quarantine::summary(connection).await?;
        let mut to_empty: BTreeMap<(String, Vec<String>), i64> = BTreeMap::new();
        let mut to_remove: BTreeMap<String, i64> = BTreeMap::new();
        for (_, diff) in marked.into_iter().filter(|(code, _)| *code == self.fix.code) {
            if diff.action == RowAction::Removed {
                *to_remove.entry(diff.table).or_default() += diff.count;
            } else {
                *to_empty.entry((diff.table, diff.columns)).or_default() += diff.count;
            }
        }
        for ((table, columns), count) in to_empty {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, &self.fix.code)
                .text("changed_columns", serde_json::to_string(&columns)?)
                .sql("assignments", assignments(&columns, None));
            let done = run(connection, "sql/quarantine/empty.sql", &variables).await?;
            statements.push(counted(done, count, &table)?);
        }
        for table in self.children_first(to_remove.keys().cloned().collect()) {
            let variables = table_variables(&self.catalog.schema, self.table(&table)?, &self.fix.code);
            let done = run(connection, "sql/quarantine/remove.sql", &variables).await?;
            statements.push(counted(done, to_remove[&table], &table)?);
        }
        Ok(statements)
    }

    /// Orders tables so that whatever refers to a table comes before it.
    fn children_first(&self, tables: Vec<String>) -> Vec<String> {
        children_first(tables, |child, parent| {
            self.all.iter().any(|r| r.child_table == child && r.parent_table == parent)
        })
    }

    fn table(&self, name: &str) -> Result<&Table> {
        self.catalog.tables.get(name).with_context(|| format!("there is no table {name:?}"))
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
    let variables = Variables::default()
        .text("parent_schema", &key.parent_schema)
        .text("parent_table", &key.parent_table)
        .sql("child", Fragment::qualified(&key.child_schema, &key.child_table))
        .sql("parent", Fragment::qualified(&key.parent_schema, &key.parent_table))
        .sql("child_columns", Fragment::columns(Some("child"), &key.child_columns))
        .sql("parent_columns", Fragment::columns(Some("parent"), &key.parent_columns));
    let rows = rows(connection, "sql/quarantine/hangs_on_removed.sql", &variables).await?;
    Ok(rows.first().context("a count is one row")?.try_get("count")?)
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
