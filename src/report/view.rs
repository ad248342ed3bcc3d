//! The content that every format shows: the findings compared with the options, and the words for them.

use crate::cli::GlobalOptions;
use crate::rules::baseline::{BaselineStatus, FindingId};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::order;
use crate::rules::policy::{IgnoreReason, IgnoredFinding};
use crate::rules::rule::{Applicability, Severity};
use crate::text::escape::escape_control;

use super::{Detail, Report};
use crate::text::humanize::{format_count, pluralize};

/// Gone findings that are named; the others are only counted.
const MOST_GONE: usize = 10;

/// A report as its reader has to see it.
pub struct ReportView<'r> {
    /// The report.
    pub report: &'r Report,
    /// Its findings, worst first. Of a rehearsal what it would repair, and what is left to a person.
    pub views: Vec<FindingView<'r>>,
    /// The notice at the head of a report with personal data in it.
    pub notice: Option<&'static str>,
    /// Findings of the baseline that are gone; `None` without a baseline.
    pub gone: Option<Vec<&'r FindingId>>,
    /// The options that it is read with.
    pub common: &'r GlobalOptions,
}

/// A finding for the report.
#[derive(Clone, Copy)]
pub struct FindingView<'r> {
    /// The finding.
    pub finding: &'r Finding,
    /// Its status by the baseline, where there is one.
    pub baseline_status: Option<BaselineStatus>,
    /// True if it makes the exit code 1.
    pub fails: bool,
    /// The report that it is in.
    report: &'r Report,
    common: &'r GlobalOptions,
}

impl<'r> ReportView<'r> {
    /// Of a report.
    pub fn new(report: &'r Report, common: &'r GlobalOptions) -> Self {
        let views = match &report.detail {
            Detail::Change(change) => {
                let pending = if change.run.applied { &[][..] } else { &change.pending };
                let all = pending.iter().chain(&change.left);
                let views = all.map(|finding| FindingView {
                    finding,
                    baseline_status: None,
                    fails: true,
                    report,
                    common,
                });
                let mut views: Vec<FindingView<'_>> = views.collect();
                views.sort_by(|a, b| order::compare(a.finding, b.finding));
                views
            }
            _ => report.findings.iter().map(|finding| FindingView::of(finding, report, common)).collect(),
        };
        let there = || report.findings.iter().chain(report.ignored().iter().map(|ignored| &ignored.finding));
        let gone = common.known.as_ref().map(|known| known.resolved(there(), &report.checks));
        Self { report, views, notice: report.personal_data_notice(common), gone, common }
    }

    /// An ignored finding, in the form of the others.
    pub fn ignored_view(&self, ignored: &'r IgnoredFinding) -> FindingView<'r> {
        let (report, common) = (self.report, self.common);
        FindingView { finding: &ignored.finding, baseline_status: None, fails: false, report, common }
    }

    /// The findings that the reader does not know yet.
    pub fn new_findings(&self) -> impl Iterator<Item = FindingView<'r>> + '_ {
        self.views.iter().filter(|view| view.baseline_status != Some(BaselineStatus::Known)).copied()
    }

    /// The same, by code, in the order of the worst finding.
    pub fn new_by_code(&self) -> Vec<CodeGroup<'r>> {
        let mut groups: Vec<CodeGroup<'r>> = Vec::new();
        for view in self.new_findings() {
            match groups.iter_mut().find(|group| group.code == view.finding.code) {
                Some(group) => group.views.push(view),
                None => groups.push(CodeGroup::new(&view.finding.code, &view.finding.name, vec![view])),
            }
        }
        groups
    }

    /// The findings that the baseline knows.
    pub fn known_findings(&self) -> impl Iterator<Item = FindingView<'r>> + '_ {
        self.views.iter().filter(|view| view.baseline_status == Some(BaselineStatus::Known)).copied()
    }

    /// The number of findings the baseline knows.
    pub fn known(&self) -> usize {
        self.known_findings().count()
    }

    /// The checks that could not look everywhere, each with why.
    pub fn undecided(&self) -> impl Iterator<Item = (&'r CheckReport, &'r str)> + use<'r> {
        self.report.checks.iter().filter_map(|check| Some((check, check.reason.as_deref()?)))
    }

    /// Everything that a code has to say, in the order of the worst finding; checks without one come last.
    pub fn by_code(&self) -> Vec<CodeGroup<'r>> {
        let mut groups: Vec<CodeGroup<'r>> = Vec::new();
        for &view in &self.views {
            match groups.iter_mut().find(|group| group.code == view.finding.code) {
                Some(group) => group.views.push(view),
                None => groups.push(CodeGroup::new(&view.finding.code, &view.finding.name, vec![view])),
            }
        }
        for ignored in self.report.ignored() {
            match groups.iter_mut().find(|group| group.code == ignored.finding.code) {
                Some(group) => group.ignored.push(ignored),
                None => {
                    let group = CodeGroup::new(&ignored.finding.code, &ignored.finding.name, Vec::new());
                    groups.push(CodeGroup { ignored: vec![ignored], ..group });
                }
            }
        }
        for check in &self.report.checks {
            match groups.iter_mut().find(|group| group.code == check.code) {
                Some(group) => group.check = Some(check),
                None => groups.push(CodeGroup {
                    check: Some(check),
                    ..CodeGroup::new(&check.code, &check.name, Vec::new())
                }),
            }
        }
        groups
    }

    /// The ignored findings and why, a line for each code and reason, with notes on the ignores.
    pub fn policy_notes(&self) -> Vec<String> {
        let Some(config) = &self.report.config else { return Vec::new() };
        let mut ignored: Vec<(&str, &IgnoreReason, usize)> = Vec::new();
        for IgnoredFinding { finding, ignored: why } in &config.ignored {
            match ignored.iter_mut().find(|(code, known, _)| *code == finding.code && *known == why) {
                Some((_, _, number)) => *number += 1,
                None => ignored.push((&finding.code, why, 1)),
            }
        }
        let lines = ignored.iter().map(|(code, why, number)| {
            let until = why.until.map(|day| format!(" until {day}")).unwrap_or_default();
            escape_control(&format!(
                "ignored{until}: {code}, {}: {}",
                pluralize(*number, "finding"),
                why.reason
            ))
        });
        lines.chain(config.notes.iter().map(|note| format!("note: {}", escape_control(note)))).collect()
    }

    /// Returns the findings compared with the baseline, in a line; `None` without one.
    pub fn baseline_summary(&self) -> Option<String> {
        let gone = self.gone.as_ref()?;
        let grown =
            self.views.iter().filter(|view| view.baseline_status == Some(BaselineStatus::Grown)).count();
        let new = self.new_findings().count() - grown;
        let mut line = format!("baseline: {} known, {new} new, {grown} grown", self.known());
        if !gone.is_empty() {
            let names =
                gone.iter().take(MOST_GONE).map(|id| format!("{} {}", id.code, escape_control(&id.key)));
            line.push_str(&format!(", {} gone: {}", gone.len(), names.collect::<Vec<_>>().join("; ")));
            if gone.len() > MOST_GONE {
                line.push_str("; …");
            }
        }
        Some(line)
    }
}

/// The findings of one code.
pub struct CodeGroup<'r> {
    /// The code.
    pub code: &'r str,
    /// The rule's name.
    pub name: &'r str,
    /// Its findings, worst first.
    pub views: Vec<FindingView<'r>>,
    /// Its findings that are ignored.
    pub ignored: Vec<&'r IgnoredFinding>,
    /// The report of its check, where there is one.
    pub check: Option<&'r CheckReport>,
}

impl<'r> CodeGroup<'r> {
    fn new(code: &'r str, name: &'r str, views: Vec<FindingView<'r>>) -> Self {
        Self { code, name, views, ignored: Vec::new(), check: None }
    }

    /// Why it could not look everywhere.
    pub fn reason(&self) -> Option<&'r str> {
        self.check.and_then(|check| check.reason.as_deref())
    }

    /// The severity of its worst finding.
    pub fn worst(&self) -> Severity {
        self.views.iter().map(|view| view.finding.severity).max().unwrap_or(Severity::Advice)
    }

    /// Its rule's code and name.
    pub fn title(&self) -> String {
        format!("{} {}", self.code, self.name)
    }
}

impl<'r> FindingView<'r> {
    fn of(finding: &'r Finding, report: &'r Report, common: &'r GlobalOptions) -> Self {
        let baseline_status = common.known.as_ref().map(|known| known.status(finding));
        // What is being written down is known from now on.
        let is_known = baseline_status == Some(BaselineStatus::Known) || common.write_baseline.is_some();
        let fails = !is_known && common.fail_on.includes(finding.severity);
        Self { finding, baseline_status, fails, report, common }
    }

    /// Its rule's code and name.
    pub fn title(self) -> String {
        format!("{} {}", self.finding.code, self.finding.name)
    }

    /// True if `--fail-on` counts its severity.
    pub fn is_counted(self) -> bool {
        self.common.fail_on.includes(self.finding.severity)
    }

    /// Returns its growth beyond what the baseline knows, in brackets; empty where it has not grown.
    pub fn growth(self) -> String {
        if self.baseline_status != Some(BaselineStatus::Grown) {
            return String::new();
        }
        let known = self.common.known.as_ref().and_then(|known| known.extent(self.finding));
        match known {
            Some((_, count)) if count < self.finding.count => {
                format!(" (was {}, now {})", format_count(count), format_count(self.finding.count))
            }
            Some((severity, _)) => format!(" (was {severity}, now {})", self.finding.severity),
            None => String::new(),
        }
    }

    /// The finding in one line that is safe to print.
    pub fn sentence(self) -> String {
        escape_control(&format!("{}: {}{}", self.finding.subject, self.finding.detail, self.growth()))
    }

    /// The next commands for it, of which one is enough, with the options that select the same database.
    pub fn commands(self) -> Vec<String> {
        let Finding { code, .. } = self.finding;
        let fix = is_fixable(self.finding).then(|| {
            let to = match &self.report.detail {
                Detail::Preflight { preflight, .. } if code.starts_with("EVO6") => {
                    format!(" --to {}", preflight.to)
                }
                _ => String::new(),
            };
            format!("evodoctor fix {code}{to}{}", self.common.connection_arguments())
        });
        fix.into_iter().chain([format!("evodoctor explain {code}")]).collect()
    }

    /// The same, in words.
    pub fn next_step(self) -> String {
        self.commands().join(", or ")
    }
}

/// True if evodoctor can repair it.
pub fn is_fixable(finding: &Finding) -> bool {
    finding.fix.as_ref().is_some_and(|fix| fix.applicability != Applicability::Manual)
}
