//! What finds something to repair: a check, or a hazard of an upgrade.

use std::pin::Pin;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::check::{Check, CheckScope};
use super::context::CheckContext;
use super::run_checks::run_check;
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::rule::Rule;

/// The future of a detector's report and findings.
pub type DetectorFuture<'a> = Pin<Box<dyn Future<Output = Result<(CheckReport, Vec<Finding>)>> + 'a>>;

/// Something that can be asked again once its findings are repaired.
pub trait Detector {
    /// The rule of its code.
    fn rule(&self) -> &Rule;

    /// Asks the database, in the transaction that is open.
    fn find<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        context: &'a CheckContext<'_>,
    ) -> DetectorFuture<'a>;

    /// True if its findings may depend on the rows of a table, also if that is unknown.
    fn reads(&self, _table: &str, _scope: &CheckContext<'_>) -> bool {
        true
    }

    /// True if its findings may depend on which tables, keys and indexes exist, also if that is unknown.
    fn reads_catalog(&self) -> bool {
        true
    }
}

impl Detector for Check {
    fn rule(&self) -> &Rule {
        &self.rule
    }

    fn find<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        context: &'a CheckContext<'_>,
    ) -> DetectorFuture<'a> {
        Box::pin(run_check(connection, context, self))
    }

    fn reads(&self, table: &str, context: &CheckContext<'_>) -> bool {
        match self.scope() {
            CheckScope::Reference => {
                let mut references = context.references.iter();
                references.any(|one| one.child_table == table || one.parent_table == table)
            }
            CheckScope::UniqueIndex => context.unique_indexes.iter().any(|index| index.table == table),
            CheckScope::Once | CheckScope::Finding => self.mentions(table),
        }
    }
}
