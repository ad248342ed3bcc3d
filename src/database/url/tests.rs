use proptest::prelude::*;
use sqlx::postgres::PgSslMode;

use super::*;
use crate::error::UserError;

fn parse(text: &str) -> ConnectTarget {
    ConnectTarget::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The error as the user sees all of it, the next step included.
fn shown(error: &anyhow::Error) -> String {
    format!("{error:#} {:?}", error.downcast_ref::<UserError>().expect("every error has a next step"))
}

fn refused(text: &str) -> String {
    shown(&ConnectTarget::parse(text).expect_err(text))
}

#[test]
fn evolution_users_strings_are_read() {
    let target = parse(
        "postgresql://evolution:p%40ss%2Fw%23rd@db.example:6432/evo%20db?schema=evolution_api\
         &connection_limit=5&pool_timeout=0&pgbouncer=true&socket_timeout=3&statement_cache_size=0&unknown=x",
    );
    assert_eq!(target.server_name(), "db.example:6432");
    assert_eq!(target.options.get_username(), "evolution");
    assert_eq!(target.database(), "evo db");
    assert_eq!(target.schema.as_deref(), Some("evolution_api"));
    assert_eq!(target.options.get_application_name(), None, "PgBouncer would leave it behind");
    let plain = parse("postgres://u@h/d").options;
    assert_eq!(plain.get_application_name(), Some("evodoctor"));
    assert_eq!(target.connect_timeout, Some(CONNECT_TIMEOUT));
    assert_eq!(target.fallback, Some(Fallback::Plain));

    let quoted = parse(" \"postgres://u@h/d?connect_timeout=0&application_name=me+and+you\"\n");
    assert_eq!((quoted.server_name().as_str(), quoted.database()), ("h:5432", "d"));
    assert_eq!(quoted.options.get_application_name(), Some("me and you"));
    assert_eq!(quoted.connect_timeout, None);
    assert_eq!(parse("postgres://h/d?connect_timeout=3").connect_timeout, Some(Duration::from_secs(3)));
    assert_eq!(parse("postgres://h/d?options=-c%20geqo%3Doff").options.get_options(), Some("-c geqo=off"));
}

#[test]
fn servers_come_in_many_forms() {
    for (text, server) in [
        ("postgresql://u:p@[::1]:5433/d", "[::1]:5433"),
        ("postgresql://u:p@[2001:db8::7]/d", "[2001:db8::7]:5432"),
        ("postgresql://u:p@10.0.0.7/d", "10.0.0.7:5432"),
        ("postgresql://u:p@evolution_postgres:5432/d", "evolution_postgres:5432"),
        ("postgresql://u:p@localhost/d?host=/var/run/postgresql", "/var/run/postgresql/.s.PGSQL.5432"),
        ("postgresql://u:p@localhost:5433/d?host=/tmp/", "/tmp//.s.PGSQL.5433"),
        ("postgresql://u:p@%2Fvar%2Frun%2Fpostgresql/d", "/var/run/postgresql/.s.PGSQL.5432"),
        ("postgresql://u:p@/d?host=/run/pg&port=7", "/run/pg/.s.PGSQL.7"),
        ("postgresql:///d?host=/run/pg&user=u", "/run/pg/.s.PGSQL.5432"),
        ("postgresql://:7777/d?host=other", "other:7777"),
    ] {
        assert_eq!(parse(text).server_name(), server, "{text}");
    }
    assert!(parse("postgresql://u@/d?host=/run/pg&sslmode=verify-full").fallback.is_none());
}

#[test]
fn tls_parameters_follow_prisma_and_libpq() {
    use PgSslMode::{Disable, Prefer, Require, VerifyCa, VerifyFull};
    for (parameters, mode, fallback, files) in [
        ("sslmode=disable&sslrootcert=ca", Disable, None, vec![]),
        ("sslmode=allow", Disable, Some(Fallback::Encrypted), vec![]),
        ("sslmode=prefer", Prefer, Some(Fallback::Plain), vec![]),
        ("", Prefer, Some(Fallback::Plain), vec![]),
        ("sslmode=require", Require, None, vec![]),
        ("sslmode=require&sslrootcert=ca", VerifyCa, None, vec!["sslrootcert"]),
        ("sslmode=verify-ca&sslrootcert=ca", VerifyCa, None, vec!["sslrootcert"]),
        ("sslmode=verify-full", VerifyFull, None, vec![]),
        ("sslrootcert=system", VerifyFull, None, vec![]),
        ("sslmode=require&sslcert=ca", Require, None, vec!["sslcert"]),
        ("sslmode=require&sslcert=ca&sslaccept=strict", VerifyFull, None, vec!["sslcert"]),
        ("sslaccept=strict", VerifyFull, Some(Fallback::PlainWithoutServerTls), vec![]),
        ("sslmode=require&sslaccept=accept_invalid_certs", Require, None, vec![]),
        ("sslmode=require&sslcert=c&sslkey=k", Require, None, vec!["sslcert", "sslkey"]),
    ] {
        let target = parse(&format!("postgresql://u@h/d?{parameters}"));
        assert_eq!(format!("{:?}", target.options.get_ssl_mode()), format!("{mode:?}"), "{parameters}");
        assert_eq!(target.fallback, fallback, "{parameters}");
        assert_eq!(target.files.iter().map(|(name, _)| *name).collect::<Vec<_>>(), files, "{parameters}");
    }
    for wrong in ["sslmode=yes", "sslaccept=maybe", "sslkey=k", "sslidentity=c.p12", "connect_timeout=soon"] {
        refused(&format!("postgresql://u@h/d?{wrong}"));
    }
}

#[test]
fn a_wrong_string_is_explained_without_its_password() {
    for (text, part) in [
        ("mysql://u:SECRET@h/d", "MySQL"),
        ("prisma://accelerate.example/?api_key=SECRET", "Accelerate"),
        ("u:SECRET@h/d", "does not start with postgresql://"),
        ("http://u:SECRET@h/d", "http://"),
        ("", "does not start with postgresql://"),
        ("postgresql://u:SEC#RET@h/d", "u:***@h/d"),
        ("postgresql://u:SEC/RET@h/d", "%2F"),
        ("postgresql://u:1/RET@h/d", "%2F"),
        ("postgresql://u:SEC?RET@h/d", "%3F"),
        ("postgresql://u:1?RET@h/d", "%3F"),
        ("postgresql://u:S@EC/RET@h/d", "%2F"),
        ("postgresql://u:SECRET@h/d#x", "%23"),
        ("postgresql://u:SECRET@h:port/d", "u:***@h:port/d"),
        ("postgresql://u:SECRET@h d/d", "u:***@h d/d"),
        ("postgresql://u:SECRET@one,two/d", "several servers"),
        ("postgresql://u:SECRET@h:99999/d?password=RET", "u:***@h:99999/d?…"),
        ("postgresql://u:SECRET%FF@h/d", "password"),
        ("postgresql://u:SECRET", "***"),
    ] {
        let message = refused(text);
        assert!(message.contains(part), "{text}: {message}");
        assert!(!message.contains("SEC") && !message.contains("RET"), "the password shows: {message}");
    }
}

#[test]
fn an_unencoded_at_sign_in_a_password_is_what_prisma_takes_it_for() {
    let target = parse("postgresql://u:p@ss@h/d");
    assert_eq!((target.options.get_username(), target.server_name().as_str()), ("u", "h:5432"));
}

#[test]
fn the_debug_form_hides_the_password() {
    let text = format!("{:?}", parse("postgresql://u:hunter2@h/d?password=hunter3&schema=s"));
    assert!(!text.contains("hunter"), "{text}");
    assert!(text.contains("h:5432") && text.contains("\"s\""), "{text}");
}

proptest! {
    #[test]
    fn nothing_panics(text in "(postgres(ql)?://)?[a-z:@/?#%&=\\[\\], .0-9\\\\é\"']{0,60}") {
        let _ = ConnectTarget::parse(&text);
    }

    #[test]
    fn no_error_shows_a_password(junk in "[:@/?#%&=,]{0,4}", tail in "[a-z:@/?#%&=,0-9]{0,20}") {
        let text = format!("postgresql://user:SECRET{junk}SECRET@host{tail}");
        if let Err(error) = ConnectTarget::parse(&text) {
            prop_assert!(!shown(&error).contains("SECRET"), "{}: {}", text, shown(&error));
        }
    }

    #[test]
    fn a_round_trip_keeps_every_name(user in "\\PC{1,12}", database in "\\PC{1,12}", schema in "\\PC{1,12}") {
        // The rules for URLs take these two out of any path, encoded or not: Prisma cannot name them either.
        prop_assume!(database != "." && database != "..");
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
        };
        let text = format!("postgresql://{}:x@h/{}?schema={}", encode(&user), encode(&database), encode(&schema));
        let target = ConnectTarget::parse(&text).unwrap();
        prop_assert_eq!(target.options.get_username(), user);
        prop_assert_eq!(target.database(), database);
        prop_assert_eq!(target.schema.unwrap(), schema);
    }
}
