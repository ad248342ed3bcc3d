//! Runs the program as a user would: the built binary, with a clean environment.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// A run of the program, being prepared.
pub struct Evodoctor {
    command: Command,
    input: Vec<u8>,
}

/// What a run left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What went to stdout.
    pub stdout: String,
    /// What went to stderr.
    pub stderr: String,
}

impl Evodoctor {
    /// The program with these arguments. No variable of the caller reaches it except PATH.
    pub fn new<I, S>(arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_evodoctor"));
        let path: OsString = std::env::var_os("PATH").unwrap_or_default();
        command.args(arguments).env_clear().env("PATH", path).env("HOME", env!("CARGO_TARGET_TMPDIR"));
        Self { command, input: Vec::new() }
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Works in a folder.
    #[must_use]
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Gives it something to read on stdin.
    #[must_use]
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = input.into();
        self
    }

    /// Starts it and leaves it running, with its output in pipes: [`ended`] waits for it.
    pub fn spawn(mut self) -> Child {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.command.spawn().expect("the program starts")
    }

    /// Runs it to its end.
    pub fn run(mut self) -> Run {
        self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        // A thread of its own: a large input and a large output must not wait for each other.
        let feeder = std::thread::spawn(move || drop(stdin.write_all(&self.input)));
        let run = ended(child);
        feeder.join().expect("writing does not panic");
        run
    }
}

/// A program that runs, and is listened to while it does.
pub struct Talking {
    child: Child,
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Talking {
    /// Listens to what it says on stderr.
    pub fn listen(mut child: Child) -> Self {
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok();
        });
        Self { child, lines, said: String::new() }
    }

    /// Waits until it prints this. The test can use its server in the meantime.
    pub async fn once(mut self, text: &str) -> Self {
        let text = text.to_owned();
        let listening = tokio::task::spawn_blocking(move || {
            while !self.said.contains(&text) {
                let line = self.lines.recv_timeout(Duration::from_secs(60));
                let line = line.unwrap_or_else(|_| panic!("it never says {text:?}, but:\n{}", self.said));
                self.said.push_str(&line);
                self.said.push('\n');
            }
            self
        });
        listening.await.expect("it says so")
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child");
    }

    /// Waits for it to end.
    pub async fn end(self) -> Run {
        let listening = tokio::task::spawn_blocking(move || {
            let run = ended(self.child);
            let rest = self.lines.iter().map(|line| line + "\n").collect::<String>();
            Run { stderr: self.said + &rest, ..run }
        });
        listening.await.expect("it ends")
    }
}

/// Waits for a program to end.
pub fn ended(child: Child) -> Run {
    let output = child.wait_with_output().expect("the program ends");
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

impl Run {
    /// Expects an exit code; the panic shows what the program said.
    #[track_caller]
    pub fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Expects every one of the texts on stderr.
    #[track_caller]
    pub fn complains(self, texts: &[&str]) -> Self {
        // Long lines may be wrapped, and names are quoted as the sentence needs it.
        let said = self.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in texts {
            assert!(said.contains(text), "no {text:?} in:\n{}\nstdout:\n{}", self.stderr, self.stdout);
        }
        self
    }

    /// Expects every one of the texts on stdout.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Self {
        let said = self.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        for text in texts {
            assert!(said.contains(text), "no {text:?} in:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        }
        self
    }

    /// What went to stdout, as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\nstdout: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// Runs the program with these arguments.
pub fn evodoctor(arguments: &[&str]) -> Run {
    Evodoctor::new(arguments).run()
}

/// Runs the program on the database at `url`.
pub fn on(url: &str, arguments: &[&str]) -> Run {
    Evodoctor::new(arguments.iter().copied().chain(["--database-url", url])).run()
}

/// Pipes a script to `sh -e`, with the program in its PATH and the connection string in the variable that Evolution reads.
pub fn shell(script: &str, url: &str, folder: &Path) -> Run {
    let program = Path::new(env!("CARGO_BIN_EXE_evodoctor")).parent().expect("a folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.arg("-e").current_dir(folder).env_clear().env("PATH", path).env("HOME", folder);
    command.env("DATABASE_CONNECTION_URI", url);
    Evodoctor { command, input: script.into() }.run()
}

/// Starts the program on the database at `url`, and leaves it running.
pub fn start_on(url: &str, arguments: &[&str]) -> Child {
    Evodoctor::new(arguments.iter().copied().chain(["--database-url", url])).spawn()
}
