//! How long an answer takes tells nothing of what was left out of it.
//!
//! A search that meets events which its viewer may not read takes longer than one that meets none, by
//! some microseconds for each, and who asks often enough can measure that. So its answer waits for the
//! next of even intervals since the question: what is left to measure is the number of intervals.

use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use tokio::time::Instant;

use crate::access::{Caller, Viewer};

/// Far longer than it takes to leave events out, and short beside the way to a client.
const INTERVAL: Duration = Duration::from_millis(5);

/// Answers at the end of an interval, except whoever sees everything anyway.
pub(super) async fn evenly(request: Request, next: Next) -> Response {
    let asked = Instant::now();
    let caller = request.extensions().get::<Caller>();
    let sees_all = caller.is_some_and(|caller| matches!(caller.viewer, Viewer::All));
    let response = next.run(request).await;
    if !sees_all {
        let intervals = asked.elapsed().as_nanos().div_ceil(INTERVAL.as_nanos());
        let intervals = u32::try_from(intervals.max(1)).unwrap_or(u32::MAX);
        tokio::time::sleep_until(asked + INTERVAL.saturating_mul(intervals)).await;
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt as _;

    use super::*;

    /// Milliseconds until the answer to a caller, of what takes so many to find.
    async fn waited(caller: Caller, takes: u64) -> u128 {
        let find = move || tokio::time::sleep(Duration::from_millis(takes));
        let router = Router::new().route("/", get(find).layer(middleware::from_fn(evenly)));
        let mut request = Request::new(Body::empty());
        request.extensions_mut().insert(caller);
        let asked = Instant::now();
        router.oneshot(request).await.expect("an answer");
        asked.elapsed().as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_comes_at_the_end_of_an_interval_however_long_was_looked() {
        for (takes, comes) in [(0, 5), (1, 5), (4, 5), (5, 5), (6, 10), (23, 25)] {
            assert_eq!(waited(Caller::anybody(), takes).await, comes, "{takes} ms");
        }
        let viewer = Viewer::All;
        let overseer = Caller {
            viewer,
            ..Caller::anybody()
        };
        assert_eq!(waited(overseer, 6).await, 6);
    }
}
