//! Roles with less power than a superuser. They live as long as the shared server, under names of their own.

use evodoctor::database::ident::SqlFragment;
use sqlx::PgConnection;

use super::database::execute;

async fn create(connection: &mut PgConnection, purpose: &str) -> String {
    let name = format!("{purpose}_{:08x}", rand::random::<u32>());
    execute(connection, &format!("CREATE ROLE {name} LOGIN")).await;
    name
}

/// A role that may read Evolution's tables, and nothing else in the world: no temporary tables, no schema.
pub async fn reader(connection: &mut PgConnection, schema: &str) -> String {
    let role = create(connection, "reader").await;
    let schema = SqlFragment::ident(schema);
    execute(
        connection,
        &format!(
            "DO $$ BEGIN EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
                 EXECUTE format('GRANT CONNECT ON DATABASE %I TO {role}', current_database()); END $$;
             REVOKE ALL ON SCHEMA public FROM PUBLIC;
             GRANT USAGE ON SCHEMA {schema} TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
        ),
    )
    .await;
    role
}

/// The role that Evolution itself would use: it owns the schema and all in it, may create schemas, and is not a
/// superuser.
pub async fn owner(connection: &mut PgConnection, schema: &str) -> String {
    let role = create(connection, "owner").await;
    let quoted = SqlFragment::ident(schema);
    let literal = SqlFragment::literal(schema);
    execute(
        connection,
        &format!(
            "ALTER SCHEMA {quoted} OWNER TO {role};
             DO $$ DECLARE object record; BEGIN
                 EXECUTE format('GRANT CREATE ON DATABASE %I TO {role}', current_database());
                 FOR object IN SELECT oid::regclass AS name FROM pg_class
                     WHERE relnamespace = {literal}::regnamespace AND relkind = 'r'
                 LOOP EXECUTE format('ALTER TABLE %s OWNER TO {role}', object.name); END LOOP;
                 FOR object IN SELECT oid::regtype AS name FROM pg_type
                     WHERE typnamespace = {literal}::regnamespace AND typtype = 'e'
                 LOOP EXECUTE format('ALTER TYPE %s OWNER TO {role}', object.name); END LOOP;
             END $$"
        ),
    )
    .await;
    role
}
