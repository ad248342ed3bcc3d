//! A table is read in pieces, each once for everybody who joined, by whichever connection comes to it.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::{Rc, Weak};

use evodoctor::checks::check::Check;
use evodoctor::checks::context::CheckContext;
use evodoctor::checks::executor::{self, ExecutionOptions};
use evodoctor::checks::run_checks::run_checks;
use evodoctor::checks::savepoint::run_step_in_savepoint;
use evodoctor::checks::step::{Step, StepAnswer};
use evodoctor::checks::table_scan::{ChunkPart, Ctid, Projection, TableScans};
use evodoctor::database::query::begin_transaction;
use evodoctor::database::url::ConnectTarget;
use sqlx::{AssertSqlSafe, PgConnection};

use super::orphans::{SNAPSHOT, known, told};
use super::support::database::{TestDatabase, execute};

/// How many pages a piece has here.
const PIECE: u64 = 8;

/// What is wrong of the rows stands in the first piece, in one of the middle, in the last that the statistics know of, and
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

/// In which piece each of the wrong rows of a table is, of so many.
async fn pieces_of_wrong(connection: &mut PgConnection, table: &str, count: u64) -> Vec<u64> {
    let sql = format!(
        r#"SELECT (ctid::text::point)[0]::bigint FROM public."{table}" WHERE substr("id", 2)::integer IN (TABLE public.wrong) ORDER BY ctid"#
    );
    let pages: Vec<i64> =
        sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await.expect("the wrong rows");
    pages.into_iter().map(|page| (page.cast_unsigned() / PIECE).min(count)).collect()
}

#[tokio::test]
async fn what_is_wrong_in_any_piece_is_found_whoever_reads_it() {
    const CODES: [&str; 3] = ["EVO101", "EVO102", "EVO103"];
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    fill(connection).await;
    begin_transaction(connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = known(connection).await;
    for table in ["Message", "MessageUpdate", "Contact"] {
        let count = catalog.page_count(table).div_ceil(PIECE);
        let wrong = pieces_of_wrong(connection, table, count).await;
        let [0, middle, last, behind] = wrong[..] else { panic!("{table}: {wrong:?} of {count}") };
        assert!(1 < middle && middle < last && last == count - 1 && behind == count, "{table}: {wrong:?}");
    }

    let selected = |check: &Check| CODES.contains(&check.rule.code.as_str());
    let mut in_pieces = CheckContext::new(&catalog, range, "postgres");
    in_pieces.readings = TableScans::in_pieces_of(PIECE);
    let target = ConnectTarget::parse(&database.url()).expect("a connection string");
    let plan = ExecutionOptions { target: &target, jobs: Some(3), deadline: None };
    let never = std::future::pending();
    let examined =
        executor::run_in_parallel(connection, &in_pieces, &plan, selected, never).await.expect("an answer");

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
    let found = told(&examined.checks, &examined.findings);
    let in_one = CheckContext::new(&catalog, range, "postgres");
    let mut exact = CheckContext::new(&catalog, range, "postgres");
    exact.paranoid = true;
    for scope in [&in_one, &exact] {
        let (checks, findings) = run_checks(connection, scope, selected).await.expect("an answer");
        assert_eq!(told(&checks, &findings), found, "paranoid: {}", scope.paranoid);
    }
}

/// Joins the reading of the messages for all places; returns the steps. What comes of each piece is kept in `made` for as
/// long as somebody else has it.
fn join(scope: &CheckContext<'_>, made: &Rc<RefCell<Vec<Weak<Vec<Ctid>>>>>) -> Vec<Step> {
    let made = Rc::clone(made);
    let wanted = Projection::Rows { join: String::new(), condition: "true".to_owned() };
    scope.readings.subscribe(scope.catalog, "Message", "places", wanted, move |part| {
        let ChunkPart::Rows(Some(places)) = part else { panic!("places are wanted: {part:?}") };
        let places = Rc::new(places);
        made.borrow_mut().push(Rc::downgrade(&places));
        StepAnswer::of(places)
    })
}

/// Nothing of a piece is kept once everybody has had it, and no row is in two pieces, or in none.
#[tokio::test]
async fn a_piece_is_read_once_for_all_and_let_go() {
    let database = TestDatabase::new("2.3.7", "public").await;
    let mut connection = database.connect().await;
    let connection = &mut connection;
    fill(connection).await;
    begin_transaction(connection, SNAPSHOT).await.expect("a snapshot");
    let (catalog, range) = known(connection).await;
    let mut scope = CheckContext::new(&catalog, range, "postgres");
    scope.readings = TableScans::in_pieces_of(PIECE);

    let made = Rc::default();
    let (firsts, seconds) = (join(&scope, &made), join(&scope, &made));
    let count = catalog.page_count("Message").div_ceil(PIECE) as usize;
    assert!(count > 10 && firsts.len() == count && seconds.len() == count, "{count} pieces");
    let held = || made.borrow().iter().filter(|places| places.strong_count() > 0).count();
    let mut read = Vec::new();
    for (at, step) in firsts.into_iter().enumerate() {
        let answer =
            run_step_in_savepoint(connection, None, step).await.expect("a connection").expect("an answer");
        assert_eq!(made.borrow().len(), 2 * (at + 1), "as soon as a piece is read it is looked at for both");
        let places: Rc<Vec<Ctid>> = answer.made().expect("places");
        read.extend_from_slice(&places);
        drop(places);
        assert_eq!(held(), at + 1, "the other one's answers are waiting, and nothing else");
    }
    for (at, step) in seconds.into_iter().enumerate() {
        let answer =
            run_step_in_savepoint(connection, None, step).await.expect("a connection").expect("an answer");
        assert_eq!(made.borrow().len(), 2 * count, "nothing is read again");
        drop(answer);
        assert_eq!(held(), count - at - 1, "an answer is kept that was fetched");
    }

    let sql = r#"SELECT message.ctid::text FROM public."Message" AS message ORDER BY message.ctid"#;
    let places: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await.expect("places");
    let read: Vec<String> = read.iter().map(|(page, number)| format!("({page},{number})")).collect();
    assert_eq!(read.len(), places.len(), "rows");
    assert_eq!(read.iter().zip(&places).find(|(read, place)| read != place), None);
}

/// More suspect rows of one piece than are kept: the server looks at all rows of the table.
#[tokio::test]
async fn more_rows_than_are_kept_are_all_found() {
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
    let (catalog, range) = known(connection).await;
    let mut in_one = CheckContext::new(&catalog, range, "postgres");
    in_one.readings = TableScans::in_pieces_of(u64::from(u32::MAX));
    let mut exact = CheckContext::new(&catalog, range, "postgres");
    exact.large = u64::MAX;
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for scope in [&in_one, &exact] {
        let selected = |check: &Check| ["EVO101", "EVO103"].contains(&check.rule.code.as_str());
        let (checks, findings) = run_checks(connection, scope, selected).await.expect("an answer");
        let counts: Vec<_> = findings.iter().map(|finding| finding.count).collect();
        assert_eq!(counts, [100_002, 100_002], "{findings:?}");
        found.push(told(&checks, &findings));
    }
    assert_eq!(found[0], found[1]);
}
