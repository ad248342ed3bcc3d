//! Baselines: findings that are known already, so that only new and grown ones fail.
//!
//! A baseline is kept beside the code and reviewed as code is, so it holds no more than it takes to know a finding
//! again: code, key, severity and count, a line each, sorted. A key that names a row or what a client sent (an
//! instance's id, a phone number) is kept as its hash.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::user_error;
use crate::output_file::{self, FileAccess};
use crate::rules::finding::{CheckReport, Finding};
use crate::rules::location::Location;
use crate::rules::rule::Severity;
use crate::text::hex::encode_hex;

/// Raised when a file is written that an older program would read wrongly.
const FORMAT: u64 = 1;

/// The recorded findings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Baseline {
    known: BTreeMap<FindingId, Extent>,
}

/// The identity of a finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FindingId {
    /// The rule's code.
    pub code: String,
    /// The finding's key, or its hash.
    pub key: String,
}

/// The extent to which a finding is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Extent {
    severity: Severity,
    count: i64,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct BaselineLine {
    #[serde(flatten)]
    id: FindingId,
    #[serde(flatten)]
    extent: Extent,
}

/// The result of comparing a finding with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BaselineStatus {
    /// It is not in the baseline.
    New,
    /// It is, with fewer rows or a milder severity.
    Grown,
    /// It is.
    Known,
}

impl FindingId {
    /// Of a finding. The same for the same thing in every run, in every version.
    pub fn from_finding(finding: &Finding) -> Self {
        let key = match Location::from_finding(finding) {
            Location::Row(_) | Location::Requests => format!("sha256:{}", &hash(&finding.key)[..16]),
            Location::Table(_) | Location::Migration(_) | Location::Database => finding.key.clone(),
        };
        Self { code: finding.code.clone(), key }
    }

    /// Code and key as 64 hexadecimal digits: what other tools know a finding by.
    pub fn fingerprint(&self) -> String {
        hash(&format!("{}\0{}", self.code, self.key))
    }
}

fn hash(text: &str) -> String {
    encode_hex(&Sha256::digest(text))
}

impl Baseline {
    /// Of findings.
    pub fn from_findings<'f>(findings: impl IntoIterator<Item = &'f Finding>) -> Self {
        let mut baseline = Self::default();
        for finding in findings {
            let extent = Extent { severity: finding.severity, count: finding.count };
            let known = baseline.known.entry(FindingId::from_finding(finding)).or_insert(extent);
            known.severity = known.severity.max(extent.severity);
            known.count = known.count.max(extent.count);
        }
        baseline
    }

    /// The number of findings it knows.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// True if it knows none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Returns the status of a finding by this baseline.
    pub fn status(&self, finding: &Finding) -> BaselineStatus {
        match self.known.get(&FindingId::from_finding(finding)) {
            None => BaselineStatus::New,
            Some(known) if finding.count > known.count || finding.severity > known.severity => {
                BaselineStatus::Grown
            }
            Some(_) => BaselineStatus::Known,
        }
    }

    /// The severity and count that it knows of a finding.
    pub fn extent(&self, finding: &Finding) -> Option<(Severity, i64)> {
        self.known.get(&FindingId::from_finding(finding)).map(|extent| (extent.severity, extent.count))
    }

    /// Entries that are not found any more, for checks that ran completely.
    pub fn resolved<'f>(
        &self,
        findings: impl IntoIterator<Item = &'f Finding>,
        checks: &[CheckReport],
    ) -> Vec<&FindingId> {
        let now = Self::from_findings(findings);
        let is_gone = |id: &&FindingId| !now.known.contains_key(*id) && was_examined(&id.code, checks);
        self.known.keys().filter(is_gone).collect()
    }

    /// Keeps of `other` what was not looked at.
    #[must_use]
    pub fn keep_unchecked(mut self, other: &Self, checks: &[CheckReport]) -> Self {
        for (id, extent) in other.known.iter().filter(|(id, _)| !was_examined(&id.code, checks)) {
            self.known.entry(id.clone()).or_insert(*extent);
        }
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is not a baseline, or one of another format.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let next = "give the file that evodoctor check --write-baseline FILE wrote, or write one";
        let text =
            fs::read_to_string(path).with_context(|| format!("the baseline {shown} cannot be read"))?;
        let no_baseline = || user_error(format!("{shown} is not a baseline of evodoctor"), next);
        let mut document: Value = serde_json::from_str(&text).map_err(|_| no_baseline())?;
        match document["evodoctor_baseline"].as_u64() {
            Some(FORMAT) => {}
            Some(other) => {
                let message = format!(
                    "{shown} is a baseline of format {other}, and this evodoctor knows format {FORMAT}"
                );
                return Err(user_error(message, next));
            }
            None => return Err(no_baseline()),
        }
        let lines: Vec<BaselineLine> =
            serde_json::from_value(document["findings"].take()).map_err(|_| no_baseline())?;
        Ok(Self { known: lines.into_iter().map(|line| (line.id, line.extent)).collect() })
    }

    /// Writes a file: a line for each finding, so that a change to it reads as what has changed.
    pub fn write(&self, path: &Path) -> Result<()> {
        let line = |(id, extent): (&FindingId, &Extent)| {
            let line = BaselineLine { id: id.clone(), extent: *extent };
            serde_json::to_string(&line).map(|line| format!("\n    {line}"))
        };
        let lines: Vec<String> = self.known.iter().map(line).collect::<Result<_, _>>()?;
        let end = if lines.is_empty() { "" } else { "\n  " };
        let text = format!(
            "{{\n  \"evodoctor_baseline\": {FORMAT},\n  \"findings\": [{}{end}]\n}}\n",
            lines.join(",")
        );
        output_file::write_through(path, text.as_bytes(), FileAccess::Umask)
            .with_context(|| format!("the baseline {} cannot be written", path.display()))
    }
}

/// True if a check with this code looked everywhere.
fn was_examined(code: &str, checks: &[CheckReport]) -> bool {
    checks.iter().any(|check| check.code == code && check.reason.is_none())
}
