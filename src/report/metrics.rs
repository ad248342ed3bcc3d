//! Prometheus's text format, for the textfile collector of its node exporter: a nightly run becomes a graph and an alarm.
//!
//! The number of series is bounded: what labels hold is a code, a severity, or the name of a database, never that of an
//! instance or a row.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::Report;
use super::view::ReportView;
use crate::cli::GlobalOptions;
use crate::exit_code::Exit;
use crate::output_file::{self, FileAccess};
use crate::rules::baseline::BaselineStatus;
use crate::rules::registry;
use crate::rules::rule::Severity;

/// The facts about a run.
pub struct MeasuredRun<'r> {
    /// The command.
    pub command: &'static str,
    /// The name of the database in a list of several.
    pub target: Option<&'r str>,
    /// The exit code.
    pub exit: Exit,
    /// The duration of the run.
    pub took: Duration,
    /// Its report, and the options that it is read with; `None` where the work could not be done.
    pub report: Option<(&'r Report, &'r GlobalOptions)>,
}

/// A metric: its name, what it is, and its samples in order.
struct Family {
    name: &'static str,
    help: &'static str,
    samples: Vec<String>,
}

type Labels = Vec<(&'static str, String)>;

/// Writes the file as a whole, or not at all: the collector reads whenever it likes.
pub fn write_metrics(path: &Path, runs: &[MeasuredRun<'_>]) -> Result<()> {
    let context = || format!("the metrics {} cannot be written", path.display());
    let text = render(runs, SystemTime::now());
    // The collector is another user, and passes over what does not end in .prom, as a file does that is being written.
    output_file::replace_file(path, text.as_bytes(), FileAccess::Everybody).with_context(context)
}

fn render(runs: &[MeasuredRun<'_>], now: SystemTime) -> String {
    let mut families = [
        Family::new(
            "evodoctor_run_exit_code",
            "How the last run ended: 0 clean, 1 findings, 2 failed, 3 undecided.",
        ),
        Family::new("evodoctor_run_timestamp_seconds", "When the last run ended, in seconds since 1970."),
        Family::new("evodoctor_run_duration_seconds", "How long the last run took."),
        Family::new("evodoctor_info", "The evodoctor that ran."),
        Family::new(
            "evodoctor_database_info",
            "The server, and the range of releases that the database may be of.",
        ),
        Family::new("evodoctor_findings", "Findings by code and severity, without ignored ones."),
        Family::new("evodoctor_finding_rows", "Rows or requests that the findings of a code are about."),
        Family::new("evodoctor_findings_ignored", "Findings that evodoctor.toml ignores."),
        Family::new("evodoctor_findings_new", "Findings that are not in the baseline, or have grown."),
        Family::new("evodoctor_check_undecided", "1 if a check is undecided, at least in part."),
        Family::new("evodoctor_check_duration_seconds", "How long a check took."),
    ];
    for run in runs {
        samples(run, now, &mut families);
    }
    families.iter().map(Family::text).collect()
}

fn samples(run: &MeasuredRun<'_>, now: SystemTime, families: &mut [Family; 11]) {
    let [exit, timestamp, duration, info, database, findings, rows, ignored, new, undecided, took] = families;
    let mut of_run: Labels = vec![("command", run.command.to_owned())];
    of_run.extend(run.target.map(|name| ("target", name.to_owned())));
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    exit.add(&of_run, &[], run.exit.code());
    timestamp.add(&of_run, &[], since.as_secs());
    duration.add(&of_run, &[], run.took.as_secs_f64());
    info.add(&of_run, &[("version", env!("CARGO_PKG_VERSION"))], 1);

    let Some((report, common)) = run.report else { return };
    let mut labels = of_run;
    if let Some(database) = &report.database {
        labels.push(("server", database.host.clone()));
        labels.push(("database", database.name.clone()));
        labels.push(("schema", database.schema.clone()));
    }
    if let Some(of_server) = &report.database {
        let bound = |pick: fn(&super::ReleaseInfo) -> &Option<String>| {
            report.release.as_ref().and_then(|release| pick(release).as_deref()).unwrap_or_default()
        };
        let more = [
            ("server_version", of_server.server_version.as_str()),
            ("release_from", bound(|release| &release.from)),
            ("release_to", bound(|release| &release.to)),
        ];
        database.add(&labels, &more, 1);
    }

    // A check that finds nothing is a zero: an alarm needs one to end.
    let mut counts: BTreeMap<(&str, Severity), usize> = BTreeMap::new();
    let mut sums: BTreeMap<&str, i64> = BTreeMap::new();
    for check in &report.checks {
        let severities = &common.policy().severities;
        let own = || registry::find_rule(&check.code).map(|rule| rule.severity);
        if let Some(severity) = severities.get(&check.code).copied().or_else(own) {
            counts.insert((&check.code, severity), 0);
        }
        sums.insert(&check.code, 0);
    }
    for finding in &report.findings {
        *counts.entry((&finding.code, finding.severity)).or_default() += 1;
        *sums.entry(&finding.code).or_default() += finding.count;
    }
    for ((code, severity), number) in counts {
        findings.add(&labels, &[("code", code), ("severity", &severity.to_string())], number);
    }
    for (code, sum) in sums {
        rows.add(&labels, &[("code", code)], sum);
    }
    ignored.add(&labels, &[], report.ignored().len());
    if common.known.is_some() {
        let views = ReportView::new(report, common).views;
        new.add(
            &labels,
            &[],
            views.iter().filter(|view| view.baseline_status != Some(BaselineStatus::Known)).count(),
        );
    }
    for check in &report.checks {
        let code = [("code", check.code.as_str())];
        undecided.add(&labels, &code, u8::from(check.reason.is_some()));
        took.add(&labels, &code, Duration::from_millis(check.duration_ms).as_secs_f64());
    }
}

impl Family {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: Vec::new() }
    }

    fn add(&mut self, labels: &Labels, more: &[(&'static str, &str)], value: impl std::fmt::Display) {
        let common = labels.iter().map(|(name, value)| (*name, value.as_str()));
        let labels = common.chain(more.iter().copied());
        let labels: Vec<String> =
            labels.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        self.samples.push(format!("{}{{{}}} {value}\n", self.name, labels.join(",")));
    }

    /// Nothing where there is no sample.
    fn text(&self) -> String {
        if self.samples.is_empty() {
            return String::new();
        }
        let Self { name, help, .. } = self;
        format!("# HELP {name} {help}\n# TYPE {name} gauge\n{}", self.samples.concat())
    }
}

/// The value of a label, in which three characters mean something.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_failed_says_so_and_nothing_else() {
        let run = MeasuredRun {
            command: "check",
            target: Some("a \"b\\\nc"),
            exit: Exit::Failed,
            took: Duration::from_millis(1500),
            report: None,
        };
        let text = render(&[run], UNIX_EPOCH + Duration::from_secs(7));
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let labels = "{command=\"check\",target=\"a \\\"b\\\\\\nc\"";
        assert_eq!(
            lines,
            [
                format!("evodoctor_run_exit_code{labels}}} 2"),
                format!("evodoctor_run_timestamp_seconds{labels}}} 7"),
                format!("evodoctor_run_duration_seconds{labels}}} 1.5"),
                format!("evodoctor_info{labels},version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
            ]
        );
    }
}
