//! Where tables and keys are on the map.
//!
//! `Instance` is a spine from top to bottom, as nearly every table refers to it. Each of the other tables has a band of
//! the page to itself, as high as it has keys, so that a key to the spine is a straight line that meets no table. A
//! table that refers to others of its family is indented below one of them, as in a tree; its keys to tables above it
//! in the tree go up beside them, and any other key goes around outside.

/// The table that all the others hang on.
pub const SPINE: &str = "Instance";

const WIDTH: i32 = 172;
const LANE: i32 = 20;
const PADDING: i32 = 4;
const BETWEEN: i32 = 7;
const BETWEEN_FAMILIES: i32 = 16;
const INDENT: i32 = 32;
const DEEPEST: i32 = 4;
const LABEL: i32 = 176;
const MARGIN: i32 = 12;
/// From the spine to the nearest table.
const GAP: i32 = 64;
const CHANNEL: i32 = 9;

/// A table and what it refers to.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// The names of the tables that its keys refer to, one for each key.
    pub keys: Vec<String>,
}

/// A point, in pixels from the top left.
pub type Point = (i32, i32);

/// A box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: i32,
    /// Upper edge.
    pub y: i32,
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
}

/// A key that is drawn.
#[derive(Debug, Clone)]
pub struct Line {
    /// The table's number.
    pub table: usize,
    /// The key's number in it.
    pub key: usize,
    /// Where it runs, from the table to what it refers to; nowhere where that is not on the map.
    pub points: Vec<Point>,
    /// Where its label begins.
    pub label: Point,
}

/// The map.
#[derive(Debug)]
pub struct Layout {
    /// Width.
    pub width: i32,
    /// Height.
    pub height: i32,
    /// Where [`SPINE`] is.
    pub spine: Area,
    /// Where each table is; `None` for the spine.
    pub areas: Vec<Option<Area>>,
    /// On which side of the spine each table is.
    pub is_left: Vec<bool>,
    /// Every key.
    pub lines: Vec<Line>,
}

/// Tables in the order in which they are below each other, and how they hang together.
struct Forest {
    /// In the tree, the table above.
    above: Vec<Option<usize>>,
    families: Vec<Vec<usize>>,
}

impl Forest {
    fn of(tables: &[Table]) -> Self {
        let find = |name: &str| tables.iter().position(|table| table.name == name && name != SPINE);
        let mut parents: Vec<Vec<usize>> = vec![Vec::new(); tables.len()];
        for (at, table) in tables.iter().enumerate().filter(|(_, table)| table.name != SPINE) {
            for to in table.keys.iter().filter_map(|name| find(name)) {
                // Keys in a circle make no tree; the one that closes it goes around outside.
                if to != at && !reaches(&parents, to, at) && !parents[at].contains(&to) {
                    parents[at].push(to);
                }
            }
        }
        let rank = |at: usize| longest(&parents, at);
        let above: Vec<Option<usize>> = parents
            .iter()
            .map(|of| of.iter().copied().max_by_key(|&parent| (rank(parent), tables.len() - parent)))
            .collect();

        let mut order = Vec::new();
        let mut by_name: Vec<usize> = (0..tables.len()).filter(|&at| tables[at].name != SPINE).collect();
        by_name.sort_by(|a, b| tables[*a].name.cmp(&tables[*b].name));
        for &root in by_name.iter().filter(|&&at| above[at].is_none()) {
            descend(root, &above, &by_name, &mut order);
        }
        let mut families: Vec<Vec<usize>> = Vec::new();
        let mut family_of: Vec<usize> = (0..tables.len()).collect();
        for (at, of) in parents.iter().enumerate() {
            for &parent in of {
                let (from, to) = (family_of[at], family_of[parent]);
                family_of.iter_mut().filter(|family| **family == from).for_each(|family| *family = to);
            }
        }
        for at in order {
            match families.iter_mut().find(|family| family_of[family[0]] == family_of[at]) {
                Some(family) => family.push(at),
                None => families.push(vec![at]),
            }
        }
        // What hangs together first, what stands alone last, what hangs on nothing at the very end.
        families.sort_by_key(|family| (tables[family[0]].keys.is_empty(), std::cmp::Reverse(family.len())));
        Self { above, families }
    }

    fn depth(&self, at: usize) -> i32 {
        self.above[at].map_or(0, |above| self.depth(above) + 1)
    }

    fn is_above(&self, above: usize, at: usize) -> bool {
        self.above[at].is_some_and(|next| next == above || self.is_above(above, next))
    }
}

fn reaches(parents: &[Vec<usize>], from: usize, to: usize) -> bool {
    from == to || parents[from].iter().any(|&next| reaches(parents, next, to))
}

fn longest(parents: &[Vec<usize>], at: usize) -> usize {
    parents[at].iter().map(|&parent| longest(parents, parent) + 1).max().unwrap_or(0)
}

fn descend(at: usize, above: &[Option<usize>], by_name: &[usize], order: &mut Vec<usize>) {
    order.push(at);
    for &child in by_name.iter().filter(|&&child| above[child] == Some(at)) {
        descend(child, above, by_name, order);
    }
}

/// A side of the spine while it is being filled.
struct Side {
    is_left: bool,
    families: Vec<Vec<usize>>,
    height: i32,
}

/// Lays tables out on one side of the spine or on both.
pub fn layout(tables: &[Table], two_sided: bool) -> Layout {
    let forest = Forest::of(tables);
    let height = |at: usize| PADDING * 2 + LANE * i32::try_from(tables[at].keys.len().max(1)).unwrap_or(1);
    let mut sides = vec![Side { is_left: false, families: Vec::new(), height: 0 }];
    if two_sided {
        sides.insert(0, Side { is_left: true, families: Vec::new(), height: 0 });
    }
    for family in &forest.families {
        let side = sides.iter_mut().min_by_key(|side| side.height).expect("there is a side");
        side.height +=
            family.iter().map(|&at| height(at) + BETWEEN).sum::<i32>() + BETWEEN_FAMILIES - BETWEEN;
        side.families.push(family.clone());
    }
    let deepest = (0..tables.len()).map(|at| forest.depth(at).min(DEEPEST)).max().unwrap_or(0);
    let reach = GAP + deepest * INDENT + WIDTH + LABEL;
    let spine_width = if two_sided { 108 } else { 36 };
    let tallest = sides.iter().map(|side| side.height).max().unwrap_or(0) - BETWEEN_FAMILIES;
    let spine = Area {
        x: if two_sided { MARGIN + reach } else { MARGIN },
        y: MARGIN,
        width: spine_width,
        height: tallest.max(LANE * 4),
    };
    let mut map = Layout {
        width: spine.x + spine.width + reach + MARGIN,
        height: spine.height + MARGIN * 2,
        spine,
        areas: vec![None; tables.len()],
        is_left: vec![false; tables.len()],
        lines: Vec::new(),
    };
    for side in &sides {
        // The shorter side is stretched, so that both end together.
        let spare = f64::from(tallest - (side.height - BETWEEN_FAMILIES));
        let gaps = side.families.len().saturating_sub(1).max(1);
        let mut y = MARGIN;
        for (nth, family) in side.families.iter().enumerate() {
            #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "pixels")]
            let stretch = (spare * nth as f64 / gaps as f64) as i32;
            for &at in family {
                let away = GAP + forest.depth(at).min(DEEPEST) * INDENT;
                let x = if side.is_left { spine.x - away - WIDTH } else { spine.x + spine.width + away };
                map.areas[at] = Some(Area { x, y: y + stretch, width: WIDTH, height: height(at) });
                map.is_left[at] = side.is_left;
                y += height(at) + BETWEEN;
            }
            y += BETWEEN_FAMILIES - BETWEEN;
        }
    }
    map.lines = lines(tables, &forest, &map);
    map
}

fn lines(tables: &[Table], forest: &Forest, map: &Layout) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut around = 0;
    let outermost = |is_left: bool| {
        let side = map
            .areas
            .iter()
            .zip(&map.is_left)
            .filter(|(_, left)| **left == is_left)
            .filter_map(|(area, _)| *area);
        if is_left { side.map(|area| area.x).min() } else { side.map(|area| area.x + area.width).max() }
            .unwrap_or(0)
    };
    for (at, area) in map.areas.iter().enumerate().filter_map(|(at, area)| Some((at, (*area)?))) {
        let is_left = map.is_left[at];
        // Away from the spine, by so much, from an edge of the box.
        let out = |x: i32, by: i32| if is_left { x - by } else { x + by };
        let (inner, outer) =
            if is_left { (area.x + area.width, area.x) } else { (area.x, area.x + area.width) };
        for (key, to) in tables[at].keys.iter().enumerate() {
            let y = area.y + PADDING + LANE / 2 + LANE * i32::try_from(key).unwrap_or(0);
            let target = tables.iter().position(|table| table.name == *to);
            let points = match target.map(|to| (to, map.areas[to])) {
                Some((_, None)) => {
                    vec![(inner, y), (if is_left { map.spine.x } else { map.spine.x + map.spine.width }, y)]
                }
                Some((to, Some(above))) if forest.is_above(to, at) && forest.depth(to) < DEEPEST => {
                    let trunk = if is_left { above.x + above.width } else { above.x };
                    let x = out(trunk, INDENT / 2);
                    vec![(inner, y), (x, y), (x, above.y + above.height)]
                }
                // What goes around does so beyond every table of its side; to the other side nothing is drawn.
                Some((to, Some(other))) if to != at && map.is_left[to] == is_left => {
                    around += 1;
                    let x = out(outermost(is_left), CHANNEL * around.min(8));
                    let their = if is_left { other.x } else { other.x + other.width };
                    let low = other.y + other.height - PADDING;
                    vec![(outer, y), (x, y), (x, low), (their, low)]
                }
                _ => Vec::new(),
            };
            lines.push(Line { table: at, key, points, label: (out(outer, 8), y) });
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evolution::release::Release;
    use crate::evolution::schema::schema;

    fn tables(release: Release) -> Vec<Table> {
        let keys = |table: &crate::evolution::schema::Table| {
            table.foreign_keys(release).map(|key| key.references.clone()).collect()
        };
        schema().tables(release).map(|table| Table { name: table.name.clone(), keys: keys(table) }).collect()
    }

    fn overlap(a: Area, b: Area) -> bool {
        a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
    }

    #[test]
    fn no_table_lies_on_another_and_no_key_runs_over_one() {
        for release in Release::all() {
            let tables = tables(release);
            for two_sided in [false, true] {
                let map = layout(&tables, two_sided);
                let areas: Vec<(usize, Area)> =
                    map.areas.iter().enumerate().filter_map(|(at, area)| Some((at, (*area)?))).collect();
                assert_eq!(areas.len() + 1, tables.len(), "{release}: a table is missing");
                for (nth, (at, area)) in areas.iter().enumerate() {
                    assert!(!overlap(*area, map.spine), "{release}: {} on the spine", tables[*at].name);
                    assert!(
                        area.x >= 0 && area.x + area.width <= map.width && area.y + area.height <= map.height
                    );
                    for (other, beside) in &areas[nth + 1..] {
                        assert!(
                            !overlap(*area, *beside),
                            "{release}: {} on {}",
                            tables[*at].name,
                            tables[*other].name
                        );
                    }
                }
                for line in &map.lines {
                    assert!(
                        line.points.len() >= 2,
                        "{release}: a key of {} leads nowhere",
                        tables[line.table].name
                    );
                    for pair in line.points.windows(2) {
                        let ((ax, ay), (bx, by)) = (pair[0], pair[1]);
                        assert!(ax == bx || ay == by, "{release}: a slanted line");
                        let segment = Area {
                            x: ax.min(bx),
                            y: ay.min(by),
                            width: (ax - bx).abs().max(1),
                            height: (ay - by).abs().max(1),
                        };
                        for (at, area) in &areas {
                            // Lines begin and end at the edge of a box.
                            let inside = Area {
                                x: area.x + 1,
                                y: area.y + 1,
                                width: area.width - 2,
                                height: area.height - 2,
                            };
                            assert!(
                                !overlap(segment, inside),
                                "{release}, two-sided {two_sided}: key {} of {} runs over {}",
                                line.key,
                                tables[line.table].name,
                                tables[*at].name
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn keys_in_a_circle_and_to_nowhere_are_no_trouble() {
        let table = |name: &str, keys: &[&str]| Table {
            name: name.to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let tables = [
            table(SPINE, &["a"]),
            table("a", &["b", "a"]),
            table("b", &["a", "nowhere"]),
            table("c", &["a", "Instance"]),
        ];
        let map = layout(&tables, true);
        assert_eq!(map.areas.iter().flatten().count(), 3);
        assert_eq!(map.lines.len(), 6);
    }
}
