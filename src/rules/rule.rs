//! Rules: what a code stands for, read from the headers of the files that carry it out.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::database::sql_file::SqlFile;
use crate::evolution::release::ReleaseRange;
use crate::rules::consequence::Consequence;
use crate::rules::message_template::MessageTemplates;

/// The severity of a finding. Ordered: advice is least.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know; nothing is broken.
    Advice,
    /// Something does not work, or will not.
    Warning,
    /// Data is wrong or the server fails.
    Error,
}

impl FromStr for Severity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "advice" => Self::Advice,
            "warning" => Self::Warning,
            "error" => Self::Error,
            other => bail!("{other:?} is not a severity (error, warning, advice)"),
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What applying a fix takes: nothing, consent, or a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applicability {
    /// No row is lost.
    Safe,
    /// Rows are removed or changed, kept in the quarantine, and `undo` brings them back.
    Quarantine,
    /// A person has to choose; the tool never runs it.
    Manual,
}

impl FromStr for Applicability {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        Ok(match text {
            "safe" => Self::Safe,
            "quarantine" => Self::Quarantine,
            "manual" => Self::Manual,
            other => bail!("{other:?} is not an applicability (safe, quarantine, manual)"),
        })
    }
}

impl fmt::Display for Applicability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Safe => "safe",
            Self::Quarantine => "quarantine",
            Self::Manual => "manual",
        })
    }
}

/// A rule.
#[derive(Debug, Clone)]
pub struct Rule {
    /// `EVO` and three digits; never reused.
    pub code: String,
    /// Words joined by hyphens.
    pub name: String,
    /// The problem in about five words, for a table.
    pub title: String,
    /// The severity of a finding that does not say its own.
    pub severity: Severity,
    /// The effect on users.
    pub consequence: Consequence,
    /// Where it applies; `None` for rules about requests, which apply everywhere.
    pub releases: Option<ReleaseRange>,
    /// One line for tables.
    pub summary: String,
    /// The consequence for the user, in plain words.
    pub why: String,
    /// The sentences of its findings; empty if each row of its query brings its own.
    pub details: MessageTemplates,
    /// The advice, if a fix cannot help.
    pub next: Option<String>,
    /// The applicability of the fix, if there is one.
    pub fix: Option<Applicability>,
    /// The forms in which it is seen in logs and answers, for people; `…` stands for anything.
    pub matches: Vec<String>,
    /// The errors that it answers, by their parts (`src/rules/error_lookup/error_pattern.rs`).
    pub answers: Vec<String>,
}

impl Rule {
    /// Its code and name, for a line.
    pub fn code_and_name(&self) -> String {
        format!("{} {}", self.code, self.name)
    }

    /// A rule without a query, and so without a file: it describes what was seen elsewhere, for any release, and there
    /// is nothing in the database to fix.
    pub fn built_in(
        code: &str,
        name: &str,
        severity: Severity,
        summary: &str,
        why: &str,
        matches: &[&str],
    ) -> Self {
        Self {
            code: code.to_owned(),
            name: name.to_owned(),
            title: name.replace('-', " "),
            severity,
            consequence: match severity {
                Severity::Advice => Consequence::None,
                Severity::Warning | Severity::Error => Consequence::FailsRequests,
            },
            releases: None,
            summary: summary.to_owned(),
            why: why.to_owned(),
            details: MessageTemplates::default(),
            next: None,
            fix: None,
            matches: matches.iter().map(|&text| text.to_owned()).collect(),
            answers: Vec::new(),
        }
    }

    /// The rule with another consequence than that requests fail.
    #[must_use]
    pub fn with_consequence(mut self, consequence: Consequence) -> Self {
        self.consequence = consequence;
        self
    }

    /// The rule with what to do.
    #[must_use]
    pub fn with_next(mut self, next: String) -> Self {
        self.next = Some(next);
        self
    }

    /// Why it matters and what to do, in one text.
    pub fn why_and_next(&self) -> String {
        match &self.next {
            Some(next) => format!("{} {next}", self.why),
            None => self.why.clone(),
        }
    }

    /// The rule with the errors that it answers.
    #[must_use]
    pub fn with_error_patterns(mut self, patterns: &[&str]) -> Self {
        self.answers = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        self
    }

    /// The symptom: the first sentence of why it matters.
    pub fn impact(&self) -> &str {
        let ends = |(at, _): &(usize, &str)| {
            let rest = &self.why[at + 2..];
            rest.chars().next().is_some_and(char::is_uppercase)
        };
        let end = self.why.match_indices(". ").find(ends).map_or(self.why.len(), |(at, _)| at + 1);
        &self.why[..end]
    }

    /// Reads the header of a check file.
    ///
    /// # Errors
    /// When a key is missing or its value is none of those allowed.
    pub fn from_header(script: &SqlFile) -> Result<Self> {
        let need = |key: &str| {
            script.header(key).filter(|v| !v.is_empty()).with_context(|| format!("the header lacks `{key}`"))
        };
        let all = |key: &str| {
            let values = script.header.iter().filter(|(name, _)| name == key);
            values.map(|(_, value)| value.clone()).collect()
        };
        let code = need("code")?.to_owned();
        if !is_code(&code) {
            bail!("{code:?} is not a code (EVO and three digits)");
        }
        Ok(Self {
            code,
            name: need("name")?.to_owned(),
            title: need("title")?.to_owned(),
            severity: need("severity")?.parse()?,
            consequence: need("consequence")?.parse()?,
            releases: Some(ReleaseRange::parse(need("releases")?)?),
            summary: need("summary")?.to_owned(),
            why: need("why")?.to_owned(),
            details: MessageTemplates::from_header(script)?,
            next: None,
            fix: match need("fix")? {
                "none" => None,
                other => Some(other.parse()?),
            },
            matches: all("matches"),
            answers: all("answers"),
        })
    }
}

/// True if the text has the form of a code: `EVO` and three digits.
pub fn is_code(text: &str) -> bool {
    text.strip_prefix("EVO").is_some_and(|n| n.len() == 3 && n.bytes().all(|b| b.is_ascii_digit()))
}
