//! A running program of PostgreSQL's, which ends with this value.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command};

use anyhow::{Context, Result};
use tokio::sync::mpsc;

/// Options for objects that belong to the original server. Every supported version of both programs knows them.
pub const WITHOUT_SERVER_OBJECTS: &[&str] = &[
    "--no-owner",
    "--no-acl",
    "--no-publications",
    "--no-subscriptions",
    "--no-security-labels",
    "--no-tablespaces",
];

/// pg_dump or pg_restore.
pub struct ClientProgram {
    name: &'static str,
    child: Child,
    /// Its stderr, line by line.
    said: mpsc::UnboundedReceiver<String>,
}

impl ClientProgram {
    /// Starts it; its stderr has to be piped.
    pub fn spawn(name: &'static str, command: &mut Command) -> Result<Self> {
        Self::attach(name, command.spawn())
    }

    /// One that has been started; its stderr has to be piped.
    ///
    /// # Errors
    /// When it could not be run.
    pub fn attach(name: &'static str, started: io::Result<Child>) -> Result<Self> {
        let mut child = started.with_context(|| format!("{name} cannot be run"))?;
        let stderr = child.stderr.take().context("stderr is piped")?;
        let (sender, said) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut lines = BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.by_ref().take(1 << 20).read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Ok(Self { name, child, said })
    }

    /// Its stdout, if that is piped; only once.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The next line that it says; `None` when it has ended.
    pub async fn next_line(&mut self) -> Option<String> {
        self.said.recv().await
    }

    /// Waits for its end, and whether it succeeded.
    pub fn wait(&mut self) -> Result<bool> {
        Ok(self.child.wait().context(self.name)?.success())
    }

    /// Waits for its end; if it failed, its first error and what it said after that, line by line.
    pub async fn ended(mut self) -> Result<Option<String>> {
        let error = format!("{}: error: ", self.name);
        let mut said: Vec<String> = Vec::new();
        while let Some(line) = self.said.recv().await {
            match line.strip_prefix(&error) {
                Some(text) => said.push(text.to_owned()),
                None if said.is_empty() => {}
                None => said.push(line),
            }
        }
        if self.wait()? {
            return Ok(None);
        }
        Ok(Some(if said.is_empty() { "it failed".to_owned() } else { said.join("\n") }))
    }
}

impl Drop for ClientProgram {
    fn drop(&mut self) {
        // A no-op for one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
