//! Hints for containers when a server cannot be reached, with the one command that would work.

use std::env;
use std::path::{Path, PathBuf};

use crate::database::compose::{Compose, Reach};
use crate::database::env_file;
use crate::database::url::ConnectTarget;
use crate::text::shell;

/// The environment of this program.
pub(super) struct Around {
    /// The compose file that is named, or lies here.
    pub compose: Option<Compose>,
    /// True if this program is in a container itself.
    pub is_container: bool,
    /// This program.
    pub program: PathBuf,
    /// True if it runs in any container, whatever that has.
    pub is_static: bool,
    /// What is asked of it.
    pub command: String,
    /// Whether the connection string stands in the variable that containers are given.
    pub has_variable: bool,
}

impl Around {
    /// Looks around.
    pub fn look(target: &ConnectTarget) -> Self {
        let compose = match &target.compose {
            Some(path) => Compose::read(path).ok(),
            None => Compose::within(Path::new(".")),
        };
        let is_container = ["/.dockerenv", "/run/.containerenv"].iter().any(|file| Path::new(file).exists())
            || env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        let is_command = |word: &String| word.chars().all(|c| c.is_ascii_lowercase());
        Self {
            compose,
            is_container,
            program: env::current_exe().unwrap_or_else(|_| PathBuf::from("evodoctor")),
            is_static: cfg!(target_feature = "crt-static"),
            command: env::args().nth(1).filter(is_command).unwrap_or_else(|| "check".to_owned()),
            has_variable: env::var_os(env_file::NAMES[0]).is_some_and(|value| !value.is_empty()),
        }
    }

    /// For a host name that cannot be resolved: what it is, and what to do.
    pub fn unknown_name(&self, host: &str, port: u16) -> (String, String) {
        let not_known = format!("the host name {host} cannot be resolved here");
        if host == "host.docker.internal" {
            return (
                format!("{not_known}; only Docker Desktop defines it by itself"),
                "start the container with --add-host host.docker.internal:host-gateway (compose: \
                 extra_hosts), or give the host's address"
                    .to_owned(),
            );
        }
        let found = self.service(host, port);
        let said = match &found {
            Some((compose, reach)) => format!(
                "{not_known}: it is the service {} of {}, whose name works only inside its network",
                reach.service,
                compose.path.display()
            ),
            None => not_known,
        };
        // In a container there is no docker, and a port that is published is so elsewhere.
        if self.is_container {
            let network = found.as_ref().and_then(|(_, reach)| reach.network.as_deref()).unwrap_or("NETWORK");
            let name = env::var("HOSTNAME").unwrap_or_else(|_| "CONTAINER".to_owned());
            let connect = format!("on the host: docker network connect {} {name}", shell::quote(network));
            let next = match found {
                Some(_) => format!("let this container into that network, {connect}"),
                None => format!(
                    "check the name; a service name works only for containers of its network; {connect}"
                ),
            };
            return (said, next);
        }
        if let Some((compose, reach)) = found {
            return (said, self.to_service(compose, &reach, port));
        }
        let next = format!(
            "check the name; a container's name works only inside its network, where Evolution is: \
             {} (docker ps lists the CONTAINER)",
            self.beside("CONTAINER")
        );
        (said, next)
    }

    /// For a refused connection on this machine's port: perhaps the database of the compose file is meant. `None` if
    /// there is nothing to say.
    pub fn refused_here(&self, port: u16) -> Option<(String, String)> {
        if self.is_container {
            return Some((
                "; localhost is this container itself".to_owned(),
                "name the database's service, or its container, as the host in the connection string"
                    .to_owned(),
            ));
        }
        let compose = self.compose.as_ref()?;
        let [reach] = &compose.servers()[..] else { return None };
        let file = compose.path.display();
        let said = match reach.published {
            Some(published) if published == port => return None,
            Some(published) => format!("; {} of {file} is published as {published}", reach.service),
            None => format!("; {} of {file} does not publish its port on this machine", reach.service),
        };
        Some((said, self.to_service(compose, reach, 5432)))
    }

    fn service(&self, host: &str, port: u16) -> Option<(&Compose, Reach)> {
        let compose = self.compose.as_ref()?;
        Some((compose, compose.reach(host, port)?))
    }

    /// The command that gets to a service.
    fn to_service(&self, compose: &Compose, reach: &Reach, port: u16) -> String {
        if let Some(published) = reach.published {
            return format!(
                "its port {port} is published on this machine: the same connection string with \
                 localhost:{published} in the place of {}:{port}",
                reach.service
            );
        }
        let file = shell::quote(&compose.path.display().to_string());
        let program = shell::quote(&self.program.display().to_string());
        let command = &self.command;
        if let Some(evolution) = compose.evolution(None).ok().filter(|_| self.is_static) {
            let service = evolution.service;
            return format!(
                "its port {port} is not published; run it in Evolution's container: docker compose -f {file} \
                 cp {program} {service}:/tmp/evodoctor && docker compose -f {file} exec {service} \
                 /tmp/evodoctor {command}"
            );
        }
        let network = reach.network.as_deref().unwrap_or("host");
        let (folder, name) = match compose.path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            Some(folder) => {
                (shell::quote(&folder.display().to_string()), compose.path.file_name().unwrap_or_default())
            }
            None => (r#""$PWD""#.to_owned(), compose.path.as_os_str()),
        };
        // What is linked to a glibc wants an image that has one.
        let image = if self.is_static { "alpine" } else { "debian:stable-slim" };
        format!(
            "its port {port} is not published; run it in its network: docker run --rm --network {network} \
             -v {program}:/evodoctor:ro -v {folder}:/here:ro -w /here {image} /evodoctor {command} \
             --compose {}",
            shell::quote(&name.to_string_lossy())
        )
    }

    /// The commands that run this program in a container.
    fn beside(&self, container: &str) -> String {
        let program = shell::quote(&self.program.display().to_string());
        if !self.is_static {
            let variable = env_file::NAMES[0];
            let set = match self.has_variable {
                true => String::new(),
                false => {
                    format!("read -r {variable} && export {variable} takes the connection string, then ")
                }
            };
            return format!(
                "{set}docker run --rm --network container:{container} -v {program}:/evodoctor:ro \
                 -e {variable} debian:stable-slim /evodoctor {}",
                self.command
            );
        }
        format!(
            "docker cp {program} {container}:/tmp/evodoctor && docker exec {container} /tmp/evodoctor {}",
            self.command
        )
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn around(text: Option<&str>, is_static: bool) -> (Around, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        if let Some(text) = text {
            fs::write(folder.path().join("compose.yaml"), text).unwrap();
        }
        let mut compose = Compose::within(folder.path());
        if let Some(compose) = &mut compose {
            // As it is where it lies.
            compose.path = "compose.yaml".into();
        }
        let program = PathBuf::from("/opt/evodoctor");
        let command = "check".to_owned();
        (Around { compose, is_container: false, program, is_static, command, has_variable: false }, folder)
    }

    const CLOSED: &str = "name: evo\nservices:\n  api: {environment: ['DATABASE_URL=postgresql://u@db/d']}\n  db: {image: postgres}";

    #[test]
    fn a_service_of_the_compose_file_is_named_with_the_command_that_works() {
        let (around, _folder) = around(Some(CLOSED), true);
        let (said, next) = around.unknown_name("db", 5432);
        assert_eq!(
            said,
            "the host name db cannot be resolved here: it is the service db of compose.yaml, whose name works only inside its network"
        );
        assert_eq!(
            next,
            "its port 5432 is not published; run it in Evolution's container: docker compose -f compose.yaml \
             cp /opt/evodoctor api:/tmp/evodoctor && docker compose -f compose.yaml exec api \
             /tmp/evodoctor check"
        );
    }

    #[test]
    fn a_program_that_needs_a_libc_gets_an_image_with_one() {
        let (around, _folder) = around(Some(CLOSED), false);
        assert_eq!(
            around.unknown_name("db", 5432).1,
            "its port 5432 is not published; run it in its network: docker run --rm --network evo_default \
             -v /opt/evodoctor:/evodoctor:ro -v \"$PWD\":/here:ro -w /here debian:stable-slim /evodoctor \
             check --compose compose.yaml"
        );
    }

    #[test]
    fn a_published_port_is_the_shorter_way() {
        let text = CLOSED.replace("image: postgres", "image: postgres, ports: ['5433:5432']");
        let (around, _folder) = around(Some(&text), true);
        let (_, next) = around.unknown_name("db", 5432);
        assert!(next.contains("localhost:5433 in the place of db:5432"), "{next}");
        let (said, next) = around.refused_here(5432).unwrap();
        assert_eq!(said, "; db of compose.yaml is published as 5433");
        assert!(next.contains("localhost:5433"), "{next}");
        assert!(around.refused_here(5433).is_none(), "then it is only not running");
    }

    #[test]
    fn an_unpublished_port_is_reported() {
        let (mut around, _folder) = around(Some(CLOSED), true);
        let (said, _) = around.refused_here(5432).unwrap();
        assert_eq!(said, "; db of compose.yaml does not publish its port on this machine");
        around.is_container = true;
        assert!(around.refused_here(5432).unwrap().0.contains("this container itself"));
        assert!(around.unknown_name("other", 1).1.contains("docker network connect NETWORK "));
        let (said, next) = around.unknown_name("db", 5432);
        assert!(said.contains("the service db of compose.yaml"), "{said}");
        assert!(next.contains("on the host: docker network connect evo_default "), "{next}");
    }

    #[test]
    fn without_a_compose_file_the_container_is_the_users_to_name() {
        let (mut around, _folder) = around(None, true);
        let (said, next) = around.unknown_name("db", 5432);
        assert_eq!(said, "the host name db cannot be resolved here");
        assert!(next.contains("docker cp /opt/evodoctor CONTAINER:/tmp/evodoctor && docker exec CONTAINER /tmp/evodoctor check"), "{next}");
        around.is_static = false;
        let (_, next) = around.unknown_name("db", 5432);
        assert!(
            next.contains("export DATABASE_CONNECTION_URI takes the connection string, then docker run"),
            "{next}"
        );
        around.has_variable = true;
        let (_, next) = around.unknown_name("db", 5432);
        assert!(next.contains("Evolution is: docker run --rm --network container:CONTAINER"), "{next}");
        assert!(around.refused_here(5432).is_none());
        assert!(around.unknown_name("host.docker.internal", 1).1.contains("--add-host"));
    }
}
