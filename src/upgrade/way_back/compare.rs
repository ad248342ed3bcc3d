//! Compares what a server expects of its tables with the tables of another release.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::database::expected_objects::CatalogObject;

/// Something that is not as the server expects it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The effect.
    pub effect: Effect,
    /// `Table`, `Table.column`, `Table (columns)` or the name of a type.
    pub object: String,
    /// The difference, and its effect.
    pub detail: String,
    /// True if the release of the tables does not have this difference: this database was changed by hand.
    pub is_drift: bool,
    /// The number of rows that it is about, where they were counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// The condition for these rows, as SQL.
    #[serde(skip)]
    pub rows_of: Option<CountedRows>,
}

/// The effects of a difference, the mildest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The server was seen to run with it.
    Harmless,
    /// The server does not see it, and leaves it as it is.
    Unseen,
    /// The newer server reads the values differently.
    WrittenDifferently,
    /// It may refuse something that the server does.
    MayFail,
    /// The server's statements fail.
    Fails,
}

/// The rows that a difference is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CountedRows {
    /// All of a table.
    All(String),
    /// Those whose column holds something that is not its default.
    Filled {
        /// The table.
        table: String,
        /// The column.
        column: String,
        /// Its default, as the catalog writes it.
        default: Option<String>,
    },
    /// Those whose column holds a value of an enum type that the server does not know.
    Value {
        /// The type.
        kind: String,
        /// The value.
        value: String,
    },
}

impl Difference {
    /// Without rows.
    pub fn new(effect: Effect, object: &str, detail: &str) -> Self {
        Self {
            effect,
            object: object.to_owned(),
            detail: detail.to_owned(),
            is_drift: false,
            rows: None,
            rows_of: None,
        }
    }

    fn about(self, rows: CountedRows) -> Self {
        Self { rows_of: Some(rows), ..self }
    }

    /// True if it is the same difference between two other catalogs.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.object, &self.detail) == (&other.object, &other.detail)
    }
}

/// The objects of one catalog, by table or type and by what each is recognised by.
struct Catalog<'a>(BTreeMap<(&'a str, &'a str, &'a str), &'a Value>);

impl<'a> Catalog<'a> {
    fn new(objects: &'a [CatalogObject]) -> Self {
        static NONE: Value = Value::Null;
        let one = |object: &'a CatalogObject| {
            let identity = (object.kind.as_str(), object.table.as_str(), object.form.as_str());
            (identity, object.definition.as_ref().unwrap_or(&NONE))
        };
        Self(objects.iter().map(one).collect())
    }

    fn get(&self, kind: &str, table: &str, form: &str) -> Option<&'a Value> {
        self.0.get(&(kind, table, form)).copied()
    }

    fn has_table(&self, table: &str) -> bool {
        self.get("table", table, table).is_some()
    }

    fn of_kind<'s>(
        &'s self,
        kind: &'s str,
    ) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> + use<'a, 's> {
        let is_it = move |(identity, _): &(&(&str, &str, &str), &&Value)| identity.0 == kind;
        self.0.iter().filter(is_it).map(|((_, table, form), definition)| (*table, *form, *definition))
    }
}

/// The differences that a server which expects `server` meets in `tables`.
pub fn differences(server: &[CatalogObject], tables: &[CatalogObject]) -> Vec<Difference> {
    let (server, tables) = (Catalog::new(server), Catalog::new(tables));
    let mut found = Vec::new();
    for (table, _, definition) in server.of_kind("table") {
        match tables.get("table", table, table) {
            None => found.push(Difference::new(
                Effect::Fails,
                table,
                "the table does not exist; what the server does with it fails with 42P01",
            )),
            Some(now) if now != definition => found.push(Difference::new(
                Effect::Fails,
                table,
                &format!("the primary key is {now} and was {definition}"),
            )),
            Some(_) => {}
        }
    }
    for (table, _, _) in tables.of_kind("table").filter(|(table, _, _)| !server.has_table(table)) {
        let one = Difference::new(Effect::Unseen, table, "the server does not know the table");
        found.push(one.about(CountedRows::All(table.to_owned())));
    }
    columns(&server, &tables, &mut found);
    enums(&server, &tables, &mut found);
    unique_indexes(&server, &tables, &mut found);
    keys(&server, &tables, &mut found);
    found
}

fn columns(server: &Catalog<'_>, tables: &Catalog<'_>, found: &mut Vec<Difference>) {
    for (table, column, was) in server.of_kind("column").filter(|(table, _, _)| tables.has_table(table)) {
        let path = format!("{table}.{column}");
        match tables.get("column", table, column) {
            None => found.push(Difference::new(
                Effect::Fails,
                &path,
                "the column does not exist; every read and write of a row of this table fails (42703, P2022)",
            )),
            Some(now) => found.extend(
                changed_column(was, now).map(|(effect, detail)| Difference::new(effect, &path, &detail)),
            ),
        }
    }
    let unknown = |(table, column, _): &(&str, &str, &Value)| {
        server.has_table(table) && server.get("column", table, column).is_none()
    };
    for (table, column, now) in tables.of_kind("column").filter(unknown) {
        let path = format!("{table}.{column}");
        let default = now["default"].as_str();
        if now["not_null"] == true && default.is_none() {
            found.push(Difference::new(
                Effect::Fails,
                &path,
                "the server does not know the column, which may not be null and has no default; \
                 every new row fails with 23502",
            ));
            continue;
        }
        let gets = default.map_or("null".to_owned(), |default| format!("the default {default}"));
        let detail = format!("the server does not know the column; in rows that it writes it is {gets}");
        let (table, column, default) = (table.to_owned(), column.to_owned(), default.map(str::to_owned));
        let one = Difference::new(Effect::Unseen, &path, &detail);
        found.push(one.about(CountedRows::Filled { table, column, default }));
    }
}

/// The effect of a changed column on the server's reads and writes.
fn changed_column(was: &Value, now: &Value) -> Option<(Effect, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (old, new) = (text(&was["type"]), text(&now["type"]));
    if old != new {
        return match (length(&old), length(&new)) {
            (Some(old), Some(new)) if new >= old => None,
            (Some(_), Some(length)) => {
                let detail = format!(
                    "the column holds {length} characters and was {old}; longer values fail with 22001"
                );
                Some((Effect::MayFail, detail))
            }
            _ => {
                let detail = format!("the column is {new} and was {old}, which the server reads and writes");
                Some((Effect::Fails, detail))
            }
        };
    }
    let is_not_null = |value: &Value| value["not_null"] == true;
    match (is_not_null(was), is_not_null(now)) {
        (false, true) => Some((
            Effect::MayFail,
            "the column may not be null any more; a row without it fails with 23502".to_owned(),
        )),
        (true, false) => Some((
            Effect::MayFail,
            "the column may be null now; the server cannot read a row with NULL in it (P2032)".to_owned(),
        )),
        _ if is_not_null(now) && now["default"].is_null() && !was["default"].is_null() => Some((
            Effect::MayFail,
            format!(
                "the column has no default any more and had {}; a row without it fails with 23502",
                text(&was["default"])
            ),
        )),
        _ => None,
    }
}

/// The number of characters a type of text holds.
fn length(data_type: &str) -> Option<u64> {
    match data_type {
        "text" | "character varying" => Some(u64::MAX),
        _ => data_type.strip_prefix("character varying(")?.strip_suffix(')')?.parse().ok(),
    }
}

fn enums(server: &Catalog<'_>, tables: &Catalog<'_>, found: &mut Vec<Difference>) {
    let values = |definition: &Value| -> Vec<String> {
        definition["values"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    for (kind, _, was) in server.of_kind("enum") {
        let Some(now) = tables.get("enum", kind, kind) else {
            found.push(Difference::new(Effect::Fails, kind, "the type does not exist"));
            continue;
        };
        let (was, now) = (values(was), values(now));
        for value in was.iter().filter(|value| !now.contains(value)) {
            let detail = format!("the type lacks the value {value}; writing it fails with 22P02");
            found.push(Difference::new(Effect::Fails, kind, &detail));
        }
        for value in now.iter().filter(|value| !was.contains(value)) {
            let detail = format!(
                "the server does not know the value {value}, and cannot read a row that has it (P2023)"
            );
            let one = Difference::new(Effect::MayFail, kind, &detail);
            found.push(one.about(CountedRows::Value { kind: kind.to_owned(), value: value.clone() }));
        }
    }
}

fn unique_indexes(server: &Catalog<'_>, tables: &Catalog<'_>, found: &mut Vec<Difference>) {
    let in_both = |table: &str| server.has_table(table) && tables.has_table(table);
    let columns = |form: &str| form.trim_start_matches("UNIQUE ").to_owned();
    let unique = |(table, form, _): &(&str, &str, &Value)| in_both(table) && form.starts_with("UNIQUE ");
    for (table, form, _) in server.of_kind("index").filter(unique) {
        if tables.get("index", table, form).is_none() {
            let detail = "the unique index does not exist; an upsert on it fails with 42P10, and duplicates \
                          are not refused";
            found.push(Difference::new(Effect::MayFail, &format!("{table} {}", columns(form)), detail));
        }
    }
    for (table, form, _) in tables.of_kind("index").filter(unique) {
        if server.get("index", table, form).is_none() {
            let detail = "a unique index that the server does not know refuses a second row (23505, P2002)";
            found.push(Difference::new(Effect::MayFail, &format!("{table} {}", columns(form)), detail));
        }
    }
}

fn keys(server: &Catalog<'_>, tables: &Catalog<'_>, found: &mut Vec<Difference>) {
    let parent =
        |form: &str| form.split(" -> ").nth(1).and_then(|rest| rest.split(" (").next()).map(str::to_owned);
    let is_known = |form: &str| parent(form).is_some_and(|parent| server.has_table(&parent));
    let keeps_parent = |now: &Value| matches!(now["on_delete"].as_str(), Some("RESTRICT" | "NO ACTION"));
    for (table, form, now) in tables.of_kind("key").filter(|(_, form, _)| is_known(form)) {
        let object = format!("{table} {form}");
        let was = server.get("key", table, form);
        match was {
            Some(was) if was["on_delete"] == now["on_delete"] => {}
            Some(was) => {
                let detail =
                    format!("the foreign key is ON DELETE {} and was {}", now["on_delete"], was["on_delete"]);
                found.push(Difference::new(Effect::MayFail, &object, &detail.replace('"', "")));
            }
            None if keeps_parent(now) => found.push(Difference::new(
                Effect::MayFail,
                &object,
                "a foreign key that the server does not know refuses to delete what it refers to (23503)",
            )),
            None if server.has_table(table) => found.push(Difference::new(
                Effect::MayFail,
                &object,
                "a foreign key that the server does not know refuses orphaned rows (23503)",
            )),
            None => {}
        }
    }
    let is_gone = |(table, form, _): &(&str, &str, &Value)| {
        tables.has_table(table)
            && tables.get("key", table, form).is_none()
            && parent(form).is_some_and(|parent| tables.has_table(&parent))
    };
    for (table, form, _) in server.of_kind("key").filter(is_gone) {
        let detail = "the foreign key does not exist; rows that refer to a deleted row stay behind";
        found.push(Difference::new(Effect::MayFail, &format!("{table} {form}"), detail));
    }
}
