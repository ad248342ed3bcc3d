use super::*;

fn applied_in(release: &str) -> Vec<HistoryRow> {
    let release = Release::find(release).unwrap();
    let row = |m: &Migration| HistoryRow {
        name: m.name.clone(),
        checksum: m.checksum_in(release).unwrap().to_owned(),
        finished: true,
        rolled_back: false,
    };
    release.migrations().map(row).collect()
}

#[test]
fn every_release_lies_in_the_range_read_from_its_own_history() {
    for release in Release::all() {
        let history = MigrationHistory::from_rows(&applied_in(release.version()));
        let range = history.range.expect("a full history has a range");
        assert!(range.contains(release), "{release} is not in {range}");
        assert!(history.unknown.is_empty() && history.failed.is_empty());
    }
}

#[test]
fn checksums_narrow_the_range() {
    assert_eq!(
        MigrationHistory::from_rows(&applied_in("2.3.0")).range.unwrap().to_string(),
        "2.3.0 to 2.3.3"
    );
    assert_eq!(
        MigrationHistory::from_rows(&applied_in("2.3.3")).range.unwrap().to_string(),
        "2.3.2 to 2.3.3"
    );
    assert_eq!(
        MigrationHistory::from_rows(&applied_in("2.3.4")).range.unwrap().to_string(),
        "2.3.4 to 2.3.6"
    );
    assert_eq!(MigrationHistory::from_rows(&applied_in("2.1.1")).range.unwrap().to_string(), "2.1.1");
}

#[test]
fn what_is_recorded_ahead_does_not_narrow_the_range() {
    let mut rows = applied_in("2.2.1");
    rows.extend(applied_in("2.3.5").into_iter().filter(|row| row.name.contains("kafka")));
    assert_eq!(MigrationHistory::from_rows(&rows).range.unwrap().to_string(), "2.2.1 to 2.2.3");
}

#[test]
fn reissued_content_is_named_with_its_release() {
    let named = MigrationHistory::from_rows(&applied_in("2.3.4")).reissued;
    assert_eq!(named, ["20250918182355_add_kafka_integration: as 2.3.4 had it"]);
    assert_eq!(
        MigrationHistory::from_rows(&applied_in("2.1.2")).reissued,
        ["20241006130306_alter_status_on_message_table: as 2.1.2 had it"]
    );
    assert!(MigrationHistory::from_rows(&applied_in("2.3.7")).reissued.is_empty());
}

#[test]
fn a_newer_name_opens_the_range_and_a_failed_one_is_not_applied() {
    let mut rows = applied_in("2.4.0-rc2");
    rows.push(HistoryRow {
        name: "20990101000000_to_come".into(),
        checksum: String::new(),
        finished: true,
        rolled_back: false,
    });
    let history = MigrationHistory::from_rows(&rows);
    assert_eq!(history.range.unwrap().to_string(), "2.4.0-rc1 or later");
    assert_eq!(history.unknown, ["20990101000000_to_come"]);

    let mut rows = applied_in("2.4.0-rc2");
    for branch in &facts().never_released {
        rows.push(HistoryRow {
            name: branch.name.clone(),
            checksum: branch.sha256.clone(),
            ..rows[0].clone()
        });
    }
    assert_eq!(MigrationHistory::from_rows(&rows).range.unwrap().to_string(), "2.4.0-rc1 to 2.4.0-rc2");

    let mut rows = applied_in("2.3.5");
    rows.last_mut().unwrap().finished = false;
    let history = MigrationHistory::from_rows(&rows);
    assert_eq!(history.range.unwrap().to_string(), "2.3.2 to 2.3.3");
    assert_eq!(history.failed, ["20250918182355_add_kafka_integration"]);
    assert_eq!(history.pending[0], "20250918182355_add_kafka_integration");
}

#[test]
fn the_newest_stable_release_is_no_candidate() {
    assert_eq!(Release::newest_stable().version(), "2.3.7");
    assert!(!Release::newest().is_stable());
    assert_eq!(Release::newest().requirement(), Some(Requirement::Licence));
    assert_eq!(Release::newest_stable().requirement(), None);
}

#[test]
fn ranges_are_read_with_known_bounds_only() {
    assert_eq!(ReleaseRange::parse("2.0.3..").unwrap().from.version(), "2.0.3-beta");
    assert!(ReleaseRange::parse("2.9.9..").is_err());
    assert!(ReleaseRange::parse("2.3.0..2.1.0").is_err());
    assert!(ReleaseRange::parse("2.3.0").is_err());
}
