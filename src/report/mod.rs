//! Reports for people and pipelines. Knows findings and plans, not databases.

use serde::Serialize;
use serde_json::Value;

use self::restore::DumpInfo;
use crate::access_log::ReadSummary;
use crate::evolution::release::MigrationHistory;
use crate::repair::ledger::AppliedRun;
use crate::repair::plan::{BatchTime, FixPlan};
use crate::repair::prune::{LedgerStorage, PrunePlan};
use crate::rules::finding::{CheckReport, Finding, Summary};
use crate::rules::order::sort_by_consequence;
use crate::rules::policy::IgnoredFinding;
use crate::staging::StagingSnapshot;
use crate::upgrade::Preflight;
use crate::upgrade::outcome::UpgradeOutcome;

pub use self::output::{expect_writable, print, print_painted};
use self::redaction::PersonalData;

pub mod ci;
pub mod error_text;
pub mod failure;
mod html;
pub mod json;
mod json_diff;
mod judge;
mod kinds;
pub mod metrics;
pub mod multi_target;
mod next;
mod output;
pub mod redaction;
mod resolve_script;
pub mod restore;
pub mod terminal;
mod totals;
mod undecided;
mod upgrade;
mod view;
mod words;
mod write;

/// One command's result.
#[derive(Debug, Serialize)]
pub struct Report {
    tool: Tool,
    /// The command.
    pub command: &'static str,
    /// The treatment of personal data; set by [`Report::redact`].
    personal_data: Option<PersonalData>,
    /// The database's name in a list of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The database, where there was one.
    pub database: Option<DatabaseInfo>,
    /// The migration history, if there is one.
    pub release: Option<ReleaseInfo>,
    /// The outcome of the last upgrade, where something was kept before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade: Option<UpgradeOutcome>,
    /// The checks that were run.
    pub checks: Vec<CheckReport>,
    /// The statements that give this role the rights that checks lacked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub missing_grants: Vec<String>,
    /// The findings.
    pub findings: Vec<Finding>,
    /// Counts.
    pub summary: Summary,
    /// The decisions of `evodoctor.toml`, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigInfo>,
    /// The part that only this command has.
    #[serde(flatten)]
    pub detail: Detail,
}

#[derive(Debug, Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

/// The decisions of `evodoctor.toml` about the findings.
#[derive(Debug, Serialize)]
pub struct ConfigInfo {
    /// The file.
    pub file: String,
    /// The environment that was chosen.
    pub environment: Option<String>,
    /// The ignored findings.
    pub ignored: Vec<IgnoredFinding>,
    /// Notes about the ignores: ended, ending soon, without a match.
    pub notes: Vec<String>,
}

/// The database that a report speaks of. No secret is in it.
#[derive(Debug, Clone, Serialize)]
pub struct DatabaseInfo {
    /// As the server calls it.
    pub server_version: String,
    /// Evolution's schema.
    pub schema: String,
    /// Host name or socket folder.
    pub host: String,
    /// The database's name.
    pub name: String,
    /// True if there is a migration history that this role may not read.
    #[serde(skip)]
    pub is_history_hidden: bool,
    /// The dump it comes from, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<DumpInfo>,
}

/// The release that a report speaks of, as a range.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseInfo {
    /// The first release it may be; `null` if the history does not say.
    pub from: Option<String>,
    /// The last; `null` when it may be a release newer than this program knows.
    pub to: Option<String>,
    /// The migrations behind that.
    pub migrations: MigrationInfo,
}

/// The content of `_prisma_migrations`.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationInfo {
    /// The number of applied migrations.
    pub applied: usize,
    /// Names still to come, up to the newest release known.
    pub pending: Vec<String>,
    /// Names started, and neither finished nor rolled back.
    pub failed: Vec<String>,
    /// Applied names that no known release has.
    pub unknown: Vec<String>,
    /// Applied in a content that was issued again since, with where that content came from.
    pub reissued: Vec<String>,
}

impl ReleaseInfo {
    /// Of a history.
    pub fn from_history(history: &MigrationHistory) -> Self {
        Self {
            from: history.range.map(|range| range.from.version().to_owned()),
            to: history.range.and_then(|range| range.to).map(|to| to.version().to_owned()),
            migrations: MigrationInfo {
                applied: history.applied.len(),
                pending: history.pending.iter().map(|name| (*name).to_owned()).collect(),
                failed: history.failed.clone(),
                unknown: history.unknown.clone(),
                reissued: history.reissued.clone(),
            },
        }
    }

    /// The range in words.
    pub fn describe(&self) -> String {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => from.clone(),
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (Some(from), None) => format!("{from} or later"),
            (None, _) => "unknown".to_owned(),
        }
    }
}

/// The part of a report that only one command has.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// `crate::report::terminal::check`: nothing more.
    Check {},
    /// `fix` and `undo`.
    Change(Change),
    /// `credentials list`.
    Credentials {
        /// Each credential and what holds it, keys masked.
        credentials: Vec<Value>,
    },
    /// `crate::report::terminal::preflight`.
    Preflight {
        /// The prediction of the upgrade.
        preflight: Box<Preflight>,
        /// True if only what to do before is asked for.
        #[serde(skip)]
        resolve: bool,
    },
    /// `crate::report::terminal::logs`.
    Logs(ReadSummary),
    /// `snapshot`.
    Snapshot {
        /// The content of the file, and how it compares with the original.
        snapshot: StagingSnapshot,
    },
    /// `history`.
    History {
        /// The runs, newest first.
        runs: Vec<AppliedRun>,
        /// The size of all of it.
        storage: LedgerStorage,
        /// The result of pruning, if requested.
        #[serde(skip_serializing_if = "Option::is_none")]
        prune: Option<PrunePlan>,
    },
}

/// A rehearsed or applied change.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The run.
    pub run: RunInfo,
    /// The plans of the fixes, in order.
    pub fixes: Vec<FixPlan>,
    /// The hash of the whole plan.
    pub plan_hash: String,
    /// The next command.
    #[serde(skip)]
    pub next: Vec<String>,
    /// Findings that were asked for and have a fix.
    #[serde(skip)]
    pub pending: Vec<Finding>,
    /// Findings that were asked for and are left to a person; their detail says why.
    pub left: Vec<Finding>,
}

/// The run of a change.
#[derive(Debug, Serialize)]
pub struct RunInfo {
    /// Its number in the ledger; `null` when nothing was applied.
    pub id: Option<i64>,
    /// True if it was committed.
    pub applied: bool,
    /// The transactions in which a series of batches is undone, the newest run first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub batches: Vec<BatchTime>,
}

impl Report {
    /// A report of a command, as yet without findings.
    pub fn new(command: &'static str, detail: Detail) -> Self {
        Self {
            tool: Self::tool(),
            command,
            personal_data: None,
            target: None,
            database: None,
            release: None,
            upgrade: None,
            checks: Vec::new(),
            missing_grants: Vec::new(),
            findings: Vec::new(),
            summary: Summary::default(),
            config: None,
            detail,
        }
    }

    fn tool() -> Tool {
        Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }

    /// Adds what the checks said.
    #[must_use]
    pub fn with_examination(mut self, checks: Vec<CheckReport>, findings: Vec<Finding>) -> Self {
        self.summary = Summary::count(&findings, &checks);
        self.missing_grants = undecided::missing_grants(&checks);
        self.checks = checks;
        self.findings = findings;
        sort_by_consequence(&mut self.findings);
        self
    }
}
