//! No check costs more than its rows: on four times as many rows, all of them wrong, the server's plans pass at most five times
//! as many. Rows are counted and not seconds, so that a busy machine changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use evodoctor::checks::check::all_checks;
use evodoctor::database::ident::SqlFragment;
use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use evodoctor::database::sql_file::{SqlFile, Variables, render};
use evodoctor::evolution::release::Release;
use serde_json::Value;
use sqlx::ConnectOptions;

use super::support::database::execute;
use super::support::program::on;

/// The rows of the benchmark.
const ROWS: &str = include_str!("../bench/database/distribution.sql");

/// Rows of each table, and four times as many.
const SIZES: [u64; 2] = [2_000, 8_000];

/// Four to the power of 1.15.
const MOST: f64 = 4.92;

/// A server that writes down what each plan really did.
async fn server() -> Option<ScratchServer> {
    let settings = [
        ("autovacuum", "off"),
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_format", "json"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let binaries = std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(PathBuf::from);
    // Some builds come without the contrib modules.
    let server =
        ScratchServer::start(ScratchServerOptions { settings, binaries, ..ScratchServerOptions::default() })
            .await;
    match server {
        Err(error) if format!("{error:#}").contains("auto_explain") => None,
        server => Some(server.expect("a server")),
    }
}

async fn fill(server: &ScratchServer, database: &str, rows: u64, is_analysed: bool) {
    let mut admin = server.connect_options("postgres").connect().await.expect("a server");
    execute(&mut admin, &format!("CREATE DATABASE {}", SqlFragment::ident(database))).await;
    let mut connection = server.connect_options(database).connect().await.expect("a database");
    let release = Release::find("2.3.7").expect("a known release");
    create_release_schema(&mut connection, "public", release).await.expect("tables");
    let drop = r#"SET auto_explain.log_min_duration = -1;
        SET session_replication_role = replica;
        DROP INDEX "Chat_instanceId_remoteJid_key", "Contact_remoteJid_instanceId_key", "Label_labelId_instanceId_key""#;
    execute(&mut connection, drop).await;
    let variables = Variables::for_schema("public")
        .text("rows", rows.to_string())
        .text("instances", rows.to_string())
        .text("broken", "true");
    for statement in SqlFile::parse(ROWS).statements {
        execute(&mut connection, &render(&statement, &variables).expect("the variables are set")).await;
    }
    if is_analysed {
        execute(&mut connection, "ANALYZE").await;
    }
}

/// How many rows pass through a plan: those that each of its nodes gives and leaves out, each time it is run.
fn rows_of(plan: &Value) -> f64 {
    let number = |name: &str| plan[name].as_f64().unwrap_or_default();
    let own =
        number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Join Filter");
    let below: f64 = plan["Plans"].as_array().into_iter().flatten().map(rows_of).sum();
    own * number("Actual Loops") + below
}

/// The number of rows passed through all plans in what the server has written.
fn rows_in(log: &str) -> f64 {
    let mut rows = 0.0;
    for entry in log.split("plan:\n").skip(1) {
        // What belongs to an entry is indented.
        let text: Vec<&str> = entry.lines().take_while(|line| line.starts_with('\t')).collect();
        let plan: Value = serde_json::from_str(&text.join("\n")).expect("auto_explain writes JSON");
        rows += rows_of(&plan["Plan"]);
    }
    rows
}

async fn growth(is_analysed: bool) {
    let Some(server) = server().await else {
        eprintln!("skipped: this server has no auto_explain");
        return;
    };
    let log = server.directory().join("log");
    let codes: Vec<&str> = all_checks().iter().map(|check| check.rule.code.as_str()).collect();
    let mut passed: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for rows in SIZES {
        let database = format!("rows{rows}");
        fill(&server, &database, rows, is_analysed).await;
        for &code in codes.iter().filter(|code| !code.starts_with("EVO3")) {
            let before = fs::read(&log).expect("a log").len();
            let run =
                on(&server.url(&database), &["check", "--select", code, "--jobs", "1", "--format", "json"]);
            assert_eq!(run.json()["summary"]["undecided"], 0, "{code}: {}", run.stdout);
            let text = String::from_utf8_lossy(&fs::read(&log).expect("a log")[before..]).into_owned();
            passed.entry(code).or_default().push(rows_in(&text));
        }
    }
    let mut grown = Vec::new();
    for (code, rows) in &passed {
        let [few, many] = rows[..] else { panic!("{code}: {rows:?}") };
        println!("{code}: {few} rows, then {many}: {:.2} times", many / few);
        if many > few * MOST {
            grown.push(*code);
        }
    }
    // That something is counted at all: every table is read.
    assert!(passed["EVO101"][1] > 10.0 * SIZES[1] as f64, "{passed:?}");
    assert!(grown.is_empty(), "these grow faster than their rows: {grown:?}\n{passed:#?}");
}

#[tokio::test]
async fn checks_grow_with_their_rows() {
    growth(true).await;
}

#[tokio::test]
async fn checks_grow_with_their_rows_where_nothing_was_analysed() {
    growth(false).await;
}

/// The fixes whose rows may be many: none passes more rows through its plans than grow with those that it treats.
#[tokio::test]
async fn fixes_grow_with_their_rows() {
    let Some(server) = server().await else {
        eprintln!("skipped: this server has no auto_explain");
        return;
    };
    let log = server.directory().join("log");
    let codes = ["EVO101", "EVO102", "EVO103", "EVO104", "EVO107", "EVO108"];
    let mut passed: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for rows in SIZES {
        let database = format!("rows{rows}");
        fill(&server, &database, rows, true).await;
        for code in codes {
            let before = fs::read(&log).expect("a log").len();
            let arguments = ["fix", code, "--max-lock", "1h", "--format", "json"];
            let report = on(&server.url(&database), &arguments).ends(1).json();
            let treated = report["fixes"][0]["timing"]["rows"].as_u64().expect("a number");
            assert!(treated >= rows / 4, "{code} treated only {treated} rows of {rows}: this shows nothing");
            let text = String::from_utf8_lossy(&fs::read(&log).expect("a log")[before..]).into_owned();
            passed.entry(code).or_default().push(rows_in(&text));
        }
    }
    for (code, rows) in &passed {
        let [few, many] = rows[..] else { panic!("{code}: {rows:?}") };
        println!("{code}: {few} rows, then {many}: {:.2} times", many / few);
        assert!(many < few * MOST, "{code} grows faster than its rows: {few}, then {many}");
    }
}
