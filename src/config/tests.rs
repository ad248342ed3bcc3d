//! Invalid files are refused, with the line of the mistake.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::cli::FailOn;
use crate::error;

fn read(text: &str, environment: Option<&str>) -> Result<Config> {
    Config::of(&TomlFile::new("f.toml", text), Path::new("folder/f.toml"), environment)
}

#[test]
fn an_environment_wins_over_the_top() {
    let text = "schema = \"top\"\nfail-on = \"error\"\nenv-file = \"a/.env\"\n\
                [severity]\nEVO101 = \"advice\"\nEVO106 = \"error\"\n\
                [[ignore]]\ncode = \"EVO209\"\nreason = \"small tables\"\nuntil = 2027-01-31\n\
                [env.staging]\nfail-on = \"advice\"\ndatabase-url = \"postgresql://u@h/d\"\n\
                [env.staging.severity]\nEVO101 = \"warning\"\n\
                [[env.staging.ignore]]\ncode = \"evo110\"\nkey = \"k\"\nreason = \"r\"\n";
    let top = read(text, None).unwrap().section;
    assert_eq!((top.schema.as_deref(), top.fail_on), (Some("top"), Some(FailOn::Error)));
    assert!(
        matches!(top.connection, Some(ConnectionSource::EnvFile(path)) if path == Path::new("folder/a/.env"))
    );
    assert_eq!(top.policy.ignores[0].place, "f.toml:7");
    let staging = read(text, Some("staging")).unwrap().section;
    assert_eq!((staging.schema.as_deref(), staging.fail_on), (Some("top"), Some(FailOn::Advice)));
    assert!(
        matches!(staging.connection, Some(ConnectionSource::Url { .. })),
        "an env-file at the top is no second database"
    );
    let text =
        text.replace("database-url = \"postgresql://u@h/d\"", "compose = \"c.yaml\"\nservice = \"api\"");
    let composed = read(&text, Some("staging")).unwrap().section.connection;
    let is_it = |path: &Path, service: &str| path == Path::new("folder/c.yaml") && service == "api";
    assert!(
        matches!(&composed, Some(ConnectionSource::Compose { path, service: Some(service) }) if is_it(path, service)),
        "{composed:?}"
    );
    let codes: Vec<&str> = staging.policy.ignores.iter().map(|ignore| ignore.code.as_str()).collect();
    assert_eq!(codes, ["EVO110", "EVO209"]);
    let severities: Vec<String> = staging.policy.severities.values().map(ToString::to_string).collect();
    assert_eq!(severities, ["warning", "error"]);
}

#[test]
fn errors_name_their_line_and_suggest_a_fix() {
    for (text, said, next) in [
        ("\nfail_on = \"error\"", "f.toml:2: there is no key \"fail_on\" here", "did you mean fail-on?"),
        (
            "[servertiy]\nEVO101 = \"error\"",
            "f.toml:1: there is no key \"servertiy\" here",
            "did you mean severity?",
        ),
        ("password = \"x\"", "f.toml:1: there is no key \"password\" here", "known are database-url"),
        ("schema = 7", "f.toml:1: schema must be a non-empty string", "write schema as a non-empty string"),
        ("schema = \" \"", "f.toml:1: schema must be a non-empty string", ""),
        ("select = \"EVO101\"", "f.toml:1: select must be a list", ""),
        ("select = [\n\"EVO101\",\n\"EVO999\"]", "f.toml:3: there is no code \"EVO999\"", "explain lists"),
        ("fail-on = \"warnings\"", "f.toml:1: fail-on cannot be \"warnings\"", "did you mean warning?"),
        ("format = \"pdf\"", "f.toml:1: format cannot be \"pdf\"", "human, json"),
        ("[severity]\nEVO106 = \"of\"", "f.toml:2: \"of\" is not a severity", "[[ignore]]"),
        ("[severity]\nEVO1O6 = \"error\"", "f.toml:2: there is no code \"EVO1O6\"", "did you mean EVO106?"),
        ("ignore = [\"EVO101\"]", "f.toml:1: ignore must be tables: [[ignore]]", ""),
        ("[[ignore]]\ncode = \"EVO101\"", "f.toml:1: this ignore has no reason", "add why"),
        ("[[ignore]]\nreason = \"r\"", "f.toml:1: this ignore has no code", ""),
        (
            "[[ignore]]\ncode = \"EVO101\"\nreason = \"r\"\nuntil = \"2027-01-31\"",
            "f.toml:4: until must be a date",
            "",
        ),
        (
            "[[ignore]]\ncode = \"EVO101\"\nreason = \"r\"\nuntil = 2027-02-30",
            "f.toml:4: this is not TOML",
            "",
        ),
        (
            "[[ignore]]\ncode = \"EVO101\"\nreason = \"r\"\nuntill = 2027-02-28",
            "f.toml:4: there is no key",
            "until?",
        ),
        ("a = \n", "f.toml:1: this is not TOML", "toml.io"),
        ("[env.x]\nfailon = \"error\"", "f.toml:2: there is no key \"failon\"", "did you mean fail-on?"),
        (
            "env-file = \"a\"\ndatabase-url = \"postgresql://u@h/d\"",
            "f.toml:1: both database-url",
            "remove one",
        ),
        ("jobs = 0", "f.toml:1: jobs must be a whole number of at least 1", ""),
        ("jobs = 65", "f.toml:1: 65 jobs are too many", "at most 64"),
        ("jobs = \"4\"", "f.toml:1: jobs must be a whole number", ""),
        ("timeout = 5", "f.toml:1: timeout must be a non-empty string", ""),
        ("wait = \"soon\"", "f.toml:1: \"soon\" is not a duration", "wait = \"5m\""),
        ("timeout = \"soon\"", "f.toml:1: \"soon\" is not a duration", "timeout = \"5m\""),
        ("password-file = \"p\"", "f.toml:1: password-file needs", "database-url"),
        ("compose = \"c\"\npassword-file = \"p\"", "f.toml:2: password-file needs", "database-url"),
        ("service = \"api\"", "f.toml:1: service needs compose", "compose = "),
        ("env-file = \"a\"\nservice = \"api\"", "f.toml:2: service needs compose", "compose = "),
        ("compose = \"c\"\nenv-file = \"a\"", "f.toml:1: both env-file and compose give", "remove one"),
    ] {
        let error = read(text, None).map(|_| text).expect_err("refused");
        let step = error::hint(&error);
        assert!(error.to_string().starts_with(said) && step.contains(next), "{text}\n→ {error}\n→ {step}");
    }
    let error = read("[env.staging]\n[env.production]", Some("stagin")).unwrap_err();
    assert_eq!(error::hint(&error), "did you mean --env staging?");
}

#[test]
fn the_nearest_file_is_found_up_to_the_repository() {
    let folder = TempDir::new().unwrap();
    let inner = folder.path().join("repository/a/b");
    fs::create_dir_all(&inner).unwrap();
    fs::create_dir(folder.path().join("repository/.git")).unwrap();
    fs::write(folder.path().join(NAME), "").unwrap();
    assert_eq!(find_config(&inner).unwrap(), None, "it is outside of the repository");
    let file = folder.path().join("repository").join(NAME);
    fs::write(&file, "").unwrap();
    assert_eq!(find_config(&inner).unwrap(), Some(file));
}
