//! Telling people and pipelines what was found and done. Knows findings and plans, not databases.

use std::env;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use self::restore::RestoreInfo;
use crate::cli::{Common, Decided, Format};
use crate::day::Day;
use crate::evolution::release::History;
use crate::examine::baseline::Baseline;
use crate::examine::finding::{CheckReport, Finding, Summary};
use crate::examine::policy::{Ignored, Policy};
use crate::exit::Exit;
use crate::files::Readers;
use crate::repair::ledger::Run;
use crate::repair::plan::FixPlan;
use crate::requests::Read;
use crate::requests::shown::visible;
use crate::units;
use crate::upgrade::Preflight;

use self::outline::Outline;
use self::write::print_for;
pub use self::write::{expect_writable, print, print_painted};

mod change;
mod changed_paths;
mod check;
pub mod explain;
pub mod failure;
pub mod github;
mod gitlab;
mod html;
pub mod human;
pub mod json;
mod junit;
pub mod layout;
pub mod logs;
mod markdown;
pub mod metrics;
mod outline;
pub mod paint;
mod preflight;
pub mod proxies;
mod rehearsal;
pub mod restore;
mod rows;
mod sarif;
pub mod several;
mod sparkline;
mod write;

/// One command's result.
#[derive(Debug, Serialize)]
pub struct Report {
    tool: Tool,
    /// The command.
    pub command: &'static str,
    /// The database's name in a list of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The database, where there was one.
    pub database: Option<DatabaseInfo>,
    /// What its migration history says, where there is one.
    pub release: Option<ReleaseInfo>,
    /// The checks that were run.
    pub checks: Vec<CheckReport>,
    /// What they found.
    pub findings: Vec<Finding>,
    /// Counts.
    pub summary: Summary,
    /// What `evodoctor.toml` has decided, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<ConfigInfo>,
    /// What only this command has to say.
    #[serde(flatten)]
    pub detail: Detail,
}

#[derive(Debug, Serialize)]
struct Tool {
    name: &'static str,
    version: &'static str,
}

/// What `evodoctor.toml` has decided about the findings.
#[derive(Debug, Serialize)]
pub struct ConfigInfo {
    /// The file.
    pub file: String,
    /// The environment that was chosen.
    pub environment: Option<String>,
    /// What was found and is ignored.
    pub ignored: Vec<Ignored>,
    /// What is to be said of the ignores: ended, ending soon, for nothing.
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
    /// The dump it comes from, where it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<RestoreInfo>,
}

/// The release that a report speaks of, as a range.
#[derive(Debug, Clone, Serialize)]
pub struct ReleaseInfo {
    /// The first release it may be; `null` when the history tells none.
    pub from: Option<String>,
    /// The last; `null` when it may be a release newer than this program knows.
    pub to: Option<String>,
    /// The migrations behind that.
    pub migrations: MigrationInfo,
}

/// What `_prisma_migrations` holds.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationInfo {
    /// How many are applied.
    pub applied: usize,
    /// Names still to come, up to the newest release known.
    pub pending: Vec<String>,
    /// Names started, and neither finished nor rolled back.
    pub failed: Vec<String>,
    /// Applied names that no known release has.
    pub unknown: Vec<String>,
    /// Applied in a content that was issued anew since, with where that content came from.
    pub reissued: Vec<String>,
}

impl ReleaseInfo {
    /// Of a history.
    pub fn of(history: &History) -> Self {
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
    pub fn words(&self) -> String {
        match (&self.from, &self.to) {
            (Some(from), Some(to)) if from == to => from.clone(),
            (Some(from), Some(to)) => format!("{from} to {to}"),
            (Some(from), None) => format!("{from} or later"),
            (None, _) => "unknown".to_owned(),
        }
    }
}

/// What only one command has to say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Detail {
    /// `check`: nothing more.
    Check {},
    /// `fix` and `undo`.
    Change(Change),
    /// `credentials list`.
    Credentials {
        /// Each credential and what holds it, keys masked.
        credentials: Vec<Value>,
    },
    /// `preflight`.
    Preflight {
        /// What the upgrade will do.
        preflight: Preflight,
        /// Whether only what to do before is asked for.
        #[serde(skip)]
        resolve: bool,
    },
    /// `logs`.
    Logs(Read),
    /// `history`.
    History {
        /// The runs, newest first.
        runs: Vec<Run>,
    },
}

/// A rehearsed or applied change.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The run.
    pub run: RunInfo,
    /// What each fix did, in order.
    pub fixes: Vec<FixPlan>,
    /// The hash of the whole plan.
    pub plan_hash: String,
    /// What the reader types next.
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
    /// Whether it was committed.
    pub applied: bool,
}

impl Report {
    /// A report of a command, as yet without findings.
    pub fn new(command: &'static str, detail: Detail) -> Self {
        Self {
            tool: Self::tool(),
            command,
            target: None,
            database: None,
            release: None,
            checks: Vec::new(),
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
        self.summary = Summary::of(&findings, &checks);
        self.checks = checks;
        self.findings = findings;
        self
    }

    /// Judges the findings as `evodoctor.toml` has decided: by its severities, without what is ignored.
    #[must_use]
    pub fn judged(self, common: &Common) -> Self {
        let Some(decided) = &common.decided else { return self };
        self.judge(decided, &decided.policy)
    }

    /// The same for what was asked for by its code: nothing of it is ignored.
    #[must_use]
    pub fn judged_unignored(self, common: &Common) -> Self {
        let Some(decided) = &common.decided else { return self };
        self.judge(decided, &decided.policy.ignoring_nothing())
    }

    fn judge(mut self, decided: &Decided, policy: &Policy) -> Self {
        let today = Day::today();
        let (findings, ignored) = policy.judge(std::mem::take(&mut self.findings), today);
        let all = findings.iter().chain(ignored.iter().map(|ignored| &ignored.finding));
        self.config = Some(ConfigInfo {
            file: decided.file.display().to_string(),
            environment: decided.environment.clone(),
            notes: policy.notes(all, &self.checks, today),
            ignored,
        });
        self.summary = Summary::of(&findings, &self.checks);
        self.findings = findings;
        self
    }

    /// What is ignored.
    pub fn ignored(&self) -> &[Ignored] {
        self.config.as_ref().map_or(&[], |config| &config.ignored)
    }

    /// The exit code: findings that count and are not known, else undecided checks, else clean. Of a change 0 says that
    /// there is nothing to do, or everything asked for is applied; 1 that something is pending or left.
    pub fn exit(&self, common: &Common) -> Exit {
        let is_found = match &self.detail {
            Detail::Change(change) => {
                !(change.fixes.is_empty() || change.run.applied) || !change.left.is_empty()
            }
            _ => Outline::of(self, common).told.iter().any(|told| told.fails),
        };
        if is_found {
            Exit::Findings
        } else if self.summary.undecided > 0 {
            Exit::Undecided
        } else {
            Exit::Clean
        }
    }

    /// Writes the report where and how the options say, and the baseline where one is wanted.
    ///
    /// # Errors
    /// When a file cannot be written. A reader that went away is no error.
    pub fn print(&self, common: &Common) -> Result<()> {
        let outline = Outline::of(self, common);
        let text = match common.format {
            Format::Human => human::render(&outline, common, layout::Page::for_output(common)),
            Format::Json => json::render(&outline)?,
            Format::Sarif => sarif::render(&outline)?,
            Format::Junit => junit::render(&outline)?,
            Format::Github => github::render(&outline),
            Format::Gitlab => gitlab::render(&outline)?,
            Format::Markdown => markdown::render(&outline),
            Format::Html => html::render(&outline, common, self.exit(common)),
        };
        let text = match common.format {
            Format::Human => paint::fitting(&text, common.output.as_deref()),
            _ => text.as_str().into(),
        };
        // These hold samples of rows; the others are made to be passed on.
        let readers = match common.format {
            Format::Human | Format::Json | Format::Html => Readers::Owner,
            _ => Readers::Umask,
        };
        print_for(&text, common.output.as_deref(), readers)?;
        self.aside(common)
    }

    /// Tells what goes beside the report: on stderr how it stands to what is known and decided, the step's summary, and
    /// the baseline where one is wanted.
    ///
    /// # Errors
    /// When the baseline cannot be written.
    pub fn aside(&self, common: &Common) -> Result<()> {
        let outline = Outline::of(self, common);
        let of_target = self.target.as_ref().map(|name| format!("{}: ", visible(name))).unwrap_or_default();
        if common.format != Format::Human {
            for line in outline.compared().into_iter().chain(outline.decisions()) {
                eprintln!("{of_target}{line}");
            }
        }
        if let (Format::Github, Some(path)) = (common.format, env::var_os(github::SUMMARY))
            && !path.is_empty()
            && let Err(error) = github::summarize(&outline, Path::new(&path))
        {
            // What was found is told already, and decides how it ends.
            eprintln!("note: {error:#}");
        }
        self.write_baseline(common)
    }

    fn write_baseline(&self, common: &Common) -> Result<()> {
        let Some(path) = &common.write_baseline else { return Ok(()) };
        let mut baseline = Baseline::of(&self.findings);
        if let Some(known) = &common.known {
            baseline = baseline.keeping(known, &self.checks);
        }
        baseline.write(path)?;
        eprintln!("note: {} in the baseline {}", units::count(baseline.len(), "finding"), path.display());
        Ok(())
    }
}
