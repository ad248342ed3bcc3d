//! Phone numbers and WhatsApp ids, as people and servers write them.

/// A phone number or WhatsApp id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneNumber {
    /// Its digits, country code first.
    pub digits: String,
    /// True if it was written as a JID, such as `5511999990000@s.whatsapp.net`.
    pub is_jid: bool,
}

/// Fewer digits are not a number with a country code.
const FEWEST_DIGITS: usize = 8;

/// E.164 allows no more; the ids of groups and of hidden accounts are longer, but come with a server behind `@`.
const MOST_DIGITS: usize = 15;

/// Fewer digits may as well be an order's number or a date.
const FEWEST_SURE: usize = 10;

/// Reads a number, however it is punctuated, or a JID; `None` for anything else.
pub fn parse_phone(text: &str) -> Option<PhoneNumber> {
    let text = text.trim();
    let (number, is_jid) = match text.split_once('@') {
        // A session's id names the device too: `5511999990000:12@s.whatsapp.net`.
        Some((user, "s.whatsapp.net" | "c.us" | "g.us" | "lid" | "hosted")) => {
            (user.split([':', '_']).next().unwrap_or(user), true)
        }
        Some(_) => return None,
        None => (text, false),
    };
    let punctuation = |c: char| matches!(c, '+' | '-' | '(' | ')' | '.' | ' ' | '\u{A0}');
    if !number.chars().all(|c| c.is_ascii_digit() || punctuation(c)) {
        return None;
    }
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let fits = is_jid && !digits.is_empty() || (FEWEST_DIGITS..=MOST_DIGITS).contains(&digits.len());
    fits.then_some(PhoneNumber { digits, is_jid })
}

impl PhoneNumber {
    /// True if it can hardly be anything else.
    pub fn is_certain(&self) -> bool {
        self.is_jid || self.digits.len() >= FEWEST_SURE
    }

    /// What two spellings of one number have in common. In Brazil, Mexico and Argentina the digit that marks a
    /// mobile phone is in the number that people know and often not in the JID, or the other way round.
    pub fn comparison_key(&self) -> String {
        let digits = &self.digits;
        let mark = match (digits.get(..2), digits.len()) {
            (Some("55"), 13) => (4, "9"),
            (Some("52"), 13) => (2, "1"),
            (Some("54"), 13) => (2, "9"),
            _ => return digits.clone(),
        };
        let (at, mark) = mark;
        match digits[at..].strip_prefix(mark) {
            Some(rest) => format!("{}{rest}", &digits[..at]),
            None => digits.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Option<String> {
        parse_phone(text).map(|phone| phone.digits)
    }

    #[test]
    fn numbers_are_read_however_they_are_written() {
        for text in [
            "5511999990000",
            "+55 (11) 99999-0000",
            "5511999990000@s.whatsapp.net",
            "5511999990000:12@s.whatsapp.net",
            "5511999990000@c.us",
        ] {
            assert_eq!(digits(text).as_deref(), Some("5511999990000"), "{text}");
        }
        for text in
            ["", "alpha", "alpha1", "1234567", "1234567890123456", "me@example.com", "0x5511999990000"]
        {
            assert_eq!(digits(text), None, "{text}");
        }
        assert!(parse_phone("120363012345678901@g.us").unwrap().is_certain());
        assert!(!parse_phone("20261121").unwrap().is_certain(), "a date");
    }

    #[test]
    fn the_mobile_digit_makes_no_difference() {
        let key = |text: &str| parse_phone(text).unwrap().comparison_key();
        assert_eq!(key("5511999990000"), key("551199990000"));
        assert_eq!(key("5215512345678"), key("525512345678"));
        assert_eq!(key("5491123456789"), key("541123456789"));
        assert_ne!(key("5511999990000"), key("5511999990001"));
    }
}
