//! Every rule there is, whatever carries it out: checks of a database, hazards of an upgrade, the rehearsal of one,
//! requests, and what is around the data.

use std::sync::LazyLock;

use crate::access_log;
use crate::checks::check::all_checks;
use crate::rules::environment;
use crate::rules::rule::Rule;
use crate::upgrade::hazard::all_hazards;
use crate::upgrade::{rehearsal, way_back};

static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let checks = all_checks().iter().map(|check| &check.rule);
    let hazards = all_hazards().iter().map(|hazard| &hazard.rule);
    let others = rehearsal::rules::rehearsal_rules()
        .iter()
        .chain(way_back::rules::way_back_rules())
        .chain(access_log::misuse_rules::misuse_rules())
        .chain(environment::environment_rules());
    let mut rules: Vec<&Rule> = checks.chain(hazards).chain(others).collect();
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
