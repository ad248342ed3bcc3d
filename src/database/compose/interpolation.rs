//! `${X}` and its relatives in a compose file, and Easypanel's `$(X)`.

/// A variable that is nowhere set, and has no default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unset(pub String);

/// The text with its variables put in, as compose does it: `$X`, `${X}`, `${X:-default}`, `${X-default}`, `${X:?message}`,
/// `${X?message}`, `${X:+other}`, `${X+other}`; `$$` is a dollar sign. Easypanel writes `$(X)`. A dollar sign before anything else
/// stays what it is.
///
/// # Errors
/// Names the first variable without a value. Compose itself takes an empty one there and warns, which in a connection string is
/// never meant.
pub fn interpolated(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, Unset> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (put, length) = variable(rest, value)?;
        out.push_str(&put);
        rest = &rest[length..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether the text is one variable and nothing else: `$X`, `${X}`, `$(X)`, `${X:-default}` with a default that has no variables.
pub fn is_one_variable(text: &str) -> bool {
    let any = |_: &str| Some("x".to_owned());
    let is_alone = text.strip_prefix('$').is_some_and(|rest| !rest.contains('$'));
    is_alone && variable(text, &any).is_ok_and(|(_, length)| length == text.len() && length > 1)
}

/// The value of the variable that begins here, and how many bytes it takes.
fn variable(text: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<(String, usize), Unset> {
    let set = |name: &str| value(name).ok_or_else(|| Unset(name.to_owned()));
    let after = &text[1..];
    if after.starts_with('$') {
        return Ok(("$".to_owned(), 2));
    }
    if after.starts_with(['{', '(']) {
        let Some(end) = closing(after) else { return Ok(("$".to_owned(), 1)) };
        let (inside, length) = (&after[1..end], end + 2);
        let name = name(inside);
        let operator = &inside[name.len()..];
        if name.is_empty() || after.starts_with('(') && !operator.is_empty() {
            return Ok(("$".to_owned(), 1));
        }
        return Ok((expanded(name, operator, value)?, length));
    }
    match name(after) {
        "" => Ok(("$".to_owned(), 1)),
        name => Ok((set(name)?, 1 + name.len())),
    }
}

/// `${NAME…}`, by what comes after the name.
fn expanded(name: &str, operator: &str, value: &dyn Fn(&str) -> Option<String>) -> Result<String, Unset> {
    let unset = || Unset(name.to_owned());
    // With a colon an empty value is as good as none.
    let (is_strict, operator) = match operator.strip_prefix(':') {
        Some(operator) => (true, operator),
        None => (false, operator),
    };
    let found = value(name).filter(|value| !is_strict || !value.is_empty());
    match (operator.chars().next(), found) {
        (None, found) => found.ok_or_else(unset),
        (Some('-'), Some(found)) | (Some('?'), Some(found)) => Ok(found),
        (Some('-'), None) | (Some('+'), Some(_)) => interpolated(&operator[1..], value),
        (Some('+'), None) => Ok(String::new()),
        (Some(_), _) => Err(unset()),
    }
}

/// Where the bracket ends that the text begins with; brackets of the same kind may be in it.
fn closing(text: &str) -> Option<usize> {
    let (open, close) = if text.starts_with('{') { ('{', '}') } else { ('(', ')') };
    let mut depth = 0_usize;
    text.char_indices().find_map(|(at, c)| {
        if c == open {
            depth += 1;
        } else if c == close {
            depth -= 1;
        }
        (depth == 0).then_some(at)
    })
}

/// The name that the text begins with.
fn name(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    if text.starts_with(|c: char| c.is_ascii_digit()) { "" } else { &text[..end] }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(name: &str) -> Option<String> {
        [("A", "a"), ("EMPTY", ""), ("PASSWORD", "p$B}{")]
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| (*value).to_owned())
    }

    /// Each but `$(…)` as compose's own documentation has it.
    #[test]
    fn variables_are_put_in_as_compose_does_it() {
        for (text, expected) in [
            ("plain", Ok("plain")),
            ("$A-${A}-$(A)", Ok("a-a-a")),
            ("pa$$word$", Ok("pa$word$")),
            ("${PASSWORD}", Ok("p$B}{")),
            ("${B:-x}${B-y}${A:-z}", Ok("xya")),
            ("${EMPTY:-x}|${EMPTY-x}|${EMPTY}", Ok("x||")),
            ("${B:-${A}b${C:-}}", Ok("ab")),
            ("${A:+x}${B:+y}${EMPTY:+y}${EMPTY+z}", Ok("xz")),
            ("${A:?no}", Ok("a")),
            ("${A}_${B}", Err("B")),
            ("$B", Err("B")),
            ("$(B)", Err("B")),
            ("${EMPTY:?is needed}", Err("EMPTY")),
            ("${B?is needed}", Err("B")),
            ("$1 $( $) ${} ${A", Ok("$1 $( $) ${} ${A")),
            ("$(A b)", Ok("$(A b)")),
        ] {
            let expected = expected.map(str::to_owned).map_err(|name: &str| Unset(name.to_owned()));
            assert_eq!(interpolated(text, &value), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "[$(){}A:?+é-]{0,20}") {
            let _ = interpolated(&text, &value);
        }

        #[test]
        fn without_a_dollar_sign_nothing_changes(text in "[^$]{0,40}") {
            prop_assert_eq!(interpolated(&text, &value), Ok(text));
        }
    }
}
