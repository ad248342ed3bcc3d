//! A check leaves the server's cache about as it was: what it reads of a large table takes no more room there than a sequential
//! scan does.

use std::path::PathBuf;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::evolution::release::Release;
use sqlx::{ConnectOptions, PgConnection};

use super::support::database::execute;
use super::support::program::on;

/// The number of pages of the table "warm" the cache holds.
async fn cached(connection: &mut PgConnection) -> i64 {
    let sql =
        "SELECT count(*) FROM public.pg_buffercache WHERE relfilenode = pg_relation_filenode('public.warm')
               AND reldatabase = (SELECT oid FROM pg_database WHERE datname = current_database())";
    sqlx::query_scalar(sql).fetch_one(connection).await.expect("a number")
}

#[tokio::test]
async fn reading_does_not_evict_the_buffer_cache() {
    // Eight megabytes.
    let settings = [("shared_buffers", "1024"), ("autovacuum", "off")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let binaries = std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from);
    let server =
        ScratchServer::start(ScratchServerOptions { settings, binaries, ..ScratchServerOptions::default() })
            .await
            .expect("a server");
    let mut connection = server.connect_options("postgres").connect().await.expect("a connection");
    let extension = "CREATE EXTENSION pg_buffercache SCHEMA public";
    if sqlx::query(extension).execute(&mut connection).await.is_err() {
        eprintln!("skipped: this server comes without its contrib modules");
        return;
    }
    let release = Release::find("2.3.7").expect("a known release");
    create_release_schema(&mut connection, "evolution_api", release).await.expect("tables");
    // Three times as many pages as the cache has.
    execute(
        &mut connection,
        r#"INSERT INTO evolution_api."Instance" ("id", "name") VALUES ('i', 'i');
        INSERT INTO evolution_api."Message" ("id", "key", "message", "messageType", "source", "messageTimestamp", "instanceId", "status")
            SELECT 'm' || n, '{}', to_jsonb(repeat('t', 900)), 't', 'web', 1, 'i', 'READ' FROM generate_series(1, 24000) AS n;
        CREATE TABLE public.warm AS SELECT n, repeat('w', 200) AS text FROM generate_series(1, 10000) AS n;
        CREATE INDEX ON public.warm (n);
        ANALYZE;
        CHECKPOINT"#,
    )
    .await;
    let pages = "SELECT (pg_relation_size('evolution_api.\"Message\"') / 8192)::bigint";
    let pages: i64 = sqlx::query_scalar(pages).fetch_one(&mut connection).await.expect("a number");
    assert!(pages > 2 * 1024, "{pages} pages");
    // Each page once, like a session that looks rows up.
    let warm = "SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT sum(length(text)) FROM public.warm WHERE n > 0";
    let mut left = Vec::new();
    // The first reads the catalog only, as the second does, too.
    for code in ["EVO109", "EVO108"] {
        execute(&mut connection, warm).await;
        let before = cached(&mut connection).await;
        assert!(before > 200, "{before} pages are in the cache");
        on(&server.url("postgres"), &["check", "--select", code]).ends(0);
        left.push(cached(&mut connection).await);
    }
    // A sequential scan takes 32.
    assert!(
        left[1] > 100 && left[1] + 48 >= left[0],
        "left after a small check, and after a large one: {left:?}"
    );
}
