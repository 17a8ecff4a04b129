//! A real receiver of what subscribers are sent, on this machine.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use kit::serve::Limits;
use kit::shutdown::Shutdown;
use kit::tls::{ServerTls, Tls};
use serde_json::Value;

use super::cluster::until;

/// What a receiver does with what it gets.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Answers this.
    Answer(u16),
    /// Sends the client elsewhere.
    Redirect(String),
    /// Does not answer.
    Hang,
    /// Answers 200, and does not stop talking.
    Endless,
    /// Takes one event at a time.
    One,
}

/// One delivery that was taken.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub signature: Option<String>,
    pub body: Bytes,
}

impl Delivery {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The ids of its events.
    pub fn ids(&self) -> Vec<String> {
        let document = self.json();
        let events = document["epcisBody"]["queryResults"]["resultsBody"]["eventList"].clone();
        let events = events.as_array().expect("a list").iter();
        let id = |event: &Value| event["eventID"].as_str().expect("an id").to_owned();
        events.map(id).collect()
    }
}

/// A receiver.
pub struct Receiver {
    pub address: SocketAddr,
    kept: Arc<Kept>,
    task: tokio::task::JoinHandle<()>,
}

struct Kept {
    behaviour: Mutex<Behaviour>,
    taken: Mutex<Vec<Delivery>>,
    /// Everything that came, whatever became of it.
    calls: Mutex<usize>,
    hanging: Hanging,
}

/// How many callers wait for an answer that does not come: now, and at most.
#[derive(Default)]
struct Hanging {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Hanging {
    /// Never answers; ends with its caller's patience.
    async fn hang(&self) -> Response {
        struct Caller<'a>(&'a Hanging);
        impl Drop for Caller<'_> {
            fn drop(&mut self) {
                self.0.now.fetch_sub(1, Ordering::SeqCst);
            }
        }
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        let _caller = Caller(self);
        self.most.fetch_max(now, Ordering::SeqCst);
        std::future::pending().await
    }
}

impl Receiver {
    pub async fn start() -> Self {
        Self::with(None).await
    }

    /// One that is spoken to over TLS.
    pub async fn over_tls(tls: &Tls) -> Self {
        Self::with(Some(tls.server())).await
    }

    async fn with(tls: Option<ServerTls>) -> Self {
        let kept = Arc::new(Kept {
            behaviour: Mutex::new(Behaviour::Answer(200)),
            taken: Mutex::default(),
            calls: Mutex::default(),
            hanging: Hanging::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let app = Router::new().fallback(take).with_state(Arc::clone(&kept));
        let task = tokio::spawn(async move {
            let shutdown = Shutdown::new(Duration::ZERO);
            let served = kit::serve::serve(listener, app, tls, Limits::default(), shutdown);
            served.await.expect("served");
        });
        Self {
            address,
            kept,
            task,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    pub fn behave(&self, behaviour: Behaviour) {
        *self.kept.behaviour.lock().unwrap() = behaviour;
    }

    pub fn taken(&self) -> Vec<Delivery> {
        self.kept.taken.lock().unwrap().clone()
    }

    pub fn calls(&self) -> usize {
        *self.kept.calls.lock().unwrap()
    }

    /// How many callers hang at a time at most, while so many call.
    pub async fn hanging_at_most(&self, calls: usize) -> usize {
        let hanging = &self.kept.hanging;
        hanging.most.store(0, Ordering::SeqCst);
        self.until_called(self.calls() + calls).await;
        hanging.most.load(Ordering::SeqCst)
    }

    /// The ids of all events that were taken, in their order.
    pub fn ids(&self) -> Vec<String> {
        self.taken().iter().flat_map(Delivery::ids).collect()
    }

    /// Waits until the event with this id has come; gives all ids.
    pub async fn until_id(&self, id: &str) -> Vec<String> {
        until(&format!("{id} is delivered"), async || {
            self.ids().iter().any(|one| one == id)
        })
        .await;
        self.ids()
    }

    /// Waits until there have been more calls than `before`.
    pub async fn until_called(&self, before: usize) {
        until("the receiver is called", async || self.calls() > before).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(State(kept): State<Arc<Kept>>, headers: HeaderMap, body: Bytes) -> Response {
    *kept.calls.lock().unwrap() += 1;
    let signature = headers.get("gs1-signature");
    let signature = signature.map(|value| value.to_str().expect("text").to_owned());
    let delivery = Delivery { signature, body };
    let behaviour = kept.behaviour.lock().unwrap().clone();
    let take = || kept.taken.lock().unwrap().push(delivery.clone());
    match behaviour {
        Behaviour::Answer(status) => {
            if status < 300 {
                take();
            }
            StatusCode::from_u16(status)
                .expect("a status")
                .into_response()
        }
        Behaviour::Redirect(to) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response()
        }
        Behaviour::Hang => kept.hanging.hang().await,
        Behaviour::Endless => {
            take();
            let chunk = Bytes::from(vec![b' '; 1 << 16]);
            let stream =
                futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            Body::from_stream(stream).into_response()
        }
        Behaviour::One if delivery.ids().len() > 1 => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
        Behaviour::One => {
            take();
            StatusCode::OK.into_response()
        }
    }
}
