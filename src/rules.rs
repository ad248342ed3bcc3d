//! Every rule there is, whatever carries it out: checks of a database, hazards of an upgrade, the rehearsal of one,
//! requests, and what is around the data.

use std::sync::LazyLock;

use crate::environment;
use crate::examine::check::checks;
use crate::examine::rule::Rule;
use crate::requests;
use crate::upgrade::hazard::hazards;
use crate::upgrade::rehearsal;

static RULES: LazyLock<Vec<&'static Rule>> = LazyLock::new(|| {
    let checks = checks().iter().map(|check| &check.rule);
    let hazards = hazards().iter().map(|hazard| &hazard.rule);
    let others = rehearsal::rules::rules().iter().chain(requests::rules::rules()).chain(environment::rules());
    let mut rules: Vec<&Rule> = checks.chain(hazards).chain(others).collect();
    rules.sort_by(|a, b| a.code.cmp(&b.code));
    rules
});

/// All of them, by code.
pub fn all() -> &'static [&'static Rule] {
    &RULES
}

/// The rule with this code.
pub fn find(code: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.code == code)
}
