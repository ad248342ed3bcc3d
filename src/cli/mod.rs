//! The command line: the commands here, the options of each in a file of its own.

mod check;
mod color;
mod completion_values;
mod completions;
mod explain;
mod explicit_args;
mod fix;
mod global;
pub mod hints;
mod history;
mod logs;
pub mod mistakes;
pub mod overview;
mod snapshot;

use std::path::Path;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand, ValueEnum};

pub use crate::text::duration::parse_duration;
pub use check::{CheckArgs, MOST_JOBS, PreflightArgs, TargetListArgs};
pub use color::ColorMode;
pub use completions::{CompletionsArgs, ManArgs};
pub use explain::ExplainArgs;
pub use explicit_args::ExplicitArgs;
pub use fix::{CredentialsCommand, FixArgs, LockLimitArgs, LockWaitArgs, UndoArgs, UndoRun, parse_wait};
pub use global::{CONNECTION_VARIABLE, FailOn, GlobalOptions, LoadedConfig, OutputFormat};
use global::{DATABASE, FINDINGS, RECORDS, REPORT};
pub use history::HistoryArgs;
pub use logs::{LogFormat, LogsArgs, ProxyKind};
pub use snapshot::SnapshotArgs;

/// Finds, explains and repairs known failures of an Evolution API Postgres database.
#[derive(Debug, Parser)]
#[command(name = "evodoctor", version, max_term_width = 110, after_long_help = include_str!("help/evodoctor.txt"))]
#[command(mut_args = |option| option.hide_short_help(true))]
pub struct Cli {
    /// The command.
    #[command(subcommand)]
    pub command: Command,
    /// Options that several commands share.
    #[command(flatten)]
    pub common: GlobalOptions,
}

/// The commands, each with those of the common options that it uses.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a database for known failures (read-only)
    #[command(args = GlobalOptions::only(&[DATABASE, FINDINGS, RECORDS, REPORT]))]
    #[command(after_long_help = include_str!("help/check.txt"))]
    Check(CheckArgs),
    /// Repair findings: dry run with diff (--apply commits)
    #[command(args = GlobalOptions::listing(&[DATABASE, FINDINGS, REPORT]))]
    #[command(after_long_help = include_str!("help/fix.txt"))]
    Fix(FixArgs),
    /// Reverse an applied run (dry run; --apply commits)
    #[command(args = GlobalOptions::listing(&[DATABASE, REPORT]))]
    #[command(after_long_help = include_str!("help/undo.txt"))]
    Undo(UndoArgs),
    /// List the applied runs and what they keep; prune it
    #[command(args = GlobalOptions::listing(&[DATABASE, REPORT]))]
    #[command(after_long_help = include_str!("help/history.txt"))]
    History(HistoryArgs),
    /// List, share or release OpenAI credentials
    #[command(subcommand, args = GlobalOptions::listing(&[DATABASE, REPORT]))]
    #[command(after_long_help = include_str!("help/credentials.txt"))]
    Credentials(CredentialsCommand),
    /// Predict what pending migrations of an upgrade will do (read-only)
    #[command(args = GlobalOptions::only(&[DATABASE, FINDINGS, RECORDS, REPORT]))]
    #[command(after_long_help = include_str!("help/preflight.txt"))]
    Preflight(PreflightArgs),
    /// Write a pseudonymised dump for staging and bug reports
    #[command(args = GlobalOptions::listing(&[DATABASE, REPORT]))]
    #[command(after_long_help = include_str!("help/snapshot.txt"))]
    Snapshot(SnapshotArgs),
    /// Find requests with wrong instance names in an access log
    #[command(args = GlobalOptions::only(&[DATABASE, FINDINGS, RECORDS, REPORT]))]
    #[command(after_long_help = include_str!("help/logs.txt"))]
    Logs(LogsArgs),
    /// Explain a code, or find the code for an error message
    #[command(args = GlobalOptions::only(&[&["format", "output", "color", "quiet"]]))]
    #[command(after_long_help = include_str!("help/explain.txt"))]
    Explain(ExplainArgs),
    /// Show all steps on a throwaway server
    #[command(args = GlobalOptions::only(&[&["color"]]))]
    #[command(after_long_help = include_str!("help/demo.txt"))]
    Demo,
    /// Print shell completions
    #[command(args = GlobalOptions::only(&[&["output", "color"]]))]
    #[command(after_long_help = include_str!("help/completions.txt"))]
    Completions(CompletionsArgs),
    /// Print a manual page
    #[command(args = GlobalOptions::only(&[&["output", "color"]]))]
    #[command(after_long_help = include_str!("help/man.txt"))]
    Man(ManArgs),
}

/// The names of the commands, as they are typed.
pub fn command_names() -> Vec<&'static str> {
    static NAMES: LazyLock<Vec<String>> = LazyLock::new(|| {
        Cli::command().get_subcommands().map(|command| command.get_name().to_owned()).collect()
    });
    NAMES.iter().map(String::as_str).collect()
}

impl Command {
    /// Its name, and the formats that its result can have.
    pub fn supported_formats(&self) -> (&'static str, &'static [OutputFormat]) {
        use OutputFormat::{Html, Human, Json};
        match self {
            Self::Check(_) => ("check", OutputFormat::value_variants()),
            Self::Fix(_) => ("fix", OutputFormat::value_variants()),
            Self::Preflight(_) => ("preflight", OutputFormat::value_variants()),
            Self::Logs(_) => ("logs", OutputFormat::value_variants()),
            Self::Undo(_) => ("undo", &[Human, Json, Html]),
            Self::History(_) => ("history", &[Human, Json, Html]),
            Self::Credentials(_) => ("credentials", &[Human, Json, Html]),
            Self::Snapshot(_) => ("snapshot", &[Human, Json]),
            Self::Explain(_) => ("explain", &[Human, Json]),
            Self::Demo => ("demo", &[Human]),
            Self::Completions(_) => ("completions", &[Human]),
            Self::Man(_) => ("man", &[Human]),
        }
    }

    /// The list of databases that it is to examine, where it is given one.
    pub fn target_list(&self) -> Option<&Path> {
        match self {
            Self::Check(args) => args.several.targets.as_deref(),
            Self::Preflight(args) => args.several.targets.as_deref(),
            _ => None,
        }
    }

    /// Returns the options for waiting, of a command that may have to wait for others.
    pub fn lock_wait(&mut self) -> Option<&mut LockWaitArgs> {
        match self {
            Self::Fix(args) => Some(&mut args.waiting),
            Self::Undo(args) => Some(&mut args.waiting),
            Self::Preflight(args) => Some(&mut args.waiting),
            Self::Credentials(
                CredentialsCommand::Share { waiting, .. } | CredentialsCommand::Release { waiting, .. },
            ) => Some(waiting),
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
