//! The result of the logs, in words.

use serde_json::Value;

use crate::access_log::ReadSummary;
use crate::access_log::timestamp::{Timestamp, zone_name};
use crate::rules::finding::Finding;
use crate::text::escape::escape_control;
use crate::text::humanize::format_count;

/// Where the right name is not known.
pub const UNKNOWN: &str = "?";

/// The whole answer in a sentence.
pub fn headline(read: &ReadSummary, findings: &[Finding]) -> String {
    let matched = requests(read.requests.matched);
    let count = |is: fn(&Finding) -> bool| {
        let found: Vec<_> = findings.iter().filter(|finding| is(finding)).collect();
        (found.iter().map(|finding| finding.count.unsigned_abs()).sum::<u64>(), found.len() as u64)
    };
    let (wrong, names) = count(is_refused_name);
    let (others, _) = count(|finding| !is_refused_name(finding));
    let were = if wrong == 1 { "was" } else { "were" };
    let refused = match (read.requests.matched, names) {
        (0, _) => "No request in this log names an instance.".to_owned(),
        (matched_count, 0) if read.requests.without_status == matched_count => {
            format!("{matched} named an instance, and the log has no status for any of them.")
        }
        (_, 0) => format!("{matched} named an instance, and none was refused for a wrong name."),
        (_, names) => {
            let names = plural(names, "wrong name", "wrong names");
            format!("{} of {matched} {were} refused because of {names}.", format_count(wrong))
        }
    };
    if others == 0 {
        return refused;
    }
    let have = if others == 1 { "has" } else { "have" };
    format!("{refused} {} {have} another fault.", plural(others, "request", "requests"))
}

/// True if it speaks of a name that was refused: not of two names, a wrong route, or a name that passed.
fn is_refused_name(finding: &Finding) -> bool {
    !matches!(finding.code.as_str(), "EVO507" | "EVO508" | "EVO509")
}

/// Caveats about how the logs were read.
pub fn notes(read: &ReadSummary) -> Vec<String> {
    let counts = &read.requests;
    let mut lines = Vec::new();
    if !read.compared {
        lines.push(
            "names were judged by their form alone. To see the right ones, give --database-url, or \
             --instances with the JSON of GET /instance/fetchInstances."
                .to_owned(),
        );
    }
    if counts.names_that_exist_now > 0 {
        lines.push(format!(
            "{} got 404 although the name exists now: the instance is newer than the request, or something \
             else was not found.",
            requests(counts.names_that_exist_now)
        ));
    }
    if counts.unauthorized > 0 {
        lines.push(format!(
            "{} with a wrong name got 401 or 403, and never 404: a proxy in front of the API checked the \
             key. With the right key they will get 404.",
            requests(counts.unauthorized)
        ));
    }
    if counts.without_status > 0 {
        lines.push(format!(
            "{} without a status: they cannot be judged. If the log has it, give --log-format with the \
             string of nginx's log_format.",
            requests(counts.without_status)
        ));
    }
    if counts.elsewhere > 0 {
        lines.push(format!(
            "{} left out: their hosts serve no route of the API, while another host does.",
            requests(counts.elsewhere)
        ));
    }
    if counts.not_listed > 0 {
        lines.push(format!(
            "{} served and not in the list of instances: the list is older than the log, or of another server.",
            plural(counts.not_listed, "name is", "names are")
        ));
    }
    for file in &read.unreadable {
        lines.push(format!("{} was not read: {}", file.file, file.reason));
    }
    for name in &read.not_understood {
        lines.push(format!("no line in {name} was understood."));
    }
    for name in &read.cut_short {
        lines.push(format!("{name} ends in the middle; what it holds up to there was read."));
    }
    if read.interrupted {
        lines.push("stopped before the end; this is what was read until then.".to_owned());
    }
    lines
}

/// The right spelling to type.
pub fn instead(finding: &Finding, compared: bool) -> String {
    let text = |key| finding.extra.get(key).and_then(Value::as_str);
    if let Some(name) = text("write_instead") {
        let encoded = text("write_instead_encoded").unwrap_or(name);
        let aside = if encoded == name || text("write_instead_encoded").is_none() {
            String::new()
        } else {
            format!("  (in a path: {encoded})")
        };
        return format!("{}{aside}", escape_control(name));
    }
    let candidates: Vec<String> = parts(finding, "candidates")
        .iter()
        .filter_map(Value::as_str)
        .map(|name| quoted(&escape_control(name)))
        .collect();
    if !candidates.is_empty() {
        return format!("perhaps {}", candidates.join(" or "));
    }
    match finding.code.as_str() {
        "EVO507" => "the path alone, without ?instanceName=".to_owned(),
        "EVO506" if compared => "no similar name: ask the client's owner".to_owned(),
        "EVO503" => "the instance's name, encoded once".to_owned(),
        _ => "the instance's name".to_owned(),
    }
}

/// The number of requests, from when to when.
pub fn how_often(finding: &Finding) -> String {
    let text = |key| finding.extra.get(key).and_then(Value::as_str);
    let count = format_count(finding.count.unsigned_abs());
    let zone = zone(finding);
    let named = if text("first").is_some_and(|first| first.ends_with('Z')) {
        format!(" {}", zone_name(zone))
    } else {
        String::new()
    };
    match (text("first"), text("last")) {
        (Some(first), Some(last)) if first == last => format!("{count}, at {}{named}", clock(first, zone)),
        (Some(first), Some(last)) => {
            format!("{count}, from {} to {}{named}", clock(first, zone), clock(last, zone))
        }
        _ => count,
    }
}

/// The zone in which the log that a finding is of writes times, in minutes east of UTC.
pub fn zone(finding: &Finding) -> i16 {
    let minutes = finding.extra.get("zone_minutes").and_then(Value::as_i64);
    minutes.and_then(|minutes| i16::try_from(minutes).ok()).unwrap_or_default()
}

/// A time of the report on the log's own clock.
fn clock(time: &str, zone: i16) -> String {
    Timestamp::from_iso(time).map_or_else(|| time.to_owned(), |time| time.clock_in(zone))
}

/// A list that a finding carries beside its sentence.
pub fn parts<'f>(finding: &'f Finding, key: &str) -> &'f [Value] {
    finding.extra.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A count that a finding carries; 0 where there is none.
pub fn number(value: Option<&Value>) -> u64 {
    value.and_then(Value::as_u64).unwrap_or(0)
}

/// The text between quotation marks.
pub fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// So many requests.
pub fn requests(count: u64) -> String {
    plural(count, "request", "requests")
}

/// A count with its word.
pub fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", format_count(count), if count == 1 { one } else { many })
}

/// The right spelling in the overview: the name as a path has it.
pub fn in_a_path(finding: &Finding) -> String {
    let text = |key| finding.extra.get(key).and_then(Value::as_str);
    match (text("write_instead_encoded").or(text("write_instead")), parts(finding, "candidates")) {
        (Some(encoded), _) => encoded.to_owned(),
        _ if finding.code == "EVO507" => "the path alone".to_owned(),
        (None, [Value::String(name)]) => format!("perhaps {}", escape_control(name)),
        (None, []) => UNKNOWN.to_owned(),
        (None, several) => format!("one of {}", several.len()),
    }
}

/// The text, in quotes where its ends would not be seen otherwise.
pub fn with_ends(text: &str) -> String {
    if text.is_empty() || text.trim() != text { quoted(text) } else { text.to_owned() }
}
