//! The result of the logs, for a person at a terminal.

use std::fmt::Write;

use serde_json::Value;

use crate::access_log::ReadSummary;
use crate::report::terminal::sparkline;
use crate::report::words::logs::{
    UNKNOWN, headline, how_often, in_a_path, instead, notes, number, parts, plural, requests, with_ends,
};
use crate::rules::finding::Finding;
use crate::rules::rule::Severity;
use crate::terminal::page::{Page, wrapped};
use crate::terminal::style::{COMMAND, DIM, ERROR, GOOD, NAME, PLAIN, WARNING, paint, severity_style};
use crate::text::humanize;

/// Findings in the overview; the others are only counted.
const MOST_ROWS: usize = 50;

/// Findings that are shown in full.
const MOST_BLOCKS: usize = 20;

/// Clients or routes shown for one finding; the others are only counted.
const MOST_PARTS: usize = 8;

/// The report: an overview of all findings, then each that is news in full, what hurts most first.
pub fn human(read: &ReadSummary, findings: &[Finding], news: &[&Finding], page: Page) -> String {
    let width = page.width;
    let mut text = summary(read, findings, page);
    if news.len() > 1 {
        text.push('\n');
        overview(&mut text, news, page);
    }
    for finding in news.iter().take(MOST_BLOCKS) {
        text.push('\n');
        block(&mut text, finding, read.compared, page);
    }
    if news.len() > MOST_BLOCKS {
        let more = humanize::format_count((news.len() - MOST_BLOCKS) as u64);
        let _ = writeln!(text, "\n… {more} more; --format json has all of them in full");
    }
    text.push('\n');
    if let Some(first) = news.first() {
        text.push_str(&page.command_hint(&format!("evodoctor explain {}", first.code), "", 0));
    }
    for line in footer(read) {
        paragraph(&mut text, &line, width, 0);
    }
    text
}

/// The whole answer in a sentence.
pub fn summary(read: &ReadSummary, findings: &[Finding], page: Page) -> String {
    let style = match findings.iter().map(|finding| finding.severity).max() {
        None => GOOD,
        Some(Severity::Error) => ERROR,
        Some(_) => WARNING,
    };
    page.wrap(&paint(style, headline(read, findings)), 0)
}

fn footer(read: &ReadSummary) -> Vec<String> {
    let counts = &read.requests;
    let read_in_all = format!(
        "Read {}: {}, {} not understood.",
        plural(counts.lines, "line", "lines"),
        requests(counts.parsed),
        humanize::format_count(counts.unparsed)
    );
    let notes = notes(read).into_iter().map(|note| format!("note: {note}"));
    notes.chain([read_in_all]).collect()
}

fn overview(text: &mut String, findings: &[&Finding], page: Page) {
    let mut head = vec!["requests", "code", "written", "write instead"];
    // With no list of instances there is nothing to say here.
    let columns = if findings.iter().all(|finding| in_a_path(finding) == UNKNOWN) { 3 } else { 4 };
    head.truncate(columns);
    let row = |finding: &&Finding| {
        let count = humanize::format_count(finding.count.unsigned_abs());
        let mut row = vec![count, finding.code.clone(), with_ends(&finding.subject), in_a_path(finding)];
        row.truncate(columns);
        row
    };
    let rows: Vec<Vec<String>> = findings.iter().take(MOST_ROWS).map(row).collect();
    let style = |row: usize, column: usize| match (column, findings.get(row)) {
        (1, Some(finding)) => severity_style(finding.severity),
        (3, Some(_)) if rows[row][3] != UNKNOWN => COMMAND,
        _ => PLAIN,
    };
    text.push_str(&page.painted_table(&head, &rows, 2, style));
    if findings.len() > MOST_ROWS {
        let _ = writeln!(text, "  … {} more", humanize::format_count((findings.len() - MOST_ROWS) as u64));
    }
}

fn block(text: &mut String, finding: &Finding, compared: bool, page: Page) {
    let width = page.width;
    let probable = if finding.extra.get("probable") == Some(&Value::Bool(true)) { ", probable" } else { "" };
    let title = paint(NAME, format!("{} {}", finding.code, finding.name));
    let how_bad = paint(severity_style(finding.severity), finding.severity);
    paragraph(text, &format!("{title} ({how_bad}{probable})"), width, 0);
    paragraph(text, &finding.detail, width, 2);
    field(text, "write instead", &paint(COMMAND, instead(finding, compared)), width);
    field(text, "requests", &how_often(finding), width);
    let statuses = finding.extra.get("statuses").and_then(Value::as_object);
    if let Some(statuses) = statuses.filter(|statuses| !statuses.is_empty()) {
        let each = statuses
            .iter()
            .map(|(status, count)| format!("{status} × {}", humanize::format_count(number(Some(count)))));
        field(text, "answered", &each.collect::<Vec<_>>().join(", "), width);
    }
    if let Some(timeline) =
        finding.extra.get("timeline").and_then(|timeline| sparkline::render(timeline, width - 19))
    {
        field(text, "when", &timeline, width);
    }
    for kind in ["host", "router"] {
        let named = parts(finding, if kind == "host" { "hosts" } else { "routers" });
        let named: Vec<String> = named.iter().take(MOST_PARTS).map(|part| string(part, kind)).collect();
        if !named.is_empty() {
            field(text, kind, &named.join(", "), width);
        }
    }
    for (at, endpoint) in parts(finding, "endpoints").iter().take(MOST_PARTS).enumerate() {
        let label = if at == 0 { "route" } else { "" };
        let (verb, path) = (string(endpoint, "method"), string(endpoint, "path"));
        field(
            text,
            label,
            &format!("{verb} {path}  × {}", humanize::format_count(number(endpoint.get("count")))),
            width,
        );
    }
    more(text, parts(finding, "endpoints").len(), MOST_PARTS, "routes");
    clients(text, finding, page);
}

fn clients(text: &mut String, finding: &Finding, page: Page) {
    let width = page.width;
    let clients = parts(finding, "clients");
    let row = |client: &Value| {
        let share = share(client).unwrap_or_default();
        vec![
            humanize::format_count(number(client.get("count"))),
            share,
            string(client, "address"),
            string(client, "user_agent"),
        ]
    };
    match clients {
        [] => {}
        [client] => {
            let user_agent = client.get("user_agent").and_then(Value::as_str);
            let agent = user_agent.map(|agent| format!("  {agent}")).unwrap_or_default();
            let share = share(client).map(|share| format!("  ({share} of its requests)")).unwrap_or_default();
            field(text, "client", &format!("{}{agent}{share}", string(client, "address")), width);
        }
        _ => {
            let shown: Vec<&Value> = loud(finding, clients).collect();
            let rows: Vec<Vec<String>> = shown.iter().map(|client| row(client)).collect();
            text.push_str(&page.table(&["requests", "of its own", "client", "user agent"], &rows, 2));
            let sum = |clients: &mut dyn Iterator<Item = &Value>| -> u64 {
                clients.map(|client| number(client.get("count"))).sum()
            };
            let rest = sum(&mut clients.iter()) - sum(&mut shown.iter().copied());
            more(text, clients.len(), rows.len(), &format!("clients with {}", requests(rest)));
        }
    }
    let others = number(finding.extra.get("other_clients"));
    if others > 0 {
        let _ = writeln!(text, "  … {} of other clients", requests(others));
    }
}

/// The clients that made a hundredth of the requests or more, and the first in any case: the others are counted.
fn loud<'f>(finding: &Finding, clients: &'f [Value]) -> impl Iterator<Item = &'f Value> {
    let all = finding.count.unsigned_abs();
    let is_loud = move |(at, client): &(usize, &Value)| *at == 0 || number(client.get("count")) * 100 >= all;
    clients.iter().enumerate().filter(is_loud).take(MOST_PARTS).map(|(_, client)| client)
}

/// Returns the share of a client's traffic that this is.
fn share(client: &Value) -> Option<String> {
    let (count, all) = (number(client.get("count")), number(client.get("requests_in_all")));
    match (count * 100).checked_div(all)? {
        0 => Some("< 1 %".to_owned()),
        percent => Some(format!("{percent} %")),
    }
}

fn more(text: &mut String, count: usize, shown: usize, what: &str) {
    if count > shown {
        let _ = writeln!(text, "  … {} more {what}", humanize::format_count((count - shown) as u64));
    }
}

/// A label and what it stands for; what does not fit goes on under itself.
fn field(text: &mut String, label: &str, value: &str, width: usize) {
    const INDENT: usize = 17;
    for (at, line) in wrapped(value, width - INDENT).into_iter().enumerate() {
        let label = if at == 0 { label } else { "" };
        let _ = writeln!(text, "  {}  {line}", paint(DIM, format!("{label:<13}")));
    }
}

fn paragraph(text: &mut String, sentence: &str, width: usize, indent: usize) {
    for line in wrapped(sentence, width - indent) {
        let _ = writeln!(text, "{:indent$}{line}", "");
    }
}

fn string(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("-").to_owned()
}
