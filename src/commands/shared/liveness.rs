//! Ends a command that would wait for ever: Ctrl-C, `--timeout`, and a server that does not answer any more. Each
//! command ends by itself if it can; this comes a moment later, if it did not.

use std::time::Duration;

use tokio::time::sleep;

use crate::cli::{Cli, Command, CredentialsCommand};
use crate::database::pending_statements;
use crate::database::session::Session;
use crate::error::user_error;
use crate::interrupt;
use crate::progress;
use crate::text::duration::format_argument;

/// The time that a command may take to end by itself.
const GRACE: Duration = Duration::from_secs(15);

/// When a message says that the command is still ending.
const MOMENT: Duration = Duration::from_secs(1);

/// The time that statements may be without an answer before the server is asked on another connection.
const SILENCE: Duration = Duration::from_secs(20);

/// The time that such a connection may take, and how often it is tried before the network counts as gone.
const ATTEMPT: Duration = Duration::from_secs(10);
const ATTEMPTS: usize = 3;

/// Completes when the command has to end, with the reason. What is not committed then never is.
pub async fn until_cancelled(cli: &Cli) -> anyhow::Error {
    if !uses_database(cli) {
        return std::future::pending().await;
    }
    tokio::select! {
        error = interrupted(cli) => error,
        error = timed_out(cli) => error,
        error = gone() => error,
    }
}

/// Commands on a dump have a server of their own, and others none.
fn uses_database(cli: &Cli) -> bool {
    let needs_one = matches!(
        &cli.command,
        Command::Check(_)
            | Command::Fix(_)
            | Command::Undo(_)
            | Command::History(_)
            | Command::Credentials(_)
            | Command::Preflight(_)
            | Command::Snapshot(_)
    );
    needs_one && cli.common.snapshot.is_none()
}

/// True if it ends by itself after Ctrl-C, with a report or a rollback.
fn ends_by_itself(command: &Command) -> bool {
    match command {
        Command::History(args) => args.apply,
        Command::Snapshot(_) | Command::Credentials(CredentialsCommand::List) => false,
        Command::Preflight(args) => args.migrations.is_some() || args.several.targets.is_some(),
        _ => true,
    }
}

async fn interrupted(cli: &Cli) -> anyhow::Error {
    interrupt::requested().await;
    if ends_by_itself(&cli.command) {
        sleep(MOMENT).await;
        progress::notice(
            "interrupted: waiting a few seconds for the server's answer; press Ctrl-C again to exit at once",
        );
        sleep(GRACE).await;
    }
    user_error(
        "interrupted; what was not committed is rolled back as soon as the server notices",
        "run it again; evodoctor history lists what is committed",
    )
}

async fn timed_out(cli: &Cli) -> anyhow::Error {
    let timeout = match &cli.command {
        Command::Check(args) if args.several.targets.is_none() => args.timeout,
        _ => None,
    };
    let Some(timeout) = timeout else { return std::future::pending().await };
    sleep(timeout.saturating_add(GRACE)).await;
    user_error(
        format!("not finished within --timeout {}, and the server does not answer", format_argument(timeout)),
        "check the network and the server, then try again",
    )
}

/// The server neither answers nor accepts a connection. A busy server accepts connections.
async fn gone() -> anyhow::Error {
    loop {
        sleep(MOMENT).await;
        let mut attempts = 0;
        while let Some(target) = pending_statements::silent_for(SILENCE) {
            if Session::is_reachable(&target, ATTEMPT).await {
                sleep(SILENCE).await;
                break;
            }
            attempts += 1;
            tracing::debug!(attempts, "the server does not answer");
            if attempts == ATTEMPTS && pending_statements::silent_for(SILENCE).is_some() {
                let seconds = (SILENCE + ATTEMPT * 3).as_secs();
                return user_error(
                    format!(
                        "{} has not answered for {seconds} s and accepts no new connection: \
                         the network or the server is down",
                        target.server_name()
                    ),
                    "what was not committed is rolled back when the server notices; when it is back, \
                     evodoctor history lists what is committed",
                );
            }
        }
    }
}
