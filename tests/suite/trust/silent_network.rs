//! A network that has gone silent, and a server that never answers: every command ends, by Ctrl-C and by itself.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::fixtures::Fixture;
use crate::support::killable_server::signal;
use crate::support::program::{ended, start_on};

/// A network path that forwards nothing any more, once it is told so, and still accepts connections.
struct Way {
    port: u16,
    is_silent: Arc<AtomicBool>,
}

impl Way {
    fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let is_silent = Arc::new(AtomicBool::new(false));
        let silent = Arc::clone(&is_silent);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(server) = UnixStream::connect(&socket) else { continue };
                let (client_too, server_too) =
                    (client.try_clone().expect("ours"), server.try_clone().expect("ours"));
                let (one, other) = (Arc::clone(&silent), Arc::clone(&silent));
                thread::spawn(move || hand_on(client, server_too, &one));
                thread::spawn(move || hand_back(server, client_too, &other));
            }
        });
        Self { port, is_silent }
    }

    fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }
}

fn hand_on(mut from: TcpStream, mut to: UnixStream, is_silent: &AtomicBool) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_silent.load(Relaxed) && to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

fn hand_back(mut from: UnixStream, mut to: TcpStream, is_silent: &AtomicBool) {
    let mut buffer = [0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        if !is_silent.load(Relaxed) && to.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

const COMMANDS: &[&[&str]] = &[
    &["check"],
    &["check", "--timeout", "1s"],
    &["fix"],
    &["fix", "--apply", "--allow", "deletes-rows,changes-rows"],
    &["undo", "1"],
    &["history"],
    &["preflight"],
    &["credentials", "list"],
];

/// The network is silent before the first answer to a statement: Ctrl-C ends each command, and it says so.
#[tokio::test]
async fn ctrl_c_ends_every_command_on_a_silent_network() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let way = Way::to(database.socket());
    // Connections come about, and then the network goes silent at some moment of the work.
    let mut interrupted = 0;
    for (number, arguments) in COMMANDS.iter().enumerate() {
        way.is_silent.store(false, Relaxed);
        let mut child = start_on(&way.url(database.name()), arguments);
        tokio::time::sleep(Duration::from_millis(20 + 5 * number as u64)).await;
        way.is_silent.store(true, Relaxed);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        // A quick one may have been done before.
        if child.try_wait().expect("a child").is_some() {
            continue;
        }
        interrupted += 1;
        let (pid, pressed) = (child.id(), Instant::now());
        signal("-INT", pid);
        let presser = thread::spawn(move || {
            // A second Ctrl-C.
            thread::sleep(Duration::from_secs(2));
            signal("-INT", pid);
        });
        let run = ended(child);
        presser.join().expect("it ends");
        assert!(pressed.elapsed() < Duration::from_secs(12), "{arguments:?} took {:?}", pressed.elapsed());
        assert_ne!(run.code, Some(0), "{arguments:?}: {run:?}");
    }
    assert!(interrupted > COMMANDS.len() / 2, "only {interrupted} were interrupted, which shows too little");
}

/// Without any Ctrl-C: the silence itself is noticed, and reported.
#[tokio::test]
async fn a_silent_network_is_noticed() {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    let way = Way::to(database.socket());
    let began = Instant::now();
    let children: Vec<_> = [&["check"][..], &["fix"], &["history"], &["check", "--timeout", "2s"]]
        .into_iter()
        .map(|arguments| (arguments, start_on(&way.url(database.name()), arguments)))
        .collect();
    tokio::time::sleep(Duration::from_millis(60)).await;
    way.is_silent.store(true, Relaxed);
    for (arguments, child) in children {
        let run = ended(child);
        assert!(began.elapsed() < Duration::from_secs(90), "{arguments:?} took {:?}", began.elapsed());
        assert!(run.code.is_some(), "{arguments:?}: {run:?}");
    }
}
