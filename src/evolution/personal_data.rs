//! Decides which values of the database are personal, by table, column and path in a JSON value. The only place that
//! does.
//!
//! Anything without a decision counts as personal. `facts/README.md` describes the file and the rules.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::phone::parse_phone;
use super::schema::schema;

/// The kinds of personal data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DataClass {
    /// Numbers, enums, booleans, times, and Evolution's own constants.
    Public,
    /// Ids of rows and of messages, and the names that operators give to instances: the only handle that a reader has.
    Identifier,
    /// Phone numbers, JIDs, LIDs and lists of them; ids that Evolution builds from one.
    Phone,
    /// Names of people, groups, labels, inboxes and keys.
    Name,
    /// Message bodies, captions, prompts, file names, places, and everything without a decision.
    Text,
    /// Addresses of webhooks, bots, proxies and pictures.
    Url,
    /// Credentials and keys.
    Secret,
    /// A JSON value: [`json_class`] decides on each value in it.
    Json,
}

/// Fewer digits in a JSON number are not a phone number.
const FEWEST_DIGITS: u32 = 10;

/// The longest constant or id.
const LONGEST: usize = 128;

#[derive(Debug, Deserialize)]
struct Facts {
    every_table: HashMap<String, DataClass>,
    tables: HashMap<String, HashMap<String, DataClass>>,
    whole_json: HashMap<String, DataClass>,
    json_keys: HashMap<DataClass, Vec<String>>,
    fields_of_checks: HashMap<String, DataClass>,
}

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    serde_json::from_str(include_str!("facts/personal_data.json"))
        .expect("facts/personal_data.json is well formed")
});

static JSON_KEYS: LazyLock<HashMap<&'static str, DataClass>> = LazyLock::new(|| {
    let classes = FACTS.json_keys.iter();
    classes.flat_map(|(class, keys)| keys.iter().map(|key| (key.as_str(), *class))).collect()
});

/// The class of a column. Of a JSON column it is [`DataClass::Json`]; an unknown table or column is [`DataClass::Text`].
pub fn column_class(table: &str, column: &str) -> DataClass {
    decided(table, column).unwrap_or(DataClass::Text)
}

/// The class that the facts name, or that follows from the column's type.
fn decided(table: &str, column: &str) -> Option<DataClass> {
    let known = schema().tables.iter().find(|known| known.name == table);
    let named = FACTS.tables.get(table).and_then(|columns| columns.get(column));
    let everywhere = || known.filter(|table| table.has_column(column)).and(FACTS.every_table.get(column));
    named.or_else(everywhere).copied().or_else(|| {
        let mut types = known?.types_of(column).peekable();
        types.peek()?;
        types.all(holds_no_text).then_some(DataClass::Public)
    })
}

/// Numbers, truth values, times, and enums, which `format_type` quotes.
fn holds_no_text(data_type: &str) -> bool {
    let is_enum = data_type.starts_with('"') && data_type.ends_with('"');
    is_enum
        || ["boolean", "integer", "bigint", "date"].contains(&data_type)
        || data_type.starts_with("timestamp")
}

/// The class of a column's value that is not JSON: as [`column_class`], and a value that does not look like its class
/// is personal. A constant that is none is a text; an id that is a phone number is a phone number.
pub fn value_class(table: &str, column: &str, value: &str) -> DataClass {
    match column_class(table, column) {
        class @ (DataClass::Public | DataClass::Identifier) if is_phone(value) => match is_time(value) {
            true => class,
            false => DataClass::Phone,
        },
        DataClass::Public if !is_constant(value) && !is_time(value) => DataClass::Text,
        class => class,
    }
}

/// The class of a field in what a check selects. Such a field is a column of the table that the finding is about, a name that
/// checks give (`facts`), or a column of another table: then the strictest class counts that it has in any.
pub fn field_class(table: Option<&str>, field: &str, value: Option<&str>) -> DataClass {
    if let Some(table) = table.filter(|table| decided(table, field).is_some()) {
        return match value {
            Some(value) => value_class(table, field, value),
            None => column_class(table, field),
        };
    }
    let of_checks = FACTS.fields_of_checks.get(field).copied();
    let tables = || schema().tables.iter().map(|table| &table.name).chain(FACTS.tables.keys());
    let anywhere = || tables().filter_map(|table| decided(table, field)).max();
    match of_checks.or_else(anywhere) {
        Some(DataClass::Public | DataClass::Identifier) if value.is_some_and(is_phone) => DataClass::Phone,
        class => class.unwrap_or(DataClass::Text),
    }
}

/// True if a name that checks give is decided on for everything in it: what a release expects, which tables are
/// concerned.
pub fn is_of_checks(table: Option<&str>, field: &str) -> bool {
    table.is_none_or(|table| decided(table, field).is_none()) && FACTS.fields_of_checks.contains_key(field)
}

/// The class of one value (no array, no object) inside a JSON column. `path` holds the keys that lead to it; positions in
/// arrays may be left out.
///
/// A string under keys without a decision is a text. So is a column that is not a JSON column.
pub fn json_class(table: &str, column: &str, path: &[&str], leaf: &Value) -> DataClass {
    let named = match column_class(table, column) {
        DataClass::Json => named_in_json(table, column, path),
        class => Some(class),
    };
    let of_time = path.last().is_some_and(|key| key.ends_with("Timestamp") || key.ends_with("TimestampMs"));
    match leaf {
        Value::Null | Value::Bool(_) => DataClass::Public,
        Value::Number(_) if of_time && named.is_none() => DataClass::Public,
        // A 64-bit number of WhatsApp's may be written as a string.
        Value::String(text) if of_time && named.is_none() && text.bytes().all(|b| b.is_ascii_digit()) => {
            DataClass::Public
        }
        Value::Number(number) => match named {
            Some(DataClass::Identifier) | None if is_phone_number(number) => DataClass::Phone,
            Some(class) => class,
            None => DataClass::Public,
        },
        Value::String(text) => match named.unwrap_or(DataClass::Text) {
            DataClass::Public | DataClass::Identifier if is_phone(text) => DataClass::Phone,
            DataClass::Public | DataClass::Identifier if !is_constant(text) => DataClass::Text,
            class => class,
        },
        Value::Array(_) | Value::Object(_) => DataClass::Json,
    }
}

/// True if a key of a JSON object is a name that a program gave, and not itself a value, such as a JID or a person's
/// name: it begins with a small letter or is a position.
pub fn is_public_key(key: &str) -> bool {
    let is_name = key.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit());
    is_name && !is_phone(key) && is_constant(key)
}

fn named_in_json(table: &str, column: &str, path: &[&str]) -> Option<DataClass> {
    let whole =
        FACTS.whole_json.get(&format!("{table}.{column}")).or_else(|| FACTS.whole_json.get(column)).copied();
    let is_element = path.iter().all(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
    // Label ids and names of events are in a plain list; anything else there is unexpected.
    match whole {
        Some(DataClass::Public | DataClass::Identifier) if !is_element => {}
        Some(class) => return Some(class),
        None => {}
    }
    // `Message.key` is a key, so its `id` is `key.id`.
    let mut keys = vec![column];
    keys.extend(path.iter().filter(|key| !key.bytes().all(|byte| byte.is_ascii_digit())));
    let own = keys.len() - 1;
    let named = |at: usize| (at > 0).then(|| named_by_keys(keys[at - 1], keys[at])).flatten();
    // A key that names something personal covers all below it: a thumbnail is an object of numbers.
    named(own).or_else(|| {
        let above = (1..own).rev().filter_map(named);
        above.into_iter().find(|class| !matches!(class, DataClass::Public | DataClass::Identifier))
    })
}

fn named_by_keys(parent: &str, key: &str) -> Option<DataClass> {
    let with_parent = JSON_KEYS.get(format!("{parent}.{key}").as_str());
    let of_key = || parent.ends_with("Key").then(|| JSON_KEYS.get(format!("Key.{key}").as_str())).flatten();
    let alone = || JSON_KEYS.get(key);
    with_parent.or_else(of_key).or_else(alone).copied()
}

fn is_phone(text: &str) -> bool {
    parse_phone(text).is_some_and(|phone| phone.is_certain()) || text.contains('@')
}

fn is_phone_number(number: &serde_json::Number) -> bool {
    let digits = number.as_u64().map_or(0, |number| number.checked_ilog10().unwrap_or(0) + 1);
    (FEWEST_DIGITS..=15).contains(&digits)
}

/// A word of a program: an enum's label, a MIME type, an id, a migration's name.
fn is_constant(text: &str) -> bool {
    let (name, parameters) = text.split_once(';').unwrap_or((text, ""));
    let is_word = |text: &str, more: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || more.contains(&byte))
    };
    text.len() <= LONGEST && is_word(name, b"-+./:") && is_word(parameters.trim_start(), b"-=\".")
}

/// A date, with or without a time, as Postgres and JSON write it.
fn is_time(text: &str) -> bool {
    let shape: String = text.chars().take(10).map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let rest = text.get(10..).unwrap_or_default();
    shape == "0000-00-00" && rest.bytes().all(|byte| byte.is_ascii_digit() || b"T :.+-Z".contains(&byte))
}

#[cfg(test)]
mod tests;
