//! The rate limit as a client meets it.

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode, header};
use kit::rate::{RateLimit, RateSettings};
use tower::ServiceExt;

async fn ask(router: &Router, client: &str) -> http::Response<Body> {
    let request = Request::get("/")
        .header("x-client", client)
        .body(Body::empty())
        .expect("a request");
    router.clone().oneshot(request).await.expect("an answer")
}

#[tokio::test]
async fn a_client_over_its_rate_is_told_when_to_come_back_and_others_are_served() {
    let limit = RateLimit::new(RateSettings {
        per_second: 0.001,
        burst: 2,
        keys_max: 100,
    });
    let router = Router::new().route("/", get(async || "hello"));
    let router = limit.layer(router, |request| {
        Some(request.headers().get("x-client")?.to_str().ok()?.to_owned())
    });
    assert_eq!(ask(&router, "a").await.status(), StatusCode::OK);
    assert_eq!(ask(&router, "a").await.status(), StatusCode::OK);
    let refused = ask(&router, "a").await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        refused.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let wait: u64 = refused.headers()[header::RETRY_AFTER]
        .to_str()
        .expect("ASCII")
        .parse()
        .expect("seconds");
    assert!((900..=1000).contains(&wait), "{wait}");
    assert_eq!(ask(&router, "b").await.status(), StatusCode::OK);
}
