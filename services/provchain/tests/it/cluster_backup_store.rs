//! Backups in an object store: a stand-in that speaks as much of S3 as they need.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, put};
use serde_json::Value;

use super::cluster::Ledger;
use super::cluster_backup::{keys, on_the_machine_of, text};

/// The objects of one bucket, and whether it is full.
#[derive(Clone, Default)]
struct Bucket(Arc<Mutex<Content>>);

#[derive(Default)]
struct Content {
    objects: BTreeMap<String, Bytes>,
    full: bool,
}

impl Bucket {
    /// Serves the bucket; gives the URL of the store.
    async fn serve(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let routes = Router::new()
            .route("/bucket", get(list).post(delete_all))
            .route("/bucket/{*key}", put(store).get(fetch).delete(delete))
            .with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        url
    }

    fn keys(&self) -> Vec<String> {
        let content = self.0.lock().expect("not poisoned");
        content.objects.keys().cloned().collect()
    }

    fn fill_up(&self, full: bool) {
        self.0.lock().expect("not poisoned").full = full;
    }
}

async fn store(
    State(bucket): State<Bucket>,
    Path(key): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    assert!(headers.contains_key("authorization"), "requests are signed");
    let mut content = bucket.0.lock().expect("not poisoned");
    if content.full && !key.ends_with("backup.note") {
        return (StatusCode::FORBIDDEN, "the bucket is full").into_response();
    }
    content.objects.insert(key, body);
    [("etag", "\"1\"")].into_response()
}

async fn fetch(State(bucket): State<Bucket>, Path(key): Path<String>) -> Response {
    let content = bucket.0.lock().expect("not poisoned");
    let headers = [
        ("etag", "\"1\""),
        ("last-modified", "Mon, 02 Mar 2026 00:00:00 GMT"),
    ];
    match content.objects.get(&key) {
        Some(bytes) => (headers, bytes.clone()).into_response(),
        None => (StatusCode::NOT_FOUND, "NoSuchKey").into_response(),
    }
}

async fn list(
    State(bucket): State<Bucket>,
    Query(query): Query<BTreeMap<String, String>>,
) -> String {
    let content = bucket.0.lock().expect("not poisoned");
    let prefix = query.get("prefix").map_or("", String::as_str);
    let mut folders = BTreeSet::new();
    let mut told = String::from("<ListBucketResult>");
    for (key, bytes) in &content.objects {
        let Some(rest) = key.strip_prefix(prefix) else {
            continue;
        };
        match rest.split_once('/') {
            Some((folder, _)) if query.contains_key("delimiter") => {
                folders.insert(format!("{prefix}{folder}/"));
            }
            _ => {
                let size = bytes.len();
                write!(
                    told,
                    "<Contents><Key>{key}</Key><Size>{size}</Size><ETag>\"1\"</ETag>\
                     <LastModified>2026-03-02T00:00:00.000Z</LastModified></Contents>"
                )
                .expect("written");
            }
        }
    }
    for folder in folders {
        write!(
            told,
            "<CommonPrefixes><Prefix>{folder}</Prefix></CommonPrefixes>"
        )
        .expect("written");
    }
    told + "</ListBucketResult>"
}

async fn delete(State(bucket): State<Bucket>, Path(key): Path<String>) -> StatusCode {
    let mut content = bucket.0.lock().expect("not poisoned");
    content.objects.remove(&key);
    StatusCode::NO_CONTENT
}

async fn delete_all(State(bucket): State<Bucket>, body: String) -> String {
    let mut content = bucket.0.lock().expect("not poisoned");
    let mut told = String::from("<DeleteResult>");
    for part in body.split("<Key>").skip(1) {
        let key = part.split("</Key>").next().expect("a key");
        content.objects.remove(key);
        write!(told, "<Deleted><Key>{key}</Key></Deleted>").expect("written");
    }
    told + "</DeleteResult>"
}

#[tokio::test]
async fn an_object_store_keeps_backups_and_a_full_one_keeps_no_half_of_one() {
    let ledger = Ledger::start(1).await;
    ledger.capture_sample(100, 87).await;
    let (bucket, node, keys) = (Bucket::default(), ledger.first(), keys(&ledger).await);
    let store = bucket.serve().await;
    let into = ledger.scratch("place").join("restored");
    let backup = async |arguments: &[&str]| {
        let mut command = on_the_machine_of(&ledger, node);
        command
            .env("AWS_ENDPOINT", &store)
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "somewhere")
            .env("AWS_ACCESS_KEY_ID", "id")
            .env("AWS_SECRET_ACCESS_KEY", "a secret that nobody is shown")
            .env("BACKUP_TARGET", "s3://bucket/ledgers/one")
            .arg("backup")
            .args(arguments)
            .arg("--json");
        // The store is served by this thread.
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        let output = ran.expect("not panicked").expect("it runs");
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() {
            Ok(serde_json::from_slice::<Value>(&output.stdout).expect("JSON"))
        } else {
            Err(complaint)
        }
    };

    bucket.fill_up(true);
    let full = backup(&["now"]).await.expect_err("it is full");
    assert!(full.contains("s3://bucket/ledgers/one"), "{full}");
    assert!(!full.contains("nobody is shown"), "{full}");
    assert_eq!(bucket.keys(), Vec::<String>::new(), "nothing is left there");

    bucket.fill_up(false);
    let made = backup(&["now"]).await.expect("made");
    let name = made["name"].as_str().expect("a name");
    let prefix = format!("ledgers/one/{name}/");
    assert!(bucket.keys().iter().all(|key| key.starts_with(&prefix)));
    let listed = backup(&["list"]).await.expect("listed");
    assert_eq!(listed[0]["name"], name);
    let trusted = ["--keys-file", text(&keys)];
    let verified = backup(&[&["verify"][..], &trusted].concat()).await;
    assert_eq!(verified.expect("verified")["fields"]["size"], 100);
    let restore = [&["restore", "--into", text(&into)][..], &trusted].concat();
    backup(&restore).await.expect("restored");
    let (status, report) = super::cluster_verify::verify(&into, Some(&keys));
    assert_eq!((status, &report["size"]), (0, &100.into()), "{report}");
}
