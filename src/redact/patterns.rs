//! Secrets by their form, in a text of any kind.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::field_names::is_secret;
use super::redact_secret;

/// The shortest run of characters after `Basic ` or `sk-` that is taken for a secret; after `Bearer ` and the like one with a
/// digit may be shorter.
const SHORTEST: usize = 16;

/// Minimum length of a named secret that is masked: shorter values are of no use to an attacker, and are mostly
/// ordinary words.
const SHORT: usize = 4;

/// The longest piece of a URL's path that is not a token, if there are letters and digits in it.
const LONGEST_NAME: usize = 20;

// Tokens are ASCII. `\w` is all letters of Unicode, and a repetition of it takes megabytes as a compiled pattern.
static KNOWN: LazyLock<Regex> = LazyLock::new(|| {
    regex(
        r"(?x)
        -----BEGIN\ [A-Z\ ]*PRIVATE\ KEY-----[\s\S]*?(?:-----END\ [A-Z\ ]*PRIVATE\ KEY-----|$)
        | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?          # JWT
        | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_[0-9A-Za-z_]{16,} | \bglpat-[0-9A-Za-z_-]{16,} # GitHub, GitLab
        | \bEAA[A-Za-z0-9]{20,}                                                   # Meta
        | \b(?:AKIA|ASIA)[0-9A-Z]{16}\b                                           # AWS
        | \b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z_]{8,} | \bwhsec_[0-9A-Za-z_]{12,}                   # Stripe
        | \bxox[a-z]-[0-9A-Za-z_-]{8,} | \bxapp-[0-9A-Za-z_-]{8,}                                 # Slack
        | \bAIza[0-9A-Za-z_-]{20,} | \bya29\.[0-9A-Za-z_-]{16,}                                   # Google
        | \bSG\.[0-9A-Za-z_-]{16,}\.[0-9A-Za-z_-]{16,} | \bSK[0-9a-f]{32}\b                       # SendGrid, Twilio
        | \b[0-9]{8,10}:[0-9A-Za-z_-]{30,}                                                # Telegram
        | \b(?:npm_|hf_|shp(?:at|ss|ca|pa)_|dop_v1_|gsk_|pplx-|r8_)[0-9A-Za-z_]{16,}
        | (?-u:\b)sk-[A-Za-z0-9_.~+/=-]{13,}                                            # OpenAI and others
        ",
    )
});

static SCHEME: LazyLock<Regex> =
    LazyLock::new(|| regex(r"(?i)\b(bearer|basic|token|apikey)( +)([A-Za-z0-9_.~+/=-]{8,})"));

static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    regex(r#"([A-Za-zÀ-ÿ][0-9A-Za-z_À-ÿ.-]{1,60})(["']?(?:=|:[ \t]?)["']?)([^\s"',;&}\])<]{4,})"#)
});

static URL: LazyLock<Regex> =
    LazyLock::new(|| regex(r#"([A-Za-z][A-Za-z0-9+.-]*://)([^\s"'<>/?\#]*)([^\s"'<>]*)"#));

fn regex(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant")
}

/// Masks what is a secret by its form: what is before the `@` of a URL, tokens in its path, parameters and headers that
/// are named like secrets, keys of the services that Evolution is used with, JSON web tokens, and what follows `Bearer`
/// or `Basic`.
pub fn redact_text(text: &str) -> String {
    let text = match text.contains("://") {
        true => URL.replace_all(text, |url: &Captures<'_>| without_credentials(&url[1], &url[2], &url[3])),
        false => Cow::Borrowed(text),
    };
    let text = KNOWN.replace_all(&text, |token: &Captures<'_>| match token[0].starts_with("-----") {
        true => "-----BEGIN PRIVATE KEY-----…".to_owned(),
        false => redact_secret(&token[0]),
    });
    let text = SCHEME.replace_all(&text, |found: &Captures<'_>| {
        let (scheme, space, token) = (&found[1], &found[2], &found[3]);
        let is_word = scheme.eq_ignore_ascii_case("token") || scheme.eq_ignore_ascii_case("apikey");
        let is_token = match scheme.eq_ignore_ascii_case("bearer") && has_digit(token) {
            true => true,
            false => token.len() >= SHORTEST && (has_digit(token) || !is_word),
        };
        match is_token && !token.contains('…') {
            true => format!("{scheme}{space}{}", redact_secret(token)),
            false => found[0].to_owned(),
        }
    });
    // A message may hold a megabyte of text, of which each letter could begin a name.
    match text.contains(['=', ':']) {
        true => NAMED.replace_all(&text, named).into_owned(),
        false => text.into_owned(),
    }
}

/// `apikey: value`, `token=value`, `"senha":"value"`.
fn named(found: &Captures<'_>) -> String {
    let (name, separator, value) = (&found[1], &found[2], &found[3]);
    // Of a sentence ("the token: it is too long") no word is a secret.
    let is_value = separator.contains('=') || separator.contains(['"', '\'']) || has_digit(value);
    let is_hidden = value.contains('…') || value.starts_with(['$', '*']) || value.contains("://");
    let is_scheme = ["bearer", "basic", "token"].iter().any(|scheme| value.eq_ignore_ascii_case(scheme));
    match is_secret(name, false) && is_value && !is_hidden && !is_scheme && value.len() >= SHORT {
        true => format!("{name}{separator}{}", redact_secret(value)),
        false => found[0].to_owned(),
    }
}

fn has_digit(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
}

/// A URL without what logs in: before the `@`, in the path, and in its parameters.
fn without_credentials(scheme: &str, authority: &str, rest: &str) -> String {
    // A password may hold an unescaped slash; the last @ before the host counts.
    let host = authority.rsplit_once('@').map(|(_, host)| host);
    let shown = host.map_or_else(|| authority.to_owned(), |host| format!("…@{host}"));
    let path_end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (path, query) = rest.split_at(path_end);
    let is_hook = ["hook", "slack", "discord"].iter().any(|word| authority.contains(word));
    let mut follows_hook = is_hook;
    let path: Vec<String> = path
        .split('/')
        .map(|piece| {
            let shown = if is_token(piece, follows_hook) { redact_secret(piece) } else { piece.to_owned() };
            follows_hook = follows_hook || piece.contains("hook") || piece == "services";
            shown
        })
        .collect();
    let mut out = format!("{scheme}{shown}{}", path.join("/"));
    for piece in query.split_inclusive(['?', '&', '#']) {
        let (body, end) = match piece.char_indices().next_back() {
            Some((at, last)) if "?&#".contains(last) => piece.split_at(at),
            _ => (piece, ""),
        };
        out.push_str(&match body.split_once('=') {
            Some((name, value)) if is_secret(name, true) && !value.is_empty() => format!("{name}=…{end}"),
            _ => piece.to_owned(),
        });
    }
    out
}

/// True if a piece of a path looks random; after a hook's name a shorter one is enough.
fn is_token(piece: &str, follows_hook: bool) -> bool {
    let is_plain = piece.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:".contains(&b));
    let has_letter = piece.contains(|c: char| c.is_ascii_alphabetic());
    let shortest = if follows_hook { 8 } else { LONGEST_NAME };
    is_plain && piece.len() >= shortest && has_digit(piece) && (has_letter || follows_hook)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_masked_by_their_form() {
        assert_eq!(
            redact_text("sk-abcdefghijklmnop, task-abcdefghijklmnopq sk-short"),
            "sk-a…op, task-abcdefghijklmnopq sk-short"
        );
        assert_eq!(redact_text("Authorization: Bearer abcdefghijklmnopqr"), "Authorization: Bearer abcd…qr");
        assert_eq!(redact_text("é Basic é basic training"), "é Basic é basic training");
        assert_eq!(redact_text("sk-\u{e9}sk-proj-0123456789abcdef"), "sk-ésk-p…ef");
        for (token, shown) in [
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJh…Jl"),
            ("ghp_0123456789abcdefghij0123456789abcdef", "ghp_…ef"),
            ("EAAG0123456789abcdefghijkl", "EAAG…kl"),
            ("AKIAIOSFODNN7EXAMPLE", "AKIA…LE"),
            ("sk_live_0123456789abcdef", "sk_l…ef"),
            ("xoxb-12345678901-abcdefghij", "xoxb…ij"),
            ("AIzaSyA0123456789abcdefghijklmnop", "AIza…op"),
            ("123456789:AAE0123456789abcdefghijklmnopqrst", "1234…st"),
            ("Bearer abc12345", "Bearer …"),
            (
                "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
                "-----BEGIN PRIVATE KEY-----…",
            ),
        ] {
            assert_eq!(redact_text(&format!("curl {token} x")), format!("curl {shown} x"));
        }
    }

    #[test]
    fn named_values_are_masked_and_sentences_are_not() {
        for (said, shown) in [
            ("apikey: 429683C4C977", "apikey: 4296…77"),
            ("-H 'apikey: 0123456789abcdef'", "-H 'apikey: 0123…ef'"),
            (r#"{"senha":"correcthorse","n":1}"#, r#"{"senha":"corr…se","n":1}"#),
            ("password=hunter2 x", "password=… x"),
            ("X-Api-Key=0123456789abcdef", "X-Api-Key=0123…ef"),
        ] {
            assert_eq!(redact_text(said), shown);
        }
        for said in [
            "the token: nobody knows",
            "\"token\" = \"other\".\"token\"",
            "key: 12345678",
            "Message.keyId: 1234567",
            "put ${PASSWORD} there: password=${PASSWORD}",
            "status: 4040404",
            "password: authentication failed",
        ] {
            assert_eq!(redact_text(said), said);
        }
    }

    #[test]
    fn urls_are_shown_without_what_logs_in() {
        for (url, shown) in [
            (
                "https://hooks.slack.com/services/T00000000/B00000000/XXXXXXXX12345678",
                "https://hooks.slack.com/services/…/…/XXXX…78",
            ),
            (
                "https://discord.com/api/webhooks/123456789012345678/abcDEF_123-xyz0123456789",
                "https://discord.com/api/webhooks/1234…78/abcD…89",
            ),
            (
                "https://n8n.example/webhook/0a1b2c3d-0000-4444-8888-0123456789ab",
                "https://n8n.example/webhook/0a1b…ab",
            ),
            ("https://bot.example/a/conversation/v2?b=c", "https://bot.example/a/conversation/v2?b=c"),
            (
                "https://a.example/x?access_token=abc&b=1&client-secret=x#f",
                "https://a.example/x?access_token=…&b=1&client-secret=…#f",
            ),
            (
                "http://evolution.example/instance/connect/store-1",
                "http://evolution.example/instance/connect/store-1",
            ),
        ] {
            assert_eq!(redact_text(&format!("<{url}>")), format!("<{shown}>"));
        }
    }
}
