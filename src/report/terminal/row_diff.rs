//! Rows before and after, for a person: of a changed row the paths that changed, of a removed one its key and what tells
//! most.

use serde_json::{Map, Value};

use crate::repair::quarantine::{RowAction, RowDiff, RowSample};
use crate::text::escape::escape_control;

use crate::report::json_diff::{ChangedPath, diff_paths};
use crate::terminal::page::{Page, columns};
use crate::terminal::style::{ADDED, CHANGED, NAME, REMOVED, paint};

/// Samples that are shown of rows that are treated alike, where more than one is asked for.
const SHOWN: usize = 2;

/// Paths that are shown of one row.
const MOST_PATHS: usize = 8;

/// The longest value that is shown whole, in characters.
const LONGEST: usize = 60;

/// Columns that tell people more of a row than others do, most telling first. The key and what the reason names come before.
const TELLING: [&str; 12] = [
    "name",
    "remoteJid",
    "labelId",
    "status",
    "type",
    "key",
    "keyId",
    "messageId",
    "instanceId",
    "pushName",
    "message",
    "createdAt",
];

/// The samples of a diff, a line for a row, or for each path of it that changed.
pub fn render_samples(diff: &RowDiff, is_full: bool, page: Page, indent: usize) -> String {
    diff.sample
        .iter()
        .take(if is_full { SHOWN } else { 1 })
        .map(|sample| one(diff, sample, page, indent))
        .collect()
}

fn one(diff: &RowDiff, sample: &RowSample, page: Page, indent: usize) -> String {
    let (sign, style, row) = match diff.action {
        RowAction::Changed => return changed(diff, sample, page, indent),
        RowAction::Removed => ('-', REMOVED, &sample.before),
        RowAction::Restored => ('+', ADDED, &sample.after),
    };
    let room = page.width.saturating_sub(indent);
    let text = format!("{sign} {} {}", escape_control(&diff.table), telling(row, &diff.reason));
    format!("{:indent$}{}\n", "", paint(style, fitted(&text, room)))
}

fn changed(diff: &RowDiff, sample: &RowSample, page: Page, indent: usize) -> String {
    let id = sample.before.get("id").or(sample.after.get("id"));
    let id = id.map(|id| format!(" {}", shown(id))).unwrap_or_default();
    let title = format!("{} {}{id}", paint(CHANGED, "~"), paint(NAME, escape_control(&diff.table)));
    let mut out = format!("{:indent$}{title}\n", "");
    let (before, after) = (only(&sample.before, &diff.columns), only(&sample.after, &diff.columns));
    let changes = diff_paths(&before, &after);
    // Secrets are masked, and two of them may look the same.
    let is_told = |column: &&String| changes.iter().any(|change| change.path.starts_with(column.as_str()));
    let masked: Vec<&String> = diff.columns.iter().filter(|column| !is_told(column)).collect();
    for change in changes.iter().take(MOST_PATHS) {
        out.push_str(&page.wrap_hanging(&sentence(change), indent + 2, indent + 4));
    }
    if changes.len() > MOST_PATHS {
        out.push_str(
            &page.wrap(&format!("… and {} more in --format json", changes.len() - MOST_PATHS), indent + 2),
        );
    }
    for column in masked {
        out.push_str(
            &page.wrap(
                &format!("{}: changed in columns that are not shown", escape_control(column)),
                indent + 2,
            ),
        );
    }
    out
}

fn sentence(change: &ChangedPath) -> String {
    let path = escape_control(&change.path);
    match (&change.before, &change.after) {
        (Some(was), Some(is)) => {
            format!("{path}: {} → {}", paint(REMOVED, shown(was)), paint(ADDED, shown(is)))
        }
        (Some(was), None) => format!("{path}: {} removed", paint(REMOVED, shown(was))),
        (None, Some(is)) => format!("{path}: {} added", paint(ADDED, shown(is))),
        (None, None) => path,
    }
}

/// The columns of a row that a fix changes.
fn only(row: &Value, columns: &[String]) -> Value {
    let Value::Object(fields) = row else { return row.clone() };
    let changed = fields.iter().filter(|(name, _)| columns.contains(name));
    Value::Object(changed.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The most important columns of a row: its key, the columns that the reason names, then what people know it by.
fn telling(row: &Value, reason: &str) -> String {
    let Value::Object(fields) = row else { return shown(row) };
    let is_named =
        |name: &str| reason.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    let rank = |name: &str| match name {
        "id" => 0,
        name if is_named(name) => 1,
        name => TELLING.iter().position(|telling| *telling == name).map_or(99, |at| at + 2),
    };
    let mut fields: Vec<(&String, &Value)> = fields.iter().filter(|(_, value)| !is_empty(value)).collect();
    fields.sort_by_key(|(name, _)| rank(name));
    fields
        .iter()
        .map(|(name, value)| format!("{}: {}", escape_control(name), shown(value)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_object().is_some_and(Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

/// A value in a line.
fn shown(value: &Value) -> String {
    fitted(&escape_control(&value.to_string()), LONGEST)
}

/// At most so many columns of the text.
fn fitted(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut buffer = [0; 4];
    let mut used = 1;
    for character in text.chars() {
        used += columns(character.encode_utf8(&mut buffer));
        if used > width {
            break;
        }
        out.push(character);
    }
    out + "…"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::terminal::style::strip_styles;

    fn diff(action: RowAction, columns: &[&str], before: Value, after: Value) -> String {
        let diff = RowDiff {
            table: "Chat".into(),
            action,
            columns: columns.iter().map(|&column| column.into()).collect(),
            reason: "Chat.instanceId → Instance is gone".into(),
            count: 1,
            digest: String::new(),
            sample: vec![RowSample { before, after }],
        };
        strip_styles(&render_samples(&diff, true, Page { width: 80 }, 0))
    }

    #[test]
    fn a_changed_document_is_shown_by_its_paths() {
        let before = json!({"id": "c1", "labels": ["1", "2", "x", "3"], "key": {"id": "a", "fromMe": true}});
        let after =
            json!({"id": "c1", "labels": ["1", "2", "3", "4"], "key": {"id": "b", "fromMe": true, "n": 1}});
        assert_eq!(
            diff(RowAction::Changed, &["labels", "key"], before, after),
            "~ Chat \"c1\"\n  labels[2]: \"x\" removed\n  labels[3]: \"4\" added\n  key.id: \"a\" → \"b\"\n  key.n: 1 added\n"
        );
    }

    #[test]
    fn masked_changes_are_still_reported() {
        let row = json!({"id": "c1", "apiKey": "sk-a…f3"});
        let shown = diff(RowAction::Changed, &["apiKey"], row.clone(), row);
        assert_eq!(shown, "~ Chat \"c1\"\n  apiKey: changed in columns that are not shown\n");
    }

    #[test]
    fn a_removed_row_is_shown_by_its_key_and_main_columns() {
        let row = json!({"createdAt": "2024", "labels": [], "none": null, "remoteJid": "55@s.whatsapp.net",
            "instanceId": "i1", "id": "c1", "zebra": "z".repeat(99)});
        let shown = diff(RowAction::Removed, &[], row, Value::Null);
        let start = "- Chat id: \"c1\", instanceId: \"i1\", remoteJid: \"55@s.whatsapp.net\", createdAt";
        assert!(shown.starts_with(start) && shown.trim_end().ends_with('…'), "{shown}");
        assert_eq!(shown.trim_end().chars().count(), 80, "{shown}");
    }

    #[test]
    fn names_stay_text() {
        let shown =
            diff(RowAction::Changed, &["name"], json!({"name": "a\u{202e}b"}), json!({"name": "\u{1b}[2J"}));
        assert_eq!(shown, "~ Chat\n  name: \"a\\u{202e}b\" → \"\\u001b[2J\"\n");
    }
}
