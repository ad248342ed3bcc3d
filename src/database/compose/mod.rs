//! Finds Evolution's database in a compose file: its connection string, and how to reach the server.

mod file;
mod interpolation;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::env_file;
use crate::error::user_error;
use file::{File, Service};
use interpolation::{Unset, interpolated, is_one_variable};

/// The names of compose files, in compose's own order.
pub const NAMES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/// A compose file, with the variables that may be put into it.
#[derive(Debug)]
pub struct Compose {
    /// As it is named.
    pub path: PathBuf,
    file: File,
    /// The variables that the `.env` beside it sets.
    beside: Vec<(String, String)>,
}

/// The service that Evolution is.
#[derive(Debug)]
pub struct Evolution {
    /// Its name.
    pub service: String,
    /// The connection string.
    pub connection: String,
    /// Whether variables are a part of the connection string, and not all of it: the host may then be the file's own, and a
    /// password that of whoever runs this.
    pub mixes_variables: bool,
    /// All its variables whose values are known.
    pub variables: Vec<(String, String)>,
}

/// The way to reach a service from outside of its network.
#[derive(Debug, PartialEq, Eq)]
pub struct Reach {
    /// Its name.
    pub service: String,
    /// The port of the host by which one gets to the port that is asked for.
    pub published: Option<u16>,
    /// The network that it is in, as Docker calls it.
    pub network: Option<String>,
}

/// A variable of a service.
#[derive(Debug)]
struct Variable {
    name: String,
    /// Its value, or the variable that it needs and that is not set.
    value: Result<String, Unset>,
    /// Whether other variables are a part of its value.
    is_mixed: bool,
}

impl Variable {
    /// Whether it has a value, or would have one.
    fn is_set(&self) -> bool {
        !matches!(&self.value, Ok(text) if text.trim().is_empty())
    }
}

impl Compose {
    /// Reads one.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| {
            user_error(format!("{shown} cannot be read: {error}"), "name the compose file with --compose")
        })?;
        // Its error shows the lines around the mistake, which may hold a password.
        let file: File = serde_saphyr::from_str(&text).map_err(|error| {
            let place = error.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
            user_error(
                format!("{shown}{place}: this is not a compose file"),
                "docker compose config says what is wrong with it; name another one with --compose",
            )
        })?;
        let beside = env_file::variables(&folder(path).join(".env")).unwrap_or_default();
        Ok(Self { path: path.to_owned(), file, beside })
    }

    /// The one in a folder, if there is one that can be read.
    pub fn within(folder: &Path) -> Option<Self> {
        let path = NAMES.iter().map(|name| folder.join(name)).find(|path| path.is_file())?;
        Self::read(path.strip_prefix(".").unwrap_or(&path)).ok()
    }

    /// Evolution, which is the service of this name, or the one that has a connection string.
    ///
    /// # Errors
    /// When there is none or more than one, and when its connection string needs a variable that is not set.
    pub fn evolution(&self, name: Option<&str>) -> Result<Evolution> {
        let shown = self.path.display();
        let names = || self.services().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
        let (name, service) = match name {
            Some(wanted) => self.services().find(|(name, _)| *name == wanted).ok_or_else(|| {
                user_error(format!("{shown} has no service {wanted:?}"), format!("name one of: {}", names()))
            })?,
            None => self.only_one()?,
        };
        let variables = self.variables(service)?;
        let set = |name: &str| {
            let found = variables.iter().rev().find(|variable| variable.name == name);
            found.filter(|variable| variable.is_set())
        };
        if let Some(Ok(provider @ ("mysql" | "mariadb"))) =
            set("DATABASE_PROVIDER").map(|variable| variable.value.as_deref())
        {
            return Err(user_error(
                format!(
                    "{name} in {shown} has DATABASE_PROVIDER={provider}; evodoctor examines Postgres databases only"
                ),
                "name an Evolution that runs on Postgres with --service",
            ));
        }
        let found = env_file::NAMES.iter().find_map(|name| set(name)).ok_or_else(|| {
            user_error(
                format!("{name} in {shown} has neither {} nor {}", env_file::NAMES[0], env_file::NAMES[1]),
                "name Evolution's own service with --service, or give --database-url",
            )
        })?;
        let mixes_variables = found.is_mixed;
        let connection = found.value.clone().map_err(|Unset(variable)| {
            user_error(
                format!("the connection string of {name} in {shown} needs {variable}, which is not set"),
                format!("set {variable} here, or in the .env beside the file"),
            )
        })?;
        let known = variables.into_iter().filter_map(|variable| Some((variable.name, variable.value.ok()?)));
        let variables = known.collect();
        Ok(Evolution { service: name.to_owned(), connection, mixes_variables, variables })
    }

    /// True if it has Evolution in it.
    pub fn has_evolution(&self) -> bool {
        self.services().any(|(_, service)| self.has_connection(service))
    }

    /// Returns the way to the server that has this name in its networks.
    pub fn reach(&self, host: &str, port: u16) -> Option<Reach> {
        let is_it = |(name, service): &(&str, &Service)| {
            *name == host || service.container_name.as_ref().is_some_and(|name| self.put(name) == host)
        };
        self.services().find(is_it).map(|(name, service)| self.reach_of(name, service, port))
    }

    /// The services that look like a Postgres server, and how one gets there.
    pub fn servers(&self) -> Vec<Reach> {
        let is_server = |(_, service): &(&str, &Service)| {
            service.image.as_ref().is_some_and(|image| self.put(image).contains("postgres"))
        };
        self.services().filter(is_server).map(|(name, service)| self.reach_of(name, service, 5432)).collect()
    }

    fn reach_of(&self, name: &str, service: &Service, port: u16) -> Reach {
        let is_asked = |inside: &str| self.put(inside) == port.to_string();
        let mut published = service.ports.iter().filter(|port| is_asked(&port.inside));
        let published = published.find_map(|port| self.put(port.published.as_deref()?).parse().ok());
        Reach { service: name.to_owned(), published, network: self.network(service) }
    }

    /// The first network of a service, as Docker calls it; `None` where it has none of its own.
    fn network(&self, service: &Service) -> Option<String> {
        if service.network_mode.is_some() {
            return None;
        }
        let key = service.networks.0.first().map_or("default", String::as_str);
        let network = self.file.networks.get(key).and_then(Option::as_ref);
        match network {
            Some(network) if network.name.is_some() => network.name.as_ref().map(|name| self.put(name)),
            Some(network) if network.is_external() => Some(key.to_owned()),
            _ => Some(format!("{}_{key}", self.project())),
        }
    }

    /// The project's name: written down, or its folder's.
    fn project(&self) -> String {
        let named =
            self.value("COMPOSE_PROJECT_NAME").or_else(|| self.file.name.as_ref().map(|name| self.put(name)));
        named.unwrap_or_else(|| {
            let folder = folder(&self.path).canonicalize().unwrap_or_default();
            let name = folder.file_name().map(|name| name.to_string_lossy().to_lowercase());
            let is_kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            name.unwrap_or_default().chars().filter(is_kept).collect()
        })
    }

    fn services(&self) -> impl Iterator<Item = (&str, &Service)> {
        self.file.services.iter().filter_map(|(name, service)| Some((name.as_str(), service.as_ref()?)))
    }

    /// The one service with a connection string; of several the one whose name or image is Evolution's.
    fn only_one(&self) -> Result<(&str, &Service)> {
        let shown = self.path.display();
        let mut found: Vec<_> = self.services().filter(|(_, service)| self.has_connection(service)).collect();
        if found.len() > 1 {
            let is_evolution = |(name, service): &(&str, &Service)| {
                let image = service.image.as_deref().unwrap_or_default();
                image.contains("evolution") || name.contains("evolution")
            };
            let evolutions: Vec<_> = found.iter().copied().filter(is_evolution).collect();
            if !evolutions.is_empty() {
                found = evolutions;
            }
        }
        match found[..] {
            [one] => Ok(one),
            [] => {
                let is_elsewhere = self.file.include.is_some()
                    || self.services().any(|(_, service)| service.extends.is_some());
                let more = if is_elsewhere { " (include and extends are not followed)" } else { "" };
                Err(user_error(
                    format!(
                        "no service in {shown} has {} or {}{more}",
                        env_file::NAMES[0],
                        env_file::NAMES[1]
                    ),
                    "name the compose file that Evolution is in, or give --env-file or --database-url",
                ))
            }
            _ => {
                let names: Vec<&str> = found.iter().map(|(name, _)| *name).collect();
                Err(user_error(
                    format!("{shown} has several services with a database: {}", names.join(", ")),
                    format!("name one, such as --service {}", names[0]),
                ))
            }
        }
    }

    fn has_connection(&self, service: &Service) -> bool {
        let Ok(variables) = self.variables(service) else { return false };
        variables
            .iter()
            .any(|variable| env_file::NAMES.contains(&variable.name.as_str()) && variable.is_set())
    }

    /// The variables of a service: those of its files, then its own, which win.
    fn variables(&self, service: &Service) -> Result<Vec<Variable>> {
        let mut variables: Vec<Variable> = Vec::new();
        for file in &service.env_file.0 {
            let path = folder(&self.path).join(self.put(&file.path));
            if !file.is_required && !path.exists() {
                continue;
            }
            for assignment in env_file::assignments_of(&path)? {
                // One alone may be an earlier one of these files, and mixed itself.
                let is_mixed = !assignment.is_literal && assignment.value.contains('$');
                let value = if assignment.is_literal {
                    Ok(assignment.value)
                } else {
                    let earlier = |name: &str| {
                        let found = variables.iter().rev().find(|variable| variable.name == name);
                        self.value(name).or_else(|| found?.value.clone().ok())
                    };
                    interpolated(&assignment.value, &earlier)
                };
                variables.push(Variable { name: assignment.name, value, is_mixed });
            }
        }
        for (name, value) in &service.environment.0 {
            let (value, is_mixed) = match value {
                Some(text) => {
                    let is_mixed = text.contains('$') && !is_one_variable(text);
                    (interpolated(text, &|name| self.value(name)), is_mixed)
                }
                None => match self.value(name) {
                    Some(value) => (Ok(value), false),
                    // As with compose: the variable is then not set at all.
                    None => continue,
                },
            };
            variables.push(Variable { name: name.clone(), value, is_mixed });
        }
        Ok(variables)
    }

    /// The value of a variable in the file: of the environment, else of the `.env` beside it.
    fn value(&self, name: &str) -> Option<String> {
        let beside = || self.beside.iter().rev().find(|(variable, _)| variable == name);
        env::var(name).ok().or_else(|| beside().map(|(_, value)| value.clone()))
    }

    /// A text with what is known put in.
    fn put(&self, text: &str) -> String {
        interpolated(text, &|name| self.value(name)).unwrap_or_else(|_| text.to_owned())
    }
}

/// The folder that a file is in.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests;
