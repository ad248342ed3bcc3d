//! `releases.json`, changed line by line, so that everything else in it stays as it is.

use evodoctor::evolution::release::{Release, ReleaseRange};

use super::NewRelease;

/// The lines of the file.
pub struct ReleasesFile {
    lines: Vec<String>,
}

impl ReleasesFile {
    /// Reads the file.
    pub fn parse(text: &str) -> Self {
        Self { lines: text.lines().map(str::to_owned).collect() }
    }

    /// Writes the file.
    pub fn render(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// Adds a release behind all others.
    pub fn add_release(&mut self, release: &NewRelease<'_>) {
        let requires = release.requires.map(|what| format!("\"requires\": \"{what}\", ")).unwrap_or_default();
        let line = format!(
            "    {{\"version\": \"{}\", {requires}\"date\": \"{}\", \"stable\": {}}}",
            release.version, release.date, release.is_stable
        );
        self.append("  \"releases\": [", "  ],", vec![line]);
    }

    /// Adds a migration behind all others.
    pub fn add_migration(&mut self, name: &str, sha256: &str, version: &str) {
        let lines = vec![
            format!("    {{\"name\": \"{name}\", \"since\": \"{version}\","),
            "      \"contents\": [".to_owned(),
            format!("        {{\"sha256\": \"{sha256}\", \"releases\": \"{version}..\"}}"),
            "      ]}".to_owned(),
        ];
        self.append("  \"migrations\": [", "  ],", lines);
    }

    /// The checksum of a migration in a release; `None` where it is not known.
    pub fn content_of(&self, name: &str, release: Release) -> Option<String> {
        let contents = self.contents_of(name)?;
        let text = |line: &str, key: &str| {
            let (_, rest) = line.split_once(&format!("\"{key}\": \""))?;
            rest.split_once('"').map(|(text, _)| text.to_owned())
        };
        let lines = self.lines[contents].iter();
        let mut ranges = lines.filter_map(|line| text(line, "sha256").zip(text(line, "releases")));
        ranges
            .find(|(_, range)| ReleaseRange::parse(range).is_ok_and(|range| range.contains(release)))
            .map(|(sha256, _)| sha256)
    }

    /// Ends the content that a migration had, and gives it another one.
    pub fn change_content(&mut self, name: &str, sha256: &str, release: &NewRelease<'_>) {
        let contents = self.contents_of(name).expect("a known migration");
        let open = |line: &String| line.contains("..\"}");
        let at = contents.start
            + self.lines[contents].iter().position(open).expect("a content of the previous release");
        let old =
            self.lines[at].trim_end_matches(',').replace("..\"}", &format!("..{}\"}},", release.previous));
        self.lines[at] = old;
        let new = format!("        {{\"sha256\": \"{sha256}\", \"releases\": \"{}..\"}}", release.version);
        self.lines.insert(at + 1, new);
    }

    /// The lines between a migration's name and the end of its contents.
    fn contents_of(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let head = format!("    {{\"name\": \"{name}\", \"since\"");
        let start = self.lines.iter().position(|line| line.starts_with(&head))?;
        let length = self.lines[start..].iter().position(|line| line.starts_with("      ]"))?;
        Some(start..start + length)
    }

    fn append(&mut self, head: &str, end: &str, lines: Vec<String>) {
        let start = self.lines.iter().position(|line| line == head).expect("the list");
        let end = start + self.lines[start..].iter().position(|line| line == end).expect("its end");
        self.lines[end - 1].push(',');
        self.lines.splice(end..end, lines);
    }
}

pub mod tests {
    //! The facts as they were before some releases.

    use super::super::{Facts, releases_file::ReleasesFile};
    use evodoctor::evolution::release::Release;
    use serde_json::Value;

    /// What the file says of a release itself.
    pub struct Said {
        /// When it came out.
        pub date: String,
        /// Whether it is no beta or release candidate.
        pub is_stable: bool,
        /// What its server needs.
        pub requires: Option<String>,
    }

    /// Reads it.
    pub fn said_of(releases: &str, version: &str) -> Said {
        let all: Value = serde_json::from_str(releases).expect("JSON");
        let all = all["releases"].as_array().expect("releases");
        let one = all.iter().find(|release| release["version"] == version).expect("a known release");
        Said {
            date: one["date"].as_str().expect("a date").to_owned(),
            is_stable: one["stable"].as_bool().expect("stable"),
            requires: one["requires"].as_str().map(str::to_owned),
        }
    }

    /// Takes everything of the `newer` releases out, and opens what ended at the one before.
    pub fn without(facts: &Facts, previous: Release, newer: &[Release]) -> Facts {
        let is_newer = |line: &str| newer.iter().any(|release| line.contains(&format!("\"{release}")));
        let names: Vec<String> = newer[0]
            .migrations()
            .chain(newer[newer.len() - 1].migrations())
            .filter(|migration| migration.since() > previous)
            .map(|migration| format!("    {{\"name\": \"{}\"", migration.name))
            .collect();
        let releases = kept(&facts.releases, |line| {
            is_newer(line) || names.iter().any(|name| line.starts_with(name.as_str()))
        });
        let migrations =
            kept(&facts.migrations, |line| names.iter().any(|name| line.starts_with(&name[2..])));
        let schema = kept(&facts.schema, is_newer);
        let ended = format!("..{previous}\"");
        let open = |line: &str| match line.contains(&ended) {
            // What is there as long as its table says no range.
            true => line.replace(&ended, "..\"").replace(", \"releases\": \"2.0.0-beta..\"}", "}"),
            false => line.to_owned(),
        };
        let schema: Vec<String> = schema.lines().map(open).collect();
        let releases = ReleasesFile::parse(&releases).render();
        Facts { releases, schema: schema.join("\n") + "\n", migrations }
    }

    /// A file without the facts that begin in a line. A fact ends where the next line is indented as its first one.
    fn kept(text: &str, is_gone: impl Fn(&str) -> bool) -> String {
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut lines: Vec<&str> = Vec::new();
        let mut gone: Option<usize> = None;
        for line in text.lines() {
            if let Some(depth) = gone {
                if indent(line) > depth
                    || (indent(line) == depth && line.trim_start().starts_with(['}', ']']))
                {
                    continue;
                }
                gone = None;
            }
            if is_gone(line) {
                gone = Some(indent(line));
                continue;
            }
            lines.push(line);
        }
        // What is the last of a list now has no comma.
        let mut kept = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let is_last = lines.get(at + 1).is_some_and(|next| next.trim_start().starts_with(']'));
            kept.push(if is_last { line.trim_end_matches(',') } else { line });
        }
        kept.join("\n") + "\n"
    }
}
