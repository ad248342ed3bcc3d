//! The sentences of a check's or a hazard's findings: templates in the header (`detail:`), filled in with values of a row.
//!
//! `{name}` is a value. `{name:1 row|# rows}` chooses words by a number, which `#` stands for: what is in front of the
//! bar is for one, what is behind it for any other number. A check whose findings need several sentences names each
//! (`detail NAME:`), and its rows say which one is theirs.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::database::sql_file::SqlFile;

/// The header key; a name may follow.
const KEY: &str = "detail";

/// The sentence for rows with the count 0 that do not name another one.
pub const NONE: &str = "none";

/// The templates of a rule, by name; the one without a name has the empty name.
#[derive(Debug, Clone, Default)]
pub struct MessageTemplates(BTreeMap<String, MessageTemplate>);

impl MessageTemplates {
    /// Reads them from a header.
    ///
    /// # Errors
    /// When one is malformed, or two have the same name.
    pub fn from_header(script: &SqlFile) -> Result<Self> {
        let mut templates = BTreeMap::new();
        for (key, text) in &script.header {
            let (word, name) = key.split_once(' ').unwrap_or((key, ""));
            if word != KEY {
                continue;
            }
            let template = MessageTemplate::parse(text).with_context(|| format!("the header's `{key}`"))?;
            ensure!(templates.insert(name.to_owned(), template).is_none(), "the header has `{key}` twice");
        }
        Ok(Self(templates))
    }

    /// True for a rule whose rows bring their sentences along.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The templates with their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &MessageTemplate)> {
        self.0.iter().map(|(name, template)| (name.as_str(), template))
    }

    /// The sentence of a row with this count and these values. `form` is the name of its template.
    ///
    /// # Errors
    /// When there is no such template, or it needs a value that the row does not have.
    pub fn fill(&self, form: Option<&str>, count: i64, mut values: Map<String, Value>) -> Result<String> {
        let name = match form {
            Some(form) => form,
            None if count == 0 && self.0.contains_key(NONE) => NONE,
            None => "",
        };
        let template = self.0.get(name).with_context(|| format!("the header has no `{KEY} {name}`"))?;
        values.insert("count".to_owned(), count.into());
        template.fill(&values)
    }
}

/// One sentence with placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageTemplate(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
    Choice { number: String, one: String, other: String },
}

impl MessageTemplate {
    /// Reads the text of a header's value.
    ///
    /// # Errors
    /// When a brace is not closed, a placeholder has no name, or a choice has not two parts.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (inside, behind) = after.split_once('}').context("a `{` is not closed")?;
            parts.push(Part::text(before)?);
            parts.push(Part::placeholder(inside)?);
            rest = behind;
        }
        parts.push(Part::text(rest)?);
        parts.retain(|part| *part != Part::Text(String::new()));
        ensure!(!parts.is_empty(), "the sentence is empty");
        Ok(Self(parts))
    }

    /// The names of the values that it needs.
    pub fn placeholders(&self) -> BTreeSet<&str> {
        let name = |part| match part {
            &Part::Text(_) => None,
            Part::Value(name) | Part::Choice { number: name, .. } => Some(name.as_str()),
        };
        self.0.iter().filter_map(name).collect()
    }

    fn fill(&self, values: &Map<String, Value>) -> Result<String> {
        let value = |name: &str| values.get(name).with_context(|| format!("the row has no value {name:?}"));
        let mut sentence = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => sentence.push_str(text),
                Part::Value(name) => match value(name)? {
                    Value::String(text) => sentence.push_str(text),
                    Value::Number(number) => sentence.push_str(&number.to_string()),
                    Value::Null => {}
                    other => bail!("the value {name:?} is neither a text nor a number: {other}"),
                },
                Part::Choice { number: name, one, other } => {
                    let number = match value(name)? {
                        Value::Number(number) => number.to_string(),
                        other => bail!("the value {name:?} is not a number: {other}"),
                    };
                    let words = if number == "1" { one } else { other };
                    sentence.push_str(&words.replace('#', &number));
                }
            }
        }
        Ok(sentence)
    }
}

impl Part {
    fn text(text: &str) -> Result<Self> {
        ensure!(!text.contains('}'), "a `}}` closes nothing");
        Ok(Self::Text(text.to_owned()))
    }

    fn placeholder(inside: &str) -> Result<Self> {
        let (name, words) =
            inside.split_once(':').map_or((inside, None), |(name, words)| (name, Some(words)));
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        ensure!(is_name, "`{{{inside}}}` has no name of lower-case letters");
        let Some(words) = words else { return Ok(Self::Value(name.to_owned())) };
        match words.split('|').collect::<Vec<_>>().as_slice() {
            [one, other] => Ok(Self::Choice {
                number: name.to_owned(),
                one: (*one).to_owned(),
                other: (*other).to_owned(),
            }),
            _ => bail!("`{{{inside}}}` has not one text for 1 and one for other numbers"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values(values: Value) -> Map<String, Value> {
        match values {
            Value::Object(values) => values,
            other => panic!("{other}"),
        }
    }

    fn templates(header: &str) -> Result<MessageTemplates> {
        MessageTemplates::from_header(&SqlFile::parse_header(header))
    }

    #[test]
    fn values_are_filled_in_and_words_follow_the_number() {
        let header = "-- detail: {count:1 row refers|# rows refer} to {missing:a row|# rows} of \"{parent}\" that\n\
                      --   {missing:does|do} not exist{more}";
        let templates = templates(header).expect("well formed");
        let fill = |count, missing: i64, more: Option<&str>| {
            let values = values(json!({"parent": "Chat", "missing": missing, "more": more}));
            templates.fill(None, count, values).expect("all values are there")
        };
        assert_eq!(fill(1, 1, None), "1 row refers to a row of \"Chat\" that does not exist");
        assert_eq!(fill(12, 3, Some("; x")), "12 rows refer to 3 rows of \"Chat\" that do not exist; x");
        assert_eq!(fill(0, 0, None), "0 rows refer to 0 rows of \"Chat\" that do not exist");
        // A value is not read as a template.
        assert_eq!(
            fill(1, 1, Some(" {count} #")),
            "1 row refers to a row of \"Chat\" that does not exist {count} #"
        );
    }

    #[test]
    fn a_row_gets_the_sentence_that_it_names() {
        let of = |header: &str| {
            let templates = templates(header).expect("well formed");
            move |form, count| templates.fill(form, count, Map::new()).map_err(|error| error.to_string())
        };
        let several = of("-- detail: {count} rows\n-- detail none: nothing yet\n-- detail Bot: a bot");
        assert_eq!(several(None, 2).as_deref(), Ok("2 rows"));
        assert_eq!(several(None, 0).as_deref(), Ok("nothing yet"));
        assert_eq!(several(Some("Bot"), 0).as_deref(), Ok("a bot"));
        assert_eq!(several(Some("bot"), 1), Err("the header has no `detail bot`".to_owned()));
        assert_eq!(of("-- detail: {count} rows")(None, 0).as_deref(), Ok("0 rows"));
        assert!(of("-- detail one: a sentence")(None, 1).is_err());
    }

    #[test]
    fn a_value_that_does_not_fit_is_an_error() {
        let templates = templates("-- detail: {rows:1 row|# rows} of {table}").expect("well formed");
        let error = |given: Value| templates.fill(None, 1, values(given)).expect_err("refused").to_string();
        assert_eq!(error(json!({"rows": 1})), "the row has no value \"table\"");
        assert_eq!(
            error(json!({"rows": 1, "table": ["a"]})),
            "the value \"table\" is neither a text nor a number: [\"a\"]"
        );
        assert_eq!(error(json!({"rows": "1", "table": "a"})), "the value \"rows\" is not a number: \"1\"");
    }

    #[test]
    fn a_malformed_template_is_refused() {
        let error = |text: &str| MessageTemplate::parse(text).expect_err(text).to_string();
        assert_eq!(error("a {count"), "a `{` is not closed");
        assert_eq!(error("a count}"), "a `}` closes nothing");
        assert_eq!(error("a {}"), "`{}` has no name of lower-case letters");
        assert_eq!(error("a {The count}"), "`{The count}` has no name of lower-case letters");
        for text in ["a {count:row}", "a {count:no row|row|rows}"] {
            assert!(error(text).ends_with("has not one text for 1 and one for other numbers"), "{text}");
        }
        assert_eq!(error(""), "the sentence is empty");
        assert!(templates("-- detail: a\n-- detail: b").is_err(), "two sentences of one name");
        assert!(templates("-- detail x: a\n-- detail x: b").is_err(), "two sentences of one name");
    }
}
