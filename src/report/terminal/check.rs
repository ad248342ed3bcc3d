//! The findings of a check, for a person at a terminal: first a table of the kinds, then a block for each, at last what
//! it comes to and what to type.

use std::fmt::Write;

use crate::cli::GlobalOptions;
use crate::rules::finding::Finding;
use crate::rules::registry;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;

use crate::report::kinds::{FixVerdict, KindRow, kind_rows};
use crate::report::next::{NextStep, next_steps, variable_note};
use crate::report::totals;
use crate::report::undecided::{UndecidedReason, undecided_reasons};
use crate::report::view::{CodeGroup, FindingView, ReportView, is_fixable};
use crate::report::words;
use crate::terminal::page::{NO_NUMBER, Page};
use crate::terminal::style::{ADVICE, COMMAND, DIM, GOOD, NAME, PLAIN, WARNING, paint, severity_style};
use crate::text::humanize::{format_count, pluralize};

/// Findings of one code that are shown; with `-v` all are.
const MOST: usize = 3;

/// Codes of undecided checks that a line names.
const MOST_CODES: usize = 8;

/// The verdict for the report's head, so that reading the first lines is enough.
pub fn lead(outline: &ReportView<'_>) -> Option<(&'static str, String)> {
    let counts = |view: FindingView<'_>| view.finding.severity > Severity::Advice || view.is_counted();
    outline.new_findings().any(counts).then(|| ("verdict", totals::headline(outline)))
}

/// The findings that the reader does not know yet: a table of their kinds, and a block for each. What is only advice gets
/// a line, and none where it says that nothing has to be done.
pub fn findings(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let groups: Vec<CodeGroup<'_>> =
        outline.new_by_code().into_iter().filter(|group| is_shown(group, common)).collect();
    let mut out = String::new();
    if groups.len() > 1 {
        out.push_str(&table(&kind_rows(&groups), page));
        out.push('\n');
    }
    let mut has_lines = false;
    for group in &groups {
        let worst = group.worst();
        if is_told_in_full(worst, common) {
            out.push_str(&block(group, worst, common, page));
            out.push('\n');
        } else {
            has_lines = true;
            out.push_str(&line(group, page));
        }
    }
    if has_lines {
        out.push('\n');
    }
    out
}

/// The kinds of findings, a row for each, in the order in which to act.
fn table(rows: &[KindRow<'_>], page: Page) -> String {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            let count = if row.rows == 0 { NO_NUMBER.to_owned() } else { format_count(row.rows) };
            vec![
                row.severity.to_string(),
                row.code.to_owned(),
                row.title.to_owned(),
                format_count(row.places),
                count,
                row.fix.to_string(),
            ]
        })
        .collect();
    let style = |row: usize, column: usize| match (rows.get(row), column) {
        (Some(row), 0) => severity_style(row.severity),
        (Some(row), 5) if row.fix == FixVerdict::Yours => DIM,
        _ => PLAIN,
    };
    page.plain_table(&["severity", "code", "problem", "places", "rows", "fix"], &cells, 0, style)
}

/// True if a person has to act on it, or everything was requested.
fn is_told_in_full(severity: Severity, common: &GlobalOptions) -> bool {
    severity > Severity::Advice || common.fail_on.includes(severity) || common.verbose > 0
}

/// True if it is shown at all without `-v`. Where a rule is about a failure and its finding is mere advice, the finding
/// says that it does no harm here.
fn is_shown(group: &CodeGroup<'_>, common: &GlobalOptions) -> bool {
    let is_harmless = registry::find_rule(group.code).is_some_and(|rule| rule.severity > Severity::Advice);
    is_told_in_full(group.worst(), common) || !is_harmless
}

fn block(group: &CodeGroup<'_>, worst: Severity, common: &GlobalOptions, page: Page) -> String {
    let title = format!("{} {}", paint(severity_style(worst), worst), paint(NAME, group.title()));
    let mut out = page.wrap(&title, 0);
    if let Some(rule) = registry::find_rule(group.code) {
        out.push_str(&page.wrap(&format!("{}. {}", capitalised(&rule.summary), rule.impact()), 2));
    }
    let most = if common.verbose > 0 { usize::MAX } else { MOST };
    for view in group.views.iter().take(most) {
        out.push_str(&one(*view, worst, common, page));
    }
    if group.views.len() > most {
        let more = format_count(group.views.len() - most);
        let _ = writeln!(out, "  … and {more} more: -v shows them all");
    }
    let fixable = group.views.iter().find(|view| is_fixable(view.finding)).or(group.views.first());
    let command = fixable.and_then(|view| view.commands().into_iter().next());
    out + &command.map(|command| page.command_hint(&command, "", 2)).unwrap_or_default()
}

/// One finding; with `-v` also an example and the rows' WHERE.
fn one(view: FindingView<'_>, worst: Severity, common: &GlobalOptions, page: Page) -> String {
    let finding = view.finding;
    let milder = if finding.severity < worst { format!(" ({})", finding.severity) } else { String::new() };
    let text = format!(
        "{}{milder}: {}{}",
        paint(NAME, escape_control(&finding.subject)),
        detail(finding),
        view.growth()
    );
    let mut out = page.wrap_hanging(&format!("- {text}"), 2, 4);
    if common.verbose > 0 {
        let mut pairs = Vec::new();
        if let Some(first) = finding.sample.first() {
            let more = match finding.sample.len() - 1 {
                0 => String::new(),
                more => format!(" and {more} more in --format json"),
            };
            pairs.push(("example", format!("{first}{more}")));
        }
        pairs.extend(finding.predicate.clone().map(|predicate| ("where", predicate)));
        out.push_str(&page.pairs(&pairs, 4));
    }
    out
}

/// The sentence, with its count as people write it.
fn detail(finding: &Finding) -> String {
    let text = escape_control(&finding.detail);
    match text.strip_prefix(&finding.count.to_string()) {
        Some(rest) if rest.starts_with(' ') => format_count(finding.count) + rest,
        _ => text,
    }
}

fn line(group: &CodeGroup<'_>, page: Page) -> String {
    let summary = match group.views.as_slice() {
        [only] => format!("{}: {}", escape_control(&only.finding.subject), detail(only.finding)),
        several => {
            let rule = registry::find_rule(group.code).map_or(group.name, |rule| &rule.summary);
            format!("{rule} ({})", pluralize(several.len(), "finding"))
        }
    };
    let text = format!("{} {} {summary}", paint(ADVICE, Severity::Advice), paint(NAME, group.code));
    page.wrap_hanging(&text, 0, 2)
}

/// The rights that this role lacks, as statements that give them.
pub fn missing_grants(outline: &ReportView<'_>, page: Page) -> String {
    let grants = &outline.report.missing_grants;
    if grants.is_empty() {
        return String::new();
    }
    let lines = grants.iter().map(|grant| format!("  {}\n", paint(COMMAND, escape_control(grant))));
    page.wrap(&paint(WARNING, words::LACKS_RIGHTS), 0) + &lines.collect::<String>() + "\n"
}

/// The checks that could not be decided, and why: those of one reason together.
pub fn undecided(outline: &ReportView<'_>, page: Page) -> String {
    let mut out = String::new();
    for UndecidedReason { reason, codes } in undecided_reasons(outline) {
        let named = codes.iter().take(MOST_CODES).copied().collect::<Vec<_>>().join(", ");
        let more = match codes.len().saturating_sub(MOST_CODES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let title = paint(NAME, format!("{named}{more}"));
        out.push_str(&page.wrap(&format!("{} {title}", paint(WARNING, "undecided")), 0));
        out.push_str(&page.wrap(&escape_control(&reason), 2));
        out.push('\n');
    }
    out
}

/// One line on all of it, in the colour of the worst.
pub fn headline(outline: &ReportView<'_>, page: Page) -> String {
    let worst = outline.new_findings().map(|view| view.finding.severity).max();
    let style = match worst {
        Some(worst) if worst > Severity::Advice => severity_style(worst),
        _ if outline.report.summary.undecided > 0 => WARNING,
        _ => GOOD,
    };
    page.wrap(&paint(style, totals::headline(outline)), 0)
}

/// The next commands after a check.
pub fn next_step(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let steps = next_steps(outline);
    if !steps.is_empty() {
        let lines = steps.iter().map(|step| page.command_hint(&step.command, &step.what, 0));
        return lines.collect::<String>() + &note(outline, &steps, page);
    }
    let mut out = String::new();
    if outline.report.command == "check" && outline.new_findings().next().is_some() && common.verbose == 0 {
        out.push_str(&page.wrap("Advice needs no action: -v shows all of it.", 0));
    }
    out + &once_more(outline, page)
}

/// The content for the variable in these commands.
pub fn note(outline: &ReportView<'_>, steps: &[NextStep], page: Page) -> String {
    variable_note(outline, steps).map(|note| page.wrap(note, 6)).unwrap_or_default()
}

/// The next command if something is undecided.
pub fn once_more(outline: &ReportView<'_>, page: Page) -> String {
    if outline.report.summary.undecided == 0 {
        return String::new();
    }
    let command = format!("evodoctor {}{}", outline.report.command, outline.common.connection_arguments());
    page.command_hint(&command, "some checks could not run: remove the reasons above, then run this", 0)
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
