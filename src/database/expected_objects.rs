//! The expected objects of a release, to compare a database with.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use super::release_objects::{ExpectedObject, Identity, objects, plain};
use crate::evolution::release::Release;

/// The releases that have an object, whatever its definition, by their positions.
fn positions<'a>(identity: Identity<'a>) -> &'a BTreeSet<usize> {
    static POSITIONS: LazyLock<BTreeMap<Identity<'static>, BTreeSet<usize>>> = LazyLock::new(|| {
        let mut positions: BTreeMap<Identity<'static>, BTreeSet<usize>> = BTreeMap::new();
        for (position, release) in Release::all().enumerate() {
            for object in plain(release) {
                positions.entry(object.identity()).or_default().insert(position);
            }
        }
        positions
    });
    let positions: &BTreeMap<Identity<'a>, BTreeSet<usize>> = &POSITIONS;
    &positions[&identity]
}

/// Every object of a release, with the statements that add it, as `:'expected'` has them.
#[derive(Debug)]
pub struct ExpectedJson {
    /// An array.
    pub value: Value,
    /// The same as text.
    pub text: String,
}

/// `:'expected'`: every object of a release. Made once: a run asks for it in every round.
pub fn expected(schema: &str, release: Release) -> Arc<ExpectedJson> {
    static MADE: Mutex<BTreeMap<(String, Release), Arc<ExpectedJson>>> = Mutex::new(BTreeMap::new());
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    let one = made.entry((schema.to_owned(), release)).or_insert_with(|| {
        let value = make_expected(schema, release);
        Arc::new(ExpectedJson { text: value.to_string(), value })
    });
    Arc::clone(one)
}

fn make_expected(schema: &str, release: Release) -> Value {
    let releases: Vec<Release> = Release::all().collect();
    let newest = releases.iter().position(|other| *other == release).expect("a known release");
    let mut objects = objects(Some(schema), release);
    for (at, object) in objects.iter_mut().enumerate() {
        object.position = at;
        let has = positions(object.identity());
        let since = (0..=newest).rev().take_while(|position| has.contains(position)).last();
        object.migration = since.and_then(|since| releases[since].only_migration()).map(|m| m.name.as_str());
    }
    json!(objects)
}

/// An object as `sql/catalog/objects.sql` finds it, by which it is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogObject {
    /// `enum`, `table`, `column`, `index` or `key`.
    pub kind: String,
    /// Its table; for an enum its own name.
    pub table: String,
    /// Its identity, whatever its name.
    pub form: String,
    /// The part that may differ.
    pub definition: Option<Value>,
}

/// Every object of a release, to hold what a database has against it.
#[derive(Debug)]
pub struct ExpectedObjects(Vec<ExpectedObject>);

impl ExpectedObjects {
    /// Makes them from the facts, which takes some milliseconds.
    pub fn new(release: Release) -> Self {
        Self(objects(None, release))
    }

    /// The same in the form in which a database is read.
    pub fn as_catalog(&self) -> Vec<CatalogObject> {
        let one = |object: &ExpectedObject| CatalogObject {
            kind: object.kind.to_owned(),
            table: object.table.clone(),
            form: object.form.clone(),
            definition: Some(object.definition.clone()),
        };
        self.0.iter().map(one).collect()
    }

    /// True if a database has exactly these objects, whatever their names.
    pub fn match_exactly(&self, found: &[CatalogObject]) -> bool {
        let objects = self.0.iter().enumerate();
        let expected: HashMap<Identity<'_>, (usize, &Value)> =
            objects.map(|(at, object)| (object.identity(), (at, &object.definition))).collect();
        let mut is_there = vec![false; self.0.len()];
        let is_same = |one: &CatalogObject| {
            let identity = (one.kind.as_str(), one.table.as_str(), one.form.as_str());
            let same = expected
                .get(&identity)
                .filter(|(_, definition)| Some(*definition) == one.definition.as_ref());
            same.inspect(|(at, _)| is_there[*at] = true).is_some()
        };
        found.iter().all(is_same) && is_there.into_iter().all(|is_there| is_there)
    }
}
