//! What to type next, in one place for every format. A command is a line of its own, and carries the options that lead to
//! the same database.

use crate::rules::finding::Finding;
use crate::rules::rule::Severity;

use super::Detail;
use super::view::{FindingView, ReportView, is_fixable};

/// A command, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// The command, as it is typed.
    pub command: String,
    /// What it does; empty where the command says it.
    pub what: String,
}

impl NextStep {
    fn new(command: String, what: impl Into<String>) -> Self {
        Self { command, what: what.into() }
    }
}

/// What to type after a report, the most helpful first; nothing where all is well.
pub fn next_steps(outline: &ReportView<'_>) -> Vec<NextStep> {
    let again = || outline.common.connection_arguments();
    match &outline.report.detail {
        Detail::Change(change) => {
            let step = |line: &String| {
                let (command, what) = line.split_once("    ").unwrap_or((line, ""));
                NextStep::new(format!("{command}{}", again()), what)
            };
            change.next.iter().map(step).collect()
        }
        Detail::Preflight { preflight, .. } => {
            preflight.before.iter().map(|line| NextStep::new(line.clone(), "")).collect()
        }
        Detail::Check {} => after_check(outline).into_iter().collect(),
        Detail::Logs(_) => {
            let first = outline.new_findings().next();
            first.map(|told| explain(&told.finding.code, "")).into_iter().collect()
        }
        Detail::History { runs } => {
            let open = runs.iter().find(|run| {
                run.undone_at.is_none() && run.closed_at.is_none() && run.superseded_by.is_empty()
            });
            let undo = open.map(|run| {
                let newest =
                    if run.series.is_some() { "the newest series of batches" } else { "the newest run" };
                let command = format!("evodoctor undo {}{}", run.series.unwrap_or(run.run), again());
                NextStep::new(command, format!("shows what undoing {newest} would do"))
            });
            undo.into_iter().collect()
        }
        Detail::Credentials { .. } => Vec::new(),
    }
}

/// The command that helps most after an examination.
fn after_check(outline: &ReportView<'_>) -> Option<NextStep> {
    let mut acted_on = outline.new_findings().filter(is_acted_on).peekable();
    let first = acted_on.peek()?.finding.code.clone();
    if acted_on.any(|told| is_fixable(told.finding)) {
        let command = format!("evodoctor fix{}", outline.common.connection_arguments());
        return Some(NextStep::new(
            command,
            "rehearses every repair in a transaction, shows the diff, and rolls back",
        ));
    }
    Some(explain(&first, "says what to do: nothing here is repaired without you"))
}

fn explain(code: &str, what: &str) -> NextStep {
    NextStep::new(format!("evodoctor explain {code}"), what)
}

fn is_acted_on(told: &FindingView<'_>) -> bool {
    let Finding { severity, .. } = *told.finding;
    told.is_counted() || (severity > Severity::Advice && !is_fixable(told.finding))
}
