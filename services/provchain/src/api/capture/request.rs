//! What a client asks of a capture in its headers (EPCIS 2.0, section 12.4).

use http::{HeaderMap, StatusCode};
use kit::problem::Problem;

use super::super::Api;
use crate::access::Visibility;
use crate::epcis::capture::{self, Parsed};
use crate::epcis::{Issue, Limits};

/// How a body is read.
pub type Parse = fn(&[u8], &Limits) -> Result<Parsed, Vec<Issue>>;

/// Who may read the captured events beside their owner: public, partner or private.
const VISIBILITY: &str = "provchain-visibility";

/// What a client asks for.
#[derive(Clone, Copy)]
pub struct Asked {
    /// How the body is read, by what it is said to be.
    pub parse: Parse,
    /// Whether an event that is refused is left out, and not everything with it.
    pub proceed: bool,
    /// Who may read the events.
    pub visibility: Visibility,
}

impl Asked {
    /// Reads the headers. What is asked for and is not there is refused, not ignored.
    pub fn read(api: &Api, headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let kind = text("content-type").and_then(|kind| kind.split(';').next());
        let (parse, versions): (Parse, &[&str]) = match kind.map(str::trim) {
            None | Some("application/json" | "application/ld+json") => {
                (capture::parse_each, &["2.0"])
            }
            Some("application/xml" | "text/xml") => (capture::parse_each_xml, &["1.", "2.0"]),
            Some(kind) => {
                let detail = format!(
                    "{kind} is not taken here: send application/ld+json or application/xml"
                );
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).with_detail(detail));
            }
        };
        let proceed = match text("gs1-capture-error-behaviour") {
            None | Some("rollback") => false,
            Some("proceed") => true,
            Some(other) => {
                return Err(Problem::bad_request(format!(
                    "GS1-Capture-Error-Behaviour {other:?} is not known: rollback takes all events \
                     or none, proceed leaves out what is wrong"
                )));
            }
        };
        for name in ["gs1-epcis-version", "gs1-cbv-version"] {
            if let Some(version) = text(name)
                && !versions.iter().any(|taken| version.starts_with(taken))
            {
                let detail = format!("{name} {version} is not supported: this is 2.0");
                return Err(Problem::new(StatusCode::NOT_ACCEPTABLE).with_detail(detail));
            }
        }
        let visibility = match headers.get(VISIBILITY) {
            None => api.visibility_default,
            Some(value) => value
                .to_str()
                .unwrap_or_default()
                .parse()
                .map_err(|reason| {
                    Problem::bad_request(format!("Provchain-Visibility: {reason}"))
                })?,
        };
        Ok(Self {
            parse,
            proceed,
            visibility,
        })
    }
}
