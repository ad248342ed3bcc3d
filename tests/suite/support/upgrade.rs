//! An upgrade as preflight predicts it, and as it happens.

use std::collections::BTreeMap;

use evodoctor::checks::context::CheckContext;
use evodoctor::database::catalog::{self, Catalog};
use evodoctor::database::query::begin_transaction;
use evodoctor::evolution::release::{MigrationHistory, Release};
use evodoctor::upgrade::preflight::{self, Prediction};
use evodoctor::upgrade::{MigrationOutcome, Preflight};
use sqlx::{Connection, PgConnection};

use super::database::TestDatabase;
use super::migrations::apply;
use super::sample_rows::{contents, difference};

/// Asks preflight, in a read-only snapshot.
pub async fn predict(database: &TestDatabase, schema: &str, target: Release) -> Prediction {
    let mut connection = database.connect().await;
    begin_transaction(&mut connection, "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        .await
        .expect("a snapshot");
    let catalog = Catalog::read(&mut connection, schema).await.expect("a catalog");
    let history = history(&mut connection, &catalog).await;
    let scope = CheckContext::new(&catalog, history.as_ref().and_then(|history| history.range), "postgres");
    let prediction = preflight::predict_upgrade(&mut connection, &scope, history.as_ref(), target)
        .await
        .expect("an answer");
    connection.close().await.expect("a clean end");
    prediction
}

async fn history(connection: &mut PgConnection, catalog: &Catalog) -> Option<MigrationHistory> {
    let rows = catalog::migration_history(connection, catalog).await.expect("a history");
    rows.map(|rows| MigrationHistory::from_rows(&rows))
}

/// What happens when the target's server starts: the fate of the rows, or the migration that failed and how.
pub type Happening = Result<BTreeMap<(String, String), i64>, (String, String)>;

/// The same, as predicted.
pub fn predicted(preflight: &Preflight) -> Happening {
    let mut counts = BTreeMap::new();
    for pending in &preflight.pending {
        assert_ne!(pending.outcome, MigrationOutcome::Undecided, "{}", pending.name);
        if pending.outcome == MigrationOutcome::Fails {
            assert!(pending.reached, "{} is the first to fail", pending.name);
            return Err((pending.name.to_owned(), pending.sqlstate.clone().expect("an error")));
        }
        for rows in &pending.rows {
            *counts.entry((rows.table.clone(), rows.action.clone())).or_insert(0) += rows.count;
        }
    }
    Ok(counts)
}

/// True if something is to be recorded as applied without being there.
pub fn goes_astray(prediction: &Prediction) -> bool {
    prediction.preflight.pending.iter().any(|pending| pending.outcome == MigrationOutcome::GoesAstray)
}

/// Upgrades a database as the target's server does.
pub async fn upgrade(connection: &mut PgConnection, schema: &str, target: Release) -> Happening {
    let catalog = Catalog::read(connection, schema).await.expect("a catalog");
    let history = history(connection, &catalog).await.expect("a history");
    let before = contents(connection, schema).await;
    for migration in target.migrations().filter(|migration| !history.applied.contains(&migration.name)) {
        let done = apply(connection, schema, migration, target).await;
        done.map_err(|sqlstate| (migration.name.clone(), sqlstate))?;
    }
    Ok(difference(&before, &contents(connection, schema).await, target))
}
