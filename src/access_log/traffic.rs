//! How many requests came in each hour, by route and client: nothing of what they were about.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;

use super::formats::{LineFormat, LineParser};
use super::read_progress::ReadProgress;
use super::request::RequestTarget;
use super::source::{Block, LogSource};
use super::timestamp::Timestamp;
use crate::error::user_error;
use crate::evolution::routes::match_path;

/// The most clients that are counted by their address; further ones are counted together.
const MOST_CLIENTS: usize = 1000;

/// Milliseconds of an hour.
const HOUR: i64 = 3_600_000;

/// A method and a route, as `facts/routes.json` writes it.
pub type RouteKey = (&'static str, &'static str);

/// The traffic of the logs.
#[derive(Debug, Default)]
pub struct Traffic {
    /// Lines that tell of a request on a route, with its time.
    pub requests: u64,
    /// Requests whose time is not known.
    pub without_time: u64,
    /// True if the log says in which zone its times are; they are in UTC then.
    pub has_zone: bool,
    /// Requests by route, for each hour since 1970.
    pub hours: BTreeMap<i64, HashMap<RouteKey, u64>>,
    /// The traffic of each client.
    pub clients: HashMap<String, ClientTraffic>,
}

/// The traffic of one client.
#[derive(Debug, Default)]
pub struct ClientTraffic {
    /// Its requests by route.
    pub routes: HashMap<RouteKey, u64>,
    /// Requests that it ended itself before there was an answer (499, as nginx writes it).
    pub given_up: u64,
}

impl Traffic {
    /// Reads logs one after the other.
    ///
    /// # Errors
    /// When a file cannot be read, or none has the time of a request.
    pub fn read(files: &[PathBuf], format: &LineFormat, progress: &Arc<ReadProgress>) -> Result<Self> {
        let mut traffic = Self::default();
        for file in files {
            let mut source = LogSource::open(file, false, progress)?;
            let mut parser = LineParser::for_format(format.clone());
            let mut block = Block::default();
            while !progress.is_stopped() && source.fill(&mut block)? {
                parser.record = block.record;
                if block.columns.is_some() {
                    parser.columns.clone_from(&block.columns);
                }
                for line in block.lines() {
                    traffic.line(&mut parser, line);
                }
            }
        }
        if traffic.hours.is_empty() {
            return Err(user_error(
                "no line of the log has the time of a request to the API",
                "give the access log of the proxy in front of the server (evodoctor help logs names the formats)",
            ));
        }
        Ok(traffic)
    }

    fn line(&mut self, parser: &mut LineParser, line: &[u8]) {
        if let Some(request) = parser.parse_partial(line)
            && let Some((method, path)) = request.verb_and_path()
        {
            self.count(path, Some(method), Some(request.status), request.time, Some(request.client));
            return;
        }
        let mut next = parser.parse(line).map(super::request::Request::into_owned);
        while let Some(request) = next {
            if let RequestTarget::Path(path) = &request.asked {
                let (method, client) = (request.method.as_deref(), request.client.as_deref());
                self.count(path, method, request.status, request.time, client);
            }
            next = parser.next_request();
        }
    }

    fn count(
        &mut self,
        path: &[u8],
        method: Option<&[u8]>,
        status: Option<u16>,
        time: Option<Timestamp>,
        client: Option<&[u8]>,
    ) {
        let Some(route) = match_path(path) else { return };
        let template = route.template;
        let verb = method.map_or_else(|| template.verbs().first().copied(), |method| template.verb(method));
        let Some(verb) = verb else { return };
        let Some(time) = time else {
            self.without_time += 1;
            return;
        };
        let key = (verb, template.path);
        self.requests += 1;
        self.has_zone |= time.has_zone();
        *self.hours.entry(time.millis().div_euclid(HOUR)).or_default().entry(key).or_default() += 1;
        let Some(client) = client.map(String::from_utf8_lossy) else { return };
        if self.clients.len() < MOST_CLIENTS || self.clients.contains_key(&*client) {
            let known = self.clients.entry(client.into_owned()).or_default();
            *known.routes.entry(key).or_default() += 1;
            known.given_up += u64::from(status == Some(499));
        }
    }
}
