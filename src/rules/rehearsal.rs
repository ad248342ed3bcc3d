//! The rules about rehearsed files. They rest on what a file did and not on a query, so they have no files under
//! `sql/`.

use std::sync::LazyLock;

use crate::rules::consequence::Consequence;
use crate::rules::rule::{Rule, Severity};

/// A pending migration fails.
pub const FAILS: &str = "EVO616";

/// A pending migration removes rows or values.
pub const LOSES: &str = "EVO617";

/// The rules, by code.
pub fn rehearsal_rules() -> &'static [Rule] {
    &*RULES
}

/// The rule behind a code.
///
/// # Panics
/// When it is none of these: the code is written in this program.
pub fn rehearsal_rule(code: &str) -> &'static Rule {
    RULES.iter().find(|rule| rule.code == code).expect("the code is one of these")
}

static RULES: LazyLock<[Rule; 2]> = LazyLock::new(|| {
    [
        Rule::built_in(
            FAILS,
            "rehearsed-migration-fails",
            Severity::Error,
            "A pending migration's file fails on this database",
            "The file was run here, and the server refused a statement of it. The upgrade ends at the same \
             place: Prisma records the migration as failed (P3018), and from then on every start of the \
             server ends with P3009. Nothing of the file stays, except for statements before a COMMIT in the \
             file. Correct what the error names and rehearse again, or stay on the release you have.",
            &["P3018", "A migration failed to apply", "Database error code"],
        )
        .with_consequence(Consequence::StopsServer),
        Rule::built_in(
            LOSES,
            "rehearsed-migration-removes-data",
            Severity::Warning,
            "A pending migration's file removes rows or values",
            "The file was run here, and rows or the values of a column were gone afterwards, more than the \
             known hazards (EVO6xx) predict. The upgrade does the same and keeps no copy. Look at what goes, \
             and copy what you need before the upgrade: CREATE TABLE … AS SELECT … in a schema that is not \
             Evolution's.",
            &["rows are gone after the upgrade", "data loss after the upgrade"],
        )
        .with_consequence(Consequence::LosesData),
    ]
});
