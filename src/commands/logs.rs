//! `evodoctor logs`: requests that name instances wrongly.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result};

use super::conclude::conclude;
use super::emit;
use super::meant;
use super::open::Opened;
use super::reading;
use super::select::Selection;
use crate::cli::{self, Common};
use crate::database::catalog;
use crate::evolution::fetched;
use crate::evolution::instances::Directory;
use crate::examine::finding::{CheckReport, Finding, Outcome};
use crate::exit::{Exit, failure};
use crate::report::{Detail, Report};
use crate::requests::rules::rules;
use crate::requests::{Examined, Read};
use crate::units;

/// Examines the logs. Names are compared with `--instances` where it is given, else with the database where one is
/// named, else judged by their form.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn run(args: &cli::Logs, common: &Common) -> Result<Exit> {
    let begun = Instant::now();
    let selection = Selection::new(common)?;
    if let Some(proxy) = args.emit {
        return emit::run(proxy, args, common, &selection).await;
    }
    let (directory, opened) = directory(args, common).await?;
    let Examined { read, mut findings } =
        reading::examine(args, common, directory.map(Arc::new).as_ref()).await?;
    findings.retain(|finding| selection.lets_through(&finding.code));

    let checks = checks(&findings, &selection, undecided(&read));
    let mut report = Report::new("logs", Detail::Logs(read)).with_examination(checks, findings);
    if let Some(opened) = opened {
        report.database = Some(opened.database_info());
        report.release = opened.release_info();
    }
    conclude(&report.judged(common), common, begun)
}

/// The instances to compare names with, and the database where they are from one.
///
/// # Errors
/// When a file cannot be read or understood, or a database that is named cannot be reached.
pub async fn directory(args: &cli::Logs, common: &Common) -> Result<(Option<Directory>, Option<Opened>)> {
    if let Some(file) = &args.instances {
        return Ok((Some(from_file(file)?), None));
    }
    if !meant::is_named(common) {
        return Ok((None, None));
    }
    let (directory, opened) = from_database(common).await?;
    Ok((Some(directory), Some(opened)))
}

/// One line for each rule that was looked for.
fn checks(findings: &[Finding], selection: &Selection, undecided: Option<String>) -> Vec<CheckReport> {
    let report = |rule: &crate::examine::rule::Rule| {
        let outcome = match &undecided {
            _ if findings.iter().any(|f| f.code == rule.code) => Outcome::Found,
            Some(_) => Outcome::Undecided,
            None => Outcome::Clean,
        };
        let reason = undecided.clone();
        CheckReport { code: rule.code.clone(), name: rule.name.clone(), outcome, reason, duration_ms: 0 }
    };
    rules().iter().filter(|rule| selection.lets_through(&rule.code)).map(report).collect()
}

/// Why nothing found does not mean that nothing is wrong: what of the logs could not be read.
fn undecided(read: &Read) -> Option<String> {
    let mut reasons = Vec::new();
    let count = read.requests.without_status;
    if count > 0 {
        let requests = if count == 1 { "request" } else { "requests" };
        reasons.push(format!(
            "{} {requests} without a status: nothing can be said of them",
            units::number(count)
        ));
    }
    reasons.extend(read.unreadable.iter().map(|file| format!("{} could not be read", file.file)));
    reasons.extend(read.not_understood.iter().map(|file| format!("no line in {file} was understood")));
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

async fn from_database(common: &Common) -> Result<(Directory, Opened)> {
    let mut opened = Opened::snapshot(common).await?;
    opened.catalog.expect_open(&["Instance"])?;
    let instances = catalog::instances(opened.session.connection(), &opened.schema).await?;
    opened.session.end_snapshot().await?;
    Ok((Directory::new(instances), opened))
}

/// The longest list of instances that is read, in bytes: some hundred thousand of them.
const LONGEST: u64 = 256 << 20;

/// The instances in a file that holds what `GET /instance/fetchInstances` returns.
fn from_file(file: &Path) -> Result<Directory> {
    let context = || format!("cannot take the instances from {}", file.display());
    let mut json = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().take(LONGEST + 1).read_to_end(&mut json)
    } else {
        File::open(file).and_then(|file| file.take(LONGEST + 1).read_to_end(&mut json))
    };
    read.with_context(context)?;
    if json.len() as u64 > LONGEST {
        return Err(failure(
            format!("{} is longer than {} MB, which no list of instances is", file.display(), LONGEST >> 20),
            "give what GET /instance/fetchInstances returns",
        ));
    }
    Ok(Directory::new(fetched::instances(&json).with_context(context)?))
}
