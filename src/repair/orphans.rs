//! The fix of EVO101: rows that refer to nothing are treated as their key would have treated them, then the constraint
//! is put in place.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::fix::Fix;
use super::online::{self, Later, Parts};
use super::rows::{Treatment, reach, treatment};
use crate::database::catalog::{Action, Catalog};
use crate::database::quote::Fragment;
use crate::database::run::execute;
use crate::database::script::{Variables, render};
use crate::examine::references::Reference;

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
    /// As it is now.
    pub fn of(reference: &Reference) -> Self {
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

/// The tables that the treatment of these references may touch or must keep still.
pub fn tables(references: &[&Reference], all: &[Reference], catalog: &Catalog) -> Vec<String> {
    let (mut touched, mut losing) = (Vec::new(), Vec::new());
    for reference in references {
        touched.push(reference.child_table.clone());
        if treatment(reference, catalog) == Ok(Treatment::Remove) {
            losing.push(reference.child_table.clone());
        }
        if reference.parent_schema == catalog.schema {
            touched.push(reference.parent_table.clone());
        }
    }
    reach(touched, losing, all, catalog)
}

/// The tables of a schema that get a key which is missing: writers have to wait while it is put in place.
pub fn altered(orphaned: &[&Reference], schema: &str) -> Vec<String> {
    let missing = orphaned.iter().filter(|reference| reference.declared.is_none());
    let both = missing.flat_map(|reference| {
        let parent = (reference.parent_schema == schema).then(|| reference.parent_table.clone());
        [Some(reference.child_table.clone()), parent]
    });
    both.flatten().collect()
}

/// What putting constraints in place did.
#[derive(Debug, Default)]
pub struct Constrained {
    /// The statements.
    pub statements: Vec<String>,
    /// The constraints dealt with, as they were.
    pub constraints: Vec<Constraint>,
    /// What is left for after the transaction.
    pub later: Vec<Later>,
}

/// Puts the constraints of `orphaned` in place, where `is_online` as much of it as keeps no writer waiting.
///
/// # Errors
/// When the server refuses a statement.
pub async fn constrain(
    connection: &mut PgConnection,
    fix: &Fix,
    catalog: &Catalog,
    orphaned: &[&Reference],
    is_online: bool,
) -> Result<Constrained> {
    let [add, validate] = fix.up.as_slice() else { bail!("EVO101's fix holds two statements") };
    // Before PostgreSQL 18 a partitioned table takes no key that is NOT VALID.
    let add_valid = add.strip_suffix(" NOT VALID").context("the key is added unvalidated")?.to_owned();
    let constraints = orphaned.iter().map(|reference| Constraint::of(reference)).collect();
    let mut done = Constrained { constraints, ..Constrained::default() };
    for constraint in &done.constraints {
        let variables = constraint.variables(&catalog.schema);
        let is_partitioned =
            catalog.tables.get(&constraint.child_table).is_some_and(|table| table.kind == "p");
        let needed: &[&String] = match constraint.before {
            Before::Absent if is_partitioned => &[&add_valid],
            Before::Absent => &[add, validate],
            Before::NotValid => &[validate],
            Before::ClaimedValid | Before::NotEnforced => &[],
        };
        for statement in needed {
            let whole = render(statement, &variables)?;
            let Parts { now, later: after } = match is_online {
                true => online::parts(&whole, catalog)?,
                false => Parts { now: Some(whole), later: None },
            };
            done.later.extend(after);
            let Some(sql) = now else { continue };
            execute(connection, sql.clone())
                .await
                .with_context(|| format!("while restoring the constraint {:?}", constraint.name))?;
            done.statements.push(sql);
        }
    }
    Ok(done)
}
