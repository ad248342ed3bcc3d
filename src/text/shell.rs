//! Words as a POSIX shell takes them.

/// The word as it is typed: in single quotes where it holds anything that a shell reads otherwise.
pub fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_word() {
        assert_eq!(quote("--env-file=/etc/evolution.env"), "--env-file=/etc/evolution.env");
        assert_eq!(quote("it's two"), r"'it'\''s two'");
        assert_eq!(quote("$(x)"), "'$(x)'");
        assert_eq!(quote(""), "''");
    }
}
