//! Parses, dispatches, and turns the outcome into an exit code.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use evodoctor::cli::{Cli, Command, Format};
use evodoctor::commands::{
    check, conclude, credentials, demo, explain, fix, history, logs, open, options, preflight, undo,
};
use evodoctor::database::trouble;
use evodoctor::exit::{self, Exit};
use evodoctor::progress;
use evodoctor::report::github;
use evodoctor::trace;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let begun = Instant::now();
    let mut cli = Cli::read();
    trace::begin(cli.common.verbose);
    // What -v says and a line that is drawn anew do not go together.
    if !cli.common.quiet && cli.common.verbose == 0 {
        progress::enable();
    }
    let outcome = match options::settle(&mut cli) {
        Ok(()) => tokio::select! {
            // In this order: a Ctrl-C is listened for before there is anything to remove.
            biased;
            error = interrupted(&cli) => Err(error),
            outcome = dispatch(&cli) => outcome,
        },
        Err(error) => Err(error),
    };
    outcome
        .unwrap_or_else(|error| {
            let error = trouble::explained(error);
            exit::report(&error);
            if cli.common.format == Format::Github {
                eprint!("{}", github::failure(&error));
            }
            if let Err(error) = conclude::failed(&cli, begun) {
                eprintln!("note: {error:#}");
            }
            Exit::Failed
        })
        .into()
}

/// Ctrl-C ends what has to be cleaned up after. `check` ends by itself, with a report.
async fn interrupted(cli: &Cli) -> anyhow::Error {
    match &cli.command {
        Command::Check(_) => std::future::pending().await,
        Command::Demo => open::ctrl_c().await,
        _ => open::interrupted(&cli.common).await,
    }
}

async fn dispatch(cli: &Cli) -> Result<Exit> {
    let common = &cli.common;
    match &cli.command {
        Command::Check(args) => check::run(args, common).await,
        Command::Fix(args) => fix::run(args, common).await,
        Command::Undo(args) => undo::run(args, common).await,
        Command::History => history::run(common).await,
        Command::Explain(args) => explain::run(args, common),
        Command::Credentials(action) => credentials::run(action, common).await,
        Command::Preflight(args) => preflight::run(args, common).await,
        Command::Logs(args) => logs::run(args, common).await,
        Command::Demo => demo::run(common).await,
    }
}
