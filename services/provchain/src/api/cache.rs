//! Answers that took work are kept: in this process, and in Redis where there is one.
//!
//! An answer is kept for its question, for who sees what its asker sees, and for the ledger as it was:
//! of another size it has another name, so that nothing that is kept is ever too old. How far the
//! ledger is, is asked anew every time; a hit spares the work and not the question whether there is
//! more. What a node would not answer without a cache, it does not answer with one.

mod name;
mod process;
mod redis;
mod sealed;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use consensus::Consistency;
use http::{HeaderMap, Method, StatusCode};
use kit::problem::Problem;

use self::name::Name;
use self::process::Process;
use self::redis::Redis;
use self::sealed::Sealer;
use super::{Api, ApiError, Shared};
use crate::access::Caller;
use crate::index::locked_count;
use crate::machine::read;
use crate::settings::CacheSettings;

/// What is kept of the answers of a route.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    /// The parameter that names the size of the ledger that is asked: an answer as of a size holds for
    /// every later one.
    pub as_of: Option<&'static str>,
    /// Whether answers bear the signature of the node that gives them: then another node's is another.
    pub signed: bool,
}

/// An answer with what was said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    /// Bytes that it takes, roughly.
    fn bytes(&self) -> usize {
        let of_header = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            name.as_str().len() + value.len()
        };
        self.body.len() + self.headers.iter().map(of_header).sum::<usize>()
    }
}

/// How far the ledger is, as far as answers depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    origin: String,
    size: u64,
    /// How often something was erased: what was told before must not be told again.
    erasures: u64,
}

/// The answers that are kept; cheap to clone.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    process: Process,
    redis: Option<Redis>,
    answer_bytes_max: usize,
    /// Grows with every [`Cache::forget_all`]: an answer that was on its way then is not kept.
    epoch: AtomicU64,
}

impl Cache {
    /// An empty cache; what is in Redis was sealed with a key of `secret`.
    #[must_use]
    pub fn new(settings: &CacheSettings, secret: &[u8]) -> Self {
        let redis = Redis::new(settings, Sealer::new(secret));
        Self(Arc::new(Inner {
            process: Process::new(settings.bytes_max, settings.answer_bytes_max),
            redis,
            answer_bytes_max: settings.answer_bytes_max,
            epoch: AtomicU64::new(0),
        }))
    }

    /// Forgets every answer, those on their way included: for when something was erased. What lies in
    /// Redis is not found any more, because its names hold how often that was.
    pub fn forget_all(&self) {
        self.0.epoch.fetch_add(1, Ordering::SeqCst);
        self.0.process.clear();
    }

    /// Whether nothing is ever kept.
    fn is_off(&self) -> bool {
        self.0.process.is_off() && self.0.redis.is_none()
    }

    async fn find(&self, name: &Name, epoch: u64) -> Option<Answer> {
        let found = self.0.process.find(name);
        count(found.is_some(), "process");
        if found.is_some() {
            return found;
        }
        let redis = self.0.redis.as_ref()?;
        let found = redis.find(name).await;
        count(found.is_some(), "redis");
        let found = found?;
        self.keep_here(name, &found, epoch);
        Some(found)
    }

    fn keep(&self, name: &Name, answer: Answer, epoch: u64) {
        if self.keep_here(name, &answer, epoch)
            && let Some(redis) = &self.0.redis
        {
            redis.keep(name, answer);
        }
    }

    /// Keeps an answer in this process, unless all was forgotten meanwhile.
    fn keep_here(&self, name: &Name, answer: &Answer, epoch: u64) -> bool {
        if self.0.epoch.load(Ordering::SeqCst) != epoch {
            return false;
        }
        self.0.process.keep(name, answer.clone());
        // What was forgotten between the two lines was not this one.
        if self.0.epoch.load(Ordering::SeqCst) != epoch {
            self.0.process.forget(name);
            return false;
        }
        true
    }
}

/// Counts a search in a part of the cache.
fn count(found: bool, tier: &'static str) {
    let name = if found {
        "provchain_cache_hits_total"
    } else {
        "provchain_cache_misses_total"
    };
    metrics::counter!(name, "tier" => tier).increment(1);
}

impl Shared {
    /// How far the ledger is, anywhere in the cluster or on this node.
    async fn moment(&self, consistency: Consistency) -> Result<Moment, ApiError> {
        let read = self.cluster.read(consistency, |state| {
            let Some(founded) = read::founded(state)? else {
                return Ok(None);
            };
            let erasures = read::erasures(state)?;
            Ok(Some(Moment {
                origin: founded.origin,
                size: founded.size,
                erasures,
            }))
        });
        read.await?.value.ok_or(ApiError::NotFounded)
    }

    /// Whether no entry waits for a key of a subject: it belongs to answers as soon as that comes, though
    /// the ledger is as large as before.
    async fn is_whole(&self) -> bool {
        let locked = self.index.read(locked_count).await;
        locked.is_ok_and(|locked| locked == 0)
    }
}

/// Answers a request with what is kept for it, or keeps the answer.
pub(super) async fn answer(
    State((api, kept)): State<(Api, Kept)>,
    request: Request,
    next: Next,
) -> Response {
    if request.method() != Method::GET || api.cache.is_off() {
        return next.run(request).await;
    }
    let Some(caller) = request.extensions().get::<Caller>() else {
        return Problem::internal("a route without identification").into_response();
    };
    // Whatever is wrong is told by the route itself.
    let Ok(moment) = api.moment(Consistency::Linearizable).await else {
        return next.run(request).await;
    };
    let signer = if kept.signed {
        let Ok(key) = api.signer.public_key() else {
            return next.run(request).await;
        };
        Some(key.to_bytes())
    } else {
        None
    };
    let name = Name::of(&request, &caller.viewer, &moment, (kept.as_of, signer));
    let cache = &api.cache;
    let epoch = cache.0.epoch.load(Ordering::SeqCst);
    if let Some(found) = cache.find(&name, epoch).await {
        let mut response = Response::new(Body::from(found.body));
        *response.headers_mut() = found.headers;
        return response;
    }
    // A store that was lost lacks keys of entries that the index knows already.
    let lacked = api.keeper.store().lacked();
    let whole = api.is_whole().await;
    let response = next.run(request).await;
    let length = response.body().size_hint().exact();
    let fits = length.is_some_and(|length| length <= cache.0.answer_bytes_max as u64);
    if response.status() != StatusCode::OK || !fits || !whole {
        return response;
    }
    let (parts, body) = response.into_parts();
    let body = match axum::body::to_bytes(body, cache.0.answer_bytes_max).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(error).into_response(),
    };
    // What was asked of a ledger that grew meanwhile may be an answer of the larger one.
    let here = Consistency::Local { age_max: None };
    let complete = api.keeper.store().lacked() == lacked && api.is_whole().await;
    if complete && api.moment(here).await.is_ok_and(|now| now == moment) {
        let headers = parts.headers.clone();
        let body = body.clone();
        cache.keep(&name, Answer { headers, body }, epoch);
    }
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> Cache {
        Cache::new(&CacheSettings::default(), b"a secret")
    }

    fn told() -> Answer {
        Answer {
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"of somebody"),
        }
    }

    #[tokio::test]
    async fn what_is_forgotten_is_found_no_more_and_what_was_on_its_way_is_not_kept() {
        let (cache, name) = (cache(), Name([1; 32]));
        cache.keep(&name, told(), 0);
        assert_eq!(cache.find(&name, 0).await, Some(told()));
        cache.forget_all();
        assert_eq!(cache.find(&name, 1).await, None);
        // Worked out before, done after.
        cache.keep(&name, told(), 0);
        assert_eq!(cache.find(&name, 1).await, None);
        cache.keep(&name, told(), 1);
        assert_eq!(cache.find(&name, 1).await, Some(told()));
    }
}
