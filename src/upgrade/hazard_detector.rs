//! A hazard that `fix` can repair before the upgrade.

use sqlx::postgres::PgConnection;

use super::catalog_state::CatalogState;
use super::hazard::Hazard;
use super::preflight::{hazard_context, pending_migrations, walk_each};
use crate::checks::context::CheckContext;
use crate::checks::detector::{Detector, DetectorFuture};
use crate::database::catalog;
use crate::evolution::release::{MigrationHistory, Release};
use crate::rules::rule::Rule;

/// A hazard of the upgrade to a release.
#[derive(Debug)]
pub struct HazardDetector {
    /// The hazard.
    pub hazard: &'static Hazard,
    /// The release to go to.
    pub target: Release,
}

impl Detector for HazardDetector {
    fn rule(&self) -> &Rule {
        &self.hazard.rule
    }

    /// Reads the history again each time: a fix may have recorded the migration in the meantime.
    fn find<'a>(
        &'a self,
        connection: &'a mut PgConnection,
        context: &'a CheckContext<'_>,
    ) -> DetectorFuture<'a> {
        Box::pin(async move {
            let rows = catalog::migration_history(connection, context.catalog).await?;
            let pending =
                pending_migrations(rows.map(|rows| MigrationHistory::from_rows(&rows)).as_ref(), self.target);
            let schema = &context.catalog.schema;
            let state = CatalogState::read(connection, schema).await?;
            // How long something takes is nothing that a fix could change.
            let examined = walk_each(state, schema, &pending, self.target, None);
            let known = hazard_context(schema, &examined, self.target);
            let (report, mut found) = self.hazard.run(connection, context, &known).await?;
            found.retain(|one| pending.iter().any(|migration| migration.number() == one.migration));
            Ok((report, found.into_iter().map(|one| one.finding).collect()))
        })
    }
}
