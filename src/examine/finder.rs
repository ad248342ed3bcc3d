//! What finds something to repair: a check, or a hazard of an upgrade.

use std::pin::Pin;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::check::{Check, Family};
use super::finding::{CheckReport, Finding};
use super::rule::Rule;
use super::runner::{Scope, run_check};

/// How it came out, and what it found; to be awaited.
pub type Findings<'a> = Pin<Box<dyn Future<Output = Result<(CheckReport, Vec<Finding>)>> + 'a>>;

/// Something that can be asked again once its findings are repaired.
pub trait Finder {
    /// What its code stands for.
    fn rule(&self) -> &Rule;

    /// Asks the database, in the transaction that is open.
    fn find<'a>(&'a self, connection: &'a mut PgConnection, scope: &'a Scope<'_>) -> Findings<'a>;

    /// Whether its answer may depend on the rows of a table. Where that is not known, it may.
    fn reads(&self, _table: &str, _scope: &Scope<'_>) -> bool {
        true
    }

    /// Whether its answer may depend on what tables, keys and indexes there are. Where that is not known, it may.
    fn reads_catalog(&self) -> bool {
        true
    }
}

impl Finder for Check {
    fn rule(&self) -> &Rule {
        &self.rule
    }

    fn find<'a>(&'a self, connection: &'a mut PgConnection, scope: &'a Scope<'_>) -> Findings<'a> {
        Box::pin(run_check(connection, scope, self))
    }

    fn reads(&self, table: &str, scope: &Scope<'_>) -> bool {
        match self.family() {
            Family::Reference => {
                let mut references = scope.references.iter();
                references.any(|one| one.child_table == table || one.parent_table == table)
            }
            Family::UniqueIndex => scope.unique_indexes.iter().any(|index| index.table == table),
            Family::Once | Family::Finding => self.mentions(table),
        }
    }
}
