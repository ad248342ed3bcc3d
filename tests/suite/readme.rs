//! Promise: every command block in the README and in the READMEs of folders runs, and so does every example of `--help`: from
//! the first to the last of a file, in one folder and on one database with the failures of the demo.
//!
//! What a reader's machine has and this one lacks (Docker, a cloud's tools), and what would take minutes (building the
//! program again), is stood in for by `readme/stand_in.sh`, which refuses every command line that it does not know.

mod worked;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use comrak::nodes::NodeValue;
use comrak::{Arena, Options, parse_document};
use evodoctor::database::query;
use evodoctor::database::release_schema::create_release_schema;
use evodoctor::database::scratch_server::{self, ScratchServer};
use evodoctor::database::sql_file::Variables;
use evodoctor::evolution::release::Release;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use crate::support::cluster::in_memory;
use crate::support::database::execute;
use crate::support::program::Evodoctor;

/// The project's folder.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCHEMA: &str = "evolution_api";

/// The programs that are stood in for.
const STOOD_IN_FOR: [&str; 8] = [
    "bin/apt-get",
    "bin/aws",
    "bin/cargo",
    "bin/curl",
    "bin/docker",
    "bin/sudo",
    "tests/postgres.sh",
    "tests/run.sh",
];

/// A fenced block.
pub struct Block {
    /// What follows the fence: a language, and perhaps a file that is to have this content.
    pub kind: String,
    /// The lines of the block.
    pub text: String,
}

/// The fenced blocks of a Markdown file.
pub fn blocks(file: &str) -> Vec<Block> {
    let readme =
        fs::read_to_string(Path::new(ROOT).join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let arena = Arena::new();
    let document = parse_document(&arena, &readme, &Options::default());
    let block = |value: &NodeValue| match value {
        NodeValue::CodeBlock(block) => Some(Block { kind: block.info.clone(), text: block.literal.clone() }),
        _ => None,
    };
    document.descendants().filter_map(|node| block(&node.data.borrow().value)).collect()
}

/// A reader's machine: a folder with Evolution's `.env` and a proxy's log, and the server that it names.
struct Machine {
    server: ScratchServer,
    folder: TempDir,
}

impl Machine {
    async fn new() -> Self {
        let options = scratch_server::ScratchServerOptions {
            binaries: std::env::var_os("EVODOCTOR_TEST_PG_BIN").map(Into::into),
            parent: in_memory(),
            ..Default::default()
        };
        let server = ScratchServer::start(options).await.expect("a server starts");
        let mut admin = server.connect_options("postgres").connect().await.expect("it answers");
        for statement in ["CREATE DATABASE evolution", "CREATE ROLE doctor LOGIN"] {
            execute(&mut admin, statement).await;
        }
        admin.close().await.expect("a clean end");
        let mut connection = server.connect_options("evolution").connect().await.expect("it answers");
        let release = Release::find("2.1.1").expect("a known release");
        create_release_schema(&mut connection, SCHEMA, release).await.expect("the facts build it");
        let variables = Variables::for_schema(SCHEMA);
        query::execute_file(&mut connection, "sql/demo/failures.sql", &variables)
            .await
            .expect("the demo's failures");
        connection.close().await.expect("a clean end");

        let machine = Self { server, folder: TempDir::new().expect("a folder") };
        machine.lay(".env", format!("DATABASE_CONNECTION_URI='{}'\n", machine.url()).as_bytes());
        machine.copy("src/commands/demo/access.log", "access.log");
        machine.copy("fixtures/logs/fetchInstances.json", "instances.json");
        for folder in ["bin", "tests"] {
            fs::create_dir(machine.folder.path().join(folder)).expect("a folder");
        }
        symlink(Path::new(ROOT).join("sql"), machine.folder.path().join("sql")).expect("a link");
        for entry in fs::read_dir(Path::new(ROOT).join("tests")).expect("a folder") {
            let path = entry.expect("readable").path();
            let link = Path::new("tests").join(path.file_name().expect("a name"));
            if !STOOD_IN_FOR.iter().any(|program| link == Path::new(program)) {
                symlink(&path, machine.folder.path().join(link)).expect("a link");
            }
        }
        for program in STOOD_IN_FOR {
            let path = machine.folder.path().join(program);
            fs::write(&path, include_str!("readme/stand_in.sh")).expect("writable");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
        }
        symlink(env!("CARGO_BIN_EXE_evodoctor"), machine.folder.path().join("bin/evodoctor"))
            .expect("a link");
        machine
    }

    fn url(&self) -> String {
        format!("{}&schema={SCHEMA}", self.server.url("evolution"))
    }

    fn lay(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).expect("writable");
    }

    fn copy(&self, from: &str, to: &str) {
        self.lay(to, &fs::read(Path::new(ROOT).join(from)).expect("readable"));
    }

    /// Runs command lines as bash does, and expects that it works.
    #[track_caller]
    fn types(&self, line: &str) {
        let mut command = Command::new("bash");
        let path = format!("{}/bin:{}", self.folder.path().display(), std::env::var("PATH").expect("a PATH"));
        let output = command
            .args(["-eo", "pipefail", "-c", line])
            .current_dir(self.folder.path())
            .env_remove("DATABASE_URL")
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .env("STAND_IN_FOR_ROOT", ROOT)
            .env("DATABASE_CONNECTION_URI", self.url())
            .env("PGHOST", self.server.directory())
            .env("PGPORT", self.server.port().to_string())
            .env("PGUSER", "postgres")
            .env("EVODOCTOR_URL", "https://example.org/evodoctor.tar.gz")
            .env("GITHUB_PATH", self.folder.path().join("path"))
            .env("DUMP", "s3://backups/evolution.dump")
            .env("DUMP_URL", "https://example.org/evolution.dump")
            .env("GITHUB_STEP_SUMMARY", self.folder.path().join("summary.md"))
            .output()
            .expect("bash starts");
        let code = output.status.code();
        let may_find = finds(line) && code == Some(1);
        assert!(
            code == Some(0) || may_find,
            "{line}\nended with {code:?}\n{}\n{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// True if a command line may end with 1, which says that something was found or is pending.
fn finds(line: &str) -> bool {
    let line = line.split("  #").next().unwrap_or_default();
    let looks = ["check", "fix", "undo", "preflight", "logs", "credentials share", "credentials release"];
    let asks = looks.iter().any(|command| line.contains(&format!("evodoctor {command} ")));
    asks && !["--apply", "--write-baseline", "--emit"].iter().any(|option| line.contains(option))
}

/// The scripts of a CI job: each `query` step of GitHub's; of GitLab's `before_script` and `script`, which share a shell.
fn steps(yaml: &str) -> Vec<String> {
    let document: serde_json::Value = serde_yaml_ng::from_str(yaml).expect("YAML");
    // Rules for Prometheus, which types nothing.
    if document.get("groups").is_some() {
        return Vec::new();
    }
    let list =
        |path: &str| document.pointer(path).and_then(|list| list.as_array()).cloned().unwrap_or_default();
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let steps: Vec<String> =
        list("/jobs/evodoctor/steps").iter().filter_map(|step| text(step.get("run")?)).collect();
    if !steps.is_empty() {
        return steps;
    }
    let lines = [list("/evodoctor/before_script"), list("/evodoctor/script")].concat();
    assert!(!lines.is_empty(), "a job that does nothing, or of a kind that this test does not know:\n{yaml}");
    vec![lines.iter().filter_map(text).collect::<Vec<_>>().join("\n")]
}

/// Runs the blocks of a file, and returns the number of commands.
async fn run_blocks(machine: &Machine, file: &str) -> usize {
    let mut run = 0;
    for block in blocks(file) {
        match block.kind.as_str() {
            "sh" => {
                for line in block.text.replace("\\\n", " ").lines() {
                    machine.types(&interrupted(line));
                    run += 1;
                }
            }
            // A worked example, which is not in the tree.
            file if file.starts_with("sql ") => {}
            "sql" => {
                machine.lay("block.sql", block.text.as_bytes());
                machine.types("psql -X -q -v ON_ERROR_STOP=1 -f block.sql evolution");
                run += 1;
            }
            "yaml" => steps(&block.text).iter().for_each(|step| {
                machine.types(step);
                run += 1;
            }),
            // Its first line says which file it is; what comes after it reads that file.
            "toml" => {
                let name = block.text.strip_prefix("# ").and_then(|text| text.split_whitespace().next());
                machine.lay(name.expect("a comment that begins with the file's name"), block.text.as_bytes());
            }
            "text" => {}
            other => panic!("a block of kind {other:?}, which this test does not run:\n{}", block.text),
        }
    }
    run
}

/// A user who follows a log ends it with Ctrl-C.
fn interrupted(line: &str) -> String {
    match line.contains("--follow") {
        true => format!("timeout --preserve-status --signal=INT 2 {line}"),
        false => line.to_owned(),
    }
}

#[tokio::test]
async fn every_command_block_runs() {
    let machine = Machine::new().await;
    let run = run_blocks(&machine, "README.md").await;
    assert!(run > 20, "only {run} commands: are the blocks still found?");
    let doctor = machine.url().replacen("postgres@", "doctor@", 1);
    let lines =
        ["check", "preflight"].map(|command| format!("evodoctor {command} --database-url '{doctor}'"));
    // The rights that the help of check names are enough.
    let help = Evodoctor::new(["help", "check"]).run().ends(0).stdout;
    let grants: Vec<&str> = help.lines().map(str::trim).filter(|line| line.starts_with("GRANT ")).collect();
    assert_eq!(grants.len(), 4, "{grants:?}");
    machine.lay("grants.sql", grants.join("\n").as_bytes());
    machine.types("psql -X -q -v ON_ERROR_STOP=1 -f grants.sql evolution");
    lines.iter().for_each(|line| machine.types(line));
    let size = fs::metadata(Path::new(ROOT).join("README.md")).expect("there is a README").len();
    assert!(
        size <= 14 * 1024,
        "the README has {size} bytes: explanations belong into evodoctor help COMMAND"
    );
}

#[tokio::test]
async fn every_command_block_in_a_folders_readme_runs() {
    let machine = Machine::new().await;
    for file in ["sql/README.md", "tests/README.md", "src/evolution/facts/README.md"] {
        let run = run_blocks(&machine, file).await;
        assert!(run > 0, "{file} has no command");
    }
}

/// In the order in which a reader comes by them: what `fix` has repaired is undone afterwards.
const COMMANDS: [&str; 12] = [
    "check",
    "snapshot",
    "fix",
    "credentials",
    "history",
    "undo",
    "preflight",
    "logs",
    "explain",
    "demo",
    "completions",
    "man",
];

#[tokio::test]
async fn every_example_in_a_help_text_runs() {
    let mut known = evodoctor::cli::command_names();
    known.sort_unstable();
    let mut here = COMMANDS.to_vec();
    here.sort_unstable();
    assert_eq!(here, known, "each command has its examples");
    let machine = Machine::new().await;
    for arguments in [vec!["--help"]].into_iter().chain(COMMANDS.map(|command| vec!["help", command])) {
        let help = Evodoctor::new(&arguments).env("COLUMNS", "110").run().ends(0).stdout.replace("\\\n", " ");
        let examples: Vec<&str> = help.lines().filter_map(|line| line.strip_prefix("  $ ")).collect();
        assert!(!examples.is_empty(), "{arguments:?} has no examples");
        examples.iter().for_each(|line| machine.types(&interrupted(line)));
        if arguments.last() == Some(&"check") {
            files_in_the_help_of_check_are_read(&machine, &help);
        }
    }
}

/// The lines of an indented block, from one of them on.
fn indented(help: &str, first: &str) -> String {
    let lines = help.lines().skip_while(|line| line.trim() != first).map(|line| line.strip_prefix("    "));
    let block: Vec<&str> = lines.map_while(|line| line).collect();
    assert!(block.len() > 3, "no block begins with {first}");
    block.join("\n")
}

fn files_in_the_help_of_check_are_read(machine: &Machine, help: &str) {
    machine.lay("evodoctor.toml", indented(help, "fail-on = \"error\"").as_bytes());
    machine.types("evodoctor check --config evodoctor.toml --env-file .env");
    machine.lay("targets.toml", indented(help, "[[target]]").as_bytes());
    machine.types("evodoctor check --targets targets.toml --quiet");
    let alarms: serde_json::Value = serde_yaml_ng::from_str(&indented(help, "groups:")).expect("YAML");
    assert_eq!(alarms["groups"][0]["rules"].as_array().map(Vec::len), Some(2), "{alarms}");
    fs::remove_file(machine.folder.path().join("evodoctor.toml")).expect("it was there");
}

#[test]
fn help_texts_are_not_wrapped() {
    for entry in fs::read_dir(Path::new(ROOT).join("src/cli/help")).expect("there are help texts") {
        let path = entry.expect("readable").path();
        let text = fs::read_to_string(&path).expect("readable");
        let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 108).collect();
        assert!(long.is_empty(), "{}: {long:?}", path.display());
    }
}

#[test]
fn short_help_has_one_line_per_option() {
    for command in COMMANDS {
        let help = Evodoctor::new([command, "-h"]).env("COLUMNS", "110").run().ends(0).stdout;
        let (_, options) = help.split_once("Options:\n").expect("options");
        for line in options.lines().filter(|line| !line.is_empty() && !line.ends_with("options:")) {
            let starts = line.trim_start().starts_with('-') && line.len() - line.trim_start().len() <= 6;
            assert!(starts, "evodoctor {command} -h goes on in a second line: {line:?}");
        }
    }
}

#[test]
fn commands_without_a_database_list_no_options_of_one() {
    for command in ["explain", "demo", "completions", "man"] {
        let help = Evodoctor::new([command, "--help"]).run().ends(0).stdout;
        assert!(!help.contains("--database-url <") && !help.contains("--select <"), "{help}");
        let call = if command == "completions" { vec![command, "bash"] } else { vec![command] };
        let typed = ["--schema", "x"];
        let before = Evodoctor::new(typed.iter().chain(&call)).run();
        before.ends(2).complains(&["does not take --schema"]);
        Evodoctor::new(call.iter().chain(&typed)).run().ends(2).complains(&["'--schema'"]);
    }
    // The others take them on either side.
    for arguments in [["--snapshot", "/nope", "check"], ["check", "--snapshot", "/nope"]] {
        Evodoctor::new(arguments).run().ends(2).complains(&["/nope"]);
    }
}
