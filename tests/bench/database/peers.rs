//! What a person would otherwise type to find the orphans of a key.

use evodoctor::checks::references::Reference;
use evodoctor::database::ident::SqlFragment;

use super::fill::SCHEMA;

/// A way to the answer: its name, and statements of which the last is the answer's.
pub type Peer = (&'static str, Vec<String>);

/// Both tables and columns of a key, quoted.
struct Ends {
    child: SqlFragment,
    parent: SqlFragment,
    from: SqlFragment,
    to: SqlFragment,
}

impl Ends {
    fn of(key: &Reference) -> Self {
        Self {
            child: SqlFragment::qualified(SCHEMA, &key.child_table),
            parent: SqlFragment::qualified(&key.parent_schema, &key.parent_table),
            from: SqlFragment::ident(&key.child_columns[0]),
            to: SqlFragment::ident(&key.parent_columns[0]),
        }
    }
}

/// An anti-join, as most write it.
pub fn not_exists(key: &Reference) -> String {
    let Ends { child, parent, from, to } = Ends::of(key);
    format!(
        "SELECT count(*), count(DISTINCT child.{from}) FROM {child} AS child WHERE child.{from} IS NOT NULL AND NOT EXISTS \
         (SELECT FROM {parent} AS parent WHERE parent.{to} = child.{from})"
    )
}

/// The other way to write it.
pub fn left_join(key: &Reference) -> String {
    let Ends { child, parent, from, to } = Ends::of(key);
    format!(
        "SELECT count(*), count(DISTINCT child.{from}) FROM {child} AS child LEFT JOIN {parent} AS parent ON parent.{to} = child.{from} \
         WHERE parent.{to} IS NULL AND child.{from} IS NOT NULL"
    )
}

/// Each value once, and then an anti-join.
pub fn group_by(key: &Reference) -> String {
    let Ends { child, parent, from, to } = Ends::of(key);
    format!(
        "SELECT sum(n), count(*) FROM (SELECT {from} AS value, count(*) AS n FROM {child} WHERE {from} IS NOT NULL GROUP BY {from}) AS one \
         WHERE NOT EXISTS (SELECT FROM {parent} AS parent WHERE parent.{to} = one.value)"
    )
}

/// Every way for one key.
pub fn of(key: &Reference) -> Vec<Peer> {
    let Ends { child, parent, from, to } = Ends::of(key);
    let orphans = format!(
        "FROM {child} AS child LEFT JOIN {parent} AS parent ON parent.{to} = child.{from} WHERE parent.{to} IS NULL AND child.{from} IS NOT NULL"
    );
    let add = format!(
        "ALTER TABLE {child} ADD CONSTRAINT again FOREIGN KEY ({from}) REFERENCES {parent} ({to}) NOT VALID"
    );
    vec![
        ("NOT EXISTS", vec![not_exists(key)]),
        ("LEFT JOIN … IS NULL", vec![left_join(key)]),
        // It stops at the first orphan, and says no more than that there is one.
        (
            "VALIDATE CONSTRAINT (up to the first orphan)",
            vec![add, format!("ALTER TABLE {child} VALIDATE CONSTRAINT again")],
        ),
        (
            "VALIDATE's own query to its end",
            vec!["SET LOCAL work_mem = '512MB'".into(), format!("SELECT child.{from} {orphans}")],
        ),
    ]
}
