//! The last line of a report: kinds of problems and places, or what a change does.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::repair::plan::FixPlan;
use crate::repair::quarantine::RowAction;
use crate::rules::finding::Finding;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;
use crate::text::humanize::{format_count, format_duration, pluralize};

use super::view::{FindingView, ReportView};
use super::{Change, Detail, upgrade};

/// Tables that a line names; more are counted.
const NAMED: usize = 2;

/// One line on all of it.
pub fn headline(outline: &ReportView<'_>) -> String {
    let report = outline.report;
    let news: Vec<FindingView<'_>> = outline.new_findings().collect();
    let mut line = match &report.detail {
        Detail::Change(change) => change_headline(report.command, change),
        Detail::Preflight { preflight, .. } => {
            let verdict = upgrade::verdict(report, preflight).sentence;
            format!("{verdict}; {}", examination(outline, &news))
        }
        _ => examination(outline, &news),
    };
    if report.summary.undecided > 0 {
        line.push_str(&format!(", {} undecided", report.summary.undecided));
    }
    if !report.ignored().is_empty() {
        line.push_str(&format!(", {} ignored", report.ignored().len()));
    }
    line
}

/// The summary of a check: `3 problems in 11 places (1 error, 2 warnings), 2 advice; 37 checks`.
fn examination(outline: &ReportView<'_>, news: &[FindingView<'_>]) -> String {
    let checks = pluralize(outline.report.checks.len(), "check");
    let known = outline.known();
    let advice = kinds(news.iter().map(|view| view.finding)).advice;
    match problems(news, outline.report.command != "logs") {
        Some(problems) => {
            let advice = if advice > 0 { format!(", {advice} advice") } else { String::new() };
            format!("{problems}{advice}; {checks}{}", known_of(outline, known))
        }
        None if known > 0 && advice == 0 => format!("nothing new{}; {checks}", known_of(outline, known)),
        None => {
            let found = if advice > 0 { format!("{advice} advice") } else { "nothing found".to_owned() };
            let verdict = if outline.report.summary.undecided == 0 { "clean: " } else { "" };
            format!("{verdict}{checks}, {found}{}", known_of(outline, known))
        }
    }
}

fn known_of(outline: &ReportView<'_>, known: usize) -> String {
    let errors = outline.known_findings().filter(|view| view.finding.severity == Severity::Error).count();
    match (known, errors) {
        (0, _) => String::new(),
        (_, 0) => format!("; {known} known"),
        _ => format!("; {known} known ({})", pluralize(errors, "error")),
    }
}

/// The number of codes of each severity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Kinds {
    /// Codes with an error among their findings.
    pub errors: usize,
    /// Codes whose worst finding is a warning.
    pub warnings: usize,
    /// Codes with nothing but advice.
    pub advice: usize,
}

/// Counts codes by their worst finding.
pub fn kinds<'f>(findings: impl Iterator<Item = &'f Finding>) -> Kinds {
    let mut worst: BTreeMap<&str, Severity> = BTreeMap::new();
    for finding in findings {
        let known = worst.entry(&finding.code).or_insert(finding.severity);
        *known = finding.severity.max(*known);
    }
    let count = |severity| worst.values().filter(|worst| **worst == severity).count();
    Kinds {
        errors: count(Severity::Error),
        warnings: count(Severity::Warning),
        advice: count(Severity::Advice),
    }
}

/// `3 problems in 11 places (1 error, 2 warnings)`; `None` where there is nothing but advice.
fn problems(news: &[FindingView<'_>], has_places: bool) -> Option<String> {
    let Kinds { errors, warnings, .. } = kinds(news.iter().map(|view| view.finding));
    let all = errors + warnings;
    if all == 0 {
        return None;
    }
    let places = news.iter().filter(|view| view.finding.severity > Severity::Advice).count();
    let places = if has_places && places > all {
        format!(" in {} places", format_count(places))
    } else {
        String::new()
    };
    let parts = [(errors, "error"), (warnings, "warning")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, word)| pluralize(number, word))
        .collect();
    Some(format!("{}{places} ({})", pluralize(all, "problem"), parts.join(", ")))
}

fn change_headline(command: &str, change: &Change) -> String {
    let how = match change.run.id {
        Some(run) if change.run.applied && command == "undo" => format!("undone: run {run}, "),
        Some(run) if change.run.applied => format!("applied: run {run}, "),
        _ if change.fixes.is_empty() && change.left.is_empty() => return "nothing to do".to_owned(),
        _ => "pending: ".to_owned(),
    };
    how + &change_totals(command, change)
}

/// The summary of a change, at the end of a plan: `9 fixes: 4,757 rows removed, 1 changed, 5 schema changes; writers of
/// Message wait about 0.4 s; 2 left to you`.
pub fn change_totals(command: &str, change: &Change) -> String {
    let Kinds { errors, warnings, advice } = kinds(change.left.iter());
    let left = errors + warnings + advice;
    let left = (left > 0).then(|| format!("{left} left to you"));
    if change.fixes.is_empty() {
        return left.unwrap_or_else(|| "nothing to do".to_owned());
    }
    let mut done: Vec<String> = Vec::new();
    let all = change.fixes.iter().flat_map(|fix| &fix.row_diff);
    for (action, word) in
        [(RowAction::Removed, "removed"), (RowAction::Changed, "changed"), (RowAction::Restored, "restored")]
    {
        let rows: i64 = all.clone().filter(|diff| diff.action == action).map(|diff| diff.count).sum();
        match rows {
            0 => {}
            _ if done.is_empty() => done.push(format!("{} {word}", pluralize(rows, "row"))),
            _ => done.push(format!("{} {word}", format_count(rows))),
        }
    }
    let stay: i64 = change.fixes.iter().flat_map(|fix| &fix.left_rows).map(|left| left.count).sum();
    if stay > 0 {
        done.push(format!(
            "{} {} in the quarantine",
            pluralize(stay, "row"),
            if stay == 1 { "stays" } else { "stay" }
        ));
    }
    let schema: usize = change.fixes.iter().map(schema_changes).sum();
    if schema > 0 {
        done.push(pluralize(schema, "schema change"));
    }
    if done.is_empty() {
        done.push("only the record of it".to_owned());
    }
    let what = match (command, change.fixes.len()) {
        ("fix", 1) => "1 fix".to_owned(),
        ("fix", several) => format!("{several} fixes"),
        (_, several) => pluralize(several, "change"),
    };
    let parts =
        [Some(format!("{what}: {}", done.join(", "))), waits(&change.fixes, change.run.applied), left];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// The objects of the schema that a fix adds, removes or changes: lines of its diff, a changed one counted once.
pub fn schema_changes(fix: &FixPlan) -> usize {
    let mut all = 0;
    let (mut removed, mut added): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for text in fix.schema_diff.lines().chain(["--- "]) {
        match text.as_bytes() {
            [b'-', b'-', b'-', ..] => {
                removed.retain(|line| match added.iter().position(|other| other == line) {
                    Some(at) => {
                        added.remove(at);
                        false
                    }
                    None => true,
                });
                all += added.len().max(removed.len());
                (removed, added) = (Vec::new(), Vec::new());
            }
            [b'+', b'+', b'+', ..] => {}
            // A column that is added after the last one gives that one a comma.
            [b'+', ..] => added.push(text[1..].trim_end_matches(',')),
            [b'-', ..] => removed.push(text[1..].trim_end_matches(',')),
            _ => {}
        }
    }
    all
}

/// Who waits, and for how long: those of the tables that are locked longest.
pub fn waits(fixes: &[FixPlan], is_over: bool) -> Option<String> {
    let mut tables: BTreeMap<&str, (u64, bool)> = BTreeMap::new();
    for lock in fixes.iter().flat_map(|fix| &fix.locks) {
        let is_for_readers = lock.mode == "AccessExclusiveLock";
        let known = tables.entry(&lock.table).or_insert((lock.held_ms, is_for_readers));
        *known = (known.0.max(lock.held_ms), known.1 || is_for_readers);
    }
    let longest = tables.values().map(|(held, _)| *held).max()?;
    // What is held about as long as the longest is named with it.
    tables.retain(|_, (held, _)| *held * 10 >= longest * 9);
    let who = if tables.values().any(|(_, readers)| *readers) { "readers and writers" } else { "writers" };
    let names: Vec<&str> = tables.keys().copied().collect();
    let verb = if is_over { "waited" } else { "wait" };
    let verb = format!("{verb} about {}", format_duration(Duration::from_millis(longest)));
    Some(match names.as_slice() {
        few if few.len() <= NAMED => {
            let few: Vec<String> = few.iter().map(|table| bare(table)).collect();
            format!("{who} of {} {verb}", few.join(" and "))
        }
        many => format!("{who} of {} tables {verb}", many.len()),
    })
}

/// A table's name without its schema and its quotes.
pub fn bare(table: &str) -> String {
    let name = table.rsplit_once(".\"").map_or(table, |(_, name)| name);
    escape_control(name.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repair::locks::HeldLock;
    use crate::repair::quarantine::RowDiff;
    use crate::report::RunInfo;
    use crate::rules::rule::Applicability;

    fn fix(diff: &str, rows: &[(RowAction, i64)], locks: &[(&str, &str, u64)]) -> FixPlan {
        let row = |(action, count): &(RowAction, i64)| RowDiff {
            table: "Chat".into(),
            action: *action,
            columns: Vec::new(),
            reason: String::new(),
            count: *count,
            digest: String::new(),
            sample: Vec::new(),
        };
        let lock = |(table, mode, held_ms): &(&str, &str, u64)| HeldLock {
            table: (*table).into(),
            mode: (*mode).into(),
            held_ms: *held_ms,
        };
        FixPlan {
            code: "EVO101".into(),
            name: String::new(),
            version: 1,
            checksum: String::new(),
            applicability: Applicability::Safe,
            hazards: Vec::new(),
            notes: Vec::new(),
            statements: Vec::new(),
            after_commit: Vec::new(),
            schema_diff: diff.into(),
            row_diff: rows.iter().map(row).collect(),
            left_rows: Vec::new(),
            locks: locks.iter().map(lock).collect(),
            base: Default::default(),
            timing: Default::default(),
            plan_hash: String::new(),
        }
    }

    #[test]
    fn a_plan_ends_with_rows_schema_and_who_waits() {
        let diff = "--- a/Chat\n+++ b/Chat\n@@ -1 +1 @@\n-  \"id\" text\n+  \"id\" text,\n+  \"x\" text\n--- a/B\n+++ b/B\n-old\n+new\n";
        let rows = [(RowAction::Removed, 4000), (RowAction::Removed, 757), (RowAction::Changed, 1)];
        let locks = [
            ("evolution_api.\"Message\"", "ShareRowExclusiveLock", 400),
            ("evolution_api.\"Chat\"", "ShareRowExclusiveLock", 100),
        ];
        let change = Change {
            run: RunInfo { id: None, applied: false, batches: Vec::new() },
            fixes: vec![fix(diff, &rows, &locks), fix("", &[], &[])],
            plan_hash: String::new(),
            next: Vec::new(),
            pending: Vec::new(),
            left: Vec::new(),
        };
        assert_eq!(
            change_totals("fix", &change),
            "2 fixes: 4,757 rows removed, 1 changed, 2 schema changes; writers of Message wait about 400 ms"
        );
        assert_eq!(
            change_totals("undo", &Change { fixes: vec![fix("", &[], &[])], ..change }),
            "1 change: only the record of it"
        );
    }
}
