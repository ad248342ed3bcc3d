//! SQL that several checks, hazards and fixes share. Their files name it as a variable. It is put in when a file is read, so that
//! whatever looks at the query afterwards, such as for `-- only with`, sees it as if it had been written out there.

use std::sync::LazyLock;

use super::sql_file::{SqlFile, embedded_file, splice};

const BOTS: &str = "sql/catalog/bots.sql";

/// The variables and what they stand for. The text of one may use those after it.
pub static SHARED: LazyLock<[(&str, String); 6]> = LazyLock::new(|| {
    let statement = |path| {
        let script = SqlFile::parse(embedded_file(path));
        script.only_statement().expect("the tests keep it one statement").to_owned()
    };
    [
        ("objects", statement("sql/catalog/objects.sql")),
        ("server_wide_keys", statement("sql/catalog/server_wide_keys.sql")),
        ("deleted_bot_condition", statement("sql/catalog/deleted_bot_condition.sql")),
        ("bots", statement(BOTS)),
        ("bot_types", bots_header("types")),
        ("bot_tables", bots_header("tables")),
    ]
});

fn bots_header(key: &str) -> String {
    let script = SqlFile::parse_header(embedded_file(BOTS));
    script.header(key).expect("the tests keep its header").to_owned()
}

/// The text with everything that is shared put in.
pub fn with_shared_sql(sql: &str) -> String {
    SHARED.iter().fold(sql.to_owned(), |sql, (name, text)| {
        // Nearly no file has any.
        if sql.contains(name) { splice(&sql, name, text) } else { sql }
    })
}

/// The tables of bots.
pub fn bot_tables() -> Vec<String> {
    bots_header("tables").split(", ").map(|table| table.trim_matches('\'').to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_reads_the_tables_that_its_header_lists() {
        let query = with_shared_sql("SELECT * FROM (:bots) AS bot");
        let read: Vec<&str> =
            query.split(":\"schema\".").skip(1).filter_map(|text| text.split('"').nth(1)).collect();
        assert_eq!(read, bot_tables());
        assert_eq!(bots_header("types").split(", ").count(), read.len(), "a type for each table");
    }

    #[test]
    fn what_is_shared_may_share() {
        let sql = with_shared_sql(
            "SELECT (:deleted_bot_condition), ':bots' -- :bots\nFROM :\"schema\".\"T\", :other",
        );
        assert!(sql.contains("'''typebot'', ''openai'', "), "as a text: {sql}");
        assert!(sql.contains("relname IN ('Typebot', 'OpenaiBot', "), "as it is: {sql}");
        assert!(
            sql.ends_with("), ':bots' -- :bots\nFROM :\"schema\".\"T\", :other"),
            "the rest stays: {sql}"
        );
        assert_eq!(with_shared_sql("SELECT 1"), "SELECT 1");
    }
}
