//! The steps before an upgrade, as a script for `sh -e`.

use crate::repair::fix::{find_fix, needing_consent};
use crate::text::escape::escape_control;
use crate::upgrade::Preflight;

use super::view::ReportView;

/// Runs a repair in two steps: a dry run that writes its plan, then exactly that plan.
const REPAIR: &str = r#"# A dry run that writes its plan, then exactly that plan. Exit code 1: something is pending, or left to you.
repair() {
    allow=$1
    shift
    plan="before-upgrade-$1.json"
    evodoctor fix "$@" --plan-out "$plan"ARGUMENTS && return
    test $? -eq 1
    evodoctor fix --apply --plan "$plan" $allowARGUMENTS || test $? -eq 1
}
"#;

/// psql refuses the parameters of a connection string that only Prisma knows.
const SQL: &str = r#"# psql does not take the parameters that only Prisma knows.
sql() {
    psql -X -v ON_ERROR_STOP=1 "$(printf '%s' "$DATABASE_CONNECTION_URI" | sed -E \
        -e 's/([?&])((schema|connection_limit|pool_timeout|socket_timeout|pgbouncer|statement_cache_size|sslaccept|sslidentity)=[^&]*&?)+/\1/g' \
        -e 's/[?&]$//')"
}
"#;

/// The script; empty where nothing has to be done.
pub fn resolve_script(outline: &ReportView<'_>, preflight: &Preflight) -> String {
    if preflight.before.is_empty() {
        return String::new();
    }
    // What is done is done to the database itself, never to what a dump restores.
    let again = outline.common.live_connection_arguments();
    let steps: Vec<String> = preflight.before.iter().map(|line| step(line, &again)).collect();
    let has = |what: &str| steps.iter().any(|step| step.starts_with(what));
    let mut out = format!(
        "#!/bin/sh\n# What to do before the upgrade to {}, in this order. Then: evodoctor preflight --to {0}{again}\nset -e\n",
        preflight.to
    );
    if has("sql ") || again.contains("$DATABASE_CONNECTION_URI") {
        out.push_str(": \"${DATABASE_CONNECTION_URI:?set it to the connection string}\"\n");
    }
    if has("repair ") {
        out.push_str(&REPAIR.replace("ARGUMENTS", &again));
    }
    if has("sql ") {
        out.push_str(SQL);
    }
    for step in steps {
        out.push_str(&step);
        out.push('\n');
    }
    out
}

/// A line of what to do, as the script does it.
fn step(line: &str, again: &str) -> String {
    let line = escape_control(line);
    let Some(command) = line.strip_prefix("evodoctor ") else {
        return if line.starts_with('#') { line } else { format!("sql <<'SQL'\n{line}\nSQL") };
    };
    let Some(fix) = command.strip_prefix("fix ") else {
        // A person who decides has to read first.
        let is_run = command.starts_with("undo ");
        return if is_run { format!("{line}{again}") } else { format!("# decide: {line}") };
    };
    let words: Vec<&str> = fix.split(' ').collect();
    let code = words.first().copied().unwrap_or_default();
    let target = words.iter().position(|word| *word == "--to").and_then(|at| words.get(at + 1));
    let target = target.map(|to| format!(" --to {to}")).unwrap_or_default();
    let hazards = find_fix(code).map(|fix| needing_consent(code, &fix.hazards)).unwrap_or_default();
    let allow = if hazards.is_empty() { String::new() } else { format!("--allow {}", hazards.join(",")) };
    format!("repair '{allow}' {code}{target}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_line_becomes_a_step() {
        let again = " --env-file .env";
        for (line, expected) in [
            ("evodoctor fix EVO601 --to 2.3.7 --apply", "repair '' EVO601 --to 2.3.7"),
            ("evodoctor fix EVO301", "repair '--allow changes-rows' EVO301"),
            ("evodoctor undo 3 --apply", "evodoctor undo 3 --apply --env-file .env"),
            ("evodoctor explain EVO302", "# decide: evodoctor explain EVO302"),
            ("# give them shorter tokens", "# give them shorter tokens"),
            ("DELETE FROM x;", "sql <<'SQL'\nDELETE FROM x;\nSQL"),
            ("DELETE FROM x\nSQL\nrm -rf /;", "sql <<'SQL'\nDELETE FROM x\\nSQL\\nrm -rf /;\nSQL"),
        ] {
            assert_eq!(step(line, again), expected);
        }
    }
}
