//! Plans: the result of a dry run, in a form that can be stored, reviewed, and compared with the next dry run.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::locks::HeldLock;
use super::quarantine::{LeftRows, RowDiff};
use crate::database::catalog::{Ddl, ServerInfo};
use crate::error::user_error;
use crate::output_file::{self, FileAccess};
use crate::rules::rule::Applicability;
use crate::text::hex::encode_hex;

/// The changes of one fix to this database.
#[derive(Debug, Clone, Serialize)]
pub struct FixPlan {
    /// The code.
    pub code: String,
    /// The rule's name.
    pub name: String,
    /// The fix's version.
    pub version: u32,
    /// The checksum of its files.
    pub checksum: String,
    /// The applicability of the fix.
    pub applicability: Applicability,
    /// The hazards that are real on this database.
    pub hazards: Vec<String>,
    /// The effect on the API, and notes.
    pub notes: Vec<String>,
    /// The statements that touched Evolution's tables, in order.
    pub statements: Vec<String>,
    /// Statements that run after the commit, one by one, in the non-blocking form (`--online`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_commit: Vec<String>,
    /// Unified diff of canonical DDL.
    pub schema_diff: String,
    /// Rows removed, changed, or brought back.
    pub row_diff: Vec<RowDiff>,
    /// Rows that undo cannot bring back, because what they refer to is gone; they stay in the quarantine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_rows: Vec<LeftRows>,
    /// Locks taken.
    pub locks: Vec<HeldLock>,
    /// The times that its parts took.
    pub timing: FixTiming,
    /// SHA-256 over the canonical DDL of its tables before: what the plan was made on, also where no diff shows it.
    #[serde(skip)]
    pub base: String,
    /// SHA-256 over everything above but the samples and the times.
    pub plan_hash: String,
}

/// The times that the parts of a fix took, and the number of its rows.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct FixTiming {
    /// Finding what is wrong and which rows it is, in milliseconds.
    pub finding_ms: u64,
    /// Changing it, verifying that it is right now included, in milliseconds. What it locks is locked until the transaction ends.
    pub locked_ms: u64,
    /// The number of rows that were removed, changed or brought back.
    pub rows: i64,
}

/// One of several transactions in which a series of batches is undone.
#[derive(Debug, Clone, Serialize)]
pub struct BatchTime {
    /// The run.
    pub run: i64,
    /// The number of rows that came back.
    pub rows: i64,
    /// For how long others had to wait, in milliseconds.
    pub locked_ms: u64,
}

/// Whole milliseconds.
pub fn to_millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl FixPlan {
    /// Fills in the hash.
    #[must_use]
    pub fn with_hash(mut self) -> Self {
        self.plan_hash = hash(&self.essence());
        self
    }

    /// The content that the hash covers.
    fn essence(&self) -> Value {
        let rows: Vec<Value> = self
            .row_diff
            .iter()
            .map(|rows| json!([rows.table, rows.action, rows.columns, rows.reason, rows.count, rows.digest]))
            .collect();
        let mut essence = json!([
            self.code,
            self.version,
            self.checksum,
            self.hazards,
            self.notes,
            self.statements,
            self.after_commit,
            self.schema_diff,
            self.base,
            rows
        ]);
        // Plans that leave nothing have the same hash as in versions that could not leave anything.
        if let (false, Some(essence)) = (self.left_rows.is_empty(), essence.as_array_mut()) {
            essence.push(json!(self.left_rows));
        }
        essence
    }
}

/// Which database a plan is for. A restored copy has another oid or another cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIdentity {
    /// The cluster's system identifier, if the server shows it.
    pub system_identifier: Option<String>,
    /// The database's name.
    pub name: String,
    /// The database's oid.
    pub oid: i64,
    /// Evolution's schema.
    pub schema: String,
}

impl DatabaseIdentity {
    /// Of the database in use.
    pub fn from_server(server: &ServerInfo, schema: &str) -> Self {
        Self {
            system_identifier: server.system_identifier.clone(),
            name: server.database.clone(),
            oid: server.database_oid,
            schema: schema.to_owned(),
        }
    }
}

/// A finding whose fix was blocked, and that a plan leaves to a person.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct LeftOut {
    /// The rule's code.
    pub code: String,
    /// The key of the finding, as in a baseline.
    pub key: String,
}

/// The base of a fix: the DDL of the tables it locks.
pub fn base_ddl(before: &Ddl, tables: &[String]) -> String {
    hash(&json!(tables.iter().map(|table| (table, before.get(table))).collect::<Vec<_>>()))
}

/// The hash of a whole plan: what is done where, and what is left to a person.
pub fn plan_hash(identity: &DatabaseIdentity, fixes: &[FixPlan], left: &[LeftOut]) -> String {
    let fixes: Vec<&String> = fixes.iter().map(|fix| &fix.plan_hash).collect();
    // Plans that leave nothing have the same hash as in versions that could not leave anything.
    hash(&if left.is_empty() { json!([identity, fixes]) } else { json!([identity, fixes, left]) })
}

fn hash(value: &Value) -> String {
    encode_hex(&Sha256::digest(value.to_string()))
}

fn redacted(fixes: &[FixPlan]) -> Vec<FixPlan> {
    fixes.iter().map(FixPlan::redacted_for_file).collect()
}

/// A plan file.
#[derive(Debug, Serialize, Deserialize)]
pub struct PlanFile {
    evodoctor_plan: u32,
    tool_version: String,
    /// The hash of the whole plan.
    pub plan_hash: String,
    /// The database it is for.
    pub database: DatabaseIdentity,
    /// The codes to fix.
    pub codes: Vec<String>,
    /// The release to go to, for hazards of an upgrade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Per code the hash of its part, to say what has changed.
    pub parts: Vec<(String, String)>,
    /// The findings that the plan leaves to a person.
    #[serde(default)]
    left: Vec<LeftOut>,
    /// For the reader; `checksum` covers it.
    fixes: Value,
    /// SHA-256 over the rest of the file, so that an edited or torn file is noticed.
    checksum: String,
}

impl PlanFile {
    /// Makes a file of a rehearsal, of hazards on the way `to` a release.
    ///
    /// # Errors
    /// When a sample cannot be written as JSON.
    pub fn new(
        identity: &DatabaseIdentity,
        fixes: &[FixPlan],
        left: Vec<LeftOut>,
        to: Option<&str>,
        shows_rows: bool,
    ) -> Result<Self> {
        let mut codes: Vec<String> = fixes.iter().map(|fix| fix.code.clone()).collect();
        let mut seen = BTreeSet::new();
        // A run of several rounds may run a fix twice. What is left to a person is requested again, so that it is known
        // to be left.
        codes.extend(left.iter().map(|left| left.code.clone()));
        codes.retain(|code| seen.insert(code.clone()));
        let mut file = Self {
            evodoctor_plan: 1,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            plan_hash: plan_hash(identity, fixes, &left),
            database: identity.clone(),
            codes,
            to: to.map(str::to_owned),
            parts: fixes.iter().map(|fix| (fix.code.clone(), fix.plan_hash.clone())).collect(),
            left,
            fixes: match shows_rows {
                true => serde_json::to_value(fixes)?,
                false => serde_json::to_value(redacted(fixes))?,
            },
            checksum: String::new(),
        };
        file.checksum = file.digest()?;
        Ok(file)
    }

    fn digest(&self) -> Result<String> {
        let mut value = serde_json::to_value(self)?;
        value["checksum"] = Value::Null;
        Ok(hash(&value))
    }

    /// Writes the file whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let write = || -> Result<()> {
            let mut text = serde_json::to_vec_pretty(self)?;
            text.push(b'\n');
            // The samples are rows.
            Ok(output_file::replace_file(path, &text, FileAccess::Owner)?)
        };
        write().with_context(|| format!("the plan could not be written to {}", path.display()))
    }

    /// Reads a file back.
    ///
    /// # Errors
    /// When it cannot be read, is not a plan, was cut off or edited, or is of another version.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|e| {
            user_error(format!("the plan {shown} cannot be read: {e}"), "check the file's name")
        })?;
        let again = "make the plan again: evodoctor fix --plan-out FILE";
        let value: Value = serde_json::from_str(&text)
            .map_err(|e| user_error(format!("{shown} is not a plan, or not a whole one: {e}"), again))?;
        if value["evodoctor_plan"] != json!(1) {
            return Err(user_error(
                format!("{shown} is not a plan that this version of evodoctor can read"),
                again,
            ));
        }
        let file: Self = serde_json::from_value(value)
            .map_err(|e| user_error(format!("{shown} is not a whole plan: {e}"), again))?;
        if file.digest()? != file.checksum {
            return Err(user_error(
                format!("{shown} has been changed since it was written; nothing was applied"),
                again,
            ));
        }
        Ok(file)
    }

    /// Refuses when the plan is for another database.
    pub fn expect_database(&self, identity: &DatabaseIdentity) -> Result<()> {
        if self.database == *identity {
            return Ok(());
        }
        Err(user_error(
            format!(
                "the plan was made for schema {:?} of another database ({:?}); nothing was applied",
                self.database.schema, self.database.name
            ),
            "connect to that database, or make a plan for this one: evodoctor fix --plan-out FILE",
        ))
    }

    /// The text was read and approved by a person. Samples of rows and the times of locks may differ.
    fn expect_same_text(&self, fixes: &[FixPlan]) -> Result<()> {
        let text = |fixes: Value| -> Value {
            let mut fixes = fixes;
            for fix in fixes.as_array_mut().into_iter().flatten() {
                if let Some(fix) = fix.as_object_mut() {
                    fix.remove("locks");
                    fix.remove("timing");
                }
                for rows in fix["row_diff"].as_array_mut().into_iter().flatten() {
                    if let Some(rows) = rows.as_object_mut() {
                        rows.remove("sample");
                    }
                }
            }
            fixes
        };
        let written = text(self.fixes.clone());
        // Without --show-rows a plan has no personal data, with it the plan is as it is.
        if written == text(serde_json::to_value(redacted(fixes))?)
            || written == text(serde_json::to_value(fixes)?)
        {
            return Ok(());
        }
        Err(user_error(
            "the text of the plan was edited and differs from what would be done; nothing was applied",
            "make the plan again, and read it: evodoctor fix --plan-out FILE",
        ))
    }

    /// Refuses if a dry run no longer matches the plan.
    pub fn expect_same(&self, fixes: &[FixPlan], left: &[LeftOut]) -> Result<()> {
        if self.plan_hash == plan_hash(&self.database, fixes, left) {
            return self.expect_same_text(fixes);
        }
        let now: Vec<(String, String)> =
            fixes.iter().map(|fix| (fix.code.clone(), fix.plan_hash.clone())).collect();
        let planned = |code: &String| self.parts.iter().filter(|(of, _)| of == code).collect::<Vec<_>>();
        let found = |code: &String| now.iter().filter(|(of, _)| of == code).collect::<Vec<_>>();
        let codes: BTreeSet<&String> = self.parts.iter().chain(&now).map(|(code, _)| code).collect();
        let mut differs: Vec<String> = Vec::new();
        for code in codes {
            match (planned(code), found(code)) {
                (planned, found) if planned == found => {}
                (_, found) if found.is_empty() => differs.push(format!("{code} has nothing to do any more")),
                (planned, _) if planned.is_empty() => differs.push(format!("{code} was not in the plan")),
                _ => differs.push(format!("{code} would now do something different")),
            }
        }
        if self.left != left {
            differs.push("other findings are left to you than in the plan".to_owned());
        }
        Err(user_error(
            format!(
                "the database has changed since the plan was made ({}); nothing was applied",
                differs.join(", ")
            ),
            "make a new plan and read what has changed: evodoctor fix --plan-out FILE",
        ))
    }
}
