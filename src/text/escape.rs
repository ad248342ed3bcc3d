//! Makes text from a log safe to print: nothing in it can move the cursor, hide, or reverse the line.

use std::fmt::Write;

/// The text with every character escaped that a terminal would obey or not show.
pub fn escape_control(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\0'..='\u{1F}' | '\u{7F}' => {
                write!(shown, "\\x{:02x}", u32::from(character)).unwrap_or_default()
            }
            _ if is_hidden(character) => {
                write!(shown, "\\u{{{:x}}}", u32::from(character)).unwrap_or_default()
            }
            _ => shown.push(character),
        }
    }
    shown
}

/// At most `longest` bytes of the text, with a mark where something is missing.
pub fn truncate(text: &str, longest: usize) -> String {
    if text.len() <= longest {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(longest)])
}

/// True if GitHub's runner would obey a line of a log: it reads commands from every line, however far it is indented.
pub fn is_command(line: &str) -> bool {
    ["::", "##["].iter().any(|mark| line.trim_start().starts_with(mark))
}

/// True if a terminal would obey a character, or not show it.
#[inline]
pub fn is_hidden(character: char) -> bool {
    // By far the most are letters and marks of ASCII.
    if (' '..='~').contains(&character) {
        return false;
    }
    let is_odd_space = character.is_whitespace() && character != ' ';
    let is_mark = matches!(
        character,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{180E}'
            | '\u{200B}'..='\u{200F}'
            | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}'
            | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}'
            | '\u{FFF9}'..='\u{FFFB}'
            | '\u{E0000}'..='\u{E0FFF}'
    );
    character.is_control() || is_odd_space || is_mark
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(escape_control("joão 1"), "joão 1");
        assert_eq!(escape_control("a\u{1b}[2Jb\n\t\0"), "a\\x1b[2Jb\\n\\t\\x00");
        assert_eq!(escape_control("\u{202e}a\u{a0}b\u{200b}\u{9b}"), "\\u{202e}a\\u{a0}b\\u{200b}\\u{9b}");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(truncate("éé", 3), "é…");
        assert_eq!(truncate("éé", 4), "éé");
    }
}
