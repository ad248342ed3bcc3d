//! How a name is spelled in a path and in a query.

use std::borrow::Cow;

use memchr::memmem;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// The characters that `encodeURIComponent` leaves alone, and `+`, which is a plus in a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'+');

/// A name as a path has to spell it.
pub fn encode_segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The name that the server reads from a segment: `%20` is a space, `+` is a plus.
pub fn decode_segment(segment: &[u8]) -> Cow<'_, [u8]> {
    percent_decode(segment).into()
}

/// The instance that a query names, percent-encoded: the server serves that one, whatever the path says [run].
pub fn instance_in_query(query: &[u8]) -> Option<Cow<'_, [u8]>> {
    parameter(query, b"instanceName")
}

/// The value of a query's parameter. Its name may be percent-encoded, as Express decodes both.
pub fn parameter<'q>(query: &'q [u8], name: &[u8]) -> Option<Cow<'q, [u8]>> {
    if !query.contains(&b'%') && memmem::find(query, name).is_none() {
        return None;
    }
    let value = query.split(|&byte| byte == b'&').find_map(|part| {
        let equals = part.iter().position(|&byte| byte == b'=')?;
        let is_named = part[..equals] == *name || percent_decode(&part[..equals]).eq(name.iter().copied());
        is_named.then(|| &part[equals + 1..])
    })?;
    if !value.contains(&b'+') {
        return Some(percent_decode(value).into());
    }
    // In a query, and only there, a plus is a space.
    let spaced: Vec<u8> = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Some(Cow::Owned(percent_decode(&spaced).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_in_the_query_is_read_as_the_server_reads_it() {
        let read = |query: &str| {
            instance_in_query(query.as_bytes()).map(|name| String::from_utf8_lossy(&name).into_owned())
        };
        assert_eq!(read("a=1&instanceName=beta+store%21"), Some("beta store!".into()));
        assert_eq!(read("instanceName="), Some(String::new()));
        assert_eq!(read("instanceNam%65=a&x"), Some("a".into()));
        assert_eq!(read("xinstanceName=a"), None);
    }

    #[test]
    fn segments_are_spelled_as_a_url_wants_them() {
        assert_eq!(encode_segment("beta store"), "beta%20store");
        assert_eq!(encode_segment("a/b?c%d"), "a%2Fb%3Fc%25d");
        assert_eq!(encode_segment("joão-1_x.y"), "jo%C3%A3o-1_x.y");
        assert_eq!(&*decode_segment(b"beta%20store"), b"beta store");
        assert_eq!(&*decode_segment(b"beta+store"), b"beta+store");
        assert_eq!(&*decode_segment(b"beta%2520store"), b"beta%20store");
    }
}
