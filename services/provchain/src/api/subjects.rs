//! What is personal, and the erasure of subjects.

use axum::extract::State;
use kit::problem::{Json, Path, Problem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Api, ApiError};
use crate::access::Caller;
use crate::keys::Confirmation;
use crate::ledger::Digest;
use crate::ledger::identity::{LedgerSecret, Subject};
use crate::machine::VERSION_OF_SUBJECTS;
use crate::machine::command::subjects::change::Change;
use crate::machine::command::subjects::{ChangeSubjects, Erase, SetPersonal, SubjectsChanged};
use crate::machine::command::{Command, change, reply};
use crate::machine::subjects::{self, Erasure, StoredSubject};
use crate::subject::{Personal, Pseudonym, comparable, field_name};

/// Longest identifier of a party, or value of a field, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

impl Api {
    async fn change_subjects(
        &self,
        caller: &Caller,
        change: Change,
    ) -> Result<SubjectsChanged, ApiError> {
        let command = Command::of(change::Change::Subjects(ChangeSubjects {
            time_ms: kit::clock::unix_ms(),
            actor: caller.name.clone(),
            change: Some(change),
        }));
        match self.cluster.propose(&command).await?.reply.reply {
            Some(reply::Reply::Subjects(changed)) if changed.refused.is_empty() => Ok(changed),
            Some(reply::Reply::Subjects(changed)) => Err(ApiError::BadRequest(changed.refused)),
            Some(reply::Reply::Refused(refused)) => Err(ApiError::Busy(refused.reason)),
            _ => Err(ApiError::Internal(
                "the ledger's reply cannot be read".into(),
            )),
        }
    }

    /// What the ledger holds of a subject, and what the members say of its last erasure.
    async fn subject(&self, pseudonym: Pseudonym) -> Result<Value, ApiError> {
        let found = self.read(move |state| subjects::subject(state, pseudonym));
        let Some(found) = found.await? else {
            return Err(ApiError::NotFound(
                "no entry is about this subject, and none was: nothing was changed".into(),
            ));
        };
        let members = match found.erasures.last() {
            Some(last) => Some(self.keeper.confirmations(last).await),
            None => None,
        };
        Ok(subject_json(pseudonym, &found, members))
    }
}

fn subject_json(
    pseudonym: Pseudonym,
    subject: &StoredSubject,
    members: Option<Vec<Confirmation>>,
) -> Value {
    let erasure = |erasure: &Erasure| {
        json!({
            "time": kit::clock::rfc3339(erasure.time_ms),
            "entries": erasure.entries,
        })
    };
    let erasures: Vec<_> = subject.erasures.iter().map(erasure).collect();
    let mut shown = json!({
        "subject": hex::encode(pseudonym.0),
        "entries": subject.entries,
        "erasures": erasures,
    });
    if let Some(members) = members {
        shown["complete"] = members.iter().all(|member| member.destroyed).into();
        shown["members"] = json!(members);
    }
    shown
}

fn personal_json(personal: &Personal) -> Json<Value> {
    let parties = personal.parties.iter().map(|party| hex::encode(party.0));
    Json(json!({
        "fields": personal.fields,
        "parties": parties.collect::<Vec<_>>(),
    }))
}

/// `GET /api/v1/personal`: parties by their pseudonyms, since no name is kept.
pub(super) async fn personal(State(api): State<Api>) -> Result<Json<Value>, Problem> {
    let personal = api.read(subjects::personal).await?;
    Ok(personal_json(&personal))
}

/// What is to be personal: all of it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPersonal {
    /// Names of the standard, or full names.
    #[serde(default)]
    fields: Vec<String>,
    /// Identifiers, or pseudonyms as they are shown.
    #[serde(default)]
    parties: Vec<String>,
}

/// `PUT /api/v1/personal`.
pub(super) async fn set_personal(
    State(api): State<Api>,
    caller: Caller,
    Json(new): Json<NewPersonal>,
) -> Result<Json<Value>, Problem> {
    api.require_version(VERSION_OF_SUBJECTS)?;
    let secret = api.founded().await?.secret;
    let fields = new.fields.iter().map(|field| field_name(field));
    let fields: Vec<String> = fields
        .collect::<Result<_, _>>()
        .map_err(ApiError::BadRequest)?;
    let parties = new.parties.iter().map(|party| {
        let known = pseudonym(party).ok();
        known.map_or_else(|| of_party(&secret, party), Ok)
    });
    let parties: Vec<Pseudonym> = parties.collect::<Result<_, _>>()?;
    let change = Change::SetPersonal(SetPersonal {
        fields,
        parties: parties.iter().map(|party| party.0.to_vec()).collect(),
    });
    api.change_subjects(&caller, change).await?;
    Ok(personal_json(&api.personal.now()))
}

fn of_party(secret: &LedgerSecret, party: &str) -> Result<Pseudonym, ApiError> {
    let fits = (1..=VALUE_BYTES_MAX).contains(&party.len());
    if !fits || !party.contains(':') {
        return Err(ApiError::BadRequest(format!(
            "{party:?} is no identifier of a party: a URI of at most {VALUE_BYTES_MAX} bytes"
        )));
    }
    Ok(secret.pseudonym(&Subject::Party(&comparable(party))))
}

fn pseudonym(text: &str) -> Result<Pseudonym, ApiError> {
    let mut pseudonym = Digest([0; 32]);
    hex::decode_to_slice(text, &mut pseudonym.0).map_err(|_| {
        ApiError::BadRequest("a subject is 64 hexadecimal digits, as its erasure gave them".into())
    })?;
    Ok(pseudonym)
}

/// Who is to be erased: a party, or whoever the value of a field names.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erased {
    party: Option<String>,
    field: Option<String>,
    value: Option<Value>,
}

impl Erased {
    fn pseudonym(&self, secret: &LedgerSecret) -> Result<Pseudonym, ApiError> {
        let value = match &self.value {
            Some(Value::String(text)) => Some(text.clone()),
            Some(scalar @ (Value::Bool(_) | Value::Number(_))) => Some(scalar.to_string()),
            _ => None,
        };
        match (&self.party, &self.field, value) {
            (Some(party), None, None) if self.value.is_none() => of_party(secret, party),
            (None, Some(field), Some(value)) if value.len() <= VALUE_BYTES_MAX => {
                let name = &field_name(field).map_err(ApiError::BadRequest)?;
                let value = &comparable(&value);
                Ok(secret.pseudonym(&Subject::Field { name, value }))
            }
            _ => Err(ApiError::BadRequest(format!(
                "say who: either a party, or a field and its value, a text, number or truth value of \
                 at most {VALUE_BYTES_MAX} bytes"
            ))),
        }
    }
}

/// `POST /api/v1/subjects/erase`: returns once the ledger has no content of the subject's entries any
/// more, with what the members say of its keys.
pub(super) async fn erase(
    State(api): State<Api>,
    caller: Caller,
    Json(erased): Json<Erased>,
) -> Result<Json<Value>, Problem> {
    api.require_version(VERSION_OF_SUBJECTS)?;
    let secret = api.founded().await?.secret;
    let pseudonym = erased.pseudonym(&secret)?;
    let change = Change::Erase(Erase {
        subject: pseudonym.0.to_vec(),
    });
    // Who is unknown is told apart below: it has no row.
    api.change_subjects(&caller, change).await?;
    Ok(Json(api.subject(pseudonym).await?))
}

/// `GET /api/v1/subjects/{subject}`: how far its erasure is.
pub(super) async fn subject(
    State(api): State<Api>,
    Path(text): Path<String>,
) -> Result<Json<Value>, Problem> {
    api.require_version(VERSION_OF_SUBJECTS)?;
    Ok(Json(api.subject(pseudonym(&text)?).await?))
}
