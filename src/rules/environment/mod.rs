//! The rules about what is around the data: the connection, the server and its machine, Evolution's configuration, and
//! what the data's owner cannot repair in the database. Most are found by a pasted error and not by a query, so they
//! have no files under `sql/`; those that `check` can see are (`sql/checks/EVO7*`).

mod behind_evolution;
mod connection;
mod container;
pub mod damaged_files;
mod evolution_api;
pub mod evolution_settings;
pub mod exposure;
mod server_files;
mod server_host;

use std::sync::LazyLock;

use crate::error::sqlstate::lookup;
use crate::rules::consequence::Consequence;
use crate::rules::rule::{Rule, Severity};

/// A rule as it is written here.
struct RuleEntry {
    code: &'static str,
    name: &'static str,
    severity: Severity,
    summary: &'static str,
    /// The meaning and the cause.
    why: &'static str,
    /// The advice. It is empty for errors that `check` meets too, whose hint comes from the one table by SQLSTATE.
    next: &'static str,
    /// That SQLSTATE.
    sqlstate: &'static str,
    /// The forms in which it is seen in logs and answers.
    matches: &'static [&'static str],
    /// The errors that it answers.
    answers: &'static [&'static str],
}

impl RuleEntry {
    fn rule(&self) -> Rule {
        let next = match self.next {
            "" => sentence(lookup(self.sqlstate).expect("the table has what these rules name").next),
            next => next.to_owned(),
        };
        let rule = Rule::built_in(self.code, self.name, self.severity, self.summary, self.why, self.matches)
            .with_next(next)
            .with_error_patterns(self.answers);
        match self.code {
            "EVO727" => rule.with_consequence(Consequence::LosesData),
            "EVO746" => rule.with_consequence(Consequence::WrongResults),
            _ => rule,
        }
    }
}

/// A line of what to do as a sentence of its own.
fn sentence(line: &str) -> String {
    let mut letters = line.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// The rules, by code.
pub fn environment_rules() -> &'static [Rule] {
    &RULES
}

/// The rule with a code of this module's.
///
/// # Panics
/// When it is none of these: the code is written in this program.
fn rule(code: &str) -> &'static Rule {
    RULES.iter().find(|rule| rule.code == code).expect("the code is one of these")
}

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let groups = [
        connection::RULES,
        server_host::RULES,
        server_files::RULES,
        evolution_api::RULES,
        behind_evolution::RULES,
        exposure::RULES,
        container::RULES,
    ];
    groups.into_iter().flatten().map(RuleEntry::rule).collect()
});
