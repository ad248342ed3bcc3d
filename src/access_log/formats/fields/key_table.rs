//! The names under which logs write status, method, path, host, client, agent and time, and where in nested objects.
//!
//! Sources: the documentation of nginx, Traefik, Caddy, HAProxy, Envoy, Istio, Kong, APISIX, Cloudflare, Fastly, AWS,
//! Google Cloud, Azure, Railway, Vercel, IIS, ECS, HAR, pino, morgan and Heroku, and what people commonly choose.

/// The fields that are searched in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::access_log::formats) enum Slot {
    Method,
    Path,
    /// The query, where the path lacks it.
    Query,
    /// nginx's `$request`: method, path and version in one.
    RequestLine,
    Status,
    /// The status that the server behind the proxy answered; nothing or 0 if no server was asked.
    OriginStatus,
    /// The server behind the proxy; nothing if none was asked.
    Upstream,
    /// Google's words for who made the answer.
    StatusDetails,
    Time,
    /// The day, where the time's own field has only the clock.
    Date,
    Client,
    UserAgent,
    Host,
    Router,
    /// Another log's line inside an object, as Docker's `json-file` driver writes it.
    Line,
    /// The id that the lines of one request share.
    Id,
}

/// A place in nested objects, as far as it says what its keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::access_log::formats) enum Place {
    /// The object itself.
    Top,
    /// An object whose name has no meaning: its keys mean the same as at the top, with lower priority.
    Nested,
    /// `request`, `req`, `httpRequest`.
    Request,
    /// `response`, `res`.
    Response,
    /// The headers of a request: each value a text or a list, or a list of names and values.
    Headers,
    /// `url`, taken apart.
    Url,
    /// `source`, `client`.
    Client,
    /// `user_agent`, taken apart.
    Agent,
    /// `server`, whose address may be the name that was called.
    Server,
    /// A list of pairs of names and values, that mean what keys beside it mean.
    Pairs,
    /// OpenTelemetry's body: a line of the log, or the content of a request.
    Body,
    /// Objects that say nothing about a request: labels, files, the upstream server.
    Ignored,
}

/// The rank of an agent that is percent-encoded, as CloudFront writes it; no other name for an agent has it.
pub(in crate::access_log::formats) const ENCODED_AGENT: u8 = 2;

/// The longest name that means anything.
const LONGEST: usize = 40;

/// A key as the tables have it: lower case, letters and digits only, of its last part.
pub(in crate::access_log::formats) struct Key {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Key {
    /// `None` where it is longer than any that means something.
    pub fn of(key: &[u8]) -> Option<Self> {
        let mut normal = Self { bytes: [0; LONGEST], length: 0 };
        for byte in key.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
            *normal.bytes.get_mut(normal.length)? = byte.to_ascii_lowercase();
            normal.length += 1;
        }
        Some(normal)
    }

    fn text(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// The place that the name of a list of pairs leads to, as Render and OpenTelemetry have them.
pub(in crate::access_log::formats) fn within_list(place: Place, key: &Key) -> Place {
    match (place, key.text()) {
        (Place::Top | Place::Nested, b"labels" | b"attributes" | b"tags") => Place::Pairs,
        _ => within(place, key),
    }
}

/// The place that a key leads to.
pub(in crate::access_log::formats) fn within(place: Place, key: &Key) -> Place {
    use Place::{Agent, Body, Client, Headers, Ignored, Nested, Pairs, Request, Response, Server, Top, Url};
    match (place, key.text()) {
        (Ignored, _) => Ignored,
        (Response | Headers | Client | Agent | Server | Body, _) => Ignored,
        (Top | Nested, b"body") => Body,
        (Top, b"proxy") => Request,
        (_, b"request" | b"req" | b"httprequest" | b"clientrequest" | b"requestinfo") => Request,
        (_, b"response" | b"res" | b"resp" | b"httpresponse" | b"responseinfo") => Response,
        (Top | Nested | Pairs | Request, b"headers" | b"header" | b"requestheaders" | b"reqheaders") => {
            Headers
        }
        (_, b"url") => Url,
        (Top | Nested | Pairs, b"server") => Server,
        (_, b"server") => Ignored,
        (Top | Nested | Pairs | Request, b"source" | b"client" | b"remote") => Client,
        (Top | Nested | Pairs | Request, b"useragent") => Agent,
        (
            _,
            b"file" | b"tls" | b"labels" | b"kubernetes" | b"container" | b"docker" | b"agent" | b"ecs"
            | b"metadata" | b"resource" | b"host" | b"process" | b"service" | b"route" | b"upstream"
            | b"origin" | b"tries" | b"cookies" | b"params" | b"query" | b"querystring" | b"body"
            | b"requestbody" | b"responsebody" | b"respheaders" | b"responseheaders" | b"destination"
            | b"input" | b"geo" | b"geoip" | b"attrs" | b"stream" | b"fluentbit" | b"observer" | b"cloud"
            | b"related" | b"rule" | b"sourcelocation" | b"consumer" | b"postdata" | b"content" | b"cache"
            | b"timings" | b"creator" | b"assertions" | b"cursor",
        ) if place != Url => {
            // `content` and `attributes` hold a whole event at Datadog; below a request they hold a body.
            if key.text() == b"content" && place == Top || key.text() == b"content" && place == Nested {
                Nested
            } else {
                Ignored
            }
        }
        (Url, _) => Ignored,
        (Request, _) => Request,
        (Top | Nested | Pairs, _) => Nested,
    }
}

/// The place that the parts of a dotted key but its last lead to, and the last part.
pub(in crate::access_log::formats) fn last_part(place: Place, key: &[u8]) -> Option<(Place, Key)> {
    let mut place = place;
    let mut parts = key.split(|byte| matches!(byte, b'.' | b'>')).peekable();
    while let Some(part) = parts.next() {
        let part = Key::of(part)?;
        if parts.peek().is_none() {
            return Some((place, part));
        }
        place = within(place, &part);
    }
    None
}

/// The meaning of a key with or without dots.
pub(in crate::access_log::formats) fn meaning_of(place: Place, key: &[u8]) -> Option<(Slot, u8)> {
    let (place, key) = last_part(place, key)?;
    meaning(place, &key)
}

/// The meaning of a key, and its priority against other keys for the same field.
pub(in crate::access_log::formats) fn meaning(place: Place, key: &Key) -> Option<(Slot, u8)> {
    let key = key.text();
    let (slot, rank) = match place {
        Place::Top | Place::Nested | Place::Pairs | Place::Request => general(place, key)?,
        Place::Response => match key {
            b"status" | b"statuscode" => (Slot::Status, 1),
            b"code" => (Slot::Status, 0),
            _ => return None,
        },
        Place::Headers => match key {
            b"useragent" => (Slot::UserAgent, 1),
            b"host" | b"authority" => (Slot::Host, 2),
            b"xforwardedfor" | b"xrealip" | b"cfconnectingip" => (Slot::Client, 8),
            _ => return None,
        },
        Place::Url => match key {
            b"original" | b"raw" => (Slot::Path, 1),
            b"full" => (Slot::Path, 2),
            b"path" => (Slot::Path, 6),
            b"query" => (Slot::Query, 1),
            b"domain" | b"host" | b"hostname" => (Slot::Host, 1),
            _ => return None,
        },
        Place::Client => match key {
            b"ip" => (Slot::Client, 1),
            b"address" | b"addr" => (Slot::Client, 2),
            _ => return None,
        },
        Place::Server => match key {
            b"address" | b"domain" => (Slot::Host, 5),
            _ => return None,
        },
        Place::Agent => match key {
            b"original" => (Slot::UserAgent, 0),
            _ => return None,
        },
        Place::Body => match key {
            b"stringvalue" => (Slot::Line, 3),
            _ => return None,
        },
        Place::Ignored => return None,
    };
    let penalty = u8::from(matches!(place, Place::Nested | Place::Pairs));
    Some((slot, rank * 2 + penalty))
}

#[rustfmt::skip]
fn general(place: Place, key: &[u8]) -> Option<(Slot, u8)> {
    let in_request = place == Place::Request;
    Some(match key {
        b"requestmethod" | b"clientrequestmethod" => (Slot::Method, 0),
        b"httpmethod" | b"clientrequesthttpmethodname" | b"httprequestmethod" | b"csmethod" | b"reqmethod" | b"requestverb" => (Slot::Method, 1),
        b"method" | b"verb" | b"httpverb" => (Slot::Method, 2),

        // The path with its query.
        b"requestpath" if !in_request => (Slot::Path, 0),
        b"requesturi" | b"clientrequesturi" | b"requesturl" | b"originaluri" | b"originalurl" | b"rawurl" | b"httpuri"
        | b"originalrequesturiwithargs" | b"xenvoyoriginalpath" | b"xenvoyoriginpath" | b"requri" | b"requrl" | b"httpurl" | b"httptarget"
            => (Slot::Path, 1),
        b"requestline" | b"httprequest" | b"httprequestline" => (Slot::RequestLine, 2),
        b"request" | b"req" => (Slot::RequestLine, 2),
        b"uri" | b"url" | b"target" if in_request => (Slot::Path, 3),
        b"fullurl" | b"fulluri" | b"absoluteurl" => (Slot::Path, 3),
        b"url" | b"target" => (Slot::Path, 4),
        // The path alone, and nginx's $uri, which is decoded.
        b"uri" => (Slot::Path, 5),
        b"path" if in_request => (Slot::Path, 5),
        b"path" | b"uripath" | b"csuristem" | b"clientrequestpath" | b"urlpath" | b"requestpath" | b"reqpath" | b"httppath" | b"rawpath"
            => (Slot::Path, 6),
        b"query" | b"querystring" | b"args" | b"requestquery" | b"csuriquery" | b"urlquery" | b"queryparams"
        | b"httpquery" | b"requestargs" | b"rawquerystring" | b"clientrequestquery" => (Slot::Query, 1),

        b"originstatus" | b"originresponsestatus" | b"upstreamstatus" | b"targetstatuscode" | b"upstreamresponsestatus"
        | b"upstreamstatuscode" | b"serverstatus" | b"backendstatuscode" => (Slot::OriginStatus, 0),
        b"upstreamaddr" | b"upstreamhost" | b"upstreamaddress" => (Slot::Upstream, 0),
        // Without an upstream server there is no upstream time.
        b"upstreamresponsetime" | b"urt" => (Slot::Upstream, 3),
        b"statusdetails" => (Slot::StatusDetails, 0),
        b"downstreamstatus" | b"edgeresponsestatus" | b"responsestatus" | b"responsestatuscode" | b"httpresponsestatuscode"
            => (Slot::Status, 0),
        b"statuscode" | b"httpstatus" | b"httpstatuscode" | b"responsecode" | b"scstatus" | b"httpresponsecode"
        | b"respstatus" | b"resstatus" | b"elbstatuscode" | b"downstreamstatusline" | b"httpresponsestatus"
        | b"respstatuscode" => (Slot::Status, 1),
        b"status" | b"statusline" => (Slot::Status, 2),
        b"httpcode" | b"returncode" | b"ressc" => (Slot::Status, 3),
        b"code" => (Slot::Status, 9),

        b"startutc" => (Slot::Time, 0),
        b"timeiso8601" | b"starttime" | b"startts" | b"requesttimestamp" | b"edgestarttimestamp" | b"starteddatetime"
        | b"eventtimestamp" => (Slot::Time, 1),
        b"time" | b"ts" | b"timestamp" | b"timeunixnano" | b"reqtimesec" => (Slot::Time, 2),
        b"timelocal" | b"acceptdate" | b"requesttime" | b"msec" | b"datetime" | b"startedat" | b"logtime" | b"eventtime"
        | b"dt" | b"t" | b"asctime" | b"startlocal" | b"timelogged" => (Slot::Time, 3),
        b"time64" | b"timegenerated" | b"receivedat" | b"receivetimestamp" | b"ingestiontime" | b"requesttimeepoch"
        | b"realtimetimestamp" | b"sourcerealtimetimestamp" => (Slot::Time, 5),
        b"date" => (Slot::Time, 6),

        b"clienthost" => (Slot::Client, 0),
        b"clientip" | b"cip" | b"cliip" | b"clientaddress" | b"clientipaddress" | b"realip" | b"srcip" | b"sourceip"
        | b"requestremoteip" | b"requestip" => (Slot::Client, 1),
        b"xforwardedfor" | b"xforwardfor" | b"httpxforwardedfor" | b"forwardedfor" | b"fwd" | b"xff"
        | b"httpxrealip" | b"xrealip" | b"httpcfconnectingip" => (Slot::Client, 2),
        b"remoteip" | b"remoteaddress" | b"remoteaddr" | b"downstreamremoteaddress" | b"remotehost" | b"remote"
            => (Slot::Client, 3),
        b"clientaddr" | b"client" | b"ip" | b"source" | b"src" | b"socketip" | b"peer" | b"peeraddr" | b"ipaddress"
        | b"downstreamdirectremoteaddress" => (Slot::Client, 4),

        b"requestuseragent" | b"clientrequestuseragent" | b"httpuseragent" | b"headeruseragent"
        | b"requestheaderuseragent" | b"requestheadersuseragent" => (Slot::UserAgent, 0),
        b"useragent" | b"clientua" | b"ua" | b"httprequestuseragent" => (Slot::UserAgent, 1),
        b"csuseragent" => (Slot::UserAgent, ENCODED_AGENT),
        b"agent" | b"browser" => (Slot::UserAgent, 3),

        b"requesthost" | b"httphost" | b"xhostheader" | b"clientrequesthost" | b"clientrequesthttphost" | b"cshost" | b"authority"
        | b"requestheaderhost" | b"originalhost" => (Slot::Host, 0),
        b"vhost" | b"virtualhost" | b"xforwardedhost" | b"domain" | b"domainname" => (Slot::Host, 1),
        b"host" => (Slot::Host, 2),
        b"hostname" if in_request => (Slot::Host, 2),
        b"hostname" | b"servername" | b"httpserver" => (Slot::Host, 4),

        b"routername" => (Slot::Router, 0),
        // What two lines of one request have in common.
        b"reqid" | b"requestid" | b"correlationid" => (Slot::Id, 0),

        b"m" => (Slot::Line, 2),
        b"log" | b"line" | b"textpayload" | b"logmessage" | b"shortmessage" | b"fullmessage" => (Slot::Line, 1),
        b"message" | b"msg" | b"raw" | b"rawlog" | b"logline" | b"original" => (Slot::Line, 2),
        b"properties" => (Slot::Line, 3),
        b"body" | b"content" | b"text" | b"event" | b"data" | b"logentry" | b"payload" | b"value" | b"stringvalue" => (Slot::Line, 3),
        _ => return None,
    })
}
