//! What each fuzz target does with some bytes. cargo-fuzz runs them for as long as one likes (`targets/`), and the tests run
//! each on some thousand mutations of real input (`tests/suite/fuzz.rs`).

use std::fs;
use std::path::Path;

use evodoctor::access_log::formats::{LineFormat, LineParser};
use evodoctor::access_log::request::RequestTarget;
use evodoctor::checks::check::Check;
use evodoctor::config::Config;
use evodoctor::database::env_file;
use evodoctor::database::restore::archive_header::ArchiveHeader;
use evodoctor::database::sql_file::{SqlFile, Variables, render};
use evodoctor::database::statement_splitter::StatementSplitter;
use evodoctor::database::url::ConnectTarget;
use evodoctor::repair::fix::Fix;
use evodoctor::repair::plan::PlanFile;
use evodoctor::report::error_text;
use evodoctor::rules::baseline::Baseline;
use evodoctor::rules::rule::Rule;

/// Stands in passwords of the input, and must not be in any error.
pub const SECRET: &str = "hunter2hunter2";

/// Where mutations have left the password in its place, and made no other of it, the error does not show it.
fn says_no_secret(bytes: &[u8], error: &anyhow::Error) {
    let input = String::from_utf8_lossy(bytes);
    if input.matches(SECRET).count() != 1 || !input.contains(&format!("://u:{SECRET}@")) {
        return;
    }
    let said = error_text::cause_chain(error).join("\n");
    assert!(!said.contains(SECRET), "{said}");
}

/// No bytes make the log parser panic, and a glance at a line never sees what reading it in full does not.
pub fn log_line(bytes: &[u8]) {
    let mut parser = LineParser::for_format(LineFormat::Any);
    for line in bytes.split(|&byte| byte == b'\n') {
        let glance = parser.parse_partial(line);
        let glance = glance.and_then(|glance| Some((glance, glance.verb_and_path()?)));
        let Some(whole) = parser.parse(line) else {
            assert!(glance.is_none(), "a glance sees a request where there is none");
            continue;
        };
        let (_, _) = (whole.user_agent(), whole.router());
        if let Some((glance, (method, path))) = glance {
            assert_eq!(whole.asked, RequestTarget::Path(path.into()));
            // Read in full, the answer may turn out to be the proxy's own, or the server's behind it.
            assert!(
                whole.time == glance.time && (whole.status == Some(glance.status) || glance.status >= 400)
            );
            assert_eq!(whole.method.as_deref(), Some(method));
            // The number of a line, as `grep -n` puts it, may look like the beginning of an IPv6 address.
            let is_sure = !glance.client.contains(&b':');
            assert!(!is_sure || whole.client.as_deref() == Some(glance.client));
        }
    }
}

/// No connection string makes the parser panic, and no refusal shows the password.
pub fn connection_string(bytes: &[u8]) {
    match ConnectTarget::parse(&String::from_utf8_lossy(bytes)) {
        Ok(target) => drop((target.server_name(), target.database().to_owned(), target.is_socket())),
        Err(error) => says_no_secret(bytes, &error),
    }
}

/// No `.env` makes the reader panic, and no refusal shows a value.
pub fn env_file(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).expect("writable");
    if let Err(error) = env_file::connection_string(file) {
        says_no_secret(bytes, &error);
    }
}

/// No plan file makes the reader panic; one that is read is one that was written.
pub fn plan_file(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).expect("writable");
    if let Ok(plan) = PlanFile::read(file) {
        plan.write(file).expect("writable");
        PlanFile::read(file).expect("what was written is read");
    }
}

/// No baseline makes the reader panic; one that is read is the same when written and read again.
pub fn baseline(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).expect("writable");
    if let Ok(baseline) = Baseline::read(file) {
        baseline.write(file).expect("writable");
        assert_eq!(Baseline::read(file).expect("what was written is read").len(), baseline.len());
    }
}

/// No `evodoctor.toml` makes the reader panic.
pub fn config(bytes: &[u8], file: &Path) {
    fs::write(file, bytes).expect("writable");
    for environment in [None, Some("production")] {
        if let Err(error) = Config::read(file, environment) {
            says_no_secret(bytes, &error);
        }
    }
}

/// No SQL file makes the reader of headers, statements and variables panic, and a value stays inside its quotes.
pub fn check_header(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let script = SqlFile::parse(&text);
    let _ = Rule::from_header(&script);
    let _ = Check::parse("sql/checks/EVO999_mutated.sql", &text);
    let _ = Fix::parse("EVO999_mutated", "", &text, &text);
    for statement in &script.statements {
        let plain = render(statement, &Variables::for_schema("public"));
        let odd = render(statement, &Variables::for_schema("a'; DROP \"b\" --"));
        assert_eq!(plain.is_ok(), odd.is_ok(), "{statement}");
        if let (Ok(plain), Ok(odd)) = (plain, odd) {
            let count = |text: &str| SqlFile::parse(text).statements.len();
            assert_eq!(count(&plain), count(&odd), "a value has become SQL: {odd}");
        }
    }
}

/// No dump makes the readers of its head and of its statements panic, and none of its bytes is lost between statements.
pub fn dump(bytes: &[u8]) {
    let _ = ArchiveHeader::parse(bytes);
    let mut lexer = StatementSplitter::default();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        for statement in lexer.push_line(line) {
            assert!(statement.text.len() <= bytes.len());
        }
        assert!(lexer.pending() <= bytes.len());
    }
    let _ = lexer.finish();
}
