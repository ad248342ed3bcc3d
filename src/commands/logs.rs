//! `evodoctor logs`: requests that name instances wrongly.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::proxy_config;
use super::shared::code_filter::CodeFilter;
use super::shared::connect::DatabaseContext;
use super::shared::emit_report::emit_report;
use super::shared::read_logs;
use super::shared::resolve_target;
use crate::access_log::misuse_rules::misuse_rules;
use crate::access_log::{LogFindings, ReadSummary};
use crate::cli::{self, GlobalOptions};
use crate::database::catalog;
use crate::error::user_error;
use crate::evolution::fetch_instances;
use crate::evolution::instances::InstanceDirectory;
use crate::exit_code::Exit;
use crate::report::{Detail, Report};
use crate::rules::finding::{CheckOutcome, CheckReport, Finding};
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
    emit_report(&report.with_policy(common), common, begun)
}

/// The instances to compare names with, and the database where they are from one.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn load_instances(
    args: &cli::LogsArgs,
    common: &GlobalOptions,
) -> Result<(Option<InstanceDirectory>, Option<DatabaseContext>)> {
    if let Some(file) = &args.instances {
        return Ok((Some(from_file(file)?), None));
    }
    if !resolve_target::has_target(common) {
        return Ok((None, None));
    }
    let (directory, opened) = from_database(common).await?;
    Ok((Some(directory), Some(opened)))
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

/// Why nothing found does not mean that nothing is wrong: what of the logs could not be read.
fn undecided(read: &ReadSummary) -> Option<String> {
    let mut reasons = Vec::new();
    let count = read.requests.without_status;
    if count > 0 {
        let requests = if count == 1 { "request" } else { "requests" };
        reasons.push(format!(
            "{} {requests} without a status: nothing can be said of them",
            humanize::format_count(count)
        ));
    }
    reasons.extend(read.unreadable.iter().map(|file| format!("{} could not be read", file.file)));
    reasons.extend(read.not_understood.iter().map(|file| format!("no line in {file} was understood")));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

async fn from_database(common: &GlobalOptions) -> Result<(InstanceDirectory, DatabaseContext)> {
    let mut opened = DatabaseContext::connect_snapshot(common).await?;
    opened.catalog.expect_open(&["Instance"])?;
    let instances = catalog::instances(opened.session.connection(), &opened.schema).await?;
    opened.session.end_snapshot().await?;
    Ok((InstanceDirectory::new(instances), opened))
}

/// The longest list of instances that is read, in bytes: some hundred thousand of them.
const LONGEST: u64 = 256 << 20;

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
fn from_file(file: &Path) -> Result<InstanceDirectory> {
    let context = || format!("cannot take the instances from {}", file.display());
    let mut json = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(LONGEST + 1).read_to_end(&mut json)
    } else {
        File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut json))
    };
    read.with_context(context)?;
    if json.len() as u64 > LONGEST {
        return Err(user_error(
            format!("{} is longer than {} MB, which no list of instances is", file.display(), LONGEST >> 20),
            "give what GET /instance/fetchInstances returns",
        ));
    }
    Ok(InstanceDirectory::new(fetch_instances::parse_instances(&json).with_context(context)?))
}
