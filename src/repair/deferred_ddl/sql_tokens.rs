//! The tokens of a statement that this program has written.

/// Words, names without their quotes, and signs. The statements are this program's own: there is no comment in them.
pub(super) fn tokens(sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = sql.trim();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let mut end = 1;
                while let Some(at) = rest[end..].find('"') {
                    end += at + 1;
                    if !rest[end..].starts_with('"') {
                        break;
                    }
                    end += 1;
                }
                tokens.push(rest[1..end.max(2) - 1].replace("\"\"", "\""));
                end
            }
            c if is_word(c) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                tokens.push(rest[..end].to_owned());
                end
            }
            sign => {
                tokens.push(sign.to_string());
                sign.len_utf8()
            }
        };
        rest = rest[length..].trim_start();
    }
    tokens
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}
