//! Users, API keys, partners, and the log of what was done to them.

use std::time::Duration;

use axum::extract::State;
use http::StatusCode;
use kit::problem::{Json, Path, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::caller::ApiKeyText;
use super::{Api, ApiError};
use crate::access::directory::{ApiKey, User};
use crate::access::{Caller, Directory, Role};
use crate::machine::VERSION_OF_ACCESS;
use crate::machine::access::audit_log;
use crate::machine::command::access::change::Change;
use crate::machine::command::access::{
    AccessChanged, ChangeAccess, PutApiKey, PutUser, Refusal, RevokeToken, SetPartners,
};
use crate::machine::command::{Command, change, reply};

impl Api {
    /// Changes the directory; returns once this node knows it too.
    pub(super) async fn change_access(
        &self,
        actor: &str,
        change: Change,
    ) -> Result<AccessChanged, ApiError> {
        self.require_version(VERSION_OF_ACCESS)?;
        let command = Command::of(change::Change::Access(ChangeAccess {
            time_ms: kit::clock::unix_ms(),
            actor: actor.to_owned(),
            change: Some(change),
        }));
        let proposed = self.cluster.propose(&command).await?;
        let changed = match proposed.reply.reply {
            Some(reply::Reply::Access(changed)) => changed,
            Some(reply::Reply::Refused(refused)) => return Err(ApiError::Busy(refused.reason)),
            _ => {
                return Err(ApiError::Internal(
                    "the ledger's reply cannot be read".into(),
                ));
            }
        };
        match changed.refusal() {
            Refusal::None => Ok(changed),
            Refusal::NotFound => Err(ApiError::NotFound(changed.refused)),
            Refusal::Exists => Err(ApiError::Exists(changed.refused)),
            Refusal::Invalid => Err(ApiError::BadRequest(changed.refused)),
        }
    }
}

fn user_json(directory: &Directory, name: &str, user: &User) -> Value {
    json!({
        "name": name,
        "role": user.role,
        "party": directory.parties.name(user.party),
        "disabled": user.disabled,
        "password": user.password.is_some(),
    })
}

/// `GET /api/v1/users`.
pub(super) async fn users(State(api): State<Api>) -> Json<Value> {
    let directory = api.directory.now();
    let users = directory.users.iter();
    let users: Vec<_> = users
        .map(|(name, user)| user_json(&directory, name, user))
        .collect();
    Json(json!({ "users": users }))
}

/// A user to make.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewUser {
    name: String,
    role: Role,
    party: Option<String>,
    /// Without one it acts through API keys only.
    password: Option<String>,
}

/// `POST /api/v1/users`.
pub(super) async fn create_user(
    State(api): State<Api>,
    caller: Caller,
    Json(user): Json<NewUser>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let password = match user.password {
        Some(password) => Some(api.hash_password(password).await?),
        None => None,
    };
    let change = Change::PutUser(PutUser {
        name: user.name.clone(),
        role: Some(user.role.to_string()),
        party: user.party,
        password,
        new: true,
        ..PutUser::default()
    });
    api.change_access(&caller.name, change).await?;
    Ok((StatusCode::CREATED, api.user(&user.name)?))
}

/// What to change of a user.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UserChange {
    role: Option<Role>,
    party: Option<String>,
    password: Option<String>,
    disabled: Option<bool>,
}

/// `PATCH /api/v1/users/{name}`.
pub(super) async fn change_user(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    Json(user): Json<UserChange>,
) -> Result<Json<Value>, Problem> {
    api.user(&name)?;
    let password = match user.password {
        Some(password) => Some(api.hash_password(password).await?),
        None => None,
    };
    let change = Change::PutUser(PutUser {
        name: name.clone(),
        role: user.role.map(|role| role.to_string()),
        party: user.party,
        password,
        disabled: user.disabled,
        ..PutUser::default()
    });
    api.change_access(&caller.name, change).await?;
    Ok(api.user(&name)?)
}

/// `DELETE /api/v1/users/{name}`: with its keys and sessions. What it captured stays.
pub(super) async fn remove_user(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    api.change_access(&caller.name, Change::RemoveUser(name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Api {
    fn user(&self, name: &str) -> Result<Json<Value>, ApiError> {
        let directory = self.directory.now();
        let user = directory.users.get(name);
        let user = user.ok_or_else(|| ApiError::NotFound(format!("there is no user {name}")))?;
        Ok(Json(user_json(&directory, name, user)))
    }
}

fn api_key_json(id: &str, key: &ApiKey) -> Value {
    json!({
        "id": id,
        "user": key.user,
        "label": key.label,
        "created": kit::clock::rfc3339(key.created_ms),
        "expires": key.expires.map(|seconds| kit::clock::rfc3339(seconds * 1000)),
    })
}

/// `GET /api/v1/api-keys`.
pub(super) async fn api_keys(State(api): State<Api>, caller: Caller) -> Json<Value> {
    let directory = api.directory.now();
    let all = caller.role == Some(Role::Admin);
    let keys = directory.api_keys.iter();
    let keys: Vec<_> = keys
        .filter(|(_, key)| all || key.user == caller.name)
        .map(|(id, key)| api_key_json(id, key))
        .collect();
    Json(json!({ "apiKeys": keys }))
}

/// A key to make.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct NewApiKey {
    /// The user that it acts as; by default the caller.
    user: Option<String>,
    #[serde(default)]
    label: String,
    /// Seconds until it ends; without it never.
    expires_in: Option<u64>,
}

/// `POST /api/v1/api-keys`: the only time that the key is shown.
pub(super) async fn create_api_key(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<NewApiKey>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let user = new.user.unwrap_or_else(|| caller.name.clone());
    if user != caller.name && caller.role != Some(Role::Admin) {
        return Err(Problem::new(StatusCode::FORBIDDEN)
            .with_detail("only an administrator makes keys that act as somebody else"));
    }
    let (text, key) = ApiKeyText::generate();
    let expires = new.expires_in.map(|seconds| {
        let ends = Duration::from_secs(kit::clock::unix_seconds());
        ends.saturating_add(Duration::from_secs(seconds)).as_secs()
    });
    let change = Change::PutApiKey(PutApiKey {
        id: key.id.clone(),
        user,
        hash: key.hash.to_vec(),
        label: new.label,
        // SQLite's integers end there, 292 thousand million years from now.
        expires: expires.map(|seconds| seconds.min(u64::MAX >> 11)),
    });
    api.change_access(&caller.name, change).await?;
    let directory = api.directory.now();
    let made = directory.api_keys.get(&key.id);
    let mut shown = made.map_or_else(|| json!({}), |made| api_key_json(&key.id, made));
    shown["key"] = text.into();
    Ok((StatusCode::CREATED, Json(shown)))
}

/// `DELETE /api/v1/api-keys/{id}`.
pub(super) async fn remove_api_key(
    State(api): State<Api>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let directory = api.directory.now();
    let key = directory.api_keys.get(&id);
    // Somebody else's key is none that the caller knows of.
    if key.is_none_or(|key| key.user != caller.name && caller.role != Some(Role::Admin)) {
        return Err(ApiError::NotFound(format!("there is no API key {id}")).into());
    }
    api.change_access(&caller.name, Change::RemoveApiKey(id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the caller may speak for a party.
fn speaks_for(caller: &Caller, party: &str) -> bool {
    caller.party == party || caller.role == Some(Role::Admin)
}

/// `GET /api/v1/parties/{party}/partners`.
pub(super) async fn partners(
    State(api): State<Api>,
    caller: Caller,
    Path(party): Path<String>,
) -> Result<Json<Value>, Problem> {
    if !speaks_for(&caller, &party) && caller.role != Some(Role::Auditor) {
        return Err(not_theirs(&party));
    }
    Ok(api.partners_json(&party))
}

fn not_theirs(party: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN).with_detail(format!("you do not act for {party}"))
}

impl Api {
    fn partners_json(&self, party: &str) -> Json<Value> {
        let directory = self.directory.now();
        let own = directory.parties.id(party);
        let mut partners: Vec<_> = directory
            .partner_of
            .iter()
            .filter(|(_, of)| own.is_some_and(|own| of.contains(&own)))
            .map(|(partner, _)| directory.parties.name(*partner))
            .collect();
        partners.sort_unstable();
        Json(json!({ "party": party, "partners": partners }))
    }
}

/// All partners of a party.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NewPartners")]
pub(super) struct Partners {
    partners: Vec<String>,
}

/// `PUT /api/v1/parties/{party}/partners`: from now on these parties, and no others, read what it
/// shows to its partners, what it captured before included.
pub(super) async fn set_partners(
    State(api): State<Api>,
    caller: Caller,
    Path(party): Path<String>,
    Json(new): Json<Partners>,
) -> Result<Json<Value>, Problem> {
    if !speaks_for(&caller, &party) {
        return Err(not_theirs(&party));
    }
    let change = Change::SetPartners(SetPartners {
        party: party.clone(),
        partners: new.partners,
    });
    api.change_access(&caller.name, change).await?;
    Ok(api.partners_json(&party))
}

/// A token to take back.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Revoke {
    token: String,
}

/// `POST /api/v1/tokens/revoke`.
pub(super) async fn revoke_token(
    State(api): State<Api>,
    caller: Caller,
    Json(revoke): Json<Revoke>,
) -> Result<StatusCode, Problem> {
    let claims = match api.tokens.signed.verify(&revoke.token) {
        Ok(claims) => claims,
        Err(_) => api
            .tokens
            .login
            .verify(&revoke.token)
            .map_err(|error| Problem::bad_request(format!("the token: {error}")))?,
    };
    let change = Change::RevokeToken(RevokeToken {
        id: claims.jti,
        expires: claims.exp,
        user: claims.sub,
    });
    api.change_access(&caller.name, change).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A page of the audit log.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AuditPage {
    /// Lines before the one of this number.
    before: Option<u64>,
    /// How many: 1 to 1000.
    limit: usize,
}

impl Default for AuditPage {
    fn default() -> Self {
        Self {
            before: None,
            limit: 100,
        }
    }
}

/// `GET /api/v1/audit`: the newest first.
pub(super) async fn audit(
    State(api): State<Api>,
    Query(page): Query<AuditPage>,
) -> Result<Json<Value>, Problem> {
    const LIMIT_MAX: usize = 1000;
    if page.limit == 0 || page.limit > LIMIT_MAX {
        return Err(Problem::bad_request(format!(
            "limit must be 1 to {LIMIT_MAX}"
        )));
    }
    api.require_version(VERSION_OF_ACCESS)?;
    let read = api.read(move |state| audit_log(state, page.before, page.limit));
    let rows: Vec<Value> = read
        .await?
        .into_iter()
        .map(|row| {
            let mut line = serde_json::to_value(&row).unwrap_or_default();
            line["time"] = kit::clock::rfc3339(row.time_ms).into();
            line
        })
        .collect();
    Ok(Json(json!({ "audit": rows })))
}
