//! `evodoctor logs`: requests that name instances wrongly.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use super::proxy_config;
use super::shared::code_filter::CodeFilter;
use super::shared::emit_report::emit_report;
use super::shared::load_instances::load_instances;
use super::shared::read_logs;
use crate::access_log::{LogFindings, ReadSummary};
use crate::cli::{self, GlobalOptions};
use crate::exit_code::Exit;
use crate::report::{Detail, Report};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
use crate::rules::misuse::misuse_rules;
use crate::text::humanize;

/// Examines the logs. Names are compared with `--instances` where it is given, else with the database where one is
/// named, else judged by their form.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn run(args: &cli::LogsArgs, common: &GlobalOptions) -> Result<Exit> {
    let begun = Instant::now();
    let selection = CodeFilter::new(common)?;
    if let Some(proxy) = args.emit {
        return proxy_config::run(proxy, args, common, &selection).await;
    }
    let (directory, opened) = load_instances(args, common).await?;
    let LogFindings { read, mut findings } =
        read_logs::read_logs_with_progress(args, common, directory.map(Arc::new).as_ref()).await?;
    findings.retain(|finding| selection.matches(&finding.code));

    let checks = checks(&findings, &selection, undecided(&read));
    let mut report = Report::new("logs", Detail::Logs(read)).with_examination(checks, findings);
    if let Some(opened) = opened {
        report.database = Some(opened.database_info());
        report.release = opened.release_info();
    }
    emit_report(&mut report.with_policy(common), common, begun)
}

/// One line for each rule that was looked for.
fn checks(findings: &[Finding], selection: &CodeFilter, undecided: Option<String>) -> Vec<CheckReport> {
    let report = |rule: &crate::rules::rule::Rule| {
        let outcome = match &undecided {
            _ if findings.iter().any(|f| f.code == rule.code) => CheckOutcome::Found,
            Some(_) => CheckOutcome::Undecided,
            None => CheckOutcome::Clean,
        };
        let reason = undecided.clone();
        CheckReport { code: rule.code.clone(), name: rule.name.clone(), outcome, reason, duration_ms: 0 }
    };
    misuse_rules().iter().filter(|rule| selection.matches(&rule.code)).map(report).collect()
}

/// The reason why no finding does not mean that nothing is wrong: what of the logs could not be read.
fn undecided(read: &ReadSummary) -> Option<String> {
    let mut reasons = Vec::new();
    let count = read.requests.without_status;
    if count > 0 {
        let requests = if count == 1 { "request" } else { "requests" };
        reasons.push(format!(
            "{} {requests} without a status: they cannot be judged",
            humanize::format_count(count)
        ));
    }
    reasons.extend(read.unreadable.iter().map(|file| format!("{} could not be read", file.file)));
    reasons.extend(read.not_understood.iter().map(|file| format!("no line in {file} was understood")));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}
