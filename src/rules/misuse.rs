//! The rules about requests. They run on a log and not on a database, so they have no files under `sql/`.

use std::sync::LazyLock;

use crate::rules::rule::{Rule, Severity};

/// The kinds of wrong requests: mostly, what is in the place of an instance's name. Ordered by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MisuseKind {
    /// The instance's id.
    Id,
    /// The name in different letter case.
    LetterCase,
    /// The name with stray spaces, or encoded wrongly.
    Encoding,
    /// A token.
    Token,
    /// A phone number or JID.
    Phone,
    /// A name that no instance has.
    Unknown,
    /// Two names: one in the path, another in the query.
    Crossed,
    /// A method or a path that the API does not have.
    Route,
    /// A name that no instance has, and that the server did not refuse.
    Unguarded,
}

impl MisuseKind {
    /// Its rule.
    pub fn rule(self) -> &'static Rule {
        &RULES[self as usize]
    }
}

/// The rules about requests, by code.
pub fn misuse_rules() -> &'static [Rule] {
    &*RULES
}

static RULES: LazyLock<[Rule; 9]> = LazyLock::new(|| {
    [
        Rule::built_in(
            "EVO501",
            "instance-id-as-name",
            Severity::Warning,
            "A client sends an instance's id where its name belongs",
            "The dashboard shows the instance as connected, yet this client gets 404 `The \"…\" instance does not \
             exist` for every request. The API finds instances by name alone; the id (a UUID, shown in the \
             manager's address bar and in webhooks) is accepted in one place only, \
             `GET /instance/fetchInstances?instanceId=`. The key does not matter: the name is looked at first, so a \
             wrong name answers 404 even with a wrong key. Put the name in place of the id in the client's URL.",
            &["The \"…\" instance does not exist", "instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
            r#"text="instance does not exist" name=uuid"#,
        ]),
        Rule::built_in(
            "EVO502",
            "instance-name-letter-case",
            Severity::Warning,
            "A client writes an instance's name in different letter case",
            "The API ignores letter case in the route, so `/INSTANCE/ConnectionState/alpha` works, but not in the \
             name: `Alpha` and `alpha` are two instances to it, and the one that is not there answers 404 \
             `The \"…\" instance does not exist`. Write the name as it was created.",
            &["The \"…\" instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
        ]),
        Rule::built_in(
            "EVO503",
            "instance-name-encoding",
            Severity::Warning,
            "A client encodes an instance's name wrongly, or adds a space to it",
            "In a path a space is `%20`. `+` stands for itself there, `%2520` is a `%20` that was encoded a \
             second time, and a space or line break copied along with the name is part of the name: \
             each answers 404 `The \"…\" instance does not exist`. Encode the name once, with \
             `encodeURIComponent` or your language's function for path segments, not the one for forms. \
             Every name but an empty one, `.` and `..` can be written this way, spaces, `/`, `?`, `%`, \
             `#` and line ends in it included.",
            &["The \"…\" instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
            r#"text="instance does not exist" name=encoded"#,
            r#"text="Failed to decode param""#,
        ]),
        Rule::built_in(
            "EVO504",
            "token-as-instance-name",
            Severity::Error,
            "A client sends a token where an instance's name belongs, so the secret is in the log",
            "The client gets 404 `The \"…\" instance does not exist`, and worse: anyone who reads this log, \
             or any log between client and server, can now act as the instance. Put the name in the URL and \
             the token in the `apikey` header, give the instance a new token, and remove the old one from \
             logs and their backups.",
            &["The \"…\" instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
            r#"text="instance does not exist" name=uuid"#,
        ]),
        Rule::built_in(
            "EVO505",
            "phone-number-as-instance-name",
            Severity::Warning,
            "A client sends a phone number or a JID where an instance's name belongs",
            "The number that an instance is logged in with is shown beside its name, but it does not name it: the \
             API answers 404 `The \"…\" instance does not exist`. Put the name in the URL; the number of the person \
             you write to goes into the request's body.",
            &["The \"…\" instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
            r#"text="instance does not exist" name=phone"#,
        ]),
        Rule::built_in(
            "EVO506",
            "unknown-instance-name",
            Severity::Warning,
            "A client names an instance that does not exist",
            "The API answers 404 `The \"…\" instance does not exist` and looks at nothing else, not even at \
             the key. The name is mistyped, or the instance was renamed or deleted, or it lives on another \
             server. A similar name is shown, if there is one; otherwise ask the client's owner, or stop \
             the client.",
            &["The \"…\" instance does not exist"],
        )
        .with_error_patterns(&[
            r#"text="instance does not exist""#,
            r#"text="Instance … not found" http=404"#,
        ]),
        Rule::built_in(
            "EVO507",
            "request-crosses-instances",
            Severity::Error,
            "A request names one instance in its path and another in its query, and is served as the other",
            "The API checks the key for the instance in the path and then serves the one in \
             `?instanceName=`: anyone with the key of one instance can read and write as any other. \
             A client that does this by mistake sends messages from the wrong number; \
             one that does it on purpose is an attack. Remove the parameter from the client, and let the \
             proxy refuse requests that have it on any path but `/instance/fetchInstances`.",
            &["instanceName="],
        ),
        Rule::built_in(
            "EVO508",
            "no-such-route",
            Severity::Warning,
            "A client calls with an HTTP method or a path that the API does not have",
            "The API answers 404 `Cannot GET /…`. It looks like a missing instance, but it is not: \
             the HTTP method is wrong (POST for GET), the instance's name is missing at the end of the path, \
             or the path is misspelled. Letter case does not matter in a route, everything else does.",
            &["Cannot GET", "Cannot POST", "Cannot PUT", "Cannot DELETE"],
        )
        .with_error_patterns(&[
            r#"exact="Cannot GET /""#,
            r#"exact="Cannot POST /""#,
            r#"exact="Cannot PUT /""#,
            r#"exact="Cannot PATCH /""#,
            r#"exact="Cannot DELETE /""#,
        ]),
        Rule::built_in(
            "EVO509",
            "unknown-name-answered-500",
            Severity::Warning,
            "The server answered 500 instead of 404 for an unknown instance",
            "With Redis and `CACHE_REDIS_SAVE_INSTANCES` an id, or the name of a deleted instance, passes the guard \
             that would answer 404, and the request then fails inside the server: 500 `Cannot read properties of \
             undefined (reading 'textMessage')`. To the client it looks like a fault of the server; it is a wrong \
             name. Put the right name in the URL, and remove what Redis still holds of deleted instances.",
            &["Cannot read properties of undefined", "reading 'textMessage'"],
        )
        .with_error_patterns(&[
            r#"text="reading 'textMessage'""#,
        ]),
    ]
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::rule::is_code;

    #[test]
    fn each_confusion_has_its_rule() {
        use MisuseKind::{Crossed, Encoding, Id, LetterCase, Phone, Route, Token, Unguarded, Unknown};
        let all = [Id, LetterCase, Encoding, Token, Phone, Unknown, Crossed, Route, Unguarded];
        assert_eq!(all.len(), misuse_rules().len());
        for (at, confusion) in all.into_iter().enumerate() {
            let rule = confusion.rule();
            assert!(is_code(&rule.code));
            assert_eq!(rule.code, format!("EVO50{}", at + 1));
            assert!(!rule.why.contains("  ") && !rule.matches.is_empty(), "{}", rule.code);
        }
        assert_eq!(Token.rule().name, "token-as-instance-name");
        assert_eq!(Token.rule().severity, Severity::Error);
    }
}
