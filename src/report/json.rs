//! One JSON document. Other people's scripts rest on it: `report.schema.json` describes it, and fields are only ever
//! added.

use std::fmt::Write;

use anyhow::Result;
use serde::Serialize;
use serde_json::{Value, json};

use super::view::ReportView;
use crate::text::escape::is_hidden;

/// The JSON Schema of what every command prints.
pub const SCHEMA: &str = include_str!("report.schema.json");

/// The report, with how it stands to the baseline where there is one.
pub fn render(outline: &ReportView<'_>) -> Result<String> {
    // A report may have megabytes; what is not added to needs no copy.
    match outline.gone {
        None => written(outline.report),
        Some(_) => written(&document(outline)?),
    }
}

/// The same, not yet as text.
pub fn document(outline: &ReportView<'_>) -> Result<Value> {
    let mut document = serde_json::to_value(outline.report)?;
    if let Some(gone) = &outline.gone {
        let findings = document["findings"].as_array_mut().into_iter().flatten();
        for (finding, view) in findings.zip(&outline.views) {
            finding["baseline"] = json!(view.baseline_status);
        }
        document["baseline"] = json!({"gone": gone});
    }
    Ok(document)
}

/// A document as text, in which every character that a terminal would obey or not show is written as `\uXXXX`: the same
/// for every parser.
pub fn written(document: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string_pretty(document)? + "\n";
    if !text.contains(|character| character != '\n' && is_hidden(character)) {
        return Ok(text);
    }
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character == '\n' || !is_hidden(character) {
            shown.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            write!(shown, "\\u{unit:04x}")?;
        }
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_is_written_as_it_is() {
        let document = json!({"\u{202e}a": ["\u{7f}\u{85}é→\n", "\u{e0041}"]});
        let text = written(&document).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), document);
        assert!(text.chars().all(|c| c == '\n' || !is_hidden(c)), "{text}");
        assert!(text.contains("é→"), "{text}");
    }
}
