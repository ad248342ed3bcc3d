//! The fix of EVO101: orphaned rows are removed or emptied as their key would have done, then the constraint is added.

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgConnection;

use super::deferred_ddl::{self, DeferredStatement, SplitDdl};
use super::fix::Fix;
use super::row_changes::{OrphanTreatment, orphan_treatment, reachable_tables};
use crate::checks::references::Reference;
use crate::database::catalog::{Catalog, ReferentialAction};
use crate::database::ident::SqlFragment;
use crate::database::query::execute;
use crate::database::sql_file::{Variables, render};

/// The constraint's state before the fix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConstraintState {
    /// There was none.
    Absent,
    /// Declared NOT VALID.
    NotValid,
    /// Declared and claimed to be valid, although rows referred to nothing.
    ClaimedValid,
    /// Declared and not enforced (18 and later).
    NotEnforced,
}

/// A constraint that the fix changed: all that undo needs to restore it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SavedConstraint {
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
    pub on_delete: ReferentialAction,
    /// ON UPDATE.
    pub on_update: ReferentialAction,
    /// DEFERRABLE.
    pub is_deferrable: bool,
    /// INITIALLY DEFERRED.
    pub is_deferred: bool,
    /// Its state before.
    pub before: ConstraintState,
}

impl SavedConstraint {
    /// As it is now.
    pub fn from_reference(reference: &Reference) -> Self {
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
                None => ConstraintState::Absent,
                Some(key) if !key.is_enforced => ConstraintState::NotEnforced,
                Some(key) if !key.is_validated => ConstraintState::NotValid,
                Some(_) => ConstraintState::ClaimedValid,
            },
        }
    }

    /// The variables of EVO101's fix files.
    pub fn variables(&self, schema: &str) -> Variables {
        let mut definition = format!(
            "FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE {}",
            SqlFragment::columns(None, &self.child_columns),
            SqlFragment::qualified(&self.parent_schema, &self.parent_table),
            SqlFragment::columns(None, &self.parent_columns),
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
            .sql("child", SqlFragment::qualified(schema, &self.child_table))
            .sql("definition", SqlFragment::assert_safe(definition))
    }
}

/// The tables that the repair of these references may write or must lock.
pub fn tables(references: &[&Reference], all: &[Reference], catalog: &Catalog) -> Vec<String> {
    let (mut touched, mut losing) = (Vec::new(), Vec::new());
    for reference in references {
        touched.push(reference.child_table.clone());
        if orphan_treatment(reference, catalog) == Ok(OrphanTreatment::Remove) {
            losing.push(reference.child_table.clone());
        }
        if reference.parent_schema == catalog.schema {
            touched.push(reference.parent_table.clone());
        }
    }
    reachable_tables(touched, losing, all, catalog)
}

/// The tables of a schema that get a missing key: writers wait while it is added.
pub fn altered_tables(orphaned: &[&Reference], schema: &str) -> Vec<String> {
    let missing = orphaned.iter().filter(|reference| reference.declared.is_none());
    let both = missing.flat_map(|reference| {
        let parent = (reference.parent_schema == schema).then(|| reference.parent_table.clone());
        [Some(reference.child_table.clone()), parent]
    });
    both.flatten().collect()
}

/// The result of adding constraints.
#[derive(Debug, Default)]
pub struct ConstraintResult {
    /// The statements.
    pub statements: Vec<String>,
    /// The constraints dealt with, as they were.
    pub constraints: Vec<SavedConstraint>,
    /// The deferred statements.
    pub later: Vec<DeferredStatement>,
}

/// Adds the constraints of `orphaned`; with `is_online` only the part that does not block writers.
pub async fn add_constraints(
    connection: &mut PgConnection,
    fix: &Fix,
    catalog: &Catalog,
    orphaned: &[&Reference],
    is_online: bool,
) -> Result<ConstraintResult> {
    let [add, validate] = fix.up.as_slice() else { bail!("EVO101's fix holds two statements") };
    // Before PostgreSQL 18 a partitioned table takes no key that is NOT VALID.
    let add_valid =
        add.strip_suffix(" NOT VALID").context("the foreign key is added unvalidated")?.to_owned();
    let constraints = orphaned.iter().map(|reference| SavedConstraint::from_reference(reference)).collect();
    let mut done = ConstraintResult { constraints, ..ConstraintResult::default() };
    for constraint in &done.constraints {
        let variables = constraint.variables(&catalog.schema);
        let is_partitioned =
            catalog.tables.get(&constraint.child_table).is_some_and(|table| table.kind == "p");
        let needed: &[&String] = match constraint.before {
            ConstraintState::Absent if is_partitioned => &[&add_valid],
            ConstraintState::Absent => &[add, validate],
            ConstraintState::NotValid => &[validate],
            ConstraintState::ClaimedValid | ConstraintState::NotEnforced => &[],
        };
        for statement in needed {
            let whole = render(statement, &variables)?;
            let SplitDdl { now, later: after } = match is_online {
                true => deferred_ddl::split_ddl(&whole, catalog)?,
                false => SplitDdl { now: Some(whole), later: None },
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
