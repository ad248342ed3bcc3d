//! The text of a paste, without what logs, terminals and JSON put around it.

use std::sync::LazyLock;

use regex::Regex;

/// The prefix that the log or the terminal puts before a line: a container's name, a time, a stream's name.
static PREFIX: LazyLock<Regex> = LazyLock::new(|| {
    let container = r"[\w.-]+\s*\|\s";
    let time =
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d)\s+(?:std(?:out|err)\s+[FP]\s+)?";
    let unit = r"\w{3}\s+\d+\s\d\d:\d\d:\d\d\s\S+\s\S+\[\d+\]:\s";
    Regex::new(&format!(r"(?m)^\s*(?:{unit})?(?:{container})?(?:{time})?"))
        .expect("a pattern of this program")
});

static ESCAPE_SEQUENCES: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\x1b|\\u001b|\\x1b|\\033)\[[0-9;]*[A-Za-z]").expect("a pattern of this program")
});

/// The text with plain quotes and letters without accents, line by line. Escapes of JSON are taken back, up to twice, as
/// an error in the body of an answer in a log has them.
pub(super) fn normalized(text: &str) -> String {
    let text = ESCAPE_SEQUENCES.replace_all(text, "");
    let text = unescaped(&unescaped(&text));
    let plain: String = text.chars().map(plain).collect();
    PREFIX.replace_all(&plain, "").into_owned()
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "").replace("\\t", " ").replace("\\\"", "\"").replace("\\'", "'")
}

/// One line, with single spaces.
pub(super) fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A letter without its accent, and a quote as a keyboard has it.
fn plain(letter: char) -> char {
    match letter {
        'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
        'Á' | 'À' | 'Â' | 'Ã' | 'Ä' => 'A',
        'é' | 'è' | 'ê' | 'ë' => 'e',
        'É' | 'È' | 'Ê' => 'E',
        'í' | 'ì' | 'î' | 'ï' => 'i',
        'Í' => 'I',
        'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
        'Ó' | 'Ô' | 'Õ' | 'Ö' => 'O',
        'ú' | 'ù' | 'û' | 'ü' => 'u',
        'Ú' | 'Ü' => 'U',
        'ç' => 'c',
        'Ç' => 'C',
        'ñ' => 'n',
        'Ñ' => 'N',
        '«' | '»' | '“' | '”' | '„' | '″' => '"',
        '‘' | '’' | '′' => '\'',
        '\u{a0}' | '\u{202f}' => ' ',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_colours_and_escapes_are_taken_away() {
        for (given, plain) in [
            ("evolution_api  | Error: P1001", "Error: P1001"),
            ("evolution-api-1 | 2025-11-20T10:00:00.1Z FATAL", "FATAL"),
            ("2025-11-20T10:00:00Z stderr F Error", "Error"),
            ("Nov 20 10:00:00 host dockerd[12]: Error", "Error"),
            ("\u{1b}[31mERROR\u{1b}[0m: no", "ERROR: no"),
            (r#"{"message":"The \"a\" does"}"#, r#"{"message":"The "a" does"}"#),
            ("não existe a relação «Chat»", "nao existe a relacao \"Chat\""),
        ] {
            assert_eq!(normalized(given), plain);
        }
    }
}
