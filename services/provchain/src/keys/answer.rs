//! What a member answers when others ask about subject keys.

use std::time::Duration;

use bytes::Bytes;
use prost::Message as _;

use super::keeper::{Keeper, blocking};
use super::message::question::Kind;
use super::message::{Answer, Destroyed, Key, PAGE, Question, read_keys, read_names, read_subject};
use super::store::{StoreError, SubjectStore};
use crate::subject::KeyId;

/// How long a member is given to destroy what it is asked about, before it says that it has not.
const DESTRUCTION_WAIT: Duration = Duration::from_secs(3);

impl Keeper {
    /// Answers another member.
    pub(super) async fn answer(&self, question: Bytes) -> Result<Bytes, String> {
        let question = Question::decode(question).map_err(|error| error.to_string())?;
        let kind = question.kind.ok_or("the question is of an unknown kind")?;
        let store = self.store().clone();
        let answer = match kind {
            Kind::Destroyed(question) => Answer {
                destroyed: self.destroys(&question).await?,
                ..Answer::default()
            },
            Kind::Keep(keys) => {
                let keys = read_keys(&keys.keys)?;
                let here = blocking(move || store.insert(&keys)).await;
                Answer {
                    names: named(&here.map_err(|error| error.to_string())?),
                    ..Answer::default()
                }
            }
            other => blocking(move || read(&store, other)).await?,
        };
        Ok(Bytes::from(answer.encode_to_vec()))
    }

    /// Whether this node has destroyed and forgotten what it is asked about; waits for it a little.
    pub(super) async fn destroys(&self, question: &Destroyed) -> Result<bool, String> {
        let subject = read_subject(&question.subject)?;
        let erasure = question.erasure;
        let (mut destroyed, mut forgotten) = self.progress();
        let done = async {
            destroyed.wait_for(|at| *at >= erasure).await.is_ok()
                && forgotten.wait_for(|at| *at >= erasure).await.is_ok()
        };
        let done = tokio::time::timeout(DESTRUCTION_WAIT, done).await;
        Ok(done.unwrap_or(false) && self.store().is_destroyed(subject, question.below))
    }
}

fn named(ids: &[KeyId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

/// Answers what only reads the store.
fn read(store: &SubjectStore, question: Kind) -> Result<Answer, String> {
    let fault = |error: StoreError| error.to_string();
    let mut answer = Answer::default();
    match question {
        Kind::Give(names) => {
            for id in read_names(&names.names)? {
                let key = store.key(&id).map_err(fault)?;
                answer.keys.extend(key.map(|key| Key::of(&(id, key))));
            }
        }
        Kind::List(list) => {
            let part = u8::try_from(list.part).map_err(|_| "there are 256 parts")?;
            let after = match &*list.after {
                "" => None,
                name => Some(
                    name.parse()
                        .map_err(|_| "what to go on behind is no name")?,
                ),
            };
            answer.names = named(&store.names(part, after.as_ref(), PAGE).map_err(fault)?);
        }
        Kind::Sums(_) => answer.sums = store.sums(),
        Kind::Keep(_) | Kind::Destroyed(_) => return Err("it does more than read".into()),
    }
    Ok(answer)
}
