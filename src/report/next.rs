//! The next commands, in one place for every format. A command is a line of its own, with the options that select the
//! same database.

use crate::cli::CONNECTION_VARIABLE;
use crate::evolution::release::Release;
use crate::rules::finding::Finding;
use crate::rules::rule::Severity;

use super::{Detail, upgrade};
use crate::text::humanize::pluralize;
use crate::text::shell;
use crate::upgrade::Preflight;

use super::view::{FindingView, ReportView, is_fixable};

/// A command, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// The command, as it is typed.
    pub command: String,
    /// Its effect; empty if the command says it.
    pub what: String,
}

impl NextStep {
    fn new(command: String, what: impl Into<String>) -> Self {
        Self { command, what: what.into() }
    }
}

/// The next commands after a report, the most helpful first; none if all is well.
pub fn next_steps(outline: &ReportView<'_>) -> Vec<NextStep> {
    let again = || outline.common.connection_arguments();
    match &outline.report.detail {
        Detail::Change(change) => {
            let step = |line: &String| {
                let (command, what) = line.split_once("    ").unwrap_or((line, ""));
                NextStep::new(format!("{command}{}", again()), what)
            };
            match outline.common.snapshot {
                None => change.next.iter().map(step).collect(),
                Some(_) => change.next.first().map(|line| on_the_server(outline, line)).into_iter().collect(),
            }
        }
        Detail::Preflight { preflight, .. } => before_upgrade(outline, preflight),
        Detail::Check {} => after_check(outline).into_iter().collect(),
        Detail::Logs(_) => {
            let first = outline.new_findings().next();
            first.map(|view| explain(&view.finding.code, "")).into_iter().collect()
        }
        Detail::History { runs, .. } => {
            let open = runs.iter().find(|run| run.can_be_undone());
            let undo = open.map(|run| {
                let newest =
                    if run.series.is_some() { "the newest series of batches" } else { "the newest run" };
                let command = format!("evodoctor undo {}{}", run.series.unwrap_or(run.run), again());
                NextStep::new(command, format!("shows what undoing {newest} would do"))
            });
            undo.into_iter().collect()
        }
        Detail::Snapshot { snapshot } => {
            let command = format!("evodoctor check --snapshot {}", shell::quote(&snapshot.file));
            vec![NextStep::new(command, "examines the copy")]
        }
        Detail::Credentials { .. } => Vec::new(),
    }
}

/// The same command for the database itself after a dry run on a dump, which cannot be changed.
fn on_the_server(outline: &ReportView<'_>, line: &str) -> NextStep {
    let command = line.split(" --apply").next().unwrap_or(line);
    NextStep::new(
        format!("{command}{}", outline.common.live_connection_arguments()),
        "dry run on the database itself; a dump cannot be changed",
    )
}

/// The commands that lead to a successful upgrade.
fn before_upgrade(outline: &ReportView<'_>, preflight: &Preflight) -> Vec<NextStep> {
    let to = preflight.to;
    if !preflight.before.is_empty() {
        let command =
            format!("evodoctor preflight --to {to} --resolve{}", outline.common.connection_arguments());
        return vec![NextStep::new(command, "prints what to do before the upgrade as a shell script")];
    }
    let verdict = upgrade::verdict(outline.report, preflight);
    if let Some(view) = outline.new_findings().find(is_acted_on) {
        return vec![explain(&view.finding.code, "says what to do before the upgrade")];
    }
    if verdict.severity.is_some() || outline.report.summary.undecided > 0 {
        return Vec::new();
    }
    let first = Release::find(FIRST_OF_FOUNDATION);
    let image =
        if Release::find(to) >= first { "evoapicloud/evolution-api" } else { "atendai/evolution-api" };
    let what = match preflight.pending.len() {
        0 => "the image of that release; its start changes no table".to_owned(),
        number => format!(
            "the image of that release; its start applies the {}. Take a backup (pg_dump) before",
            pluralize(number, "migration")
        ),
    };
    vec![NextStep::new(format!("docker pull {image}:v{to}"), what)]
}

/// The first release whose image is published by evoapicloud.
const FIRST_OF_FOUNDATION: &str = "2.3.0";

/// The content for the variable in these commands; `None` if there is no variable.
pub fn variable_note(outline: &ReportView<'_>, steps: &[NextStep]) -> Option<&'static str> {
    let variable = format!("${CONNECTION_VARIABLE}");
    steps.iter().any(|step| step.command.contains(&variable)).then_some(match outline.common.snapshot {
        None => {
            "DATABASE_CONNECTION_URI: set it to the connection string that you gave, which is not shown here"
        }
        Some(_) => {
            "DATABASE_CONNECTION_URI: set it to the connection string of the database that the dump is of"
        }
    })
}

/// The command that helps most after an examination.
fn after_check(outline: &ReportView<'_>) -> Option<NextStep> {
    let mut acted_on = outline.new_findings().filter(is_acted_on).peekable();
    let first = acted_on.peek()?.finding.code.clone();
    if acted_on.any(|view| is_fixable(view.finding)) {
        let common = outline.common;
        let command = format!("evodoctor fix{}{}", common.finding_arguments(), common.connection_arguments());
        return Some(NextStep::new(command, "dry run: shows the diff of every repair, then rolls back"));
    }
    Some(explain(&first, "says what to do: no finding here has an automatic fix"))
}

fn explain(code: &str, what: &str) -> NextStep {
    NextStep::new(format!("evodoctor explain {code}"), what)
}

fn is_acted_on(view: &FindingView<'_>) -> bool {
    let Finding { severity, .. } = *view.finding;
    view.is_counted() || (severity > Severity::Advice && !is_fixable(view.finding))
}
