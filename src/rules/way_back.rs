//! The rules about an older server. They rest on a comparison of catalogs and not on a query, so they have no files
//! under `sql/`.

use std::sync::LazyLock;

use crate::rules::rule::{Rule, Severity};

/// The rules, by code.
pub fn way_back_rules() -> &'static [Rule] {
    &*RULES
}

static RULES: LazyLock<[Rule; 3]> = LazyLock::new(|| {
    [
        Rule::built_in(
            "EVO618",
            "older-server-fails",
            Severity::Error,
            "These tables lack something that the older server reads or writes",
            "Routes of the older server answer 500. Prisma names every column of a table in each statement, \
             so a column that is not there fails all of them (P2022), and one that may not be null and has \
             no default fails every new row. Only a backup from before the upgrade brings such tables back.",
            &["an older image on a newer database", "downgrade"],
        ),
        Rule::built_in(
            "EVO619",
            "older-server-may-fail",
            Severity::Warning,
            "These tables may refuse something that the older server writes",
            "All that the older server needs is there, but a unique index, a key, a type or NOT NULL differs \
             from its own tables. Whether a request ever meets that is not known: this pair of releases was \
             not tried. Try it on a copy of the database first.",
            &["an older image on a newer database", "downgrade"],
        ),
        Rule::built_in(
            "EVO620",
            "older-server-differs",
            Severity::Advice,
            "The older server does not see or write everything that is in these tables",
            "Rows and values of newer features stay as they are and have no effect while the older server \
             runs. In rows that it writes, columns that it does not know hold their defaults. \
             After the next upgrade the newer server reads both.",
            &["an older image on a newer database", "downgrade"],
        ),
    ]
});
