//! Wrong names that the server does not refuse with 404 and the usual words.

use std::borrow::Cow;
use std::hash::BuildHasher;

use memchr::memchr;

use super::{FindingCollector, LONGEST_NAME, StatsKind};
use crate::access_log::classify::{NameVerdict, WrongName, classify_name};
use crate::access_log::finding_stats::{Endpoint, FindingStats};
use crate::access_log::finding_text::{MisuseDetail, SpellingError};
use crate::access_log::request::Request;
use crate::access_log::sanitize::sanitize;
use crate::evolution::instances::InstanceDirectory;
use crate::evolution::routes::{self, RouteError, RouteTemplate};
use crate::rules::misuse::MisuseKind;

impl<'d> FindingCollector<'d> {
    /// True if a name that was served is neither in the list nor anything else of an instance in it: the list is old.
    pub(super) fn is_new(&self, name: &str) -> bool {
        let is_unknown =
            |verdict| matches!(verdict, NameVerdict::Wrong(wrong) if wrong.confusion == MisuseKind::Unknown);
        let key = |kind: StatsKind| self.hasher.hash_one((kind, self.hasher.hash_one(name.as_bytes())));
        // A name that was refused as well was deleted or renamed since; it is a finding of its own.
        self.directory.is_some()
            && is_unknown(classify_name(name, self.directory))
            && !self.verdicts.contains_key(&key(StatsKind::Name))
    }

    /// Counts a request whose name is certainly wrong, though it was not refused as such: one of Chatwoot, or one whose
    /// percent-encoding is not UTF-8.
    pub(super) fn unrefused(
        &mut self,
        hash: u64,
        segment: &[u8],
        endpoint: Endpoint,
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let decoded = routes::decode_segment(segment);
        let is_latin = str::from_utf8(&decoded).is_err();
        // In Latin-1 every byte is a character.
        let name: String = if is_latin {
            decoded.iter().map(|&byte| char::from(byte)).collect()
        } else {
            String::from_utf8_lossy(&decoded).into_owned()
        };
        let meant = match (classify_name(&name, self.directory), self.directory) {
            (NameVerdict::ExistsNow, Some(directory)) if is_latin => {
                directory.by_name(&name).into_iter().collect()
            }
            (NameVerdict::Wrong(wrong), _) if is_latin => wrong.meant,
            (NameVerdict::Wrong(wrong), Some(_)) if !wrong.meant.is_empty() => {
                let at = self.other(self.hasher.hash_one((StatsKind::Name, hash, 200_u16)), |collector| {
                    let (written, key) = collector.shown(&name, wrong.confusion);
                    let reason = SpellingError::of(&name, &wrong);
                    FindingStats::new(MisuseDetail::Name(wrong, reason), written, key, hash)
                })?;
                return self.count(at, Some(endpoint), request);
            }
            _ => return None,
        };
        let at = self.other(self.hasher.hash_one((StatsKind::Name, hash, 400_u16)), |collector| {
            let written = sanitize(segment, LONGEST_NAME, collector.directory);
            let wrong = WrongName { confusion: MisuseKind::Encoding, meant, probable: false };
            FindingStats::new(MisuseDetail::Name(wrong, SpellingError::Latin), written.clone(), written, hash)
        })?;
        self.count(at, Some(endpoint), request)
    }

    /// Counts a request for the list of instances that asked for one and got 404. A client that asks whether a name is
    /// there does no wrong, so a name that means nothing is left out.
    pub(super) fn listing(
        &mut self,
        template: &'static RouteTemplate,
        verb: Option<&'static str>,
        path: &[u8],
        request: &Request<'_>,
    ) -> Option<&FindingStats<'d>> {
        let query = memchr(b'?', path).map_or(&[][..], |at| &path[at + 1..]);
        if let Some(name) = routes::parameter(query, b"instanceName") {
            let name = String::from_utf8_lossy(&name).into_owned();
            let NameVerdict::Wrong(wrong) = classify_name(&name, self.directory) else { return None };
            if wrong.confusion == MisuseKind::Unknown {
                return None;
            }
            let hash = self.hasher.hash_one(name.as_bytes());
            let at = self.other(self.hasher.hash_one((StatsKind::Name, hash, 404_u16)), |collector| {
                let (written, key) = collector.shown(&name, wrong.confusion);
                let reason = SpellingError::of(&name, &wrong);
                FindingStats::new(MisuseDetail::Name(wrong, reason), written, key, hash)
            })?;
            return self.count(at, Some((verb, template)), request);
        }
        let id = routes::parameter(query, b"instanceId")?;
        let instance = self.directory?.by_name(str::from_utf8(&id).ok()?)?;
        let key = self.hasher.hash_one((StatsKind::Route, &id));
        let at = self.other(key, |_| {
            let written =
                format!("GET {}?instanceId={}", template.path, routes::encode_segment(&instance.name));
            let meant =
                format!("GET {}?instanceName={}", template.path, routes::encode_segment(&instance.name));
            FindingStats::new(
                MisuseDetail::Route { meant, fault: Some(RouteError::Parameter) },
                written.clone(),
                written,
                0,
            )
        })?;
        self.count(at, None, request)
    }
}

/// The name with spaces for its pluses, where the log writes both alike. One that would then exist had real ones: it was refused.
pub(super) fn spaced<'n>(
    name: Cow<'n, [u8]>,
    request: &Request<'_>,
    directory: Option<&InstanceDirectory>,
) -> Cow<'n, [u8]> {
    if !request.has_plus_for_space || memchr(b'+', &name).is_none() {
        return name;
    }
    let spaced: Vec<u8> = name.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    let exists =
        directory.is_some_and(|directory| directory.by_name(&String::from_utf8_lossy(&spaced)).is_some());
    if exists { name } else { Cow::Owned(spaced) }
}
