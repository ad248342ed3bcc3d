//! What a person at a terminal sees: one screen when all is well, what to do when it is not, colours where they are wanted.

use std::fs;
use std::path::Path;
use std::process::Command;

use evodoctor::terminal::page::columns;
use evodoctor::terminal::style::strip_styles;
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run, evodoctor, on, shell};

async fn everything() -> TestDatabase {
    Fixture::read("EVO101_orphaned_reference", "everything").database("evolution_api").await
}

/// On a page of so many columns.
fn at(width: &str, url: &str, arguments: &[&str]) -> Run {
    // Codes are explained without a database.
    let database: &[&str] = if arguments[0] == "explain" { &[] } else { &["--database-url", url] };
    Evodoctor::new(arguments.iter().chain(database)).env("COLUMNS", width).run()
}

/// The program on a real terminal; what it writes to stdout and stderr together.
fn on_a_terminal(command: &str) -> String {
    let program = env!("CARGO_BIN_EXE_evodoctor");
    let command = format!("stty cols 80 rows 24; {}", command.replace("evodoctor", program));
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").output();
    String::from_utf8(output.expect("script is in every Debian").stdout).expect("UTF-8")
}

#[tokio::test]
async fn a_sound_database_fits_one_screen() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let run = at("80", &database.url(), &["check"]).ends(0);
    assert!(run.stdout.lines().count() < 24, "{}", run.stdout);
    assert!(run.stdout.contains("\nclean: "), "{}", run.stdout);
    assert!(!run.stdout.contains("verdict") && !run.stdout.contains("next:"), "{}", run.stdout);
}

#[tokio::test]
async fn a_broken_one_says_what_to_do_first_and_last() {
    let database = everything().await;
    for width in ["80", "200"] {
        let text = at(width, &database.url(), &["check"]).ends(1).stdout;
        let (head, blocks) = text.split_once("\n\n").expect("a head");
        assert!(
            head.contains("verdict ") && head.contains(" problems in ") && head.contains(" errors, "),
            "{head}"
        );
        // The table of what there is comes first, what stops the server in its first row.
        let (table, blocks) = blocks.split_once("\n\n").expect("a table");
        let rows: Vec<&str> = table.lines().collect();
        assert!(
            rows[0].starts_with("severity  code") && rows[1].contains("EVO301  failed migration"),
            "{table}"
        );
        assert!(rows.len() > 10 && rows.len() < 24, "{table}");
        let last: Vec<&str> = blocks.lines().rev().take(5).collect();
        assert!(last.iter().any(|line| line.contains(" problems in ")), "{last:?}");
        assert!(last.iter().any(|line| line.starts_with("next: evodoctor fix ")), "{last:?}");
        for block in
            blocks.split("\n\n").filter(|block| block.starts_with("error ") || block.starts_with("warning "))
        {
            assert!(block.contains("\n  next: evodoctor ") && block.contains("\n  - "), "{block}");
        }
        let is_wide = |line: &str| columns(line) > width.parse().unwrap() && !line.contains("next: ");
        assert!(!text.lines().any(is_wide), "{text}");
    }
}

#[tokio::test]
async fn many_findings_of_one_code_are_shortened() {
    let database = TestDatabase::new("2.1.1", "evolution_api").await;
    let mut connection = database.connect().await;
    for table in ["Chat", "Contact", "Label", "Message", "Setting", "Webhook", "Rabbitmq", "Sqs"] {
        let sql = format!("ALTER TABLE evolution_api.\"{table}\" ADD COLUMN \"mine\" text");
        execute(&mut connection, &sql).await;
    }
    let check = |more: &[&str]| {
        let arguments = [&["check", "--select", "EVO206", "--fail-on", "advice"], more].concat();
        at("100", &database.url(), &arguments).ends(1).stdout
    };
    let count = |text: &str| text.lines().filter(|line| line.starts_with("  - ")).count();
    let short = check(&[]);
    assert_eq!(count(&short), 3, "{short}");
    assert!(short.contains("… and 5 more: -v"), "{short}");
    assert_eq!(count(&check(&["-v"])), 8);
}

/// Every command that says something to people, with arguments that make it say much.
fn talkative(log: &str) -> Vec<Vec<&str>> {
    vec![
        vec!["check"],
        vec!["fix", "EVO104"],
        vec!["preflight"],
        vec!["history"],
        vec!["credentials", "list"],
        vec!["explain", "EVO101"],
        vec!["explain"],
        vec!["logs", log],
    ]
}

#[tokio::test]
async fn colours_are_optional_and_change_nothing_else() {
    let database = everything().await;
    let url = database.url();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/nginx-combined.log");
    let pseudonym = regex::Regex::new("-[0-9a-f]{8}").expect("a constant");
    for arguments in talkative(log.to_str().unwrap()) {
        // What is measured differs from run to run, and with it the tables.
        let steady = |text: &str| {
            let is_measured = |line: &&str| {
                line.contains(['│', '─']) || line.contains("plan") || line.contains("wait about")
            };
            let lines = text.lines().filter(|line| !is_measured(line));
            lines.map(|line| pseudonym.replace_all(line, "-").into_owned()).collect::<Vec<_>>()
        };
        let pipe = at("120", &url, &arguments).stdout;
        assert!(!pipe.contains('\u{1b}'), "{arguments:?}: {pipe:?}");
        let painted = at("120", &url, &[&arguments[..], &["--color", "always"]].concat()).stdout;
        assert!(painted.contains("\u{1b}["), "{arguments:?}: {painted:?}");
        assert_eq!(steady(&strip_styles(&painted)), steady(&pipe), "{arguments:?}");
        assert!(!strip_styles(&painted).contains('\u{1b}'), "{arguments:?}");
    }
}

#[test]
fn color_options_and_variables_have_an_order() {
    let shown = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = ["explain", "EVO101"].iter().chain(arguments);
        let program = variables
            .iter()
            .fold(Evodoctor::new(arguments), |program, (name, value)| program.env(name, value));
        program.run().ends(0).stdout.contains("\u{1b}[")
    };
    assert!(!shown(&[], &[]));
    assert!(shown(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!shown(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!shown(&["--color", "never"], &[("CLICOLOR_FORCE", "1")]));
    assert!(shown(&["--color=always"], &[("NO_COLOR", "1")]));
    let folder = TempDir::new().expect("a folder");
    let file = folder.path().join("report.txt");
    let path = file.to_str().expect("UTF-8");
    for (color, is_painted) in [("auto", false), ("always", true), ("never", false)] {
        evodoctor(&["explain", "EVO101", "--output", path, "--color", color]).ends(0);
        let text = std::fs::read_to_string(&file).expect("written");
        assert_eq!(text.contains("\u{1b}["), is_painted, "{color}");
    }
    // Other formats are for programs.
    let json = evodoctor(&["explain", "EVO101", "--format", "json", "--color", "always"]).ends(0);
    assert!(!json.stdout.contains('\u{1b}'));
    // Help and usage errors come before the options are read.
    assert!(evodoctor(&["--help", "--color", "always"]).stdout.contains("\u{1b}["));
    let run = Evodoctor::new(["chekc", "--color", "never"]).env("CLICOLOR_FORCE", "1").run().ends(2);
    assert!(!run.stderr.contains('\u{1b}'), "{:?}", run.stderr);
}

#[test]
fn a_terminal_has_colours_and_a_line_of_progress() {
    let said = on_a_terminal("evodoctor explain EVO101");
    assert!(said.contains("\u{1b}[1mEVO101"), "{said:?}");
    let said = on_a_terminal("NO_COLOR=1 evodoctor explain EVO101");
    assert!(said.contains("EVO101 orphaned") && !said.contains("\u{1b}[1m"), "{said:?}");

    let log = "/message/sendText/x 404";
    let reading =
        |option: &str| on_a_terminal(&format!("(echo '{log}'; sleep 2) | evodoctor logs - {option}"));
    let said = reading("");
    assert!(said.contains("reading ") && said.contains("/s"), "{said:?}");
    assert!(!reading("-q").contains("reading "));
}

#[tokio::test]
async fn diffs_look_as_git_shows_them() {
    let database = everything().await;
    let text = on(&database.url(), &["fix", "EVO202", "EVO104", "--color", "always"]).ends(1).stdout;
    for shown in [
        "\u{1b}[1m--- a/OpenaiCreds\u{1b}[0m",
        "\u{1b}[36m@@ ",
        "\u{1b}[31m-CREATE UNIQUE INDEX \"OpenaiCreds_apiKey_key\"",
        "\u{1b}[32m+CREATE UNIQUE INDEX \"OpenaiCreds_instanceId_apiKey_key\"",
        "\u{1b}[33m~\u{1b}[0m \u{1b}[1mChat\u{1b}[0m",
    ] {
        assert!(text.contains(shown), "no {shown:?} in {text}");
    }
}

#[tokio::test]
async fn quiet_prints_only_the_summary() {
    let database = everything().await;
    let url = database.url();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/logs/nginx-combined.log");
    for arguments in
        talkative(log.to_str().unwrap()).into_iter().filter(|arguments| arguments != &["explain"])
    {
        let text = at("240", &url, &[&arguments[..], &["--quiet"]].concat()).stdout;
        // A rehearsal's summary is what it came to, that nothing is changed, and the command that applies it.
        let most = if arguments[0] == "fix" { 3 } else { 1 };
        assert!((1..=most).contains(&text.lines().count()), "{arguments:?}:\n{text}");
    }
}

#[tokio::test]
async fn hostile_names_stay_text_in_colour_too() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let mut connection = database.connect().await;
    execute(
        &mut connection,
        "INSERT INTO evolution_api.\"Instance\" (\"id\", \"name\", \"connectionStatus\")
         VALUES ('i1', E'a/\\x1b[2J\\u202Eb\\n文字', 'open')",
    )
    .await;
    let text =
        on(&database.url(), &["check", "--color", "always", "-v", "--fail-on", "advice"]).ends(1).stdout;
    let text = strip_styles(&text);
    assert!(text.contains("a/\\u001b[2J\\u{202e}b\\n文字"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
}

#[test]
fn no_arguments_print_the_overview() {
    let run = Evodoctor::new::<_, &str>([]).env("COLUMNS", "80").run().ends(0);
    assert_eq!(run.stderr, "");
    assert!(run.stdout.lines().count() < 24, "{}", run.stdout);
    assert!(run.stdout.lines().all(|line| columns(line) <= 80), "{}", run.stdout);
    for command in ["check ", "fix ", "preflight ", "logs ", "explain ", "demo", "--help"] {
        assert!(run.stdout.contains(&format!("evodoctor {command}")), "{command}: {}", run.stdout);
    }
}

#[test]
fn typing_errors_get_a_suggestion() {
    for (arguments, suggested) in [
        (&["fix", "EVO1O1"][..], "did you mean EVO101?"),
        (&["fix", "evo-10l"], "did you mean EVO101?"),
        (&["check", "--select", "EVO1001"], "did you mean"),
        (&["check", "--ignore", "EVO100"], "codes of this kind are EVO101 to EVO1"),
        (&["explain", "EVO2O2"], "did you mean EVO202?"),
        (&["preflight", "--to", "2.3.8"], "did you mean 2.3.7?"),
        (&["preflight", "--to", "v2.37"], "did you mean 2.3.7?"),
        (&["fix", "EVO608", "--to", "2.3,7"], "did you mean 2.3.7?"),
        (&["fix", "--allow", "delete-rows"], "did you mean --allow deletes-rows?"),
        (&["check", "--fail-on", "eror"], "'error'"),
        (&["check", "--format", "jsn"], "'json'"),
        (&["check", "--selct", "EVO101"], "'--select'"),
        (&["check", ".env"], "next: evodoctor check --env-file .env"),
        (&["check", "postgresql://u:secret@h/d"], "next: evodoctor check --database-url URL"),
        (&["fix", "last-night.dump"], "--snapshot last-night.dump"),
        (&["fix", "--dry-run"], "next: evodoctor fix"),
        (&["fix", "all"], "without a code, all of them are used"),
        (&["undo", "newest"], "or last"),
        (&["preflght"], "'preflight'"),
        (&["man", "fxi"], "did you mean fix?"),
        (&["completions", "bsh"], "'bash'"),
    ] {
        evodoctor(arguments).ends(2).complains(&[suggested]);
    }
    assert!(!evodoctor(&["check", "postgresql://u:secret@h/d"]).stderr.contains("secret"));
    assert!(!evodoctor(&["fix", "postgresql://u:secret@h/d"]).stderr.to_lowercase().contains("secret"));
    for understood in ["evo101", "101", "EVO-101", " EVO101 ", "orphaned-reference", "Orphaned_Reference"] {
        assert!(evodoctor(&["explain", understood]).ends(0).stdout.starts_with("EVO101 "), "{understood}");
        evodoctor(&["fix", understood]).ends(2).complains(&["no database is named"]);
    }
}

#[tokio::test]
async fn every_error_says_what_to_do_next() {
    let database = everything().await;
    let folder = TempDir::new().expect("a folder");
    let junk = folder.path().join("junk");
    std::fs::write(&junk, "junk\n").expect("writable");
    let junk = junk.to_str().expect("UTF-8");
    for arguments in [
        &["check", "--baseline", "/nope"][..],
        &["check", "--baseline", junk],
        &["check", "--output", "/nope/report"],
        &["check", "--write-baseline", "/nope/baseline"],
        &["check", "--schema", "evolution"],
        &["fix", "--apply", "--plan", "/nope"],
        &["fix", "--apply", "--plan", junk],
        &["fix", "--plan-out", "/nope/plan"],
        &["fix", "--to", "2.3.7"],
        &["preflight", "--migrations", "/nope"],
        &["fix", "EVO608", "--to", "2.0.9"],
        &["logs", "/nope"],
        &["logs", junk],
        &["logs", junk, "--instances", "/nope"],
        &["logs", junk, "--instances", junk],
        &["undo", "7"],
        &["credentials", "share", "nobody", "nowhere"],
    ] {
        let run = on(&database.url(), arguments).ends(2);
        assert_eq!(run.stderr.matches("\n  next: ").count(), 1, "{arguments:?}: {}", run.stderr);
    }
    for arguments in
        [&["check"][..], &["check", "--env-file", "/nope"], &["check", "--snapshot", junk], &["man", "nope"]]
    {
        evodoctor(arguments).ends(2).complains(&["next: "]);
    }
}

#[tokio::test]
async fn next_commands_select_the_same_database() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("its .env");
    fs::write(&file, format!("DATABASE_CONNECTION_URI='{}'\n", database.url())).expect("writable");
    let file = file.to_str().expect("UTF-8");
    let again = format!("--env-file '{file}' --schema evolution_api");
    let said = |arguments: &[&str]| {
        let options = ["--env-file", file, "--schema", "evolution_api"];
        let run = Evodoctor::new([arguments, &options].concat()).env("COLUMNS", "240").run();
        run.stdout + &run.stderr
    };
    for (arguments, next) in [
        (&["check"][..], "evodoctor fix EVO101 "),
        (&["fix", "EVO101"], "evodoctor fix EVO101 --apply --allow deletes-rows,changes-rows "),
        (&["check", "--select", "EVO101,EVO104"], "evodoctor fix --select EVO101,EVO104 "),
        // A dry run of some codes does not suggest to apply all.
        (
            &["fix", "--select", "EVO101", "--ignore", "EVO104", "--fail-on", "error"],
            "evodoctor fix --select EVO101 --ignore EVO104 --fail-on error --apply --allow deletes-rows,changes-rows ",
        ),
        // What helps after an error is about the same database, too.
        (&["undo", "99"], "evodoctor history "),
        (&["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"], "evodoctor undo 1 "),
        (&["history"], "evodoctor undo 1 "),
    ] {
        let stdout = said(arguments);
        let expected =
            if arguments.contains(&"--quiet") { next.to_owned() } else { format!("{next}{again}") };
        assert!(stdout.contains(&expected), "{arguments:?}: no {expected:?} in\n{stdout}");
    }
    assert!(said(&["undo", "last"]).contains("evodoctor undo 1 --apply"), "{}", said(&["undo", "last"]));

    // A connection string may hold a password: a variable stands for it, and the line runs as it is printed.
    on(&database.url(), &["undo", "last", "--apply"]).ends(0);
    let run = Evodoctor::new(["fix", "EVO101", "--database-url", &database.url()])
        .env("COLUMNS", "80")
        .run()
        .ends(1);
    let next = run.stdout.lines().find_map(|line| line.strip_prefix("next: ")).expect("a next step");
    assert!(next.ends_with("--database-url \"$DATABASE_CONNECTION_URI\""), "{next}");
    assert!(run.stdout.contains("DATABASE_CONNECTION_URI: set it to"), "{}", run.stdout);
    shell(next, &database.url(), folder.path()).ends(0);
}
