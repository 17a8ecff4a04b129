//! `GET /events`: queries for events, a page at a time (EPCIS 2.0, sections 8.2.7 and 12).

pub(crate) mod document;
mod walk;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Uri, header};
use kit::problem::{Problem, Query};
use schemars::JsonSchema;
use serde_json::Value;

use self::walk::Walk;
use super::negotiate::{self, Wishes};
use super::{Api, ApiError, Shared};
use crate::access::{Caller, Viewer};
use crate::ledger::identity::LedgerSecret;
use crate::query::{Cut, EventQuery, PageToken, Paging, Position, QueryError};

/// How long the index looks for the things on a page.
pub(super) const SEARCH_TIME: Duration = Duration::from_secs(10);

/// Most events that `maxEventCount` counts.
const COUNT_MAX: u64 = 100_000;

/// Headers of a query.
pub(super) const HEADERS: &[&str] = &["GS1-Extensions", "GS1-EPC-Format"];

/// The parameters of a page.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `Paging` takes")]
pub(super) struct Paged {
    /// How many a page has: 1 to 1000; 30 where it is not said.
    per_page: Option<u16>,
    /// The page after that one; the header Link of it has the address.
    next_page_token: Option<String>,
}

/// The parameters of SimpleEventQuery (EPCIS 2.0, section 8.2.7.1), such as EQ_bizStep=shipping.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `Paging` and `EventQuery` take")]
pub(super) struct Conditions {
    #[serde(flatten)]
    paged: Paged,
    #[serde(flatten)]
    conditions: std::collections::BTreeMap<String, String>,
}

pub(super) async fn events(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    headers: HeaderMap,
    Query(parameters): Query<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let question = Question::new(&uri, &headers, caller.viewer, parameters)?;
    Ok(find(&api, question, None).await?)
}

/// What a request asks for, of events or of the names in them.
pub(super) struct Question {
    pub viewer: Viewer,
    pub wishes: Wishes,
    pub paging: Paging,
    /// The parameters, but for those of paging.
    pub parameters: Vec<(String, String)>,
    path: String,
    /// What tokens are bound to: the question, and who asks it.
    binding: Vec<u8>,
}

impl Question {
    pub fn new(
        uri: &Uri,
        headers: &HeaderMap,
        viewer: Viewer,
        mut parameters: Vec<(String, String)>,
    ) -> Result<Self, ApiError> {
        let paging = Paging::take(&mut parameters)?;
        let extensions = headers.get("gs1-extensions");
        let mut sorted: Vec<_> = parameters.iter().collect();
        sorted.sort_unstable();
        let mut binding = Vec::new();
        let mut bind = |part: &[u8]| bind(&mut binding, part);
        bind(uri.path().as_bytes());
        bind(extensions.map_or(&[], HeaderValue::as_bytes));
        for (name, value) in sorted {
            bind(name.as_bytes());
            bind(value.as_bytes());
        }
        match &viewer {
            Viewer::All => bind(b"all"),
            Viewer::Party { own, partner_of } => {
                // No event is nobody's own.
                bind(&own.unwrap_or_default().to_be_bytes());
                for partner in partner_of {
                    bind(&partner.to_be_bytes());
                }
            }
        }
        Ok(Self {
            viewer,
            wishes: Wishes::of(headers)?,
            paging,
            parameters,
            path: uri.path().to_owned(),
            binding,
        })
    }

    /// Binds tokens to more than what the request says.
    pub fn bind(&mut self, part: &[u8]) {
        bind(&mut self.binding, part);
    }

    /// The token of the page before this one, if there was one.
    pub fn token(&self, secret: &LedgerSecret) -> Result<Option<PageToken>, ApiError> {
        let Some(text) = &self.paging.token else {
            return Ok(None);
        };
        let token = PageToken::open(text, secret, &self.binding).map_err(|error| {
            let reason = error.to_string();
            QueryError::Parameter {
                name: "nextPageToken".to_owned(),
                reason,
            }
        })?;
        Ok(Some(token))
    }

    /// The page as a response, with the way to the next one.
    pub fn respond(
        &self,
        body: &Value,
        next: Option<&PageToken>,
        secret: &LedgerSecret,
    ) -> Result<Response, ApiError> {
        let kind = (header::CONTENT_TYPE, self.wishes.media_type.clone());
        let mut response = ([kind], body.to_string()).into_response();
        negotiate::describe(&mut response);
        if let Some(next) = next {
            let token = next.seal(secret, &self.binding);
            let link = format!("<{}>; rel=\"next\"", self.address(&token));
            let link = HeaderValue::from_str(&link)
                .map_err(|error| ApiError::Internal(error.to_string()))?;
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }

    /// The address of the page that `token` leads to.
    fn address(&self, token: &str) -> String {
        let size = self.paging.size.to_string();
        let paging = [("perPage", size.as_str()), ("nextPageToken", token)];
        let asked = self.parameters.iter();
        let asked = asked.map(|(name, value)| (name.as_str(), value.as_str()));
        let parameters = asked
            .chain(paging)
            .map(|(name, value)| format!("{}={}", encoded(name), encoded(value)));
        let parameters: Vec<String> = parameters.collect();
        format!("{}?{}", self.path, parameters.join("&"))
    }
}

fn bind(binding: &mut Vec<u8>, part: &[u8]) {
    binding.extend((part.len() as u64).to_be_bytes());
    binding.extend(part);
}

/// `text` as a part of a query string (RFC 3986, section 2.3).
fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.push_str(&hex::encode_upper([byte]));
        }
        encoded
    })
}

/// Answers a query; `fixed` is the parameter that its address stands for.
pub(super) async fn find(
    api: &Api,
    question: Question,
    fixed: Option<(&str, &str)>,
) -> Result<Response, ApiError> {
    let asked = question.parameters.iter();
    let asked = asked.map(|(name, value)| (name.as_str(), value.as_str()));
    let query = EventQuery::parse(asked.chain(fixed), &question.wishes.prefixes)?;
    answer(api, question, query, "SimpleEventQuery").await
}

/// Answers a query of this name.
pub(super) async fn answer(
    api: &Api,
    question: Question,
    query: EventQuery,
    name: &str,
) -> Result<Response, ApiError> {
    let (secret, size) = api.caught_up().await?;
    let token = question.token(&secret)?;
    let turn = api.query_turn().await?;
    let (after, left) = match &token {
        Some(token) => (Some(token.after.clone()), token.left),
        None => (None, first_of(query.cut)),
    };
    let (first, size) = (token.is_none(), token.map_or(size, |token| token.size));
    let want = left.map_or(question.paging.size, |left| {
        usize::try_from(left).map_or(question.paging.size, |left| left.min(question.paging.size))
    });
    let identified = match query.event_ids() {
        Some(ids) => Some(api.entries_of(ids, &question.viewer).await?),
        None => None,
    };
    let walk = Walk {
        api: api.clone(),
        query: Arc::new(query),
        viewer: question.viewer.clone(),
        size,
        identified,
        _turn: turn,
    };
    // A client that hangs up ends the request, and not the work: the turn is held until that ends.
    let walked = tokio::spawn(async move {
        if first && let Cut::AtMost(most) = walk.query.cut {
            walk.check_count(most.min(COUNT_MAX)).await?;
        }
        walk.page(after, want).await
    });
    let page = walked
        .await
        .map_err(|error| ApiError::Internal(error.to_string()))??;
    let left = left.map(|left| left.saturating_sub(page.events.len() as u64));
    let next = page.next.filter(|_| left != Some(0));
    let next = next.map(|after| PageToken { size, left, after });
    let body = document::of(page.events, kit::clock::unix_ms(), name, None);
    question.respond(&body, next.as_ref(), &secret)
}

fn first_of(cut: Cut) -> Option<u64> {
    match cut {
        Cut::First(count) => Some(count),
        Cut::None | Cut::AtMost(_) => None,
    }
}

/// Events, and where the answer goes on.
struct Page {
    events: Vec<document::Found>,
    next: Option<Position>,
}

impl Shared {
    /// The ledger's secret and its size, once this node's index holds that.
    pub(super) async fn caught_up(&self) -> Result<(LedgerSecret, u64), ApiError> {
        let founded = self.indexed().await?;
        Ok((founded.secret, founded.size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(path: &'static str, parameters: &[(&str, &str)]) -> Question {
        question_of(Viewer::anybody(), path, parameters)
    }

    fn question_of(viewer: Viewer, path: &'static str, parameters: &[(&str, &str)]) -> Question {
        let owned = parameters
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Question::new(
            &Uri::from_static(path),
            &HeaderMap::new(),
            viewer,
            owned.collect(),
        )
        .unwrap()
    }

    #[test]
    fn a_token_holds_for_its_question_only_in_whatever_order_that_is_asked() {
        let secret = LedgerSecret::from_random([7; 32]);
        let token = PageToken {
            size: 5,
            left: None,
            after: Position::Event(1, 2),
        };
        let asked = question("/events", &[("EQ_action", "ADD"), ("orderBy", "eventTime")]);
        let text = token.seal(&secret, &asked.binding);
        let open = |path, parameters: &[(&str, &str)]| {
            let mut parameters = parameters.to_vec();
            parameters.push(("nextPageToken", &text));
            question(path, &parameters).token(&secret)
        };
        let again = [
            ("orderBy", "eventTime"),
            ("perPage", "3"),
            ("EQ_action", "ADD"),
        ];
        assert_eq!(open("/events", &again).unwrap(), Some(token));
        assert!(open("/events", &[("EQ_action", "ADD")]).is_err());
        assert!(open("/bizSteps/packing/events", &again).is_err());
        // Nor for anybody else who asks it.
        let party = |own, partner_of: &[u64]| Viewer::Party {
            own,
            partner_of: partner_of.iter().copied().collect(),
        };
        for viewer in [Viewer::All, party(Some(1), &[]), party(None, &[1])] {
            let mut other = question_of(viewer, "/events", &again);
            other.paging.token = Some(text.clone());
            assert!(other.token(&secret).is_err());
        }
        let mut other = question("/events", &[]);
        other.paging.token = Some("x".to_owned());
        assert!(other.token(&secret).is_err());
    }

    #[test]
    fn the_next_page_is_asked_as_this_one_was() {
        let asked = question("/events", &[("EQ_example:a b", "1+1|é"), ("perPage", "7")]);
        assert_eq!(
            asked.address("t-1"),
            "/events?EQ_example%3Aa%20b=1%2B1%7C%C3%A9&perPage=7&nextPageToken=t-1"
        );
    }
}
