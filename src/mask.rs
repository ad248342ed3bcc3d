//! Secrets stay secret: the one place that decides what is masked before a row leaves the database layer.

use serde_json::Value;

/// Column names, lower case, whose values are secrets in Evolution's tables, whatever the table: API keys,
/// tokens, WhatsApp session credentials, passwords, and headers that carry `Authorization`.
const SECRET: &[&str] = &[
    "apikey",
    "token",
    "wavoiptoken",
    "creds",
    "password",
    "basicauthpass",
    "secret",
    "headers",
    "authorization",
    "disconnectionobject",
];

/// Pusher's `key` is a secret, but `Message.key` is not; a bare string under `key` is masked, an object is not.
const SECRET_IF_TEXT: &[&str] = &["key"];

/// The longest text a sample shows before it is cut, in characters.
const LONGEST: usize = 120;

/// Shows enough of a secret to recognise it and too little to use it: `sk-a…f3`.
pub fn secret(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    match characters.len() {
        0 => String::new(),
        1..=11 => "…".to_owned(),
        length => {
            let head: String = characters[..4].iter().collect();
            let tail: String = characters[length - 2..].iter().collect();
            format!("{head}…{tail}")
        }
    }
}

/// Masks every secret inside a row or sample, and cuts what is too long to read.
pub fn value(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let name = name.to_ascii_lowercase();
                let is_secret = SECRET.contains(&name.as_str())
                    || (field.is_string() && SECRET_IF_TEXT.contains(&name.as_str()));
                if is_secret { hide(field) } else { self::value(field) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(self::value),
        Value::String(said) => {
            *said = text(said);
            cut(said);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks what is a secret by its form, in a text of any kind: what stands before the `@` of a URL, parameters that are
/// named like secrets, keys of OpenAI (`sk-…`), and what follows `Bearer` or `Basic`.
pub fn text(text: &str) -> String {
    let text = if text.contains("://") { without_credentials(text) } else { text.to_owned() };
    without_tokens(&text)
}

/// The shortest run of characters after `sk-`, `Bearer ` or `Basic ` that is taken for a secret.
const SHORTEST: usize = 16;

fn without_tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, mark)) = next_mark(rest) {
        let is_key = mark.starts_with("sk");
        let begins = if is_key { at } else { at + mark.len() };
        let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.~+/=".contains(c);
        let length = rest[begins..].find(|c| !is_part(c)).unwrap_or(rest.len() - begins);
        let (before, token) = (&rest[..begins], &rest[begins..begins + length]);
        let is_inside_a_word = is_key && before.ends_with(|c: char| c.is_ascii_alphanumeric());
        out.push_str(before);
        if length >= SHORTEST && !is_inside_a_word {
            out.push_str(&secret(token));
        } else {
            out.push_str(token);
        }
        rest = &rest[begins + length..];
    }
    out + rest
}

/// The first place where a token may begin, and what marks it.
fn next_mark(text: &str) -> Option<(usize, &'static str)> {
    const MARKS: [&str; 5] = ["sk-", "Bearer ", "bearer ", "Basic ", "basic "];
    MARKS.iter().filter_map(|mark| Some((text.find(mark)?, *mark))).min()
}

/// Masks a value of which every part is secret.
fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) => *text = secret(text),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => *value = Value::from("…"),
    }
}

/// Hides what stands before the `@` of every URL in a text, and the values of parameters that are named like secrets.
fn without_credentials(text: &str) -> String {
    let mut parts = text.split("://");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['/', '?', '#', '"', ' ', '\n']).unwrap_or(part.len());
        let (authority, rest) = part.split_at(end);
        out.push_str("://");
        match authority.rsplit_once('@') {
            Some((_, host)) => out.push_str(&format!("…@{host}")),
            None => out.push_str(authority),
        }
        for piece in rest.split_inclusive(['?', '&', '#', '"', ' ', '\n']) {
            out.push_str(&match piece.split_once('=') {
                Some((name, value)) if is_secret_parameter(name) => {
                    format!(
                        "{name}=…{}",
                        value.strip_suffix(|c| "&#\" \n".contains(c)).map_or("", |v| &value[v.len()..])
                    )
                }
                _ => piece.to_owned(),
            });
        }
    }
    out
}

fn is_secret_parameter(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace(['_', '-'], "");
    SECRET.contains(&name.as_str()) || SECRET_IF_TEXT.contains(&name.as_str()) || name.ends_with("token")
}

fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(at);
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mut row = json!({
            "id": "c1", "apiKey": "sk-abcdefghijklmf3", "token": "short", "creds": {"noiseKey": "x"},
            "key": {"id": "3EB0"}, "nested": [{"Password": "correct horse battery"}], "none": null
        });
        value(&mut row);
        assert_eq!(
            row,
            json!({
                "id": "c1", "apiKey": "sk-a…f3", "token": "…", "creds": "…",
                "key": {"id": "3EB0"}, "nested": [{"Password": "corr…ry"}], "none": null
            })
        );
        let mut pusher = json!({"key": "0123456789abcdef"});
        value(&mut pusher);
        assert_eq!(pusher, json!({"key": "0123…ef"}));
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        let mut row = json!({
            "url": "https://user:pa@ss@bot.example/x?a=1&token=abc&api_key=d#e", "plain": "https://bot.example/a?b=c",
            "text": "see http://u:p@h and amqp://x:y@z/v, mail a@b.c"
        });
        value(&mut row);
        assert_eq!(
            row,
            json!({
                "url": "https://…@bot.example/x?a=1&token=…&api_key=…#e", "plain": "https://bot.example/a?b=c",
                "text": "see http://…@h and amqp://…@z/v, mail a@b.c"
            })
        );
    }

    #[test]
    fn tokens_are_masked_by_their_form() {
        assert_eq!(
            text("sk-abcdefghijklmnop, task-abcdefghijklmnopq sk-short"),
            "sk-a…op, task-abcdefghijklmnopq sk-short"
        );
        assert_eq!(text("Authorization: Bearer abcdefghijklmnopqr"), "Authorization: Bearer abcd…qr");
        assert_eq!(text("é Basic é basic training"), "é Basic é basic training");
        assert_eq!(text("sk-\u{e9}sk-proj-0123456789abcdef"), "sk-ésk-p…ef");
    }

    #[test]
    fn long_texts_are_cut() {
        let mut text = json!("é".repeat(300));
        value(&mut text);
        assert_eq!(text.as_str().unwrap().chars().count(), LONGEST + 1);
    }
}
