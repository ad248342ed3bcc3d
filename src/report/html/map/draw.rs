//! The map as SVG. Colours and fonts are the page's.

use maud::{Markup, html};

use super::layout::{self, Area, Layout, Line, SPINE, layout};
use super::{BrokenKey, Map, MapTable};
use crate::report::html::text::plain;

/// Letters of a table's name that fit into its box.
const LONGEST_NAME: usize = 21;

/// Letters of a key that fit beside it.
const LONGEST_KEY: usize = 16;

/// The map, with the spine in the middle or at the left.
pub fn draw(map: &Map, two_sided: bool) -> Markup {
    let tables: Vec<layout::Table> = map
        .tables
        .iter()
        .map(|table| layout::Table {
            name: table.name.clone(),
            keys: table.keys.iter().map(|key| key.to.clone()).collect(),
        })
        .collect();
    let placed = layout(&tables, two_sided);
    let id = if two_sided { "wide" } else { "tall" };
    let Layout { width, height, spine, .. } = placed;
    let is_broken = |line: &&Line| map.tables[line.table].keys[line.key].broken.is_some();
    let spine_table = map.tables.iter().find(|table| table.name == SPINE);
    html! {
        div.map.(id) tabindex="0" role="group" aria-label="Map of tables; scrolls where the page is narrow" {
            svg role="img" aria-labelledby={ "map-" (id) "-title map-" (id) "-desc" } width=(width) height=(height)
                viewBox={ "0 0 " (width) " " (height) } {
                title id={ "map-" (id) "-title" } { "Evolution's tables and the references between them" }
                desc id={ "map-" (id) "-desc" } { (map.sentence()) @for (table, key, broken) in map.broken() { " " (words(table, &key.columns, &key.to, broken)) } }
                g.whole { @for line in placed.lines.iter().filter(|line| !is_broken(line)) { path d=(path(line)) {} } }
                (spine_box(spine, two_sided, spine_table))
                @for (at, area) in placed.areas.iter().enumerate() {
                    @if let Some(area) = area { (table_box(&map.tables[at], *area, placed.is_left[at])) }
                }
                @for line in placed.lines.iter().filter(is_broken) { (broken_line(map, line, placed.is_left[line.table])) }
            }
        }
    }
}

fn words(table: &MapTable, columns: &str, to: &str, broken: &BrokenKey) -> String {
    plain(&format!("{}.{columns} refers to {to}: {} orphaned rows.", table.name, broken.rows))
}

fn path(line: &Line) -> String {
    let points = line.points.iter().enumerate();
    points.map(|(at, (x, y))| format!("{}{x} {y}", if at == 0 { 'M' } else { 'L' })).collect()
}

fn spine_box(area: Area, two_sided: bool, table: Option<&MapTable>) -> Markup {
    let Area { x, y, width, height } = area;
    let (middle, centre) = (x + width / 2, y + height / 2);
    let turn = (!two_sided).then(|| format!("rotate(-90 {middle} {centre})"));
    html! {
        g.spine {
            rect x=(x) y=(y) width=(width) height=(height) rx="10" {}
            text x=(middle) y=(centre) text-anchor="middle" dominant-baseline="central" transform=[turn] { (SPINE) }
            @if let Some((severity, number)) = table.and_then(|table| table.found) {
                (dot(middle, y + 22, &severity.to_string(), number))
            }
        }
    }
}

fn table_box(table: &MapTable, area: Area, is_left: bool) -> Markup {
    let Area { x, y, width, height } = area;
    let centre = y + height / 2;
    let text = if is_left { x + width - 10 } else { x + 10 };
    let broken = table.keys.iter().filter_map(|key| key.broken.as_ref()).map(|broken| broken.severity).max();
    let state = broken.map(|severity| severity.to_string()).unwrap_or_default();
    html! {
        g.table.(state).stranger[!table.is_evolutions] {
            title { (plain(&table.name)) @if !table.is_evolutions { ", not a table of Evolution" } }
            rect x=(x) y=(y) width=(width) height=(height) rx="6" {}
            text x=(text) y=(centre) text-anchor=(if is_left { "end" } else { "start" }) dominant-baseline="central" {
                (shortened(&table.name, LONGEST_NAME))
            }
            @if let Some((severity, number)) = table.found {
                (dot(if is_left { x + 14 } else { x + width - 14 }, centre, &severity.to_string(), number))
            }
        }
    }
}

/// A dot for other findings, with their number.
fn dot(x: i32, y: i32, severity: &str, number: usize) -> Markup {
    html! {
        g.dot.(severity) {
            title { (number) " other " (if number == 1 { "finding" } else { "findings" }) ", at worst " (severity) }
            circle cx=(x) cy=(y) r="8" {}
            text x=(x) y=(y) text-anchor="middle" dominant-baseline="central" { @if number > 9 { "9+" } @else { (number) } }
        }
    }
}

fn broken_line(map: &Map, line: &Line, is_left: bool) -> Markup {
    let table = &map.tables[line.table];
    let key = &table.keys[line.key];
    let Some(broken) = &key.broken else { return html! {} };
    let (x, y) = line.label;
    let rows = crate::text::humanize::format_count(broken.rows.unsigned_abs());
    html! {
        g.broken.(broken.severity) {
            title { (words(table, &key.columns, &key.to, broken)) }
            @if !line.points.is_empty() { path d=(path(line)) {} (cross(line)) }
            text x=(x) y=(y) text-anchor=(if is_left { "end" } else { "start" }) dominant-baseline="central" {
                tspan.key { (shortened(&key.columns, LONGEST_KEY)) } " "
                tspan.rows { (rows) (if broken.rows == 1 { " row" } else { " rows" }) }
            }
        }
    }
}

/// The sign that it is broken: on a way to the spine where no table is beside, else in the line's first part, which it
/// shares with no other.
fn cross(line: &Line) -> Markup {
    let (x, y) = match line.points.as_slice() {
        [(from, _), (to, y)] => (to + (from - to).signum() * 24, *y),
        [(from, _), (to, y), ..] => (i32::midpoint(*from, *to), *y),
        _ => return html! {},
    };
    html! {
        circle cx=(x) cy=(y) r="7" {}
        path.cross d={ "M" (x - 3) " " (y - 3) "L" (x + 3) " " (y + 3) "M" (x + 3) " " (y - 3) "L" (x - 3) " " (y + 3) } {}
    }
}

fn shortened(text: &str, longest: usize) -> String {
    let text = plain(text);
    match text.char_indices().nth(longest) {
        Some(_) => text.chars().take(longest - 1).chain(['…']).collect(),
        None => text,
    }
}

/// The legend.
pub fn legend(map: &Map) -> Markup {
    let has_marks = map.tables.iter().any(|table| table.found.is_some());
    html! {
        ul.legend {
            li { svg width="34" height="12" aria-hidden="true" { g.whole { path d="M0 6L34 6" {} } } (if map.is_whole { "a reference without orphaned rows" } else { "a reference without known orphaned rows" }) }
            @if !map.broken().is_empty() {
                li { svg width="34" height="16" aria-hidden="true" { g.broken.error { path d="M0 8L34 8" {} circle cx="17" cy="8" r="7" {} path.cross d="M14 5L20 11M20 5L14 11" {} } } "a broken reference: its column, and \
                    the number of orphaned rows" }
            }
            @if has_marks {
                li { svg width="18" height="18" aria-hidden="true" { g.dot.warning { circle cx="9" cy="9" r="8" {} text x="9" y="9" text-anchor="middle" dominant-baseline="central" { "2" } } } "other findings in the table" }
            }
        }
    }
}
