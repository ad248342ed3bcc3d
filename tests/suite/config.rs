//! Promise: `evodoctor.toml` decides what was not typed, what it ignores is said, and what is wrong in it is refused.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::ci_formats::FORMATS;
use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run};

/// A folder with this file in it.
fn folder(text: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir_all(folder.path().join("deep/er")).expect("folders");
    fs::write(folder.path().join("evodoctor.toml"), text).expect("writable");
    folder
}

/// The program somewhere below that folder.
fn below(folder: &Path, arguments: &[&str]) -> Run {
    Evodoctor::new(arguments).within(&folder.join("deep/er")).run()
}

async fn orphans() -> TestDatabase {
    Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await
}

#[tokio::test]
async fn options_override_the_environment_section_which_overrides_the_top() {
    let (bad, good) = (orphans().await, TestDatabase::new("2.3.7", "evolution_api").await);
    let text = format!(
        "database-url = \"{}\"\nselect = [\"EVO101\"]\nformat = \"json\"\n
         [env.quiet]\nfail-on = \"never\"\n
         [env.good]\ndatabase-url = \"${{GOOD_URL}}\"\nselect = [\"evo104\", \"EVO201\"]\n",
        bad.url()
    );
    let folder = folder(&text);
    let report = below(folder.path(), &["check"]).ends(1).json();
    assert_eq!(
        (&report["database"]["name"], report["checks"].as_array().map(Vec::len)),
        (&json!(bad.name()), Some(1))
    );
    assert_eq!(report["config"]["environment"], Value::Null);
    below(folder.path(), &["check", "--env", "quiet"]).ends(0);
    below(folder.path(), &["check", "--env", "quiet", "--fail-on", "warning"]).ends(1);
    let good_one = || {
        Evodoctor::new(["check"])
            .within(folder.path())
            .env("GOOD_URL", good.url())
            .env("EVODOCTOR_ENV", "good")
    };
    let report = good_one().run().ends(0).json();
    assert_eq!(
        (&report["database"]["name"], report["checks"].as_array().map(Vec::len)),
        (&json!(good.name()), Some(2))
    );
    assert_eq!(report["config"]["environment"], "good");
    // What was asked for by name wins over a variable that happens to be set, and says so; what is typed wins over the file.
    let run = good_one().env("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x").run().ends(0);
    run.complains(&["DATABASE_URL is set too: the file's is used"]);
    // A file that was only found does not take the place of the environment's.
    let found = Evodoctor::new(["check"]).within(folder.path()).env("DATABASE_CONNECTION_URI", good.url());
    let run = found.run();
    assert_eq!(run.json()["database"]["name"], good.name());
    run.complains(&["DATABASE_CONNECTION_URI names the database", "the variable's is used"]);
    below(folder.path(), &["check", "--database-url", "postgresql://nobody@127.0.0.1:1/x"]).ends(2);
    let select = ["check", "--select", "EVO201,EVO202,EVO203", "--format", "human", "--fail-on", "never"];
    let human = below(folder.path(), &select).ends(0).stdout;
    assert!(
        human.contains("3 checks") && human.contains("settings") && human.contains("evodoctor.toml"),
        "{human}"
    );
    // A command that does not have the format prints its error as usual.
    let markdown = text.replace("\"json\"", "\"markdown\"");
    fs::write(folder.path().join("evodoctor.toml"), markdown).expect("writable");
    assert!(below(folder.path(), &["history"]).ends(0).stdout.contains("no run"), "history is human");
    assert!(below(folder.path(), &["check"]).ends(1).stdout.contains("\n### evodoctor check"));
}

#[tokio::test]
async fn ignored_findings_are_listed_and_do_not_fail() {
    let database = orphans().await;
    let ignore = |more: &str| {
        format!(
            "database-url = \"{}\"\nselect = [\"EVO101\"]\n[[ignore]]\ncode = \"EVO101\"\nreason = \"an old import\"\n{more}",
            database.url()
        )
    };
    let all = folder(&ignore("until = 9999-12-31"));
    let report = below(all.path(), &["check", "--format", "json"]).ends(0).json();
    let ignored = report["config"]["ignored"].as_array().expect("a list");
    assert!(
        ignored.len() > 2 && report["findings"] == json!([]) && report["summary"]["errors"] == 0,
        "{report:#}"
    );
    assert_eq!(ignored[0]["ignored"], json!({"reason": "an old import", "until": "9999-12-31"}));
    let human = below(all.path(), &["check"]).ends(0).stdout;
    let line = format!("ignored until 9999-12-31: EVO101, {} findings: an old import", ignored.len());
    assert!(human.contains(&line) && human.contains(&format!("{} ignored", ignored.len())), "{human}");
    for format in FORMATS {
        let run = below(all.path(), &["check", "--format", format]).ends(0);
        run.complains(&[&line]);
    }
    let sarif = below(all.path(), &["check", "--format", "sarif"]).json();
    let results = sarif["runs"][0]["results"].as_array().expect("a list");
    assert!(results.iter().all(|result| result["suppressions"][0]["justification"] == "an old import"));
    assert_eq!(results.len(), ignored.len());

    // A repair leaves it alone, until it is asked for by its code.
    assert!(below(all.path(), &["fix"]).ends(0).stdout.contains("nothing to do"));
    below(all.path(), &["fix", "EVO101"]).ends(1);

    let subject = ignored[0]["subject"].as_str().expect("text");
    let one = folder(&ignore(&format!("subject = {subject:?}")));
    let report = below(one.path(), &["check", "--format", "json"]).ends(1).json();
    assert_eq!(report["config"]["ignored"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(ignored.len() - 1));
}

#[tokio::test]
async fn an_expired_ignore_has_no_effect_and_is_reported() {
    let database = orphans().await;
    let text = format!(
        "database-url = \"{}\"\nselect = [\"EVO101\", \"EVO104\"]\n
         [[ignore]]\ncode = \"EVO101\"\nreason = \"an old import\"\nuntil = 2020-02-29\n
         [[ignore]]\ncode = \"EVO104\"\nreason = \"labels\"\n
         [[ignore]]\ncode = \"EVO110\"\nreason = \"nobody looks\"\n",
        database.url()
    );
    let folder = folder(&text);
    let report = below(folder.path(), &["check", "--format", "json"]).ends(1).json();
    assert_eq!(report["config"]["ignored"], json!([]));
    let notes: Vec<&str> =
        report["config"]["notes"].as_array().expect("a list").iter().filter_map(Value::as_str).collect();
    assert!(notes[0].contains("evodoctor.toml:4: the ignore of EVO101 ended on 2020-02-29"), "{notes:?}");
    assert!(notes[1].contains("evodoctor.toml:9: the ignore of EVO104 matches no finding"), "{notes:?}");
    assert_eq!(notes.len(), 2, "{notes:?}");
    let run = below(folder.path(), &["check", "--format", "github"]).ends(1);
    run.complains(&["note: ", "ended on 2020-02-29", "an old import"]);
}

#[tokio::test]
async fn severities_come_from_the_file() {
    let database = orphans().await;
    let folder = folder(&format!(
        "database-url = \"{}\"\nselect = [\"EVO101\"]\n[severity]\nEVO101 = \"advice\"\n",
        database.url()
    ));
    let report = below(folder.path(), &["check", "--format", "json"]).ends(0).json();
    assert!(
        report["findings"].as_array().expect("a list").iter().all(|finding| finding["severity"] == "advice")
    );
    assert_eq!((&report["summary"]["errors"], report["summary"]["advice"] == 0), (&json!(0), false));
    assert!(below(folder.path(), &["fix"]).ends(0).stdout.contains("nothing to do"));
    below(folder.path(), &["check", "--fail-on", "advice"]).ends(1);
}

#[tokio::test]
async fn jobs_and_timeout_apply_to_check() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let folder = folder(&format!("database-url = \"{}\"\njobs = 2\ntimeout = \"1ms\"\n", database.url()));
    let report = below(folder.path(), &["check", "--format", "json"]).ends(3).json();
    assert!(report["summary"]["undecided"].as_u64().is_some_and(|number| number > 0), "{report:#}");
    below(folder.path(), &["check", "--timeout", "10m"]).ends(0);
    below(folder.path(), &["history"]).ends(0);
}

#[tokio::test]
async fn wait_applies_to_commands_that_change_something() {
    let database = orphans().await;
    let mut reader = database.connect().await;
    execute(&mut reader, r#"BEGIN; LOCK TABLE evolution_api."Message" IN ROW EXCLUSIVE MODE"#).await;
    let folder = folder(&format!("database-url = \"{}\"\nwait = \"0\"\n", database.url()));
    below(folder.path(), &["fix", "EVO101"]).ends(2).complains(&["after 1 attempt:"]);
    let more = below(folder.path(), &["fix", "EVO101", "--wait", "3s"]).ends(2);
    assert!(!more.stderr.contains("after 1 attempt:"), "{}", more.stderr);
}

#[tokio::test]
async fn a_baseline_and_an_ignore_work_together() {
    let database = orphans().await;
    let text =
        format!("database-url = \"{}\"\nselect = [\"EVO101\"]\nbaseline = \"known.json\"\n", database.url());
    let folder = folder(&text);
    let known = folder.path().join("known.json");
    let write = ["check", "--write-baseline", known.to_str().expect("UTF-8")];
    below(folder.path(), &["check"]).ends(2).complains(&["known.json cannot be read"]);
    below(folder.path(), &write).ends(0);
    below(folder.path(), &["check"]).ends(0);
    // A finding that is known and now ignored is not gone.
    let ignoring = format!("{text}[[ignore]]\ncode = \"EVO101\"\nreason = \"r\"\n");
    fs::write(folder.path().join("evodoctor.toml"), ignoring).expect("writable");
    let report = below(folder.path(), &["check", "--format", "json"]).ends(0).json();
    assert_eq!(report["baseline"]["gone"], json!([]));
    // And not in a baseline that is written now: when the ignore ends, it is new.
    below(folder.path(), &write).ends(0);
    fs::write(folder.path().join("evodoctor.toml"), text).expect("writable");
    below(folder.path(), &["check"]).ends(1);
}

#[tokio::test]
async fn a_password_comes_from_a_variable_or_a_file_and_is_not_shown() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let role = format!("secretive_{:08x}", rand::random::<u32>());
    execute(&mut database.connect().await, &format!("CREATE ROLE {role} SUPERUSER LOGIN PASSWORD 'a b/c@d'"))
        .await;
    let url = database.url_as(&role);
    let with_variable = url.replacen('@', ":${THE_PASSWORD}@", 1);
    let folder = folder(&format!(
        "select = [\"EVO104\"]\n[env.variable]\ndatabase-url = \"{with_variable}\"\n
         [env.file]\ndatabase-url = \"{url}\"\npassword-file = \"secret\"\n"
    ));
    fs::write(folder.path().join("secret"), "a b/c@d\n").expect("writable");
    let check = |environment: &str| {
        Evodoctor::new(["check", "-vv", "--env", environment])
            .within(folder.path())
            .env("THE_PASSWORD", "a b/c@d")
            .run()
            .ends(0)
    };
    for run in [check("variable"), check("file")] {
        assert!(
            !run.stdout.contains("c@d") && !run.stderr.contains("c@d") && !run.stderr.contains("c%40d"),
            "{run:?}"
        );
    }
    below(folder.path(), &["check", "--env", "variable"])
        .ends(2)
        .complains(&["evodoctor.toml:3: the variable THE_PASSWORD"]);
    execute(&mut database.connect().await, &format!("DROP ROLE {role}")).await;
}

/// A line in a repository's file sends nothing of the caller's to a host that the caller has not named.
#[test]
fn secrets_reach_only_hosts_that_the_caller_names() {
    let refused = |text: &str, variables: &[(&str, &str)]| {
        let folder = folder(text);
        fs::write(folder.path().join("secret"), "from a file").expect("writable");
        fs::write(folder.path().join(".env"), "DATABASE_CONNECTION_URI=postgresql://u@db.invalid/d")
            .expect("writable");
        write_compose_files(folder.path());
        let program = |arguments: &[&str]| {
            let program = Evodoctor::new(arguments).within(folder.path()).env("CI_SECRET", "do-not-send");
            variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run().ends(2)
        };
        let run = program(&["check"]);
        assert!(run.stderr.contains("only this file names"), "{text}: {}", run.stderr);
        assert!(!run.stderr.contains("do-not-send"), "{text}: {}", run.stderr);
        // Named, it is tried.
        let run = program(&["check", "--allow-host", "db.invalid,x-do-not-send.db.invalid"]);
        assert!(run.stderr.contains("db.invalid cannot be resolved here"), "{text}: {}", run.stderr);
    };
    refused("database-url = \"postgresql://u:${CI_SECRET}@db.invalid/d\"", &[]);
    refused("database-url = \"postgresql://${CI_SECRET}@db.invalid/d\"", &[]);
    refused("database-url = \"postgresql://u@h/d?host=db.invalid&application_name=${CI_SECRET}\"", &[]);
    refused("database-url = \"postgresql://u@x-${CI_SECRET}.db.invalid/d\"", &[]);
    refused("database-url = \"postgresql://u@db.invalid/d\"\npassword-file = \"secret\"", &[]);
    refused("database-url = \"postgresql://u@db.invalid/d\"", &[("PGPASSWORD", "do-not-send")]);
    refused("env-file = \".env\"", &[("PGPASSWORD", "do-not-send")]);
    refused("compose = \"mixed.yaml\"", &[]);
    refused("compose = \"several.yaml\"\nservice = \"file\"", &[]);
    refused("compose = \"several.yaml\"\nservice = \"plain\"", &[("PGPASSWORD", "do-not-send")]);

    let allowed = |text: &str, variables: &[(&str, &str)]| {
        let folder = folder(text);
        write_compose_files(folder.path());
        let program = Evodoctor::new(["check", "--env", "x"]).within(folder.path());
        let run =
            variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run().ends(2);
        assert!(run.stderr.contains("db.invalid cannot be resolved here"), "{text}: {}", run.stderr);
    };
    let url = "[env.x]\ndatabase-url = \"postgresql://u:${P}@db.invalid/d\"";
    allowed(url, &[("P", "x"), ("EVODOCTOR_ALLOW_HOST", "other, DB.invalid")]);
    allowed(url, &[("P", "x"), ("DATABASE_CONNECTION_URI", "postgresql://u:y@db.invalid/e")]);
    allowed("[env.x]\ndatabase-url = \"postgresql://u:${P}@${H}/d\"", &[("P", "x"), ("H", "db.invalid")]);
    allowed("[env.x]\ndatabase-url = \"${U}\"", &[("U", "postgresql://u:y@db.invalid/e")]);
    allowed("[env.x]\ncompose = \"whole.yaml\"", &[("U", "postgresql://u:y@db.invalid/e")]);
    allowed("[env.x]\ncompose = \"several.yaml\"\nservice = \"plain\"", &[]);
    // Typed, the file is the caller's own word.
    let folder = folder("");
    write_compose_files(folder.path());
    let typed = Evodoctor::new(["check", "--compose", "mixed.yaml"]).within(folder.path());
    typed.env("CI_SECRET", "x").run().ends(2).complains(&["db.invalid cannot be resolved here"]);
}

/// Connection strings that hold a variable, are one, and hold none.
fn write_compose_files(folder: &Path) {
    let plain = "environment: ['DATABASE_URL=postgresql://u@db.invalid/d']";
    for (name, services) in [
        ("mixed.yaml", "api: {environment: ['DATABASE_URL=postgresql://u:${CI_SECRET}@db.invalid/d']}"),
        ("whole.yaml", "api: {environment: ['DATABASE_URL=${U:?is needed}']}"),
        ("several.yaml", &format!("plain: {{{plain}}}, file: {{env_file: own.env}}")),
    ] {
        fs::write(folder.join(name), format!("services: {{{services}}}\n")).expect("writable");
    }
    let own = "A=postgresql://u:${CI_SECRET}@db.invalid/d\nDATABASE_URL=${A}\n";
    fs::write(folder.join("own.env"), own).expect("writable");
}

/// `compose` and `service` are what `--compose` and `--service` are, from the folder of the file.
#[tokio::test]
async fn a_compose_file_names_the_database() {
    let database = orphans().await;
    let folder = folder("compose = \"deep/c.yaml\"\nservice = \"api\"\nselect = [\"EVO101\"]\n");
    let service = |url: &str| format!("{{environment: {{DATABASE_CONNECTION_URI: '{url}'}}}}");
    let services = format!(
        "services: {{api: {}, other: {}}}\n",
        service(&database.url()),
        service("postgresql://u@x.invalid/d")
    );
    fs::write(folder.path().join("deep/c.yaml"), services).expect("writable");
    let report = below(folder.path(), &["check", "--format", "json"]).ends(1).json();
    assert_eq!(report["database"]["name"], database.name());
    // A file that was only found takes the place of no variable.
    let run = Evodoctor::new(["check"])
        .within(folder.path())
        .env("DATABASE_URL", "postgresql://u@y.invalid/d")
        .run()
        .ends(2);
    run.complains(&["y.invalid cannot be resolved here", "the variable's is used"]);
    below(folder.path(), &["check", "--database-url", "postgresql://nobody@127.0.0.1:1/x"]).ends(2);
}

#[test]
fn invalid_settings_are_refused_before_any_work() {
    let folder = folder("fail_on = \"error\"\n");
    let run = below(folder.path(), &["check"]).ends(2);
    run.complains(&["evodoctor.toml:1: there is no key \"fail_on\"", "did you mean fail-on?"]);
    assert_eq!(below(folder.path(), &["check", "--format", "github"]).ends(2).stdout, "");
    below(folder.path(), &["check", "--no-config", "--env", "x"]).ends(2);
    below(folder.path(), &["check", "--no-config", "--database-url", "postgresql://nobody@127.0.0.1:1/x"])
        .ends(2)
        .complains(&["127.0.0.1:1"]);
    below(folder.path(), &["explain", "EVO101"]).ends(0);

    fs::write(folder.path().join("evodoctor.toml"), "database-url = \"postgresql://u:s3cret@h/d\"\n")
        .expect("writable");
    let run = below(folder.path(), &["check"])
        .ends(2)
        .complains(&["evodoctor.toml:1: the connection string contains a password", "env-file"]);
    assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);

    fs::write(folder.path().join("evodoctor.toml"), "[env.staging]\n").expect("writable");
    below(folder.path(), &["check", "--env", "stagin"]).ends(2).complains(&["did you mean --env staging?"]);
    let elsewhere = folder.path().join("other.toml");
    below(folder.path(), &["check", "--config", elsewhere.to_str().expect("UTF-8")])
        .ends(2)
        .complains(&["other.toml cannot be read"]);
    fs::remove_file(folder.path().join("evodoctor.toml")).expect("there");
    below(folder.path(), &["check", "--env", "staging"])
        .ends(2)
        .complains(&["there is no evodoctor.toml in this folder or above"]);
}
