//! The leader sends subscribers what their queries find.
//!
//! Each subscription is a task of its own, which goes through the ledger's entries in order and says in
//! the log how far it has come: whoever leads next goes on from there. Between a delivery and its mark a
//! leader may fail, so that a batch can come a second time, and none is left out.

mod marks;
mod post;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use consensus::Consistency;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{AbortHandle, JoinSet};

use self::marks::Marks;
use self::post::Post;
use self::worker::Worker;
use crate::api::Api;
use crate::machine::VERSION_OF_SUBJECTS;
use crate::machine::queries::{StoredSubscription, subscriptions};

/// How often a node looks whether it leads.
const TICK: Duration = Duration::from_millis(200);
/// Subscriptions are read anew after so long, whether or not it is known that they changed.
const ANEW: Duration = Duration::from_secs(10);
/// Deliveries at a time: to receivers that answer soon, and to those that did not last time. However
/// many of these there are, they do not hold up the others.
const LANES: [usize; 2] = [64, 16];

/// What all deliveries of a node share.
struct Office {
    api: Api,
    post: Post,
    marks: Marks,
    lanes: [Arc<Semaphore>; 2],
}

impl Office {
    /// Waits for a place among the deliveries.
    async fn place(&self, slow: bool) -> Option<OwnedSemaphorePermit> {
        let lane = Arc::clone(&self.lanes[usize::from(slow)]);
        lane.acquire_owned().await.ok()
    }
}

/// A subscription that is being served.
struct Served {
    task: AbortHandle,
    /// The entry that it looks at next.
    next: Arc<AtomicU64>,
}

/// Runs for as long as the node lives.
pub(super) async fn run(api: Api) {
    let mut keeping = JoinSet::new();
    let office = Arc::new(Office {
        post: Post::new(&api.subscriptions),
        marks: Marks::keep(api.cluster.clone(), &mut keeping),
        lanes: LANES.map(|places| Arc::new(Semaphore::new(places))),
        api: api.clone(),
    });
    let mut tasks = JoinSet::new();
    let mut served: HashMap<String, Served> = HashMap::new();
    let mut revision = api.revision.follow();
    let mut read: Option<Instant> = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            changed = revision.changed() => match changed {
                Ok(()) => read = None,
                Err(_) => return,
            },
        }
        while tasks.try_join_next().is_some() {}
        let cluster = &api.cluster;
        let leads = cluster.leads()
            && cluster.unready().is_none()
            && cluster.status().version >= VERSION_OF_SUBJECTS;
        if !leads {
            tasks.abort_all();
            served.clear();
            read = None;
        } else if read.is_none_or(|read| read.elapsed() >= ANEW) {
            let index = revision.borrow_and_update().index;
            match current(&office, index).await {
                Ok(current) => {
                    read = Some(Instant::now());
                    serve(&office, current, &mut served, &mut tasks);
                }
                Err(reason) => tracing::warn!(reason, "subscriptions wait; it is tried again"),
            }
        }
        measure(&office, &served);
    }
}

/// All subscriptions, as of the entry of the log that changed them last.
async fn current(office: &Office, index: u64) -> Result<Vec<StoredSubscription>, String> {
    let cluster = &office.api.cluster;
    let mut applied = cluster.applied();
    let reached = applied.wait_for(|applied| *applied >= index);
    tokio::time::timeout(ANEW, reached)
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    // A new leader reads what the old one said in the log.
    let read = cluster.read(Consistency::Linearizable, subscriptions).await;
    Ok(read.map_err(|error| error.to_string())?.value)
}

/// Begins to serve what is new, and ends what is gone.
fn serve(
    office: &Arc<Office>,
    current: Vec<StoredSubscription>,
    served: &mut HashMap<String, Served>,
    tasks: &mut JoinSet<()>,
) {
    let active = current.into_iter().filter(|one| !one.disabled);
    let mut active: HashMap<_, _> = active.map(|one| (one.id.clone(), one)).collect();
    served.retain(|id, one| {
        let stays = active.remove(id).is_some();
        if !stays {
            one.task.abort();
        }
        // What ended by itself and is still active begins anew the next time.
        stays && !one.task.is_finished()
    });
    for (id, subscription) in active {
        let next = Arc::new(AtomicU64::new(subscription.next));
        let worker = Worker::new(Arc::clone(office), subscription, Arc::clone(&next));
        let task = tasks.spawn(worker.run());
        served.insert(id, Served { task, next });
    }
}

fn measure(office: &Office, served: &HashMap<String, Served>) {
    let size = office.api.fed();
    let lags = served
        .values()
        .map(|one| size.saturating_sub(one.next.load(Ordering::Relaxed)));
    let lag = lags.max().unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "counts for a graph")]
    {
        metrics::gauge!("provchain_subscriptions_served").set(served.len() as f64);
        metrics::gauge!("provchain_subscription_lag_entries").set(lag as f64);
    }
}
