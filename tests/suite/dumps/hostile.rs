//! A dump is not trusted: it cannot run a program, read a file, or change the server.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use evodoctor::database::restore::confinement::Confinement;
use evodoctor::database::scratch_server::binaries::{self, Purpose};
use landlock::{AccessFs, Ruleset, RulesetAttr, RulesetCreated, RulesetStatus};

use super::{Dumps, snapshot};
use crate::support::database::{TestDatabase, execute};

#[tokio::test]
async fn a_hostile_dump_runs_nothing_and_reads_nothing() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let plain = fs::read_to_string(dumps.dump(&database, "plain.sql", &[])).unwrap();
    // Open to every user: nothing but the design keeps the file from being made.
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(dumps.path("."), open).unwrap();
    let proof = dumps.path("proof");
    let proof = proof.to_str().unwrap();
    let attacks = [
        format!("\\! touch {proof}"),
        format!("\\o |touch {proof}"),
        format!("\\setenv PAGER 'touch {proof}'"),
        format!("\\copy public.t FROM PROGRAM 'touch {proof}'"),
        format!("\\i {proof}"),
        format!("SELECT `touch {proof}`;"),
        format!("SELECT 1 \\g |touch {proof}\n;"),
        format!("COPY public.loot (a) FROM PROGRAM 'touch {proof}; echo 1';"),
        format!("COPY (SELECT 1) TO PROGRAM 'touch {proof}';"),
        format!("COPY (SELECT 1) TO '{proof}';"),
        "COPY public.loot (a) FROM '/etc/passwd';".to_owned(),
        "DO $$ BEGIN INSERT INTO public.loot VALUES (pg_read_file('/etc/passwd')); END $$;".to_owned(),
        "INSERT INTO public.loot SELECT pg_ls_dir('/');".to_owned(),
        format!("SELECT lo_export(lo_from_bytea(0, 'x'), '{proof}');"),
        format!("ALTER SYSTEM SET archive_command = 'touch {proof}';"),
        "ALTER ROLE CURRENT_USER SUPERUSER;".to_owned(),
        "GRANT pg_execute_server_program TO CURRENT_USER;".to_owned(),
        "SET SESSION AUTHORIZATION postgres;".to_owned(),
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS 'libc.so.6', 'system';".to_owned(),
        "CREATE EXTENSION dblink; CREATE EXTENSION file_fdw;".to_owned(),
        "DROP DATABASE postgres;".to_owned(),
    ];
    let loot = "CREATE TABLE public.loot (a text);\n";
    let dump = dumps.write("hostile.sql", format!("{loot}{}\n{plain}", attacks.join("\n")));
    let report = snapshot(&dump, &["check", "--format", "json", "--fail-on", "error"]).ends(0).json();
    assert!(!dumps.path("proof").exists(), "the dump ran a program");
    let restore = &report["database"]["restore"];
    assert_eq!(restore["without_rows"], serde_json::json!(["loot"]), "{restore}");
    let refused =
        restore["complaints"].as_array().unwrap().len() as u64 + restore["ignored"].as_u64().unwrap();
    let statements = attacks.iter().filter(|attack| !attack.starts_with('\\')).count() as u64;
    assert!(refused > statements, "{refused} of {statements} are refused: {restore}");
}

/// A trigger runs with the rights of the role that changes the table: a dry run must not run it as a superuser.
#[tokio::test]
async fn a_hostile_trigger_gains_nothing_in_a_dry_run() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(dumps.path("."), open).unwrap();
    let proof = dumps.path("proof");
    let mut connection = database.connect().await;
    let sql = format!(
        "CREATE FUNCTION public.attack() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             BEGIN COPY (SELECT 1) TO PROGRAM 'touch {}'; EXCEPTION WHEN insufficient_privilege THEN NULL; END;
             RETURN COALESCE(NEW, OLD); END $$;
         INSERT INTO evolution_api.\"IsOnWhatsapp\" (id, \"remoteJid\", \"jidOptions\", \"updatedAt\")
             VALUES ('x', '0@s.whatsapp.net', '', now());
         CREATE TRIGGER attack BEFORE DELETE ON evolution_api.\"IsOnWhatsapp\"
             FOR EACH ROW EXECUTE FUNCTION public.attack()",
        proof.display()
    );
    execute(&mut connection, &sql).await;
    let dump = dumps.dump(&database, "hostile.dump", &["-Fc"]);
    let run = snapshot(&dump, &["fix", "EVO109", "--format", "json"]);
    assert_eq!(run.json()["fixes"][0]["code"], "EVO109", "{}", run.stderr);
    assert!(!proof.exists(), "the trigger ran a program");
}

#[tokio::test]
async fn errors_show_no_row_values() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let dumps = Dumps::new();
    let plain = fs::read_to_string(dumps.dump(&database, "plain.sql", &[])).unwrap();
    let secret = "sk-9f8e7d6c5b4a39281706";
    let rows = format!(
        "CREATE TABLE evolution_api.numbers (a int PRIMARY KEY);\nCOPY evolution_api.numbers (a) FROM stdin;\n{secret}\n\\.\n\
         CREATE TABLE evolution_api.twice (a text);\nCOPY evolution_api.twice (a) FROM stdin;\n{secret}\n{secret}\n\\.\n\
         CREATE UNIQUE INDEX twice_key ON evolution_api.twice (a);\n"
    );
    // Inside of what pg_dump wrote: behind the schema, before its last words.
    let dump = plain.replace(
        "--\n-- PostgreSQL database dump complete",
        &format!("{rows}--\n-- PostgreSQL database dump complete"),
    );
    let dump = dumps.write("secret.sql", dump);
    let run = snapshot(&dump, &["check", "-v", "--fail-on", "error"]).ends(0);
    assert!(run.stdout.contains("twice_key") && run.stdout.contains("numbers"), "{}", run.stdout);
    assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{}{}", run.stdout, run.stderr);
}

/// pg_restore opens whatever a directory's table of contents names, and follows links: neither leads out of the dump.
#[tokio::test]
async fn a_dump_directory_with_outside_paths_is_not_read() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let instance = r#"INSERT INTO evolution_api."Instance" ("id", "name", "connectionStatus") VALUES ('i', 'alpha', 'open')"#;
    execute(&mut database.connect().await, instance).await;
    let dumps = Dumps::new();
    let refused = |name: &str, what: &str| {
        let run = snapshot(&dumps.path(name), &["check"]).ends(2);
        run.complains(&["refers to files outside of itself", what, "nothing of it was read"]);
    };

    let rows = dump_with_link(&dumps, &database, Path::new("/etc/passwd"));
    refused("link", &rows);
    let (contents, text, _) = dump_with_forged_name(&dumps, &database, &rows);
    refused("name", "its table of contents names");
    // As it was, it is read.
    fs::write(&contents, &text).unwrap();
    snapshot(&dumps.path("name"), &["check", "--fail-on", "never"]).ends(0);

    dumps.dump(&database, "torn", &["-Fd"]);
    let contents = dumps.path("torn").join("toc.dat");
    let text = fs::read(&contents).unwrap();
    fs::write(&contents, &text[..text.len() / 2]).unwrap();
    snapshot(&dumps.path("torn"), &["check"]).ends(2).complains(&["cannot be read"]);
}

/// A dump's directory, in which the file with the most rows is a link; the name of that file.
fn dump_with_link(dumps: &Dumps, database: &TestDatabase, to: &Path) -> String {
    dumps.dump(database, "link", &["-Fd", "-Z0"]);
    let rows = fs::read_dir(dumps.path("link")).unwrap().map(|entry| entry.unwrap().path());
    let rows = rows
        .filter(|path| !path.ends_with("toc.dat"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    fs::remove_file(&rows).unwrap();
    symlink(to, &rows).unwrap();
    rows.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A dump's directory, whose table of contents names a file beside the directory; its path, what it held before, and that file.
fn dump_with_forged_name(dumps: &Dumps, database: &TestDatabase, rows: &str) -> (PathBuf, Vec<u8>, PathBuf) {
    dumps.dump(database, "name", &["-Fd", "-Z0"]);
    let contents = dumps.path("name").join("toc.dat");
    let text = fs::read(&contents).unwrap();
    // A name of the same length, so that the table of contents stays whole.
    let at =
        text.windows(rows.len()).position(|window| window == rows.as_bytes()).expect("it names its files");
    let mut forged = text.clone();
    forged[at..at + 3].copy_from_slice(b"../");
    fs::write(&contents, &forged).unwrap();
    (contents, text, dumps.path(&rows[3..]))
}

/// Whether the kernel has Landlock, as a thread finds that is restricted by it and ends.
fn has_landlock() -> bool {
    let restricted = std::thread::spawn(|| {
        Ruleset::default()
            .handle_access(AccessFs::Execute)
            .and_then(Ruleset::create)
            .and_then(RulesetCreated::restrict_self)
    });
    restricted.join().unwrap().unwrap().ruleset != RulesetStatus::NotEnforced
}

/// What the check of a dump's names overlooks, pg_restore cannot read all the same, where the kernel has Landlock.
#[tokio::test]
async fn pg_restore_reads_the_dump_and_nothing_else() {
    let database = TestDatabase::new("2.3.7", "evolution_api").await;
    let instance = r#"INSERT INTO evolution_api."Instance" ("id", "name", "connectionStatus") VALUES ('i', 'alpha', 'open')"#;
    execute(&mut database.connect().await, instance).await;
    let dumps = Dumps::new();
    let secret = "a secret of the caller's";
    let outside = dumps.write("outside", format!("{secret}\n\\.\n"));
    let rows = dump_with_link(&dumps, &database, &outside);
    let (_, _, beside) = dump_with_forged_name(&dumps, &database, &rows);
    fs::copy(&outside, beside).unwrap();
    dumps.dump(&database, "whole", &["-Fd", "-Z0"]);

    let purpose = Purpose::Restore { dump: "a dump", is_archive: true };
    let program = binaries::find_newest(purpose, None).unwrap().join("pg_restore");
    let read = |dump: &Path, confinement: Option<Confinement>| -> Output {
        let mut command = Command::new(&program);
        command.args(["--data-only", "--file=-"]).arg(dump).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = match confinement {
            Some(confinement) => confinement.spawn(&mut command),
            None => command.spawn(),
        };
        child.and_then(std::process::Child::wait_with_output).unwrap()
    };
    let has = |output: &Output, text: &str| String::from_utf8_lossy(&output.stdout).contains(text);
    let has_landlock = has_landlock();
    for name in ["link", "name"] {
        let dump = dumps.path(name);
        assert!(
            has(&read(&dump, None), secret),
            "{name}: pg_restore does not follow it, so nothing is shown"
        );
        let confined = read(&dump, Some(Confinement::new(&program, &dump, Path::new("/nowhere"))));
        if has_landlock {
            let said = String::from_utf8_lossy(&confined.stderr);
            assert!(!has(&confined, secret) && said.contains("could not open"), "{name}: {said}");
        } else {
            println!("this kernel has no Landlock: pg_restore runs as any program does");
            assert!(has(&confined, secret), "{name}");
        }
    }
    let whole = dumps.path("whole");
    let confinement = Confinement::new(&program, &whole, Path::new("/nowhere"));
    let confined = read(&whole, Some(confinement));
    assert!(has(&confined, "alpha"), "{}", String::from_utf8_lossy(&confined.stderr));
    let run = snapshot(&whole, &["check", "-vv", "--fail-on", "never"]).ends(0);
    assert_eq!(run.stderr.contains("confined by Landlock"), has_landlock, "{}", run.stderr);
}
