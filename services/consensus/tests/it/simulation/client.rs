//! Clients that write down what they ask and what they are told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use consensus::{Cluster, Consistency, ProposeError, RequestId, Session};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::node::{Observed, Seat};
use super::world::{Host, QUANTUM, Time, lock, random};
use crate::histories::history::{Action, Outcome, Recorded};
use crate::register::{add, set, value};

/// Longer than a node looks for a leader.
const ANSWER: Duration = Duration::from_millis(2500);
/// How often a request with an id is tried before its outcome is given up.
const TRIES: usize = 3;
/// A register is left for a new one after so many unknown outcomes: each of these may have happened
/// at any later time, which is what makes a history hard to check.
const UNKNOWN_MAX: usize = 5;
/// Registers that clients meet at.
const REGISTERS: u64 = 2;

/// What the clients share.
#[derive(Default)]
pub struct Shared {
    pub history: Mutex<Vec<Recorded>>,
    pub stop: AtomicBool,
}

impl Shared {
    /// The register in use at this place.
    fn register(&self, slot: u64) -> String {
        let history = lock(&self.history);
        let prefix = format!("r{slot}-");
        let unknown = history.iter().filter(|recorded| {
            recorded.outcome == Outcome::Unknown && recorded.register.starts_with(&prefix)
        });
        format!("r{slot}-{}", unknown.count() / UNKNOWN_MAX)
    }
}

/// What one try gave.
enum Try {
    Told(Option<i64>),
    /// It certainly did nothing.
    Refused,
    Unknown,
    Expired,
}

pub struct Client {
    id: u32,
    host: Arc<Host>,
    seats: Arc<Vec<Seat>>,
    shared: Arc<Shared>,
    random: StdRng,
    /// An open session, and the number of the last request in it.
    session: Option<(Session, u64)>,
    written: i64,
    /// Checks nobody when it reads: the control that must be caught.
    pub careless: bool,
}

impl Client {
    pub fn new(id: u32, host: &Arc<Host>, seats: &Arc<Vec<Seat>>, shared: &Arc<Shared>) -> Self {
        Self {
            id,
            host: Arc::clone(host),
            seats: Arc::clone(seats),
            shared: Arc::clone(shared),
            random: random(host.world.seed, "client", u64::from(id)),
            session: None,
            written: 0,
            careless: false,
        }
    }

    fn delay(&mut self) -> Duration {
        QUANTUM + Duration::from_micros(self.random.random_range(0..3000))
    }

    /// Operations of any kind on any register, until it is told to stop.
    pub async fn work(mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            let register = self.shared.register(self.random.random_range(0..REGISTERS));
            let action = self.action();
            self.perform(&register, action).await;
            let pause = self.random.random_range(0..120);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    fn action(&mut self) -> Action {
        // Different clients never write the same, so that a value tells where it is from.
        self.written += 1;
        match self.random.random_range(0..10) {
            0..4 => Action::Get,
            4..6 => Action::Set(i64::from(self.id) * 1_000_000 + 1000 * self.written),
            _ => Action::Add(self.random.random_range(1..10)),
        }
    }

    /// One operation, with its record.
    pub async fn perform(&mut self, register: &str, action: Action) -> Option<Outcome> {
        let reads = action == Action::Get;
        // Half of the writes have an id and are tried again, on any node.
        let with_id = !reads && self.random.random_bool(0.5);
        if with_id && self.session.is_none() {
            let opened = self.ask(|cluster| async move { cluster.open_session().await });
            self.session = opened
                .await
                .and_then(Result::ok)
                .map(|session| (session, 0));
        }
        let request = match &mut self.session {
            Some((session, number)) if with_id => {
                *number += 1;
                Some(RequestId {
                    session: *session,
                    number: *number,
                    settled_below: *number,
                })
            }
            _ => None,
        };
        let called = self.host.now();
        let outcome = self.outcome(register, action, request).await;
        let returned = self.host.now();
        let told = format!("c{} {register} {action:?} {outcome:?}", self.id);
        self.host.world.note(returned, told);
        let outcome = match outcome? {
            // A read that gave nothing says nothing.
            Outcome::Unknown if reads => return None,
            outcome => outcome,
        };
        let nanos = |time: Time| i64::try_from(time.as_nanos()).unwrap();
        lock(&self.shared.history).push(Recorded {
            client: self.id,
            register: register.to_owned(),
            action,
            outcome,
            called: nanos(called),
            returned: match outcome {
                Outcome::Unknown => i64::MAX,
                Outcome::Told(..) => nanos(returned),
            },
        });
        Some(outcome)
    }

    /// `None` when certainly nothing was done.
    async fn outcome(
        &mut self,
        register: &str,
        action: Action,
        request: Option<RequestId>,
    ) -> Option<Outcome> {
        let mut certain = true;
        for _ in 0..TRIES {
            match self.attempt(register, action, request).await {
                Try::Told(value) => return Some(Outcome::Told(value, true)),
                Try::Refused => {}
                Try::Unknown => certain = false,
                Try::Expired => {
                    self.session = None;
                    return Some(Outcome::Unknown);
                }
            }
            if request.is_none() || self.shared.stop.load(Ordering::Relaxed) {
                break;
            }
        }
        if !certain && request.is_some() {
            // Later requests in the session would settle this one, and a late try is then refused.
            self.session = None;
        }
        (!certain).then_some(Outcome::Unknown)
    }

    async fn attempt(&mut self, register: &str, action: Action, request: Option<RequestId>) -> Try {
        let name = register.to_owned();
        let command = match action {
            Action::Set(value) => set(register, value),
            Action::Add(value) => add(register, value),
            _ => {
                let consistency = match self.careless {
                    true => Consistency::Local { age_max: None },
                    false => Consistency::Linearizable,
                };
                let read = self.ask(move |cluster| async move {
                    let query = move |state: &rusqlite::Connection| value(state, &name);
                    cluster.read(consistency, query).await
                });
                return match read.await {
                    Some(Ok(read)) => Try::Told(read.value),
                    _ => Try::Refused,
                };
            }
        };
        let proposed = self.ask(move |cluster| async move {
            match request {
                Some(request) => cluster.propose_once(request, &command).await,
                None => cluster.propose(&command).await,
            }
        });
        match proposed.await {
            Some(Ok(proposed)) => Try::Told(Some(proposed.reply.value)),
            Some(Err(
                ProposeError::NoLeader { .. }
                | ProposeError::Halted(_)
                | ProposeError::NoRoom(_)
                | ProposeError::Busy { .. }
                | ProposeError::TooLarge { .. },
            )) => Try::Refused,
            Some(Err(ProposeError::Expired)) => Try::Expired,
            Some(Err(ProposeError::Unknown(_) | ProposeError::Malformed(_))) | None => Try::Unknown,
        }
    }

    /// Asks any node.
    async fn ask<T, F>(&mut self, work: impl FnOnce(Cluster<Observed>) -> F + Send) -> Option<T>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let seat = self.random.random_range(0..self.seats.len());
        let seat = self.seats[seat].clone();
        let (there, back) = (self.delay(), self.delay());
        ask(&self.host, &seat, self.id, (there, back), work).await
    }
}

/// Does `work` with a node for the client `id`, to which it takes some time and from which its result
/// does; `None` if nothing comes back.
pub async fn ask<T, F>(
    host: &Arc<Host>,
    seat: &Seat,
    id: u32,
    (there, back): (Duration, Duration),
    work: impl FnOnce(Cluster<Observed>) -> F + Send,
) -> Option<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let begins = host.now() + there;
    let seated = seat.get()?;
    let work = Box::pin(work(seated.cluster));
    let (answer, answered) = tokio::sync::oneshot::channel();
    seated.handle.spawn(async move {
        seated.host.sleep_until(begins).await;
        let value = seated.host.in_turn(id, work).await;
        if seated.host.is_alive() {
            drop(answer.send((seated.host.now(), value)));
        }
    });
    let answered = tokio::time::timeout(ANSWER, answered).await;
    let (at, value) = answered.ok()?.ok()?;
    host.sleep_until(at + back).await;
    Some(value)
}
