//! What clients asked and were told, and whether one register could have told them that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use porcupine_rs::{CheckResult, Model, Operation};
use serde::Serialize;

/// How long one register's history may take to be checked; no verdict is a failure.
const CHECK: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Get,
    GetUnchecked,
    Set(i64),
    Add(i64),
    CompareAndSet(i64, i64),
}

/// What an operation gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Outcome {
    /// The register's value afterwards, and whether the action was done.
    Told(Option<i64>, bool),
    /// It may have been done, or be done at any time to come.
    Unknown,
}

/// A register: the sequential specification.
#[derive(Clone, Debug)]
pub struct Register;

impl Model for Register {
    type State = Option<i64>;
    type Op = (Action, Outcome);
    type Metadata = ();

    fn init() -> Self::State {
        None
    }

    fn step(before: &Self::State, (action, outcome): &Self::Op) -> (bool, Self::State) {
        let (after, done) = match *action {
            Action::Get | Action::GetUnchecked => (*before, true),
            Action::Set(value) => (Some(value), true),
            Action::Add(value) => (Some(before.unwrap_or(0).wrapping_add(value)), true),
            Action::CompareAndSet(expected, value) if *before == Some(expected) => {
                (Some(value), true)
            }
            Action::CompareAndSet(..) => (*before, false),
        };
        match *outcome {
            Outcome::Unknown => (true, after),
            Outcome::Told(value, told_done) => ((value, told_done) == (after, done), after),
        }
    }
}

/// One operation of a history; times are nanoseconds since its beginning.
#[derive(Clone, Debug, Serialize)]
pub struct Recorded {
    pub client: u32,
    pub register: String,
    pub action: Action,
    pub outcome: Outcome,
    pub called: i64,
    pub returned: i64,
}

/// Everything that all clients did.
pub struct History {
    begun: Instant,
    operations: Mutex<Vec<Recorded>>,
}

impl History {
    pub fn new() -> Self {
        Self {
            begun: Instant::now(),
            operations: Mutex::default(),
        }
    }

    pub fn now(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_nanos()).unwrap()
    }

    pub fn record(&self, operation: Recorded) {
        self.operations.lock().unwrap().push(operation);
    }

    pub fn operations(&self) -> Vec<Recorded> {
        self.operations.lock().unwrap().clone()
    }
}

/// The registers whose history no single register can have: each with a picture of it in `folder`.
pub fn impossible(operations: &[Recorded], folder: &str) -> Vec<String> {
    let mut registers: BTreeMap<&str, Vec<Operation<Register>>> = BTreeMap::new();
    for recorded in operations {
        let operation = Operation {
            client_id: Some(recorded.client),
            call_time: recorded.called,
            return_time: recorded.returned,
            op: (recorded.action, recorded.outcome),
            metadata: None,
        };
        registers
            .entry(&recorded.register)
            .or_default()
            .push(operation);
    }
    let mut impossible = Vec::new();
    for (register, operations) in registers {
        let verdict = porcupine_rs::check_operations_timeout::<Register>(&operations, CHECK);
        if verdict != CheckResult::Ok {
            let picture = picture(&operations, folder, register);
            impossible.push(format!(
                "{register}: {verdict:?} ({} operations, see {})",
                operations.len(),
                picture.display()
            ));
        }
    }
    impossible
}

fn picture(operations: &[Operation<Register>], folder: &str, register: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("{register}.html"));
    let (_, info) = porcupine_rs::check_operations_info_timeout::<Register>(operations, CHECK);
    porcupine_rs::visualize_path::<Register>(&info, &path).unwrap();
    path
}
