//! What the REST binding lets client and server say of themselves in headers (EPCIS 2.0, section 12.5).

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::ApiError;
use crate::query::Prefixes;

/// The version of EPCIS and of the Core Business Vocabulary that is spoken here, and no other.
const VERSION: &str = "2.0.0";

/// Events come as they were captured: a translated identifier would be in no statement that the
/// ledger commits to.
const EPC_FORMAT: &str = "Never_Translates";

/// What a client asks for beside its question.
pub(super) struct Wishes {
    /// The prefixes in its question.
    pub prefixes: Prefixes,
    /// The media type of the answer.
    pub media_type: HeaderValue,
}

impl Wishes {
    /// Reads them from the headers of a request.
    ///
    /// # Errors
    /// What cannot be had here: another version, another media type, translated identifiers.
    pub fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        for (name, is_within) in [
            ("gs1-epcis-min", at_most as fn(&str) -> bool),
            ("gs1-cbv-min", at_most),
            ("gs1-epcis-max", at_least),
            ("gs1-cbv-max", at_least),
        ] {
            if let Some(version) = text(name)
                && !is_within(version)
            {
                return Err(ApiError::NotAcceptable(format!(
                    "{name} {version} cannot be: this is {VERSION}"
                )));
            }
        }
        match text("gs1-epc-format") {
            None | Some("No_Preference" | "Never_Translates") => {}
            Some(other) => {
                return Err(ApiError::NotAcceptable(format!(
                    "GS1-EPC-Format {other:?} cannot be: events come as they were captured \
                     ({EPC_FORMAT})"
                )));
            }
        }
        let prefixes = match text("gs1-extensions") {
            Some(header) => Prefixes::of_header(header)?,
            None => Prefixes::default(),
        };
        Ok(Self {
            prefixes,
            media_type: media_type(text("accept"))?,
        })
    }
}

/// The media type of JSON that `accept` takes.
fn media_type(accept: Option<&str>) -> Result<HeaderValue, ApiError> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let Some(accept) = accept else {
        return Ok(JSON);
    };
    let ranges = accept.split(',').map(|range| {
        let range = range.split(';').next().unwrap_or_default();
        range.trim().to_ascii_lowercase()
    });
    let ranges: Vec<String> = ranges.collect();
    let takes = |kind: &str| ranges.iter().any(|range| range == kind);
    if takes("application/json") || takes("application/*") || takes("*/*") {
        return Ok(JSON);
    }
    if takes("application/ld+json") {
        return Ok(HeaderValue::from_static("application/ld+json"));
    }
    Err(ApiError::NotAcceptable(format!(
        "{accept} cannot be: answers are application/json or application/ld+json"
    )))
}

fn at_most(version: &str) -> bool {
    numbers(version).is_some_and(|version| version <= [2, 0, 0])
}

fn at_least(version: &str) -> bool {
    numbers(version).is_some_and(|version| version >= [2, 0, 0])
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    let parts: Vec<&str> = version.trim().split('.').collect();
    if parts.len() > numbers.len() {
        return None;
    }
    for (number, part) in numbers.iter_mut().zip(parts) {
        *number = part.parse().ok()?;
    }
    Some(numbers)
}

/// Says of an answer what it is made of.
pub(super) fn describe(response: &mut Response) {
    for name in ["gs1-epcis-version", "gs1-cbv-version"] {
        set(response, name, VERSION);
    }
    set(response, "gs1-epc-format", EPC_FORMAT);
}

/// The answer to `OPTIONS` on a resource that can be read.
pub(super) async fn readable() -> Response {
    options("OPTIONS, GET")
}

/// The answer to `OPTIONS` on a resource that can be read and written.
pub(super) async fn writable() -> Response {
    options("OPTIONS, GET, POST")
}

/// The answer to `OPTIONS` on a resource that can be read and removed.
pub(super) async fn removable() -> Response {
    options("OPTIONS, GET, DELETE")
}

fn options(allow: &'static str) -> Response {
    let allow = [(header::ALLOW, HeaderValue::from_static(allow))];
    let mut response = (StatusCode::NO_CONTENT, allow).into_response();
    describe(&mut response);
    for name in [
        "gs1-epcis-min",
        "gs1-epcis-max",
        "gs1-cbv-min",
        "gs1-cbv-max",
    ] {
        set(&mut response, name, VERSION);
    }
    set(
        &mut response,
        "gs1-vendor-version",
        env!("CARGO_PKG_VERSION"),
    );
    response
}

fn set(response: &mut Response, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    let value = HeaderValue::from_static(value);
    response.headers_mut().insert(name, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wishes(pairs: &[(&'static str, &str)]) -> Result<Wishes, ApiError> {
        let headers = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        Wishes::of(&headers.collect())
    }

    #[test]
    fn what_can_be_had_is_given_and_what_cannot_is_said() {
        for wish in [
            ("gs1-epcis-min", "1.0.0"),
            ("gs1-epcis-max", "2.0"),
            ("gs1-cbv-max", "2.0.0"),
            ("gs1-epc-format", "No_Preference"),
            ("accept", "text/html, application/*;q=0.8"),
            ("gs1-extensions", "ext=https://ns.example.com/epcis/"),
        ] {
            assert!(wishes(&[wish]).is_ok(), "{wish:?}");
        }
        for wish in [
            ("gs1-epcis-min", "2.0.1"),
            ("gs1-epcis-max", "1.2"),
            ("gs1-cbv-min", "3"),
            ("gs1-cbv-max", "new"),
            ("gs1-epc-format", "Always_EPC_URN"),
            ("accept", "application/xml"),
        ] {
            let found = wishes(&[wish]).map(drop);
            assert!(matches!(found, Err(ApiError::NotAcceptable(_))), "{wish:?}");
        }
        let linked = wishes(&[("accept", "application/ld+json")]).unwrap();
        assert_eq!(linked.media_type, "application/ld+json");
    }
}
