//! Decides what is masked as a secret before a row leaves the database layer. The only place that does.

mod field_names;
mod patterns;
pub mod personal;

use serde_json::Value;

use field_names::is_secret;
pub use patterns::redact_text;

/// The longest text a sample shows before it is cut, in characters.
const LONGEST: usize = 120;

/// Shows enough of a secret to recognise it and too little to use it: `sk-a…f3`.
pub fn redact_secret(text: &str) -> String {
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
pub fn redact_json(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if is_secret(name, field.is_string()) { hide(field) } else { self::redact_json(field) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(self::redact_json),
        Value::String(said) => {
            *said = redact_text(said);
            cut(said);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Masks a value of which every part is secret.
fn hide(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::String(text) => *text = redact_secret(text),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => *value = Value::from("…"),
    }
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
        redact_json(&mut row);
        assert_eq!(
            row,
            json!({
                "id": "c1", "apiKey": "sk-a…f3", "token": "…", "creds": "…",
                "key": {"id": "3EB0"}, "nested": [{"Password": "corr…ry"}], "none": null
            })
        );
        let mut pusher = json!({"key": "0123456789abcdef"});
        redact_json(&mut pusher);
        assert_eq!(pusher, json!({"key": "0123…ef"}));
    }

    #[test]
    fn credentials_in_urls_are_masked() {
        let mut row = json!({
            "url": "https://user:pa@ss@bot.example/x?a=1&token=abc&api_key=d#e", "plain": "https://bot.example/a?b=c",
            "text": "see http://u:p@h and amqp://x:y@z/v, mail a@b.c"
        });
        redact_json(&mut row);
        assert_eq!(
            row,
            json!({
                "url": "https://…@bot.example/x?a=1&token=…&api_key=…#e", "plain": "https://bot.example/a?b=c",
                "text": "see http://…@h and amqp://…@z/v, mail a@b.c"
            })
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let mut text = json!("é".repeat(300));
        redact_json(&mut text);
        assert_eq!(text.as_str().unwrap().chars().count(), LONGEST + 1);
    }
}
