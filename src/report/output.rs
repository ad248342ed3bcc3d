//! The destination of a report: stdout, or a file.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::output_file::{self, FileAccess};
use crate::terminal::style;

/// Refuses a file that cannot be written before a change is made, not after.
pub fn expect_writable(output: Option<&Path>) -> Result<()> {
    let Some(path) = output.filter(|path| !output_file::is_special(path)) else { return Ok(()) };
    let opened = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    opened.map(drop).with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes painted text to stdout or a file, with its colours where they are wanted.
pub fn print_painted(text: &str, output: Option<&Path>) -> Result<()> {
    print(&style::for_output(text, output), output)
}

/// Writes text to stdout or a file.
///
/// # Errors
/// When the file cannot be written. A reader that went away (`| head`) is not an error.
pub fn print(text: &str, output: Option<&Path>) -> Result<()> {
    print_for(text, output, FileAccess::Umask)
}

pub(super) fn print_for(text: &str, output: Option<&Path>, readers: FileAccess) -> Result<()> {
    match output {
        Some(path) => output_file::write_through(path, text.as_bytes(), readers)
            .with_context(|| format!("{} cannot be written", path.display())),
        None => match std::io::stdout().lock().write_all(text.as_bytes()) {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("stdout cannot be written"),
        },
    }
}
