//! The verdict: first a sentence, then what the exit code means, then what to type.

use clap::ValueEnum;
use maud::{Markup, html};

use crate::cli::GlobalOptions;
use crate::exit_code::Exit;
use crate::report::next::{NextStep, next_steps};
use crate::report::view::ReportView;
use crate::report::{Change, Detail, Report, totals, upgrade, words};
use crate::rules::finding::{Finding, Summary};
use crate::rules::registry;
use crate::rules::rule::Severity;
use crate::text::humanize::pluralize;
use crate::upgrade::Preflight;

use super::text::{command, grouped, plain, whole_words};

/// The colour that the page has at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum VerdictTone {
    Good,
    Advice,
    Warning,
    Error,
    Open,
}

/// The verdict of the report.
pub struct PageVerdict {
    tone: VerdictTone,
    command: &'static str,
    sentence: String,
    more: Vec<String>,
    exit: u8,
    meaning: String,
    next: Vec<NextStep>,
    counts: Vec<(&'static str, &'static str, usize)>,
}

impl PageVerdict {
    /// Of a report that ends with `exit`.
    pub fn new(outline: &ReportView<'_>, common: &GlobalOptions, exit: Exit) -> Self {
        let report = outline.report;
        let news: Vec<Finding> = outline.new_findings().map(|view| view.finding.clone()).collect();
        let summary = Summary::count(&news, &report.checks);
        let (sentence, more) = match &report.detail {
            Detail::Check {} => examined(outline, &summary, exit),
            Detail::Preflight { preflight, .. } => upgraded(report, preflight),
            Detail::Change(change) => changed(report, change),
            Detail::Logs(read) => (words::logs::headline(read, &report.findings), words::logs::notes(read)),
            Detail::Snapshot { snapshot } => {
                (format!("{} written to {}", pluralize(snapshot.rows, "row"), snapshot.file), Vec::new())
            }
            Detail::History { runs, .. } if runs.is_empty() => {
                ("No run has been applied to this database".to_owned(), Vec::new())
            }
            Detail::History { runs, .. } => {
                (format!("{} applied to this database", pluralize(runs.len(), "run")), Vec::new())
            }
            Detail::Credentials { credentials } => {
                (pluralize(credentials.len(), "OpenAI credential"), Vec::new())
            }
        };
        let examined = !report.checks.is_empty();
        let kinds = totals::kinds(news.iter());
        let counts = [
            ("error", "errors", kinds.errors),
            ("warning", "warnings", kinds.warnings),
            ("advice", "advice", kinds.advice),
            ("known", "known already", outline.known()),
            ("open", "undecided", summary.undecided),
            ("good", "checks clean", clean(report)),
        ];
        Self {
            tone: tone(&report.detail, &summary, exit),
            command: report.command,
            sentence,
            more,
            exit: exit.code(),
            meaning: meaning(report, common, exit),
            next: next_steps(outline),
            counts: if examined { counts.to_vec() } else { Vec::new() },
        }
    }

    /// The page's title: a tab shows its first words.
    pub fn title(&self) -> String {
        format!("{} — evodoctor {}", plain(&self.sentence), self.command)
    }

    /// A dot in the verdict's colour, for the tab.
    pub fn icon(&self) -> String {
        let colour = match self.tone {
            VerdictTone::Good => "1b6e44",
            VerdictTone::Advice => "2f5d9b",
            VerdictTone::Warning => "b36b00",
            VerdictTone::Error => "b3261e",
            VerdictTone::Open => "6b4fa0",
        };
        format!(
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='7' \
             fill='%23{colour}'/%3E%3C/svg%3E"
        )
    }

    /// The title of the list of findings.
    pub fn findings_title(&self) -> &'static str {
        match self.command {
            "fix" => "What is to be repaired",
            "preflight" => "What stands in the way",
            "logs" => "Wrong calls",
            _ => "What was found",
        }
    }

    /// The first thing on the page.
    pub fn markup(&self) -> Markup {
        let (tone, sign) = match self.tone {
            VerdictTone::Good => ("good", "M5.5 12.5l4.2 4.2 8.8-9.2"),
            VerdictTone::Advice => ("advice", "M12 10.8v6M12 7.2v.1"),
            VerdictTone::Warning => ("warning", "M12 6.6v7M12 17v.1"),
            VerdictTone::Error => ("error", "M7.6 7.6l8.8 8.8M16.4 7.6l-8.8 8.8"),
            VerdictTone::Open => ("open", "M9.2 9.4a2.9 2.9 0 1 1 4 2.9c-.8.4-1.2.9-1.2 1.7M12 17.2v.1"),
        };
        html! {
            section.verdict.(tone) aria-labelledby="verdict" {
                svg.sign viewBox="0 0 24 24" aria-hidden="true" focusable="false" {
                    circle cx="12" cy="12" r="12" {}
                    path d=(sign) {}
                }
                div {
                    h1 id="verdict" { (plain(&self.sentence)) }
                    @for line in &self.more { p.more { (plain(line)) } }
                    @if !self.next.is_empty() {
                        div.next {
                            h2 { "Next" }
                            ul { @for next in &self.next { li { (command(&format!("{}    {}", next.command, next.what))) } } }
                        }
                    }
                    p.exit { "Exit code " strong { (self.exit) } ": " (whole_words(&self.meaning)) }
                }
                @if !self.counts.is_empty() {
                    dl.counts {
                        @for (class, label, number) in &self.counts {
                            @if *number > 0 || matches!(*class, "error" | "warning" | "advice") {
                                div.(class).none[*number == 0] { dt { (label) } dd { (grouped(*number as u64)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn clean(report: &Report) -> usize {
    let is_clean = |code: &str| {
        let ignored = report.ignored().iter().map(|ignored| &ignored.finding);
        !report.findings.iter().chain(ignored).any(|finding| finding.code == code)
    };
    report.checks.iter().filter(|check| check.reason.is_none() && is_clean(&check.code)).count()
}

fn tone(detail: &Detail, summary: &Summary, exit: Exit) -> VerdictTone {
    match (exit, detail) {
        (Exit::Failed, _) => VerdictTone::Error,
        (Exit::Undecided, _) => VerdictTone::Open,
        (Exit::Findings, Detail::Change(change)) if change.left.is_empty() => VerdictTone::Advice,
        (Exit::Findings, _) if summary.errors > 0 => VerdictTone::Error,
        (Exit::Findings, _) => VerdictTone::Warning,
        (Exit::Clean, _) if summary.errors + summary.warnings > 0 => VerdictTone::Advice,
        (Exit::Clean, _) => VerdictTone::Good,
    }
}

/// `2 errors and 1 warning`, without what there is none of.
fn severities(summary: &Summary) -> String {
    let mut parts = Vec::new();
    parts.extend((summary.errors > 0).then(|| pluralize(summary.errors, "error")));
    parts.extend((summary.warnings > 0).then(|| pluralize(summary.warnings, "warning")));
    parts.extend((summary.advice > 0).then(|| pluralize(summary.advice, "piece") + " of advice"));
    match parts.as_slice() {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        parts => parts.concat(),
    }
}

fn examined(outline: &ReportView<'_>, summary: &Summary, exit: Exit) -> (String, Vec<String>) {
    let checks = outline.report.checks.len();
    let mut more = Vec::new();
    if summary.undecided > 0 {
        more.push(format!(
            "{} could not read everything, which does not count as clean.",
            pluralize(summary.undecided, "check")
        ));
    }
    let known = outline.known();
    if known > 0 {
        more.push(format!("{} in the baseline already, and did not count.", is_or_are(known, "finding")));
    }
    let ignored = outline.report.ignored().len();
    if ignored > 0 {
        more.push(format!("{} ignored by evodoctor.toml.", is_or_are(ignored, "finding")));
    }
    let worst = outline.new_findings().map(|view| view.finding).next();
    let sentence = match worst.filter(|worst| worst.severity > Severity::Advice) {
        Some(worst) => {
            let rule = registry::find_rule(&worst.code);
            let what = sentence_of(rule.map_or(worst.name.as_str(), |rule| rule.summary.as_str()));
            more.insert(0, format!("{}.", sentence_of(&totals::headline(outline))));
            let is_all = outline.new_findings().all(|view| view.finding.code == worst.code);
            if is_all { what } else { format!("{what}, and more") }
        }
        None => {
            let found = if worst.is_some() { severities(summary) } else { "nothing new".to_owned() };
            let aside = if worst.is_some() { " Advice needs no action." } else { "" };
            more.insert(0, format!("{} found {found}.{aside}", pluralize(checks, "check")));
            match exit {
                Exit::Undecided => "All is well in what could be read".to_owned(),
                _ => "All is well".to_owned(),
            }
        }
    };
    (sentence, more)
}

fn is_or_are(number: usize, word: &str) -> String {
    format!("{} {}", pluralize(number, word), if number == 1 { "is" } else { "are" })
}

/// A summary, which begins with a small letter, as a sentence.
fn sentence_of(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

fn upgraded(report: &Report, preflight: &Preflight) -> (String, Vec<String>) {
    if let Some(answer) = &preflight.way_back {
        let sentence = words::way_back::sentence(answer);
        return (super::way_back::heading(answer), vec![format!("{}.", sentence_of(&sentence))]);
    }
    let sentence = sentence_of(&upgrade::verdict(report, preflight).sentence);
    (sentence, vec![format!("{}.", sentence_of(&words::preflight::summary(preflight)))])
}

fn changed(report: &Report, change: &Change) -> (String, Vec<String>) {
    let fixes = change.fixes.len();
    let (one, several) = if report.command == "fix" { ("fix", "fixes") } else { ("change", "changes") };
    let left = match change.left.len() {
        0 => None,
        1 => Some("1 finding is left to you.".to_owned()),
        more => Some(format!("{more} findings are left to you.")),
    };
    let sentence = match (fixes, change.run.id) {
        (0, _) if change.left.is_empty() => "Nothing to do".to_owned(),
        (0, _) => "Nothing that evodoctor could repair by itself".to_owned(),
        (_, Some(run)) if change.run.applied && report.command == "undo" => {
            let code = change.fixes.first().map(|fix| fix.code.as_str());
            format!("Run {run} is {}", words::keep::outcome("undo", code))
        }
        (_, Some(run)) if change.run.applied => format!("Run {run} is applied and committed"),
        (1, _) => format!("Dry run of 1 {one}, rolled back"),
        _ => format!("Dry run of {fixes} {several}, rolled back"),
    };
    let mut more: Vec<String> = left.into_iter().collect();
    if fixes > 0 {
        more = vec![format!("{}.", totals::change_totals(report.command, change))];
    }
    if fixes > 0 && !change.run.applied {
        more.insert(0, "Nothing has been changed. Below is what would be done, row by row.".to_owned());
    }
    (sentence, more)
}

/// The meaning of the exit code for scripts.
fn meaning(report: &Report, common: &GlobalOptions, exit: Exit) -> String {
    let from =
        common.fail_on.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    match (exit, &report.detail) {
        (Exit::Clean, Detail::Change(_)) => "nothing to do, or all of it is applied.".to_owned(),
        (Exit::Clean, Detail::History { .. } | Detail::Credentials { .. }) => {
            "nothing went wrong.".to_owned()
        }
        (Exit::Clean, _) => format!("nothing at or above --fail-on {from}."),
        (Exit::Findings, Detail::Change(change)) if change.run.applied => {
            "something is left to you.".to_owned()
        }
        (Exit::Findings, Detail::Change(_)) => "changes are pending.".to_owned(),
        (Exit::Findings, _) => format!("something was found at or above --fail-on {from}."),
        (Exit::Failed, _) => "the work could not be done.".to_owned(),
        (Exit::Undecided, _) => "nothing was found, and at least one check is undecided.".to_owned(),
    }
}
