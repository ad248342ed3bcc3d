//! The command line: the commands here, the options of each in a file of its own.

mod change;
mod color;
mod common;
pub mod duration;
mod examine;
mod explain;
mod known;
mod logs;
pub mod overview;
mod shell;
mod typed;

use std::path::Path;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

pub use change::{Credentials, Fix, LockLimit, Undo, Waiting, wait};
pub use color::Color;
pub use common::{Common, Decided, FailOn, Format};
pub use duration::duration;
pub use examine::{Check, MOST_JOBS, Preflight, Several};
pub use explain::Explain;
pub use logs::{LogFormat, Logs, Proxy};
pub use shell::{Completions, Man};
pub use typed::Typed;

/// Finds, explains and repairs the known failures of an Evolution API Postgres database.
#[derive(Debug, Parser)]
#[command(name = "evodoctor", version, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub common: Common,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Examine a database; changes nothing
    Check(Check),
    /// Rehearse fixes, show the diff, roll back (--apply commits)
    Fix(Fix),
    /// Reverse an applied run (a dry run until --apply)
    Undo(Undo),
    /// List the applied runs
    History,
    /// Who holds which OpenAI credential; share a key, free a credential
    #[command(subcommand)]
    Credentials(Credentials),
    /// What the pending upstream migrations will do to this database; changes nothing
    Preflight(Preflight),
    /// Find requests that name instances wrongly, in a proxy's or the server's log
    Logs(Logs),
    /// Explain a code, or find the code for an error message
    Explain(Explain),
    /// See the whole story on a throwaway server
    Demo,
    /// Print the completions of a shell, with codes and releases
    Completions(Completions),
    /// Print a manual page
    Man(Man),
}

/// The names of the commands, as they are typed.
pub fn names() -> Vec<&'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
    });
    NAMES.iter().map(String::as_str).collect()
}

impl Command {
    /// Its name, and the formats that its result can have.
    pub fn formats(&self) -> (&'static str, &'static [Format]) {
        use Format::{Html, Human, Json};
        match self {
            Self::Check(_) => ("check", Format::value_variants()),
            Self::Fix(_) => ("fix", Format::value_variants()),
            Self::Preflight(_) => ("preflight", Format::value_variants()),
            Self::Logs(_) => ("logs", Format::value_variants()),
            Self::Undo(_) => ("undo", &[Human, Json, Html]),
            Self::History => ("history", &[Human, Json, Html]),
            Self::Credentials(_) => ("credentials", &[Human, Json, Html]),
            Self::Explain(_) => ("explain", &[Human, Json]),
            Self::Demo => ("demo", &[Human]),
            Self::Completions(_) => ("completions", &[Human]),
            Self::Man(_) => ("man", &[Human]),
        }
    }

    /// The list of databases that it is to examine, where it is given one.
    pub fn targets(&self) -> Option<&Path> {
        match self {
            Self::Check(args) => args.several.targets.as_deref(),
            Self::Preflight(args) => args.several.targets.as_deref(),
            _ => None,
        }
    }

    /// How long it waits for others, where it may have to.
    pub fn waiting(&mut self) -> Option<&mut Waiting> {
        match self {
            Self::Fix(args) => Some(&mut args.waiting),
            Self::Undo(args) => Some(&mut args.waiting),
            Self::Preflight(args) => Some(&mut args.waiting),
            Self::Credentials(Credentials::Share { waiting, .. } | Credentials::Release { waiting, .. }) => {
                Some(waiting)
            }
            _ => None,
        }
    }

    /// Whether `evodoctor.toml` is for it: it speaks of a database or of findings.
    pub fn takes_config(&self) -> bool {
        !matches!(self, Self::Explain(_) | Self::Demo | Self::Completions(_) | Self::Man(_))
    }

    /// Whether its findings can be compared with a baseline. What is known is still to be repaired, so `fix` has none.
    pub fn takes_baseline(&self) -> bool {
        matches!(self, Self::Check(_) | Self::Preflight(_) | Self::Logs(_))
    }
}
