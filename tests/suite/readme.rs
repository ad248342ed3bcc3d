//! Promise: every command block in the README runs, from the first to the last, in one folder and on one database with
//! the failures of the demo.
//!
//! What a reader's machine has and this one lacks (Docker, a cloud's tools), and what would take minutes (building the
//! program again), is stood in for by `readme/stand_in.sh`, which refuses every command line that it does not know.

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

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const SCHEMA: &str = "evolution_api";

/// The programs that are stood in for.
const STOOD_IN_FOR: [&str; 6] = ["apt-get", "aws", "cargo", "curl", "docker", "sudo"];

/// A fenced block: what stands behind the fence, and what is in it.
struct Block {
    kind: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("there is a README");
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
        symlink(Path::new(ROOT).join("tests"), machine.folder.path().join("tests")).expect("a link");
        fs::create_dir(machine.folder.path().join("bin")).expect("a folder");
        for program in STOOD_IN_FOR {
            let path = machine.folder.path().join("bin").join(program);
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

/// Whether a command line may end with 1, which says that something was found or is pending.
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

#[tokio::test]
async fn every_command_block_runs() {
    let machine = Machine::new().await;
    let mut run = 0;
    for block in blocks() {
        match block.kind.as_str() {
            "sh" => {
                for line in block.text.replace("\\\n", " ").lines() {
                    // Whoever follows a log ends it by Ctrl-C.
                    let follows = line.contains("--follow");
                    let line = if follows {
                        format!("timeout --preserve-status --signal=INT 2 {line}")
                    } else {
                        line.to_owned()
                    };
                    machine.types(&line);
                    run += 1;
                }
            }
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
    assert!(run > 30, "only {run} commands: are the blocks still found?");
    let doctor = machine.url().replacen("postgres@", "doctor@", 1);
    let lines =
        ["check", "preflight"].map(|command| format!("evodoctor {command} --database-url '{doctor}'"));
    lines.iter().for_each(|line| machine.types(line));
}
