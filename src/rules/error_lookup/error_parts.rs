//! The parts of an error.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Serialize;

use super::{error_codes, known_messages, normalize};
use crate::evolution::phone;
use crate::evolution::schema::schema;

/// The form of a word in the place of an instance's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameForm {
    /// The id of an instance, or a token of the same form.
    Uuid,
    /// A phone number or JID.
    Phone,
    /// A name encoded twice, or with `+` for a space.
    Encoded,
    /// Anything else.
    Plain,
}

/// The parts of one error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ErrorParts {
    /// Prisma's codes, such as `P2002`.
    pub prisma: Vec<String>,
    /// Postgres's codes, such as `23505`: written out, or known from the message.
    pub sqlstate: Vec<String>,
    /// HTTP status codes.
    pub http: Vec<u16>,
    /// Prisma models and Evolution's tables.
    pub models: Vec<String>,
    /// The fields that a constraint is about, without order.
    pub fields: BTreeSet<String>,
    /// Names of constraints and indexes.
    pub constraints: Vec<String>,
    /// Names of tables and types as the server's message has them, with their schema.
    pub relations: Vec<String>,
    /// Names of columns.
    pub columns: Vec<String>,
    /// Numbers of migrations.
    pub migrations: Vec<String>,
    /// Messages that are recognised in any of their languages, by name.
    pub messages: Vec<&'static str>,
    /// The length that a value was too long for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// The form of the unknown instance name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<NameForm>,
    /// The text on one line, for the words of an answer that have no code.
    #[serde(skip)]
    pub text: String,
}

macro_rules! patterns {
    ($($name:ident = $pattern:expr;)*) => {$(
        static $name: LazyLock<Regex> = LazyLock::new(|| Regex::new($pattern).expect("a pattern of this program"));
    )*};
}

patterns! {
    HTTP = r#"(?i)(?:\bstatus(?:_?code)?["']?\s*[:=]\s*["']?|\bstatus code |\bHTTP(?:/\d(?:\.\d)?)?[ :]+|^\s*|\b(?:error|erro|resposta|answer)\b[ :]+|\bhttpCode["']?\s*[:=]\s*["']?|\bAxiosError: .{0,60}code )([1-5]\d\d)\b"#;
    CALL = r"(?i)\bprisma\w*\.(?:repository\.)?(\w+)\.(?:create|createMany|update|updateMany|upsert|delete|deleteMany|find\w+|count|aggregate|groupBy)\(";
    MODEL = r#"\b(?:modelName|model|model_name)["']?\s*[:=]\s*["'`]?([A-Za-z0-9_]+)"#;
    FIELDS = r#"(?:(?:on|on the) (?:the )?fields?: \(([^)]*)\)|on the field: [`"'](\w+)|\b(?:target|fields)["']?\s*[:=]\s*\[([^\]]*)\]|(?:Key|Chave|[Ll]lave) \(([^)]*)\)=)"#;
    CONSTRAINT = r#"(?:on the constraint: [`"']|\b(?:field_name|constraint|index|target)["']?\s*[:=]\s*["'`]|constraint failed on the constraint: `|foreign key: [`"'])([A-Za-z_]\w*)"#;
    TABLE = r#"(?:\bon table|\btable|\btabela|\btabla|\binto|\bupdate|\bINTO|\bUPDATE|\bFROM) [`"'](?:(?:\w+)"?\."?)?(\w+)[`"']"#;
    COLUMN = r#"\b(?:column(?:_name)?|Column)["']?\s*[:=]\s*[`"']?(\w+)"#;
    MIGRATION = r"\b(20\d{12})(?:_[a-z]\w+)?\b";
    MIGRATION_NAME = r"\b20\d{12}_[a-z]\w+\b|[Mm]igra(?:tion|cao|cion) name: ?20\d{12}";
    INSTANCE = r#"(?:The|Instance|instance) "([^"]*)" (?:instance does not exist|not found)|The ([^" ]+) instance does not exist"#;
    UUID = r"^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^[0-9A-F]{32}$";
    ENCODED = r"%[0-9A-Fa-f]{2}|\+";
    LOOSE = r#"([`'"]?)\b([A-Za-z]\w+)\b"#;
    CONSTRAINT_NAME = r"\b([A-Z]\w*_(?:fkey|key|idx|pkey))\b";
}

impl ErrorParts {
    /// Takes the text of one error apart.
    pub(super) fn parse(error: &str) -> Self {
        let text = normalize::on_one_line(error);
        let mut parts = Self {
            prisma: error_codes::prisma_codes(&text),
            sqlstate: error_codes::sqlstates(&text),
            ..Self::default()
        };
        parts.http = distinct(HTTP.captures_iter(&text).filter_map(|found| found[1].parse().ok()));
        let models =
            CALL.captures_iter(&text).chain(MODEL.captures_iter(&text)).map(|found| found[1].to_owned());
        let tables = TABLE.captures_iter(&text).map(|found| found[1].to_owned());
        for name in models.chain(tables) {
            parts.add_model(&name);
        }
        for found in FIELDS.captures_iter(&text) {
            let list = found.iter().skip(1).flatten().next().map_or("", |list| list.as_str());
            parts.add_fields(list);
        }
        let named = CONSTRAINT.captures_iter(&text).chain(CONSTRAINT_NAME.captures_iter(&text));
        for found in named {
            parts.add_constraint(&found[1]);
        }
        parts.columns = distinct(COLUMN.captures_iter(&text).map(|found| found[1].to_owned()));
        if MIGRATION_NAME.is_match(&text) {
            parts.migrations = distinct(MIGRATION.captures_iter(&text).map(|found| found[1].to_owned()));
        }
        for message in known_messages::ALL.iter() {
            if let Some(found) = message.pattern.captures(&text) {
                parts.add_message(message, &found);
            }
        }
        if parts.fields.is_empty()
            && parts.constraints.is_empty()
            && ["23505", "23503", "23502"].iter().any(|code| parts.has_code(code))
        {
            parts.add_loose_names(&text);
        }
        parts.name = INSTANCE.captures(&text).map(|found| {
            let name = found.get(1).or_else(|| found.get(2)).map_or("", |name| name.as_str());
            NameForm::of(name)
        });
        parts.text = text;
        parts
    }

    fn add_message(&mut self, message: &known_messages::KnownMessage, found: &Captures<'_>) {
        self.messages.push(message.name);
        if !message.sqlstate.is_empty() {
            push(&mut self.sqlstate, message.sqlstate);
        }
        let groups = message.pattern.capture_names().flatten();
        for (group, value) in groups.filter_map(|group| Some((group, found.name(group)?.as_str()))) {
            match group.trim_end_matches(|last: char| last.is_ascii_digit()) {
                "constraint" => self.add_constraint(value),
                "table" => self.add_model(value),
                "relation" => {
                    push(&mut self.relations, value);
                    self.add_model(value.rsplit('.').next().unwrap_or(value));
                }
                "column" => push(&mut self.columns, value.rsplit('.').next().unwrap_or(value)),
                "width" => self.width = value.parse().ok(),
                _ => {}
            }
        }
    }

    /// Columns and tables that a person names in free text, beside a code: `P2002 apiKey`.
    fn add_loose_names(&mut self, text: &str) {
        let is_column = |word: &str| schema().tables.iter().any(|table| table.has_column(word));
        for found in LOOSE.captures_iter(text) {
            let word = &found[2];
            let is_quoted = !found[1].is_empty();
            let is_camel = word.starts_with(|c: char| c.is_ascii_lowercase())
                && word.contains(|c: char| c.is_ascii_uppercase());
            if (is_camel || is_quoted) && is_column(word) {
                self.fields.insert(word.to_owned());
            } else if word.starts_with(|c: char| c.is_ascii_uppercase())
                && schema().tables.iter().any(|table| table.name == word)
            {
                self.add_model(word);
            }
        }
    }

    /// A model by the name of Evolution's table; others are none of Evolution's and stay as they are.
    fn add_model(&mut self, name: &str) {
        let known = schema().tables.iter().find(|table| table.name.eq_ignore_ascii_case(name));
        if let Some(table) = known {
            push(&mut self.models, &table.name);
        }
    }

    fn add_fields(&mut self, list: &str) {
        let fields =
            list.split(',').map(|field| field.trim_matches(|c: char| !c.is_alphanumeric() && c != '_'));
        self.fields.extend(fields.filter(|field| !field.is_empty()).map(str::to_owned));
        // A constraint's name may stand where fields are expected: `target: 'Chat_instanceId_remoteJid_key'`.
        let named: Vec<String> = self.fields.iter().filter(|field| field.contains('_')).cloned().collect();
        for name in named {
            if schema().constraint(&name).is_some() {
                self.fields.remove(&name);
                self.add_constraint(&name);
            }
        }
    }

    /// A constraint, and what is known of it: its table and its columns.
    fn add_constraint(&mut self, name: &str) {
        let known = schema().constraint(name);
        if known.is_none() && !name.contains('_') {
            if name.chars().all(char::is_alphanumeric) && self.fields.is_empty() {
                self.fields.insert(name.to_owned());
            }
            return;
        }
        push(&mut self.constraints, name);
        if let Some((table, columns)) = known {
            push(&mut self.models, table);
            if self.fields.is_empty() {
                self.fields.extend(columns.iter().cloned());
            }
        }
    }

    /// True if a code is among those of the error, or means the same as one of them.
    pub(super) fn has_code(&self, code: &str) -> bool {
        self.prisma
            .iter()
            .chain(&self.sqlstate)
            .any(|own| own == code || error_codes::equivalents(own).any(|same| same == code))
    }

    /// True if it has anything that distinguishes it from other errors.
    pub fn is_empty(&self) -> bool {
        self.prisma.is_empty()
            && self.sqlstate.is_empty()
            && self.messages.is_empty()
            && self.constraints.is_empty()
    }

    /// Returns its depth: an error of the server caused the one of Prisma around it, and that one the API's answer.
    pub(super) fn depth(&self) -> u8 {
        match (self.sqlstate.is_empty(), self.prisma.is_empty()) {
            (false, _) => 2,
            (true, false) => 1,
            (true, true) => 0,
        }
    }

    /// True if the two are distinguished by what they consist of, and so cannot be one error.
    pub(super) fn contradicts(&self, other: &Self) -> bool {
        let differ = |a: &[String], b: &[String]| {
            !a.is_empty() && !b.is_empty() && !a.iter().any(|one| b.contains(one))
        };
        let own_states = |parts: &Self| {
            let behind =
                parts.prisma.iter().flat_map(|code| error_codes::equivalents(code)).map(str::to_owned);
            let all: Vec<String> = parts.sqlstate.iter().cloned().chain(behind).collect();
            all
        };
        let is_wrapping = |parts: &Self| parts.prisma.iter().any(|code| error_codes::is_wrapper(code));
        let wraps = is_wrapping(self) || is_wrapping(other);
        let states = differ(&own_states(self), &own_states(other));
        let codes = differ(&self.prisma, &other.prisma);
        let constraints = differ(&self.constraints, &other.constraints);
        let models = differ(&self.models, &other.models) && !self.is_empty() && !other.is_empty();
        // A code of Prisma's beside one of the server's that it does not stand for.
        let strange = |a: &Self, b: &Self| {
            !a.prisma.is_empty()
                && a.sqlstate.is_empty()
                && b.prisma.is_empty()
                && !b.sqlstate.is_empty()
                && !b.sqlstate.iter().any(|state| {
                    a.has_code(state) || error_codes::equivalents(state).any(|same| a.has_code(same))
                })
        };
        codes || !wraps && (states || constraints || models || strange(self, other) || strange(other, self))
    }
}

impl NameForm {
    fn of(name: &str) -> Self {
        if UUID.is_match(name.trim()) {
            Self::Uuid
        } else if phone::parse_phone(name).is_some() {
            Self::Phone
        } else if ENCODED.is_match(name) || name.trim() != name {
            Self::Encoded
        } else {
            Self::Plain
        }
    }
}

fn push(list: &mut Vec<String>, value: &str) {
    if !list.iter().any(|known| known == value) {
        list.push(value.to_owned());
    }
}

fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut found = Vec::new();
    for value in values {
        if !found.contains(&value) {
            found.push(value);
        }
    }
    found
}
