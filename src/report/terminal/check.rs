//! What an examination found, for a person at a terminal: a block for each code, worst first, and the next step.

use std::fmt::Write;

use crate::cli::GlobalOptions;
use crate::rules::finding::{CheckOutcome, Finding};
use crate::rules::registry;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;

use crate::report::Report;
use crate::report::view::{CodeGroup, FindingView, ReportView, is_fixable};
use crate::terminal::page::Page;
use crate::terminal::style::{ADVICE, GOOD, NAME, WARNING, paint, severity_style};
use crate::text::humanize::{format_count, pluralize};

/// Findings of one code that are told; with `-v` all are.
const MOST: usize = 5;

/// The verdict and what to type, for the report's head: whoever reads from the top need not read on.
pub fn lead(outline: &ReportView<'_>, common: &GlobalOptions) -> Vec<(&'static str, String)> {
    let news: Vec<&Finding> = outline.new_findings().map(|told| told.finding).collect();
    if !news.iter().any(|finding| is_told_in_full(finding.severity, common)) {
        return Vec::new();
    }
    let mut lines = vec![("verdict", outline.headline())];
    lines.extend(next(&news, common).map(|(command, what)| ("next", format!("{command}    {what}"))));
    lines
}

/// The findings that the reader does not know yet, a block for each code. What is only advice gets a line.
pub fn findings(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let mut out = String::new();
    let mut has_lines = false;
    for group in outline.new_by_code() {
        let worst = group.told.iter().map(|told| told.finding.severity).max().unwrap_or(Severity::Advice);
        if is_told_in_full(worst, common) {
            out.push_str(&block(&group, worst, common, page));
            out.push('\n');
        } else {
            has_lines = true;
            out.push_str(&line(&group, page));
        }
    }
    if has_lines {
        out.push('\n');
    }
    out
}

/// Whether somebody has to act on it, or asked for everything.
fn is_told_in_full(severity: Severity, common: &GlobalOptions) -> bool {
    severity > Severity::Advice || common.fail_on.includes(severity) || common.verbose > 0
}

fn block(group: &CodeGroup<'_>, worst: Severity, common: &GlobalOptions, page: Page) -> String {
    let title = format!("{} {}", paint(severity_style(worst), worst), paint(NAME, group.title()));
    let mut out = page.wrap(&title, 0);
    if let Some(rule) = registry::find_rule(group.code) {
        out.push_str(&page.wrap(&format!("{}. {}", capitalised(&rule.summary), rule.impact()), 2));
    }
    let most = if common.verbose > 0 { usize::MAX } else { MOST };
    for told in group.told.iter().take(most) {
        out.push_str(&one(*told, worst, common, page));
    }
    if group.told.len() > most {
        let more = format_count(group.told.len() - most);
        let _ = writeln!(out, "  … and {more} more: -v shows them all");
    }
    let command = match group.told.iter().any(|told| is_fixable(told.finding)) {
        true => format!("evodoctor fix {}{}", group.code, common.connection_arguments()),
        false => format!("evodoctor explain {}", group.code),
    };
    out + &page.command_hint(&command, "", 2)
}

/// One finding; with `-v` also an example and the rows' WHERE.
fn one(told: FindingView<'_>, worst: Severity, common: &GlobalOptions, page: Page) -> String {
    let finding = told.finding;
    let milder = if finding.severity < worst { format!(" ({})", finding.severity) } else { String::new() };
    let grown = if told.has_grown() { " (more than the baseline knows)" } else { "" };
    let text =
        format!("{}{milder}: {}{grown}", paint(NAME, escape_control(&finding.subject)), detail(finding));
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
    let summary = match group.told.as_slice() {
        [only] => format!("{}: {}", escape_control(&only.finding.subject), detail(only.finding)),
        several => {
            let rule = registry::find_rule(group.code).map_or(group.name, |rule| &rule.summary);
            format!("{rule} ({})", pluralize(several.len(), "finding"))
        }
    };
    let text = format!("{} {} {summary}", paint(ADVICE, Severity::Advice), paint(NAME, group.code));
    page.wrap_hanging(&text, 0, 2)
}

/// The checks that could not be decided, and why.
pub fn undecided(report: &Report, page: Page) -> String {
    let mut out = String::new();
    for check in &report.checks {
        let Some(reason) = &check.reason else { continue };
        let how = if check.outcome == CheckOutcome::Undecided { "undecided" } else { "partly undecided" };
        let title = paint(NAME, format!("{} {}", check.code, check.name));
        out.push_str(&page.wrap(&format!("{} {title}", paint(WARNING, how)), 0));
        out.push_str(&page.wrap(&escape_control(reason), 2));
        out.push('\n');
    }
    out
}

/// One line on all of it, in the colour of the worst.
pub fn headline(outline: &ReportView<'_>) -> String {
    let worst = outline.new_findings().map(|told| told.finding.severity).max();
    let style = match worst {
        Some(worst) if worst > Severity::Advice => severity_style(worst),
        _ if outline.report.summary.undecided > 0 => WARNING,
        _ => GOOD,
    };
    paint(style, outline.headline()) + "\n"
}

/// What to type after an examination.
pub fn next_step(outline: &ReportView<'_>, common: &GlobalOptions, page: Page) -> String {
    let news: Vec<&Finding> = outline.new_findings().map(|told| told.finding).collect();
    if let Some((command, what)) = next(&news, common) {
        return page.command_hint(&command, what, 0);
    }
    if !news.is_empty() {
        return page.wrap(
            "Advice needs no action. -v tells it in full; to repair one anyway: evodoctor fix CODE",
            0,
        );
    }
    once_more(outline.report, page)
}

/// What to type where something is undecided.
pub fn once_more(report: &Report, page: Page) -> String {
    if report.summary.undecided == 0 {
        return String::new();
    }
    let text = "What is undecided is not clean. Give what its reason names, then: evodoctor";
    page.wrap(&format!("{text} {}", report.command), 0)
}

/// The command that helps most, and what it does; `None` where nothing has to be done.
fn next(news: &[&Finding], common: &GlobalOptions) -> Option<(String, &'static str)> {
    let mut acted_on = news.iter().filter(|finding| is_acted_on(finding, common)).peekable();
    let first = acted_on.peek()?.code.clone();
    if acted_on.any(|finding| is_fixable(finding)) {
        let what = "rehearses every repair in a transaction, shows the diff, and rolls back";
        return Some((format!("evodoctor fix{}", common.connection_arguments()), what));
    }
    Some((format!("evodoctor explain {first}"), "says what to do: nothing here is repaired without you"))
}

fn is_acted_on(finding: &Finding, common: &GlobalOptions) -> bool {
    common.fail_on.includes(finding.severity) || (finding.severity > Severity::Advice && !is_fixable(finding))
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}
