//! `schema.json`, a line for each thing, as it is kept.

use evodoctor::evolution::release::{Release, ReleaseRange};
use serde_json::Value;

use super::catalog::{Catalog, CatalogTable, list, quoted};

/// The lines of the file.
pub struct SchemaFile {
    enums: Vec<String>,
    tables: Vec<TableLines>,
}

struct TableLines {
    /// Its first line: name, releases, primary key.
    head: String,
    columns: Vec<String>,
    indexes: Vec<String>,
    foreign_keys: Vec<String>,
}

const SECTIONS: [&str; 3] = ["columns", "indexes", "foreign_keys"];

impl SchemaFile {
    /// Reads the file.
    pub fn parse(text: &str) -> Self {
        let (mut enums, mut tables): (Vec<String>, Vec<TableLines>) = (Vec::new(), Vec::new());
        let mut section = 0;
        for line in text.lines() {
            let fact = line.trim().trim_end_matches(',').to_owned();
            let opens = SECTIONS.iter().position(|name| fact.starts_with(&format!("\"{name}\": [")));
            match (tables.last_mut(), opens) {
                (_, Some(opened)) => section = opened,
                _ if line.starts_with("    {") && fact.ends_with('}') => enums.push(fact),
                _ if line.starts_with("    {") => {
                    tables.push(TableLines {
                        head: fact,
                        columns: vec![],
                        indexes: vec![],
                        foreign_keys: vec![],
                    });
                }
                (Some(table), None) if line.starts_with("        {") => table.section(section).push(fact),
                _ => {}
            }
        }
        Self { enums, tables }
    }

    /// Writes the file.
    pub fn render(&self) -> String {
        let tables: Vec<String> = self.tables.iter().map(TableLines::render).collect();
        format!(
            "{{\n  \"enums\": [\n    {}\n  ],\n  \"tables\": [\n{}\n  ]\n}}\n",
            self.enums.join(",\n    "),
            tables.join(",\n")
        )
    }

    /// Takes over what a release changes; returns what a person has to decide.
    pub fn update(&mut self, catalog: &Catalog, previous: Release, version: &str) -> Vec<String> {
        let mut decide = Vec::new();
        let enums = catalog
            .enums
            .iter()
            .map(|(name, values)| format!("{{\"name\": {}, \"values\": {}}}", quoted(name), list(values)));
        // An enum is there in some releases only, like a table: its lines always say in which.
        update_lines(&mut self.enums, &enums.collect::<Vec<_>>(), "", previous, version);
        self.enums.sort_by_key(|line| name_of(line));
        for table in &mut self.tables {
            if catalog.tables.contains_key(&name_of(&table.head)) || !is_in(&table.head, "", previous) {
                continue;
            }
            table.head = ended(&table.head, "", previous);
        }
        for (name, found) in &catalog.tables {
            let mut known = self.tables.iter_mut();
            let known =
                known.rfind(|table| name_of(&table.head) == *name && is_in(&table.head, "", previous));
            match known {
                Some(table) => {
                    let new = table.update(found, previous, version);
                    decide.extend(new.iter().filter_map(|line| personal(name, line)));
                }
                None => {
                    self.tables.push(TableLines::new(name, found, version));
                    decide.extend(found.columns.iter().filter_map(|line| personal(name, line)));
                }
            }
        }
        self.tables.sort_by_key(|table| name_of(&table.head));
        decide
    }
}

impl TableLines {
    fn new(name: &str, found: &CatalogTable, version: &str) -> Self {
        Self {
            head: format!(
                "{{\"name\": {}, \"releases\": \"{version}..\", \"primary_key\": {}",
                quoted(name),
                list(&found.primary_key)
            ),
            columns: found.columns.clone(),
            indexes: found.indexes.values().cloned().collect(),
            foreign_keys: found.foreign_keys.values().map(|(line, _)| line.clone()).collect(),
        }
    }

    fn section(&mut self, number: usize) -> &mut Vec<String> {
        [&mut self.columns, &mut self.indexes, &mut self.foreign_keys]
            .into_iter()
            .nth(number)
            .expect("a section")
    }

    fn render(&self) -> String {
        let section = |name: &str, lines: &[String]| match lines {
            [] => format!("      \"{name}\": []"),
            lines => format!("      \"{name}\": [\n        {}\n      ]", lines.join(",\n        ")),
        };
        let [columns, indexes, foreign_keys] = SECTIONS;
        let sections = [
            section(columns, &self.columns),
            section(indexes, &self.indexes),
            section(foreign_keys, &self.foreign_keys),
        ];
        format!("    {},\n{}\n    }}", self.head, sections.join(",\n"))
    }

    /// Takes over what a release changes; returns the new columns.
    fn update(&mut self, found: &CatalogTable, previous: Release, version: &str) -> Vec<String> {
        let of_table = releases_of(&self.head).unwrap_or_default();
        let new = update_lines(&mut self.columns, &found.columns, &of_table, previous, version);
        let indexes: Vec<String> = found.indexes.values().cloned().collect();
        update_lines(&mut self.indexes, &indexes, &of_table, previous, version);
        let keys: Vec<String> = found.foreign_keys.values().map(|(line, _)| line.clone()).collect();
        update_lines(&mut self.foreign_keys, &keys, &of_table, previous, version);
        self.indexes.sort_by_key(|line| name_of(line));
        self.foreign_keys.sort_by_key(|line| name_of(line));
        new
    }
}

/// Ends what was found no more, adds what is new; returns that. `of_table` is the range of those that say none.
fn update_lines(
    lines: &mut Vec<String>,
    found: &[String],
    of_table: &str,
    previous: Release,
    version: &str,
) -> Vec<String> {
    let same = |line: &str, other: &str| value(line, "") == value(other, "");
    for line in lines.iter_mut().filter(|line| is_in(line, of_table, previous)) {
        if !found.iter().any(|found| same(line, found)) {
            *line = ended(line, of_table, previous);
        }
    }
    let is_known = |found: &String| lines.iter().any(|line| same(line, found) && is_open(line, of_table));
    let new: Vec<String> = found.iter().filter(|found| !is_known(found)).cloned().collect();
    lines.extend(new.iter().map(|line| with_releases(line, &format!("{version}.."))));
    new
}

/// The fact of a line, without its releases; a table's first line is not a whole value.
fn value(line: &str, rest: &str) -> Value {
    let mut value: Value =
        serde_json::from_str(&format!("{line}{rest}")).unwrap_or_else(|error| panic!("{line}: {error}"));
    value.as_object_mut().expect("an object").remove("releases");
    value
}

fn whole(line: &str) -> Value {
    let rest = if line.ends_with('}') { "" } else { "}" };
    serde_json::from_str(&format!("{line}{rest}")).unwrap_or_else(|error| panic!("{line}: {error}"))
}

fn name_of(line: &str) -> String {
    whole(line)["name"].as_str().expect("a name").to_owned()
}

fn releases_of(line: &str) -> Option<String> {
    whole(line)["releases"].as_str().map(str::to_owned)
}

fn range_of(line: &str, of_table: &str) -> String {
    releases_of(line).unwrap_or_else(|| of_table.to_owned())
}

fn is_in(line: &str, of_table: &str, release: Release) -> bool {
    ReleaseRange::parse(&range_of(line, of_table)).expect("a range").contains(release)
}

fn is_open(line: &str, of_table: &str) -> bool {
    range_of(line, of_table).ends_with("..")
}

fn ended(line: &str, of_table: &str, last: Release) -> String {
    let range = range_of(line, of_table);
    let (from, _) = range.split_once("..").expect("a range");
    with_releases(line, &format!("{from}..{last}"))
}

fn with_releases(line: &str, range: &str) -> String {
    match releases_of(line) {
        Some(old) => line.replace(&format!("\"releases\": \"{old}\""), &format!("\"releases\": \"{range}\"")),
        None => format!("{}, \"releases\": \"{range}\"}}", line.strip_suffix('}').expect("an object")),
    }
}

/// What to decide of a new column that may hold something personal.
fn personal(table: &str, line: &str) -> Option<String> {
    let column = whole(line);
    let (name, kind) = (column["name"].as_str()?, column["type"].as_str()?);
    let holds_text = ["text", "char", "json"].iter().any(|word| kind.contains(word));
    holds_text.then(|| format!("{table}.{name} ({kind}): give it a class in personal_data.json"))
}

#[test]
fn the_file_is_written_as_it_is_kept() {
    let text = std::fs::read_to_string(super::facts_folder().join("schema.json")).expect("the facts");
    let file = SchemaFile::parse(&text);
    assert!(file.enums.len() > 5 && file.tables.len() > 30);
    assert_eq!(file.render(), text);
}
