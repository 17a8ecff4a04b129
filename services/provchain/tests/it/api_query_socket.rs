//! Queries that are followed over a WebSocket.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message as Frame};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::cluster::Ledger;
use super::subscriber::{Party, event, id, ids, long_ago, party};

/// How long a message is waited for; it bounds failures only.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

struct Socket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Socket {
    /// Opens a socket at a path; the status of whoever is turned away.
    async fn open(party: &Party<'_>, path: &str) -> Result<Self, u16> {
        let url = party.node.url("api").expect("a port").replace("http", "ws");
        let mut request = format!("{url}{path}")
            .into_client_request()
            .expect("a request");
        let token = format!("Bearer {}", party.token).parse().expect("a header");
        request.headers_mut().insert("authorization", token);
        match connect_async(request).await {
            Ok((socket, accepted)) => {
                assert!(accepted.headers().contains_key("gs1-query-min-record-time"));
                Ok(Self(socket))
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The next document; nothing at the end.
    async fn next(&mut self) -> Option<Value> {
        let hear = async {
            loop {
                match self.0.next().await? {
                    Ok(Frame::Text(text)) => return serde_json::from_str(&text).ok(),
                    Ok(Frame::Close(_)) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        let heard = tokio::time::timeout(PATIENCE, hear).await;
        heard.expect("a message, or the end of the stream")
    }

    /// The ids of the events until the one with this id.
    async fn until_id(&mut self, id: &str) -> Vec<String> {
        let mut heard = Vec::new();
        while !heard.iter().any(|one| one == id) {
            let document = self.next().await.expect("the stream goes on");
            assert_eq!(document["type"], "EPCISQueryDocument");
            let results = &document["epcisBody"]["queryResults"];
            let events = results["resultsBody"]["eventList"]
                .as_array()
                .expect("a list");
            let id = |event: &Value| event["eventID"].as_str().expect("an id").to_owned();
            heard.extend(events.iter().map(id));
        }
        heard
    }
}

#[tokio::test]
async fn a_socket_tells_what_matches_and_its_owner_may_see_until_the_query_is_gone() {
    let ledger = Ledger::start(2).await;
    let farm = party(&ledger, "farm", "farmer");
    let shop = party(&ledger, "shop", "consumer");
    for who in [&farm, &shop] {
        who.define("shipped", json!({ "EQ_bizStep": ["shipping"] }))
            .await;
    }
    farm.capture(&[event(1, "shipping")], "public").await;
    let stream = "/queries/shipped/events?stream=true";
    let open = async |who: &Party<'_>, path: &str| Socket::open(who, path).await.expect("a socket");
    let mut own = open(&farm, stream).await;
    let node = &ledger.nodes.nodes()[1];
    let there = Party {
        node,
        ..shop.clone()
    };
    let mut others = open(&there, stream).await;
    let past = format!("{stream}&initialRecordTime={}", long_ago());
    let mut from_the_start = open(&farm, &past).await;
    let scheduled = "/queries/shipped/events?second=0/1&reportIfEmpty=true";
    let mut scheduled = open(&farm, scheduled).await;
    // A time without events is told.
    let empty = scheduled.next().await.expect("a message");
    let results = &empty["epcisBody"]["queryResults"];
    assert_eq!(results["queryName"], "shipped");
    assert_eq!(results["resultsBody"]["eventList"], json!([]));

    farm.capture(&[event(2, "shipping"), event(3, "packing")], "private")
        .await;
    farm.capture(&[event(4, "shipping")], "public").await;
    assert_eq!(own.until_id(&id(4)).await, ids([2, 4]));
    assert_eq!(others.until_id(&id(4)).await, ids([4]));
    assert_eq!(from_the_start.until_id(&id(4)).await, ids([1, 2, 4]));
    assert_eq!(scheduled.until_id(&id(4)).await, ids([2, 4]));

    // The query ends its sockets, and those of another party's query of this name go on.
    assert_eq!(farm.delete("/queries/shipped").await.status, 204);
    assert_eq!(own.next().await, None);
    while scheduled.next().await.is_some() {}
    farm.capture(&[event(5, "shipping")], "public").await;
    assert_eq!(others.until_id(&id(5)).await, ids([5]));

    // A token that is taken back ends its stream.
    let admin = party(&ledger, "office", "admin");
    let revoked = json!({ "token": shop.token });
    assert_eq!(
        admin.post("/api/v1/tokens/revoke", revoked).await.status,
        204
    );
    farm.capture(&[event(6, "shipping")], "public").await;
    assert_eq!(others.next().await, None);
}

#[tokio::test]
async fn what_cannot_be_a_socket_is_refused() {
    let ledger = Ledger::start(1).await;
    let farm = party(&ledger, "farm", "farmer");
    let shop = party(&ledger, "shop", "consumer");
    farm.define("all", json!({})).await;
    farm.define("few", json!({ "maxEventCount": 3 })).await;
    for (status, path) in [
        (400, "/queries/all/events"),
        (400, "/queries/all/events?stream=false"),
        (400, "/queries/all/events?stream=true&hour=1"),
        (400, "/queries/all/events?hour=25"),
        (400, "/queries/all/events?stream=true&EQ_action=ADD"),
        (400, "/queries/few/events?stream=true"),
        (404, "/queries/none/events?stream=true"),
    ] {
        assert_eq!(
            Socket::open(&farm, path).await.err(),
            Some(status),
            "{path}"
        );
    }
    let stream = "/queries/all/events?stream=true";
    assert_eq!(Socket::open(&shop, stream).await.err(), Some(404));
    let theirs = format!("{stream}&party=farm");
    assert_eq!(Socket::open(&shop, &theirs).await.err(), Some(404));
    let auditor = party(&ledger, "office", "auditor");
    let mut seen = Socket::open(&auditor, &theirs).await.expect("a socket");
    farm.capture(&[event(1, "shipping")], "private").await;
    assert_eq!(seen.until_id(&id(1)).await, ids([1]));
    let nobody = Party {
        token: "x.y.z".to_owned(),
        ..farm.clone()
    };
    assert_eq!(Socket::open(&nobody, stream).await.err(), Some(401));
}
