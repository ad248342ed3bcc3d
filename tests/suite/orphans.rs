//! However the orphans of a key are found, they are the same: every strategy against the plain anti-join, on random rows.

mod random_rows;

use std::collections::BTreeSet;

use evodoctor::checks::check::{Check, all_checks};
use evodoctor::checks::context::CheckContext;
use evodoctor::checks::executor::{self, ExecutionOptions};
use evodoctor::checks::orphans::strategy::{Strategy, choose_strategy};
use evodoctor::checks::run_checks::run_check;
use evodoctor::checks::table_scan::TableScans;
use evodoctor::database::query::{begin_transaction, execute_file};
use evodoctor::database::sql_file::Variables;
use evodoctor::database::url::ConnectTarget;
use sqlx::PgConnection;

use self::random_rows::fill;
use super::support::database::{TestDatabase, execute};
use super::support::examination::{SNAPSHOT, read_catalog, summary_lines};
use super::support::program::evodoctor;

/// Which strategies were chosen for which reference: with each table by itself, and where others read it, too.
type Chosen = BTreeSet<(String, &'static str)>;

/// The checks that have more ways than one, and what two ways of them find.
const CODES: [&str; 4] = ["EVO101", "EVO102", "EVO103", "EVO108"];

async fn find(connection: &mut PgConnection, scope: &CheckContext<'_>, codes: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for check in all_checks().iter().filter(|check| codes.contains(&check.rule.code.as_str())) {
        let (report, findings) = run_check(connection, scope, check).await.expect("an answer");
        found.extend(summary_lines(&[report], &findings));
    }
    found
}

/// The same on three connections.
async fn find_side_by_side(
    connection: &mut PgConnection,
    scope: &CheckContext<'_>,
    database: &TestDatabase,
) -> BTreeSet<String> {
    let target = ConnectTarget::parse(&database.url()).expect("a connection string");
    let plan = ExecutionOptions { target: &target, jobs: Some(3), deadline: None };
    let selected = |check: &Check| CODES.contains(&check.rule.code.as_str());
    let never = std::future::pending();
    let done = executor::run_in_parallel(connection, scope, &plan, selected, never).await.expect("an answer");
    summary_lines(&done.checks, &done.findings)
}

fn strategies(scope: &CheckContext<'_>) -> Chosen {
    let chosen = scope.references.iter().map(|reference| {
        let name = match choose_strategy(reference, scope).strategy {
            Strategy::Plain => "plain",
            Strategy::LooseIndexScan { .. } => "loose index scan",
            Strategy::HashAntiJoin { .. } => "hash anti-join",
            Strategy::MergeAntiJoin { .. } => "merge anti-join",
            Strategy::SeqScan => "seq scan",
        };
        (reference.subject(), name)
    });
    chosen.collect()
}

/// The chosen strategies find the same as the planner's anti-joins.
async fn compare(database: &TestDatabase, is_paranoid: bool, case: &str) -> (String, Chosen) {
    let connection = &mut database.connect().await;
    begin_transaction(connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = read_catalog(connection).await;
    let scope = |large: u64| {
        let mut scope = CheckContext::new(&catalog, range, "postgres");
        (scope.paranoid, scope.large) = (is_paranoid, large);
        scope
    };
    let expected = find(connection, &scope(u64::MAX), &CODES).await;
    if is_paranoid {
        execute_file(connection, "sql/catalog/heap_only.sql", &Variables::default()).await.expect("settings");
    }
    // By itself EVO101 reads what it needs from indexes, where it can.
    let alone = scope(0);
    let found = find(connection, &alone, &CODES[..1]).await;
    let of_others = found.difference(&expected).next();
    assert_eq!(of_others, None, "{case}, alone: {:?}", strategies(&alone));
    let mut strategies = strategies(&alone);
    let together = scope(0);
    let found = find(connection, &together, &CODES).await;
    // If another check reads the tables anyway, the hashes come from that scan.
    let announced = all_checks().iter().filter(|check| CODES.contains(&check.rule.code.as_str()));
    announced.for_each(|check| check.register_scans(&together));
    assert_eq!(find(connection, &together, &CODES).await, found, "{case}, from the tables");
    // In many chunks, which three connections take as they come.
    let mut chunks = scope(0);
    chunks.scans = TableScans::in_chunks_of(2);
    assert_eq!(find_side_by_side(connection, &chunks, database).await, found, "{case}, in chunks");
    strategies.extend(self::strategies(&together));
    if let Some(one) = found.symmetric_difference(&expected).next() {
        let of = if found.contains(one) { "found too much" } else { "not found" };
        panic!("{case}, {of}: {one}\n{strategies:?}");
    }
    (found.into_iter().collect::<Vec<_>>().join("\n"), strategies)
}

fn has(chosen: &Chosen, subject: &str, strategy: &'static str) -> bool {
    chosen.contains(&(subject.to_owned(), strategy))
}

#[tokio::test]
async fn every_strategy_finds_what_an_anti_join_finds() {
    const OF_UPDATE: &str = "MessageUpdate.messageId → Message";
    for seed in 0..3 {
        let database = TestDatabase::new("2.3.7", "public").await;
        let mut connection = database.connect().await;
        let connection = &mut connection;
        fill(connection, seed).await;

        // Nothing is known of the values: a walk is tried, and gives up where there are many.
        let (found, chosen) = compare(&database, false, &format!("{seed}, not analysed")).await;
        assert!(found.lines().count() >= 3 + 5, "{found}");
        for key in
            ["MessageUpdate.keyId → Message", "0 to 5", "other numbers", "Contact_remoteJid_instanceId_key"]
        {
            assert!(found.contains(&format!("\"key\":\"{key}\"")), "{key}: {found}");
        }
        assert!(has(&chosen, OF_UPDATE, "loose index scan"), "{chosen:?}");

        execute(connection, "VACUUM ANALYZE").await;
        let (_, chosen) = compare(&database, false, &format!("{seed}, analysed")).await;
        assert!(has(&chosen, OF_UPDATE, "hash anti-join"), "{chosen:?}");
        assert!(has(&chosen, "MessageUpdate.instanceId → Instance", "loose index scan"), "{chosen:?}");
        assert!(has(&chosen, "Message.sessionId → IntegrationSession", "hash anti-join"), "{chosen:?}");

        // Rows that came since ANALYZE are after the last page that is known.
        let grown = r#"SET session_replication_role = replica;
            INSERT INTO "MessageUpdate" ("id", "messageId", "instanceId", "keyId", "remoteJid", "fromMe", "status")
                SELECT 'late' || n, 'gone ' || n, 'gone', 'gone', 'j', true, 'READ' FROM generate_series(1, 500) AS n;
            INSERT INTO "Contact" ("id", "remoteJid", "instanceId") SELECT 'late' || n, 'late ' || n % 250, 'gone' FROM generate_series(1, 500) AS n;
            RESET session_replication_role"#;
        execute(connection, grown).await;
        let (found, _) = compare(&database, false, &format!("{seed}, grown")).await;
        assert!(found.contains("late"), "{found}");

        execute(connection, "VACUUM ANALYZE").await;
        execute(
            connection,
            r#"CREATE INDEX sessions ON "Message" ("sessionId");
            CREATE INDEX owners ON "IntegrationSession" ("instanceId")"#,
        )
        .await;
        let (_, chosen) = compare(&database, false, &format!("{seed}, more indexes")).await;
        for subject in [OF_UPDATE, "Message.sessionId → IntegrationSession"] {
            assert!(
                has(&chosen, subject, "merge anti-join") && has(&chosen, subject, "hash anti-join"),
                "{chosen:?}"
            );
        }
        execute(connection, "DROP INDEX sessions, owners").await;

        let (_, chosen) = compare(&database, true, &format!("{seed}, paranoid")).await;
        assert!(chosen.iter().all(|(_, strategy)| matches!(*strategy, "seq scan" | "plain")), "{chosen:?}");
        assert!(has(&chosen, OF_UPDATE, "seq scan"), "{chosen:?}");

        // No index, an index on some of the rows, one of another kind, and one that is not valid.
        execute(
            connection,
            r#"DROP INDEX "MessageUpdate_messageId_idx", "Message_instanceId_idx", "MessageUpdate_instanceId_idx";
            CREATE INDEX ON "Message" ("instanceId") WHERE "sessionId" IS NULL;
            CREATE INDEX ON "Message" USING hash ("sessionId");
            CREATE INDEX crooked ON "MessageUpdate" ("instanceId");
            UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'crooked'::regclass"#,
        )
        .await;
        let (_, chosen) = compare(&database, false, &format!("{seed}, useless indexes")).await;
        assert!(has(&chosen, OF_UPDATE, "hash anti-join"), "{chosen:?}");
        assert!(has(&chosen, "Message.instanceId → Instance", "hash anti-join"), "{chosen:?}");
        assert!(has(&chosen, "MessageUpdate.instanceId → Instance", "hash anti-join"), "{chosen:?}");
    }
}

/// What sorts, or is, something else than a plain column is left to the planner.
#[tokio::test]
async fn unusual_keys_are_compared_too() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    fill(connection, 7).await;
    execute(
        connection,
        r#"SET session_replication_role = replica;
        ALTER TABLE "MessageUpdate" DROP CONSTRAINT "MessageUpdate_messageId_fkey", DROP CONSTRAINT "MessageUpdate_instanceId_fkey";
        ALTER TABLE "Message" DROP CONSTRAINT "Message_instanceId_fkey", DROP CONSTRAINT "Message_sessionId_fkey";
        ALTER TABLE "IntegrationSession" DROP CONSTRAINT "IntegrationSession_instanceId_fkey";
        ALTER TABLE "MessageUpdate" ALTER "messageId" TYPE varchar(60), ALTER "instanceId" TYPE varchar(40) COLLATE "C";
        ALTER TABLE "Instance" ALTER "id" TYPE text COLLATE "C";
        ALTER TABLE "IntegrationSession" RENAME TO "Kept";
        CREATE VIEW "IntegrationSession" AS SELECT * FROM "Kept";
        CREATE SCHEMA other;
        CREATE TABLE other."Owner" (a int, b text COLLATE "C", PRIMARY KEY (a, b));
        INSERT INTO other."Owner" VALUES (1, 'x');
        CREATE TABLE "Owned" ("id" int PRIMARY KEY, a int, b text COLLATE "C");
        INSERT INTO "Owned" VALUES (1, 1, 'x'), (2, 1, 'y'), (3, NULL, 'z');
        ALTER TABLE "Owned" ADD CONSTRAINT owned FOREIGN KEY (a, b) REFERENCES other."Owner" NOT VALID;
        CREATE INDEX ON "Owned" (a, b);
        CREATE TABLE "Number" ("id" bigint PRIMARY KEY);
        INSERT INTO "Number" SELECT generate_series(1, 3000);
        CREATE TABLE "Counted" ("id" int PRIMARY KEY, n bigint REFERENCES "Number", unindexed bigint REFERENCES "Number", word text);
        INSERT INTO "Counted" SELECT n, NULLIF(n, 7) + CASE WHEN n % 1000 = 0 THEN 9000 ELSE 0 END, NULLIF(n, 8) + CASE WHEN n > 2990 THEN 9000 ELSE 0 END FROM generate_series(1, 3000) AS n;
        CREATE INDEX ON "Counted" (n);
        CREATE TABLE "Word" ("word" varchar(40) PRIMARY KEY);
        INSERT INTO "Word" SELECT 'wörd ' || n FROM generate_series(1, 3000) AS n;
        UPDATE "Counted" SET word = 'wörd ' || CASE WHEN n % 100 = 0 THEN -n ELSE n END WHERE n % 2 = 0;
        CREATE INDEX ON "Counted" (word);
        ALTER TABLE "Counted" ADD CONSTRAINT worded FOREIGN KEY (word) REFERENCES "Word" NOT VALID;
        CREATE TABLE "Heir" () INHERITS ("Message");
        RESET session_replication_role;
        ANALYZE"#,
    )
    .await;
    // A worker of autovacuum that looks at the same tables may keep pages from being marked as visible to all.
    let is_visible = r#"SELECT bool_and(relallvisible = relpages) FROM pg_class WHERE relname IN ('Counted', 'Number', 'Word')"#;
    for _ in 0..50 {
        execute(connection, r#"VACUUM "Counted", "Number", "Word""#).await;
        if sqlx::query_scalar(is_visible).fetch_one(&mut *connection).await.expect("a row") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    let (found, chosen) = compare(&database, false, "unusual").await;
    for (subject, strategy) in [
        // Only the length differs.
        ("MessageUpdate.messageId → Message", "plain"),
        ("MessageUpdate.instanceId → Instance", "loose index scan"),
        ("Message.sessionId → IntegrationSession", "plain"),
        ("Owned.a+b → Owner", "plain"),
        ("Counted.n → Number", "merge anti-join"),
        ("Counted.unindexed → Number", "seq scan"),
        ("Counted.word → Word", "merge anti-join"),
    ] {
        assert!(has(&chosen, subject, strategy), "{subject}: {chosen:?}");
        assert!(found.contains(subject), "{subject}: {found}");
    }
}

/// An index that lost rows hides orphans from everybody who trusts it.
#[tokio::test]
async fn paranoid_mode_finds_orphans_that_a_corrupt_index_hides() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    // Rows that come while an index is not ready are not in it.
    execute(
        &mut connection,
        r#"INSERT INTO public."Instance" ("id", "name") SELECT 'i' || n, 'name ' || n FROM generate_series(1, 10) AS n;
        INSERT INTO public."Setting" ("id", "updatedAt", "instanceId") SELECT 's' || n, now(), 'i' || n FROM generate_series(1, 10) AS n;
        INSERT INTO public."Contact" ("id", "remoteJid", "pushName", "instanceId")
            SELECT 'c' || n, n, repeat('x', 90), 'i' || 1 + n % 10 FROM generate_series(1, 10000) AS n;
        ANALYZE public."Contact";
        SET session_replication_role = replica;
        UPDATE pg_index SET indisready = false, indisvalid = false WHERE indexrelid = 'public."Contact_instanceId_idx"'::regclass;
        INSERT INTO public."Contact" ("id", "remoteJid", "instanceId") VALUES ('lost', 'lost', 'gone');
        UPDATE pg_index SET indisready = true, indisvalid = true WHERE indexrelid = 'public."Contact_instanceId_idx"'::regclass"#,
    )
    .await;
    let url = database.url();
    let run = evodoctor(&["check", "-vv", "--select", "EVO101", "--database-url", &url]);
    assert_eq!(run.code, Some(0), "{}", run.stdout);
    assert!(
        run.stderr.contains("Contact.instanceId → Instance: a loose scan of the index"),
        "{}",
        run.stderr
    );
    let run = evodoctor(&["check", "-vv", "--paranoid", "--select", "EVO101", "--database-url", &url]);
    assert_eq!(run.code, Some(1), "{}", run.stdout);
    assert!(run.stdout.contains("\"id\":\"lost\""), "{}", run.stdout);
    assert!(run.stderr.contains("Contact.instanceId → Instance: one pass"), "{}", run.stderr);
}

/// More keys that come twice than rows are looked up one by one: the server groups all of them.
#[tokio::test]
async fn large_numbers_of_duplicates_are_found() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    execute(
        connection,
        r#"DROP INDEX "Contact_remoteJid_instanceId_key";
        INSERT INTO "Instance" ("id", "name") VALUES ('i', 'name');
        INSERT INTO "Contact" ("id", "remoteJid", "instanceId")
            SELECT 'c' || n, n / 2, 'i' FROM generate_series(0, 2 * 100001 - 1) AS n;
        ANALYZE"#,
    )
    .await;
    let (found, _) = compare(&database, false, "very many").await;
    assert!(found.contains("Contact_remoteJid_instanceId_key") && found.contains("100001"), "{found}");
}
