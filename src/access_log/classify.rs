//! Finds out which instance a refused name was meant for.
//!
//! Source of the facts: requests against runs of 2.3.7. The server decodes the last segment once and compares it
//! with the names byte by byte, before it looks at the key.

use std::borrow::Cow;

use unicode_normalization::UnicodeNormalization;

use crate::evolution::instances::{Instance, InstanceDirectory, is_uuid, trim_invisible};
use crate::evolution::{phone, routes};
use crate::rules::misuse::MisuseKind;

/// The verdict on a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameVerdict<'d> {
    /// An instance has exactly this name now; the request was refused for another reason.
    ExistsNow,
    /// It is wrong.
    Wrong(WrongName<'d>),
}

/// A name that no instance has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongName<'d> {
    /// The text in the place of the name.
    pub confusion: MisuseKind,
    /// The instances that may be meant: one if it is clear, several if it may be any of them, none if nothing is known.
    pub meant: Vec<&'d Instance>,
    /// True if it was judged by its form alone.
    pub probable: bool,
}

/// Maximum number of times that a client may have encoded a name.
const MOST_ENCODINGS: usize = 3;

/// Hexadecimal text of at least this length is taken for a key: no instance has such a name.
const KEY_LENGTH: usize = 32;

/// Says what a refused name was meant to be. Takes the name as the server saw it: decoded once.
///
/// Without a directory only the form of the name can be judged. Costs a few look-ups, however many instances there are:
/// similar names are searched later, only for the names that are reported.
pub fn classify_name<'d>(name: &str, directory: Option<&'d InstanceDirectory>) -> NameVerdict<'d> {
    let readings = readings(name);
    if let Some(directory) = directory {
        if directory.by_name(name).is_some() {
            return NameVerdict::ExistsNow;
        }
        if let Some(wrong) = by_directory(name, &readings, directory) {
            return NameVerdict::Wrong(wrong);
        }
    }
    let any = |is: fn(&str) -> bool| readings.iter().any(|reading| is(reading));
    let by_form = if any(looks_like_token) {
        Some(MisuseKind::Token)
    } else if any(|reading| is_uuid(trim_invisible(reading))) {
        Some(MisuseKind::Id)
    } else if any(|reading| phone::parse_phone(reading).is_some_and(|phone| phone.is_certain())) {
        Some(MisuseKind::Phone)
    } else if directory.is_none() && is_mangled(name) {
        Some(MisuseKind::Encoding)
    } else {
        None
    };
    let (confusion, probable) = by_form.map_or((MisuseKind::Unknown, false), |confusion| (confusion, true));
    NameVerdict::Wrong(WrongName { confusion, meant: Vec::new(), probable })
}

/// Looks the name up, each reading of it, by everything an instance has; secrets first.
fn by_directory<'d>(
    name: &str,
    readings: &[Cow<'_, str>],
    directory: &'d InstanceDirectory,
) -> Option<WrongName<'d>> {
    let found = |confusion, find: &dyn Fn(&str) -> Vec<&'d Instance>| {
        let meant = readings.iter().map(|reading| find(reading)).find(|meant| !meant.is_empty())?;
        Some(WrongName { confusion, meant, probable: false })
    };
    let in_other_case = |reading: &str| {
        let mut meant = directory.by_name_ignoring_case(reading);
        meant.retain(|instance| reading == name && instance.name.to_lowercase() == name.to_lowercase());
        meant
    };
    found(MisuseKind::Token, &|reading| directory.by_token(reading))
        .or_else(|| found(MisuseKind::Id, &|reading| directory.by_id(reading).into_iter().collect()))
        .or_else(|| found(MisuseKind::LetterCase, &in_other_case))
        .or_else(|| found(MisuseKind::Encoding, &|reading| spelled(reading, directory)))
        .or_else(|| found(MisuseKind::Phone, &|reading| directory.by_number(reading)))
}

/// The instances with this spelling: those with exactly this name, if there are any, before all others.
fn spelled<'d>(reading: &str, directory: &'d InstanceDirectory) -> Vec<&'d Instance> {
    match directory.by_name(trim_invisible(reading)).or_else(|| directory.by_name(reading)) {
        Some(instance) => vec![instance],
        None => directory.by_name_ignoring_case(reading),
    }
}

/// The name itself, then the name with each common client mistake undone, one by one.
fn readings(name: &str) -> Vec<Cow<'_, str>> {
    let mut readings = vec![Cow::Borrowed(name)];
    for _ in 0..MOST_ENCODINGS {
        let last = readings.last().map_or("", |reading| reading);
        let decoded = String::from_utf8_lossy(&routes::decode_segment(last.as_bytes())).into_owned();
        if decoded == last {
            break;
        }
        readings.push(Cow::Owned(decoded));
    }
    let with_spaces: Vec<_> =
        readings.iter().filter(|r| r.contains('+')).map(|r| Cow::Owned(r.replace('+', " "))).collect();
    readings.extend(with_spaces);
    let last = readings.last().map_or("", |reading| reading);
    if !last.is_ascii() {
        let composed: String = last.nfc().collect();
        let repaired = mistaken(last);
        let others = [Some(composed), repaired].into_iter().flatten().filter(|other| *other != last);
        let others: Vec<_> = others.map(Cow::Owned).collect();
        readings.extend(others);
    }
    // An id without its dashes.
    let bare = trim_invisible(name);
    if bare.len() == 32 && bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let parts = [&bare[..8], &bare[8..12], &bare[12..16], &bare[16..20], &bare[20..]];
        readings.push(Cow::Owned(parts.join("-")));
    }
    readings
}

/// The text whose UTF-8 was taken for Latin-1: `joÃ£o` for `joão`.
fn mistaken(text: &str) -> Option<String> {
    let bytes: Option<Vec<u8>> =
        text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    String::from_utf8(bytes?).ok()
}

/// A secret by its form. Tokens that the server makes up are UUIDs in upper case [read in 2.x], keys that
/// people make up are mostly long hexadecimal numbers.
fn looks_like_token(text: &str) -> bool {
    let text = trim_invisible(text);
    let is_key = text.len() >= KEY_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_key || is_uuid(text) && has(text, u8::is_ascii_uppercase) && !has(text, u8::is_ascii_lowercase)
}

/// True if a name, decoded once, has space around it or is still encoded: almost no instance has such a name.
fn is_mangled(name: &str) -> bool {
    let clean = trim_invisible(name);
    let is_encoded = *routes::decode_segment(name.as_bytes()) != *name.as_bytes();
    !clean.is_empty() && (clean != name || is_encoded)
}

fn has(text: &str, is: fn(&u8) -> bool) -> bool {
    text.bytes().any(|byte| is(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "6f1b2c3d-0a4b-4c5d-8e6f-000000000001";
    const TOKEN: &str = "B4C1D2E3-F4A5-4B6C-8D7E-0F1A2B3C4D5E";

    fn directory() -> InstanceDirectory {
        let instance = |name: &str| Instance { name: name.into(), ..Instance::default() };
        InstanceDirectory::new(vec![
            Instance {
                id: ID.into(),
                name: "alpha".into(),
                number: Some("5511999990000".into()),
                token: Some(TOKEN.into()),
                owner_jid: Some("551199990000@s.whatsapp.net".into()),
            },
            instance("beta store"),
            instance("a+b"),
            instance("Twin"),
            instance("TWIN"),
            instance(" stray"),
            instance("joão"),
        ])
    }

    /// Code and meant names, as text; a question mark where only the form was judged.
    fn verdict(name: &str, directory: Option<&InstanceDirectory>) -> String {
        match classify_name(name, directory) {
            NameVerdict::ExistsNow => "exists".into(),
            NameVerdict::Wrong(wrong) => {
                let meant: Vec<_> = wrong.meant.iter().map(|instance| instance.name.as_str()).collect();
                let doubt = if wrong.probable { "?" } else { "" };
                format!("{}{doubt} {}", wrong.confusion.rule().code, meant.join("|")).trim().to_owned()
            }
        }
    }

    #[test]
    fn each_kind_of_wrong_name_is_recognised() {
        let directory = directory();
        let upper_id = ID.to_uppercase();
        let lower_token = TOKEN.to_lowercase();
        for (name, expected) in [
            ("alpha", "exists"),
            ("beta store", "exists"),
            ("a+b", "exists"),
            (ID, "EVO501 alpha"),
            (&upper_id, "EVO501 alpha"),
            (&format!(" {ID}"), "EVO501 alpha"),
            ("Alpha", "EVO502 alpha"),
            ("Beta Store", "EVO502 beta store"),
            ("twin", "EVO502 Twin|TWIN"),
            ("alpha ", "EVO503 alpha"),
            ("alpha\n", "EVO503 alpha"),
            ("alpha\u{200B}", "EVO503 alpha"),
            (" ALPHA", "EVO503 alpha"),
            ("beta+store", "EVO503 beta store"),
            ("beta%20store", "EVO503 beta store"),
            ("beta%2520store", "EVO503 beta store"),
            ("beta%2Bstore", "EVO503 beta store"),
            ("Twin ", "EVO503 Twin"),
            ("joa\u{303}o", "EVO503 joão"),
            ("joÃ£o", "EVO503 joão"),
            ("6f1b2c3d0a4b4c5d8e6f000000000001", "EVO501 alpha"),
            ("stray", "EVO503  stray"),
            (TOKEN, "EVO504 alpha"),
            (&lower_token, "EVO504 alpha"),
            (&format!("%20{TOKEN}"), "EVO504 alpha"),
            ("5511999990000", "EVO505 alpha"),
            ("+55 11 99999-0000", "EVO505 alpha"),
            ("551199990000@s.whatsapp.net", "EVO505 alpha"),
            ("alfa", "EVO506"),
            ("gamma ray", "EVO506"),
            ("", "EVO506"),
        ] {
            assert_eq!(verdict(name, Some(&directory)), expected, "{name:?}");
        }
    }

    #[test]
    fn without_a_list_a_badly_encoded_name_is_judged_by_its_form() {
        for (name, expected) in [
            ("alpha ", "EVO503?"),
            ("beta%20store", "EVO503?"),
            ("beta+store", "EVO506"),
            ("100%", "EVO506"),
            (" ", "EVO506"),
        ] {
            assert_eq!(verdict(name, None), expected, "{name:?}");
        }
        assert_eq!(verdict("gamma ", Some(&directory())), "EVO506");
    }

    #[test]
    fn without_a_match_the_form_is_judged() {
        let other_id = "00000000-0a4b-4c5d-8e6f-00000000000f";
        let other_token = "00000000-F4A5-4B6C-8D7E-0F1A2B3C4D5E";
        for directory in [None, Some(&directory())] {
            for (name, expected) in [
                (other_id, "EVO501?"),
                (other_token, "EVO504?"),
                ("0123456789abcdef0123456789abcdef", "EVO504?"),
                ("5511777776666", "EVO505?"),
                ("120363012345678901@g.us", "EVO505?"),
                ("20261121", "EVO506"),
                ("gamma ray", "EVO506"),
            ] {
                assert_eq!(verdict(name, directory), expected, "{name:?}");
            }
        }
    }

    proptest! {
        /// Any encoding of an instance's name, once or several times, is recognised as that name.
        #[test]
        fn an_encoded_name_is_recognised(name in "[a-z]{1,8} [a-z0-9]{1,8}", times in 1..=MOST_ENCODINGS) {
            let directory = InstanceDirectory::new(vec![Instance { name: name.clone(), ..Instance::default() }]);
            let mut written = name.clone();
            for _ in 0..times {
                written = routes::encode_segment(&written);
            }
            prop_assert_eq!(verdict(&written, Some(&directory)), format!("EVO503 {name}"));
            let spaces_as_plus = name.replace(' ', "+");
            prop_assert_eq!(verdict(&spaces_as_plus, Some(&directory)), format!("EVO503 {name}"));
        }

        /// A name that exists is never reported, whatever it looks like.
        #[test]
        fn a_name_that_exists_is_right(name in ".{0,40}") {
            let directory = InstanceDirectory::new(vec![Instance { name: name.clone(), ..Instance::default() }]);
            prop_assert_eq!(classify_name(&name, Some(&directory)), NameVerdict::ExistsNow);
        }

        #[test]
        fn the_same_name_has_the_same_verdict(name in ".{0,60}") {
            let directory = directory();
            prop_assert_eq!(classify_name(&name, Some(&directory)), classify_name(&name, Some(&directory)));
        }
    }
}
