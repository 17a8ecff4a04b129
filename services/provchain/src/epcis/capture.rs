//! From a request body to events (EPCIS 2.0, sections 9.5 and 12: JSON-LD and the capture
//! interface).

use std::sync::Arc;

use serde_json::{Map, Value};

use super::check::Checker;
use super::document::{Document, Event};
use super::event;
use super::event_hash;
use super::issue::{Issue, Rule};
use super::json;
use super::limits::Limits;
use super::time::Timestamp;
use super::xml;
use crate::rdf;
use crate::rdf::context::Context;
use crate::rdf::pointer::At;

/// Reads and checks the body of a capture: an `EPCISDocument`, an `EPCISQueryDocument`, a single
/// event or an array of events.
///
/// ```
/// use provchain::epcis::{Limits, capture};
///
/// let body = br#"{
///   "@context": "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld",
///   "type": "ObjectEvent", "action": "OBSERVE", "bizStep": "shiping",
///   "eventTime": "2026-04-03T20:33:31Z", "eventTimeZoneOffset": "+02:00",
///   "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"]
/// }"#;
/// let issues = capture::parse(body, &Limits::default()).unwrap_err();
/// assert_eq!(issues[0].pointer, "/bizStep");
/// assert!(issues[0].message.starts_with("\"shiping\" is no business step"));
/// ```
///
/// # Errors
/// Everything that is wrong, up to `limits.issues_max`; nothing of the body is to be kept then.
pub fn parse(body: &[u8], limits: &Limits) -> Result<Document, Vec<Issue>> {
    parse_each(body, limits)?.whole(limits)
}

/// A document of which each event was looked at by itself.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The document with the events that are good.
    pub document: Document,
    /// Where each of them stood in the list of events, from 0.
    pub positions: Vec<usize>,
    /// What is wrong with the others.
    pub issues: Vec<Issue>,
}

impl Parsed {
    /// The document, if all of its events are good.
    fn whole(mut self, limits: &Limits) -> Result<Document, Vec<Issue>> {
        if self.issues.is_empty() {
            return Ok(self.document);
        }
        self.issues.truncate(limits.issues_max.max(1));
        Err(self.issues)
    }
}

/// As [`parse`], but an event that is wrong keeps no other from being taken.
///
/// # Errors
/// What is wrong with the document around its events, or with more than `limits.issues_max` of them.
pub fn parse_each(body: &[u8], limits: &Limits) -> Result<Parsed, Vec<Issue>> {
    let value = json::read(body, limits).map_err(|mut issue| {
        issue.event = event_of(&issue.pointer);
        vec![issue]
    })?;
    check(value, limits)
}

/// Reads and checks the body of a capture in XML: an `EPCISDocument` or an `EPCISQueryDocument` of
/// EPCIS 1.0 to 2.0, as [`xml`] turns it into JSON-LD. The rules are those of [`parse`].
///
/// # Errors
/// As [`parse`]; the message of each issue begins with the line that it is about.
pub fn parse_xml(body: &[u8], limits: &Limits) -> Result<Document, Vec<Issue>> {
    parse_each_xml(body, limits)?.whole(limits)
}

/// As [`parse_each`], of a body in XML.
///
/// # Errors
/// As [`parse_each`], and everything that cannot be turned into JSON-LD.
pub fn parse_each_xml(body: &[u8], limits: &Limits) -> Result<Parsed, Vec<Issue>> {
    let tree = xml::Tree::read(body, limits).map_err(|issue| vec![issue])?;
    let value = tree.to_json(limits)?;
    match check(value, limits) {
        Ok(parsed) => Ok(Parsed {
            issues: tree.located(parsed.issues),
            ..parsed
        }),
        Err(issues) => Err(tree.located(issues)),
    }
}

/// Checks a capture that was read.
fn check(value: Value, limits: &Limits) -> Result<Parsed, Vec<Issue>> {
    let mut capture = Capture {
        limits,
        issues: Vec::new(),
        events: Vec::new(),
        positions: Vec::new(),
        stopped: false,
        own_context: None,
        context_bytes: 0,
    };
    let parts = capture.document(value);
    let of_events = capture.issues.iter().all(|issue| issue.event.is_some());
    match parts {
        Some((context, header)) if of_events && !capture.stopped => Ok(Parsed {
            document: Document {
                context,
                header,
                events: capture.events,
            },
            positions: capture.positions,
            issues: capture.issues,
        }),
        _ => {
            capture.issues.truncate(limits.issues_max.max(1));
            Err(capture.issues)
        }
    }
}

/// The index of the event that a pointer leads into.
pub(super) fn event_of(pointer: &str) -> Option<usize> {
    let rest = pointer
        .strip_prefix("/epcisBody/eventList/")
        .or_else(|| pointer.strip_prefix("/epcisBody/queryResults/resultsBody/eventList/"))
        .or_else(|| pointer.strip_prefix('/'))?;
    rest.split('/').next()?.parse().ok()
}

struct Capture<'a> {
    limits: &'a Limits,
    issues: Vec<Issue>,
    events: Vec<Event>,
    /// Where each of them stands.
    positions: Vec<usize>,
    /// Whether there was too much to look at all events.
    stopped: bool,
    /// The last context that an event declared for itself, and what it came to: events of one
    /// source declare the same one.
    own_context: Option<(Value, Arc<Context>)>,
    /// Of all contexts that events declared for themselves.
    context_bytes: usize,
}

impl Capture<'_> {
    /// Takes the body apart; returns the document's context and header.
    fn document(&mut self, value: Value) -> Option<(Value, Option<Value>)> {
        let root = At::ROOT;
        match value {
            Value::Array(events) => {
                self.all(events, &Arc::default(), &root);
                Some((Value::Null, None))
            }
            Value::Object(mut members) => match members.get("type").and_then(Value::as_str) {
                Some(kind @ ("EPCISDocument" | "EPCISQueryDocument")) => {
                    let is_query = kind == "EPCISQueryDocument";
                    let context = Arc::new(self.envelope(&members, is_query)?);
                    let body = members.get_mut("epcisBody").map(Value::take)?;
                    let path: &[&str] = if is_query {
                        &["queryResults", "resultsBody", "eventList"]
                    } else {
                        &["eventList"]
                    };
                    self.event_list(body, path, &context, &root.key("epcisBody"));
                    let header = members.shift_remove("epcisHeader");
                    let context = members.shift_remove("@context")?;
                    Some((context, header))
                }
                _ => {
                    self.event(Value::Object(members), 0, &Arc::default(), &root);
                    Some((Value::Null, None))
                }
            },
            _ => {
                let message = "an EPCISDocument, an event or an array of events is expected";
                self.issue(Issue::new(Rule::JsonType, &root, message));
                None
            }
        }
    }

    fn issue(&mut self, issue: Issue) {
        self.issues.push(issue);
    }

    /// Checks the events that `path` leads to within `parent`.
    fn event_list(
        &mut self,
        mut parent: Value,
        path: &[&str],
        context: &Arc<Context>,
        at: &At<'_>,
    ) {
        let Some((key, rest)) = path.split_first() else {
            return;
        };
        self.siblings(&parent, key, at);
        let here = at.key(key);
        match parent.get_mut(key).map(Value::take) {
            None => {
                let message = format!("{key} is missing");
                self.issue(Issue::new(Rule::Required, &here, message));
            }
            Some(found) if !rest.is_empty() => self.event_list(found, rest, context, &here),
            Some(Value::Array(events)) => self.all(events, context, &here),
            Some(_) => {
                let message = format!("{key} must be an array");
                self.issue(Issue::new(Rule::JsonType, &here, message));
            }
        }
    }

    /// What may stand beside `key` on the way to the events: the head of a query's results, and
    /// extensions. Anything else would be dropped.
    fn siblings(&mut self, parent: &Value, key: &str, at: &At<'_>) {
        if key == "resultsBody" && !parent["queryName"].is_string() {
            let message = "the results of a query have the query's name";
            self.issue(Issue::new(Rule::Required, &at.key("queryName"), message));
        }
        for (name, value) in parent.as_object().into_iter().flatten() {
            let known = match (key, name.as_str()) {
                ("resultsBody", "queryName" | "subscriptionID") => value.is_string(),
                ("eventList", "vocabularyList") => value.is_array(),
                (key, name) => name == key || name.contains(':'),
            };
            if !known {
                let message = format!("{name:?} does not belong beside {key}");
                self.issue(Issue::new(Rule::UnknownField, &at.key(name), message));
            }
        }
    }

    /// Checks what surrounds the events of a document; returns the context that it declares.
    fn envelope(&mut self, members: &Map<String, Value>, is_query: bool) -> Option<Context> {
        let root = At::ROOT;
        let context = match members.get("@context") {
            Some(declared) => self.context(Context::default(), declared, &root.key("@context"))?,
            None => {
                self.missing_context(&root);
                return None;
            }
        };
        let mut checker = Checker::new(&context, self.limits.issues_max);
        for (key, value) in members {
            let at = root.key(key);
            match key.as_str() {
                "@context" | "type" => {}
                "schemaVersion" => {
                    if let Some(version) = checker.string(value, &at)
                        && version != "2.0"
                        && !version.starts_with("2.0.")
                    {
                        let message = format!("schemaVersion {version} is not 2.0");
                        checker.issue(Rule::Value, &at, message);
                    }
                }
                "creationDate" => {
                    checker.time(value, &at);
                }
                "id" => {
                    checker.uri(value, &at);
                }
                "instanceIdentifier" | "sender" | "receiver" if !is_query => {
                    checker.string(value, &at);
                }
                "epcisHeader" if !is_query => {
                    checker.object(value, &at);
                }
                "epcisBody" => {
                    checker.object(value, &at);
                }
                _ => checker.extension(key, value, &at),
            }
        }
        checker.required(members, "epcisBody", &root);
        if !is_query {
            checker.required(members, "schemaVersion", &root);
            checker.required(members, "creationDate", &root);
        }
        self.issues.append(&mut checker.issues);
        Some(context)
    }

    fn context(&mut self, mut base: Context, declared: &Value, at: &At<'_>) -> Option<Context> {
        match base.extend(declared, at) {
            Ok(()) if base.has_epcis() => Some(base),
            Ok(()) => {
                self.missing_context(at);
                None
            }
            Err(error) => {
                self.issue(Issue {
                    rule: Rule::Context,
                    ..Issue::from_rdf(error, at)
                });
                None
            }
        }
    }

    /// The context of an event that declares one beside its document's.
    fn own_context(&mut self, base: &Context, own: &Value, at: &At<'_>) -> Option<Arc<Context>> {
        if let Some((declared, context)) = &self.own_context
            && declared == own
        {
            return Some(Arc::clone(context));
        }
        let context = Arc::new(self.context(base.clone(), own, at)?);
        self.context_bytes += context.bytes();
        if self.context_bytes > self.limits.context_bytes_max {
            let message = "the events' own contexts are too large together: declare their terms \
                           once, in the document's";
            self.issue(Issue::new(Rule::Limit, at, message));
            return None;
        }
        self.own_context = Some((own.clone(), Arc::clone(&context)));
        Some(context)
    }

    fn missing_context(&mut self, at: &At<'_>) {
        let message = format!("@context must name {}", rdf::terms::CONTEXT_URLS[0]);
        self.issue(Issue::new(Rule::Context, at, message));
    }

    fn all(&mut self, events: Vec<Value>, context: &Arc<Context>, at: &At<'_>) {
        if events.len() > self.limits.events_max {
            let message = format!(
                "{} events; at most {} are taken at once",
                events.len(),
                self.limits.events_max
            );
            self.issue(Issue::new(Rule::Limit, at, message));
            return;
        }
        self.events.reserve(events.len());
        for (index, event) in events.into_iter().enumerate() {
            if self.issues.len() >= self.limits.issues_max
                || self.context_bytes > self.limits.context_bytes_max
            {
                self.stopped = true;
                return;
            }
            self.event(event, index, context, &at.index(index));
        }
    }

    fn event(&mut self, value: Value, index: usize, context: &Arc<Context>, at: &At<'_>) {
        let first = self.issues.len();
        if let Some(event) = self.check_event(value, context, at) {
            self.events.push(event);
            self.positions.push(index);
        }
        for issue in &mut self.issues[first..] {
            issue.event = Some(index);
        }
    }

    fn check_event(&mut self, value: Value, context: &Arc<Context>, at: &At<'_>) -> Option<Event> {
        let Value::Object(members) = &value else {
            self.issue(Issue::new(Rule::JsonType, at, "an event is an object"));
            return None;
        };
        let context = match members.get("@context") {
            Some(own) => self.own_context(context, own, &at.key("@context"))?,
            None if context.has_epcis() => Arc::clone(context),
            None => {
                self.missing_context(&at.key("@context"));
                return None;
            }
        };
        let mut checker = Checker::new(&context, self.limits.issues_max);
        let kind = event::check(&mut checker, members, at);
        if !checker.issues.is_empty() {
            self.issues.append(&mut checker.issues);
            return None;
        }
        match rdf::expand(members, &context, &self.limits.rdf, None, at) {
            Ok(dataset) => {
                let text = |key| members.get(key).and_then(Value::as_str);
                let (id, time) = (text("eventID").map(str::to_owned), text("eventTime"));
                let event = Event {
                    kind: kind?,
                    id,
                    time: Timestamp::parse(time?)?,
                    context,
                    dataset,
                    value,
                };
                self.has_its_own_hash(&event, &at.key("eventID"))
                    .then_some(event)
            }
            Err(error) => {
                self.issue(Issue::from_rdf(error, at));
                None
            }
        }
    }

    /// Whether the id of `event`, at `at`, is none that another event has by its hash.
    fn has_its_own_hash(&mut self, event: &Event, at: &At<'_>) -> bool {
        let id = event
            .id
            .as_deref()
            .filter(|id| self.limits.event_hashes_checked && event_hash::is_event_hash(id));
        let Some(id) = id else {
            return true;
        };
        let own = match event_hash::is_right(event, id) {
            Ok(true) => return true,
            Ok(false) => event_hash::event_hash(event),
            Err(error) => Err(error),
        };
        let issue = match own {
            Ok(own) => {
                let message =
                    format!("the event's hash id is {own}; it was changed after {id:?} was made");
                Issue::new(Rule::EventHash, at, message)
            }
            Err(error) => Issue::new(
                Rule::Limit,
                at,
                format!("the event has no hash id: {error}"),
            ),
        };
        self.issue(issue);
        false
    }
}
