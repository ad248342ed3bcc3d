//! Names as paths spell them.

use std::collections::BTreeMap;
use std::fmt::Write;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::access_log::proxy_config::rewrites::Rewrites;

/// The characters that no encoder encodes (RFC 3986, unreserved). HAProxy's `url_enc` leaves the same alone.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The characters that only some clients encode (RFC 3986, pchar), and those that Go leaves alone.
const MAYBE: &[u8] = b"!$&'()*+,;=:@[]";

/// The one spelling that every encoder agrees is right.
pub fn encoded(name: &str) -> String {
    utf8_percent_encode(name, UNRESERVED).to_string()
}

/// A regular expression for every spelling that clients give a name; letter case is left to the caller.
///
/// Free of quotes and spaces, so that every quoting of a configuration takes it as it is.
fn expression(name: &str) -> String {
    let mut expression = String::with_capacity(name.len());
    for byte in name.bytes() {
        let _ = match byte {
            b'.' => write!(expression, "[.]"),
            b'-' | b'_' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                write!(expression, "{}", char::from(byte))
            }
            byte if MAYBE.contains(&byte) => write!(expression, "(?:%{byte:02X}|\\x{byte:02X})"),
            byte => write!(expression, "%{byte:02X}"),
        };
    }
    expression
}

/// For each name the expressions for what is written instead, in the order of the names.
pub fn expressions<'d>(rewrites: &Rewrites<'d>) -> BTreeMap<&'d str, Vec<String>> {
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for rewrite in &rewrites.safe {
        names.entry(rewrite.name).or_default().push(expression(rewrite.written));
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::routes::{decode_segment, encode_segment};
    use proptest::prelude::*;
    use regex::Regex;

    proptest! {
        #[test]
        fn every_spelling_of_a_name_is_matched_and_nothing_else(name in "[ -~à-ü]{1,12}", other in "[ -~à-ü]{1,12}") {
            let expression = Regex::new(&format!("(?i)^{}$", expression(&name))).unwrap();
            for spelled in [encoded(&name), encode_segment(&name), encoded(&name).to_lowercase()] {
                prop_assert!(expression.is_match(&spelled), "{spelled}");
            }
            let same = name.eq_ignore_ascii_case(&other);
            prop_assert_eq!(expression.is_match(&encoded(&other)), same);
            let spelled = encoded(&name);
            prop_assert_eq!(&*decode_segment(spelled.as_bytes()), name.as_bytes());
        }
    }
}
