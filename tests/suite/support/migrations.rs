//! The migrations under `fixtures/migrations/`, written for the tests: they do what upstream's do.

use std::fs;
use std::path::{Path, PathBuf};

use evodoctor::database::ident::SqlFragment;
use evodoctor::database::query::sqlstate;
use evodoctor::evolution::release::{Migration, Release};
use sqlx::{AssertSqlSafe, PgConnection};

/// Where a migration's file is, in the content that `target` ships: older contents are under the release that changed
/// them.
pub fn path(migration: &Migration, target: Release) -> PathBuf {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let until = |release: &Release| {
        let older = fixtures.join("migrations_before").join(release.version()).join(&migration.name);
        (*release > target && older.exists()).then_some(older)
    };
    let folder = Release::all().find_map(|release| until(&release));
    folder.unwrap_or_else(|| fixtures.join("migrations").join(&migration.name)).join("migration.sql")
}

/// Its text.
pub fn text(migration: &Migration, target: Release) -> String {
    let path = path(migration, target);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Applies a migration as Prisma does: the file as one simple query, then its row in the history. Returns the SQLSTATE
/// where the server refuses.
pub async fn apply(
    connection: &mut PgConnection,
    schema: &str,
    migration: &Migration,
    target: Release,
) -> Result<(), String> {
    run(connection, &format!("SET search_path = {}", SqlFragment::ident(schema))).await?;
    let done = run(connection, &text(migration, target)).await;
    // A file that opened a transaction of its own leaves it broken.
    run(connection, "ROLLBACK").await?;
    done?;
    let history = SqlFragment::qualified(schema, "_prisma_migrations");
    let row = format!(
        "INSERT INTO {history} (id, checksum, migration_name, finished_at, applied_steps_count) \
         VALUES (md5(random()::text)::uuid::text, {}, {}, now(), 1)",
        SqlFragment::literal(migration.checksum_in(target).unwrap_or_default()),
        SqlFragment::literal(&migration.name),
    );
    run(connection, &row).await
}

async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), String> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await;
    done.map(drop).map_err(|error| sqlstate(&error).unwrap_or_else(|| panic!("{error}\n{sql}")))
}
