//! Real proxies in front of a server that answers with the path it was asked for, byte for byte.
//!
//! They listen on sockets in a directory of their own, so no port can be taken, and run as an ordinary user.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The time that a proxy may take to listen on a loaded machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Runs a program until this process ends, however that happens.
const GUARD: &str = r#""$@" </dev/null & read -r _; kill -9 $!"#;

/// Debian's user without rights.
const NOBODY: u32 = 65534;

/// Which proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Haproxy,
    Caddy,
}

/// A running proxy, which ends with this value.
pub struct Proxy {
    guard: Child,
    directory: TempDir,
    /// What the proxy said of its configuration.
    pub checked: String,
}

impl Kind {
    /// As `--emit` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Caddy => "caddy",
        }
    }

    /// Its configuration with the emitted file in use, as the file's head says it is to be included.
    fn lay(self, directory: &Path, emitted: &str, server: u16) {
        let at = directory.display();
        let write = |name: &str, text: String| fs::write(directory.join(name), text).expect("writable");
        match self {
            Self::Nginx => {
                let line = marked(emitted, "#     if ").expect("the line to copy");
                let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
                    .concat();
                write("names.conf", emitted.to_owned());
                write(
                    "config",
                    format!(
                        "daemon off; master_process off; pid {at}/pid; error_log {at}/log; events {{}}\n\
                         http {{ access_log off; {temporary} include {at}/names.conf;\n\
                         server {{ listen unix:{at}/socket; if {line}\n\
                         error_page 502 /50x.html;\n\
                         location = /50x.html {{ return 200 \"the error page\\n\"; }}\n\
                         location /down/ {{ proxy_pass http://unix:{at}/nobody-listens; }}\n\
                         location /stripped/ {{ proxy_pass http://127.0.0.1:{server}/; }}\n\
                         location / {{ proxy_pass http://127.0.0.1:{server}; }} }} }}\n"
                    ),
                );
            }
            Self::Haproxy => {
                let map = directory.join("names.map");
                let lines: Vec<&str> = emitted.lines().filter_map(|line| line.strip_prefix("# | ")).collect();
                let lines =
                    lines.join("\n").replace("/etc/haproxy/evodoctor-names.map", &map.display().to_string());
                write("names.map", emitted.to_owned());
                write(
                    "config",
                    format!(
                        "defaults\n mode http\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n\
                         frontend proxy\n bind unix@{at}/socket\n{lines}\n default_backend echo\n\
                         backend echo\n server echo 127.0.0.1:{server}\n"
                    ),
                );
            }
            Self::Caddy => {
                write("names.caddy", emitted.to_owned());
                write(
                    "config",
                    format!(
                        "{{\n admin off\n auto_https off\n}}\n\
                         http:// {{\n bind unix/{at}/socket\n import {at}/names.caddy\n\
                         handle_path /stripped/* {{\n reverse_proxy 127.0.0.1:{server}\n }}\n\
                         reverse_proxy 127.0.0.1:{server}\n}}\n"
                    ),
                );
            }
        }
    }

    fn arguments(self, is_check: bool) -> &'static [&'static str] {
        match (self, is_check) {
            (Self::Nginx, true) => &["nginx", "-t", "-c"],
            (Self::Nginx, false) => &["nginx", "-c"],
            (Self::Haproxy, true) => &["haproxy", "-c", "-f"],
            (Self::Haproxy, false) => &["haproxy", "-db", "-f"],
            (Self::Caddy, true) => &["caddy", "validate", "--adapter", "caddyfile", "--config"],
            (Self::Caddy, false) => &["caddy", "run", "--adapter", "caddyfile", "--config"],
        }
    }
}

impl Proxy {
    /// Checks the configuration, expects that to succeed, and starts the proxy.
    pub fn start(kind: Kind, emitted: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("evodoctor-proxy-").tempdir().expect("a directory");
        let path = directory.path();
        kind.lay(path, emitted, echo());
        let is_root = path.metadata().expect("just made").uid() == 0;
        if is_root {
            chown(path, Some(NOBODY), Some(NOBODY)).expect("root may");
        }
        let prepare = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            command.args(arguments).current_dir(path).env_clear().env("PATH", with_sbin());
            command.env("HOME", path).env("XDG_DATA_HOME", path).env("XDG_CONFIG_HOME", path);
            if is_root {
                command.uid(NOBODY).gid(NOBODY);
            }
            command
        };
        let [program, arguments @ ..] = kind.arguments(true) else { unreachable!("a program") };
        let Output { status, stdout, stderr } = prepare(program, arguments)
            .arg(path.join("config"))
            .output()
            .unwrap_or_else(|error| panic!("{program} does not run ({error}): tests/setup.sh installs it"));
        let checked = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        assert!(status.success(), "{checked}");

        let log = fs::File::create(path.join("output")).expect("writable");
        let mut guard = prepare("/bin/sh", &["-c", GUARD, "guard"]);
        guard.args(kind.arguments(false)).arg(path.join("config")).stdin(Stdio::piped());
        guard.stdout(log.try_clone().expect("a second handle")).stderr(log);
        let guard = guard.spawn().expect("a shell starts");
        let proxy = Self { guard, directory, checked };
        let started = Instant::now();
        while UnixStream::connect(proxy.socket()).is_err() {
            let said = fs::read_to_string(proxy.directory.path().join("output")).unwrap_or_default();
            assert!(started.elapsed() < START_LIMIT, "{} does not listen:\n{said}", kind.name());
            thread::sleep(Duration::from_millis(10));
        }
        proxy
    }

    /// The path with its query that the server gets when a client asks for `target`.
    pub fn forwards(&self, target: &str) -> String {
        let (path, _) = self.sends("GET", target, "");
        path
    }

    /// The same with a body: what the server gets as path and as body.
    pub fn sends(&self, method: &str, target: &str, body: &str) -> (String, String) {
        let mut stream = UnixStream::connect(self.socket()).expect("the proxy listens");
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: evolution\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("the proxy reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("the proxy answers");
        let (_, answer) = response.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{target}: {response}"));
        let (path, body) = answer.split_once('\n').unwrap_or_else(|| panic!("{target}: {response}"));
        (path.to_owned(), body.to_owned())
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("socket")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// What is behind the mark in the head's line that begins with it.
fn marked<'e>(emitted: &'e str, mark: &str) -> Option<&'e str> {
    emitted.lines().find_map(|line| line.strip_prefix(mark))
}

/// An ordinary user's PATH lacks the directory that holds servers.
fn with_sbin() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin");
    path
}

/// A server that answers with the target of the request line and the request's body, on this port.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Answers one request; a proxy that closes the connection is fine.
fn answer(mut stream: TcpStream) -> Option<()> {
    let mut read = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        read.extend_from_slice(&buffer[..length]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.to_ascii_lowercase();
        let length = length
            .split_once("content-length:")
            .and_then(|(_, rest)| rest.lines().next()?.trim().parse().ok());
        if body.len() < length.unwrap_or(0_usize) {
            continue;
        }
        let target = head.split(' ').nth(1)?;
        let answer = format!("{target}\n{body}");
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
        return stream.write_all((head + &answer).as_bytes()).ok();
    }
}
