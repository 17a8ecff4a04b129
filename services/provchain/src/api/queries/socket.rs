//! `GET /queries/{queryName}/events` with an `Upgrade`: a subscription for as long as the connection
//! lasts. Each message is an `EPCISQueryDocument`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::sync::watch;

use super::super::live::PROTOCOL;
use super::super::{Api, ApiError};
use super::look::{Look, MESSAGE_EVENTS_MAX, Patience, Take, Watched};
use crate::access::Caller;
use crate::machine::Changed;
use crate::machine::queries::{StoredQuery, query};
use crate::subscription::{Controls, When};

/// How long what is new is gathered before it is sent.
const GATHER: Duration = Duration::from_millis(50);
/// Between two looks at what cannot be read yet.
const PAUSE: Duration = Duration::from_secs(1);
/// After so long without a message a sign of life is sent, and it is looked whether the subscriber may
/// still listen.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Somebody who listens to a query.
pub(super) struct Subscriber {
    pub api: Api,
    pub caller: Caller,
    /// What the subscriber is known by, looked at again before every message.
    pub headers: HeaderMap,
    pub query: StoredQuery,
}

/// Why a stream ends, or what it does next.
enum Next {
    Ended,
    Nothing,
    Message(Value),
}

struct Listener {
    subscriber: Subscriber,
    watched: Watched,
    controls: Controls,
    /// The entry to look at next.
    next: u64,
    /// When the query was run last, in seconds since 1970.
    run: u64,
    /// The run under way: entries below are looked at; whether something was sent of it.
    running: Option<(u64, bool)>,
    patience: Patience,
    revision: watch::Receiver<Changed>,
    heard: Instant,
}

/// Answers the request for a socket.
pub(super) async fn subscribe(
    subscriber: Subscriber,
    controls: Controls,
    socket: WebSocketUpgrade,
) -> Result<Response, ApiError> {
    let api = &subscriber.api;
    let place = Arc::clone(&api.listeners).try_acquire_owned();
    let place = place.map_err(|_| ApiError::Busy("too many listen: try another node".into()))?;
    let initial = controls.initial_record_time;
    let watched = Watched::of(&subscriber.query, initial.map(|time| time.unix_micros))?;
    watched.query.check_subscribable()?;
    let next = match initial {
        Some(time) => api.first_recorded(time).await?,
        None => api.founded().await?.size,
    };
    let now = kit::clock::unix_ms();
    let since = initial.map_or_else(|| kit::clock::rfc3339(now), |time| time.to_string());
    let mut listener = Listener {
        revision: api.revision.follow(),
        subscriber,
        watched,
        controls,
        next,
        run: now / 1000,
        running: None,
        patience: Patience::default(),
        heard: Instant::now(),
    };
    listener.revision.mark_changed();
    let socket = socket.max_message_size(1024).max_frame_size(1024);
    let mut response = socket
        .protocols([PROTOCOL])
        .on_upgrade(move |socket| async move {
            listen(listener, socket).await;
            drop(place);
        });
    if let Ok(since) = HeaderValue::from_str(&since) {
        let name = HeaderName::from_static("gs1-query-min-record-time");
        response.headers_mut().insert(name, since);
    }
    Ok(response)
}

async fn listen(mut listener: Listener, socket: WebSocket) {
    let (mut out, mut incoming) = socket.split();
    loop {
        let next = tokio::select! {
            next = listener.next() => next,
            // Nothing is expected of the subscriber but its leaving.
            message = incoming.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let message = match next {
            Next::Message(document) => Message::Text(document.to_string().into()),
            Next::Nothing => Message::Ping(Bytes::new()),
            Next::Ended => {
                drop(out.send(Message::Close(None)).await);
                return;
            }
        };
        // Whoever takes nothing is cut off, and does not hold what it was sent for ever.
        match tokio::time::timeout(SIGN_OF_LIFE, out.send(message)).await {
            Ok(Ok(())) => listener.heard = Instant::now(),
            _ => return,
        }
    }
}

impl Listener {
    /// The next message, or a sign of life. What is dropped while it waits is taken up again.
    async fn next(&mut self) -> Next {
        loop {
            let quiet = SIGN_OF_LIFE.saturating_sub(self.heard.elapsed());
            // Its own stays behind until the query was looked at, whatever comes between.
            let mut revision = self.revision.clone();
            let begun = tokio::select! {
                begun = self.due() => begun,
                changed = revision.changed() => match changed {
                    Ok(()) => true,
                    Err(_) => return Next::Ended,
                },
                () = tokio::time::sleep(quiet) => true,
            };
            if !begun || !self.may().await {
                return Next::Ended;
            }
            match self.step().await {
                Ok(Some(message)) => return Next::Message(message),
                Ok(None) if self.heard.elapsed() >= SIGN_OF_LIFE => return Next::Nothing,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a subscriber is cut off");
                    return Next::Ended;
                }
            }
        }
    }

    /// Waits for the next run, or goes on with the one under way; false if the node goes down.
    async fn due(&mut self) -> bool {
        if self.running.is_some() {
            return true;
        }
        let api = &self.subscriber.api;
        match &self.controls.when {
            When::Stream => {
                if !api.more_than(self.next).await {
                    return false;
                }
                tokio::time::sleep(GATHER).await;
            }
            When::Schedule(schedule) => {
                let Some(due) = schedule.next(self.run) else {
                    return false;
                };
                loop {
                    let now = kit::clock::unix_ms();
                    if now >= due * 1000 {
                        self.run = now / 1000;
                        break;
                    }
                    let left = Duration::from_millis(due * 1000 - now);
                    tokio::time::sleep(left.min(SIGN_OF_LIFE)).await;
                }
            }
        }
        self.running = Some((api.fed(), false));
        true
    }

    /// Whether the subscriber is still who it was, and the query there.
    async fn may(&mut self) -> bool {
        let Subscriber {
            api,
            caller,
            headers,
            query: wanted,
        } = &mut self.subscriber;
        let Ok(now) = api.caller(headers) else {
            return false;
        };
        if now.name != caller.name || now.party != caller.party || now.role != caller.role {
            return false;
        }
        *caller = now;
        let changed = *self.revision.borrow_and_update();
        let mut applied = api.cluster.applied();
        if applied.wait_for(|at| *at >= changed.index).await.is_err() {
            return false;
        }
        let (party, name) = (wanted.party, wanted.name.clone());
        let here = consensus::Consistency::Local { age_max: None };
        let found = api
            .cluster
            .read(here, move |state| query(state, party, &name));
        let found = found.await.ok().and_then(|read| read.value);
        // Another one of the same name is another query.
        found.as_ref() == Some(&*wanted)
    }

    /// Looks once; what is to be sent.
    async fn step(&mut self) -> Result<Option<Value>, ApiError> {
        let Some((until, told)) = self.running else {
            return Ok(None);
        };
        let name = &self.subscriber.query.name;
        if self.next >= until {
            self.running = None;
            let tell = self.controls.report_if_empty && !told;
            return Ok(tell.then(|| Look::nothing(until).document(name, None)));
        }
        let viewer = &self.subscriber.caller.viewer;
        let span = (self.next, until);
        let api = &self.subscriber.api;
        let take = Take {
            events_max: MESSAGE_EVENTS_MAX,
            waits_for_keys: self.patience.is_left(),
        };
        let look = api.look(&self.watched, viewer, span, take).await?;
        self.patience.went_on(look.next > self.next);
        if look.next == self.next {
            // Keys are on their way.
            tokio::time::sleep(PAUSE).await;
        }
        self.next = look.next;
        if look.events.is_empty() {
            return Ok(None);
        }
        self.running = Some((until, true));
        Ok(Some(look.document(name, None)))
    }
}
