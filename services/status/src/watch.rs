//! Asking every node, round after round.

mod probe;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::stream::{self, StreamExt as _};
use jiff::Timestamp;
use tokio::net::lookup_host;
use tokio::sync::watch;

pub use probe::{Answer, Prober};

use crate::report::{Health, Live, NodeNow, SystemNow, WebServer};
use crate::rule::{Streak, Verdict};
use crate::settings::Settings;
use crate::store::{Down, Round, Sample};
use crate::targets::Targets;

/// How many nodes are asked at a time.
const AT_A_TIME: usize = 32;

/// How many addresses one name of web servers may have.
const ADDRESSES_MAX: usize = 64;

/// A file of targets is short.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Asks, and remembers what it needs to judge.
pub struct Watch {
    settings: Settings,
    prober: Prober,
    targets: Targets,
    /// When the file was last changed, as far as it was read.
    changed: Option<SystemTime>,
    /// Why the file cannot be used now: what was read before stays in force.
    trouble: Arc<Mutex<Option<String>>>,
    streaks: HashMap<(String, String), Streak>,
    live: watch::Sender<Arc<Live>>,
}

impl Watch {
    /// A watch that has asked nobody yet.
    #[must_use]
    pub fn new(settings: &Settings, prober: Prober) -> Self {
        Self {
            settings: settings.clone(),
            prober,
            targets: Targets::default(),
            changed: None,
            trouble: Arc::default(),
            streaks: HashMap::new(),
            live: watch::channel(Arc::default()).0,
        }
    }

    /// What is seen, for as many readers as there are.
    #[must_use]
    pub fn live(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    /// Why the file of targets cannot be used, if it cannot.
    #[must_use]
    pub fn trouble(&self) -> Arc<Mutex<Option<String>>> {
        Arc::clone(&self.trouble)
    }

    /// Asks everybody once, and says what is to be recorded.
    pub async fn round(&mut self, at: Timestamp) -> Round {
        let trouble = self.read_targets().err();
        if let Some(trouble) = &trouble {
            tracing::warn!(file = %self.settings.targets_file.display(), trouble, "targets cannot be used");
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
        let asked: Vec<_> = self.targets.nodes().map(|(_, node)| node.clone()).collect();
        let (answers, web_servers) = tokio::join!(
            stream::iter(asked)
                .map(|node| self.prober.ask(node))
                .buffered(AT_A_TIME)
                .collect::<Vec<Answer>>(),
            self.ask_web_servers(),
        );
        let round = self.judge(at, &answers);
        self.show(at, answers, web_servers);
        round
    }

    /// Reads the file of targets if it has changed.
    fn read_targets(&mut self) -> Result<(), String> {
        let path: &Path = &self.settings.targets_file;
        let said = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let about = std::fs::metadata(path).map_err(said)?;
        let changed = about.modified().map_err(said)?;
        if self.changed == Some(changed) {
            return Ok(());
        }
        if about.len() > FILE_BYTES_MAX {
            return Err(format!("{} is longer than 1 MiB", path.display()));
        }
        let text = std::fs::read_to_string(path).map_err(said)?;
        self.targets =
            Targets::parse(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        self.changed = Some(changed);
        let watched: Vec<(String, String)> = self.targets.nodes().map(key).collect();
        let gone = |name: &(String, String)| !watched.contains(name);
        for (system, node) in self.streaks.keys().filter(|name| gone(name)) {
            // Neither up nor down: nobody is to be woken about a node that was taken away.
            node_up(system, node).set(f64::NAN);
        }
        self.streaks.retain(|name, _| !gone(name));
        Ok(())
    }

    fn judge(&mut self, at: Timestamp, answers: &[Answer]) -> Round {
        let mut round = Round {
            at,
            samples: Vec::new(),
            down: Vec::new(),
            undecided: Vec::new(),
        };
        for (name, answer) in self.targets.nodes().map(key).zip(answers) {
            let (system, node) = name.clone();
            node_up(&system, &node).set(if answer.up { 1.0 } else { 0.0 });
            metrics::histogram!("status_probe_seconds", "system" => system.clone())
                .record(answer.seconds);
            let result = if answer.up { "up" } else { "down" };
            metrics::counter!("status_probes_total", "system" => system.clone(),
                "node" => node.clone(), "result" => result)
            .increment(1);
            let streak = self.streaks.entry(name.clone()).or_default();
            streak.seen(answer.up, at);
            match streak.verdict(self.settings.failures_max) {
                Verdict::Up => {}
                Verdict::Undecided => round.undecided.push(name),
                Verdict::Down(since) => round.down.push(Down {
                    system: system.clone(),
                    node: node.clone(),
                    since,
                    reason: answer.detail.clone(),
                }),
            }
            round.samples.push(Sample {
                system,
                node,
                up: answer.up,
                seconds: answer.seconds,
                detail: answer.detail.clone(),
            });
        }
        round
    }

    fn show(&self, at: Timestamp, answers: Vec<Answer>, web_servers: Vec<WebServer>) {
        let mut answers = answers.into_iter();
        let systems = self.targets.systems.iter().map(|system| {
            let nodes: Vec<NodeNow> = system
                .nodes
                .iter()
                .zip(answers.by_ref())
                .map(|(node, answer)| NodeNow {
                    name: node.name.clone(),
                    role: node.role.clone(),
                    place: node.place.clone(),
                    up: answer.up,
                    seconds: answer.seconds,
                    detail: answer.detail,
                    since: self
                        .streaks
                        .get(&key((system, node)))
                        .and_then(Streak::since),
                })
                .collect();
            SystemNow {
                name: system.name.clone(),
                summary: system.summary.clone(),
                pages: system.pages.clone(),
                health: Health::of(&nodes),
                nodes,
            }
        });
        let live = Live {
            at: Some(at),
            systems: systems.collect(),
            web_servers,
        };
        self.live.send_replace(Arc::new(live));
    }

    async fn ask_web_servers(&self) -> Vec<WebServer> {
        let mut servers: Vec<(String, Result<(), String>)> = Vec::new();
        for name in &self.settings.web_servers {
            let patience = Duration::from_millis(self.settings.probe_timeout_ms);
            match tokio::time::timeout(patience, lookup_host(name)).await {
                Ok(Ok(found)) => {
                    let found = found.take(ADDRESSES_MAX);
                    servers.extend(found.map(|address| (address.to_string(), Ok(()))));
                }
                Ok(Err(error)) => servers.push((name.clone(), Err(error.to_string()))),
                Err(_) => servers.push((name.clone(), Err("its name is not resolved".to_owned()))),
            }
        }
        servers.sort();
        servers.dedup();
        let before = self.live.borrow().web_servers.clone();
        let gone = before
            .iter()
            .filter(|old| servers.iter().all(|(server, _)| *server != old.server));
        for old in gone {
            web_server_up(&old.server).set(f64::NAN);
        }
        let ask = async |(server, found): (String, Result<(), String>)| {
            let answer = match found {
                Ok(()) => self.prober.get(&format!("http://{server}/health")).await,
                Err(reason) => Answer::failed(reason),
            };
            web_server_up(&server).set(if answer.up { 1.0 } else { 0.0 });
            WebServer {
                server,
                up: answer.up,
                seconds: answer.seconds,
                detail: answer.detail,
            }
        };
        stream::iter(servers)
            .map(ask)
            .buffered(AT_A_TIME)
            .collect()
            .await
    }
}

fn key((system, node): (&crate::targets::System, &crate::targets::Node)) -> (String, String) {
    (system.name.clone(), node.name.clone())
}

fn node_up(system: &str, node: &str) -> metrics::Gauge {
    metrics::gauge!("status_node_up", "system" => system.to_owned(), "node" => node.to_owned())
}

fn web_server_up(server: &str) -> metrics::Gauge {
    metrics::gauge!("status_web_server_up", "server" => server.to_owned())
}
