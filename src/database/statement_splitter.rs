//! Finds where the statements of SQL from outside end, a plain dump's or a migration's, as psql would.
//!
//! Only ends are searched: the server decides what a statement means. A wrong guess spoils a restore but is not
//! dangerous, because only the server ever runs what is in a dump, as a role without rights outside of its own
//! database; and a migration's statements are sent so that the server accepts one at a time or none.

/// One statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statement {
    /// Its text, without the semicolon.
    pub text: Vec<u8>,
    /// Its first words outside of quotes, in small letters.
    pub words: Vec<String>,
    /// True if rows for it follow, up to a line with `\.`.
    pub reads_rows: bool,
    /// The line that it begins in, from 1.
    pub line: usize,
}

/// The number of first words that are kept: enough to tell `CREATE OR REPLACE FUNCTION`.
const WORDS: usize = 8;

#[derive(Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    /// `'…'`, with backslash escapes or without.
    Text { escapes: bool },
    /// `"…"`.
    Name,
    /// `$tag$…$tag$`.
    Dollar(Vec<u8>),
    /// `/* … */`, which nest.
    Comment { depth: usize },
}

/// Reads lines, gives statements.
#[derive(Debug, Default)]
pub struct StatementSplitter {
    statement: Statement,
    inside: Inside,
    parentheses: usize,
    /// `BEGIN ATOMIC` and `CASE` without their `END`.
    blocks: usize,
    last_word: String,
    /// The number of lines that were taken.
    lines: usize,
    /// `standard_conforming_strings = off`, as very old dumps have it.
    pub backslashes_escape: bool,
}

impl StatementSplitter {
    /// True if no statement has begun.
    pub fn is_between(&self) -> bool {
        self.inside == Inside::Nothing && self.statement.text.is_empty()
    }

    /// Returns the length of the statement that has begun, in bytes.
    pub fn pending(&self) -> usize {
        self.statement.text.len()
    }

    /// Takes a line with its line end; gives the statements that end in it. Behind one that reads rows, the rest
    /// of the line is left out.
    pub fn push_line(&mut self, line: &[u8]) -> Vec<Statement> {
        let mut ended = Vec::new();
        let mut at = 0;
        self.lines += 1;
        while at < line.len() {
            let was_comment = self.is_comment(&line[at..]);
            let length = self.step(&line[at..]);
            if length == 0 {
                self.parentheses = 0;
                self.last_word.clear();
                let statement = std::mem::take(&mut self.statement);
                let reads_rows = statement.reads_rows;
                if !statement.text.is_empty() {
                    ended.push(statement);
                }
                if reads_rows {
                    return ended;
                }
                at += 1;
                continue;
            }
            // Space and comments before a statement are not part of it.
            let piece = &line[at..at + length];
            let is_before = self.statement.text.is_empty() && (was_comment || piece.trim_ascii().is_empty());
            if !is_before {
                if self.statement.text.is_empty() {
                    self.statement.line = self.lines;
                }
                self.statement.text.extend_from_slice(piece);
            }
            at += length;
        }
        ended
    }

    /// The statement that has begun and not ended, at the end of the text: its semicolon may be missing.
    pub fn finish(self) -> Option<Statement> {
        (!self.statement.text.is_empty()).then_some(self.statement)
    }

    fn is_comment(&self, rest: &[u8]) -> bool {
        match self.inside {
            Inside::Nothing => rest.starts_with(b"--") || rest.starts_with(b"/*"),
            Inside::Comment { .. } => true,
            _ => false,
        }
    }

    /// The length of the next piece; 0 for the semicolon that ends a statement.
    fn step(&mut self, rest: &[u8]) -> usize {
        match &mut self.inside {
            Inside::Nothing => self.outside(rest),
            Inside::Text { escapes } => match memchr::memchr2(b'\'', b'\\', rest) {
                Some(at) if rest[at] == b'\\' => {
                    let skipped = if *escapes { 2 } else { 1 };
                    (at + skipped).min(rest.len())
                }
                found => self.close(found, rest),
            },
            Inside::Name => {
                let found = memchr::memchr(b'"', rest);
                self.close(found, rest)
            }
            Inside::Dollar(tag) => match memchr::memmem::find(rest, tag) {
                Some(at) => {
                    let length = at + tag.len();
                    self.inside = Inside::Nothing;
                    length
                }
                None => rest.len(),
            },
            Inside::Comment { depth } => {
                let Some(at) = memchr::memchr2(b'*', b'/', rest) else { return rest.len() };
                match &rest[at..] {
                    [b'*', b'/', ..] if *depth == 1 => self.inside = Inside::Nothing,
                    [b'*', b'/', ..] => *depth -= 1,
                    [b'/', b'*', ..] => *depth += 1,
                    _ => return at + 1,
                }
                at + 2
            }
        }
    }

    /// Leaves quotes. Doubled ones are entered again by the next step, which comes to the same.
    fn close(&mut self, found: Option<usize>, rest: &[u8]) -> usize {
        let Some(at) = found else { return rest.len() };
        self.inside = Inside::Nothing;
        at + 1
    }

    fn outside(&mut self, rest: &[u8]) -> usize {
        match rest {
            [b'-', b'-', ..] => rest.len(),
            [b'/', b'*', ..] => {
                self.inside = Inside::Comment { depth: 1 };
                2
            }
            [b'\'', ..] => {
                let escapes = self.backslashes_escape || self.ends_in_e();
                self.inside = Inside::Text { escapes };
                1
            }
            [b'"', ..] => {
                self.inside = Inside::Name;
                1
            }
            [b'$', ..] => match dollar_tag(rest) {
                Some(tag) => {
                    let length = tag.len();
                    self.inside = Inside::Dollar(tag.to_vec());
                    length
                }
                None => 1,
            },
            [b'(', ..] => {
                self.parentheses += 1;
                1
            }
            [b')', ..] => {
                self.parentheses = self.parentheses.saturating_sub(1);
                1
            }
            [b';', ..] if self.parentheses == 0 && self.blocks == 0 => 0,
            [first, ..] if is_word(*first) => {
                // A dollar sign goes on a word: a$b$c is a name.
                let end = rest.iter().position(|byte| !is_word(*byte) && *byte != b'$');
                let length = end.unwrap_or(rest.len());
                self.word(String::from_utf8_lossy(&rest[..length]).to_ascii_lowercase());
                length
            }
            _ => 1,
        }
    }

    /// True if the quote that comes now belongs to an `E` right before it.
    fn ends_in_e(&self) -> bool {
        let is_e = self.last_word == "e";
        is_e && self.statement.text.last().is_some_and(|byte| byte.eq_ignore_ascii_case(&b'e'))
    }

    fn word(&mut self, word: String) {
        let first = self.statement.words.first().map(String::as_str);
        match word.as_str() {
            "stdin" if first == Some("copy") && self.last_word == "from" && self.parentheses == 0 => {
                self.statement.reads_rows = true;
            }
            // The body of a function in standard SQL has semicolons of its own.
            "atomic" if self.last_word == "begin" && first == Some("create") => self.blocks = 1,
            "case" if self.blocks > 0 => self.blocks += 1,
            "end" => self.blocks = self.blocks.saturating_sub(1),
            _ => {}
        }
        if self.statement.words.len() < WORDS {
            self.statement.words.push(word.clone());
        }
        self.last_word = word;
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// `$tag$` where the text begins with one.
fn dollar_tag(text: &[u8]) -> Option<&[u8]> {
    let end = 1 + memchr::memchr(b'$', &text[1..])?;
    let tag = &text[1..end];
    let is_tag = tag.iter().all(|byte| is_word(*byte)) && !tag.first().is_some_and(u8::is_ascii_digit);
    is_tag.then_some(&text[..=end])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(sql: &str) -> Vec<String> {
        let mut lexer = StatementSplitter::default();
        let mut texts = Vec::new();
        for line in sql.split_inclusive('\n') {
            texts.extend(
                lexer.push_line(line.as_bytes()).into_iter().map(|s| String::from_utf8(s.text).unwrap()),
            );
        }
        assert!(lexer.is_between(), "{sql}: {lexer:?}");
        texts
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_where_psql_says_so() {
        for whole in [
            "SELECT 1",
            "SELECT ';', 'it''s;', E'\\';', \";\"",
            "SELECT 'a\n;b'",
            "SELECT 'back\\'",
            "DO $$ BEGIN PERFORM 1; END $$",
            "DO $a$ ; $b$ ; $$ ; $a$",
            "SELECT a$b$c",
            "SELECT /* ; /* ; */ ; */ 1",
            "SELECT 1 -- ;\n + 1",
            "CREATE RULE r AS ON INSERT TO t DO ALSO (INSERT INTO a VALUES (1); INSERT INTO b VALUES (2))",
            "CREATE FUNCTION f() RETURNS integer\n    BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n SELECT 2;\nEND",
            "CREATE TABLE t (\"end;\" text, e text)",
        ] {
            let ended = texts(&format!("{whole};\n{whole}; \n"));
            assert_eq!(ended, [whole, whole], "{whole}");
        }
        assert_eq!(texts("SELECT 1; SELECT 2;;\n"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(texts("-- it's; one\n/* it's;\n two */ SELECT 3;\n"), ["SELECT 3"]);
    }

    #[test]
    fn copy_says_that_rows_follow() {
        let mut lexer = StatementSplitter::default();
        for (sql, expected) in [
            ("COPY evolution_api.\"Chat\" (id, \"from\") FROM stdin;\n", true),
            ("copy t from STDIN with (format csv);\n", true),
            ("COPY t FROM PROGRAM 'stdin';\n", false),
            ("COPY (SELECT a FROM stdin) TO '/tmp/x';\n", false),
            ("SELECT 'COPY' FROM stdin;\n", false),
        ] {
            assert_eq!(lexer.push_line(sql.as_bytes())[0].reads_rows, expected, "{sql}");
        }
        assert_eq!(
            lexer.push_line(b"CREATE  TABLE x (a int);")[0].words,
            ["create", "table", "x", "a", "int"]
        );
    }

    #[test]
    fn each_statement_knows_its_line_and_the_last_one_may_lack_its_semicolon() {
        let mut lexer = StatementSplitter::default();
        let lines = "-- one\n/* two\n three */ SELECT\n 4; SELECT ';\n5';\n\nSELECT 7".split_inclusive('\n');
        let mut ended: Vec<Statement> = lines.flat_map(|line| lexer.push_line(line.as_bytes())).collect();
        ended.extend(lexer.finish());
        assert_eq!(ended.iter().map(|statement| statement.line).collect::<Vec<_>>(), [3, 4, 7]);
        assert_eq!(ended[2].text, b"SELECT 7");
        assert_eq!(StatementSplitter::default().finish(), None);
    }

    proptest! {
        #[test]
        fn nothing_panics_and_nothing_is_lost(text in "([a-zA-Z$;'\"\\\\(){}*/ \n-]|COPY|FROM stdin|BEGIN ATOMIC|END){0,60}") {
            let mut lexer = StatementSplitter::default();
            let mut kept = 0;
            for line in text.split_inclusive('\n') {
                let ended = lexer.push_line(line.as_bytes());
                kept += ended.iter().map(|statement| statement.text.len() + 1).sum::<usize>();
            }
            prop_assert!(kept + lexer.pending() <= text.len());
        }
    }
}
