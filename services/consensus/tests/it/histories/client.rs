//! Clients that write down what they ask and what they are told.

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::history::{Action, History, Outcome, Recorded};

/// Longer than a node looks for a leader.
const ANSWER: Duration = Duration::from_secs(4);
/// How often a request with an id is tried before its outcome is given up.
const TRIES: usize = 6;
/// A register is left for a new one after so many operations, or so many unknown outcomes: each of
/// these may have happened at any later time, which is what makes a history hard to check.
const OPERATIONS_MAX: usize = 400;
const UNKNOWN_MAX: usize = 8;
/// Registers that clients meet at.
const REGISTERS: usize = 4;

/// The registers that are in use.
pub struct Registers(Mutex<Vec<Slot>>);

struct Slot {
    name: String,
    operations: usize,
    unknown: usize,
}

impl Registers {
    pub fn new() -> Self {
        let slots = (0..REGISTERS).map(|slot| Slot {
            name: format!("r{slot}-0"),
            operations: 0,
            unknown: 0,
        });
        Self(Mutex::new(slots.collect()))
    }

    fn pick(&self, random: &mut StdRng) -> String {
        let mut slots = self.0.lock().unwrap();
        let at = random.random_range(0..slots.len());
        let slot = &mut slots[at];
        slot.operations += 1;
        if slot.operations > OPERATIONS_MAX || slot.unknown > UNKNOWN_MAX {
            let (place, life) = slot.name.split_once('-').unwrap();
            let life: u64 = life.parse().unwrap();
            *slot = Slot {
                name: format!("{place}-{}", life + 1),
                operations: 1,
                unknown: 0,
            };
        }
        slot.name.clone()
    }

    fn unknown(&self, name: &str) {
        let mut slots = self.0.lock().unwrap();
        if let Some(slot) = slots.iter_mut().find(|slot| slot.name == name) {
            slot.unknown += 1;
        }
    }
}

/// What the clients share.
pub struct Shared {
    pub history: History,
    pub registers: Registers,
    /// Where the nodes are now.
    pub nodes: RwLock<Vec<String>>,
}

/// What one try gave.
enum Try {
    Told(Option<i64>, bool),
    /// It certainly did nothing.
    Refused,
    Unknown,
    Expired,
}

#[derive(Deserialize)]
struct Answer {
    value: Option<i64>,
    done: bool,
}

/// A client with one operation at a time.
pub struct Client {
    id: u32,
    shared: Arc<Shared>,
    random: StdRng,
    http: reqwest::Client,
    /// An open session, and the number of the last request in it.
    session: Option<(u64, u64)>,
    written: i64,
}

impl Client {
    pub fn new(id: u32, shared: &Arc<Shared>, seed: u64) -> Self {
        kit::tls::install_provider();
        Self {
            id,
            shared: Arc::clone(shared),
            random: StdRng::seed_from_u64(seed ^ (u64::from(id) << 32)),
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(ANSWER)
                .build()
                .unwrap(),
            session: None,
            written: 0,
        }
    }

    /// One operation of any kind on any register.
    pub async fn any(&mut self) {
        let register = self.shared.registers.pick(&mut self.random);
        let action = self.action();
        self.perform(&register, action).await;
        let pause = self.random.random_range(0..4);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }

    fn action(&mut self) -> Action {
        // Different clients never write the same, so that a value tells where it is from.
        self.written += 1;
        let value = i64::from(self.id) * 1_000_000 + self.written;
        match self.random.random_range(0..10) {
            0..4 => Action::Get,
            4..6 => Action::Set(value),
            6..9 => Action::Add(self.random.random_range(1..10)),
            _ => Action::CompareAndSet(value - self.random.random_range(1..4), value),
        }
    }

    /// One operation, with its record.
    pub async fn perform(&mut self, register: &str, action: Action) -> Option<Outcome> {
        let reads = matches!(action, Action::Get | Action::GetUnchecked);
        // Half of the writes have an id and are tried again, on any node.
        let with_id = !reads && self.random.random_bool(0.5);
        if with_id && self.session.is_none() {
            self.session = self.open_session().await.map(|session| (session, 0));
        }
        let request = match &mut self.session {
            Some((session, number)) if with_id => {
                *number += 1;
                Some((*session, *number))
            }
            _ => None,
        };
        let called = self.shared.history.now();
        let outcome = self.outcome(register, action, request).await;
        let returned = self.shared.history.now();
        let outcome = match outcome {
            // A read that gave nothing says nothing.
            None => return None,
            Some(Outcome::Unknown) if reads => return None,
            Some(outcome) => outcome,
        };
        let unknown = outcome == Outcome::Unknown;
        if unknown {
            self.shared.registers.unknown(register);
        }
        self.shared.history.record(Recorded {
            client: self.id,
            register: register.to_owned(),
            action,
            outcome,
            called,
            returned: if unknown { i64::MAX } else { returned },
        });
        Some(outcome)
    }

    /// `None` when certainly nothing was done.
    async fn outcome(
        &mut self,
        register: &str,
        action: Action,
        request: Option<(u64, u64)>,
    ) -> Option<Outcome> {
        let mut certain = true;
        for _ in 0..TRIES {
            match self.attempt(register, action, request).await {
                Try::Told(value, done) => return Some(Outcome::Told(value, done)),
                Try::Refused => {}
                Try::Unknown => certain = false,
                Try::Expired => {
                    self.session = None;
                    return Some(Outcome::Unknown);
                }
            }
            if request.is_none() {
                break;
            }
        }
        if !certain && request.is_some() {
            // Later requests in the session would settle this one, and a late try is then refused.
            self.session = None;
        }
        (!certain).then_some(Outcome::Unknown)
    }

    fn node(&mut self) -> String {
        let nodes = self.shared.nodes.read().unwrap();
        nodes[self.random.random_range(0..nodes.len())].clone()
    }

    async fn attempt(
        &mut self,
        register: &str,
        action: Action,
        request: Option<(u64, u64)>,
    ) -> Try {
        let node = self.node();
        let asked = json!({"name": register, "action": action, "request": request});
        let sent = self
            .http
            .post(format!("{node}/operation"))
            .json(&asked)
            .send();
        let answer = match sent.await {
            Ok(answer) => answer,
            Err(error) if error.is_connect() => return Try::Refused,
            Err(_) => return Try::Unknown,
        };
        match answer.status() {
            StatusCode::OK => match answer.json::<Answer>().await {
                Ok(Answer { value, done }) => Try::Told(value, done),
                Err(_) => Try::Unknown,
            },
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE => Try::Refused,
            StatusCode::GONE => Try::Expired,
            _ => Try::Unknown,
        }
    }

    async fn open_session(&mut self) -> Option<u64> {
        let node = self.node();
        let answer = self.http.post(format!("{node}/session")).send().await;
        answer.ok()?.error_for_status().ok()?.json().await.ok()
    }
}
