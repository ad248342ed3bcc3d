//! A dump is not trusted: it cannot run a program, read a file, or change the server.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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

    dumps.dump(&database, "link", &["-Fd", "-Z0"]);
    let rows = fs::read_dir(dumps.path("link")).unwrap().map(|entry| entry.unwrap().path());
    let rows = rows
        .filter(|path| !path.ends_with("toc.dat"))
        .max_by_key(|path| fs::metadata(path).unwrap().len())
        .unwrap();
    fs::remove_file(&rows).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &rows).unwrap();
    refused("link", rows.file_name().unwrap().to_str().unwrap());

    // A name of the same length, so that the table of contents stays whole.
    dumps.dump(&database, "name", &["-Fd", "-Z0"]);
    let contents = dumps.path("name").join("toc.dat");
    let text = fs::read(&contents).unwrap();
    let of_rows = rows.file_name().unwrap().to_str().unwrap().as_bytes();
    let at = text.windows(of_rows.len()).position(|window| window == of_rows).expect("it names its files");
    let mut forged = text.clone();
    forged[at..at + 3].copy_from_slice(b"../");
    fs::write(&contents, &forged).unwrap();
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
