//! Logging in and out: short tokens, refreshed for as long as a session lasts.

use std::time::Duration;

use axum::extract::State;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kit::problem::{Json, Problem};
use kit::rate;
use kit::serve::Connection;
use kit::tokens::Claims;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{Api, ApiError};
use crate::access::{Caller, Role, password};
use crate::machine::command::access::change::Change;
use crate::machine::command::access::{
    EndSession, OpenSession, RefreshSession, RevokeToken, SetPassword,
};

/// How long somebody waits whose password is to be checked while others' are.
const TURN_WAIT: Duration = Duration::from_secs(5);

/// What somebody logs in with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Login {
    user: String,
    password: String,
}

/// The answer to a login (RFC 6749, section 5.1).
#[derive(Serialize, JsonSchema)]
pub(super) struct Tokens {
    access_token: String,
    token_type: &'static str,
    expires_in: u64,
    refresh_token: String,
    refresh_expires_in: u64,
    user: String,
    role: Role,
    party: String,
}

/// Why nobody is logged in. One answer for a wrong name and for a wrong password.
fn refused() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED)
        .with_detail("the user or the password is wrong, or the user is disabled")
        .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))
}

/// `POST /auth/login`.
pub(super) async fn login(
    State(api): State<Api>,
    connection: Connection,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<Json<Tokens>, Problem> {
    let address = api.client_address(Some(&connection), &headers);
    // Guessing one user's password, or every user's, from one place.
    for key in [format!("{} {}", login.user, address), address.clone()] {
        if let Err(wait) = api.logins.check(&key) {
            return Err(rate::refusal(wait));
        }
    }
    let stored = api.directory.now().users.get(&login.user).and_then(|user| {
        let enabled = !user.disabled;
        user.password.clone().filter(|_| enabled)
    });
    if !api.check_password(login.password, stored).await? {
        tracing::warn!(target: "audit", user = login.user, %address, "login refused");
        metrics::counter!("provchain_logins_total", "result" => "refused").increment(1);
        return Err(refused());
    }
    let (token, hash) = refresh_token();
    let expires = kit::clock::unix_seconds() + api.sessions.refresh_seconds();
    let opened = OpenSession {
        user: login.user.clone(),
        family: uuid::Uuid::new_v4().to_string(),
        hash,
        expires,
    };
    api.change_access(&login.user, Change::OpenSession(opened))
        .await?;
    metrics::counter!("provchain_logins_total", "result" => "accepted").increment(1);
    Ok(Json(api.tokens_for(&login.user, token)?))
}

/// 32 random bytes, and what is kept of them.
fn refresh_token() -> (String, Vec<u8>) {
    let token = hex::encode(rand::random::<[u8; 32]>());
    let hash = hash_of(&token);
    (token, hash)
}

fn hash_of(token: &str) -> Vec<u8> {
    Sha256::digest(token.as_bytes()).to_vec()
}

impl Api {
    /// Whether this is the password. Hashing takes a processor and 19 MiB: a few at a time.
    async fn check_password(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, Problem> {
        let turn = self.hashing_turn().await?;
        let checked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            password::verify(&password, stored.as_deref())
        });
        checked.await.map_err(Problem::internal)
    }

    /// The hash of a new password.
    pub(super) async fn hash_password(&self, password: String) -> Result<String, Problem> {
        let turn = self.hashing_turn().await?;
        let hashed = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            password::hash(&password, &rand::random())
        });
        let hashed = hashed.await.map_err(Problem::internal)?;
        hashed.map_err(|error| Problem::bad_request(error.to_string()))
    }

    async fn hashing_turn(&self) -> Result<super::Turn, Problem> {
        let turn = tokio::time::timeout(TURN_WAIT, self.hashing.clone().acquire_owned()).await;
        turn.map_err(|_| Problem::unavailable("too many logins at a time: try again"))?
            .map_err(Problem::internal)
    }

    /// Tokens for a user that has just shown who it is.
    fn tokens_for(&self, user: &str, refresh_token: String) -> Result<Tokens, Problem> {
        let directory = self.directory.now();
        let known = directory.users.get(user).ok_or_else(refused)?;
        // A token is of whole seconds: one of this second must not be taken for an older one, which
        // a new password has voided.
        let iat = kit::clock::unix_seconds().max(known.valid_from);
        let expires_in = self.sessions.access_seconds();
        let claims = Claims {
            sub: user.to_owned(),
            role: known.role.to_string(),
            iat,
            exp: iat + expires_in,
            jti: uuid::Uuid::new_v4().to_string(),
            iss: self.tokens.login.issuer().to_owned(),
            aud: self.tokens.login.audience().to_owned(),
        };
        Ok(Tokens {
            access_token: self.tokens.login.sign(&claims).map_err(Problem::internal)?,
            token_type: "Bearer",
            expires_in,
            refresh_token,
            refresh_expires_in: self.sessions.refresh_seconds(),
            user: user.to_owned(),
            role: known.role,
            party: directory.parties.name(known.party).to_owned(),
        })
    }
}

/// A refresh token.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    refresh_token: String,
}

/// `POST /auth/refresh`: each refresh token is used once.
pub(super) async fn refresh(
    State(api): State<Api>,
    connection: Connection,
    headers: HeaderMap,
    Json(refresh): Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    let address = api.client_address(Some(&connection), &headers);
    if let Err(wait) = api.logins.check(&format!("refresh {address}")) {
        return Err(rate::refusal(wait));
    }
    let (token, next) = refresh_token();
    let change = Change::RefreshSession(RefreshSession {
        hash: hash_of(&refresh.refresh_token),
        next,
        expires: kit::clock::unix_seconds() + api.sessions.refresh_seconds(),
    });
    let changed = api
        .change_access("", change)
        .await
        .map_err(|error| match error {
            // What is not known here is no credential.
            ApiError::NotFound(reason) => refused().with_detail(reason),
            error => error.into(),
        })?;
    Ok(Json(api.tokens_for(&changed.user, token)?))
}

/// What ends with a logout.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Logout {
    refresh_token: Option<String>,
}

/// `POST /auth/logout`: the session of the refresh token ends, and the access token with it.
pub(super) async fn logout(
    State(api): State<Api>,
    caller: Caller,
    Json(logout): Json<Logout>,
) -> Result<StatusCode, Problem> {
    if logout.refresh_token.is_none() && caller.token.is_none() {
        let detail = "there is nothing to end: send a token, a refresh token, or both";
        return Err(Problem::bad_request(detail));
    }
    if let Some(token) = &logout.refresh_token {
        let change = Change::EndSession(EndSession {
            hash: hash_of(token),
        });
        api.change_access(&caller.name, change).await?;
    }
    if let Some((id, expires)) = caller.token {
        let user = caller.name.clone();
        let change = Change::RevokeToken(RevokeToken { id, expires, user });
        api.change_access(&caller.name, change).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /auth/me`.
pub(super) async fn me(caller: Caller) -> Json<Value> {
    Json(json!({ "user": caller.name, "role": caller.role, "party": caller.party }))
}

/// A new password, and the old one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPassword {
    current: String,
    new: String,
}

/// `POST /auth/password`: every session and token of the caller ends.
pub(super) async fn password(
    State(api): State<Api>,
    caller: Caller,
    Json(passwords): Json<NewPassword>,
) -> Result<StatusCode, Problem> {
    if let Err(wait) = api.logins.check(&format!("{} password", caller.name)) {
        return Err(rate::refusal(wait));
    }
    let directory = api.directory.now();
    let stored = directory.users.get(&caller.name);
    let stored = stored.and_then(|user| user.password.clone());
    if !api.check_password(passwords.current, stored).await? {
        return Err(refused());
    }
    let password = api.hash_password(passwords.new).await?;
    let user = caller.name.clone();
    let change = Change::SetPassword(SetPassword { user, password });
    api.change_access(&caller.name, change).await?;
    Ok(StatusCode::NO_CONTENT)
}
