//! All rules: checks of a database and upgrade hazards, whose files are under `sql/`, the rehearsal of an upgrade and
//! the way back from one, requests, and the environment.

use std::sync::LazyLock;

use super::environment::environment_rules;
use super::misuse::misuse_rules;
use super::rehearsal::rehearsal_rules;
use super::rule::Rule;
use super::way_back::way_back_rules;
use crate::database::sql_file::{FILES, SqlFile};

/// The rules of checks and hazards: the headers of their files.
static OF_FILES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let is_rule = |path: &str| {
        // A hazard's second file is not a rule.
        (path.starts_with("sql/checks/") || path.starts_with("sql/hazards/")) && !path.ends_with(".plan.sql")
    };
    let files = FILES.iter().filter(|(path, _)| is_rule(path));
    let read = |text| Rule::from_header(&SqlFile::parse_header(text));
    files.map(|(path, text)| read(text).unwrap_or_else(|error| panic!("{path}: {error:#}"))).collect()
});

static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let built_in = [rehearsal_rules(), way_back_rules(), misuse_rules(), environment_rules()];
    let mut rules: Vec<&Rule> = OF_FILES.iter().chain(built_in.into_iter().flatten()).collect();
    rules.sort_by(|a, b| a.code.cmp(&b.code));
    rules
});

/// All of them, by code.
pub fn all_rules() -> &'static [&'static Rule] {
    &RULES
}

/// The rule with this code.
pub fn find_rule(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}
