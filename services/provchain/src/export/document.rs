//! Events as EPCIS documents that can be captured again.

use serde_json::{Map, Value, json};

use crate::rdf::terms::CONTEXT_URLS;

/// How much a document holds: a node must take it as one capture.
#[derive(Clone, Copy, Debug)]
pub struct PageLimits {
    /// Events.
    pub events: usize,
    /// Bytes of events; one that is larger has a document of its own.
    pub bytes: usize,
}

/// Events on their way into documents.
///
/// An event is stored with its whole context, a list. What the lists of all events of a document
/// begin with is the document's, and what is left stays with each event, so that a capture, which
/// joins the two, stores every event as it was, byte for byte.
#[derive(Debug)]
pub struct Documents {
    limits: PageLimits,
    page: Page,
    bytes: usize,
}

/// The events of one document.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// What the contexts of all events begin with.
    context: Vec<Value>,
    events: Vec<Map<String, Value>>,
}

impl Documents {
    /// Documents of this size.
    #[must_use]
    pub fn new(limits: PageLimits) -> Self {
        Self {
            limits,
            page: Page::default(),
            bytes: 0,
        }
    }

    /// Takes a stored event in; gives the document before it, if it begins another.
    ///
    /// # Errors
    /// Bytes that are no JSON object.
    pub fn push(&mut self, stored: &[u8]) -> Result<Option<Page>, serde_json::Error> {
        let mut event: Map<String, Value> = serde_json::from_slice(stored)?;
        let context = match event.shift_remove("@context") {
            Some(Value::Array(contexts)) => contexts,
            Some(single) => vec![single],
            None => Vec::new(),
        };
        let shared = self.page.shared_with(&context);
        let fits = self.page.events.len() < self.limits.events
            && self.bytes + stored.len() <= self.limits.bytes
            && declares_terms(&self.page.context[..shared]);
        let full = if self.page.events.is_empty() {
            self.page.context = context;
            None
        } else if fits {
            self.page.share(shared);
            restore(&mut event, &context[shared..]);
            None
        } else {
            let next = Page {
                context,
                events: Vec::new(),
            };
            self.bytes = 0;
            Some(std::mem::replace(&mut self.page, next))
        };
        self.bytes += stored.len();
        self.page.events.push(event);
        Ok(full)
    }

    /// The last document.
    #[must_use]
    pub fn finish(self) -> Option<Page> {
        (!self.page.events.is_empty()).then_some(self.page)
    }
}

/// A document has to declare the terms of EPCIS itself.
fn declares_terms(context: &[Value]) -> bool {
    let declares = |entry: &Value| CONTEXT_URLS.iter().any(|url| entry == url);
    context.iter().any(declares)
}

/// Puts what is not the document's in front of an event's context.
fn restore(event: &mut Map<String, Value>, own: &[Value]) {
    if own.is_empty() {
        return;
    }
    let mut context = own.to_vec();
    if let Some(Value::Array(rest)) = event.shift_remove("@context") {
        context.extend(rest);
    }
    event.shift_insert(0, "@context".to_owned(), Value::Array(context));
}

impl Page {
    /// How many contexts at the beginning of this list are the document's, too.
    fn shared_with(&self, context: &[Value]) -> usize {
        let pairs = self.context.iter().zip(context);
        pairs.take_while(|(one, other)| one == other).count()
    }

    /// Makes the first `count` contexts the document's, and gives the others back to the events.
    fn share(&mut self, count: usize) {
        let own = self.context.split_off(count);
        for event in &mut self.events {
            restore(event, &own);
        }
    }

    /// The number of events.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is no event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The `EPCISDocument`, made at `created` (RFC 3339).
    #[must_use]
    pub fn into_json(self, created: &str) -> Value {
        json!({
            "@context": self.context,
            "type": "EPCISDocument",
            "schemaVersion": "2.0",
            "creationDate": created,
            "epcisBody": { "eventList": self.events },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epcis::{Limits, capture};

    const LIMITS: PageLimits = PageLimits {
        events: 3,
        bytes: 100_000,
    };

    fn stored(context: &Value, id: u32) -> Vec<u8> {
        let event = json!({
            "@context": context,
            "type": "ObjectEvent", "action": "OBSERVE",
            "eventID": format!("urn:uuid:374d95fc-9457-4a51-bd6a-0bba1338{id:04}"),
            "eventTime": "2026-04-03T20:33:31Z", "eventTimeZoneOffset": "+02:00",
            "epcList": ["urn:epc:id:sgtin:0614141.107346.2017"],
        });
        event.to_string().into_bytes()
    }

    /// The events as a capture of the documents would store them, and how many a document has.
    fn round(events: &[Vec<u8>], limits: PageLimits) -> (Vec<Vec<u8>>, Vec<usize>) {
        let mut documents = Documents::new(limits);
        let mut pages = Vec::new();
        for event in events {
            pages.extend(documents.push(event).unwrap());
        }
        pages.extend(documents.finish());
        let sizes = pages.iter().map(Page::len).collect();
        let captured = pages.into_iter().flat_map(|page| {
            let body = page.into_json("2026-04-03T20:33:31Z").to_string();
            let document = capture::parse(body.as_bytes(), &Limits::default()).unwrap();
            let again = document.events.iter();
            let again = again.map(|event| event.self_contained(&document.context).to_string());
            again.map(String::into_bytes).collect::<Vec<_>>()
        });
        (captured.collect(), sizes)
    }

    #[test]
    fn every_event_is_stored_again_as_it_was_whatever_the_contexts_beside_it() {
        let [gs1, other, _] = CONTEXT_URLS;
        let contexts = [
            json!([gs1]),
            json!([gs1]),
            json!([gs1, { "a": "https://one.example/" }]),
            json!([gs1, { "a": "https://one.example/" }, { "b": "https://two.example/" }]),
            json!([gs1, { "a": "https://two.example/" }]),
            json!([other, { "a": "https://two.example/" }]),
            json!([gs1]),
        ];
        let events: Vec<_> = (0..)
            .zip(&contexts)
            .map(|(id, it)| stored(it, id))
            .collect();
        for events_max in 1..8 {
            let limits = PageLimits {
                events: events_max,
                ..LIMITS
            };
            let (again, sizes) = round(&events, limits);
            assert_eq!(again, events);
            assert!(sizes.iter().all(|size| *size <= events_max), "{sizes:?}");
        }
        // Its own spelling of GS1's context needs a document of its own.
        let many = PageLimits {
            events: 100,
            ..LIMITS
        };
        assert_eq!(round(&events, many).1, [5, 1, 1]);
    }

    #[test]
    fn a_document_holds_as_many_bytes_as_it_may_and_one_event_at_least() {
        let events: Vec<_> = (0..4)
            .map(|id| stored(&json!([CONTEXT_URLS[0]]), id))
            .collect();
        let limits = |bytes| PageLimits { bytes, ..LIMITS };
        assert_eq!(round(&events, limits(events[0].len() * 2)).1, [2, 2]);
        assert_eq!(round(&events, limits(1)), (events, vec![1; 4]));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        assert!(Documents::new(LIMITS).push(b"[]").is_err());
        assert!(Documents::new(LIMITS).push(b"").is_err());
    }
}
