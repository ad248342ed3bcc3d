//! For GitHub Actions: annotations on stdout, and a step summary in the file that the runner names.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::error;
use crate::exit_code::Exit;
use crate::report::Detail;
use crate::report::ci::markdown;
use crate::report::error_text;
use crate::report::multi_target::{TargetError, TargetReport};
use crate::report::next::next_steps;
use crate::report::totals;
use crate::report::undecided::{UndecidedReason, undecided_reasons};
use crate::report::upgrade::{self, UpgradeVerdict};
use crate::report::view::{CodeGroup, ReportView};
use crate::report::words;
use crate::rules::rule::Severity;
use crate::text::escape::escape_control;
use crate::text::humanize::format_count;

/// Where the runner wants the step's summary, as Markdown.
pub const SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// GitHub shows so many annotations of a level for a step, and drops the others without a word.
const MOST: usize = 10;

/// Places of one code that its annotation names.
const MOST_PLACES: usize = 3;

/// A workflow command that annotates.
struct Annotation {
    level: &'static str,
    title: String,
    message: String,
}

/// An annotation for each code and each reason to be undecided, the worst first, and a last line that says how it ended.
pub fn render(outline: &ReportView<'_>) -> String {
    let undecided =
        undecided_reasons(outline).into_iter().map(|UndecidedReason { reason, codes }| Annotation {
            level: "warning",
            title: format!("{} undecided", codes.join(", ")),
            message: escape_control(&reason),
        });
    let notice = outline.notice.map(|notice| format!("{notice}\n")).unwrap_or_default();
    let groups = outline.new_by_code();
    let verdict = Annotation::of_upgrade(outline);
    let findings = groups.iter().filter_map(Annotation::of);
    let all: Vec<Annotation> =
        verdict.into_iter().chain(Annotation::of_grants(outline)).chain(findings).chain(undecided).collect();
    notice + &capped(&all, "the step's summary lists them") + &totals::headline(outline) + "\n"
}

/// Of several databases an annotation for each that is not clean: GitHub shows no more of a whole step than of one.
pub fn render_targets(members: &[TargetReport<'_>]) -> String {
    let annotation = |member: &TargetReport<'_>| {
        let (level, message) = match &member.outcome {
            Err(TargetError { message, next }) => {
                let next = next.as_ref().map(|next| format!("\nnext: {next}")).unwrap_or_default();
                ("error", escape_control(message) + &next)
            }
            Ok((report, common)) => {
                let outline = ReportView::new(report, common);
                let level = match member.exit {
                    Exit::Clean => return None,
                    Exit::Findings if report.summary.errors > 0 => "error",
                    _ => "warning",
                };
                (level, totals::headline(&outline))
            }
        };
        Some(Annotation { level, title: escape_control(member.name), message })
    };
    let all: Vec<Annotation> = members.iter().filter_map(annotation).collect();
    capped(&all, "the table lists them")
}

/// The annotations that GitHub shows, with the number of those left out.
fn capped(all: &[Annotation], elsewhere: &str) -> String {
    let mut out = String::new();
    for level in ["error", "warning", "notice"] {
        let of_level: Vec<&Annotation> = all.iter().filter(|annotation| annotation.level == level).collect();
        let shown = if of_level.len() > MOST { MOST - 1 } else { of_level.len() };
        out.extend(of_level[..shown].iter().map(|annotation| annotation.command()));
        if shown < of_level.len() {
            let message = format!("{} more; {elsewhere}", of_level.len() - shown);
            out.push_str(&Annotation { level, title: "evodoctor".to_owned(), message }.command());
        }
    }
    out
}

impl Annotation {
    /// Returns the annotation for an upgrade's end, where that is what was asked.
    fn of_upgrade(outline: &ReportView<'_>) -> Option<Self> {
        let Detail::Preflight { preflight, .. } = &outline.report.detail else { return None };
        let UpgradeVerdict { severity, sentence } = upgrade::verdict(outline.report, preflight);
        let next = next_steps(outline);
        let next = next.iter().map(|step| format!("\nnext: {}", escape_control(&step.command)));
        let level = severity.map_or("notice", level);
        let message = escape_control(&sentence) + &next.collect::<String>();
        Some(Self { level, title: format!("upgrade to {}", preflight.to), message })
    }

    /// The statements that give this role the rights it lacks, where it lacks some.
    fn of_grants(outline: &ReportView<'_>) -> Option<Self> {
        let grants = &outline.report.missing_grants;
        let lines = [words::LACKS_RIGHTS.to_owned()]
            .into_iter()
            .chain(grants.iter().map(|grant| escape_control(grant)));
        (!grants.is_empty()).then(|| Self {
            level: "warning",
            title: "missing rights".to_owned(),
            message: lines.collect::<Vec<_>>().join("\n"),
        })
    }

    /// Of the findings of one code, which share an annotation.
    fn of(group: &CodeGroup<'_>) -> Option<Self> {
        let first = group.views.first()?;
        let mut lines: Vec<String> =
            group.views.iter().take(MOST_PLACES).map(|view| view.sentence()).collect();
        if group.views.len() > MOST_PLACES {
            lines.push(format!("… and {} more", format_count(group.views.len() - MOST_PLACES)));
        }
        lines.push(format!("next: {}", first.next_step()));
        Some(Self { level: level(group.worst()), title: group.title(), message: lines.join("\n") })
    }

    fn command(&self) -> String {
        format!("::{} title={}::{}\n", self.level, property(&self.title), data(&self.message))
    }
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Advice => "notice",
    }
}

/// An annotation for a run that failed.
pub fn render_error(error: &anyhow::Error) -> String {
    let causes = error_text::cause_chain(error);
    let next = format!("\nnext: {}", error::hint(error));
    let message = causes.join("\nbecause: ") + &next;
    Annotation { level: "error", title: "evodoctor".to_owned(), message }.command()
}

/// Text after the `::` of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Appends to the step's summary.
pub fn append_summary(outline: &ReportView<'_>, path: &Path) -> Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.and_then(|mut file| file.write_all(markdown::render(outline).as_bytes()))
        .with_context(|| format!("the step's summary {} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_command_early_or_begins_another() {
        let annotation = Annotation {
            level: "error",
            title: "a: b, 100%\n::error::c".to_owned(),
            message: "50% of a:b,c\r\n::warning::d".to_owned(),
        };
        assert_eq!(
            annotation.command(),
            "::error title=a%3A b%2C 100%25%0A%3A%3Aerror%3A%3Ac::50%25 of a:b,c%0D%0A::warning::d\n"
        );
    }
}
