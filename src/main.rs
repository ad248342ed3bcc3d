//! Parses, dispatches, and turns the outcome into an exit code.

use std::env;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use evodoctor::cli::{Cli, ColorMode, Command, OutputFormat, hints, overview};
use evodoctor::commands::shared::{connect, emit_report, liveness, validate_options};
use evodoctor::commands::{
    check, completions, credentials, demo, explain, fix, history, logs, man, preflight, snapshot, undo,
};
use evodoctor::database::server_error;
use evodoctor::error;
use evodoctor::exit_code::Exit;
use evodoctor::interrupt;
use evodoctor::logging;
use evodoctor::progress;
use evodoctor::redact::personal;
use evodoctor::report::ci::github;
use evodoctor::report::{self, error_text};
use evodoctor::resolver;
use evodoctor::terminal::page::Page;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;

/// Minimum number of open files: a connection, its TLS, and signal handling.
const FEWEST_FILES: u64 = 24;

fn main() -> ExitCode {
    resolver::settle();
    if let Err(error) = expect_files() {
        error_text::print_error(&error);
        return Exit::Failed.into();
    }
    match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run()),
        Err(error) => {
            error_text::print_error(&error::user_error_caused_by(
                error.into(),
                "the program cannot start: too many files are open",
                "allow it more open files (ulimit -n 64), then run it again",
            ));
            Exit::Failed.into()
        }
    }
}

/// Takes as many open files as the system allows, and refuses to begin with too few.
fn expect_files() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let is_enough = |files: Option<u64>| files.is_none_or(|files| files >= FEWEST_FILES);
    if is_enough(limit.current)
        || is_enough(limit.maximum)
            && setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok()
    {
        return Ok(());
    }
    Err(error::user_error(
        format!(
            "only {} files may be open at once, which is too few for a connection",
            limit.current.unwrap_or_default()
        ),
        format!("allow {FEWEST_FILES} or more (ulimit -n 256), then run it again"),
    ))
}

async fn run() -> ExitCode {
    let begun = Instant::now();
    let arguments: Vec<OsString> = env::args_os().collect();
    ColorMode::from_args(&arguments).apply();
    if arguments.len() < 2 {
        return print_overview(&overview::render(Page::for_stdout()));
    }
    let mut cli = match Cli::read() {
        Ok(cli) => cli,
        Err(error) => {
            error_text::print_error(&error);
            return Exit::Failed.into();
        }
    };
    cli.common.color.apply();
    if cli.common.show_rows || stderr().is_terminal() {
        personal::show_on_stderr();
    }
    logging::init(cli.common.verbose);
    // -vv output and a progress line that is redrawn do not go together.
    if !cli.common.quiet && cli.common.verbose < 2 {
        progress::enable();
    }
    let outcome = match validate_options::validate_options(&mut cli) {
        Ok(()) => tokio::select! {
            // In this order: Ctrl-C is handled before there is anything to remove.
            biased;
            () = interrupt::repeated() => std::process::exit(interrupt::EXIT_CODE),
            error = interrupted(&cli) => Err(error),
            outcome = dispatch(&cli) => outcome,
            error = liveness::until_cancelled(&cli) => Err(error),
        },
        Err(error) => Err(error),
    };
    outcome
        .unwrap_or_else(|error| {
            let mut error = server_error::with_hint(error);
            error::reword_hint(&mut error, |hint| hints::with_connection(hint, &cli.common));
            error_text::print_error(&error);
            if cli.common.format == OutputFormat::Github {
                eprint!("{}", github::render_error(&error));
            }
            emit_report::emit_failure(&cli, &error);
            if let Err(error) = emit_report::emit_failure_metrics(&cli, begun) {
                eprintln!("note: {error:#}");
            }
            Exit::Failed
        })
        .into()
}

/// Ctrl-C ends commands that have to clean up. `check` ends by itself, with a report.
async fn interrupted(cli: &Cli) -> anyhow::Error {
    match &cli.command {
        Command::Check(_) => std::future::pending().await,
        Command::Demo => connect::wait_for_ctrl_c().await,
        _ => connect::interrupted_on_dump(&cli.common).await,
    }
}

/// Ends a call without a command.
fn print_overview(text: &str) -> ExitCode {
    match report::print_painted(text, None) {
        Ok(()) => Exit::Clean,
        Err(error) => {
            error_text::print_error(&error);
            Exit::Failed
        }
    }
    .into()
}

async fn dispatch(cli: &Cli) -> Result<Exit> {
    let common = &cli.common;
    match &cli.command {
        Command::Check(args) => check::run(args, common).await,
        Command::Fix(args) => fix::run(args, common).await,
        Command::Undo(args) => undo::run(args, common).await,
        Command::History(args) => history::run(args, common).await,
        Command::Explain(args) => explain::run(args, common),
        Command::Credentials(action) => credentials::run(action, common).await,
        Command::Preflight(args) => preflight::run(args, common).await,
        Command::Logs(args) => logs::run(args, common).await,
        Command::Snapshot(args) => snapshot::run(args, common).await,
        Command::Demo => demo::run(common).await,
        Command::Completions(args) => completions::run(args, common),
        Command::Man(args) => man::run(args, common),
    }
}
