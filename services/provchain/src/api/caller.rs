//! Who asks, and whether the route is for them.

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::Problem;
use kit::serve::Connection;
use kit::tokens::{Keys, TokenError, bearer_token, insufficient_scope};
use sha2::{Digest as _, Sha256};

use super::Api;
use crate::access::directory::{Denied, Presented};
use crate::access::{Caller, Role};

/// How the key of a machine begins; its id and its secret follow, each behind an underscore.
const API_KEY: &str = "pck_";

/// Whom a route serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Everybody, without a token too.
    Anybody,
    /// Whoever has one of these roles.
    Roles(&'static [Role]),
}

impl Who {
    /// Whether it serves a caller of this role.
    #[must_use]
    pub fn includes(self, role: Option<Role>) -> bool {
        match self {
            Self::Anybody => true,
            Self::Roles(roles) => role.is_some_and(|role| roles.contains(&role)),
        }
    }
}

/// The two kinds of token: those that a login gives, and those that are signed outside with the
/// cluster's secret.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    pub signed: Keys,
    pub login: Keys,
}

impl TokenKeys {
    /// Both of one secret, told apart by their issuer.
    #[must_use]
    pub fn new(signed: Keys, network: &str) -> Self {
        let login = signed.between("provchain login", network);
        Self { signed, login }
    }
}

/// A key of a machine, as its bearer has it.
pub(super) struct ApiKeyText {
    pub id: String,
    pub hash: [u8; 32],
}

impl ApiKeyText {
    /// A new key: its text, to be shown once, and what is kept of it.
    pub fn generate() -> (String, Self) {
        let id = hex::encode(rand::random::<[u8; 8]>());
        let secret = hex::encode(rand::random::<[u8; 32]>());
        let hash = Sha256::digest(secret.as_bytes()).into();
        (format!("{API_KEY}{id}_{secret}"), Self { id, hash })
    }

    fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.strip_prefix(API_KEY)?.split_once('_')?;
        let hash = Sha256::digest(secret.as_bytes()).into();
        Some(Self {
            id: id.to_owned(),
            hash,
        })
    }
}

/// The token of a request: in its `Authorization` header, or among the subprotocols of a WebSocket,
/// with which a page cannot send headers.
fn credentials(headers: &HeaderMap) -> Result<&str, TokenError> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let mut offered = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .filter_map(|protocol| protocol.trim().strip_prefix("bearer."));
    match (bearer_token(headers), offered.next()) {
        (Err(TokenError::Missing), Some(token)) => Ok(token),
        (Ok(_), Some(_)) => Err(TokenError::Malformed),
        (token, None) => token,
        (Err(error), Some(_)) => Err(error),
    }
}

impl Api {
    /// Who sent these headers. A token that is not valid makes nobody of its bearer, and not somebody
    /// without a token: whoever sends one means to be known.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let now = kit::clock::unix_seconds();
        let directory = self.directory.now();
        let key = headers
            .get("x-api-key")
            .map(|key| key.to_str().unwrap_or_default());
        let token = match (key, credentials(headers)) {
            (Some(_), Ok(_)) => return Err(TokenError::Malformed.into()),
            (Some(key), Err(_)) => key,
            (None, Ok(token)) => token,
            (None, Err(TokenError::Missing)) => return Ok(Caller::anybody()),
            (None, Err(error)) => return Err(error.into()),
        };
        if token.starts_with(API_KEY) || key.is_some() {
            let key = ApiKeyText::parse(token).ok_or_else(|| denied(Denied::Key))?;
            return directory
                .of_api_key(&key.id, &key.hash, now)
                .map_err(denied);
        }
        let (claims, by_login) = match self.tokens.signed.verify_at(token, now) {
            Ok(claims) => (claims, false),
            Err(TokenError::WrongIssuer) => (self.tokens.login.verify_at(token, now)?, true),
            Err(error) => return Err(error.into()),
        };
        let role = claims.role.parse::<Role>().map_err(|reason| {
            insufficient_scope(&Role::ALL.map(Role::as_str), &claims.role).with_detail(reason)
        })?;
        directory
            .of_token(Presented {
                subject: &claims.sub,
                role,
                id: &claims.jti,
                issued: claims.iat,
                expires: claims.exp,
                by_login,
            })
            .map_err(denied)
    }
}

/// 401 with the reason, as for a token whose signature is wrong.
fn denied(reason: Denied) -> Problem {
    let text = format!("Bearer error=\"invalid_token\", error_description=\"{reason}\"");
    let challenge = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("Bearer"));
    Problem::new(StatusCode::UNAUTHORIZED)
        .with_detail(reason.to_string())
        .with_header(header::WWW_AUTHENTICATE, challenge)
}

/// Finds out who asks, and holds everybody to a rate of their own.
pub(super) async fn identify(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let caller = match api.caller(request.headers()) {
        Ok(caller) => caller,
        Err(problem) => {
            metrics::counter!("provchain_unauthenticated_total").increment(1);
            return problem.into_response();
        }
    };
    let key = if caller.role.is_some() {
        format!("@{}", caller.name)
    } else {
        api.client_address(request.extensions().get(), request.headers())
    };
    if let Err(wait) = api.rate.check(&key) {
        return kit::rate::refusal(wait).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

impl Api {
    /// The address that a request without a name is counted by.
    pub(super) fn client_address(
        &self,
        connection: Option<&Connection>,
        headers: &HeaderMap,
    ) -> String {
        connection.map_or_else(String::new, |connection| {
            let client = connection.client(headers, &self.trusted_proxies);
            kit::rate::address_key(client)
        })
    }
}

/// Lets only those in whom the route serves.
pub(super) async fn guard(State(who): State<Who>, request: Request, next: Next) -> Response {
    let Some(caller) = request.extensions().get::<Caller>() else {
        return Problem::internal("a route without identification").into_response();
    };
    if who.includes(caller.role) {
        return next.run(request).await;
    }
    let Who::Roles(roles) = who else {
        return next.run(request).await;
    };
    let Some(role) = caller.role else {
        return Problem::from(TokenError::Missing).into_response();
    };
    tracing::info!(
        target: "audit",
        actor = caller.name, %role, method = %request.method(), path = request.uri().path(),
        "denied"
    );
    let names: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
    insufficient_scope(&names, role.as_str()).into_response()
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let caller = parts.extensions.get::<Self>().cloned();
        caller.ok_or_else(|| Problem::internal("a route without identification"))
    }
}
