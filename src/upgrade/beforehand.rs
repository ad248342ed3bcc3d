//! A hazard that `fix` takes away before the upgrade.

use sqlx::postgres::PgConnection;

use super::hazard::Hazard;
use super::preflight::{known, pending, walk_each};
use super::state::State;
use crate::database::catalog;
use crate::evolution::release::{History, Release};
use crate::examine::finder::{Finder, Findings};
use crate::examine::rule::Rule;
use crate::examine::runner::Scope;

/// A hazard of the upgrade to a release.
#[derive(Debug)]
pub struct Beforehand {
    /// The hazard.
    pub hazard: &'static Hazard,
    /// The release to go to.
    pub target: Release,
}

impl Finder for Beforehand {
    fn rule(&self) -> &Rule {
        &self.hazard.rule
    }

    /// Reads the history anew each time: a fix may have recorded the migration in the meantime.
    fn find<'a>(&'a self, connection: &'a mut PgConnection, scope: &'a Scope<'_>) -> Findings<'a> {
        Box::pin(async move {
            let rows = catalog::migration_history(connection, scope.catalog).await?;
            let pending = pending(rows.map(|rows| History::read(&rows)).as_ref(), self.target);
            let schema = &scope.catalog.schema;
            let state = State::read(connection, schema).await?;
            // How long something takes is nothing that a fix could change.
            let examined = walk_each(state, schema, &pending, self.target, None);
            let known = known(schema, &examined, self.target);
            let (report, mut found) = self.hazard.run(connection, scope, &known).await?;
            found.retain(|one| pending.iter().any(|migration| migration.number() == one.migration));
            Ok((report, found.into_iter().map(|one| one.finding).collect()))
        })
    }
}
