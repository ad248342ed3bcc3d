//! Rules in full: what is wrong, why it matters, what the fix does.

use anyhow::Result;
use serde_json::json;

use crate::repair::fix::{self, Fix};
use crate::report::json;
use crate::rules::error_lookup::ErrorParts;
use crate::rules::error_lookup::lookup::{LookupResult, MatchedError};
use crate::rules::rehearsal::rehearsal_rules as rehearsed;
use crate::rules::rule::{Applicability, Rule};
use crate::terminal::page::Page;
use crate::terminal::style::{DIM, NAME, PLAIN, paint, severity_style};
use crate::text::escape::escape_control;
use crate::upgrade::hazard::all_hazards;

/// Texts that lead to a rule which are shown with it.
const SEEN: usize = 4;

/// More rules than these are listed in a line each.
const TOLD: usize = 2;

/// Rules as text: all of one or two, of more a line each.
pub fn human(rules: &[&Rule], page: Page) -> String {
    if rules.len() > TOLD {
        let row = |rule: &&Rule| {
            vec![rule.code.clone(), rule.severity.to_string(), rule.summary.clone(), repair(rule)]
        };
        let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
        let style = |row: usize, column: usize| match (column, rules.get(row)) {
            (0, Some(_)) => NAME,
            (1, Some(rule)) => severity_style(rule.severity),
            _ => PLAIN,
        };
        let mut out = page.painted_table(&["code", "severity", "what", "fix"], &rows, 0, style);
        out.push_str(&page.command_hint("evodoctor explain CODE", "", 0));
        if rules.iter().all(|rule| rule.releases.is_none()) {
            out.push_str(
                "to find out which: evodoctor logs FILE, with the log of the proxy in front of the API\n",
            );
        }
        return out;
    }
    rules.iter().map(|rule| one(rule, page)).collect::<Vec<_>>().join("\n")
}

/// The interpretation of a pasted text, and the rules that answer it.
pub fn answered(answer: &LookupResult, page: Page) -> String {
    let mut out = String::new();
    for cause in &answer.causes {
        let what = understood(&cause.parts);
        let codes: Vec<&str> = cause.rules.iter().map(|rule| rule.code.as_str()).collect();
        let rules = match codes.as_slice() {
            [one] => (*one).to_owned(),
            several => format!("one of {}", several.join(", ")),
        };
        let what = if what.is_empty() { "this text".to_owned() } else { what };
        out.push_str(&page.wrap_hanging(
            &format!("{} {}: {rules}", paint(DIM, "understood as"), escape_control(&what)),
            0,
            2,
        ));
    }
    out.push('\n');
    out + &human(&answer.rules(), page)
}

/// That nothing is known, and what is nearest.
pub fn unknown(answer: &LookupResult, page: Page) -> String {
    let mut out = page.wrap("no rule is known for this text", 0);
    if !answer.perhaps.is_empty() {
        out.push_str(&page.wrap("possible, but the text does not prove it:", 0));
        for rule in &answer.perhaps {
            out.push_str(&page.wrap_hanging(&format!("{}: {}", rule.code_and_name(), rule.summary), 2, 4));
        }
    }
    let next = "with the whole error: from the line with the code down to \"meta\" or DETAIL; - reads it from a pipe";
    out + &page.command_hint("evodoctor explain -", next, 0)
}

/// The parts of an error on one line. They are names of Evolution's and codes, so none is a secret.
fn understood(parts: &ErrorParts) -> String {
    let quoted = |name: &String| format!("\"{name}\"");
    let mut words: Vec<String> = parts.prisma.iter().chain(&parts.sqlstate).cloned().collect();
    words.extend(parts.messages.first().map(|message| message.replace('-', " ")));
    words.extend(parts.models.iter().map(|model| format!("model {model}")));
    if !parts.fields.is_empty() {
        let fields: Vec<&str> = parts.fields.iter().map(String::as_str).collect();
        words.push(format!("fields {}", fields.join("+")));
    }
    words.extend(parts.constraints.iter().map(|name| format!("constraint {}", quoted(name))));
    words.extend(parts.relations.iter().map(|name| format!("relation {}", quoted(name))));
    words.extend(parts.columns.iter().map(|name| format!("column {}", quoted(name))));
    words.extend(parts.http.iter().map(|status| format!("HTTP {status}")));
    words.join(", ")
}

fn repair(rule: &Rule) -> String {
    rule.fix.map_or_else(|| "none".to_owned(), |fix| fix.to_string())
}

/// Rules in a line each.
pub fn brief(rules: &[&Rule], page: Page) -> String {
    rules.iter().map(|rule| page.wrap_hanging(&format!("{}: {}", title(rule), rule.summary), 0, 2)).collect()
}

fn title(rule: &Rule) -> String {
    format!("{} ({})", paint(NAME, rule.code_and_name()), paint(severity_style(rule.severity), rule.severity))
}

fn one(rule: &Rule, page: Page) -> String {
    let mut out = title(rule) + "\n";
    out.push_str(&page.wrap(&rule.summary, 2));
    if let Some(releases) = rule.releases {
        out.push_str(&format!("  releases: {releases}\n"));
    }
    out.push_str(&section("why it matters"));
    out.push_str(&page.wrap(&rule.why, 2));
    if let Some(next) = &rule.next {
        out.push_str(&section("what to do"));
        out.push_str(&page.wrap(next, 2));
    }
    if !rule.matches.is_empty() {
        out.push_str(&section("what it looks like in logs and responses"));
        for text in rule.matches.iter().take(SEEN) {
            out.push_str(&page.wrap_hanging(&format!("- {}", escape_control(text)), 2, 4));
        }
    }
    let is_hazard = all_hazards().iter().any(|hazard| hazard.rule.code == rule.code);
    match fix::find_fix(&rule.code) {
        Some(fix) => out.push_str(&repaired(rule, fix, is_hazard, page)),
        None => {
            out.push_str(&section("fix"));
            out.push_str(&page.wrap(left(rule, is_hazard), 2));
        }
    }
    out
}

fn section(title: &str) -> String {
    format!("\n{}\n", paint(NAME, title))
}

/// The advice for a rule without a fix.
fn left(rule: &Rule, is_hazard: bool) -> &'static str {
    if rehearsed().iter().any(|one| one.code == rule.code) {
        "no automatic fix: evodoctor preflight --migrations DIR --snapshot DUMP shows what each file does on \
         your database"
    } else if is_hazard {
        "no automatic fix: evodoctor preflight --to RELEASE says what to do on your database before \
         the upgrade"
    } else if rule.fix == Some(Applicability::Manual) {
        "no automatic fix: choose one of the options above"
    } else {
        "none: there is nothing in the database to change"
    }
}

/// The meaning of a hazard for the user.
fn meaning(hazard: &str) -> &'static str {
    match hazard {
        "deletes-rows" => "rows are removed; --apply needs --allow deletes-rows",
        "changes-rows" => "rows are changed; --apply needs --allow changes-rows",
        "rewrites-table" => {
            "a table is rewritten, which takes time and disk space; --apply needs --allow rewrites-table"
        }
        "blocks-writes" => "writers to the tables wait",
        "limits-undo" => {
            "undo fails if new rows violate the old state; where undo cannot be exact (EVO101, as a role \
             that is not a superuser), --apply needs --allow limits-undo"
        }
        _ => "",
    }
}

/// The fix: how safe it is, and what it runs.
fn repaired(rule: &Rule, fix: &Fix, is_hazard: bool, page: Page) -> String {
    let mut out = section(&format!("fix (version {}, {})", fix.version, fix.applicability));
    let safety = match fix.applicability {
        Applicability::Safe => "no row is lost",
        Applicability::Quarantine => {
            "rows it removes or changes are kept in the quarantine, and undo brings them back"
        }
        Applicability::Manual => "shown, and never run",
    };
    let mut pairs = vec![("safety", safety.to_owned())];
    for hazard in &fix.hazards {
        pairs.push(("hazard", format!("{hazard}: {}", meaning(hazard))));
    }
    pairs.extend(fix.notes(None).into_iter().map(|note| ("after", note)));
    out.push_str(&page.pairs(&pairs, 2));
    for (title, statements) in [("what it runs", &fix.up), ("what undo runs", &fix.down)] {
        let mut statements =
            statements.iter().filter(|statement| !statement.starts_with("SELECT")).peekable();
        if statements.peek().is_none() {
            continue;
        }
        out.push_str(&section(title));
        out.push_str(&format!("  {}\n", paint(DIM, "-- psql -v schema=NAME")));
        for statement in statements {
            out.push_str(&statement.lines().map(|line| format!("  {line}\n")).collect::<String>());
        }
    }
    let to = if is_hazard { " --to RELEASE" } else { "" };
    let command = format!("evodoctor fix {}{to}", rule.code);
    out.push('\n');
    out.push_str(&page.command_hint(&command, "dry run on your database, with its diff", 0));
    if is_hazard {
        out.push_str(&page.command_hint(
            "evodoctor preflight --to RELEASE",
            "says whether it concerns your database",
            0,
        ));
    }
    out
}

/// Rules as JSON.
pub fn json(rules: &[&Rule], answer: Option<&LookupResult>) -> Result<String> {
    let codes = |rules: &[&Rule]| rules.iter().map(|rule| rule.code.clone()).collect::<Vec<_>>();
    let one = |rule: &&Rule| {
        let fix = fix::find_fix(&rule.code);
        json!({
            "code": rule.code,
            "name": rule.name,
            "severity": rule.severity,
            "releases": rule.releases.map(|releases| releases.to_string()),
            "summary": rule.summary,
            "why": rule.why_and_next(),
            "next": rule.next,
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
    let mut document =
        json!({"tool": tool, "command": "explain", "rules": rules.iter().map(one).collect::<Vec<_>>()});
    if let Some(answer) = answer {
        let cause = |cause: &MatchedError| json!({"parts": cause.parts, "rules": codes(&cause.rules)});
        document["causes"] = answer.causes.iter().map(cause).collect();
        document["perhaps"] = json!(codes(&answer.perhaps));
    }
    json::written(&document)
}
