//! `cargo bench --bench repair`: fixes beside the plain SQL that a person would type for the same, in turns.
//!
//! By hand means: the rows are copied as jsonb and removed or changed, in one transaction. For each case the databases have N, 2 N
//! and 4 N broken rows in each table; printed are the times, how many times as long as by hand evodoctor takes, and the
//! exponent of its growth from the smallest to the largest (1 is linear). `EVODOCTOR_BENCH_CASE` picks a case by its name,
//! `EVODOCTOR_BENCH_ROWS` is N (50000). Runs on a throwaway server, or on that of `EVODOCTOR_BENCH_URL` (a superuser's URL of
//! any database there).

use std::env;
use std::process::{Command, Stdio};
use std::time::Instant;

use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::evolution::release::Release;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

/// How often each is measured; medians are shown.
const RUNS: usize = 3;

const RELEASE: &str = "2.3.7";

const BASE: &str = include_str!("base.sql");

/// One broken database, and the manual SQL that repairs it.
struct Case {
    name: &'static str,
    code: &'static str,
    fill: &'static str,
    by_hand: &'static str,
}

macro_rules! case {
    ($name:literal, $code:literal, $file:literal) => {
        case!($name, $code, $file, $file)
    };
    ($name:literal, $code:literal, $fill:literal, $hand:literal) => {
        Case {
            name: $name,
            code: $code,
            fill: include_str!(concat!($fill, ".fill.sql")),
            by_hand: include_str!(concat!($hand, ".hand.sql")),
        }
    };
}

const CASES: [Case; 11] = [
    case!("a deleted instance, four tables", "EVO101", "instance"),
    case!("a chain of keys", "EVO101", "chain"),
    case!("two keys on the same rows", "EVO101", "two_keys"),
    case!("sessions that messages refer to", "EVO101", "sessions"),
    case!("credentials with settings and bots", "EVO101", "credentials"),
    case!("updates and labels, no label index", "EVO102", "updates"),
    case!("contacts twice", "EVO103", "duplicates"),
    case!("contacts twice, values handed over by hand too", "EVO103", "duplicates", "duplicates_merged"),
    case!("labels that are no array", "EVO104", "labels"),
    case!("sessions of deleted bots", "EVO107", "bots"),
    case!("numeric status", "EVO108", "status"),
];

/// Where the databases are made.
struct Place {
    url: String,
    _server: Option<ScratchServer>,
}

impl Place {
    async fn new() -> Self {
        match env::var("EVODOCTOR_BENCH_URL") {
            Ok(url) => Self { url, _server: None },
            Err(_) => {
                let server =
                    ScratchServer::start(ScratchServerOptions::default()).await.expect("a server starts");
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
        // The copy's pages are not part of what is measured.
        execute(&mut admin, "CHECKPOINT").await;
        admin.close().await.expect("a clean end");
    }
}

async fn execute(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect("it runs");
}

/// Medians in seconds.
#[derive(Debug, Default, Clone, Copy)]
struct Times {
    by_hand: f64,
    dry_run: f64,
    apply: f64,
    undo: f64,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let place = Place::new().await;
    let number = |name: &str, default| env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    let rows: u32 = number("EVODOCTOR_BENCH_ROWS", 50_000);
    let wanted = env::var("EVODOCTOR_BENCH_CASE").unwrap_or_default();
    println!("| case | rows | by hand s | dry run s | × | apply s | × | undo s | × |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for case in CASES.iter().filter(|case| case.name.contains(&wanted)) {
        let mut all = Vec::new();
        for rows in [rows, 2 * rows, 4 * rows] {
            let times = measure(&place, case, rows).await;
            let Times { by_hand, dry_run, apply, undo } = times;
            println!(
                "| {} ({}) | {rows} | {by_hand:.2} | {dry_run:.2} | {:.1} | {apply:.2} | {:.1} | {undo:.2} | {:.1} |",
                case.name,
                case.code,
                dry_run / by_hand,
                apply / by_hand,
                undo / by_hand,
            );
            all.push(times);
        }
        let exponent = |of: fn(&Times) -> f64| (of(&all[2]) / of(&all[0])).log2() / 2.0;
        println!(
            "| exponent | | {:.2} | {:.2} | | {:.2} | | {:.2} | |",
            exponent(|times| times.by_hand),
            exponent(|times| times.dry_run),
            exponent(|times| times.apply),
            exponent(|times| times.undo),
        );
    }
}

async fn measure(place: &Place, case: &Case, rows: u32) -> Times {
    fill(place, case, rows).await;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        place.copy("bench_source", "bench").await;
        let mut times = Times { by_hand: by_hand(place, case.by_hand).await, ..Times::default() };
        times.dry_run = evodoctor(place, &["fix", case.code, "--max-lock", "1h"], 1);
        times.apply =
            evodoctor(place, &["fix", case.code, "--apply", "--allow", "deletes-rows,changes-rows"], 0);
        times.undo = evodoctor(place, &["undo", "1", "--apply"], 0);
        runs.push(times);
    }
    let median = |of: fn(&Times) -> f64| {
        let mut all: Vec<f64> = runs.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[RUNS / 2]
    };
    Times {
        by_hand: median(|times| times.by_hand),
        dry_run: median(|times| times.dry_run),
        apply: median(|times| times.apply),
        undo: median(|times| times.undo),
    }
}

async fn fill(place: &Place, case: &Case, rows: u32) {
    place.copy("template0", "bench_source").await;
    let mut connection = place.connect("bench_source").await;
    let release = Release::find(RELEASE).expect("a known release");
    create_release_schema(&mut connection, "public", release).await.expect("the facts build a database");
    execute(&mut connection, BASE).await;
    execute(&mut connection, &case.fill.replace(":rows", &rows.to_string())).await;
    execute(&mut connection, "VACUUM ANALYZE").await;
    connection.close().await.expect("a clean end");
}

/// Seconds that a command takes, connecting included.
fn evodoctor(place: &Place, arguments: &[&str], code: i32) -> f64 {
    let begun = Instant::now();
    let ended = Command::new(env!("CARGO_BIN_EXE_evodoctor"))
        .args(arguments)
        .args(["--quiet", "--database-url", &place.url_of("bench")])
        .stdout(Stdio::null())
        .output()
        .expect("it starts");
    assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {}", String::from_utf8_lossy(&ended.stderr));
    begun.elapsed().as_secs_f64()
}

async fn by_hand(place: &Place, sql: &str) -> f64 {
    let mut connection = place.connect("bench").await;
    let begun = Instant::now();
    execute(&mut connection, &format!("BEGIN;\n{sql}\nROLLBACK")).await;
    let took = begun.elapsed().as_secs_f64();
    connection.close().await.expect("a clean end");
    took
}
