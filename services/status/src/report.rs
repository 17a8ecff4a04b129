//! What is told about the systems: the answer of `/api/status`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

/// The whole answer.
#[derive(Clone, Debug, Serialize)]
pub struct Report<'a> {
    /// When the nodes were asked last; absent before the first time.
    pub at: Option<Timestamp>,
    /// Seconds from one round of questions to the next.
    pub interval_seconds: f64,
    /// How many days of history there are at most.
    pub days: u32,
    /// Whether there is a history.
    pub history: Availability,
    /// What is watched.
    pub systems: Vec<SystemReport<'a>>,
    /// What went wrong, the open ones first, then the newest; absent with the history.
    pub incidents: Option<&'a [Incident]>,
}

/// Whether the history can be told.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Availability {
    /// It can.
    Available,
    /// It cannot now.
    Missing {
        /// Why.
        reason: String,
    },
}

/// A system now, and its last days.
#[derive(Clone, Debug, Serialize)]
pub struct SystemReport<'a> {
    /// What is known without the history.
    #[serde(flatten)]
    pub now: &'a SystemNow,
    /// The share of questions that were answered well in these days, from 0 to 1; absent without
    /// any.
    pub uptime: Option<f64>,
    /// The days on which it was watched; absent with the history.
    pub days: Option<&'a [Day]>,
}

/// What is known of a system now.
#[derive(Clone, Debug, Serialize)]
pub struct SystemNow {
    /// Its name.
    pub name: String,
    /// What it is.
    pub summary: String,
    /// Where its own pages are.
    pub pages: Option<String>,
    /// What its nodes come to.
    pub health: Health,
    /// Its nodes.
    pub nodes: Vec<NodeNow>,
}

/// What the nodes of a system come to.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// All answer.
    Up,
    /// Some do not.
    Degraded,
    /// None does.
    Down,
    /// None was asked yet.
    Unknown,
}

impl Health {
    /// Of the nodes' answers.
    #[must_use]
    pub fn of(nodes: &[NodeNow]) -> Self {
        let up = nodes.iter().filter(|node| node.up).count();
        match up {
            _ if nodes.is_empty() => Self::Unknown,
            0 => Self::Down,
            some if some == nodes.len() => Self::Up,
            _ => Self::Degraded,
        }
    }
}

/// What a node answered last.
#[derive(Clone, Debug, Serialize)]
pub struct NodeNow {
    /// Its name.
    pub name: String,
    /// What it does there.
    pub role: String,
    /// Where it runs.
    pub place: String,
    /// Whether it answered well.
    pub up: bool,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// What it answered, or why nothing came.
    pub detail: String,
    /// Since when it is so.
    pub since: Option<Timestamp>,
}

/// One web server behind the load balancer, asked by itself: what `/upstreams` lists.
#[derive(Clone, Debug, Serialize)]
pub struct WebServer {
    /// Its address.
    pub server: String,
    /// Whether it answered well.
    pub up: bool,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// What it answered, or why nothing came.
    pub detail: String,
}

/// What is known from the database.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The days of each system, in order.
    pub days: BTreeMap<String, Vec<Day>>,
    /// The incidents.
    pub incidents: Vec<Incident>,
}

/// A system on one day.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Day {
    /// The date in UTC, such as 2026-12-01.
    pub day: String,
    /// How often its nodes were asked.
    pub probes: i64,
    /// How often they answered well.
    pub up: i64,
}

/// A time during which a node did not answer.
#[derive(Clone, Debug, Serialize)]
pub struct Incident {
    /// Its number.
    pub id: i64,
    /// The system.
    pub system: String,
    /// The node.
    pub node: String,
    /// The first failure.
    pub opened_at: Timestamp,
    /// When it was over; absent as long as it is not.
    pub closed_at: Option<Timestamp>,
    /// Why nothing came when it was opened.
    pub reason: String,
    /// What operators wrote.
    pub notes: Vec<Note>,
}

/// What an operator wrote.
#[derive(Clone, Debug, Serialize)]
pub struct Note {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub author: String,
    /// What.
    pub text: String,
}

/// What is seen now.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// When the nodes were asked; absent before the first time.
    pub at: Option<Timestamp>,
    /// The systems.
    pub systems: Vec<SystemNow>,
    /// The web servers.
    pub web_servers: Vec<WebServer>,
}

impl<'a> Report<'a> {
    /// What is seen now, with the history or why there is none.
    #[must_use]
    pub fn new(
        live: &'a Live,
        history: Result<&'a History, String>,
        interval_seconds: f64,
        days: u32,
    ) -> Self {
        let of = |now: &'a SystemNow| {
            let known = history.as_ref().ok();
            let days =
                known.map(|history| history.days.get(&now.name).map_or(&[][..], Vec::as_slice));
            SystemReport {
                now,
                uptime: days.and_then(uptime),
                days,
            }
        };
        Self {
            at: live.at,
            interval_seconds,
            days,
            systems: live.systems.iter().map(of).collect(),
            incidents: history
                .as_ref()
                .ok()
                .map(|known| known.incidents.as_slice()),
            history: match history {
                Ok(_) => Availability::Available,
                Err(reason) => Availability::Missing { reason },
            },
        }
    }
}

/// The share of questions that were answered well.
#[expect(
    clippy::cast_precision_loss,
    reason = "a share, of less than 2^52 questions"
)]
fn uptime(days: &[Day]) -> Option<f64> {
    let probes: i64 = days.iter().map(|day| day.probes).sum();
    let up: i64 = days.iter().map(|day| day.up).sum();
    (probes > 0).then(|| up as f64 / probes as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(up: &[bool]) -> Live {
        let node = |&up: &bool| NodeNow {
            name: "n".to_owned(),
            role: String::new(),
            place: String::new(),
            up,
            seconds: 0.0,
            detail: String::new(),
            since: None,
        };
        let nodes: Vec<NodeNow> = up.iter().map(node).collect();
        let system = SystemNow {
            name: "a".to_owned(),
            summary: String::new(),
            pages: None,
            health: Health::of(&nodes),
            nodes,
        };
        Live {
            systems: vec![system],
            ..Live::default()
        }
    }

    #[test]
    fn a_system_is_what_its_nodes_come_to() {
        let health = |up: &[bool]| live(up).systems[0].health;
        assert_eq!(health(&[true, true]), Health::Up);
        assert_eq!(health(&[true, false]), Health::Degraded);
        assert_eq!(health(&[false]), Health::Down);
        assert_eq!(health(&[]), Health::Unknown);
    }

    #[test]
    fn without_history_what_is_seen_now_is_told_and_nothing_is_made_up() {
        let seen = live(&[true]);
        let report = Report::new(&seen, Err("away".to_owned()), 10.0, 90);
        let told = serde_json::to_value(&report).expect("plain data");
        assert_eq!(told["history"]["state"], "missing");
        assert_eq!(told["history"]["reason"], "away");
        assert_eq!(told["systems"][0]["health"], "up");
        for absent in [
            &told["incidents"],
            &told["systems"][0]["days"],
            &told["systems"][0]["uptime"],
        ] {
            assert!(absent.is_null(), "{told}");
        }
    }

    #[test]
    fn uptime_is_the_share_of_good_answers() {
        let seen = live(&[true]);
        let day = |probes, up| Day {
            day: "2026-12-01".to_owned(),
            probes,
            up,
        };
        let history = History {
            days: [("a".to_owned(), vec![day(3, 3), day(1, 0)])].into(),
            incidents: Vec::new(),
        };
        let report = Report::new(&seen, Ok(&history), 10.0, 90);
        assert_eq!(report.systems[0].uptime, Some(0.75));
    }
}
