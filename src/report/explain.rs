//! Rules in full: what is wrong, why it matters, what the fix does.

use anyhow::Result;
use serde_json::json;

use super::json;
use super::layout::Page;
use crate::examine::rule::Rule;
use crate::repair::fix;
use crate::upgrade::hazard::hazards;
use crate::upgrade::rehearsal::rules::rules as rehearsed;

/// More rules than these are listed, not told.
const TOLD: usize = 2;

/// Rules as text: all of one or two, of more a line each.
pub fn human(rules: &[&Rule], page: Page) -> String {
    if rules.len() > TOLD {
        let row = |rule: &&Rule| {
            vec![rule.code.clone(), rule.severity.to_string(), rule.summary.clone(), repair(rule)]
        };
        let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
        let mut out =
            page.table(&["code", "severity", "what", "fix"], &rows, 0) + "next: evodoctor explain CODE\n";
        if rules.iter().all(|rule| rule.releases.is_none()) {
            out.push_str(
                "which of these it is: evodoctor logs FILE, with the log of the proxy before the API\n",
            );
        }
        return out;
    }
    rules.iter().map(|rule| one(rule, page)).collect::<Vec<_>>().join("\n")
}

fn repair(rule: &Rule) -> String {
    rule.fix.map_or_else(|| "none".to_owned(), |fix| fix.to_string())
}

fn one(rule: &Rule, page: Page) -> String {
    let mut out = format!("{} {} ({})\n", rule.code, rule.name, rule.severity);
    out.push_str(&page.wrap(&rule.summary, 2));
    if let Some(releases) = rule.releases {
        out.push_str(&format!("  releases: {releases}\n"));
    }
    out.push_str("\nwhy it matters\n");
    out.push_str(&page.wrap(&rule.why, 2));
    let is_hazard = hazards().iter().any(|hazard| hazard.rule.code == rule.code);
    let Some(fix) = fix::find(&rule.code) else {
        out.push_str("\nfix\n");
        let none = if rehearsed().iter().any(|one| one.code == rule.code) {
            "none of its own: evodoctor preflight --migrations DIR --snapshot DUMP shows where each file stands on your \
             database"
        } else if is_hazard {
            "none of its own: evodoctor preflight --to RELEASE says what to do on your database before the upgrade"
        } else {
            "none: there is nothing in the database to change"
        };
        out.push_str(&page.wrap(none, 2));
        return out;
    };
    out.push_str(&format!("\nfix (version {}, {})\n", fix.version, fix.applicability));
    out.push_str(&page.pairs(&[("hazards", fix.hazards.join(", "))], 2));
    for note in fix.notes(None) {
        out.push_str(&page.pairs(&[("after  ", note)], 2));
    }
    for (title, statements) in [("what it runs", &fix.up), ("what undo runs", &fix.down)] {
        out.push_str(&format!("\n{title} (in psql: -v schema=NAME)\n"));
        for statement in statements.iter().filter(|statement| !statement.starts_with("SELECT")) {
            out.push_str(&statement.lines().map(|line| format!("  {line}\n")).collect::<String>());
        }
    }
    let to = if is_hazard { " --to RELEASE" } else { "" };
    out.push_str(&format!(
        "\nnext: evodoctor fix {}{to}    rehearses it on your database and shows the diff\n",
        rule.code
    ));
    if is_hazard {
        out.push_str("      evodoctor preflight --to RELEASE    says whether it meets your database\n");
    }
    out
}

/// Rules as JSON.
///
/// # Errors
/// Never in practice: everything in a rule can be written as JSON.
pub fn json(rules: &[&Rule]) -> Result<String> {
    let one = |rule: &&Rule| {
        let fix = fix::find(&rule.code);
        json!({
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity,
            "releases": rule.releases.map(|releases| releases.to_string()),
            "summary": rule.summary,
            "why": rule.why,
            "matches": rule.matches,
            "fix": fix.map(|fix| json!({
                "version": fix.version,
                "applicability": fix.applicability,
                "hazards": fix.hazards,
                "after": fix.notes(None),
                "up": fix.up,
                "down": fix.down,
            })),
        })
    };
    let tool = json!({"name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION")});
    let document =
        json!({"tool": tool, "command": "explain", "rules": rules.iter().map(one).collect::<Vec<_>>()});
    json::written(&document)
}
