//! Settings: those at the top of the file, and those of an environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::connection::ConnectionSource;
use super::toml_table::{Located, TomlTable};
use crate::cli::{FailOn, MOST_JOBS, OutputFormat, parse_duration, parse_wait};
use crate::rules::code::{parse_code, suggest_code};
use crate::rules::policy::{IgnoreRule, Policy};
use crate::rules::rule::Severity;
use crate::text::suggest::closest_match;

/// The keys of a section, which are the options of the command line.
const KEYS: [&str; 15] = [
    "database-url",
    "password-file",
    "env-file",
    "compose",
    "service",
    "schema",
    "select",
    "fail-on",
    "format",
    "baseline",
    "jobs",
    "timeout",
    "wait",
    "ignore",
    "severity",
];

/// The settings of a section; `None` for those that are not set.
#[derive(Debug, Clone, Default)]
pub struct ConfigSection {
    /// The database.
    pub connection: Option<ConnectionSource>,
    /// Evolution's schema.
    pub schema: Option<String>,
    /// Only these codes.
    pub select: Option<Vec<String>>,
    /// The mildest severity that fails.
    pub fail_on: Option<FailOn>,
    /// The format of the result.
    pub format: Option<OutputFormat>,
    /// The file of what is known.
    pub baseline: Option<PathBuf>,
    /// The number of connections `check` uses.
    pub jobs: Option<u64>,
    /// After which time `check` ends with what is decided.
    pub timeout: Option<Duration>,
    /// The time that a change waits for others.
    pub wait: Option<Duration>,
    /// Severities and ignores.
    pub policy: Policy,
}

impl ConfigSection {
    /// Reads a table, in which these other keys may be besides.
    ///
    /// # Errors
    /// When a key is not known, a value is of another type, or a code does not exist.
    pub fn read(table: &TomlTable<'_>, folder: &Path, others: &[&str]) -> Result<Self> {
        table.deny_unknown_keys(&[&KEYS[..], others].concat())?;
        Self::of(table, folder, false)
    }

    /// The same of a database in a list, which has a name besides, and shares format, jobs and times with the others. In a file that
    /// nobody else may read, passwords may stand.
    pub fn read_target(table: &TomlTable<'_>, folder: &Path, is_private: bool) -> Result<Self> {
        let mut keys = vec!["name"];
        keys.extend(KEYS.iter().filter(|key| !["format", "jobs", "timeout", "wait"].contains(*key)));
        table.deny_unknown_keys(&keys)?;
        Self::of(table, folder, is_private)
    }

    fn of(table: &TomlTable<'_>, folder: &Path, is_private: bool) -> Result<Self> {
        let select = table.strings("select")?;
        let select = select.map(|codes| codes.into_iter().map(code).collect::<Result<_>>()).transpose()?;
        Ok(Self {
            connection: ConnectionSource::read(table, folder, is_private)?,
            schema: table.string("schema")?.map(|schema| schema.value),
            select,
            fail_on: table.choice("fail-on")?,
            format: table.choice("format")?,
            baseline: table.string("baseline")?.map(|path| folder.join(path.value)),
            jobs: jobs(table)?,
            timeout: time(table, "timeout", parse_duration)?,
            wait: time(table, "wait", parse_wait)?,
            policy: Policy { severities: severities(table)?, ignores: ignores(table)? },
        })
    }

    /// This section over another.
    #[must_use]
    pub fn merged_over(self, other: Self) -> Self {
        Self {
            connection: self.connection.or(other.connection),
            schema: self.schema.or(other.schema),
            select: self.select.or(other.select),
            fail_on: self.fail_on.or(other.fail_on),
            format: self.format.or(other.format),
            baseline: self.baseline.or(other.baseline),
            jobs: self.jobs.or(other.jobs),
            timeout: self.timeout.or(other.timeout),
            wait: self.wait.or(other.wait),
            policy: self.policy.merged_over(&other.policy),
        }
    }
}

fn jobs(table: &TomlTable<'_>) -> Result<Option<u64>> {
    let Some(number) = table.number("jobs")? else { return Ok(None) };
    if number.value > MOST_JOBS {
        return Err(
            number.error_at(format!("{} jobs are too many", number.value), format!("at most {MOST_JOBS}"))
        );
    }
    Ok(Some(number.value))
}

fn time(
    table: &TomlTable<'_>,
    key: &str,
    read: impl Fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>> {
    let Some(text) = table.string(key)? else { return Ok(None) };
    let next = || format!("write it as on the command line: {key} = \"5m\"");
    read(&text.value).map(Some).map_err(|message| text.error_at(message, next()))
}

fn severities(table: &TomlTable<'_>) -> Result<std::collections::BTreeMap<String, Severity>> {
    let Some(severities) = table.table("severity")? else { return Ok(Default::default()) };
    let each = |key: Located<&str>| {
        let text = severities.string(key.value)?.expect("a key has a value");
        let severity = text.value.parse().map_err(|_| {
            let next = match closest_match(&text.value, &["error", "warning", "advice"]) {
                Some(near) => format!("did you mean {near}?"),
                None => "use error, warning or advice; to hide a finding use [[ignore]] with a reason".into(),
            };
            text.error_at(format!("{:?} is not a severity", text.value), next)
        })?;
        Ok((code(Located { value: key.value.to_owned(), place: key.place })?, severity))
    };
    severities.keys().map(each).collect()
}

fn ignores(table: &TomlTable<'_>) -> Result<Vec<IgnoreRule>> {
    table.tables("ignore")?.iter().map(ignore).collect()
}

fn ignore(table: &TomlTable<'_>) -> Result<IgnoreRule> {
    table.deny_unknown_keys(&["code", "key", "subject", "reason", "until"])?;
    let missing = |key: &str, next: &str| table.error_at(format!("this ignore has no {key}"), next);
    let code = code(
        table.string("code")?.ok_or_else(|| missing("code", "add what is ignored: code = \"EVO209\""))?,
    )?;
    let reason = table.string("reason")?.ok_or_else(|| {
        missing("reason", "add why: reason = \"…\"; and optionally until when: until = 2027-01-31")
    })?;
    let text = |key| Ok::<_, anyhow::Error>(table.string(key)?.map(|text| text.value));
    Ok(IgnoreRule {
        code,
        key: text("key")?,
        subject: text("subject")?,
        reason: reason.value,
        until: table.date("until")?.map(|day| day.value),
        place: table.location(),
    })
}

/// The code that a text means, as it is written in the rules.
fn code(text: Located<String>) -> Result<String> {
    match parse_code(&text.value) {
        Some(rule) => Ok(rule.code.clone()),
        None => Err(text.error_at(format!("there is no code {:?}", text.value), suggest_code(&text.value))),
    }
}
