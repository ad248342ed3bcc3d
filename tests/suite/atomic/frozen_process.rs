//! Frozen processes: the moment of a commit, and a stopped evodoctor.

use std::time::{Duration, Instant};

use sqlx::{ConnectOptions, Connection, PgConnection};

use super::interrupted_runs::{FIX, Home, Patient};
use crate::support::database::execute;
use crate::support::killable_server::signal;
use crate::support::program::{ended, start_on};
use crate::support::wire_proxy::{At, Side};

async fn backend(connection: &mut PgConnection) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(connection).await.expect("a number")
}

async fn holds(connection: &mut PgConnection, sql: &'static str) {
    let started = Instant::now();
    while !sqlx::query_scalar::<_, bool>(sql).fetch_one(&mut *connection).await.expect("readable") {
        assert!(started.elapsed() < Duration::from_secs(60), "{sql}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The rows are treated, and the ledger is about to say so.
#[tokio::test]
async fn commit_is_all_or_nothing_with_its_ledger_entry() {
    let mut patient = Patient::new(false, 10).await;
    let url = patient.url();
    for name in ["-KILL", "-INT", "terminate"] {
        // It may be read and not written.
        let mut reader = patient.options().connect().await.expect("it answers");
        execute(&mut reader, "BEGIN; LOCK TABLE evodoctor.run IN SHARE MODE").await;
        patient.spared = backend(&mut reader).await;
        let child = start_on(&url, &FIX);
        holds(
            &mut patient.connection,
            "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'evodoctor.run'::regclass)",
        )
        .await;
        if name == "terminate" {
            let sql =
                format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {}", patient.others());
            execute(&mut patient.connection, &sql).await;
        } else {
            signal(name, child.id());
        }
        let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends");
        patient.quiet().await;
        execute(&mut reader, "COMMIT").await;
        reader.close().await.expect("it is ours to close");
        assert_ne!(run.code, Some(0), "{run:?}");
        assert!(!patient.is_fixed().await, "{name}");
    }
    patient.run(&FIX);
    assert!(patient.is_fixed().await);
}

/// A program that is stopped, or a machine that sleeps, does not keep its locks.
#[tokio::test]
async fn a_frozen_process_loses_its_locks() {
    let mut patient = Patient::new(false, 10).await;
    let (send, receive) = std::sync::mpsc::channel::<u32>();
    let stop = move || signal("-STOP", receive.recv().expect("the program has a number"));
    let late = patient.messages.0 - 5;
    patient.wire.arm(At::Message(late, Side::After(Duration::from_millis(50))), Some(Box::new(stop)));
    let child = start_on(&patient.url(), &FIX);
    send.send(child.id()).expect("it is waited for");
    holds(
        &mut patient.connection,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'idle in transaction'
             AND datname = current_database() AND clock_timestamp() - state_change > interval '2 s')",
    )
    .await;
    patient.quiet().await;
    signal("-CONT", child.id());
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(2);
    run.complains(&["nothing has been changed"]);
    assert!(!patient.is_fixed().await);
    patient.run(&FIX);
}

/// If the server's answer to a COMMIT is lost, the outcome is unknown: the message says so, and how to find out.
#[tokio::test]
async fn an_unknown_commit_outcome_is_reported_as_unknown() {
    let patient = Patient::new(true, 10).await;
    let Home::Own(server) = &patient.home else { unreachable!("it has one of its own") };
    let postmaster = server.postmaster().expect("it runs");
    // Told to stop at once, it takes its processes with it; killed, it would leave them to finish.
    let kill = move || {
        signal("-QUIT", postmaster);
        let started = Instant::now();
        while std::path::Path::new(&format!("/proc/{postmaster}")).exists()
            && started.elapsed().as_secs() < 20
        {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    patient.wire.arm(At::Commit(Side::Before), Some(Box::new(kill)));
    let child = start_on(&patient.url(), &FIX);
    let run = tokio::task::spawn_blocking(|| ended(child)).await.expect("it ends").ends(2);
    run.complains(&[
        "the connection was lost while committing run 3",
        "either all of it is committed, or nothing",
        "next: when the server is back, evodoctor history --database-url",
        "shows which",
    ]);
}
