//! The token of a request, as an extractor.

use axum::{
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};

use super::{Claims, Keys, TokenError};
use crate::problem::Problem;

/// The verified claims of a request's bearer token. The service puts its [`Keys`] into the
/// request's extensions: `router.layer(axum::Extension(keys))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bearer(pub Claims);

impl Bearer {
    /// The claims, when their role is one of `roles`.
    ///
    /// # Errors
    /// 403 with `insufficient_scope` (RFC 6750, section 3.1).
    pub fn require_role(&self, roles: &[&str]) -> Result<&Claims, Problem> {
        if roles.contains(&self.0.role.as_str()) {
            return Ok(&self.0);
        }
        Err(insufficient_scope(roles, &self.0.role))
    }
}

/// 403 for somebody who is known and has another role (RFC 6750, section 3.1).
#[must_use]
pub fn insufficient_scope(roles: &[&str], role: &str) -> Problem {
    let needed = roles.join(" or ");
    let detail = format!("this needs the role {needed}; the token has {role}");
    let challenge = HeaderValue::from_static("Bearer error=\"insufficient_scope\"");
    let problem = Problem::new(StatusCode::FORBIDDEN).with_detail(detail);
    problem.with_header(header::WWW_AUTHENTICATE, challenge)
}

impl<S: Sync> FromRequestParts<S> for Bearer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let keys = parts.extensions.get::<Keys>();
        let keys = keys.ok_or_else(|| Problem::internal("the router has no Extension<Keys>"))?;
        Ok(Self(keys.verify(bearer_token(&parts.headers)?)?))
    }
}

/// The only token of the only `Authorization` header (RFC 6750, section 2.1).
///
/// # Errors
/// [`TokenError::Missing`] without one, [`TokenError::Malformed`] with several.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, TokenError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(TokenError::Missing)?;
    if values.next().is_some() {
        return Err(TokenError::Malformed);
    }
    let value = value.to_str().map_err(|_| TokenError::Malformed)?;
    let (scheme, token) = value.split_once(' ').ok_or(TokenError::Missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim())
    } else {
        Err(TokenError::Missing)
    }
}

impl From<TokenError> for Problem {
    /// 401 with a challenge. A request without any token gets one without an error, as RFC 6750
    /// asks for.
    fn from(error: TokenError) -> Self {
        let challenge = match error {
            TokenError::Missing => HeaderValue::from_static("Bearer"),
            error => {
                let text = format!("Bearer error=\"invalid_token\", error_description=\"{error}\"");
                HeaderValue::from_str(&text)
                    .unwrap_or(HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
        };
        let problem = Self::new(StatusCode::UNAUTHORIZED).with_detail(error.to_string());
        problem.with_header(header::WWW_AUTHENTICATE, challenge)
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        Problem::from(self).into_response()
    }
}
