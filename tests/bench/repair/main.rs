//! `cargo bench --bench repair`: repairs of some hundred thousand rows beside what a person would type, in one go.
//!
//! Prints a markdown table: the median of several runs of the whole command, connecting and rehearsing included, and each
//! way's time as a multiple of evodoctor's. evodoctor keeps every row it removes; the others keep nothing. Runs on a
//! throwaway server, or on that of `EVODOCTOR_BENCH_URL` (a superuser's URL of any database there).

use std::env;
use std::process::{Command, Stdio};
use std::time::Instant;

use evodoctor::database::build::evolution_schema;
use evodoctor::database::server::{Options, Server};
use evodoctor::evolution::release::Release;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

const RUNS: usize = 3;

/// What takes longer than this is stopped, in seconds.
const CAP: f64 = 60.0;

const RELEASE: &str = "2.3.7";

const CONTACTS: &str = include_str!("contacts.sql");

const UPDATES: &str = include_str!("updates.sql");

/// The clean-up that people copy from one another. `NOT IN` is a hash as long as it fits into work_mem.
const NOT_IN: &str = r#"DELETE FROM "Contact" WHERE ctid NOT IN
    (SELECT min(ctid) FROM "Contact" GROUP BY "remoteJid", "instanceId")"#;

/// What a person with some experience types: the newest stays, and nothing of the others is taken over or kept.
const RANKED: &str = r#"DELETE FROM "Contact" USING (
        SELECT ctid AS place, row_number() OVER (
            PARTITION BY "remoteJid", "instanceId" ORDER BY "updatedAt" DESC NULLS LAST, "createdAt" DESC
        ) AS position FROM "Contact"
    ) AS ranked WHERE "Contact".ctid = ranked.place AND ranked.position > 1"#;

const NOT_EXISTS: &str = r#"DELETE FROM "MessageUpdate" AS entry WHERE NOT EXISTS
    (SELECT FROM "Message" AS message WHERE message."id" = entry."messageId")"#;

/// One broken database, and the ways to mend it.
struct Case {
    name: &'static str,
    fill: &'static str,
    values: [(&'static str, u32); 2],
    code: &'static str,
    peers: &'static [(&'static str, &'static str)],
}

const MERGES: &[(&str, &str)] =
    &[("DELETE … NOT IN (SELECT min(ctid) …)", NOT_IN), ("DELETE … row_number()", RANKED)];

const CASES: [Case; 3] = [
    Case {
        name: "300 k contacts, 30 k of them twice",
        fill: CONTACTS,
        values: [("rows", 300_000), ("twice", 30_000)],
        code: "EVO103",
        peers: MERGES,
    },
    Case {
        name: "300 k contacts, each twice",
        fill: CONTACTS,
        values: [("rows", 300_000), ("twice", 150_000)],
        code: "EVO103",
        peers: MERGES,
    },
    Case {
        name: "300 k status updates, 100 k of messages that are gone",
        fill: UPDATES,
        values: [("rows", 300_000), ("orphaned", 100_000)],
        code: "EVO101",
        peers: &[("DELETE … NOT EXISTS", NOT_EXISTS)],
    },
];

/// Where the databases are made.
struct Place {
    url: String,
    _server: Option<Server>,
}

impl Place {
    async fn new() -> Self {
        match env::var("EVODOCTOR_BENCH_URL") {
            Ok(url) => Self { url, _server: None },
            Err(_) => {
                let server = Server::start(Options::default()).await.expect("a server starts");
                Self { url: server.url("postgres"), _server: Some(server) }
            }
        }
    }

    fn url_of(&self, database: &str) -> String {
        let mut url = url::Url::parse(&self.url).expect("a URL");
        url.set_path(database);
        url.to_string()
    }

    async fn connect(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.url_of(database).parse().expect("a URL");
        options.connect().await.expect("the server answers")
    }

    async fn copy(&self, from: &str, to: &str) {
        let mut admin = self.connect("postgres").await;
        execute(&mut admin, &format!("DROP DATABASE IF EXISTS {to}")).await;
        execute(&mut admin, &format!("CREATE DATABASE {to} TEMPLATE {from}")).await;
        // The copy's pages are no part of what is measured.
        execute(&mut admin, "CHECKPOINT").await;
        admin.close().await.expect("a clean end");
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect("it runs");
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let place = Place::new().await;
    println!("| database | way | median s | × evodoctor |");
    println!("|---|---|---|---|");
    let wanted = env::var("EVODOCTOR_BENCH_CASE").unwrap_or_default();
    for case in CASES.iter().filter(|case| case.name.contains(&wanted)) {
        fill(&place, case).await;
        let own = median(&place, async || evodoctor(&place, case)).await;
        row(case.name, &format!("evodoctor fix {} --apply", case.code), own, own);
        for (name, sql) in case.peers {
            let peer = median(&place, async || by_hand(&place, sql).await).await;
            row("", name, peer, own);
        }
    }
}

async fn fill(place: &Place, case: &Case) {
    place.copy("template0", "bench_source").await;
    let mut connection = place.connect("bench_source").await;
    let release = Release::find(RELEASE).expect("a known release");
    evolution_schema(&mut connection, "public", release).await.expect("the facts build a database");
    let filled =
        |text: String, (name, value): &(&str, u32)| text.replace(&format!(":{name}"), &value.to_string());
    execute(&mut connection, &case.values.iter().fold(case.fill.to_owned(), filled)).await;
    execute(&mut connection, "VACUUM ANALYZE").await;
    connection.close().await.expect("a clean end");
}

/// The median of several runs on fresh copies, in seconds; `None` beyond the cap.
async fn median(place: &Place, way: impl AsyncFn() -> bool) -> Option<f64> {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        place.copy("bench_source", "bench").await;
        let begun = Instant::now();
        if !way().await {
            return None;
        }
        times.push(begun.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    Some(times[RUNS / 2])
}

fn evodoctor(place: &Place, case: &Case) -> bool {
    let status = Command::new(env!("CARGO_BIN_EXE_evodoctor"))
        .args(["fix", case.code, "--apply", "--allow", "deletes-rows,changes-rows", "--quiet"])
        .args(["--database-url", &place.url_of("bench")])
        .stdout(Stdio::null())
        .status();
    status.expect("it starts").success()
}

async fn by_hand(place: &Place, sql: &str) -> bool {
    let mut connection = place.connect("bench").await;
    execute(&mut connection, &format!("SET statement_timeout = '{CAP}s'")).await;
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.is_ok();
    connection.close().await.expect("a clean end");
    done
}

fn row(case: &str, way: &str, seconds: Option<f64>, own: Option<f64>) {
    let shown = seconds.map_or_else(|| format!("> {CAP}"), |seconds| format!("{seconds:.2}"));
    let ratio =
        seconds.zip(own).map_or_else(|| "—".to_owned(), |(seconds, own)| format!("{:.1}", seconds / own));
    println!("| {case} | {way} | {shown} | {ratio} |");
}
