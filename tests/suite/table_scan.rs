//! A table is read in chunks, each once for everybody who subscribed, by whichever connection comes to it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use evodoctor::checks::check::Check;
use evodoctor::checks::context::CheckContext;
use evodoctor::checks::executor::{self, ExecutionOptions};
use evodoctor::checks::pool::{SnapshotPool, TaskLimits};
use evodoctor::checks::run_checks::run_checks;
use evodoctor::checks::scan_reader::{read_chunk, read_scan};
use evodoctor::checks::table_scan::{ChunkPart, Ctid, Projection, Subscription, TableScans, collect_ctids};
use evodoctor::checks::task_group::TaskGroup;
use evodoctor::database::query::begin_transaction;
use evodoctor::database::url::ConnectTarget;
use sqlx::{AssertSqlSafe, PgConnection};

use super::support::database::{TestDatabase, execute};
use super::support::examination::{SNAPSHOT, read_catalog, summary_lines};

/// How many pages a chunk has here.
const CHUNK: u64 = 8;

/// What is wrong of the rows stands in the first chunk, in one of the middle, in the last that the statistics know of, and
/// behind it: the last 200 rows came after ANALYZE. Some twelve fill a page: of twenty and more the catalog would count pages
/// by the rows that came since.
async fn fill(connection: &mut PgConnection) {
    execute(
        connection,
        r#"SET session_replication_role = replica;
        DROP INDEX "Contact_remoteJid_instanceId_key";
        CREATE VIEW wrong AS SELECT unnest(ARRAY[1, 1000, 1990, 2190]) AS n;
        INSERT INTO "Instance" ("id", "name") VALUES ('i', 'name');
        INSERT INTO "IntegrationSession" ("id", "instanceId", "sessionId", "remoteJid", "status", "updatedAt")
            VALUES ('s', 'i', 's', 'j', 'closed', now())"#,
    )
    .await;
    for (numbers, then) in [("1, 2000", "ANALYZE"), ("2001, 2200", "RESET session_replication_role")] {
        let sql = format!(
            r#"INSERT INTO "Message" ("id", "instanceId", "sessionId", "key", "message", "messageType", "source", "messageTimestamp")
                SELECT 'm' || n, 'i', CASE WHEN n IN (TABLE wrong) THEN 'gone ' || n ELSE 's' END, jsonb_build_object('id', 'key ' || n),
                    to_jsonb(repeat('t', 500)), 't', 'web', 1 FROM generate_series({numbers}) AS n;
            INSERT INTO "MessageUpdate" ("id", "messageId", "instanceId", "keyId", "remoteJid", "fromMe", "status", "pollUpdates")
                SELECT 'u' || n, 'm' || n, 'i', CASE WHEN n IN (TABLE wrong) THEN 'gone ' ELSE 'key ' END || n, 'j', true, 'READ',
                    to_jsonb(repeat('p', 500)) FROM generate_series({numbers}) AS n;
            INSERT INTO "Contact" ("id", "remoteJid", "profilePicUrl", "instanceId")
                SELECT 'c' || n, CASE WHEN n IN (TABLE wrong) THEN 'one' ELSE 'j' || n END, repeat('p', 500), 'i'
                FROM generate_series({numbers}) AS n;
            {then}"#
        );
        execute(connection, &sql).await;
    }
}

/// In which chunk each of the wrong rows of a table is, of so many.
async fn chunks_of_wrong(connection: &mut PgConnection, table: &str, count: u64) -> Vec<u64> {
    let sql = format!(
        r#"SELECT (ctid::text::point)[0]::bigint FROM public."{table}" WHERE substr("id", 2)::integer IN (TABLE public.wrong) ORDER BY ctid"#
    );
    let pages: Vec<i64> =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.expect("the wrong rows");
    pages.into_iter().map(|page| (page.cast_unsigned() / CHUNK).min(count)).collect()
}

#[tokio::test]
async fn wrong_rows_in_any_chunk_are_found() {
    const CODES: [&str; 3] = ["EVO101", "EVO102", "EVO103"];
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    fill(connection).await;
    begin_transaction(connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = read_catalog(connection).await;
    for table in ["Message", "MessageUpdate", "Contact"] {
        let count = catalog.page_count(table).div_ceil(CHUNK);
        let wrong = chunks_of_wrong(connection, table, count).await;
        let [0, middle, last, behind] = wrong[..] else { panic!("{table}: {wrong:?} of {count}") };
        assert!(1 < middle && middle < last && last == count - 1 && behind == count, "{table}: {wrong:?}");
    }

    let selected = |check: &Check| CODES.contains(&check.rule.code.as_str());
    let mut in_chunks = CheckContext::new(&catalog, range, "postgres");
    in_chunks.scans = TableScans::in_chunks_of(CHUNK);
    let target = ConnectTarget::parse(&database.url()).expect("a connection string");
    let plan = ExecutionOptions { target: &target, jobs: Some(3), deadline: None };
    let never = std::future::pending();
    let examined =
        executor::run_in_parallel(connection, &in_chunks, &plan, selected, never).await.expect("an answer");

    for (key, count, sample) in [
        ("Message.sessionId → IntegrationSession", 4, ["m1", "m1000", "m1990", "m2190"].as_slice()),
        ("MessageUpdate.keyId → Message", 4, &["u1", "u1000", "u1990", "u2190"]),
        ("Contact_remoteJid_instanceId_key", 4, &[]),
    ] {
        let of_key: Vec<_> = examined.findings.iter().filter(|finding| finding.key == key).collect();
        let [finding] = of_key[..] else { panic!("{key}: {:?}", examined.findings) };
        assert_eq!(finding.count, count, "{key}");
        let told = serde_json::to_string(&finding.sample).expect("JSON");
        assert!(sample.iter().all(|id| told.contains(&format!("{id:?}"))), "{key}: {told}");
    }
    let found = summary_lines(&examined.checks, &examined.findings);
    let in_one = CheckContext::new(&catalog, range, "postgres");
    let mut exact = CheckContext::new(&catalog, range, "postgres");
    exact.paranoid = true;
    for scope in [&in_one, &exact] {
        let (checks, findings) = run_checks(connection, scope, selected).await.expect("an answer");
        assert_eq!(summary_lines(&checks, &findings), found, "paranoid: {}", scope.paranoid);
    }
}

/// Subscribes to the scan of the messages for all ctids. `looked_at` counts the chunks that were looked at.
fn subscribe(context: &CheckContext<'_>, looked_at: &Rc<Cell<usize>>) -> Subscription {
    let looked_at = Rc::clone(looked_at);
    let projection = Projection::Rows { join: String::new(), condition: "true".to_owned() };
    context.scans.subscribe(context.catalog, "Message", projection, move |part| {
        looked_at.set(looked_at.get() + 1);
        part
    })
}

/// Nothing of a chunk is kept once everybody has had it, and no row is in two chunks, or in none.
#[tokio::test]
async fn a_chunk_is_read_once_and_released() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    fill(&mut connection).await;
    begin_transaction(&mut connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = read_catalog(&mut connection).await;
    let mut context = CheckContext::new(&catalog, range, "postgres");
    context.scans = TableScans::in_chunks_of(CHUNK);

    let looked_at = Rc::default();
    let (first, second) = (subscribe(&context, &looked_at), subscribe(&context, &looked_at));
    let count = catalog.page_count("Message").div_ceil(CHUNK) as usize;
    assert!(count > 10 && first.chunk_count() == count && second.chunk_count() == count, "{count} chunks");
    let (pool, busy) = (SnapshotPool::new(&context, TaskLimits::default()), Cell::default());
    let reading = async {
        let group = TaskGroup::new(&pool, "EVO000", &busy);
        let mut read = Vec::new();
        for chunk in 0..count {
            let part = read_chunk(&first, &group, "ctids", chunk).await.expect("an answer");
            assert_eq!(
                looked_at.get(),
                2 * (chunk + 1),
                "as soon as a chunk is read it is looked at for both"
            );
            let Some(ChunkPart::Rows(Some(ctids))) = part else { panic!("ctids are wanted: {part:?}") };
            read.extend(ctids);
            let again = read_chunk(&first, &group, "ctids", chunk).await.expect("an answer");
            assert!(again.is_none(), "a part is kept that was fetched");
        }
        let parts = read_scan(&second, &group, "ctids").await.expect("an answer");
        assert_eq!(looked_at.get(), 2 * count, "nothing is read again");
        assert_eq!(collect_ctids(parts).expect("ctids").as_ref(), Some(&read), "both get the same");
        read
    };
    let read: Vec<Ctid> = pool.run_on(&mut connection, reading).await.expect("a connection");
    drop(pool);

    let sql = r#"SELECT message.ctid::text FROM public."Message" AS message ORDER BY message.ctid"#;
    let ctids: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.expect("ctids");
    let read: Vec<String> = read.iter().map(|(page, number)| format!("({page},{number})")).collect();
    assert_eq!(read.len(), ctids.len(), "rows");
    assert_eq!(read.iter().zip(&ctids).find(|(read, ctid)| read != ctid), None);
}

/// More suspect rows of one chunk than are kept: the server looks at all rows of the table.
#[tokio::test]
async fn more_rows_than_the_limit_are_all_found() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    execute(
        connection,
        r#"SET session_replication_role = replica;
        DROP INDEX "Contact_remoteJid_instanceId_key", "Contact_instanceId_idx";
        INSERT INTO "Contact" ("id", "remoteJid", "instanceId") SELECT 'c' || n, n / 2, 'gone' FROM generate_series(0, 2 * 50001 - 1) AS n;
        RESET session_replication_role;
        ANALYZE"#,
    )
    .await;
    begin_transaction(connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = read_catalog(connection).await;
    let mut in_one = CheckContext::new(&catalog, range, "postgres");
    in_one.scans = TableScans::in_chunks_of(u64::from(u32::MAX));
    let mut exact = CheckContext::new(&catalog, range, "postgres");
    exact.large = u64::MAX;
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for scope in [&in_one, &exact] {
        let selected = |check: &Check| ["EVO101", "EVO103"].contains(&check.rule.code.as_str());
        let (checks, findings) = run_checks(connection, scope, selected).await.expect("an answer");
        let counts: Vec<_> = findings.iter().map(|finding| finding.count).collect();
        assert_eq!(counts, [100_002, 100_002], "{findings:?}");
        found.push(summary_lines(&checks, &findings));
    }
    assert_eq!(found[0], found[1]);
}
