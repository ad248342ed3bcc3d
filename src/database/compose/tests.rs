use std::fs;

use tempfile::TempDir;

use super::*;

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn evolution(text: &str, files: &[(&str, &str)], service: Option<&str>) -> Result<Evolution, String> {
    let folder = folder_with(files);
    let path = folder.path().join("compose.yaml");
    fs::write(&path, text).unwrap();
    let found = Compose::read(&path).and_then(|compose| compose.evolution(service));
    found.map_err(|error| error.to_string().replace(&folder.path().display().to_string(), "DIR"))
}

fn connection(text: &str, files: &[(&str, &str)]) -> String {
    evolution(text, files, None).unwrap().connection
}

#[test]
fn the_connection_string_is_found_in_each_form() {
    let expected = "postgresql://u:p@db:5432/evo?schema=s";
    for text in [
        "services:\n  api:\n    environment:\n      DATABASE_CONNECTION_URI: postgresql://u:p@db:5432/evo?schema=s",
        "services:\n  api:\n    environment:\n      - DATABASE_CONNECTION_URI=postgresql://u:p@db:5432/evo?schema=s",
        "services:\n  api:\n    environment: {DATABASE_URL: 'postgresql://u:p@db:5432/evo?schema=s', PORT: 8080, X: , Y: true}",
        "x-env: &env\n  DATABASE_URL: postgresql://u:p@db:5432/evo?schema=s\nservices:\n  api:\n    environment:\n      <<: *env\n      PORT: 1\n  db: {image: postgres}",
        "services:\n  api:\n    environment: [DATABASE_URL]",
        "services:\n  api:\n    environment:\n      DATABASE_URL:",
        "services:\n  api:\n    environment: ['DATABASE_URL=postgresql://${U}:${P:-p}@$(HOST):5432/${N:?no}?schema=s']",
        "services:\n  api: {env_file: api.env}",
        "services:\n  api: {env_file: [other.env, ./api.env]}",
        "services:\n  api:\n    env_file:\n      - {path: none.env, required: false}\n      - path: api.env",
        "services:\n  api:\n    env_file: other.env\n    environment: {DATABASE_CONNECTION_URI: 'postgresql://u:p@db:5432/evo?schema=s'}",
    ] {
        let files = [
            (".env", "DATABASE_URL=postgresql://u:p@db:5432/evo?schema=s\nU=u\nHOST=db\nN=evo\n"),
            ("api.env", "PASS=p\nDATABASE_CONNECTION_URI=postgresql://u:${PASS}@${HOST}:5432/evo?schema=s\n"),
            ("other.env", "DATABASE_CONNECTION_URI=postgresql://nobody@nowhere/n\n"),
        ];
        assert_eq!(connection(text, &files), expected, "{text}");
    }
}

#[test]
fn a_connection_string_of_which_variables_are_a_part_is_told_from_a_whole_one() {
    let files =
        [(".env", "U=postgresql://u@h/d\nP=p\n"), ("e", "A=postgresql://u:${P}@evil/d\nDATABASE_URL=${A}\n")];
    for (service, is_mixed) in [
        ("environment: ['DATABASE_URL=postgresql://u:p@h/d']", false),
        ("environment: [U, 'DATABASE_URL=$U']", false),
        ("environment: ['DATABASE_URL=${U}']", false),
        ("environment: ['DATABASE_URL=$(U)']", false),
        ("environment: ['DATABASE_URL=${U:?is needed}']", false),
        ("environment: ['DATABASE_URL=${X:-postgresql://u@h/d}']", false),
        ("environment: ['DATABASE_URL=${X:-postgresql://u:${P}@evil/d}']", true),
        ("environment: ['DATABASE_URL=postgresql://u:${P}@evil/d']", true),
        ("environment: ['DATABASE_URL=${U}?x=$P']", true),
        ("environment: ['DATABASE_URL=${U}x']", true),
        ("environment: ['DATABASE_URL=postgresql://u@evil/$$d']", true),
        // One of the file's own, of which the password is a part.
        ("env_file: e", true),
    ] {
        let found = evolution(&format!("services: {{api: {{{service}}}}}"), &files, None);
        assert_eq!(found.unwrap().mixes_variables, is_mixed, "{service}");
    }
}

#[test]
fn a_password_stays_what_is_written() {
    let file = "services: {api: {env_file: e}}";
    for (line, password) in [("'a$$b${X}'", "a$$b${X}"), ("a$$b", "a$b"), ("\"a${Y:-c}\"", "ac")] {
        let line = format!("DATABASE_URL={line}");
        assert_eq!(connection(file, &[("e", &line)]), password);
    }
    let number = "services: {api: {environment: {DATABASE_URL: 0123, OTHER: 1e3}}}";
    assert_eq!(connection(number, &[]), "0123");
}

#[test]
fn of_several_services_evolution_is_taken_or_one_has_to_be_named() {
    let two = "services:\n  a: {image: 'x/IMAGE', environment: [DATABASE_URL=postgresql://a/a]}\n  \
               b: {image: chatwoot, environment: [DATABASE_URL=postgresql://b/b]}\n  c: {image: redis}";
    assert_eq!(connection(&two.replace("IMAGE", "evolution-api:v2"), &[]), "postgresql://a/a");
    assert_eq!(
        evolution(two, &[], None).unwrap_err(),
        "DIR/compose.yaml has several services with a database: a, b"
    );
    assert_eq!(evolution(two, &[], Some("b")).unwrap().connection, "postgresql://b/b");
    assert_eq!(evolution(two, &[], Some("z")).unwrap_err(), "DIR/compose.yaml has no service \"z\"");
    let error = evolution(two, &[], Some("c")).unwrap_err();
    assert!(error.contains("c in DIR/compose.yaml has neither DATABASE_CONNECTION_URI nor"), "{error}");
}

#[test]
fn invalid_files_are_reported_without_a_password() {
    for (text, part) in [
        (
            "services: {api: {environment: ['DATABASE_URL=postgresql://u:${NOT_SET_HERE}@h/d']}}",
            "needs NOT_SET_HERE",
        ),
        (
            "services: {api: {environment: {DATABASE_PROVIDER: mysql, DATABASE_URL: SECRET}}}",
            "DATABASE_PROVIDER=mysql",
        ),
        ("services: {api: {env_file: none.env}}", "no service in"),
        ("services: {}\ninclude: [other.yaml]", "are not followed"),
        ("services: [SECRET", "is not a compose file"),
        ("services:\n  api:\n    environment: SECRET", ":3: this is not a compose file"),
        ("", "no service in"),
    ] {
        let error = evolution(text, &[], None).unwrap_err();
        assert!(error.contains(part) && !error.contains("SECRET"), "{text}: {error}");
    }
    let error = evolution("services: {api: {env_file: none.env}}", &[], Some("api")).unwrap_err();
    assert!(error.contains("none.env cannot be read"), "{error}");
}

#[test]
fn the_route_to_a_server_is_found() {
    let folder = folder_with(&[(
        "compose.yaml",
        "name: evo\nservices:\n  db:\n    image: postgres:15\n    container_name: evo_db\n    ports: ['127.0.0.1:${PORT:-5433}:5432/tcp']\n  \
         long:\n    image: bitnami/postgresql\n    ports: [{target: 5432, published: 6000}]\n    networks: [inner, outer]\n  \
         closed: {image: 'postgres:16', ports: [5432], networks: {outer: {aliases: [x]}}}\n  \
         named: {image: redis, networks: [named]}\n  host: {image: x, network_mode: host}\n\
         networks:\n  inner:\n  outer: {external: true}\n  named: {name: other}\n",
    )]);
    let compose = Compose::within(folder.path()).unwrap();
    let reach = |host| {
        let reach: Reach = compose.reach(host, 5432).unwrap();
        (reach.published, reach.network)
    };
    let network = |name: &str| Some(name.to_owned());
    assert_eq!(reach("db"), (Some(5433), network("evo_default")));
    assert_eq!(reach("evo_db"), (Some(5433), network("evo_default")));
    assert_eq!(reach("long"), (Some(6000), network("evo_inner")));
    assert_eq!(reach("closed"), (None, network("outer")));
    assert_eq!(reach("named"), (None, network("other")));
    assert_eq!(reach("host"), (None, None));
    assert!(compose.reach("nobody", 5432).is_none());
    assert_eq!(
        compose.servers().iter().map(|reach| reach.service.as_str()).collect::<Vec<_>>(),
        ["closed", "db", "long"]
    );
}

#[test]
fn a_bomb_of_aliases_is_no_compose_file() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..20 {
        let alias = format!("*a{}", n - 1);
        text.push_str(&format!("a{n}: &a{n} [{}]\n", [alias.as_str(); 9].join(", ")));
    }
    assert!(evolution(&text, &[], None).is_err());
}
