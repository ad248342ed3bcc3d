//! Promise: the database that is named is the one that is connected to, as psql or Evolution would; what only lies here is said and
//! not used; and where it is not reached, what is said fits to where it is.

use std::fs;
use std::path::Path;
use std::process::Command;

use evodoctor::database::scratch_server::{ScratchServer, ScratchServerOptions};
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::start;
use crate::support::database::execute;
use crate::support::program::{Evodoctor, Run};

/// A server over TCP, with two databases that hold no Evolution, and a role with a password that may use them.
async fn server() -> ScratchServer {
    let server = start(ScratchServerOptions { tcp: true, ..ScratchServerOptions::default() }).await;
    let mut admin = server.connect_options("postgres").connect().await.expect("it answers");
    execute(&mut admin, "CREATE ROLE evolution LOGIN PASSWORD 'hunter2'").await;
    for database in ["one", "two"] {
        execute(&mut admin, &format!("CREATE DATABASE {database}")).await;
    }
    admin.close().await.expect("a clean end");
    server
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).expect("writable");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(&path, private).expect("ours");
    }
    folder
}

fn check(home: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
    let program = Evodoctor::new(["check", "-v"].iter().chain(arguments)).within(home).env("HOME", home);
    variables.iter().fold(program, |program, (name, value)| program.env(name, value)).run()
}

/// The database that it reaches, recognised by its name because it has no Evolution tables.
#[track_caller]
fn reached(run: &Run) -> &'static str {
    match ["one", "two"].into_iter().find(|name| run.stderr.contains(&format!("\"{name}\""))) {
        Some(name) if run.stderr.contains("Evolution") => name,
        _ => panic!("none is reached: {}", run.stderr),
    }
}

/// What psql gets to with the same variables.
fn psql(home: &Path, connection: &str, variables: &[(&str, &str)]) -> String {
    let mut psql = Command::new("psql");
    psql.env_clear().env("PATH", std::env::var_os("PATH").expect("a PATH")).env("HOME", home);
    psql.envs(variables.iter().copied());
    let output = psql.args(["-XAtwc", "SELECT current_database()", connection]).output().expect("psql runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

#[tokio::test]
async fn libpqs_variables_services_and_passwords_work_as_in_psql() {
    let server = server().await;
    let port = server.port().to_string();
    let services = format!(
        "[one]\nhost=127.0.0.1\nport={port}\ndbname=one\nuser=evolution\n[two]\nhost=127.0.0.1\nport={port}\ndbname=two\n\
         user=evolution\npassword=hunter2\n"
    );
    let home = folder(&[
        (".pg_service.conf", &services),
        ("elsewhere.conf", &services.replace("=one", "=two")),
        (".pgpass", &format!("127.0.0.1:{port}:*:evolution:hunter2\n")),
        ("wrong.pgpass", "*:*:*:*:wrong\n"),
    ]);
    let home = home.path();
    let elsewhere = home.join("elsewhere.conf").display().to_string();
    let basic = [("PGHOST", "127.0.0.1"), ("PGPORT", &port), ("PGUSER", "evolution"), ("PGDATABASE", "one")];
    for (connection, variables, expected) in [
        ("", vec![("PGSERVICE", "one")], "one"),
        ("", vec![("PGSERVICE", "two")], "two"),
        ("", vec![("PGSERVICE", "one"), ("PGSERVICEFILE", &elsewhere)], "two"),
        ("", vec![("PGSERVICE", "one"), ("PGDATABASE", "two")], "one"),
        ("postgresql:///?service=one", vec![], "one"),
        ("postgresql:///two?service=one", vec![], "two"),
        ("postgresql://127.0.0.1/?service=two", vec![("PGSERVICE", "one")], "two"),
        ("", basic.to_vec(), "one"),
        ("postgresql:///two", basic.to_vec(), "two"),
        ("", [&basic[..], &[("PGPASSWORD", "hunter2"), ("PGPASSFILE", "/nowhere")]].concat(), "one"),
        ("", [&basic[1..], &[("PGHOSTADDR", "127.0.0.1")]].concat(), "one"),
        ("postgresql://nowhere.invalid/two?hostaddr=127.0.0.1", basic[1..].to_vec(), "two"),
    ] {
        // psql looks a password for an address up by the name that goes with it.
        let named = connection.contains("nowhere.invalid");
        let password = [("PGPASSWORD", "hunter2")];
        let variables = if named { [&variables[..], &password].concat() } else { variables };
        assert_eq!(psql(home, connection, &variables), expected, "psql {connection} {variables:?}");
        let option = ["--database-url", connection];
        let arguments = if connection.is_empty() { &[][..] } else { &option };
        let run = check(home, arguments, &variables).ends(2);
        assert_eq!(reached(&run), expected, "{connection} {variables:?}");
        assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    let wrong = home.join("wrong.pgpass").display().to_string();
    let other_file = [&basic[..], &[("PGPASSFILE", &wrong)]].concat();
    check(home, &[], &other_file).ends(2).complains(&["password authentication failed"]);
    check(home, &[], &[&basic[..], &[("PGSSLMODE", "require")]].concat())
        .ends(2)
        .complains(&["offers no TLS"]);
}

#[test]
fn parameters_that_change_the_target_are_never_ignored() {
    let home = folder(&[]);
    let refused = |arguments: &[&str], variables: &[(&str, &str)], texts: &[&str]| {
        check(home.path(), arguments, variables).ends(2).complains(texts);
    };
    let url = |parameters: &str| format!("postgresql://u:p@127.0.0.1:1/d?{parameters}");
    for (parameters, text) in [
        ("service=nowhere", "there is no service \"nowhere\""),
        ("service=x&servicefile=/no/such/file", "/no/such/file cannot be read"),
        ("hostaddr=name", "hostaddr=name in the connection string is not an address"),
        ("hostaddr=127.0.0.1&sslmode=verify-full", "hostaddr replaces"),
        ("host=a,b", "names several servers"),
        ("sevice=x", "but service is"),
        ("sslmod=require", "but sslmode is"),
        ("options=geqo", "which is not a setting"),
        ("requirepeer=postgres", "requirepeer postgres, which evodoctor does not support"),
        ("sslnegotiation=direct", "sslnegotiation direct"),
    ] {
        refused(&["--database-url", &url(parameters)], &[], &[text]);
    }
    let plain = url("");
    let option = ["--database-url", plain.as_str()];
    for (variable, value, text) in [
        ("PGHOSTADDR", "10.0.0.7", "psql would connect to another server than 127.0.0.1"),
        ("PGPORT", "many", "port=many in the variable PGPORT"),
        ("PGSERVICE", "nowhere", "there is no service \"nowhere\""),
        ("PGSSLMODE", "always", "sslmode=always"),
        ("PGREQUIREAUTH", "scram-sha-256", "the variable PGREQUIREAUTH asks for require_auth scram-sha-256"),
        ("PGGSSENCMODE", "require", "gssencmode require"),
    ] {
        refused(&option, &[(variable, value)], &[text]);
    }
    refused(&[], &[("PGHOST", "a,b")], &["the variable PGHOST names several servers"]);
    // Parameters of Prisma or a pooler that make no difference are accepted.
    let harmless = url(
        "channel_binding=require&keepalives=1&target_session_attrs=any&connection_limit=5&gssencmode=prefer",
    );
    refused(&["--database-url", &harmless], &[], &["no server listens on 127.0.0.1:1"]);
}

#[tokio::test]
async fn the_source_of_the_connection_string_is_shown_and_their_order_is_fixed() {
    let server = server().await;
    let url =
        |database: &str| format!("postgresql://evolution:hunter2@127.0.0.1:{}/{database}", server.port());
    let (one, two) = (url("one"), url("two"));
    let compose = format!("services:\n  api:\n    environment:\n      DATABASE_CONNECTION_URI: {one}\n");
    let home = folder(&[(".env", &format!("DATABASE_URL='{one}'")), ("docker-compose.yml", &compose)]);
    let both =
        [("DATABASE_CONNECTION_URI", one.as_str()), ("DATABASE_URL", two.as_str()), ("PGDATABASE", "two")];
    for (arguments, variables, origin, expected) in [
        (vec!["--database-url", &two], &both[..], "from --database-url", "two"),
        (vec!["--env-file", ".env"], &both[1..], "from .env", "one"),
        (
            vec!["--compose", "docker-compose.yml"],
            &both[1..],
            "from the service api in docker-compose.yml",
            "one",
        ),
        (vec![], &both[..], "from the variable DATABASE_CONNECTION_URI", "one"),
        (vec![], &both[1..], "from the variable DATABASE_URL", "two"),
    ] {
        let run = check(home.path(), &arguments, variables).ends(2);
        assert_eq!(reached(&run), expected, "{arguments:?}");
        let lines = run.stderr.lines().filter(|line| line.contains("connection string from")).count();
        assert_eq!(lines, 1, "{}", run.stderr);
        assert!(run.stderr.contains(origin) && !run.stderr.contains("hunter2"), "{}", run.stderr);
    }
    // Nothing is named: what lies here is said, and not used.
    check(home.path(), &[], &[]).ends(2).complains(&[
        "no database is named",
        "found in .env: run with --env-file .env",
        "found in docker-compose.yml (service api): run with --compose docker-compose.yml",
    ]);
}

#[test]
fn a_server_in_a_container_network_gets_a_hint_with_a_working_command() {
    let text = "name: evo\nservices:\n  api:\n    image: evoapicloud/evolution-api:v2.3.7\n    environment:\n      \
                DATABASE_CONNECTION_URI: postgresql://u:hunter2@postgres-of-evo:5432/d\n  postgres-of-evo:\n    image: postgres:15\n";
    let closed = folder(&[("compose.yaml", text)]);
    let run = check(closed.path(), &["--compose", "compose.yaml"], &[]).ends(2);
    assert!(!run.stderr.contains("hunter2"), "{}", run.stderr);
    // In a container, where these tests may run as well, localhost is something else, and other commands help.
    let is_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists());
    // These tests build a program that needs a libc.
    let next = match is_container {
        true => ["let this container into that network", "docker network connect evo_default"],
        false => ["docker run --rm --network evo_default", "/evodoctor check --compose compose.yaml"],
    };
    let said = "the host name postgres-of-evo cannot be resolved here: it is the service postgres-of-evo of compose.yaml";
    run.complains(&[said, next[0], next[1]]);
    let here = ["--database-url", "postgresql://u:hunter2@127.0.0.1:1/d"];
    let unpublished = match is_container {
        true => "localhost is this container itself",
        false => "refused; postgres-of-evo of compose.yaml does not publish its port on this machine",
    };
    check(closed.path(), &here, &[]).ends(2).complains(&[unpublished]);

    let open =
        folder(&[("compose.yaml", &format!("{text}    ports: ['127.0.0.1:${{DB_PORT:-5433}}:5432']\n"))]);
    let next = match is_container {
        true => "docker network connect evo_default",
        false => "with localhost:5433 in the place of postgres-of-evo:5432",
    };
    check(open.path(), &["--compose", "compose.yaml"], &[]).ends(2).complains(&[next]);
    let published = if is_container { unpublished } else { "is published as 5433" };
    check(open.path(), &here, &[]).ends(2).complains(&[published]);

    let bare = folder(&[]);
    let url = ["--database-url", "postgresql://u@postgres-of-evo.invalid/d"];
    check(bare.path(), &url, &[])
        .ends(2)
        .complains(&["postgres-of-evo.invalid cannot be resolved here", "CONTAINER"]);
    let elsewhere = if is_container { unpublished } else { "check host and port" };
    check(bare.path(), &here, &[]).ends(2).complains(&[elsewhere]);
}
