//! The findings, the worst first, those of one rule together.

use maud::{Markup, html};
use serde_json::Value;

use crate::report::kinds::{KindRow, kind_rows, rows};
use crate::report::view::{CodeGroup, FindingView, ReportView};
use crate::rules::baseline::BaselineStatus;
use crate::rules::finding::Finding;
use crate::rules::registry;
use crate::rules::rule::{Applicability, Severity};
use crate::text::humanize::pluralize;

use super::text::{block, command, counted, grouped, name, plain, prose, table, value, whole_words};
use super::{PageBudget, timeline};

/// Findings of one rule that are shown before the others are unfolded, on a page of few and on one of many.
const MOST_UNFOLDED: usize = 10;
const MOST_OF_MANY: usize = 2;

/// Rules of a page of many of which findings are shown before they are unfolded; of the others the head alone is.
const MOST_RULES_OF_MANY: usize = 3;

/// More findings than these are many on a page.
const MANY: usize = 40;

/// Columns of a sample that are shown.
const MOST_COLUMNS: usize = 40;

/// Every finding, with what filters them; `None` where there is none.
pub fn section(outline: &ReportView<'_>, budget: &mut PageBudget) -> Option<Markup> {
    let groups: Vec<CodeGroup<'_>> =
        outline.by_code().into_iter().filter(|group| !group.views.is_empty()).collect();
    if groups.is_empty() {
        return None;
    }
    let filters = filters(&groups);
    let is_many = groups.iter().map(|group| group.views.len()).sum::<usize>() > MANY;
    let most = |at: usize| match is_many {
        false => MOST_UNFOLDED,
        true if at < MOST_RULES_OF_MANY => MOST_OF_MANY,
        true => 0,
    };
    let mut left_out = Vec::new();
    let mut shown = Vec::new();
    for (at, group) in groups.iter().enumerate() {
        let (markup, missing) = of_rule(group, most(at), budget);
        shown.push(markup);
        left_out
            .extend((missing > 0).then(|| format!("{} of {}", pluralize(missing, "finding"), group.code)));
    }
    Some(html! {
        (filters)
        @for markup in &shown { (markup) }
        @if !left_out.is_empty() {
            p.left-out { "Not on this page, which would be too large: " (left_out.join(", ")) ". " code { "--format json" } " has them all." }
        }
    })
}

/// A row for each kind of finding, in the order in which to act; `None` where there is only one.
pub fn order(outline: &ReportView<'_>) -> Option<Markup> {
    let groups = outline.new_by_code();
    let row = |row: &KindRow<'_>| {
        vec![
            severity(row.severity),
            html! { a href={ "#" (row.code) } { code { (row.code) } } },
            html! { (row.title) },
            grouped(row.places as u64),
            if row.rows == 0 {
                html! { "-" }
            } else {
                grouped(row.rows.unsigned_abs())
            },
            html! { (row.fix) },
        ]
    };
    let rows: Vec<Vec<Markup>> = kind_rows(&groups).iter().map(row).collect();
    let head = ["Severity", "Code", "Problem", "Places", "Rows", "What fix does"];
    (rows.len() > 1).then(|| table("Kinds of findings", &head, &rows))
}

/// Shown by the script, which makes them work.
fn filters(groups: &[CodeGroup<'_>]) -> Markup {
    let all = || groups.iter().flat_map(|group| &group.views);
    let of = |severity: Severity| all().filter(|view| view.finding.severity == severity).count();
    html! {
        form.filters hidden role="search" aria-label="Findings" {
            fieldset {
                legend { "Severity" }
                @for severity in [Severity::Error, Severity::Warning, Severity::Advice] {
                    @let label = severity.to_string();
                    label { input type="checkbox" name="severity" value=(label) checked; span { (label) " " small { (of(severity)) } } }
                }
            }
            label { span { "Code" } select name="code" {
                option value="" { "all" }
                @for group in groups { option value=(group.code) { (group.code) " (" (group.views.len()) ")" } }
            } }
            label.search { span { "Text" } input type="search" name="text" autocomplete="off" spellcheck="false"; }
            div.tools {
                output name="shown" { (all().count()) " of " (all().count()) }
                button type="button" name="unfold" { "Unfold all" }
            }
        }
    }
}

/// Of one rule, and how many findings did not fit.
fn of_rule(group: &CodeGroup<'_>, most: usize, budget: &mut PageBudget) -> (Markup, usize) {
    let rule = registry::find_rule(group.code);
    let worst = group.views.iter().map(|view| view.finding.severity).max().unwrap_or(Severity::Advice);
    let title = rule.map_or(group.name, |rule| &rule.summary);
    let mut findings = Vec::new();
    for view in &group.views {
        let markup = one(view, worst);
        if !budget.has_room_for(&markup) {
            break;
        }
        findings.push(markup);
    }
    let missing = group.views.len() - findings.len();
    let commands = group.views.first().map(|view| view.commands()).unwrap_or_default();
    let about = html! {
        @if let Some(rule) = rule {
            details { summary { "Why it matters" } p.why { (prose(&rule.why_and_next())) } }
        }
        p.todo {
            @for (at, text) in commands.iter().enumerate() {
                @if at > 0 { span.or { "or" } }
                (command(text))
            }
        }
    };
    let list = |from: usize, number: usize| {
        html! { ul.findings { @for finding in findings.iter().skip(from).take(number) { (finding) } } }
    };
    let markup = html! {
        section.rule aria-labelledby=(group.code) {
            header {
                h3 id=(group.code) { (title) }
                p.tags {
                    (severity(worst)) " " code { (group.code) } " "
                    span.aside { (group.name) " · " (pluralize(group.views.len(), "finding")) }
                }
            }
            @if most == 0 {
                details.rest { summary { "What to do, and where" } (about) (list(0, findings.len())) }
            } @else {
                (about)
                (list(0, most))
                @if findings.len() > most {
                    details.rest {
                        summary { (grouped((findings.len() - most) as u64)) " more of " (group.code) }
                        (list(most, findings.len()))
                    }
                }
            }
        }
    };
    (markup, missing)
}

/// A severity as a word in its colour.
pub fn severity(severity: Severity) -> Markup {
    let word = severity.to_string();
    html! { span.tag.(word) { (word) } }
}

fn one(view: &FindingView<'_>, worst: Severity) -> Markup {
    let finding = view.finding;
    let (class, says) = match view.baseline_status {
        Some(BaselineStatus::Known) => ("known", "known already"),
        Some(BaselineStatus::Grown) => ("grown", "grown"),
        Some(BaselineStatus::New) => ("new", "new"),
        None => ("", ""),
    };
    let is_request = finding.extra.contains_key("timeline");
    html! {
        li.finding.(class) data-severity=(finding.severity) data-code=(finding.code) {
            div.subject {
                h4 { @if finding.subject.is_empty() { span.null { "empty" } } @else { (name(&finding.subject)) } }
                @if finding.severity != worst { (severity(finding.severity)) }
                @if !says.is_empty() { span.tag.(class) { (says) } }
                @if is_request || rows(finding) > 0 { span.rows { (counted(finding.count.unsigned_abs(), if is_request { "request" } else { "row" })) } }
            }
            p { (prose(&finding.detail)) (view.growth()) }
            @if let Some(fix) = &finding.fix {
                p.aside {
                    "Fix: " (applicability(finding)) @if fix.version > 0 { ". Version " (fix.version) }
                    @if !fix.hazards.is_empty() { "; hazards: " (whole_words(&fix.hazards.join(", "))) }
                }
            }
            @if is_request { (timeline::evidence(finding)) }
            @if finding.predicate.is_some() || (!finding.sample.is_empty() && !is_request) { (evidence(finding)) }
        }
    }
}

fn applicability(finding: &Finding) -> &'static str {
    match finding.fix.as_ref().map(|fix| fix.applicability) {
        Some(Applicability::Safe) => "safe, no row is lost",
        Some(Applicability::Quarantine) => {
            "what it takes away is kept in quarantine, and undo brings it back"
        }
        Some(Applicability::Manual) | None => "left to you",
    }
}

fn evidence(finding: &Finding) -> Markup {
    let label = format!("of {}", finding.subject);
    html! {
        details {
            summary {
                @match (finding.sample.len(), &finding.predicate) {
                    (0, _) => "How to find the rows",
                    (1, None) => "An example",
                    (_, None) => { (finding.sample.len()) " examples" }
                    (1, Some(_)) => "An example, and how to find the rows",
                    (_, Some(_)) => { (finding.sample.len()) " examples, and how to find the rows" }
                }
            }
            @if let Some(predicate) = &finding.predicate {
                p.label { "WHERE" }
                (block(predicate, &plain(&format!("Predicate {label}"))))
            }
            @if !finding.sample.is_empty() { (sample(&finding.sample, &plain(&format!("Examples {label}")))) }
        }
    }
}

/// Rows as a table where they are objects, else as a list.
fn sample(sample: &[Value], label: &str) -> Markup {
    let columns = columns(sample.iter());
    if columns.is_empty() {
        return html! { ul.sample { @for one in sample { li { code { (value(one)) } } } } };
    }
    let row = |one: &Value| columns.iter().map(|column| value(&one[*column])).collect();
    let rows: Vec<Vec<Markup>> = sample.iter().map(row).collect();
    table(label, &columns, &rows)
}

/// The columns that any of these rows has a value in, in order.
pub fn columns<'v>(rows: impl Iterator<Item = &'v Value>) -> Vec<&'v str> {
    let mut columns: Vec<&str> = Vec::new();
    for (column, value) in rows.filter_map(Value::as_object).flatten() {
        if !value.is_null() && !columns.contains(&column.as_str()) && columns.len() < MOST_COLUMNS {
            columns.push(column);
        }
    }
    columns
}
