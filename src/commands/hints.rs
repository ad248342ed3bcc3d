//! Finds a connection string that was not named. It is suggested, not used: a folder may hold the settings of any
//! server.

use std::path::Path;

use crate::database::compose::Compose;
use crate::database::env_file;

/// The settings found in the folder, each with the option that takes it.
pub fn within(folder: &Path) -> Vec<String> {
    let mut hints = Vec::new();
    if env_file::connection_string(&folder.join(".env")).is_ok() {
        hints.push("found in .env: run with --env-file .env".to_owned());
    }
    if let Some(compose) = Compose::within(folder).filter(Compose::has_evolution) {
        let file = compose.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // Where it cannot be taken as it is, that is said by the run with the option.
        let service = match compose.evolution(None) {
            Ok(evolution) => format!(" (service {})", evolution.service),
            Err(_) => String::new(),
        };
        hints.push(format!("found in {file}{service}: run with --compose {file}"));
    }
    hints
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn found_settings_are_suggested_with_their_option() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        assert!(within(folder.path()).is_empty());
        write(".env", "OTHER=1");
        write("docker-compose.yml", "services: {x: {image: redis}}");
        assert!(within(folder.path()).is_empty());
        write(".env", "DATABASE_URL=postgresql://h/d");
        write("docker-compose.yml", "services: {api: {environment: ['DATABASE_URL=postgresql://$(X)/d']}}");
        assert_eq!(
            within(folder.path()),
            [
                "found in .env: run with --env-file .env",
                "found in docker-compose.yml: run with --compose docker-compose.yml"
            ]
        );
        write("docker-compose.yml", "services: {api: {environment: ['DATABASE_URL=postgresql://x/d']}}");
        assert_eq!(
            within(folder.path())[1],
            "found in docker-compose.yml (service api): run with --compose docker-compose.yml"
        );
    }
}
