//! How far subscriptions have come, said in the log: whatever comes while one command is under way goes
//! into the next.

use consensus::Cluster;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::machine::Ledger;
use crate::machine::command::queries::change::Change;
use crate::machine::command::queries::{ChangeQueries, Mark, Progress};
use crate::machine::command::{Command, change, reply};

/// Marks in one command, and those that wait.
const MARKS_MAX: usize = 512;

type Waiting = (Mark, oneshot::Sender<bool>);

/// Takes marks.
pub(super) struct Marks(mpsc::Sender<Waiting>);

impl Marks {
    /// Keeps what it is given, in a task.
    pub fn keep(cluster: Cluster<Ledger>, tasks: &mut JoinSet<()>) -> Self {
        let (sender, waiting) = mpsc::channel(MARKS_MAX);
        tasks.spawn(keep(cluster, waiting));
        Self(sender)
    }

    /// Returns once the mark is in the log; false if it could not be brought there.
    pub async fn set(&self, mark: Mark) -> bool {
        let (kept, keeps) = oneshot::channel();
        self.0.send((mark, kept)).await.is_ok() && keeps.await.unwrap_or(false)
    }
}

async fn keep(cluster: Cluster<Ledger>, mut waiting: mpsc::Receiver<Waiting>) {
    let mut taken = Vec::new();
    while waiting.recv_many(&mut taken, MARKS_MAX).await > 0 {
        let (marks, told): (Vec<_>, Vec<_>) = taken.drain(..).unzip();
        let command = Command::of(change::Change::Queries(ChangeQueries {
            time_ms: kit::clock::unix_ms(),
            actor: cluster.name().to_owned(),
            change: Some(Change::Progress(Progress { marks })),
        }));
        // A mark that is set twice is set once.
        let kept = match cluster.propose_idempotent(&command).await {
            Ok(proposed) => matches!(proposed.reply.reply, Some(reply::Reply::Queries(_))),
            Err(error) => {
                tracing::debug!(%error, "marks of subscriptions could not be kept");
                false
            }
        };
        for told in told {
            // Who was told to stop does not listen any more.
            let _ = told.send(kept);
        }
    }
}
