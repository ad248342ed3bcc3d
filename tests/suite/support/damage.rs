//! Databases as they are found in the wild: a release, rows in every table, and damage drawn at random. A case is data, so that a
//! failure shows it and proptest makes it smaller.

use evodoctor::database::ident::SqlFragment;
use evodoctor::evolution::release::Release;
use evodoctor::evolution::schema::{ForeignKey, Index, Table, schema as facts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index as Pick;

use super::database::{TestDatabase, execute};
use super::sample_rows::{fill_with, missing_rows};

/// One damaged database.
#[derive(Debug, Clone)]
pub struct Damaged {
    release: Pick,
    in_public: bool,
    rows: usize,
    damage: Vec<Damage>,
}

/// One thing that was done to it. What it is done to is drawn among what the release has.
#[derive(Debug, Clone)]
enum Damage {
    /// Some parents are gone, and what refers to them is not: every how many-th row.
    Gone { table: Pick, every: usize },
    /// A key is not there.
    KeyDropped { key: Pick },
    /// A key says something else than upstream's.
    Key { key: Pick, action: usize, is_valid: bool, is_deferrable: bool },
    /// An index is not there.
    IndexDropped { index: Pick },
    /// An index is in another form.
    Index { index: Pick, form: usize },
    /// A unique index is not there, and there are duplicates.
    Duplicates { index: Pick, every: usize },
    /// A column of the user's.
    Column { table: Pick, form: usize },
    /// A table of the user's, whose rows refer to Evolution's.
    OwnTable { table: Pick, action: usize, has_rows: bool },
    /// The history lacks its last migration, or has one that failed.
    History { form: usize },
    /// A trigger of the user's.
    Trigger { table: Pick, form: usize },
}

const ACTIONS: [&str; 4] = ["CASCADE", "SET NULL", "RESTRICT", "NO ACTION"];

/// Any database.
pub fn damaged() -> impl Strategy<Value = Damaged> {
    (any::<Pick>(), prop::bool::weighted(0.2), 3..24usize, vec(damage(), 1..7))
        .prop_map(|(release, in_public, rows, damage)| Damaged { release, in_public, rows, damage })
}

fn damage() -> impl Strategy<Value = Damage> {
    let pick = any::<Pick>;
    prop_oneof![
        5 => (pick(), 1..5usize).prop_map(|(table, every)| Damage::Gone { table, every }),
        2 => pick().prop_map(|key| Damage::KeyDropped { key }),
        3 => (pick(), 0..4usize, any::<bool>(), any::<bool>()).prop_map(
            |(key, action, is_valid, is_deferrable)| Damage::Key { key, action, is_valid, is_deferrable }
        ),
        1 => pick().prop_map(|index| Damage::IndexDropped { index }),
        1 => (pick(), 0..3usize).prop_map(|(index, form)| Damage::Index { index, form }),
        2 => (pick(), 1..4usize).prop_map(|(index, every)| Damage::Duplicates { index, every }),
        2 => (pick(), 0..4usize).prop_map(|(table, form)| Damage::Column { table, form }),
        2 => (pick(), 0..4usize, any::<bool>())
            .prop_map(|(table, action, has_rows)| Damage::OwnTable { table, action, has_rows }),
        1 => (0..2usize).prop_map(|form| Damage::History { form }),
        1 => (pick(), 0..2usize).prop_map(|(table, form)| Damage::Trigger { table, form }),
    ]
}

impl Damaged {
    /// The release that it was.
    pub fn release(&self) -> Release {
        let all: Vec<Release> = Release::all().collect();
        *self.release.get(&all)
    }

    /// Evolution's schema in it.
    pub fn schema(&self) -> &'static str {
        if self.in_public { "public" } else { "evolution_api" }
    }

    /// Makes it. What cannot be done to a database that is damaged already is left out.
    pub async fn database(&self) -> TestDatabase {
        let (release, schema) = (self.release(), self.schema());
        let database = TestDatabase::new(release.version(), schema).await;
        let mut connection = database.connect().await;
        fill_with(&mut connection, schema, release, &[], self.rows).await;
        for (number, damage) in self.damage.iter().enumerate() {
            let tables: Vec<&Table> = facts().tables(release).collect();
            let sql = Writer { release, schema, number }.damage(damage, &tables);
            // An exception that is caught: a second damage may need what the first took away.
            let block = format!(
                "DO $damage$ BEGIN SET LOCAL session_replication_role = replica; {sql}; \
                 EXCEPTION WHEN undefined_object OR undefined_table OR undefined_column OR duplicate_object \
                 OR duplicate_table OR integrity_constraint_violation OR invalid_foreign_key \
                 OR dependent_objects_still_exist THEN NULL; END $damage$"
            );
            execute(&mut connection, &block).await;
        }
        execute(&mut connection, "ANALYZE").await;
        database
    }
}

/// What others do between a fix and its undo.
#[derive(Debug, Clone)]
pub enum Meanwhile {
    /// A server writes rows of a table again: the same keys, the same unique values, children of what was removed.
    Writes { table: Pick },
    /// Some rows of a table are removed, with what hangs on them.
    Deletes { table: Pick, every: usize },
}

/// Anything that others may do.
pub fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        2 => any::<Pick>().prop_map(|table| Meanwhile::Writes { table }),
        1 => (any::<Pick>(), 1..4usize).prop_map(|(table, every)| Meanwhile::Deletes { table, every }),
    ]
}

impl Damaged {
    /// Does it, row by row as far as the keys allow.
    pub async fn write(&self, database: &TestDatabase, meanwhile: &Meanwhile) {
        let (release, schema) = (self.release(), self.schema());
        let tables: Vec<&Table> = facts().tables(release).collect();
        let statements: Vec<String> = match meanwhile {
            Meanwhile::Writes { table } => {
                let table: &&Table = table.get(&tables);
                let inserts = missing_rows(table, schema, release, self.rows);
                inserts.lines().map(|line| line.trim_end_matches(';').to_owned()).collect()
            }
            Meanwhile::Deletes { table, every } => {
                let name = SqlFragment::qualified(schema, &table.get(&tables).name);
                vec![format!("DELETE FROM {name} WHERE hashtext(\"id\"::text) % {every} = 0")]
            }
        };
        let mut connection = database.connect().await;
        for statement in statements {
            let block = format!("DO $write$ BEGIN {statement}; EXCEPTION WHEN OTHERS THEN NULL; END $write$");
            execute(&mut connection, &block).await;
        }
    }
}

/// Writes the statements of one damage.
struct Writer<'a> {
    release: Release,
    schema: &'a str,
    number: usize,
}

impl Writer<'_> {
    fn damage(&self, damage: &Damage, tables: &[&Table]) -> String {
        match damage {
            Damage::Gone { table, every } => {
                let name = self.name(&table.get(tables).name);
                format!(
                    "DELETE FROM {name} WHERE ctid IN (SELECT ctid FROM (SELECT ctid, row_number() OVER (ORDER BY ctid) AS n \
                     FROM {name}) AS numbered WHERE n % {every} = 0)"
                )
            }
            Damage::KeyDropped { key } => {
                let (table, key) = *key.get(&self.keys(tables));
                self.drop_key(table, key)
            }
            Damage::Key { key, action, is_valid, is_deferrable } => {
                let (table, key) = *key.get(&self.keys(tables));
                // Valid is claimed only where no row is in the way: the block is undone otherwise.
                let valid = if *is_valid { "" } else { " NOT VALID" };
                let deferrable = if *is_deferrable { " DEFERRABLE INITIALLY DEFERRED" } else { "" };
                format!(
                    "{}; ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}) ON DELETE {} ON UPDATE CASCADE{deferrable}{valid}",
                    self.drop_key(table, key),
                    self.name(&table.name),
                    SqlFragment::ident(&key.name),
                    SqlFragment::columns(None, &key.columns),
                    self.name(&key.references),
                    SqlFragment::columns(None, &key.referenced_columns),
                    ACTIONS[*action],
                )
            }
            Damage::IndexDropped { index } => {
                let (_, index) = *index.get(&self.indexes(tables));
                format!("DROP INDEX {}", self.name(&index.name))
            }
            Damage::Index { index, form } => {
                let (table, index) = *index.get(&self.indexes(tables));
                let unique = if index.unique { "UNIQUE " } else { "" };
                let how = ["WITH (fillfactor = 70)", "INCLUDE (\"id\")", "WHERE \"id\" <> ''"][*form];
                format!(
                    "DROP INDEX {}; CREATE {unique}INDEX {} ON {} ({}) {how}",
                    self.name(&index.name),
                    SqlFragment::ident(&index.name),
                    self.name(&table.name),
                    SqlFragment::columns(None, &index.columns),
                )
            }
            Damage::Duplicates { index, every } => {
                let unique: Vec<_> =
                    self.indexes(tables).into_iter().filter(|(_, index)| index.unique).collect();
                let (table, index) = *index.get(&unique);
                let name = self.name(&table.name);
                let columns: Vec<&str> =
                    table.columns(self.release).map(|column| column.name.as_str()).collect();
                let values: Vec<String> = columns
                    .iter()
                    .map(|column| match *column {
                        "id" => "\"id\" || ' twice'".to_owned(),
                        column => SqlFragment::ident(column).to_string(),
                    })
                    .collect();
                format!(
                    "DROP INDEX {}; INSERT INTO {name} ({}) SELECT {} FROM (SELECT *, row_number() OVER (ORDER BY \"id\") AS n \
                     FROM {name}) AS numbered WHERE n % {every} = 0",
                    self.name(&index.name),
                    SqlFragment::columns(None, &columns),
                    values.join(", "),
                )
            }
            Damage::Column { table, form } => {
                let column = [
                    "text",
                    "text DEFAULT 'x' NOT NULL",
                    "varchar(5)[] DEFAULT '[3:4]={a,b}'",
                    "numeric(9, 3) DEFAULT 1.500",
                ][*form];
                format!(
                    "ALTER TABLE {} ADD COLUMN \"own {}\" {column}",
                    self.name(&table.get(tables).name),
                    self.number
                )
            }
            Damage::OwnTable { table, action, has_rows } => {
                let (parent, own) = (&table.get(tables).name, format!("own_{}", self.number));
                let rows = match has_rows {
                    true => format!(
                        "; INSERT INTO {} SELECT row_number() OVER (), \"id\" FROM {}",
                        self.name(&own),
                        self.name(parent)
                    ),
                    false => String::new(),
                };
                format!(
                    "CREATE TABLE {} (\"id\" bigint PRIMARY KEY, \"parent\" text REFERENCES {} (\"id\") ON DELETE {}){rows}",
                    self.name(&own),
                    self.name(parent),
                    ACTIONS[*action],
                )
            }
            Damage::History { form } => {
                let last = format!(
                    "WHERE \"started_at\" = (SELECT max(\"started_at\") FROM {})",
                    self.name("_prisma_migrations")
                );
                match form {
                    0 => format!("DELETE FROM {} {last}", self.name("_prisma_migrations")),
                    _ => format!(
                        "UPDATE {} SET \"finished_at\" = NULL, \"logs\" = 'it failed' {last}",
                        self.name("_prisma_migrations")
                    ),
                }
            }
            Damage::Trigger { table, form } => {
                let (table, own) =
                    (self.name(&table.get(tables).name), format!("own_trigger_{}", self.number));
                let body = ["RETURN COALESCE(NEW, OLD)", "PERFORM 1; RETURN COALESCE(NEW, OLD)"][*form];
                let moment = ["BEFORE UPDATE", "AFTER DELETE"][*form];
                format!(
                    "CREATE FUNCTION {}() RETURNS trigger LANGUAGE plpgsql AS $own$ BEGIN {body}; END $own$; \
                     CREATE TRIGGER \"own\" {moment} ON {table} FOR EACH ROW EXECUTE FUNCTION {}()",
                    self.name(&own),
                    self.name(&own)
                )
            }
        }
    }

    fn name(&self, relation: &str) -> SqlFragment {
        SqlFragment::qualified(self.schema, relation)
    }

    fn drop_key(&self, table: &Table, key: &ForeignKey) -> String {
        format!("ALTER TABLE {} DROP CONSTRAINT {}", self.name(&table.name), SqlFragment::ident(&key.name))
    }

    fn keys<'t>(&self, tables: &[&'t Table]) -> Vec<(&'t Table, &'t ForeignKey)> {
        tables.iter().flat_map(|table| table.foreign_keys(self.release).map(|key| (*table, key))).collect()
    }

    fn indexes<'t>(&self, tables: &[&'t Table]) -> Vec<(&'t Table, &'t Index)> {
        tables.iter().flat_map(|table| table.indexes(self.release).map(|index| (*table, index))).collect()
    }
}
