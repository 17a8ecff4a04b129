//! What enters the ledger is told to those who listen: once, in order, and only to whom it may be.

use std::collections::VecDeque;

use futures_util::stream::BoxStream;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::cluster::{Ledger, answer};
use super::epcis_fixtures::{document, object_event};
use devcluster::Node;

/// How long a message is waited for; it bounds failures only.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// One message, whichever way it came.
#[derive(Clone, Debug, PartialEq)]
struct Message {
    id: String,
    kind: String,
    data: Value,
}

/// Somebody who listens by server-sent events.
struct Listener {
    bytes: BoxStream<'static, reqwest::Result<Vec<u8>>>,
    text: String,
    messages: VecDeque<Message>,
}

impl Listener {
    async fn begin(ledger: &Ledger, node: &Node, question: &str, last: Option<&str>) -> Self {
        Self::begin_as(ledger, node, question, last, None).await
    }

    async fn begin_as(
        ledger: &Ledger,
        node: &Node,
        question: &str,
        last: Option<&str>,
        token: Option<&str>,
    ) -> Self {
        let path = format!("/api/v1/live{question}");
        // A stream lasts longer than an answer may.
        let mut request = ledger.request(Method::GET, node, &path);
        request = request.timeout(std::time::Duration::from_secs(600));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let bytes = response
            .bytes_stream()
            .map(|chunk| chunk.map(|bytes| bytes.to_vec()));
        Self {
            bytes: bytes.boxed(),
            text: String::new(),
            messages: VecDeque::new(),
        }
    }

    /// The next message, which must come in time; nothing at the end of the stream.
    async fn next(&mut self) -> Option<Message> {
        let heard = tokio::time::timeout(PATIENCE, self.hear()).await;
        heard.expect("a message, or the end of the stream")
    }

    async fn hear(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            let chunk = self.bytes.next().await?.ok()?;
            self.text.push_str(&String::from_utf8(chunk).expect("text"));
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines();
                    lines
                        .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned))
                };
                if let (Some(id), Some(kind), Some(data)) =
                    (field("id"), field("event"), field("data"))
                {
                    let data = serde_json::from_str(&data).expect("JSON");
                    self.messages.push_back(Message { id, kind, data });
                }
            }
        }
    }

    /// Everything until the entry `last` has come, and the block that holds it.
    async fn until(&mut self, last: u64) -> Vec<Message> {
        let mut heard = Vec::new();
        loop {
            let message = self.next().await.expect("the stream goes on");
            let ends = message.kind == "block" && message.data["lastEntry"].as_u64() >= Some(last);
            heard.push(message);
            if ends {
                return heard;
            }
        }
    }
}

/// Entries and heights come one after the other, a block behind its last entry and before the next.
fn assert_in_order(heard: &[Message], mut entry: u64, mut height: u64) {
    let mut sealed = 0;
    for message in heard {
        match message.kind.as_str() {
            "event" => {
                assert_eq!(message.data["entry"], entry, "{message:?}");
                entry += 1;
            }
            "block" => {
                assert_eq!(message.data["height"], height, "{message:?}");
                height += 1;
                sealed = message.data["lastEntry"].as_u64().expect("a number");
                assert!(sealed < entry, "before its last entry: {message:?}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(sealed + 1, entry, "the last block is behind the last entry");
}

#[tokio::test]
async fn every_listener_hears_everything_once_in_order_and_goes_on_where_it_was_cut_off() {
    let ledger = Ledger::start(3).await;
    let nodes = ledger.nodes.nodes();
    ledger.capture_sample(40, 61).await;
    ledger.sealed(ledger.first()).await;
    let mut listeners = Vec::new();
    for node in nodes {
        listeners.push(Listener::begin(&ledger, node, "?fromHeight=0", None).await);
    }
    let mut socket = nodes[1].url("api").expect("a port").replace("http", "ws");
    socket.push_str("/api/v1/live?fromEntry=0&fromHeight=0");
    let (mut socket, _) = connect_async(&socket).await.expect("a socket");
    ledger.capture_sample(300, 62).await;
    let size = ledger.common_tree().await.size;
    let mut heard = Vec::new();
    for listener in &mut listeners {
        heard.push(listener.until(size - 1).await);
    }
    for heard in &heard {
        assert_in_order(heard, 0, 0);
        assert_eq!(heard, &heard[..]);
    }
    let without_time = |heard: &[Message]| -> Vec<String> {
        heard
            .iter()
            .map(|message| message.data.to_string())
            .collect()
    };
    assert_eq!(without_time(&heard[0]), without_time(&heard[2]));
    let events = heard[0].iter().filter(|message| message.kind == "event");
    assert_eq!(events.count() as u64, size);

    // The same over the socket.
    let mut over_socket = Vec::new();
    while over_socket.len() < heard[1].len() {
        match socket.next().await.expect("goes on").expect("a frame") {
            Frame::Text(text) => {
                let message: Value = serde_json::from_str(&text).expect("JSON");
                over_socket.push(message["data"].to_string());
            }
            _ => continue,
        }
    }
    assert_eq!(over_socket, without_time(&heard[1]));
    socket.close(None).await.expect("closed");
    drop(socket.flush().await);

    // Cut off anywhere, on another node too.
    for cut in [0, 1, heard[0].len() / 2, heard[0].len() - 1] {
        let last = heard[0][cut].id.as_str();
        let mut again = Listener::begin(&ledger, &nodes[2], "", Some(last)).await;
        let mut rest = Vec::new();
        while rest.len() < heard[0].len() - cut - 1 {
            rest.push(again.next().await.expect("goes on"));
        }
        assert_eq!(
            without_time(&rest),
            without_time(&heard[0][cut + 1..]),
            "behind {last}"
        );
    }
    // Whoever asks for nothing older hears what is new only.
    let mut new = Listener::begin(&ledger, &nodes[0], "?blocks=false", None).await;
    let taken = ledger
        .capture(&nodes[1], &document(&json!([object_event()])))
        .await;
    let first = new.next().await.expect("a message");
    assert_eq!(first.data["entry"], taken["entries"][0]);

    for (question, last) in [("", Some("text")), ("", Some("1")), ("?fromHeight=x", None)] {
        let path = format!("/api/v1/live{question}");
        let mut request = ledger.request(Method::GET, &nodes[0], &path);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        answer(request).await.expect("an answer").problem(400);
    }
    // A node that goes down ends its streams, and is not held up by them.
    assert!(
        nodes[0].stop().await.expect("stopped"),
        "it stopped by itself"
    );
    while new.next().await.is_some() {}
}

#[tokio::test]
async fn a_listener_hears_what_it_may_read_for_as_long_as_it_may() {
    let ledger = Ledger::start(1).await;
    let node = ledger.first();
    let [farm, shop] = ["farm", "shop"].map(|party| ledger.token_for(party, "retailer"));
    let capture = async |number: u32, visibility: &str| {
        let mut event = object_event();
        event["eventID"] = json!(format!("urn:uuid:00000000-0000-4000-8000-{number:012}"));
        let request = ledger.request(Method::POST, node, "/capture");
        let request = request
            .bearer_auth(&farm)
            .header("provchain-visibility", visibility);
        let taken = answer(request.json(&document(&json!([event]))))
            .await
            .expect("an answer");
        assert_eq!(taken.status, 202, "{}", taken.text());
    };
    let partners = async |partners: Value| {
        let path = "/api/v1/parties/farm/partners";
        let request = ledger.request(Method::PUT, node, path).bearer_auth(&farm);
        let set = answer(request.json(&json!({ "partners": partners })))
            .await
            .expect("an answer");
        assert_eq!(set.status, 200, "{}", set.text());
    };
    let question = "?blocks=false&fromEntry=0";
    let mut anybody = Listener::begin(&ledger, node, question, None).await;
    let mut owner = Listener::begin_as(&ledger, node, question, None, Some(&farm)).await;
    let mut partner = Listener::begin_as(&ledger, node, question, None, Some(&shop)).await;
    // A page offers its token beside the protocol.
    let url = node.url("api").expect("a port").replace("http", "ws");
    let url = format!("{url}/api/v1/live{question}");
    let mut request = url.into_client_request().expect("a request");
    let offered = format!("provchain.v1, bearer.{farm}");
    let offered = offered.parse().expect("a header");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", offered);
    let (mut socket, accepted) = connect_async(request).await.expect("a socket");
    assert_eq!(accepted.headers()["sec-websocket-protocol"], "provchain.v1");

    capture(1, "private").await;
    capture(2, "partner").await;
    capture(3, "public").await;
    let number = |message: Option<Message>| {
        let message = message.expect("a message");
        message.data["event"]["eventID"].as_str().expect("an id")[33..].to_owned()
    };
    assert_eq!(number(anybody.next().await), "000000000003");
    assert_eq!(number(partner.next().await), "000000000003");
    for expected in ["000000000001", "000000000002", "000000000003"] {
        assert_eq!(number(owner.next().await), expected);
        let frame = socket.next().await.expect("goes on").expect("a frame");
        assert!(frame.to_string().contains(expected), "{frame}");
    }
    // Named as a partner while it listens, and not any more.
    partners(json!(["shop"])).await;
    capture(4, "partner").await;
    capture(5, "private").await;
    assert_eq!(number(partner.next().await), "000000000004");
    partners(json!([])).await;
    capture(6, "partner").await;
    capture(7, "public").await;
    assert_eq!(number(partner.next().await), "000000000007");

    // A token that is taken back ends its stream.
    let admin = ledger.token_of("admin");
    let request = ledger.request(Method::POST, node, "/api/v1/tokens/revoke");
    let request = request.bearer_auth(admin).json(&json!({ "token": shop }));
    assert_eq!(answer(request).await.expect("an answer").status, 204);
    capture(8, "public").await;
    assert_eq!(partner.next().await, None);
    let refused = ledger
        .request(Method::GET, node, "/api/v1/live")
        .bearer_auth(shop);
    answer(refused).await.expect("an answer").problem(401);
}
