//! The form of an answer: chosen by `format=`, or else by the `Accept` header.

use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};
use schemars::JsonSchema;
use serde::Deserialize;

use super::ApiError;

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Format {
    /// With everything in it, for programs and for `provchain verify`.
    Json,
    /// A picture in the language of Graphviz.
    Dot,
    /// A picture.
    Svg,
    /// A page to read and to print.
    Html,
}

impl Format {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Dot => "text/vnd.graphviz",
            Self::Svg => "image/svg+xml",
            Self::Html => "text/html",
        }
    }

    /// The form that is asked for, of those that are `offered`; the first where it is all the same.
    pub(super) fn chosen(
        asked: Option<Self>,
        headers: &HeaderMap,
        offered: &[Self],
    ) -> Result<Self, ApiError> {
        match asked {
            Some(asked) if offered.contains(&asked) => Ok(asked),
            Some(asked) => Err(ApiError::BadRequest(format!(
                "format: there is no {} of this",
                asked.media_type()
            ))),
            None => Ok(accepted(headers, offered)),
        }
    }

    /// A response in this form. Which one it is may depend on the header, and what the pictures hold
    /// comes from events: nothing in them is to be run or fetched.
    pub(super) fn response(self, body: impl Into<axum::body::Body>) -> Response {
        const POLICY: HeaderValue =
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
        let kind = match self {
            Self::Json => HeaderValue::from_static("application/json"),
            Self::Dot => HeaderValue::from_static("text/vnd.graphviz; charset=utf-8"),
            Self::Svg => HeaderValue::from_static("image/svg+xml"),
            Self::Html => HeaderValue::from_static("text/html; charset=utf-8"),
        };
        let mut response = body.into().into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if matches!(self, Self::Svg | Self::Html) {
            headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
        }
        response
    }
}

/// The offered form that the `Accept` header (RFC 9110, section 12.5.1) likes best.
fn accepted(headers: &HeaderMap, offered: &[Format]) -> Format {
    let accept = headers.get_all(header::ACCEPT).iter();
    let ranges = accept.filter_map(|value| value.to_str().ok());
    let ranges: Vec<(&str, f32)> = ranges.flat_map(|list| list.split(',')).map(range).collect();
    // How well a form is liked, by the range that says most about it.
    let liking = |format: Format| {
        let name = format.media_type();
        let family = name.split('/').next().unwrap_or_default();
        let wanted = [name.to_owned(), format!("{family}/*"), "*/*".to_owned()];
        let by = wanted.iter().find_map(|wanted| {
            let range = ranges
                .iter()
                .find(|(range, _)| range.eq_ignore_ascii_case(wanted));
            range.map(|(_, quality)| *quality)
        });
        by.unwrap_or(0.0)
    };
    let first = offered.first().copied().unwrap_or(Format::Json);
    offered.iter().copied().fold(first, |best, format| {
        if liking(format) > liking(best) {
            format
        } else {
            best
        }
    })
}

/// A media range and its quality.
fn range(text: &str) -> (&str, f32) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().unwrap_or_default();
    let quality = parts.find_map(|part| part.strip_prefix("q="));
    (
        range,
        quality.map_or(1.0, |quality| quality.parse().unwrap_or(0.0)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_named_or_liked_best_or_else_the_first() {
        let offered = [Format::Json, Format::Dot, Format::Svg];
        let chosen = |asked, accept: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            Format::chosen(asked, &headers, &offered).unwrap()
        };
        for (accept, format) in [
            ("*/*", Format::Json),
            ("", Format::Json),
            ("text/plain", Format::Json),
            ("image/svg+xml", Format::Svg),
            ("IMAGE/SVG+XML;q=0.5", Format::Svg),
            (
                "image/avif,image/webp,image/svg+xml,image/*,*/*;q=0.8",
                Format::Svg,
            ),
            ("text/html,application/xml;q=0.9,*/*;q=0.8", Format::Json),
            ("text/vnd.graphviz, application/json;q=0.9", Format::Dot),
            ("application/json, image/svg+xml;q=0.9", Format::Json),
            ("application/json;q=0, image/svg+xml;q=0.001", Format::Svg),
        ] {
            assert_eq!(chosen(None, accept), format, "{accept}");
            assert_eq!(chosen(Some(Format::Dot), accept), Format::Dot, "{accept}");
        }
        let none = HeaderMap::new();
        assert_eq!(Format::chosen(None, &none, &offered).unwrap(), Format::Json);
        assert!(Format::chosen(Some(Format::Html), &none, &offered).is_err());
    }
}
