//! `evodoctor demo`: all steps on a throwaway server.

use std::io::Write;

use anyhow::{Context, Result, ensure};
use sqlx::{ConnectOptions, Connection};

use super::{check, fix, logs, undo};
use crate::cli::{self, GlobalOptions, OutputFormat};
use crate::database::query;
use crate::database::release_schema;
use crate::database::scratch_server::{ScratchServer, ScratchServerOptions};
use crate::database::sql_file::Variables;
use crate::error::user_error;
use crate::evolution::release::Release;
use crate::exit_code::Exit;
use crate::interrupt;
use crate::report;
use crate::terminal::style::{COMMAND, DIM, paint};

const RELEASE: &str = "2.1.1";
const SCHEMA: &str = "evolution_api";
const LOG: &str = include_str!("access.log");

/// Runs the demo.
///
/// # Errors
/// When there are no server programs on this machine (the next step installs them), on Ctrl-C, or when the story
/// does not go as it should.
pub async fn run(common: &GlobalOptions) -> Result<Exit> {
    tokio::select! {
        outcome = tell(common) => outcome,
        () = interrupt::requested() => {
            Err(user_error("interrupted; the throwaway server is stopped and removed", "run it again: evodoctor demo"))
        }
    }
}

async fn tell(common: &GlobalOptions) -> Result<Exit> {
    eprintln!("starting a throwaway PostgreSQL …");
    let server = ScratchServer::start(ScratchServerOptions::default()).await?;
    fill(&server).await?;
    let folder = tempfile::tempdir().context("a place for the demo's log")?;
    let log = folder.path().join("access.log");
    std::fs::write(&log, LOG).context("the demo's log")?;

    let common = GlobalOptions {
        database_url: Some(server.url("evolution")),
        format: OutputFormat::Human,
        has_made_up_rows: true,
        ..common.clone()
    };
    let look = cli::CheckArgs::default();
    let consent = vec!["deletes-rows".to_owned(), "changes-rows".to_owned()];
    let rehearse = cli::FixArgs {
        codes: Vec::new(),
        apply: false,
        allow: Vec::new(),
        plan_out: None,
        plan: None,
        batch: None,
        online: false,
        to: None,
        waiting: cli::LockWaitArgs::default(),
        lock_limit: cli::LockLimitArgs::default(),
    };
    let apply = cli::FixArgs { apply: true, allow: consent, ..rehearse.clone() };

    say(&format!(
        "This is a damaged database of Evolution API {RELEASE}: its server starts, but a dump of it would \
         not restore. First, find what is wrong; this changes nothing:"
    ))?;
    command("evodoctor check")?;
    ensure!(check::run(&look, &common).await? == Exit::Findings, "the demo's database should have findings");

    say("Now a dry run of every repair: it runs in a transaction, which is then rolled back:")?;
    command("evodoctor fix")?;
    ensure!(
        fix::run(&rehearse, &common).await? == Exit::Findings,
        "the demo should have something to repair"
    );

    say("Every removed or changed row is kept in the quarantine, so it can come back. The same again, \
         and commit:")?;
    command("evodoctor fix --apply --allow deletes-rows,changes-rows --quiet")?;
    let quiet = GlobalOptions { quiet: true, ..common.clone() };
    ensure!(fix::run(&apply, &quiet).await? == Exit::Clean, "the repairs should apply");
    command("evodoctor check")?;
    ensure!(check::run(&look, &common).await? == Exit::Clean, "the repaired database should be clean");

    say("The dashboard shows the instances as connected, yet clients get 404. The proxy's log shows who \
         calls by a wrong name:")?;
    command("evodoctor logs access.log")?;
    let args =
        cli::LogsArgs { files: vec![log], log_format: None, follow: false, instances: None, emit: None };
    ensure!(logs::run(&args, &common).await? == Exit::Findings, "the demo's log should have findings");

    say("Undo the run: schema and rows become exactly what they were.")?;
    command("evodoctor undo 1 --apply --quiet")?;
    let args = cli::UndoArgs {
        run: cli::UndoRun::Number(1),
        allow: Vec::new(),
        into_schema: None,
        apply: true,
        waiting: cli::LockWaitArgs::default(),
        lock_limit: cli::LockLimitArgs::default(),
    };
    ensure!(undo::run(&args, &quiet).await? == Exit::Clean, "the run should be undone");
    command("evodoctor check --quiet")?;
    ensure!(check::run(&look, &quiet).await? == Exit::Findings, "the failures should be back");

    say("The throwaway server is removed. On your own database: evodoctor check \
         --env-file /path/to/evolution/.env")?;
    Ok(Exit::Clean)
}

/// Creates the release's schema and damages its data.
async fn fill(server: &ScratchServer) -> Result<()> {
    let mut admin = server.connect_options("postgres").connect().await?;
    query::execute(&mut admin, "CREATE DATABASE \"evolution\"".into()).await?;
    admin.close().await?;
    let mut connection = server.connect_options("evolution").connect().await?;
    let release = Release::find(RELEASE).context("the facts know the demo's release")?;
    release_schema::create_release_schema(&mut connection, SCHEMA, release).await?;
    query::execute_file(&mut connection, "sql/demo/failures.sql", &Variables::for_schema(SCHEMA)).await?;
    connection.close().await?;
    Ok(())
}

fn say(text: &str) -> Result<()> {
    let page = crate::terminal::page::Page::for_stdout();
    let line = "─".repeat(page.width.min(80));
    report::print_painted(&format!("\n{}\n{}", paint(DIM, line), page.wrap(text, 0)), None)
}

fn command(line: &str) -> Result<()> {
    report::print_painted(&format!("\n{}\n", paint(COMMAND, format!("$ {line}"))), None)?;
    std::io::stdout().flush().context("stdout cannot be written")
}
