//! What finds something to repair: a check, or a hazard of an upgrade.

use std::pin::Pin;

use anyhow::Result;
use sqlx::postgres::PgConnection;

use super::check::Check;
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
}

impl Finder for Check {
    fn rule(&self) -> &Rule {
        &self.rule
    }

    fn find<'a>(&'a self, connection: &'a mut PgConnection, scope: &'a Scope<'_>) -> Findings<'a> {
        Box::pin(run_check(connection, scope, self))
    }
}
