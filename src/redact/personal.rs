//! Personal data by its form, in a text of any kind, and the pseudonyms that stand for it.
//!
//! A pseudonym is a hash under a random key of this run that is stored nowhere: within one run the same number has the
//! same pseudonym, and no list of all numbers leads back from it.

use std::borrow::Cow;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use crate::text::hex::encode_hex;
use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

/// The name that stands for a personal value in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Naming {
    /// By a pseudonym of this run: the same value has the same name.
    Keyed,
    /// By its kind only, for what must be the same in every run: plans, and the keys of baselines.
    Fixed,
}

static KEY: LazyLock<[u8; 32]> = LazyLock::new(rand::random);

/// Kinds of WhatsApp ids, by the part after the `@`.
const SERVERS: &str = r"s\.whatsapp\.net|c\.us|g\.us|lid|hosted\.lid|hosted|newsletter|broadcast|bot";

/// A number with a country code has so many digits.
const DIGITS: std::ops::RangeInclusive<usize> = 10..=15;

/// Programs whose name in a request says nothing about a person.
const PROGRAMS: [&str; 26] = [
    "ansible",
    "apache",
    "axios",
    "bruno",
    "curl",
    "dart",
    "dify",
    "evolution",
    "flowise",
    "go",
    "got",
    "guzzlehttp",
    "httpie",
    "insomnia",
    "java",
    "make",
    "mozilla",
    "n8n",
    "node",
    "okhttp",
    "php",
    "postmanruntime",
    "python",
    "ruby",
    "undici",
    "wget",
];

static PERSONAL: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = format!(
        r"(?x)
        (?<uuid> [0-9a-fA-F]{{8}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{4}}-[0-9a-fA-F]{{12}} )
        | (?<user> [0-9]{{1,20}} (?:-[0-9]+)? ) (?: [:_][0-9]+ )* @ (?<server> {SERVERS} )
        | (?<email> [0-9A-Za-z_.+-]+ @ [0-9A-Za-z-]+ (?: \.[0-9A-Za-z-]+ )+ )
        | (?<document> [0-9]{{3}}\.[0-9]{{3}}\.[0-9]{{3}}-[0-9]{{2}} | [0-9]{{2}}\.[0-9]{{3}}\.[0-9]{{3}}/[0-9]{{4}}-[0-9]{{2}} )
        | (?<phone> \+[0-9][0-9\ ().-]{{8,20}}[0-9] | \(?[0-9]{{2}}\)?[\ -]9?[0-9]{{4}}-[0-9]{{4}} | \+?[0-9]{{10,}} )
        "
    );
    Regex::new(&pattern).expect("a constant")
});

/// A JSON value as a literal of SQL.
static JSON_LITERAL: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"'[\[{](?:[^']|'')*'").expect("a constant"));

/// Values that Postgres quotes in its messages, in English and in the other languages of its servers: a key or a row in
/// parentheses, and an input that is none of its type. Where a value ends is not certain: the last parenthesis or quotation mark of
/// the line counts, or, of a value of several lines, the first.
static QUOTED_VALUE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?<key> \([^()]*\)= | (?: row\ contains | enthält | contiene | contient | contém ) \  )
            (?: \(.*\) | \( (?s: .*? ) (?: \) | $ ) )
        | (?<input>
            (?: invalid\ input | malformed | Eingabe | fehlerhaft | entrada | entrée | sintassi | letterale | mal\ form ) [^:\n]* \ ? : \  )
            ["«»„“] (?: .* ["»«“”] | (?s: .*? ) (?: ["»«“”] | $ ) )
        | (?<token> \b (?: [Tt]oken | elemento | jeton ) \  ) ["«»„“] [^"«»„“”\n]* ["»«“”]
        "#,
    )
    .expect("a constant")
});

static IS_STDERR_SHOWN: AtomicBool = AtomicBool::new(false);

/// Lets stderr hold personal data from now on: it is a terminal, or rows are asked for.
pub fn show_on_stderr() {
    IS_STDERR_SHOWN.store(true, Relaxed);
}

/// A text as stderr may hold it, which is a log in most pipelines.
pub fn for_stderr(text: &str) -> Cow<'_, str> {
    match IS_STDERR_SHOWN.load(Relaxed) {
        true => Cow::Borrowed(text),
        false => {
            // Rows on their way into the quarantine.
            let length = |found: &Captures<'_>| format!("'[{} characters]'", found[0].chars().count() - 2);
            Cow::Owned(Naming::Keyed.redact(&JSON_LITERAL.replace_all(text, length)))
        }
    }
}

/// A name for a value of a kind, such as `phone-3fa9c1d2`.
pub fn pseudonym(kind: &str, value: &str) -> String {
    let digest = Sha256::new().chain_update(*KEY).chain_update(kind).chain_update([0]).chain_update(value);
    let digest = encode_hex(&digest.finalize()[..4]);
    format!("{kind}-{digest}")
}

impl Naming {
    /// The replacement of a value.
    pub fn name(self, kind: &str, value: &str) -> String {
        match self {
            Self::Keyed => pseudonym(kind, value),
            Self::Fixed => format!("{kind}-…"),
        }
    }

    /// The replacement of a phone number, a JID or a LID. The server after the `@` stays: it says whether this is a
    /// person or a group.
    pub fn phone(self, value: &str) -> String {
        let (user, server) = match value.split_once('@') {
            Some((user, server)) => (user.split([':', '_']).next().unwrap_or(user), Some(server)),
            None => (value, None),
        };
        let digits: String = user.chars().filter(char::is_ascii_digit).collect();
        let name = self.name("phone", if digits.is_empty() { user } else { &digits });
        match server.filter(|server| server.bytes().all(|b| b.is_ascii_lowercase() || b == b'.')) {
            Some(server) => format!("{name}@{server}"),
            None => name,
        }
    }

    /// The replacement of a client's address.
    pub fn client(self, address: &str) -> String {
        self.name("client", address)
    }

    /// The replacement of a user agent: a well-known program's name and version, or a pseudonym.
    pub fn program(self, agent: &str) -> String {
        let first = agent.split_whitespace().next().unwrap_or_default();
        let (name, version) = first.split_once('/').unwrap_or((first, ""));
        let word = name.split(['-', '.', '_']).next().unwrap_or_default().to_ascii_lowercase();
        let is_version = version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        match PROGRAMS.contains(&word.as_str()) {
            true if is_version && word.len() == name.len() => first.to_owned(),
            true => word,
            false => self.name("agent", agent),
        }
    }

    /// A text without phone numbers, JIDs, mail addresses, tax numbers, and the values of rows that Postgres quotes in its
    /// messages.
    pub fn redact(self, text: &str) -> String {
        let text = QUOTED_VALUE.replace_all(text, hidden_value);
        let found = |found: &Captures<'_>| self.replacement(&text, found);
        PERSONAL.replace_all(&text, found).into_owned()
    }

    fn replacement(self, text: &str, found: &Captures<'_>) -> String {
        let whole = found.get(0).expect("the whole match");
        let as_it_is = || whole.as_str().to_owned();
        if let (Some(user), Some(server)) = (found.name("user"), found.name("server")) {
            // WhatsApp's own accounts, and what Evolution writes for nobody, are `0`.
            return match user.as_str() {
                "0" => as_it_is(),
                user => self.phone(&format!("{user}@{}", server.as_str())),
            };
        }
        if let Some(email) = found.name("email") {
            return self.name("email", email.as_str());
        }
        if let Some(document) = found.name("document") {
            return self.name("document", document.as_str());
        }
        let Some(phone) = found.name("phone") else { return as_it_is() };
        let before = text[..whole.start()].chars().next_back();
        let after = text[whole.end()..].chars().next();
        let is_fraction =
            before == Some('.') && text[..whole.start() - 1].ends_with(|c: char| c.is_ascii_digit());
        let is_part = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        match is_fraction || is_part(before) || is_part(after) || !is_number(phone.as_str()) {
            true => as_it_is(),
            false => self.phone(phone.as_str()),
        }
    }
}

/// The visible part of a value that Postgres quotes.
fn hidden_value(found: &Captures<'_>) -> String {
    match (found.name("key"), found.name("input").or(found.name("token"))) {
        (Some(key), _) => format!("{}(…)", key.as_str()),
        // A message that is quoted as a whole ends with two.
        (_, Some(input)) if found[0].ends_with("\"\"") => format!("{}\"…\"\"", input.as_str()),
        (_, input) => format!("{}\"…\"", input.map_or("", |input| input.as_str())),
    }
}

/// True if digits may be a phone number: not the number of a migration, and not a moment in seconds or milliseconds.
fn is_number(text: &str) -> bool {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_bare = digits.len() == text.len();
    let is_migration = digits.len() == 14 && digits.starts_with("20");
    let is_moment = digits.starts_with('1') && matches!(digits.len(), 10 | 13);
    DIGITS.contains(&digits.len()) && !(is_bare && (is_migration || is_moment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_personal_by_its_form_gets_a_name() {
        for (text, shown) in [
            ("call 5511999990000.", "call phone-…."),
            ("call +55 (11) 99999-0000 now", "call phone-… now"),
            ("(11) 99999-0000", "phone-…"),
            (
                "5511999990000@s.whatsapp.net,5511999990000:12@s.whatsapp.net",
                "phone-…@s.whatsapp.net,phone-…@s.whatsapp.net",
            ),
            ("120363012345678901@g.us and 5511999-1600000000@g.us", "phone-…@g.us and phone-…@g.us"),
            ("Instance \"5511999990000\"", "Instance \"phone-…\""),
            ("loja_5511999990000", "loja_phone-…"),
            ("maria.silva@example.com", "email-…"),
            ("CPF 123.456.789-09", "CPF document-…"),
            ("Key (\"apiKey\")=(sk-1) already exists.", "Key (\"apiKey\")=(…) already exists."),
            ("DETAIL: Failing row contains (1, Maria, x).", "DETAIL: Failing row contains (…)."),
            ("Key (a, b)=(Maria (2), is it) is (not) here.", "Key (a, b)=(…) here."),
            ("Ya existe la llave (\"name\")=(Maria).", "Ya existe la llave (\"name\")=(…)."),
            ("Schlüssel »(name)=(Maria)« existiert bereits.", "Schlüssel »(name)=(…)« existiert bereits."),
            ("La fila que falla contiene (1, Maria).", "La fila que falla contiene (…)."),
            ("Key (note)=(Maria\nSilva) already exists.", "Key (note)=(…) already exists."),
            (
                "failed with \"invalid input value for enum \"Kind\": \"Maria\"\"; nothing is there",
                "failed with \"invalid input value for enum \"Kind\": \"…\"\"; nothing is there",
            ),
            (
                "invalid input syntax for type integer: \"Maria \"Z\" x\"",
                "invalid input syntax for type integer: \"…\"",
            ),
            ("ungültige Eingabesyntax für Typ json: »Maria«", "ungültige Eingabesyntax für Typ json: \"…\""),
            (
                "valor de entrada é inválido para enum \"K\": \"Maria\"",
                "valor de entrada é inválido para enum \"K\": \"…\"",
            ),
            (
                "valeur en entrée invalide pour le enum K : « Maria »",
                "valeur en entrée invalide pour le enum K : \"…\"",
            ),
            ("Token \"Maria\" is invalid.", "Token \"…\" is invalid."),
        ] {
            assert_eq!(Naming::Fixed.redact(text), shown, "{text}");
        }
    }

    #[test]
    fn other_numbers_stay() {
        for text in [
            "20251122003044_name is pending",
            "20251122003044",
            "123e4567-e89b-42d3-a456-426614174000",
            "cm2message0151 c1234567890123456789012x",
            "at 1764381600 and 1764381600000",
            "2026-11-29T01:02:03.456Z, 10.0.0.7:5432, 1,234,567 rows, 999999999 rows",
            "0.12345678901234",
            "3EB0C767D097B7C7C030",
            "0@s.whatsapp.net and status@broadcast",
            "relation \"public.Instance\" does not exist",
            "(\"id\") IN (SELECT \"a\" FROM \"b\" WHERE (\"c\") = (\"d\"))",
            "write instead: \"support\"",
        ] {
            assert_eq!(Naming::Keyed.redact(text), text);
        }
    }

    #[test]
    fn one_number_has_one_pseudonym() {
        let jid = Naming::Keyed.redact("5511999990000@s.whatsapp.net");
        assert_eq!(jid, format!("{}@s.whatsapp.net", Naming::Keyed.redact("+55 11 99999-0000")));
        assert_ne!(jid, Naming::Keyed.redact("5511999990001@s.whatsapp.net"));
        assert!(!jid.contains("5511"));
    }
}
