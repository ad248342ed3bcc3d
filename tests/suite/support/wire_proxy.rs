//! A wire between the program and the server that counts the program's messages, and does something at one of them: what
//! happens at a moment is then the same moment on every machine.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// At this message of the program, from 1 on; a moment after it was handed on, or before.
    Message(u64, Side),
    /// At the COMMIT.
    Commit(Side),
}

/// Before or after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The server does not get it before it has happened.
    Before,
    /// The server has had it for so long.
    After(Duration),
}

type Act = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Shared {
    armed: Mutex<Option<(At, Option<Act>)>>,
    seen: Mutex<u64>,
}

/// The wire. Its threads end with the connections.
pub struct Wire {
    port: u16,
    shared: Arc<Shared>,
}

impl Wire {
    /// To the server behind this socket.
    pub fn to(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::<Shared>::default();
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (shared, socket) = (Arc::clone(&ours), socket.clone());
                thread::spawn(move || connect(client, &socket, &shared));
            }
        });
        Self { port, shared }
    }

    /// The connection string through it.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.port)
    }

    /// Resets the counters, once at that moment. Without anything to do, the connection is cut.
    pub fn arm(&self, at: At, act: Option<Act>) {
        *self.shared.seen.lock().expect("no panic") = 0;
        *self.shared.armed.lock().expect("no panic") = Some((at, act));
    }

    /// Lets everything through, and resets the counters.
    pub fn disarm(&self) {
        *self.shared.seen.lock().expect("no panic") = 0;
        *self.shared.armed.lock().expect("no panic") = None;
    }

    /// The number of messages the program has sent since.
    pub fn count(&self) -> u64 {
        *self.shared.seen.lock().expect("no panic")
    }
}

fn connect(mut client: TcpStream, socket: &Path, shared: &Shared) -> Option<()> {
    // No server there: the client notices the end of its connection.
    let mut server = UnixStream::connect(socket).ok()?;
    let (mut back, mut answers) = (client.try_clone().ok()?, server.try_clone().ok()?);
    thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Both);
    });
    let ended = forward(&mut client, &mut server, shared);
    let _ = server.shutdown(Shutdown::Both);
    let _ = client.shutdown(Shutdown::Both);
    ended
}

/// Hands on message by message.
fn forward(client: &mut TcpStream, server: &mut UnixStream, shared: &Shared) -> Option<()> {
    let mut is_first = true;
    loop {
        // The first message has no letter in front.
        let mut message = vec![0; if is_first { 4 } else { 5 }];
        read(client, &mut message)?;
        let length = u32::from_be_bytes(message[message.len() - 4..].try_into().ok()?) as usize;
        let head = message.len();
        message.resize(head + length.checked_sub(4)?, 0);
        read(client, &mut message[head..])?;
        is_first = false;
        match due(&message, shared) {
            None => server.write_all(&message).ok()?,
            Some((Side::Before, act)) => {
                act?();
                server.write_all(&message).ok()?;
            }
            Some((Side::After(delay), act)) => {
                server.write_all(&message).ok()?;
                thread::sleep(delay);
                act?();
            }
        }
    }
}

fn due(message: &[u8], shared: &Shared) -> Option<(Side, Option<Act>)> {
    let mut seen = shared.seen.lock().expect("no panic");
    *seen += 1;
    let mut armed = shared.armed.lock().expect("no panic");
    let side = match armed.as_ref()?.0 {
        At::Message(number, side) if number == *seen => side,
        At::Commit(side) if message.starts_with(b"Q") && message[5..].starts_with(b"COMMIT") => side,
        _ => return None,
    };
    armed.take().map(|(_, act)| (side, act))
}

fn read(client: &mut TcpStream, buffer: &mut [u8]) -> Option<()> {
    match client.read_exact(buffer) {
        Ok(()) => Some(()),
        Err(error) if error.kind() == ErrorKind::Interrupted => read(client, buffer),
        Err(_) => None,
    }
}
