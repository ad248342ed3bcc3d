//! Addresses of clients, wherever they are in a text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

/// The first word, of words between spaces and commas, that is an address, without port, brackets and quotes.
pub(super) fn first(text: &[u8]) -> Option<Range<usize>> {
    if let Some(length) = plain_ipv4(text) {
        return Some(0..length);
    }
    words(text)
        .find_map(|word| within(&text[word.clone()]).map(|at| word.start + at.start..word.start + at.end))
}

/// Where the words are, of a text divided by spaces, commas and tabs.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let is_gap = |byte: &u8| matches!(byte, b' ' | b',' | b'\t');
        let start = at + text[at..].iter().position(|byte| !is_gap(byte))?;
        let end = text[start..].iter().position(is_gap).map_or(text.len(), |length| start + length);
        at = end;
        Some(start..end)
    })
}

/// The length of an IPv4 address that a text begins with, where nothing or a port is behind it: the most common case, without
/// a search.
fn plain_ipv4(text: &[u8]) -> Option<usize> {
    let length = text.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.')).unwrap_or(text.len());
    let is_alone = match &text[length..] {
        [] => true,
        [b':', port @ ..] => !port.is_empty() && port.len() <= 5 && port.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    (is_alone && str::from_utf8(&text[..length]).is_ok_and(|text| text.parse::<Ipv4Addr>().is_ok()))
        .then_some(length)
}

/// True if a word is nothing but an address, in the form in which it is kept.
pub(super) fn is_plain(word: &[u8]) -> bool {
    plain_ipv4(word) == Some(word.len())
        || word.contains(&b':') && word.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b':')
}

/// The address in a word: alone, with a port, in brackets or quotes, or behind a mark as in `access.log:203.0.113.7`.
pub(super) fn within(word: &[u8]) -> Option<Range<usize>> {
    if !word.iter().any(u8::is_ascii_digit) && !word.windows(2).any(|pair| pair == b"::") {
        return None;
    }
    let mut start = 0;
    loop {
        if let Some(length) = at_start(&word[start..]) {
            return Some(start..start + length);
        }
        let is_mark = |byte: &u8| {
            matches!(
                byte,
                b':' | b']' | b'[' | b'"' | b'\'' | b'`' | b'+' | b'=' | b'(' | b'/' | b'@' | b'|' | b'>'
            )
        };
        start += word[start..].iter().position(is_mark)? + 1;
    }
}

/// An address of IPv4 without the prefix that it has in a socket of IPv6.
pub(super) fn unmapped(address: &[u8]) -> &[u8] {
    const PREFIX: &[u8] = b"::ffff:";
    match address.split_at_checked(PREFIX.len()) {
        Some((prefix, inner)) if prefix.eq_ignore_ascii_case(PREFIX) && inner.contains(&b'.') => inner,
        _ => address,
    }
}

/// True if an address is one of a private network or of the machine itself: a proxy's, where the client's own is known.
pub(super) fn is_inner(address: &[u8]) -> bool {
    // The first letters rule most texts out as an address, without reading them.
    const BEGINNINGS: [&[u8]; 11] =
        [b"10.", b"127.", b"172.", b"192.168.", b"169.254.", b"[", b"fc", b"fd", b"fe", b"::", b"\""];
    if !BEGINNINGS.iter().any(|beginning| address.starts_with(beginning)) {
        return false;
    }
    let Some(range) = first(address) else { return false };
    let text = str::from_utf8(unmapped(&address[range])).unwrap_or_default();
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(v4)) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
        Err(_) => false,
    }
}

/// The length of the address that a text is, but for a port and closing marks behind it.
fn at_start(text: &[u8]) -> Option<usize> {
    let is_part = |byte: &u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    let length = text.iter().position(|byte| !is_part(byte)).unwrap_or(text.len());
    let rest = &text[length..];
    let is_end = match rest {
        [] => true,
        [b'-', b'-', ..] => true,
        [b'%', ..] => true,
        [mark, after @ ..] => {
            matches!(mark, b']' | b'"' | b'\'' | b')' | b';' | b'|')
                && (after.is_empty() || !after[0].is_ascii_alphanumeric())
        }
    };
    if !is_end || length < 2 {
        return None;
    }
    let text = str::from_utf8(&text[..length]).ok()?;
    let text = text.trim_end_matches('.');
    if is_plausible(text) {
        return Some(text.len());
    }
    // `203.0.113.7:51234`, and an IPv6 address in front of its port without brackets.
    let (address, port) = text.rsplit_once(':')?;
    let address = address.trim_end_matches('.');
    ((port.is_empty() || port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()))
        && is_plausible(address))
    .then_some(address.len())
}

/// True if the text is an address that a client may have.
fn is_plausible(text: &str) -> bool {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => true,
        // Behind a line's number, as `grep -n` puts it, the number is not part of the address.
        Ok(IpAddr::V6(address)) => is_in_use(address),
        Err(_) => false,
    }
}

fn is_in_use(address: Ipv6Addr) -> bool {
    matches!(address.segments()[0], 0 | 0x64 | 0x100 | 0x2000..=0x3fff | 0xfc00..=0xfdff | 0xfe80..=0xfebf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_with_whatever_is_around_it() {
        let found = |text: &str| first(text.as_bytes()).map(|range| text[range].to_owned());
        for (text, expected) in [
            ("203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7:51234", Some("203.0.113.7")),
            ("[2001:db8::7]:443", Some("2001:db8::7")),
            ("2001:db8:85a3::8a2e:370:7334:50002", Some("2001:db8:85a3::8a2e:370:7334")),
            ("203.0.113.7, 10.0.0.1", Some("203.0.113.7")),
            ("access.log.1:2001:db8::7", Some("2001:db8::7")),
            ("access.log:15:2001:db8:85a3::8a2e:370:7334", Some("2001:db8:85a3::8a2e:370:7334")),
            ("access.log:15:::1", Some("::1")),
            ("[info]203.0.113.7", Some("203.0.113.7")),
            ("203.0.113.7--", Some("203.0.113.7")),
            ("+203.0.113.7", Some("203.0.113.7")),
            ("`203.0.113.7", Some("203.0.113.7")),
            ("::1", Some("::1")),
            ("web1 nginx: 1.2.3", None),
            ("v2.3.7.1-rc", None),
            ("", None),
        ] {
            assert_eq!(found(text).as_deref(), expected, "{text}");
        }
    }
}
