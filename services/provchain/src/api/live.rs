//! `GET /api/v1/live`: what enters the ledger, as it enters, over a WebSocket or as server-sent events.
//!
//! Each message stands behind the ones before it, in the order of the ledger; a block follows the last
//! of its entries. Whoever was cut off goes on from the id of the last message, or from any height.

pub mod feed;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use consensus::Consistency;
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue, header};
use kit::problem::{Problem, Query};
use schemars::JsonSchema;
use serde::Deserialize;

use self::feed::{FedEntry, Progress};
use super::ledger::block_json;
use super::{Api, ApiError};
use crate::access::{Caller, Directory};
use crate::ledger::block::Block;
use crate::ledger::leaf::Leaf;
use crate::machine::read;

/// How long what is new is gathered before it is sent: many listen, and each message that is sent by
/// itself costs each of them a packet.
const GATHER: Duration = Duration::from_millis(50);
/// Messages that are looked at in one go.
const PAGE: usize = 512;
/// After so long without a message a sign of life is sent, so that nothing on the way forgets the
/// connection.
const SIGN_OF_LIFE: Duration = Duration::from_secs(15);

/// Where to begin, and with what.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Question {
    /// The height of the first block of interest; by default only what is new.
    from_height: Option<u64>,
    /// The index of the first entry of interest.
    from_entry: Option<u64>,
    /// Whether events are sent.
    #[serde(default = "yes")]
    events: bool,
    /// Whether blocks are sent.
    #[serde(default = "yes")]
    blocks: bool,
}

const fn yes() -> bool {
    true
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    entry: u64,
    height: u64,
}

impl Position {
    /// The id of a message: where to go on behind it.
    fn id(self) -> String {
        format!("{}-{}", self.entry, self.height)
    }

    fn parse(id: &str) -> Option<Self> {
        let (entry, height) = id.split_once('-')?;
        Some(Self {
            entry: entry.parse().ok()?,
            height: height.parse().ok()?,
        })
    }
}

/// One message.
struct Line {
    kind: &'static str,
    id: String,
    data: String,
}

/// Somebody who listens.
struct Listener {
    api: Api,
    /// Who: asked again from time to time, and whenever users or partners change.
    headers: HeaderMap,
    caller: Caller,
    checked: (Arc<Directory>, u64),
    question: Question,
    next: Position,
}

/// Why a stream ends.
enum End {
    /// The node goes down.
    Closed,
    /// The listener may not listen any more.
    Denied,
    /// The ledger cannot be read.
    Failed(String),
}

impl Listener {
    async fn begin(
        api: Api,
        caller: Caller,
        headers: HeaderMap,
        question: Question,
    ) -> Result<Self, Problem> {
        let now = *api.feed.progress().borrow();
        let mut next = Position {
            entry: question.from_entry.unwrap_or(now.entries),
            height: question.from_height.unwrap_or(now.blocks),
        };
        if let Some(height) = question.from_height
            && question.from_entry.is_none()
        {
            next.entry = api.first_entry_of(height).await?.unwrap_or(now.entries);
        }
        let last = headers.get("last-event-id").map(HeaderValue::to_str);
        if let Some(last) = last {
            let position = last.ok().and_then(Position::parse);
            next = position.ok_or_else(|| Problem::bad_request("Last-Event-ID is none of ours"))?;
        }
        Ok(Self {
            checked: (api.directory.now(), kit::clock::unix_seconds()),
            api,
            headers,
            caller,
            question,
            next,
        })
    }

    /// The next messages; waits until there are some, or it is time for a sign of life.
    async fn page(&mut self) -> Result<Vec<Line>, End> {
        let mut progress = self.api.feed.progress();
        let next = self.next;
        let more = |progress: &Progress| {
            progress.closed || progress.entries > next.entry || progress.blocks > next.height
        };
        let open = async { progress.wait_for(more).await.is_ok_and(|now| !now.closed) };
        match tokio::time::timeout(SIGN_OF_LIFE, open).await {
            Err(_) => return self.check().map(|()| Vec::new()),
            Ok(false) => return Err(End::Closed),
            Ok(true) => {}
        }
        tokio::time::sleep(GATHER).await;
        self.check()?;
        let blocks = self.blocks().await?;
        let entries = self.entries().await?;
        let mut lines = Vec::new();
        let mut blocks = blocks.into_iter().peekable();
        for entry in entries {
            // A block comes behind its last entry.
            while let Some(block) =
                blocks.next_if(|block| block.header.last_entry < self.next.entry)
            {
                lines.extend(self.block(&block));
            }
            lines.extend(self.event(&entry));
        }
        while let Some(block) = blocks.next_if(|block| block.header.last_entry < self.next.entry) {
            lines.extend(self.block(&block));
        }
        Ok(lines)
    }

    /// Whether the listener is still who it was; a token that has ended or was taken back ends the
    /// stream.
    fn check(&mut self) -> Result<(), End> {
        let now = (self.api.directory.now(), kit::clock::unix_seconds());
        if !Arc::ptr_eq(&now.0, &self.checked.0) || now.1 != self.checked.1 {
            self.caller = self.api.caller(&self.headers).map_err(|_| End::Denied)?;
            self.checked = now;
        }
        Ok(())
    }

    async fn entries(&self) -> Result<Vec<Arc<FedEntry>>, End> {
        let followed = self.api.followed(self.next.entry, PAGE).await;
        followed.map_err(|error| End::Failed(error.to_string()))
    }

    async fn blocks(&self) -> Result<Vec<Arc<Block>>, End> {
        if let Some(kept) = self.api.feed.blocks(self.next.height, PAGE) {
            return Ok(kept);
        }
        let from = self.next.height;
        let read = self
            .api
            .cluster
            .read(Consistency::Local { age_max: None }, move |state| {
                read::blocks(state, from, PAGE)
            });
        let read = read.await.map_err(|error| End::Failed(error.to_string()))?;
        Ok(read.value.into_iter().map(Arc::new).collect())
    }

    fn event(&mut self, entry: &FedEntry) -> Option<Line> {
        let stored = entry.stored();
        self.next.entry = stored.index + 1;
        if !self.question.events || !self.caller.viewer.sees(stored.access) {
            return None;
        }
        let document = std::str::from_utf8(entry.document()?).ok()?;
        let time = Leaf::decode(&stored.leaf).map_or(0, |leaf| leaf.time_ms);
        let (index, time) = (stored.index, kit::clock::rfc3339(time));
        // The document is JSON already, on one line: as it was when it was captured.
        Some(Line {
            kind: "event",
            id: self.next.id(),
            data: format!(r#"{{"entry":{index},"captured":"{time}","event":{document}}}"#),
        })
    }

    fn block(&mut self, block: &Block) -> Option<Line> {
        self.next.height = block.header.height + 1;
        self.question.blocks.then(|| Line {
            kind: "block",
            id: self.next.id(),
            data: block_json(block).to_string(),
        })
    }
}

impl Api {
    /// The first entry of the block of this height; nothing if there is none yet.
    async fn first_entry_of(&self, height: u64) -> Result<Option<u64>, ApiError> {
        let blocks = self.read(move |state| {
            // No block has a height that the database cannot hold.
            i64::try_from(height).map_or(Ok(Vec::new()), |_| read::blocks(state, height, 1))
        });
        Ok(blocks.await?.first().map(|block| block.header.first_entry))
    }
}

/// `GET /api/v1/live`.
pub(super) async fn live(
    State(api): State<Api>,
    caller: Caller,
    Query(question): Query<Question>,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let place = Arc::clone(&api.listeners).try_acquire_owned();
    let place = place.map_err(|_| ApiError::Busy("too many listen: try another node".into()))?;
    let listener = Listener::begin(api, caller, headers, question).await?;
    let Ok(socket) = socket else {
        return Ok(server_sent(listener, place));
    };
    let socket = socket.max_message_size(1024).max_frame_size(1024);
    let protocols = socket.protocols([PROTOCOL]);
    Ok(protocols.on_upgrade(move |socket| async move {
        over_socket(listener, socket).await;
        drop(place);
    }))
}

/// The subprotocol of the WebSocket. A page cannot send headers with one, so a token may stand beside
/// it among the offered subprotocols, as `bearer.<token>`.
pub(super) const PROTOCOL: &str = "provchain.v1";

fn server_sent(listener: Listener, place: super::Turn) -> Response {
    let stream = futures_util::stream::unfold(Some((listener, place)), |state| async {
        let (mut listener, place) = state?;
        match listener.page().await {
            Ok(lines) => {
                let mut text = String::new();
                if lines.is_empty() {
                    text.push_str(":\n\n");
                }
                for Line { kind, id, data } in lines {
                    // Writing to a string cannot fail.
                    let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
                }
                Some((Ok(Bytes::from(text)), Some((listener, place))))
            }
            Err(End::Closed | End::Denied) => None,
            Err(End::Failed(reason)) => Some((Err(std::io::Error::other(reason)), None)),
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // nginx holds answers back otherwise.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, Body::from_stream(stream)).into_response()
}

async fn over_socket(mut listener: Listener, socket: WebSocket) {
    let (mut out, mut incoming) = socket.split();
    loop {
        let page = tokio::select! {
            page = listener.page() => page,
            // Nothing is expected of the listener but its leaving.
            message = incoming.next() => match message {
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
        };
        let sent = match page {
            Ok(lines) if lines.is_empty() => out.send(Message::Ping(Bytes::new())).await,
            Ok(lines) => send(&mut out, lines).await,
            Err(_) => {
                drop(out.send(Message::Close(None)).await);
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

async fn send(
    out: &mut futures_util::stream::SplitSink<WebSocket, Message>,
    lines: Vec<Line>,
) -> Result<(), axum::Error> {
    for Line { kind, id, data } in lines {
        let message = format!(r#"{{"type":"{kind}","id":"{id}","data":{data}}}"#);
        out.feed(Message::Text(message.into())).await?;
    }
    out.flush().await
}
