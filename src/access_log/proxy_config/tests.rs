//! Every configuration reads back as the intended rewrites, whatever the names hold.

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::access_log::proxy_config::rewrites::Rewrite;
use crate::evolution::instances::{Instance, InstanceDirectory};
use crate::evolution::routes::decode_segment;

const ALL: [ProxyKind; 4] = [ProxyKind::Nginx, ProxyKind::Traefik, ProxyKind::Caddy, ProxyKind::Haproxy];

fn decoded(text: &str) -> String {
    String::from_utf8(decode_segment(text.as_bytes()).into_owned()).unwrap()
}

/// A word in double quotes, as nginx reads it; and what is behind it.
fn nginx_word(line: &str) -> (String, &str) {
    let mut word = String::new();
    let mut rest = line.trim_start().strip_prefix('"').expect("a quoted word").char_indices();
    let text = line.trim_start().strip_prefix('"').unwrap();
    while let Some((at, character)) = rest.next() {
        match character {
            '"' => return (word, &text[at + 1..]),
            '\\' => match rest.next().unwrap().1 {
                escaped @ ('"' | '\\') => word.push(escaped),
                other => panic!("\\{other} in {line}"),
            },
            other => word.push(other),
        }
    }
    panic!("no end: {line}")
}

/// What is written and the name, read back from the table of a configuration.
fn read_back(proxy: ProxyKind, text: &str) -> Vec<(String, String)> {
    let lines = text.lines();
    match proxy {
        ProxyKind::Nginx => lines
            .filter(|line| line.starts_with("    \"\\\\"))
            .map(|line| {
                let (written, rest) = nginx_word(line);
                let (name, end) = nginx_word(rest);
                assert_eq!(end, ";");
                (written[1..].to_owned(), name.replace("${evodoctor_dollar}", "$"))
            })
            .collect(),
        ProxyKind::Haproxy => lines
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(|line| line.split_once(' ').unwrap())
            .map(|(written, name)| (decoded(written), decoded(name)))
            .collect(),
        ProxyKind::Caddy | ProxyKind::Traefik => unreachable!("they hold expressions"),
    }
}

fn instances() -> impl Strategy<Value = Vec<Instance>> {
    let name =
        prop_oneof![".{0,12}", "/[{$ }]{1,6}", "[ -~]{1,12}", "[a-z\"'$;{}\\\\~#%+\n\r\u{85}\u{2028}]{1,8}"];
    let id = "[0-9a-fA-F]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}";
    let instance = (id, name, "[!-~]{16,20}");
    let instance = instance.prop_map(|(id, name, token)| Instance {
        id,
        name,
        token: Some(token),
        ..Instance::default()
    });
    prop::collection::vec(instance, 0..8)
}

/// The texts that `proxy` would replace by `name`, as one expression.
fn expression(proxy: ProxyKind, text: &str, name: &str) -> Option<Regex> {
    let value = path_patterns::encoded(name);
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let found = match proxy {
        ProxyKind::Caddy => {
            lines.find_map(|line| line.trim().strip_prefix('`')?.strip_suffix(&format!("` {value}")))
        }
        _ => {
            let lines: Vec<&str> = lines.collect();
            let end = format!("replacement: '/{value}${{1}}'");
            lines.windows(2).find(|pair| pair[1].trim() == end).and_then(|pair| {
                pair[0].trim().strip_prefix("regex: '/evodoctor-names:")?.strip_suffix("(/?)$'")
            })
        }
    }?;
    let found = found.trim_start_matches('~').trim_start_matches("(?i)^").trim_end_matches('$');
    Some(Regex::new(&format!("^(?i:{found})$")).unwrap())
}

proptest! {
    #[test]
    fn tables_read_back_as_the_rewrites(instances in instances()) {
        let directory = InstanceDirectory::new(instances);
        let rewrites = Rewrites::collect(&directory, |_, _| true);
        for proxy in [ProxyKind::Nginx, ProxyKind::Haproxy] {
            let text = configuration(proxy, &rewrites, "now");
            let written = |rewrite: &Rewrite| match proxy {
                ProxyKind::Haproxy => rewrite.written.to_ascii_lowercase(),
                _ => rewrite.written.to_owned(),
            };
            let expected: Vec<_> = rewrites.safe.iter().map(|r| (written(r), r.name.to_owned())).collect();
            prop_assert_eq!(read_back(proxy, &text), expected);
        }
    }

    #[test]
    fn expressions_match_what_is_written_and_no_other_name(instances in instances()) {
        let directory = InstanceDirectory::new(instances);
        let rewrites = Rewrites::collect(&directory, |_, _| true);
        for proxy in [ProxyKind::Caddy, ProxyKind::Traefik] {
            let text = configuration(proxy, &rewrites, "now");
            for rewrite in &rewrites.safe {
                let expression = expression(proxy, &text, rewrite.name).expect("every name is there");
                prop_assert!(expression.is_match(&path_patterns::encoded(rewrite.written)));
                for other in directory.instances().iter().filter(|other| other.name != rewrite.name) {
                    prop_assert!(!expression.is_match(&path_patterns::encoded(&other.name)));
                }
            }
        }
    }

    #[test]
    fn no_line_holds_a_control_character_or_a_token(instances in instances()) {
        let directory = InstanceDirectory::new(instances);
        let rewrites = Rewrites::collect(&directory, |_, _| true);
        for proxy in ALL {
            let text = configuration(proxy, &rewrites, "now");
            let control = text.lines().find(|line| line.trim_start_matches('\t').contains(char::is_control));
            prop_assert_eq!(control, None);
            for token in directory.instances().iter().filter_map(|instance| instance.token.as_ref()) {
                prop_assert!(!text.to_lowercase().contains(&token.to_lowercase()));
            }
            // Whatever a name holds, it cannot end the comment.
            let head: Vec<&str> = text.lines().take_while(|line| !line.is_empty()).collect();
            prop_assert!(head.iter().all(|line| line.starts_with('#')));
            let filled_in = ["{{", "{$"].into_iter().find(|braces| text.contains(braces));
            prop_assert!(proxy == ProxyKind::Nginx || filled_in.is_none());
        }
    }
}
