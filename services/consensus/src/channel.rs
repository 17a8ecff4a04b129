//! What the nodes of a system ask one another beside the log: what must not be replicated, or is not
//! worth an entry. Authenticated like all that peers say, bounded, and answered by members only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tonic::Status;

use crate::core::{Core, lock};
use crate::peer::client::Lane;
use crate::raft::Member;
use crate::wire::{AskRequest, AskResponse};

/// The longest question, and the longest answer.
pub(crate) const ASK_BYTES_MAX: usize = 1 << 20;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Questions of others that are worked on at a time; more are refused, not queued.
const ANSWERING_MAX: usize = 64;

/// Why a member gave no answer. Whether it acted on the question is not known, unless it refused.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no such member.
    #[error("{0} is no member of the cluster")]
    NoMember(String),
    /// The question is over the limit, in bytes.
    #[error("a question of {0} bytes is too long: at most {ASK_BYTES_MAX} go to a member")]
    TooLong(usize),
    /// It answered that it does not: it does not know the channel, or what was asked is wrong.
    #[error("{member} refused: {reason}")]
    Refused {
        /// Its name.
        member: String,
        /// What it said.
        reason: String,
    },
    /// It could not be reached, or did not answer in time.
    #[error("{member} did not answer: {reason}")]
    Unreachable {
        /// Its name.
        member: String,
        /// What happened.
        reason: String,
    },
}

type Answer = dyn Fn(String, Bytes) -> BoxFuture<'static, Result<Bytes, String>> + Send + Sync;

/// Who answers on which channel.
pub(crate) struct Channels {
    answers: Mutex<HashMap<&'static str, Arc<Answer>>>,
    turns: Semaphore,
}

impl Default for Channels {
    fn default() -> Self {
        Self {
            answers: Mutex::default(),
            turns: Semaphore::new(ANSWERING_MAX),
        }
    }
}

impl Channels {
    pub(crate) fn open(&self, channel: &'static str, answer: Arc<Answer>) {
        lock(&self.answers).insert(channel, answer);
    }
}

impl Core {
    /// The names of the other members.
    pub(crate) fn others(&self) -> Vec<String> {
        self.look(|now| {
            let members = now.membership_config.membership().nodes();
            let others = members.filter(|(id, _)| **id != self.id);
            others.map(|(_, member)| member.name.clone()).collect()
        })
    }

    fn member_named(&self, name: &str) -> Option<(u64, Member)> {
        self.look(|now| {
            let mut members = now.membership_config.membership().nodes();
            let found = members.find(|(id, member)| member.name == name && **id != self.id)?;
            Some((*found.0, found.1.clone()))
        })
    }

    pub(crate) async fn ask(
        &self,
        member: &str,
        channel: &str,
        question: Bytes,
    ) -> Result<Bytes, AskError> {
        if question.len() > ASK_BYTES_MAX {
            return Err(AskError::TooLong(question.len()));
        }
        let (id, found) = self
            .member_named(member)
            .ok_or_else(|| AskError::NoMember(member.to_owned()))?;
        let mut target = Self::target(id, &found);
        if let Some(address) = self.peers.address(id) {
            target.address = address;
        }
        let call = self.peers.call(
            &target,
            Lane::Log,
            "/trivet.consensus.v1.Peer/Ask",
            AskRequest {
                channel: channel.to_owned(),
                question,
            },
            |mut client, request| async move { client.ask(request).await },
        );
        let unreachable = |reason: String| AskError::Unreachable {
            member: member.to_owned(),
            reason,
        };
        let answered = tokio::time::timeout(TIMEOUT, call)
            .await
            .map_err(|_| unreachable("the time is over".into()))?;
        match answered {
            Ok(response) if response.answer.len() > ASK_BYTES_MAX => {
                Err(unreachable("the answer is too long".into()))
            }
            Ok(response) => Ok(response.answer),
            Err(status) => Err(match status.code() {
                tonic::Code::FailedPrecondition
                | tonic::Code::Unimplemented
                | tonic::Code::PermissionDenied => AskError::Refused {
                    member: member.to_owned(),
                    reason: status.message().to_owned(),
                },
                _ => unreachable(status.message().to_owned()),
            }),
        }
    }

    /// Answers the member with the id `from`.
    pub(crate) async fn answer(
        &self,
        from: u64,
        request: AskRequest,
    ) -> Result<AskResponse, Status> {
        let name = self.look(|now| {
            let member = now.membership_config.membership().get_node(&from);
            member.map(|member| member.name.clone())
        });
        let name = name
            .ok_or_else(|| Status::permission_denied("the caller is no member of this cluster"))?;
        if request.question.len() > ASK_BYTES_MAX {
            return Err(Status::invalid_argument("the question is too long"));
        }
        let answer = lock(&self.channels.answers)
            .get(&request.channel[..])
            .cloned();
        let answer = answer.ok_or_else(|| {
            Status::unimplemented(format!("nobody answers on {:?} here", request.channel))
        })?;
        let _turn = self
            .channels
            .turns
            .try_acquire()
            .map_err(|_| Status::resource_exhausted("too many questions at a time"))?;
        let answered = tokio::time::timeout(TIMEOUT, answer(name, request.question)).await;
        let answer = answered
            .map_err(|_| Status::deadline_exceeded("the time is over"))?
            .map_err(Status::failed_precondition)?;
        if answer.len() > ASK_BYTES_MAX {
            return Err(Status::internal("the answer is too long"));
        }
        Ok(AskResponse { answer })
    }
}
