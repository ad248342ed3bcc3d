//! Triggers and rules of the user's own that take or change what undo writes: undo says so, and the quarantine keeps the rows.

use crate::support::database::{TestDatabase, execute};
use crate::support::database_dump::{seen, text};
use crate::support::fixtures::Fixture;
use crate::support::program::on;

/// An object that is added to the table after the fix.
const IN_THE_WAY: [&str; 4] = [
    r#"CREATE FUNCTION evolution_api.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER swallow BEFORE INSERT ON evolution_api."MessageUpdate" FOR EACH ROW EXECUTE FUNCTION evolution_api.swallow();
    ALTER TABLE evolution_api."MessageUpdate" ENABLE ALWAYS TRIGGER swallow"#,
    r#"CREATE FUNCTION evolution_api.spoil() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW."status" := 'SPOILT'; RETURN NEW; END $$;
    CREATE TRIGGER spoil BEFORE INSERT ON evolution_api."MessageUpdate" FOR EACH ROW EXECUTE FUNCTION evolution_api.spoil();
    ALTER TABLE evolution_api."MessageUpdate" ENABLE ALWAYS TRIGGER spoil"#,
    r#"CREATE FUNCTION evolution_api.remove() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN DELETE FROM evolution_api."MessageUpdate" WHERE "id" = NEW."id"; RETURN NULL; END $$;
    CREATE TRIGGER remove AFTER INSERT ON evolution_api."MessageUpdate" FOR EACH ROW EXECUTE FUNCTION evolution_api.remove();
    ALTER TABLE evolution_api."MessageUpdate" ENABLE ALWAYS TRIGGER remove"#,
    r#"CREATE RULE nothing AS ON INSERT TO evolution_api."MessageUpdate" DO INSTEAD NOTHING;
    ALTER TABLE evolution_api."MessageUpdate" ENABLE ALWAYS RULE nothing"#,
];

async fn fixed() -> TestDatabase {
    let database = Fixture::read("EVO101_orphaned_reference", "bad").database("evolution_api").await;
    on(&database.url(), &["fix", "EVO101", "--apply", "--allow", "deletes-rows,changes-rows"]).ends(0);
    database
}

#[tokio::test]
async fn rows_that_a_trigger_removes_fail_the_undo() {
    for sql in IN_THE_WAY {
        let database = fixed().await;
        let mut connection = database.connect().await;
        execute(&mut connection, sql).await;
        let before = seen(&database).await;
        let kept = "SELECT sum(count)::text FROM evodoctor.quarantine_entry";
        let kept_before = text(&mut connection, kept).await;
        let run = on(&database.url(), &["undo", "1", "--apply"]).ends(2);
        run.complains(&["MessageUpdate", "the quarantine still holds them"]);
        assert_eq!(seen(&database).await, before, "{sql}");
        assert_eq!(text(&mut connection, kept).await, kept_before, "{sql}");
    }
}

/// An update that a trigger suppresses is not a row that was deleted since.
#[tokio::test]
async fn a_suppressed_update_is_no_deleted_row() {
    let database = fixed().await;
    let mut connection = database.connect().await;
    let sql = r#"CREATE FUNCTION evolution_api.keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER keep BEFORE UPDATE ON evolution_api."Message" FOR EACH ROW EXECUTE FUNCTION evolution_api.keep();
        ALTER TABLE evolution_api."Message" ENABLE ALWAYS TRIGGER keep"#;
    execute(&mut connection, sql).await;
    let before = seen(&database).await;
    on(&database.url(), &["undo", "1", "--apply"])
        .ends(2)
        .complains(&["Message", "the quarantine still holds them"]);
    assert_eq!(seen(&database).await, before);
}
