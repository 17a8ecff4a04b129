//! What runs beside the capture, as in a ledger that is used: backups, personal data, a subscriber.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use devcluster::Builder;
use serde::Serialize;
use serde_json::{Value, json};

use super::capture::documents;

/// How often a backup is due, of the ledger and of the keys.
pub const BACKUP_SECONDS: u32 = 10;
/// People who are named in the events; each event names one of them.
pub const PERSONS: usize = 1_000;
const FIELD: &str = "https://bench.example/driver";
/// After the last acknowledgement, until the subscriber has everything.
const PATIENCE: Duration = Duration::from_secs(180);

/// What it did.
#[derive(Debug, Serialize)]
pub struct Beside {
    /// Complete backups of the ledger, made while events were captured.
    pub backups: usize,
    /// Events that the subscriber was sent.
    pub delivered: usize,
    /// From the last acknowledgement until it had all of them.
    pub behind_seconds: f64,
}

/// A receiver, and where the backups go.
pub struct Running {
    delivered: Arc<AtomicUsize>,
    backups: PathBuf,
    receiver: tokio::task::JoinHandle<std::io::Result<()>>,
}

/// Names somebody in every event of the sample, in a field of the events' own.
pub fn name_persons(sample: &Path) -> anyhow::Result<()> {
    let mut number = 0_usize;
    for file in documents(sample)? {
        let mut document: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        let context = document["@context"].as_array_mut();
        context
            .context("a document without a list of contexts")?
            .push(json!({"bench": "https://bench.example/"}));
        let events = document["epcisBody"]["eventList"].as_array_mut();
        for event in events.context("a document without events")? {
            // A prime step, so that neighbours name different people.
            let person = number * 7_919 % PERSONS;
            event["bench:driver"] = json!(format!("Driver {person}"));
            number += 1;
        }
        std::fs::write(&file, serde_json::to_vec(&document)?)?;
    }
    Ok(())
}

/// The settings of the nodes for it.
pub fn settings(nodes: Builder, data: &Path) -> Builder {
    let schedule = format!("*/{BACKUP_SECONDS} * * * * *");
    nodes
        .env("BACKUP_TARGET", &backups(data).to_string_lossy())
        .env(
            "KEY_BACKUP_TARGET",
            &data.join("key-backups").to_string_lossy(),
        )
        .env("BACKUP_SCHEDULE", &schedule)
        .env("PROVCHAIN_SUBSCRIPTION_PRIVATE_DESTINATIONS", "true")
        .env("PROVCHAIN_SUBSCRIPTION_PLAIN_HTTP", "true")
}

fn backups(data: &Path) -> PathBuf {
    data.join("backups")
}

impl Running {
    /// Says what is personal, and subscribes to every event.
    pub async fn start(
        client: &reqwest::Client,
        url: &str,
        (admin, token): (&str, &str),
        data: &Path,
    ) -> anyhow::Result<Self> {
        let delivered = Arc::new(AtomicUsize::new(0));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let dest = format!("http://{}/events", listener.local_addr()?);
        let receive = Router::new()
            .route("/events", post(count))
            .layer(axum::extract::DefaultBodyLimit::max(64 << 20))
            .with_state(Arc::clone(&delivered));
        let receiver = tokio::spawn(async move { axum::serve(listener, receive).await });
        let ask = async |request: reqwest::RequestBuilder, token: &str, body: Value| {
            let response = request.bearer_auth(token).json(&body).send().await?;
            let (status, url) = (response.status(), response.url().clone());
            let text = response.text().await?;
            ensure!(status.is_success(), "{url}: {status}: {text}");
            Ok(())
        };
        let personal = json!({"fields": [FIELD], "parties": []});
        ask(
            client.put(format!("{url}/api/v1/personal")),
            admin,
            personal,
        )
        .await?;
        let everything = json!({"name": "everything", "query": {}});
        ask(client.post(format!("{url}/queries")), token, everything).await?;
        let subscribe = client.post(format!("{url}/queries/everything/subscriptions"));
        ask(subscribe, token, json!({"dest": dest, "stream": true})).await?;
        Ok(Self {
            delivered,
            backups: backups(data),
            receiver,
        })
    }

    /// Right after the last acknowledgement: waits until the subscriber has had every event.
    pub async fn end(self, events: usize) -> anyhow::Result<Beside> {
        let begun = Instant::now();
        let backups = self.complete_backups()?;
        while self.delivered.load(Ordering::Relaxed) < events {
            ensure!(
                begun.elapsed() < PATIENCE,
                "the subscriber has {} of {events} events",
                self.delivered.load(Ordering::Relaxed)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.receiver.abort();
        Ok(Beside {
            backups,
            delivered: self.delivered.load(Ordering::Relaxed),
            behind_seconds: begun.elapsed().as_secs_f64(),
        })
    }

    fn complete_backups(&self) -> anyhow::Result<usize> {
        let mut complete = 0;
        for entry in std::fs::read_dir(&self.backups)? {
            complete += usize::from(entry?.path().join("manifest.json").is_file());
        }
        ensure!(
            complete > 0,
            "no backup was made in {}",
            self.backups.display()
        );
        Ok(complete)
    }
}

async fn count(State(delivered): State<Arc<AtomicUsize>>, body: Bytes) {
    // Every event has its time once.
    let name = b"\"eventTime\"";
    let events = body.windows(name.len()).filter(|at| at == name).count();
    delivered.fetch_add(events, Ordering::Relaxed);
}
