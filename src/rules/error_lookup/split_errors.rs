//! The errors that one paste holds.

use std::sync::LazyLock;

use regex::Regex;

use super::ErrorParts;
use super::normalize::normalized;

/// More is a log and no paste; its end, where the newest error stands, is what counts.
const LONGEST: usize = 256 * 1024;

/// Where an error, or a line of a log that holds one, may begin.
static BEGINNING: LazyLock<Regex> = LazyLock::new(|| {
    let record = r"\[Evolution API\]";
    let severity = r"\b(?:ERROR|FATAL|PANIC|ERRO|WARNING|AVISO|ADVERTENCIA|PostgresError|error):\s";
    let class = r"\b(?:PrismaClient\w+Error|DatabaseError|DriverAdapterError|ConnectorError)\b";
    let call = r"\bInvalid `[^`]+` invocation";
    let cause = r"\b(?:Caused by|\[cause\]|cause):";
    let time = r"(?m:^\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d)";
    let code = r"(?m:^\s*(?:Error: )?P[1-6]\d{3}\b)";
    Regex::new(&[record, severity, class, call, cause, time, code].join("|"))
        .expect("a pattern of this program")
});

/// The errors of a paste, the innermost first, and of those that are equally deep the first one first.
pub fn split_errors(paste: &str) -> Vec<ErrorParts> {
    let from = paste.len().saturating_sub(LONGEST);
    let from = (from..=paste.len()).find(|&at| paste.is_char_boundary(at)).unwrap_or(0);
    let text = normalized(&paste[from..]);
    let mut bounds: Vec<usize> = BEGINNING.find_iter(&text).map(|found| found.start()).collect();
    bounds.push(text.len());
    let mut errors: Vec<(String, ErrorParts)> = Vec::new();
    let mut begin = 0;
    for end in bounds {
        let piece = &text[begin..end];
        begin = end;
        if piece.trim().is_empty() {
            continue;
        }
        let parts = ErrorParts::parse(piece);
        match errors.last_mut() {
            Some((before, known)) if !known.contradicts(&parts) => {
                before.push_str(piece);
                *known = ErrorParts::parse(before);
            }
            _ => errors.push((piece.to_owned(), parts)),
        }
    }
    let mut errors: Vec<ErrorParts> = errors.into_iter().map(|(_, parts)| parts).collect();
    errors.sort_by_key(|parts| std::cmp::Reverse(parts.depth()));
    errors.dedup();
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_error_in_many_lines_is_one() {
        let paste = "PrismaClientKnownRequestError: \nInvalid `this.prismaRepository.chat.upsert()` invocation in\n\
                     /evolution/dist/main.js:1:1\n\nUnique constraint failed on the fields: (`instanceId`,`remoteJid`)\n  \
                     code: 'P2002',\n  meta: { modelName: 'Chat', target: [ 'instanceId', 'remoteJid' ] }";
        let found = split_errors(paste);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].models[0].as_str(), found[0].fields.len()), ("Chat", 2));
    }

    #[test]
    fn several_errors_are_split_innermost_first() {
        let paste = "Error: P1001: Can't reach database server at `db:5432`\n\
                     2025-11-01 10:00:00.000 UTC [7] ERROR:  duplicate key value violates unique constraint \
                     \"OpenaiCreds_apiKey_key\"\n\
                     2025-11-01 10:00:01.000 UTC [7] ERROR:  deadlock detected";
        let found = split_errors(paste);
        let states: Vec<&str> = found.iter().map(|parts| parts.sqlstate[0].as_str()).collect();
        assert_eq!(states, ["08001", "23505", "40P01"]);
    }
}
