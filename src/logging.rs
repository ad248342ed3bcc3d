//! The output of `-vv` on stderr, safe to print whatever a statement or a name contains.

use std::io::{self, Write};

use tracing_subscriber::EnvFilter;

use crate::redact::personal::for_stderr;
use crate::text::escape::escape_control;

/// Starts logging: errors only, also with `-v`, which shows more of the result; with `-vv` the steps and every SQL
/// statement.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 | 1 => "error",
        _ => "evodoctor=trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(|| EscapingWriter(io::stderr()))
        .with_ansi(false)
        .without_time()
        .init();
}

/// Writes every character escaped that a terminal would obey.
struct EscapingWriter<W>(W);

impl<W: Write> Write for EscapingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        let text = for_stderr(&text);
        let lines: Vec<String> = text.split('\n').map(escape_control).collect();
        self.0.write_all(lines.join("\n").as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_and_what_a_terminal_obeys_does_not() {
        let mut out = EscapingWriter(Vec::new());
        out.write_all("SELECT '\u{1b}[2J'\n\u{202e}\n".as_bytes()).unwrap();
        assert_eq!(String::from_utf8(out.0).unwrap(), "SELECT '\\x1b[2J'\n\\u{202e}\n");
    }
}
