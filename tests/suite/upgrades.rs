//! What `preflight` predicts is what happens: upgrades from every release to every later one, with migrations written for
//! the tests (`fixtures/migrations`), on clean and on old data.

use std::collections::BTreeMap;
use std::path::PathBuf;

use evodoctor::evolution::release::{Migration, Release, facts};
use evodoctor::rules::rule::Severity;
use evodoctor::upgrade::catalog_state::CatalogState;
use evodoctor::upgrade::keep::derive::what_goes;
use evodoctor::upgrade::locks::{DdlLockMode, migration_locks};
use evodoctor::upgrade::preflight::Prediction;
use evodoctor::upgrade::read_speed::TableWork;
use evodoctor::upgrade::simulate::simulate;
use sqlx::{Connection, PgConnection, Row};

use crate::keep::assert_exactly_what_goes;
use crate::release_schema::{assert_equal, expected, found};
use crate::support::database::{TestDatabase, execute};
use crate::support::migrations::{apply, path, text};
use crate::support::sample_rows::{contents, difference, fill};
use crate::support::upgrade::{Happening, goes_astray, predict, predicted};

const SCHEMA: &str = "evolution_api";

/// The migrations for the tests are upstream's in what they leave behind: at every release the very catalog.
#[tokio::test]
async fn the_migrations_of_the_fixtures_build_every_release() {
    for schema in [SCHEMA, "public"] {
        let database = TestDatabase::empty().await;
        let mut connection = database.connect().await;
        execute(&mut connection, &format!("CREATE SCHEMA IF NOT EXISTS {schema}")).await;
        execute(
            &mut connection,
            &format!("SET search_path = {schema}; CREATE TABLE _prisma_migrations (id text, checksum text, migration_name text, finished_at timestamptz, applied_steps_count integer)"),
        )
        .await;
        let mut done = 0;
        for release in Release::all() {
            // The content of 2.3.4 is for "public" only.
            let content = if schema == "public" { release } else { Release::newest() };
            let all: Vec<&Migration> = release.migrations().collect();
            for migration in &all[done..] {
                let applied = apply(&mut connection, schema, migration, content).await;
                assert_eq!(applied, Ok(()), "{}", migration.name);
            }
            done = all.len();
            assert_equal(&found(&mut connection, schema).await, &expected(release), release.version());
        }
    }
}

/// Locks and rewrites are those of the facts, for every migration, on tables that were there before it.
#[tokio::test]
async fn locks_are_the_ones_that_the_server_takes() {
    let first = Release::all().next().expect("there are releases");
    let database = TestDatabase::new(first.version(), SCHEMA).await;
    let mut connection = database.connect().await;
    for migration in facts().migrations.iter().filter(|migration| migration.since() > first) {
        let mut state = CatalogState::read(&mut connection, SCHEMA).await.expect("readable");
        let (predicted, _) = migration_locks(&state, migration, Release::newest(), None);
        assert!(simulate(&mut state, migration, Release::newest()).is_empty(), "{}", migration.name);
        let before = files(&mut connection).await;
        let open = format!("BEGIN; SET LOCAL search_path = {SCHEMA}");
        execute(&mut connection, &open).await;
        let sql = text(migration, Release::newest()).replace("BEGIN;", "").replace("COMMIT;", "");
        execute(&mut connection, &sql).await;
        let after = files(&mut connection).await;
        let mut seen = BTreeMap::new();
        for (table, file) in &before {
            // The table has another file when it is rewritten; a dropped table has none.
            let is_rewritten = after.get(table).is_some_and(|new| new.0 == file.0 && new.1 != file.1);
            if let Some(mode) = strongest(&mut connection, file.0).await {
                seen.insert(table.clone(), (mode, is_rewritten));
            }
        }
        execute(&mut connection, "COMMIT").await;
        let predicted: BTreeMap<String, (&str, bool)> = predicted
            .into_iter()
            .map(|lock| (lock.table, (lock.mode.in_pg_locks(), lock.work == TableWork::Rewrite)))
            .collect();
        let seen: BTreeMap<String, (&str, bool)> = seen.into_iter().collect();
        assert_eq!(predicted, seen, "{}", migration.name);
    }
}

/// The tables of the schema, by name, with oid and file.
async fn files(connection: &mut PgConnection) -> BTreeMap<String, (i64, i64)> {
    let sql = "SELECT relname::text, oid::bigint, relfilenode::bigint FROM pg_catalog.pg_class
               WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relname <> '_prisma_migrations'";
    let rows = sqlx::query(sql).bind(SCHEMA).fetch_all(connection).await.expect("readable");
    rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect()
}

async fn strongest(connection: &mut PgConnection, table: i64) -> Option<&'static str> {
    let sql = "SELECT mode FROM pg_catalog.pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation'
               AND relation::bigint = $1";
    let modes: Vec<String> =
        sqlx::query_scalar(sql).bind(table).fetch_all(connection).await.expect("readable");
    let all = [
        DdlLockMode::AccessExclusive,
        DdlLockMode::ShareRowExclusive,
        DdlLockMode::Share,
        DdlLockMode::RowExclusive,
    ];
    all.iter().map(|mode| mode.in_pg_locks()).find(|mode| modes.iter().any(|seen| seen == mode))
}

/// A database of a release with rows in it, made the same every time.
struct Start<'a> {
    release: Release,
    schema: &'a str,
    without: &'a [&'a str],
    also: &'a str,
}

impl Start<'_> {
    async fn database(&self) -> TestDatabase {
        let database = TestDatabase::new(self.release.version(), self.schema).await;
        let mut connection = database.connect().await;
        fill(&mut connection, self.schema, self.release, self.without).await;
        execute(&mut connection, &format!("SET search_path = {}; {}", self.schema, self.also)).await;
        connection.close().await.expect("a clean end");
        database
    }
}

/// Upgrades to every later release with other migrations, and compares each with its prediction. One database is reused
/// as long as the next target only adds to what was applied. Returns how many pairs were compared.
async fn compare(start: &Start<'_>, judge: impl Fn(&Prediction, &str)) -> usize {
    let Start { release, schema, .. } = *start;
    let untouched = start.database().await;
    let mut connection = untouched.connect().await;
    let before = contents(&mut connection, schema).await;
    let state = CatalogState::read(&mut connection, schema).await.expect("readable");
    connection.close().await.expect("a clean end");
    let mut seen: Vec<Vec<PathBuf>> = Vec::new();
    let mut upgraded: Option<(TestDatabase, Vec<PathBuf>, Happening)> = None;
    for target in Release::all().filter(|target| *target > release) {
        let pending: Vec<&'static Migration> = target.migrations().filter(|m| m.since() > release).collect();
        let content: Vec<PathBuf> = pending.iter().map(|migration| path(migration, target)).collect();
        if content.is_empty() || seen.contains(&content) {
            continue;
        }
        seen.push(content.clone());
        let prediction = predict(&untouched, schema, target).await;
        let what = format!("{release} to {target}");
        judge(&prediction, &what);

        let goes_on = upgraded.take().filter(|(_, done, _)| content.starts_with(done));
        let (database, done, mut happening) = match goes_on {
            Some(upgraded) => upgraded,
            None => (TestDatabase::copy_of(&untouched).await, Vec::new(), Ok(BTreeMap::new())),
        };
        let mut connection = database.connect().await;
        for migration in &pending[done.len()..] {
            if happening.is_ok()
                && let Err(sqlstate) = apply(&mut connection, schema, migration, target).await
            {
                happening = Err((migration.name.clone(), sqlstate));
            }
        }
        if happening.is_ok() {
            let after = contents(&mut connection, schema).await;
            happening = Ok(difference(&before, &after, target));
            let parts = what_goes(&state, schema, &pending, target);
            assert_exactly_what_goes(&before, &after, &parts, &what);
            if !goes_astray(&prediction) {
                assert_equal(&found(&mut connection, schema).await, &expected(target), &what);
            }
        }
        assert_eq!(predicted(&prediction.preflight), happening, "{what}");
        upgraded = Some((database, content, happening));
    }
    seen.len()
}

/// The releases that differ in their migrations, in two halves: tests run side by side.
fn starts(half: usize) -> impl Iterator<Item = Release> {
    let count = |release: &Release| release.migrations().count();
    let mut all: Vec<Release> = Release::all().collect();
    all.dedup_by_key(|release| count(release));
    all.into_iter().skip(half).step_by(2)
}

/// Tables whose very rows are a hazard, in every release that has them.
const HAZARDOUS: &[&str] =
    &["TypebotSession", "OpenaiSession", "DifySession", "OpenaiBot", "IntegrationSession"];

async fn clean(half: usize) {
    let mut pairs = 0;
    for release in starts(half) {
        let start = Start { release, schema: SCHEMA, without: HAZARDOUS, also: "" };
        pairs += compare(&start, |prediction, what| {
            for finding in &prediction.findings {
                let is_known = finding.severity == Severity::Advice
                    || finding.code == "EVO611"
                    || (finding.code == "EVO613" && what.ends_with(" 2.3.4"));
                assert!(is_known, "{what}: {finding:?}");
            }
            assert!(prediction.checks.iter().all(|check| check.reason.is_none()), "{what}");
        })
        .await;
    }
    assert!(pairs > 40, "{pairs} pairs");
}

#[tokio::test]
async fn predictions_have_no_false_alarm_and_no_miss() {
    clean(0).await;
}

#[tokio::test]
async fn predictions_have_no_false_alarm_and_no_miss_from_the_other_releases() {
    clean(1).await;
}

/// Chats and contacts twice, some never updated, labels on the older row.
const TWICE: &str = r#"
    INSERT INTO "Chat" ("id", "remoteJid", "labels", "createdAt", "updatedAt", "instanceId") VALUES
        ('twice 1', 'twice', NULL, '2024-01-01', NULL, 'Instance 0'),
        ('twice 2', 'twice', '["1"]', '2024-01-01', '2025-01-01', 'Instance 0'),
        ('twice 3', 'twice', NULL, '2024-01-01', '2024-01-01', 'Instance 0'),
        ('twice 4', 'twice', NULL, '2024-01-01', NULL, 'Instance 1')"#;

const CONTACTS_TWICE: &str = r#"
    INSERT INTO "Contact" ("id", "remoteJid", "createdAt", "instanceId") VALUES
        ('twice 1', 'twice', '2024-01-01', 'Instance 0'),
        ('twice 2', 'twice', '2024-01-01', 'Instance 0'),
        ('twice 3', 'twice', '2024-01-01', 'Instance 0')"#;

async fn old(half: usize) {
    let mut pairs = 0;
    for release in starts(half) {
        let has = |name: &str| Release::find(name).expect("known") <= release;
        let chats = if has("2.3.7") { "" } else { TWICE };
        let contacts = if has("2.0.9") { "" } else { CONTACTS_TWICE };
        // Where rows of these tables make the upgrade fail, nothing else is seen: once with, once without.
        let refusing: &[&[&str]] = &[&["TypebotSession", "OpenaiSession", "OpenaiBot"], &[]];
        for without in &refusing[usize::from(has("2.0.4-rc"))..] {
            let also = format!("{chats}; {contacts}");
            let start = Start { release, schema: SCHEMA, without, also: &also };
            pairs += compare(&start, |_, _| {}).await;
        }
    }
    assert!(pairs > 60, "{pairs} pairs");
}

#[tokio::test]
async fn old_data_is_predicted_row_by_row() {
    old(0).await;
}

#[tokio::test]
async fn old_data_is_predicted_row_by_row_from_the_other_releases() {
    old(1).await;
}
