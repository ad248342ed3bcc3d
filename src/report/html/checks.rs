//! The checks: which are undecided, which ran, and how the findings compare with the baseline.

use maud::{Markup, html};

use crate::report::undecided::{UndecidedReason, undecided_reasons};
use crate::report::view::ReportView;
use crate::report::words;
use crate::rules::finding::{CheckOutcome, CheckReport};
use crate::rules::registry;

use super::text::{block, counted, grouped, name, prose};

/// Ignored findings that are listed.
const MOST_IGNORED: usize = 200;

/// The undecided checks, and why.
pub fn undecided(outline: &ReportView<'_>) -> Option<Markup> {
    let reasons = undecided_reasons(outline);
    (!reasons.is_empty()).then(|| {
        html! {
            p.lead { "A check that could not read everything is undecided, never clean." }
            ul.findings {
                @for UndecidedReason { reason, codes } in &reasons {
                    li.finding.undecided {
                        div.subject {
                            h3 { code { (codes.join(", ")) } @if let [code] = codes.as_slice() { " " (named(code)) } }
                            span.tag.open { "undecided" }
                        }
                        p { (prose(reason)) }
                    }
                }
            }
        }
    })
}

/// The statements that give this role the rights it lacks; `None` where it lacks none.
pub fn missing_grants(outline: &ReportView<'_>) -> Option<Markup> {
    let grants = &outline.report.missing_grants;
    (!grants.is_empty()).then(|| {
        html! {
            p.lead { (words::LACKS_RIGHTS) }
            (block(&grants.join("\n"), "The statements that give the rights"))
        }
    })
}

fn named(code: &str) -> &str {
    registry::find_rule(code).map_or("", |rule| &rule.name)
}

/// Returns the findings compared with the baseline; `None` without one.
pub fn baseline(outline: &ReportView<'_>) -> Option<Markup> {
    let gone = outline.gone.as_ref()?;
    Some(html! {
        p.lead { (counted(outline.known() as u64, "finding")) " known already, " (outline.new_findings().count()) " new or grown, " (gone.len()) " gone." }
        @if !gone.is_empty() {
            details {
                summary { "Findings that are gone" }
                ul.sample { @for id in gone { li { code { (id.code) } " " (name(&id.key)) } } }
            }
        }
    })
}

/// The ignored findings, and why; `None` if nothing is ignored.
pub fn decided(outline: &ReportView<'_>) -> Option<Markup> {
    let config = outline.report.config.as_ref()?;
    let lines = outline.policy_notes();
    (!lines.is_empty()).then(|| {
        html! {
            p.lead { "As " (name(&config.file)) " has it" @if let Some(environment) = &config.environment { ", environment " (name(environment)) } "." }
            ul.notes { @for line in &lines { li { (prose(line)) } } }
            @if !config.ignored.is_empty() {
                details {
                    summary { "The findings that are ignored" }
                    ul.sample {
                        @for one in config.ignored.iter().take(MOST_IGNORED) {
                            li { code { (one.finding.code) } " " (name(&one.finding.subject)) ": " (prose(&one.finding.detail)) }
                        }
                        @if config.ignored.len() > MOST_IGNORED {
                            li { "and " (grouped((config.ignored.len() - MOST_IGNORED) as u64)) " more in " code { "--format json" } }
                        }
                    }
                }
            }
        }
    })
}

/// Every check, and how it came out.
pub fn all(outline: &ReportView<'_>) -> Option<Markup> {
    let checks = &outline.report.checks;
    let found =
        |check: &CheckReport| outline.views.iter().filter(|view| view.finding.code == check.code).count();
    let is_ignored = |check: &CheckReport| {
        outline.report.ignored().iter().any(|ignored| ignored.finding.code == check.code)
    };
    let outcome = |check: &CheckReport| match (check.outcome, &check.reason, found(check)) {
        (CheckOutcome::Undecided, _, _) => html! { span.tag.open { "undecided" } },
        (_, Some(_), number) => html! { span.tag.open { "in part" } " " (counted(number as u64, "finding")) },
        (_, None, 0) if is_ignored(check) => html! { span.tag.known { "ignored" } },
        (_, None, 0) => html! { span.tag.good { "clean" } },
        (_, None, number) => html! { a href={ "#" (check.code) } { (counted(number as u64, "finding")) } },
    };
    let summary = |check: &CheckReport| registry::find_rule(&check.code).map(|rule| rule.summary.as_str());
    (!checks.is_empty()).then(|| {
        html! {
            details.all-checks open[checks.len() <= 12] {
                summary { (counted(checks.len() as u64, "check")) }
                div.scroll tabindex="0" role="group" aria-label="Every check" {
                    table.wide {
                        thead { tr { th scope="col" { "Code" } th scope="col" { "What the check looks for" } th scope="col" { "Outcome" } th.end scope="col" { "Time" } } }
                        tbody {
                            @for check in checks {
                                tr {
                                    th scope="row" { code { (check.code) } }
                                    td { (summary(check).unwrap_or(&check.name)) }
                                    td { (outcome(check)) }
                                    td.end { (check.duration_ms) " ms" }
                                }
                            }
                        }
                    }
                }
            }
        }
    })
}
