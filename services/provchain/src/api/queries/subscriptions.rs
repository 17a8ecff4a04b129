//! `/queries/{queryName}/subscriptions`: who is sent what a query finds, by webhook.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, Uri};
use kit::problem::{Json, Path, Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::negotiate::{Wishes, describe};
use super::super::query::Question;
use super::super::{Api, ApiError};
use super::{Parameters, Party, asked_party, created, defined};
use crate::access::Caller;
use crate::epcis::time::Timestamp;
use crate::machine::command::queries::change::Change;
use crate::machine::command::queries::{QueryName, Subscribe, Unsubscribe};
use crate::machine::queries::{self, StoredSubscription};
use crate::query::{PageToken, Position};
use crate::subscription::{Controls, Destination, SIGNATURE_TOKEN_BYTES_MAX, Schedule, When};

/// A subscription to make.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::api) struct NewSubscription {
    /// The URL that is called.
    dest: String,
    /// Some of GS1's texts call it `secret`.
    #[serde(alias = "secret", default)]
    signature_token: String,
    #[serde(default)]
    stream: bool,
    schedule: Option<Map<String, Value>>,
    #[serde(default)]
    report_if_empty: bool,
    initial_record_time: Option<String>,
}

impl NewSubscription {
    fn controls(&self) -> Result<Controls, ApiError> {
        let refused = |reason: String| ApiError::Subscription(reason);
        let schedule = match &self.schedule {
            Some(fields) => {
                let schedule = Schedule::of_json(fields);
                Some(schedule.map_err(|error| refused(format!("schedule: {error}")))?)
            }
            None => None,
        };
        let initial = self.initial_record_time.as_deref();
        Controls::new(self.stream, schedule, self.report_if_empty, initial)
            .map_err(|error| refused(error.to_string()))
    }
}

fn micros(micros: i64) -> String {
    let time = Timestamp {
        unix_micros: micros,
    };
    time.to_string()
}

/// A subscription as it is shown, without its signature token.
fn subscription_json(subscription: &StoredSubscription) -> Value {
    let mut shown = json!({
        "subscriptionID": subscription.id,
        "queryName": subscription.query,
        "dest": subscription.dest,
        "createdAt": kit::clock::rfc3339(subscription.created_ms),
        "state": if subscription.disabled { "disabled" } else { "active" },
        "user": subscription.user,
        "signed": !subscription.signature_token.is_empty(),
        "failures": subscription.failures,
    });
    if subscription.schedule.is_empty() {
        shown["stream"] = true.into();
    } else {
        let schedule: Value = serde_json::from_str(&subscription.schedule).unwrap_or_default();
        shown["schedule"] = schedule;
        shown["reportIfEmpty"] = subscription.report_if_empty.into();
    }
    // What the next run looks at was recorded since then (`GS1-Query-Min-Record-Time`).
    shown["minRecordTime"] = kit::clock::rfc3339(subscription.run_ms).into();
    if let Some(initial) = subscription.initial_record_micros {
        shown["initialRecordTime"] = micros(initial).into();
        if subscription.run_ms == subscription.created_ms {
            shown["minRecordTime"] = micros(initial).into();
        }
    }
    if let Some(notified) = subscription.notified_ms {
        shown["lastNotifiedAt"] = kit::clock::rfc3339(notified).into();
    }
    if !subscription.error.is_empty() {
        shown["lastError"] = subscription.error.as_str().into();
    }
    shown
}

/// `POST /queries/{queryName}/subscriptions`.
pub(in crate::api) async fn create(
    State(api): State<Api>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    Json(new): Json<NewSubscription>,
) -> Result<Response, Problem> {
    // Events do not come in another form than they were captured in.
    Wishes::of(&headers)?;
    let query = api.named(&caller, None, &name).await?;
    let defined = defined(&query).map_err(ApiError::from)?;
    defined.check_subscribable().map_err(ApiError::from)?;
    let controls = new.controls()?;
    let allowed = &api.subscriptions;
    Destination::parse(&new.dest, allowed.plain_http, allowed.private_destinations)
        .map_err(|error| ApiError::Subscription(error.to_string()))?;
    if new.signature_token.len() > SIGNATURE_TOKEN_BYTES_MAX {
        let reason = format!("signatureToken has at most {SIGNATURE_TOKEN_BYTES_MAX} bytes");
        return Err(ApiError::Subscription(reason).into());
    }
    let from_entry = match controls.initial_record_time {
        Some(time) => Some(api.first_recorded(time).await?),
        None => None,
    };
    let is_user = api.directory.now().users.contains_key(&caller.name);
    let role = caller.role.filter(|_| !is_user);
    let id = uuid::Uuid::new_v4().to_string();
    let subscribe = Subscribe {
        query: QueryName {
            party: caller.party.clone(),
            name: name.clone(),
        },
        id: id.clone(),
        user: caller.name.clone(),
        role: role.map(|role| role.to_string()).unwrap_or_default(),
        dest: new.dest,
        signature_token: new.signature_token,
        schedule: match &controls.when {
            When::Stream => String::new(),
            When::Schedule(schedule) => schedule.to_json().to_string(),
        },
        report_if_empty: controls.report_if_empty,
        initial_record_micros: controls.initial_record_time.map(|time| time.unix_micros),
        from_entry,
    };
    api.change_queries(&caller.name, Change::Subscribe(subscribe))
        .await?;
    let made = api.subscription(&caller, None, &name, &id).await?;
    let answer = (StatusCode::CREATED, Json(subscription_json(&made)));
    created(
        &format!("/queries/{name}/subscriptions/{id}"),
        answer.into_response(),
    )
}

impl Api {
    async fn subscription(
        &self,
        caller: &Caller,
        party: Option<&str>,
        name: &str,
        id: &str,
    ) -> Result<StoredSubscription, ApiError> {
        let query = self.named(caller, party, name).await?;
        let wanted = id.to_owned();
        let found = self
            .read(move |state| queries::subscription(state, (query.party, &query.name), &wanted));
        found
            .await?
            .ok_or_else(|| ApiError::NoSuchName(format!("there is no subscription {id:?}")))
    }
}

/// `GET /queries/{queryName}/subscriptions`.
pub(in crate::api) async fn list(
    State(api): State<Api>,
    caller: Caller,
    uri: Uri,
    Path(name): Path<String>,
    headers: HeaderMap,
    Query(parameters): Parameters,
) -> Result<Response, Problem> {
    let question = Question::new(&uri, &headers, caller.viewer.clone(), parameters)?;
    let asked = asked_party(&question)?;
    let query = api.named(&caller, asked.as_deref(), &name).await?;
    let secret = api.founded().await?.secret;
    let after = match question.token(&secret)?.map(|token| token.after) {
        Some(Position::Text(after)) => after,
        _ => String::new(),
    };
    let count = question.paging.size;
    let read = api.read(move |state| {
        let of = (query.party, query.name.as_str());
        queries::subscriptions_of(state, of, &after, count + 1)
    });
    let mut found = read.await?;
    let more = found.len() > count;
    found.truncate(count);
    let next = found.last().filter(|_| more).map(|last| PageToken {
        size: 0,
        left: None,
        after: Position::Text(last.id.clone()),
    });
    let found: Vec<_> = found.iter().map(subscription_json).collect();
    Ok(question.respond(&found.into(), next.as_ref(), &secret)?)
}

/// `GET /queries/{queryName}/subscriptions/{subscriptionID}`.
pub(in crate::api) async fn get(
    State(api): State<Api>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
    Query(party): Query<Party>,
) -> Result<Response, Problem> {
    let party = party.party.as_deref();
    let found = api.subscription(&caller, party, &name, &id).await?;
    let mut response = Json(subscription_json(&found)).into_response();
    describe(&mut response);
    Ok(response)
}

/// `DELETE /queries/{queryName}/subscriptions/{subscriptionID}`.
pub(in crate::api) async fn remove(
    State(api): State<Api>,
    caller: Caller,
    Path((name, id)): Path<(String, String)>,
    Query(party): Query<Party>,
) -> Result<StatusCode, Problem> {
    let query = api.changeable(&caller, &party, name)?;
    let unsubscribe = Unsubscribe { query, id };
    api.change_queries(&caller.name, Change::Unsubscribe(unsubscribe))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
