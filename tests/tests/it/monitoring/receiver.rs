//! A real receiver of Alertmanager's webhooks, on this machine.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::programs::until;

type Taken = Arc<Mutex<Vec<Value>>>;

pub struct Receiver {
    url: String,
    taken: Taken,
    task: JoinHandle<()>,
}

impl Receiver {
    pub async fn start() -> Self {
        let taken = Taken::default();
        let router = Router::new().route("/alerts", post(take));
        let router = router.with_state(Arc::clone(&taken));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let serve = async move { axum::serve(listener, router).await.expect("served") };
        Self {
            url: format!("http://{address}/alerts"),
            taken,
            task: tokio::spawn(serve),
        }
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Waits for an alert that was told.
    pub async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        until(what, async || {
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.iter().find(|alert| is(alert)).cloned()
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(taken): State<Taken>, Json(message): Json<Value>) {
    let alerts = message["alerts"].as_array().cloned().unwrap_or_default();
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    taken.extend(alerts);
}
