//! Settings: those at the top of the file, and those of an environment.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::connection::Connection;
use super::table::{At, Table};
use crate::cli::{FailOn, Format, MOST_JOBS, duration, wait};
use crate::examine::policy::{Ignore, Policy};
use crate::examine::rule::Severity;
use crate::nearest::nearest;
use crate::rules;

/// The keys of a section, which are the options of the command line.
const KEYS: [&str; 13] = [
    "database-url",
    "password-file",
    "env-file",
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

/// What a section says; `None` where it is silent.
#[derive(Debug, Clone, Default)]
pub struct Section {
    /// The database.
    pub connection: Option<Connection>,
    /// Evolution's schema.
    pub schema: Option<String>,
    /// Only these codes.
    pub select: Option<Vec<String>>,
    /// The mildest severity that fails.
    pub fail_on: Option<FailOn>,
    /// How the result is printed.
    pub format: Option<Format>,
    /// The file of what is known.
    pub baseline: Option<PathBuf>,
    /// How many connections `check` uses.
    pub jobs: Option<u64>,
    /// After which time `check` ends with what is decided.
    pub timeout: Option<Duration>,
    /// How long a change waits for others.
    pub wait: Option<Duration>,
    /// Severities and ignores.
    pub policy: Policy,
}

impl Section {
    /// Reads a table, in which these other keys may stand besides.
    ///
    /// # Errors
    /// When a key is not known, a value is of another type, or a code does not exist.
    pub fn read(table: &Table<'_>, folder: &Path, others: &[&str]) -> Result<Self> {
        table.expect_only(&[&KEYS[..], others].concat())?;
        Self::of(table, folder, false)
    }

    /// The same of a database in a list, which has a name besides, and shares format, jobs and times with the others. In a file that
    /// nobody else may read, passwords may stand.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn of_target(table: &Table<'_>, folder: &Path, is_private: bool) -> Result<Self> {
        let mut keys = vec!["name"];
        keys.extend(KEYS.iter().filter(|key| !["format", "jobs", "timeout", "wait"].contains(*key)));
        table.expect_only(&keys)?;
        Self::of(table, folder, is_private)
    }

    fn of(table: &Table<'_>, folder: &Path, is_private: bool) -> Result<Self> {
        let select = table.texts("select")?;
        let select = select.map(|codes| codes.into_iter().map(code).collect::<Result<_>>()).transpose()?;
        Ok(Self {
            connection: Connection::read(table, folder, is_private)?,
            schema: table.text("schema")?.map(|schema| schema.value),
            select,
            fail_on: table.choice("fail-on")?,
            format: table.choice("format")?,
            baseline: table.text("baseline")?.map(|path| folder.join(path.value)),
            jobs: jobs(table)?,
            timeout: time(table, "timeout", duration)?,
            wait: time(table, "wait", wait)?,
            policy: Policy { severities: severities(table)?, ignores: ignores(table)? },
        })
    }

    /// This section over another.
    #[must_use]
    pub fn over(self, other: Self) -> Self {
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
            policy: self.policy.over(&other.policy),
        }
    }
}

fn jobs(table: &Table<'_>) -> Result<Option<u64>> {
    let Some(number) = table.number("jobs")? else { return Ok(None) };
    if number.value > MOST_JOBS {
        return Err(
            number.wrong(format!("{} jobs are too many", number.value), format!("at most {MOST_JOBS}"))
        );
    }
    Ok(Some(number.value))
}

fn time(
    table: &Table<'_>,
    key: &str,
    read: impl Fn(&str) -> Result<Duration, String>,
) -> Result<Option<Duration>> {
    let Some(text) = table.text(key)? else { return Ok(None) };
    let next = || format!("as on the command line: {key} = \"5m\"");
    read(&text.value).map(Some).map_err(|message| text.wrong(message, next()))
}

fn severities(table: &Table<'_>) -> Result<std::collections::BTreeMap<String, Severity>> {
    let Some(severities) = table.table("severity")? else { return Ok(Default::default()) };
    let each = |key: At<&str>| {
        let text = severities.text(key.value)?.expect("a key has a value");
        let severity = text.value.parse().map_err(|_| {
            let next = match nearest(&text.value, &["error", "warning", "advice"]) {
                Some(near) => format!("did you mean {near}?"),
                None => "use error, warning or advice; what is not to be told at all is for [[ignore]], with a reason".into(),
            };
            text.wrong(format!("{:?} is no severity", text.value), next)
        })?;
        Ok((code(At { value: key.value.to_owned(), place: key.place })?, severity))
    };
    severities.keys().map(each).collect()
}

fn ignores(table: &Table<'_>) -> Result<Vec<Ignore>> {
    table.tables("ignore")?.iter().map(ignore).collect()
}

fn ignore(table: &Table<'_>) -> Result<Ignore> {
    table.expect_only(&["code", "key", "subject", "reason", "until"])?;
    let missing = |key: &str, next: &str| table.wrong(format!("this ignore has no {key}"), next);
    let code =
        code(table.text("code")?.ok_or_else(|| missing("code", "say what is ignored: code = \"EVO209\""))?)?;
    let reason = table.text("reason")?.ok_or_else(|| {
        missing(
            "reason",
            "say why, for whoever reads it next year: reason = \"…\"; and until = 2027-01-31 for how long",
        )
    })?;
    let text = |key| Ok::<_, anyhow::Error>(table.text(key)?.map(|text| text.value));
    Ok(Ignore {
        code,
        key: text("key")?,
        subject: text("subject")?,
        reason: reason.value,
        until: table.day("until")?.map(|day| day.value),
        place: table.place(),
    })
}

/// The code that a text names, as it is written in the rules.
fn code(text: At<String>) -> Result<String> {
    let code = text.value.to_ascii_uppercase();
    if rules::find(&code).is_some() {
        return Ok(code);
    }
    let all: Vec<&str> = rules::all().iter().map(|rule| rule.code.as_str()).collect();
    let next = match nearest(&code, &all) {
        Some(near) => format!("did you mean {near}? evodoctor explain lists every code"),
        None => "evodoctor explain lists every code".to_owned(),
    };
    Err(text.wrong(format!("there is no code {:?}", text.value), next))
}
