//! Promise: several databases are examined in one run as each would be alone; one that cannot be examined stops no other, and
//! is never taken for clean.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::database::{TestDatabase, execute};
use crate::support::fixtures::Fixture;
use crate::support::program::{Evodoctor, Run, evodoctor};

/// No server listens there.
const NOWHERE: &str = "postgresql://nobody@127.0.0.1:1/x";

/// One database with orphans, one without, and a folder for lists.
struct Hoster {
    bad: TestDatabase,
    good: TestDatabase,
    folder: TempDir,
}

impl Hoster {
    async fn new() -> Self {
        Self {
            bad: Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await,
            good: TestDatabase::new("2.3.7", "evolution_api").await,
            folder: TempDir::new().expect("a folder"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a list.
    fn list(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).expect("writable");
        text_of(&self.path(name)).to_owned()
    }

    /// The bad one, the good one, and one that is not there.
    fn three(&self) -> String {
        self.list("list", &format!("bad {}\ngood {}\naway {NOWHERE}\n", self.bad.url(), self.good.url()))
    }

    /// `check` of a list for two codes, in the folder.
    fn check(&self, list: &str, more: &[&str]) -> Run {
        let all = [&["check", "--targets", list, "--select", "EVO101,EVO104"], more].concat();
        Evodoctor::new(all).within(self.folder.path()).run()
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn names(report: &Value) -> Vec<&str> {
    report["targets"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|target| target["name"].as_str())
        .collect()
}

#[tokio::test]
async fn each_database_is_examined_as_if_it_were_alone() {
    let hoster = Hoster::new().await;
    let list = hoster.three();
    let run = hoster.check(&list, &["--format", "json"]).ends(2);
    let report = run.json();
    assert_eq!(names(&report), ["bad", "good", "away"]);
    let exits: Vec<&Value> =
        report["targets"].as_array().expect("a list").iter().map(|one| &one["exit_code"]).collect();
    assert_eq!(exits, [1, 0, 2]);
    assert_eq!(report["targets"][1]["release"]["from"], "2.3.7");
    assert!(
        report["targets"][2]["error"]["message"].as_str().expect("text").contains("127.0.0.1:1"),
        "{report:#}"
    );
    run.complains(&["error: away: "]);

    // The report for one database is the same as for that database alone, except for the times.
    let alone = evodoctor(&[
        "check",
        "--select",
        "EVO101,EVO104",
        "--format",
        "json",
        "--database-url",
        &hoster.bad.url(),
    ]);
    let mut alone = alone.ends(1).json();
    for finding in alone["findings"].as_array_mut().expect("a list") {
        finding["target"] = json!("bad");
    }
    assert_eq!(report["findings"], alone["findings"]);
    assert_eq!(report["summary"]["errors"], alone["summary"]["errors"]);
    assert_eq!(report["targets"][0]["summary"], alone["summary"]);

    let human = hoster.check(&list, &[]).ends(2).stdout;
    assert!(human.contains("EVO101 orphaned-reference") && human.contains("not examined"), "{human}");
    assert!(human.ends_with("3 databases, 1 not examined, 1 with findings, 1 clean\n"), "{human}");
    let quiet = hoster.check(&list, &["--quiet"]).ends(2).stdout;
    assert!(!quiet.contains("orphaned-reference") && quiet.contains("away"), "{quiet}");
}

#[tokio::test]
async fn the_exit_code_is_the_worst() {
    let hoster = Hoster::new().await;
    let (bad, good) = (hoster.bad.url(), hoster.good.url());
    let mut connection = hoster.good.connect().await;
    let role = crate::support::roles::reader(&mut connection, "evolution_api").await;
    execute(&mut connection, &format!("REVOKE SELECT ON evolution_api.\"Chat\" FROM {role}")).await;
    let undecided = hoster.good.url_as(&role);
    let ends = |lines: &[(&str, &str)], code| {
        let text: String = lines.iter().map(|(name, url)| format!("{name} {url}\n")).collect();
        let list = hoster.list("list", &text);
        hoster.check(&list, &["--quiet"]).ends(code);
    };
    ends(&[("a", &good)], 0);
    ends(&[("a", &good), ("b", &undecided)], 3);
    ends(&[("a", &undecided), ("b", &bad)], 1);
    ends(&[("a", NOWHERE), ("b", &bad)], 2);
    let list = hoster.list("list", &format!("a {good}\nb {good}\n"));
    evodoctor(&["preflight", "--targets", &list, "--to", "2.3.7"]).ends(0);
}

#[tokio::test]
async fn each_database_gets_a_file_and_failures_replace_old_ones() {
    let hoster = Hoster::new().await;
    let url = hoster.bad.url();
    let list = hoster.list("list", &format!("../b/ad {url}\ngood {}\n", hoster.good.url()));
    let output = hoster.path("reports");
    for (format, ending) in [("json", "json"), ("junit", "xml"), ("markdown", "md"), ("sarif", "sarif")] {
        let run = hoster.check(&list, &["--format", format, "--output", text_of(&output)]).ends(1);
        assert!(run.stdout.contains("2 databases, 1 with findings, 1 clean"), "{}", run.stdout);
        let file = fs::read_to_string(output.join(format!("_._b_ad.{ending}"))).expect("written");
        assert!(file.contains("EVO101") && output.join(format!("good.{ending}")).exists(), "{file}");
    }
    let report: Value =
        serde_json::from_str(&fs::read_to_string(output.join("_._b_ad.json")).expect("there")).expect("JSON");
    assert_eq!(report["target"], "../b/ad");
    let list = hoster.list("list", &format!("../b/ad {NOWHERE}\ngood {}\n", hoster.good.url()));
    hoster.check(&list, &["--format", "json", "--output", text_of(&output)]).ends(2);
    let failed = fs::read_to_string(output.join("_._b_ad.json")).expect("a report of the failure");
    assert!(failed.contains("\"error\": {"), "yesterday's report looks like today's: {failed}");
}

#[tokio::test]
async fn formats_with_one_document_hold_all_databases() {
    let hoster = Hoster::new().await;
    let list = hoster.list("list", &format!("a {0}\nb {0}\nc {NOWHERE}\n", hoster.bad.url()));
    let told = |format: &str| hoster.check(&list, &["--format", format]).ends(2);
    let sarif = told("sarif").json();
    let ids: Vec<&Value> =
        sarif["runs"].as_array().expect("a list").iter().map(|run| &run["automationDetails"]["id"]).collect();
    assert_eq!(ids, ["evodoctor/check/a/", "evodoctor/check/b/"]);
    let issues = told("gitlab").json();
    let issues = issues.as_array().expect("a list");
    let mut fingerprints: Vec<&str> =
        issues.iter().filter_map(|issue| issue["fingerprint"].as_str()).collect();
    fingerprints.sort_unstable();
    fingerprints.dedup();
    assert!(issues.len() > 2 && fingerprints.len() == issues.len(), "one hides another");
    let github = told("github");
    let annotations: Vec<&str> = github.stdout.lines().filter(|line| line.starts_with("::")).collect();
    assert_eq!(annotations.len(), 3, "{}", github.stdout);
    assert!(
        annotations[0].starts_with("::error title=a::1 problem in 5 places (1 error); "),
        "{annotations:?}"
    );
    assert!(
        annotations[2].starts_with("::error title=c::") && annotations[2].contains("%0Anext: "),
        "{annotations:?}"
    );
    assert!(told("markdown").stdout.contains("### evodoctor check of `b`"));
    hoster
        .check(&list, &["--format", "junit"])
        .ends(2)
        .complains(&["--format junit has no single document", "--output DIR"]);
}

#[tokio::test]
async fn a_list_has_settings_per_database() {
    let hoster = Hoster::new().await;
    let url = hoster.bad.url();
    fs::write(hoster.path("a.env"), format!("DATABASE_CONNECTION_URI='{url}'\n")).expect("writable");
    let list = hoster.list(
        "list.toml",
        &format!(
            "[[target]]\nname = \"a\"\nenv-file = \"a.env\"\nschema = \"evolution_api\"\n
             [[target.ignore]]\ncode = \"EVO101\"\nreason = \"their own import\"\n
             [[target]]\nname = \"b\"\ndatabase-url = \"${{B_URL}}\"\nfail-on = \"never\"\n
             [[target]]\nname = \"c\"\ndatabase-url = \"postgresql://u:${{NOT_SET}}@h/d\"\n
             [[target]]\nname = \"d\"\ndatabase-url = \"{url}\"\n"
        ),
    );
    let arguments = ["check", "--targets", &list, "--select", "EVO101", "--format", "json"];
    let report = Evodoctor::new(arguments).env("B_URL", &url).run().ends(2).json();
    let targets = report["targets"].as_array().expect("a list");
    let exits: Vec<&Value> = targets.iter().map(|one| &one["exit_code"]).collect();
    assert_eq!(exits, [0, 0, 2, 1]);
    assert_eq!(targets[0]["config"]["ignored"][0]["ignored"]["reason"], "their own import");
    let why = targets[2]["error"]["message"].as_str().expect("text");
    assert!(why.contains("list.toml:") && why.contains("the variable NOT_SET is not set"), "{why}");

    // What evodoctor.toml decides holds for all, and its database and its baseline are none of theirs.
    let text = format!(
        "database-url = \"{NOWHERE}\"\nbaseline = \"of-one.json\"\n[[ignore]]\ncode = \"EVO101\"\nreason = \"all of them\"\n"
    );
    fs::write(hoster.path("evodoctor.toml"), text).expect("writable");
    let list = hoster.list("list", &format!("a {url}\n"));
    hoster.check(&list, &[]).ends(0);
}

#[tokio::test]
async fn each_database_has_its_own_baseline() {
    let hoster = Hoster::new().await;
    let list = hoster.list("list", &format!("a {}\n", hoster.bad.url()));
    let known = hoster.path("known");
    hoster
        .check(&list, &["--baseline", text_of(&known)])
        .ends(2)
        .complains(&["--write-baseline DIR makes one"]);
    hoster.check(&list, &["--write-baseline", text_of(&known)]).ends(0);
    assert!(known.join("a.json").exists());
    hoster.check(&list, &["--baseline", text_of(&known)]).ends(0);
    // Of one that has joined since nothing is known.
    let list = hoster.list("list", &format!("a {0}\nb {0}\n", hoster.bad.url()));
    let report = hoster.check(&list, &["--baseline", text_of(&known), "--format", "json"]).ends(1).json();
    assert_eq!(
        (&report["targets"][0]["exit_code"], &report["targets"][1]["exit_code"]),
        (&json!(0), &json!(1))
    );
}

#[tokio::test]
async fn the_metrics_of_all_are_in_one_file() {
    let hoster = Hoster::new().await;
    let list = hoster.three();
    let file = hoster.path("evodoctor.prom");
    hoster.check(&list, &["--metrics", text_of(&file)]).ends(2);
    let text = fs::read_to_string(&file).expect("written");
    for (name, code) in [("bad", 1), ("good", 0), ("away", 2)] {
        let line = format!("evodoctor_run_exit_code{{command=\"check\",target=\"{name}\"}} {code}\n");
        assert!(text.contains(&line), "{text}");
    }
    assert_eq!(text.matches("# TYPE evodoctor_findings gauge").count(), 1);
}

/// A database that does not answer holds the run up; Ctrl-C tells what is known of the others by then.
#[tokio::test]
async fn ctrl_c_reports_finished_databases() {
    let hoster = Hoster::new().await;
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = deaf.local_addr().expect("an address").port();
    let list = hoster.list(
        "list",
        &format!("deaf postgresql://u@127.0.0.1:{port}/d?connect_timeout=0\nbad {}\n", hoster.bad.url()),
    );
    let output = hoster.path("reports");
    let arguments = ["check", "--targets", &list, "--select", "EVO101", "--output", text_of(&output)];
    let child = Evodoctor::new(arguments).spawn();
    while !output.join("bad.txt").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
    let run = crate::support::program::ended(child).ends(2);
    assert!(run.stdout.contains("interrupted before it was examined"), "{}", run.stdout);
    assert!(run.stdout.contains("2 databases, 1 not examined, 1 with findings"), "{}", run.stdout);
}

#[test]
fn an_invalid_list_is_refused_before_any_work() {
    let folder = TempDir::new().expect("a folder");
    let list = folder.path().join("list");
    let refuses = |text: &str, words: &[&str]| {
        fs::write(&list, text).expect("writable");
        let run = evodoctor(&["check", "--targets", text_of(&list)]).ends(2).complains(words);
        assert!(!run.stderr.contains("s3cret"), "{}", run.stderr);
    };
    refuses("", &["names no database"]);
    refuses("a postgresql://u:s3cret@h/d\n", &["list:1: the connection string contains a password"]);
    refuses("a postgresql://u@h/d s3cret\n", &["list:1: a line must be a name"]);
    refuses("a postgresql://u@h/d\nA postgresql://u@h/d\n", &["list:2: A would write the same file as a"]);
    // A private file may contain passwords.
    fs::write(&list, format!("a {}\n", NOWHERE.replacen("nobody", "nobody:s3cret", 1))).expect("writable");
    fs::set_permissions(&list, fs::Permissions::from_mode(0o600)).expect("ours");
    let run = evodoctor(&["check", "--targets", text_of(&list)]).ends(2);
    assert!(run.stdout.contains("1 not examined") && !run.stdout.contains("s3cret"), "{}", run.stdout);
    // On stdin, too: nothing is left lying around.
    let input = format!("a {}\n", NOWHERE.replacen("nobody", "nobody:s3cret", 1));
    let run = Evodoctor::new(["check", "--targets", "-"]).input(input).run().ends(2);
    assert!(run.stdout.contains("1 not examined"), "{run:?}");

    // A file's name is not a folder: nothing is created.
    let file = folder.path().join("all.xml");
    let arguments = ["check", "--targets", text_of(&list), "--format", "junit", "--output", text_of(&file)];
    evodoctor(&arguments).ends(2).complains(&["looks like a file", "--output"]);
    assert!(!file.exists());

    for arguments in [&["check", "--targets", "x", "--database-url", NOWHERE][..], &["fix", "--targets", "x"]]
    {
        evodoctor(arguments).ends(2);
    }
}
