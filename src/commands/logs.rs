//! `evodoctor logs`: requests that name instances wrongly.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::open::Opened;
use super::select::Selection;
use crate::cli::{self, Common};
use crate::database::{catalog, session};
use crate::evolution::fetched;
use crate::evolution::instances::Directory;
use crate::examine::finding::{CheckReport, Finding, Outcome};
use crate::exit::Exit;
use crate::report::{Detail, Report};
use crate::requests::{self, rules::rules};

/// Examines the logs. Names are compared with `--instances` where it is given, else with the database where one is
/// named, else judged by their form.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn run(args: &cli::Logs, common: &Common) -> Result<Exit> {
    let selection = Selection::new(common)?;
    let mut opened = None;
    let directory = match &args.instances {
        Some(file) => Some(from_file(file)?),
        None if session::is_named(common) => Some(from_database(common, &mut opened).await?),
        None => None,
    };
    let mut examined = requests::examine(&args.files, directory.as_ref())?;
    examined.findings.retain(|finding| selection.lets_through(&finding.code));

    let findings = examined.findings.clone();
    let checks = checks(&findings, &selection);
    let mut report = Report::new("logs", Detail::Logs(examined.into())).with_examination(checks, findings);
    if let Some(opened) = opened {
        report.database = Some(opened.database_info());
        report.release = opened.release_info();
    }
    report.print(common)?;
    Ok(report.exit(common))
}

/// One line for each rule that was looked for.
fn checks(findings: &[Finding], selection: &Selection) -> Vec<CheckReport> {
    let report = |rule: &crate::examine::rule::Rule| CheckReport {
        code: rule.code.clone(),
        name: rule.name.clone(),
        outcome: if findings.iter().any(|f| f.code == rule.code) { Outcome::Found } else { Outcome::Clean },
        reason: None,
        duration_ms: 0,
    };
    rules().iter().filter(|rule| selection.lets_through(&rule.code)).map(report).collect()
}

async fn from_database(common: &Common, opened: &mut Option<Opened>) -> Result<Directory> {
    let mut found = Opened::snapshot(common).await?;
    let instances = catalog::instances(found.session.connection(), &found.schema).await?;
    found.session.end_snapshot().await?;
    *opened = Some(found);
    Ok(Directory::new(instances))
}

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
fn from_file(file: &Path) -> Result<Directory> {
    let context = || format!("cannot take the instances from {}", file.display());
    let json = fs::read(file).with_context(context)?;
    Ok(Directory::new(fetched::instances(&json).with_context(context)?))
}
