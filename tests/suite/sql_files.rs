//! Walks the folders: every SQL file is well formed, named after its header, and has what belongs to it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use evodoctor::checks::check::{Check, all_checks};
use evodoctor::checks::conditional_sql;
use evodoctor::database::sql_file::{FILES, SqlFile};
use evodoctor::evolution::migration_steps::MigrationStep;
use evodoctor::evolution::release::{Release, facts};
use evodoctor::evolution::schema::schema;
use evodoctor::repair::fix;
use evodoctor::rules::message_template::NONE;
use evodoctor::rules::rule::{Applicability, Rule, is_code};
use evodoctor::upgrade::hazard::{self, Hazard, all_hazards};

use crate::support::fixtures::Fixture;

fn under(folder: &str) -> Vec<(&'static str, &'static str)> {
    FILES.iter().filter(|(path, _)| path.starts_with(folder)).copied().collect()
}

fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let stem = |path: &str| Some(path.strip_prefix(folder)?.strip_suffix(ending)?.to_owned());
    under(folder).iter().filter_map(|(path, _)| stem(path)).collect()
}

#[test]
fn every_check_is_well_formed_and_its_code_is_its_own() {
    let mut codes = BTreeSet::new();
    for (path, text) in under("sql/checks/") {
        let check = Check::parse(path, text).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(codes.insert(check.rule.code.clone()), "{} is used twice", check.rule.code);
        assert!(check.rule.summary.len() <= 80, "{path}: the summary is one line of at most 80 characters");
        assert!(check.rule.title.len() <= 33, "{path}: the title has at most 33 characters");
        assert!(check.rule.why.len() >= 80, "{path}: the header's `why` says what the user sees");
        assert!(!check.rule.matches.is_empty(), "{path}: no text leads explain here");
    }
    assert!(codes.len() >= 5);
}

#[test]
fn every_hazard_is_well_formed_and_about_migrations_that_there_are() {
    let mut codes: BTreeSet<&str> = all_checks().iter().map(|check| check.rule.code.as_str()).collect();
    for (path, text) in under(hazard::FILES_OF) {
        if let Some(stem) = path.strip_suffix(".plan.sql") {
            assert!(
                under(hazard::FILES_OF).iter().any(|(other, _)| *other == format!("{stem}.sql")),
                "{path}"
            );
            continue;
        }
        let hazard = Hazard::parse(path, text, None).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(hazard.rule.code.starts_with("EVO6"), "{path}: upgrade hazards are EVO6xx");
        assert!(hazard.rule.summary.len() <= 80, "{path}: the summary is one line of at most 80 characters");
        assert!(hazard.rule.title.len() <= 33, "{path}: the title has at most 33 characters");
        assert!(hazard.rule.why.len() >= 80, "{path}: the header's `why` says what the user sees");
        assert!(!hazard.rule.matches.is_empty(), "{path}: no text leads explain here");
        for number in &hazard.migrations {
            assert!(facts().migrations.iter().any(|m| m.number() == number), "{path}: no migration {number}");
        }
    }
    for hazard in all_hazards() {
        assert!(codes.insert(&hazard.rule.code), "{} is used twice", hazard.rule.code);
    }
}

/// What goes to the server has to fit into every encoding that a database may have.
#[test]
fn every_statement_is_ascii() {
    for (path, text) in FILES {
        for statement in SqlFile::parse(text).statements {
            let odd = statement.lines().find(|line| !line.is_ascii());
            assert_eq!(odd, None, "{path}: a database in LATIN1 cannot take this");
        }
    }
}

#[test]
fn a_bad_header_is_refused() {
    let good = "-- code: EVO999\n-- name: a-name\n-- title: t\n-- severity: error\n-- consequence: slow\n-- releases: 2.0.0-beta..\n-- summary: s\n-- why: w\n-- fix: none\nSELECT 1;";
    let path = "sql/checks/EVO999_a_name.sql";
    Check::parse(path, good).expect("the example is good");
    for (from, to) in [
        ("EVO999", "EV999"),
        ("a-name", "another-name"),
        ("-- title: t\n", ""),
        ("severity: error", "severity: fatal"),
        ("consequence: slow", "consequence: dire"),
        ("2.0.0-beta..", "2.9.9.."),
        ("-- why: w\n", ""),
        ("fix: none", "fix: perhaps"),
        ("fix: none", "detail: {count\n-- fix: none"),
        ("fix: none", "detail: a\n-- detail: b\n-- fix: none"),
        ("SELECT 1;", "SELECT 1; SELECT 2;"),
    ] {
        assert!(Check::parse(path, &good.replacen(from, to, 1)).is_err(), "{from} → {to} was accepted");
    }
}

/// Which templates a row can need is visible in the query: what is missing would stop the check at the user's.
#[test]
fn every_sentence_is_in_the_header_or_in_the_rows_and_has_its_values() {
    let mut templates = 0;
    for (path, text) in under("sql/checks/").into_iter().chain(under(hazard::FILES_OF)) {
        if path.ends_with(".plan.sql") {
            continue;
        }
        let script = SqlFile::parse(text);
        let rule = Rule::from_header(&script).unwrap_or_else(|error| panic!("{path}: {error:#}"));
        let query = script.only_statement().unwrap_or_else(|error| panic!("{path}: {error:#}"));
        // A column is named, or passed on as it is.
        let has =
            |column: &str| [" AS ", "."].iter().any(|before| query.contains(&format!("{before}{column},")));
        assert_ne!(
            has("detail"),
            !rule.details.is_empty(),
            "{path}: `detail` is in the header or in the rows"
        );
        for (name, template) in rule.details.iter() {
            templates += 1;
            let is_literal = |text: &str| query.contains(&format!("'{text}'"));
            assert!(
                name.is_empty() || name == NONE || (has("form") && is_literal(name)),
                "{path}: no row has the form {name:?}"
            );
            for value in template.placeholders().into_iter().filter(|value| *value != "count") {
                assert!(has("\"values\"") && is_literal(value), "{path}: no row has the value {value:?}");
            }
        }
    }
    assert!(templates > 30, "only {templates}");
}

/// Singular and plural are for the templates in the headers.
#[test]
fn no_query_chooses_words_by_a_number() {
    let choice = regex::Regex::new(r"(?:\bWHEN|=) 1 THEN\b|\bELSE 's'").expect("a constant");
    for (path, text) in under("sql/checks/").into_iter().chain(under(hazard::FILES_OF)) {
        let found = text.lines().find(|line| choice.is_match(line));
        assert_eq!(found, None, "{path}: write `detail: {{count:1 row|# rows}}` in the header");
    }
}

#[test]
fn every_fix_has_the_stem_of_a_check_or_a_hazard_that_announces_it() {
    let mut stems_of_rules = stems("sql/checks/", ".sql");
    stems_of_rules.extend(all_hazards().iter().map(|hazard| hazard.stem.clone()));
    let fixes = fix::stems(fix::FIX_FILES);
    for (path, _) in under("sql/fixes/") {
        let kind = path.split_once('.').expect("an ending").1;
        assert!(["rows.sql", "up.sql", "down.sql"].contains(&kind), "{path} is neither rows nor up nor down");
    }
    for stem in &fixes {
        assert!(stems_of_rules.contains(*stem), "{stem} serves no check and no hazard");
        let fix = fix::load_fix(fix::FIX_FILES, stem).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(!fix.after.is_empty(), "{stem}: the plan must say what the API does afterwards");
        for number in &fix.upstream {
            let known = facts().migrations.iter().any(|m| m.name.starts_with(&format!("{number}_")));
            assert!(known, "{stem}: {number} is no migration of upstream's");
        }
    }
    let announced = all_checks().iter().map(|check| (&check.rule, &check.stem));
    for (rule, stem) in announced.chain(all_hazards().iter().map(|hazard| (&hazard.rule, &hazard.stem))) {
        let can_be_run = matches!(rule.fix, Some(Applicability::Safe | Applicability::Quarantine));
        assert_eq!(
            can_be_run,
            fixes.contains(stem.as_str()),
            "{stem}: the header's `fix` and sql/fixes disagree"
        );
    }
}

#[test]
fn every_check_and_hazard_has_a_bad_and_a_good_fixture() {
    let mut checks = stems("sql/checks/", ".sql");
    // How long a lock is held depends on the server; `upgrades.rs` tells the hazard what it is to find.
    checks.extend(
        all_hazards().iter().map(|hazard| hazard.stem.clone()).filter(|stem| !stem.starts_with("EVO604")),
    );
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/databases");
    for entry in fs::read_dir(&folder).expect("there are fixtures") {
        let name = entry.expect("readable").file_name().into_string().expect("UTF-8");
        assert!(checks.contains(&name), "fixtures/databases/{name} serves no check");
    }
    for stem in &checks {
        let bad = Fixture::read(stem, "bad");
        assert!(!bad.finds.is_empty(), "{stem}/bad.sql says of nothing that it is found");
        assert!(Fixture::read(stem, "good").finds.is_empty(), "{stem}/good.sql is not good");
    }
}

/// A name that no release has would silently leave its part out everywhere.
#[test]
fn parts_need_what_some_release_has() {
    let tables =
        || Release::all().flat_map(|release| schema().tables(release).map(move |table| (table, release)));
    for (path, text) in FILES {
        for needed in
            conditional_sql::required_objects(text).unwrap_or_else(|error| panic!("{path}: {error}"))
        {
            let (table, column) = needed.split_once('.').map_or((needed, None), |(t, c)| (t, Some(c)));
            let known = tables().filter(|(known, _)| known.name == table).any(|(known, release)| {
                column.is_none_or(|column| known.columns(release).any(|existing| existing.name == column))
            });
            // Some tables come and go between two releases.
            let makes = |step: &MigrationStep| matches!(step, MigrationStep::CreateTable { create_table } if create_table == table);
            let passes = facts().migrations.iter().flat_map(|m| m.steps(Release::newest())).any(makes);
            assert!(known || (passes && column.is_none()), "{path}: no release has {needed}");
            let folders = ["sql/checks/", hazard::FILES_OF];
            let takes_parts = folders.iter().any(|folder| path.starts_with(folder))
                || path.ends_with(".rows.sql")
                || *path == "sql/catalog/bots.sql";
            assert!(
                takes_parts,
                "{path}: parts are for checks, hazards, rows of fixes, and what these share"
            );
        }
    }
}

#[test]
fn every_file_has_a_purpose_and_every_statement_ends() {
    for (path, text) in FILES {
        let script = SqlFile::parse(text);
        assert!(!script.statements.is_empty(), "{path} holds no statement");
        assert!(text.trim_end().ends_with(';'), "{path}: psql -f would wait for a semicolon");
        let says_why = script.statements.len() > 1 || text.starts_with("--") || text.len() < 900;
        assert!(says_why, "{path} does not say what it is for");
        assert!(
            text.lines().all(|line| line.chars().count() <= 200),
            "{path} has a line that nobody can read"
        );
    }
}

/// With an empty search_path nothing can be looked up by accident; only catalogs may be named without a schema.
#[test]
fn relations_are_named_with_their_schema() {
    for (path, text) in FILES {
        let bare: String =
            text.lines().filter(|line| !line.trim_start().starts_with("--")).collect::<Vec<_>>().join("\n");
        for keyword in ["FROM \"", "JOIN \"", "INTO \"", "UPDATE \"", "TABLE \""] {
            for (at, _) in bare.match_indices(keyword) {
                let name = &bare[at + keyword.len() - 1..];
                let end = name[1..].find('"').expect("quotes are closed") + 2;
                assert!(name[end..].starts_with('.'), "{path}: {} stands without its schema", &name[..end]);
            }
        }
    }
}

#[test]
fn codes_have_one_form() {
    assert!(is_code("EVO101"));
    for text in ["EVO1", "EVO1011", "evo101", "EVOabc", ""] {
        assert!(!is_code(text), "{text}");
    }
}

/// `a || CASE WHEN … END` is NULL as a whole where no branch fits, and so is the sentence that it is a part of.
#[test]
fn a_text_is_not_lost_where_no_branch_fits() {
    let comment = regex::Regex::new(r"--[^\n]*").expect("a constant");
    let token = regex::Regex::new(r"'(?:[^']|'')*'|\|\||[(),]|\w+").expect("a constant");
    let mut cases = 0;
    for (path, text) in FILES {
        let text = comment.replace_all(text, "");
        let tokens: Vec<&str> = token.find_iter(&text).map(|found| found.as_str()).collect();
        // Where each CASE that is open begins, and whether it has an ELSE.
        let mut open: Vec<(usize, bool)> = Vec::new();
        for (position, word) in tokens.iter().enumerate() {
            match (*word, open.last_mut()) {
                ("CASE", _) => open.push((position, false)),
                ("ELSE", Some((_, has_else))) => *has_else = true,
                ("END", Some(_)) => {
                    let (start, has_else) = open.pop().expect("it was the last");
                    let is_joined =
                        (start > 0 && tokens[start - 1] == "||") || tokens.get(position + 1) == Some(&"||");
                    cases += usize::from(is_joined);
                    assert!(has_else || !is_joined, "{path}: {}", tokens[start..=position].join(" "));
                }
                _ => {}
            }
        }
    }
    assert!(cases > 3, "only {cases} are joined to a text: are they still found?");
}

/// The version tells an older evodoctor, and a plan file, that a fix does something else now. Versions that were handed out stay in the
/// list, so that none is used again for other SQL.
#[test]
fn a_fix_whose_sql_changes_gets_a_new_version() {
    let known = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/fix_versions.txt"))
        .expect("the list of versions");
    let known: BTreeSet<&str> = known.lines().collect();
    let mut missing = Vec::new();
    for folder in ["sql/fixes/", "sql/credentials/"] {
        for stem in fix::stems(folder) {
            let fix = fix::load_fix(folder, stem).expect("well formed");
            let line = format!("{} {} {}", fix.code, fix.version, fix.checksum);
            missing.extend((!known.contains(line.as_str())).then_some(line));
        }
    }
    assert!(
        missing.is_empty(),
        "these fixes are new, or their files changed, or files that they share: increase the `version` of what changed, \
         and add the lines of what is new to fixtures/fix_versions.txt:\n{}",
        missing.join("\n")
    );
    let mut versions = BTreeSet::new();
    for line in &known {
        let (version, _) = line.rsplit_once(' ').expect("code, version and checksum");
        assert!(versions.insert(version), "{version} stands for two texts: give the new one another version");
    }
    assert!(known.len() >= fix::fixable_codes().count(), "a line for each fix");
}
