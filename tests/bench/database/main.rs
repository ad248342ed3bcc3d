//! `cargo bench --bench database`: `evodoctor check` on a large database beside what a person would otherwise type, in
//! turns, in one go. Prints a markdown table of medians, and of each way's time as a multiple of evodoctor's. Beside the
//! time stands how long processors worked for it, on the server and here: on a busy machine it tells more. Of a single key
//! the question itself is timed, on connections that are open and know the catalog; of all keys and of a whole check the
//! command, as a user runs it.
//!
//! - `EVODOCTOR_BENCH_MESSAGES`: how many messages (10 million), with twice as many status updates and all else in
//!   proportion. Ten million take 13 GB; 200000 do for a look.
//! - `EVODOCTOR_BENCH_DATABASE`: the folder that keeps the server's data from run to run (under the target directory).
//! - `EVODOCTOR_BENCH_RUNS`: how often each way is measured (3); what takes longer than 15 s, once.
//! - `EVODOCTOR_BENCH_ROWS`: how many rows each table has in the distributions (1 million).
//! - `EVODOCTOR_BENCH_STATES`: of `before-vacuum`, `vacuumed`, `cold` and the distributions (`healthy`, `broken`,
//!   `one-instance`, `many-instances`, `never-analysed`) those that are wanted, with commas between.
//!
//! Before VACUUM no page is known to be visible to all, so that index-only scans visit the table as well. Cold means that
//! the server was restarted, and that the system was told to forget the files of the database; no root is needed.

mod distributions;
mod fill;
mod peers;
mod server;

use std::time::Instant;
use std::{env, process};

use anyhow::{Context, Result};
use evodoctor::checks::context::CheckContext;
use evodoctor::checks::executor::{self, ExecutionOptions};
use evodoctor::checks::references::{Reference, all_references};
use evodoctor::database::catalog::{self, Catalog};
use evodoctor::database::query::{begin_transaction, execute};
use evodoctor::database::session::Session;
use evodoctor::database::url::ConnectTarget;
use evodoctor::evolution::release::{MigrationHistory, ReleaseRange};
use fill::SCHEMA;
use peers::Peer;
use server::{Bench, State};
use sqlx::ConnectOptions;

/// What takes longer than this, in seconds, is run once.
const SLOW: f64 = 15.0;

const LARGEST: &str = "SELECT count(*) FROM \"evolution_api\".\"Message\"";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = bench().await {
        eprintln!("{error:#}");
        process::exit(1);
    }
}

async fn bench() -> Result<()> {
    let setting = |name: &str| env::var(format!("EVODOCTOR_BENCH_{name}")).ok();
    let number =
        |name: &str, default: u64| setting(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (messages, runs) = (number("MESSAGES", 10_000_000), number("RUNS", 3));
    let states = setting("STATES");
    let is_wanted =
        |state: &str| states.as_ref().is_none_or(|states| states.split(',').any(|wanted| wanted == state));
    let mut bench = Bench::open(setting("DATABASE").map(Into::into)).await?;
    if ["before-vacuum", "vacuumed", "cold"].into_iter().any(is_wanted) {
        bench.messages(messages).await?;
        by_state(&mut bench, messages, runs, is_wanted).await?;
    }
    let rows = number("ROWS", 1_000_000);
    for distribution in distributions::ALL.iter().filter(|one| is_wanted(one.name)) {
        bench.distribution(distribution, rows).await?;
        let version = bench.version();
        println!(
            "\nPostgreSQL {version}, {}, {rows} rows of each table, median of {runs}",
            distribution.name
        );
        println!(
            "\n| distribution | question | way | s | × evodoctor | CPU s | × evodoctor |\n|---|---|---|---|---|---|---|"
        );
        let (keys, _) = bench.references().await?;
        for (code, peers) in distributions::questions(&keys) {
            let own = Own::Command(&["--select", code]);
            race(&mut bench, distribution.name, false, code, &own, &peers, runs).await?;
        }
    }
    bench.close().await
}

/// Every key, and a whole check, in the states of one large database.
async fn by_state(
    bench: &mut Bench,
    messages: u64,
    runs: u64,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<()> {
    let (keys, range) = bench.references().await?;
    println!("PostgreSQL {}, {} million messages, median of {runs}", bench.version(), messages as f64 / 1e6);
    println!(
        "\n| state | question | way | s | × evodoctor | CPU s | × evodoctor |\n|---|---|---|---|---|---|---|"
    );
    for state in [State::BeforeVacuum, State::Vacuumed, State::Cold] {
        if !is_wanted(state.name()) {
            continue;
        }
        bench.bring(state).await?;
        let (name, is_cold) = (state.name(), state == State::Cold);
        for subject in [
            "Message.instanceId → Instance",
            "MessageUpdate.messageId → Message",
            "Message.sessionId → IntegrationSession",
        ] {
            let key = keys.iter().find(|key| key.subject() == subject).context(subject)?;
            let own = Own::Keys(vec![key.clone()], range);
            race(bench, name, is_cold, subject, &own, &peers::of(key), runs).await?;
        }
        let every = keys.iter().map(peers::not_exists).collect();
        let own = Own::Command(&["--select", "EVO101"]);
        race(bench, name, is_cold, "every key", &own, &[("NOT EXISTS, key by key", every)], runs).await?;
        let heap = "SET LOCAL enable_indexonlyscan = off".to_owned();
        let alone = "SET LOCAL max_parallel_workers_per_gather = 0".to_owned();
        let scans: [Peer; 2] = [
            ("one sequential scan of Message", vec![heap.clone(), alone, LARGEST.to_owned()]),
            ("the same with parallel workers", vec![heap, LARGEST.to_owned()]),
        ];
        race(bench, name, is_cold, "a whole check", &Own::Command(&[]), &scans, runs).await?;
    }
    Ok(())
}

/// What evodoctor is asked.
enum Own<'a> {
    /// EVO101 for some keys only.
    Keys(Vec<Reference>, Option<ReleaseRange>),
    /// `check` with these options, as a user runs it.
    Command(&'a [&'a str]),
}

/// Measures all ways in turn, and prints a row for each.
async fn race(
    bench: &mut Bench,
    state: &str,
    is_cold: bool,
    question: &str,
    own: &Own<'_>,
    peers: &[Peer],
    runs: u64,
) -> Result<()> {
    let mut times: Vec<Vec<(f64, f64)>> = vec![Vec::new(); peers.len() + 1];
    // The first run warms up.
    let warm_up = u64::from(!is_cold);
    for run in 0..runs + warm_up {
        for (way, taken) in times.iter_mut().enumerate() {
            if taken.first().is_some_and(|&(first, _)| first > SLOW) {
                continue;
            }
            if is_cold {
                bench.chill().await?;
            }
            let worked = bench.worked()?;
            let seconds = match way.checked_sub(1) {
                None => bench.ask(own).await?,
                Some(peer) => bench.type_in(&peers[peer].1).await?,
            };
            bench.rest().await?;
            if run >= warm_up || seconds > SLOW {
                taken.push((seconds, bench.worked()? - worked));
            }
        }
    }
    let medians: Vec<(f64, f64)> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(|a, b| a.0.total_cmp(&b.0));
            times[times.len() / 2]
        })
        .collect();
    let names = ["evodoctor"].into_iter().chain(peers.iter().map(|peer| peer.0));
    for (name, (seconds, worked)) in names.zip(&medians) {
        let (slower, dearer) = (seconds / medians[0].0, worked / medians[0].1);
        println!(
            "| {} | {question} | {name} | {seconds:.3} | {slower:.2} | {worked:.2} | {dearer:.2} |",
            state
        );
    }
    Ok(())
}

impl Bench {
    /// The references of the database, and its release.
    async fn references(&self) -> Result<(Vec<Reference>, Option<ReleaseRange>)> {
        let mut connection = self.options().connect().await?;
        let catalog = Catalog::read(&mut connection, SCHEMA).await?;
        let rows = catalog::migration_history(&mut connection, &catalog).await?;
        let range = rows.and_then(|rows| MigrationHistory::from_rows(&rows).range);
        Ok((all_references(&catalog, range), range))
    }

    /// Asks; returns how many seconds it took.
    async fn ask(&self, own: &Own<'_>) -> Result<f64> {
        let mut begun = Instant::now();
        let seconds = match own {
            Own::Command(options) => {
                let mut command = process::Command::new(env!("CARGO_BIN_EXE_evodoctor"));
                let url = self.url();
                let output =
                    command.args(["check", "--quiet", "--database-url", &url]).args(*options).output()?;
                let worked = matches!(output.status.code(), Some(0 | 1));
                anyhow::ensure!(worked, "{}", String::from_utf8_lossy(&output.stderr));
                begun.elapsed()
            }
            Own::Keys(keys, range) => {
                let target = ConnectTarget::parse(&self.url())?;
                let mut session = Session::open(&target).await?;
                session.begin_snapshot().await?;
                let catalog = Catalog::read(session.connection(), SCHEMA).await?;
                let mut scope = CheckContext::new(&catalog, *range, "postgres");
                scope.references.clone_from(keys);
                let plan = ExecutionOptions { target: &target, jobs: None, deadline: None };
                let selected = |check: &evodoctor::checks::check::Check| check.rule.code == "EVO101";
                let never = std::future::pending();
                begun = Instant::now();
                let done =
                    executor::run_in_parallel(session.connection(), &scope, &plan, selected, never).await?;
                let took = begun.elapsed();
                anyhow::ensure!(done.checks.iter().all(|check| check.reason.is_none()), "{:?}", done.checks);
                session.end_snapshot().await?;
                session.close().await?;
                took
            }
        };
        Ok(seconds.as_secs_f64())
    }

    /// Runs statements as a person would, in a transaction that is rolled back; returns how many seconds
    /// they took. The last may fail: VALIDATE does.
    async fn type_in(&self, statements: &[String]) -> Result<f64> {
        let mut connection = self.options().connect().await?;
        begin_transaction(&mut connection, "BEGIN").await?;
        let begun = Instant::now();
        for (number, statement) in statements.iter().enumerate() {
            let done = execute(&mut connection, statement.clone()).await;
            if number + 1 < statements.len() {
                done?;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        execute(&mut connection, "ROLLBACK".into()).await?;
        Ok(seconds)
    }
}
