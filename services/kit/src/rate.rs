//! A limit on how often one client may ask.
//!
//! Each key (an address, a subject, whatever the caller chooses) has a bucket of tokens that fills
//! at a constant rate; a request takes one, or is refused with 429 and the time to wait.

use std::{
    collections::HashMap,
    fmt,
    mem::take,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::Request,
    middleware::{self, Next},
    response::IntoResponse,
};
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// How often one key may ask.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RateSettings {
    /// Requests a second in the long run; 0 means no limit.
    pub per_second: f64,
    /// Requests at once after a pause.
    pub burst: u32,
    /// Clients that are remembered at a time; of more than that, those that have not asked for
    /// longest are forgotten.
    pub keys_max: usize,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            per_second: 100.0,
            burst: 200,
            keys_max: 65_536,
        }
    }
}

/// Buckets of tokens. Clones share them.
#[derive(Clone)]
pub struct RateLimit(Arc<Inner>);

struct Inner {
    settings: RateSettings,
    buckets: Mutex<Generations>,
}

/// Two generations bound the memory without a list in order of use: a full young generation
/// becomes the old one, and the old one is forgotten. What is asked for again moves up.
#[derive(Default)]
struct Generations {
    young: HashMap<String, Bucket>,
    old: HashMap<String, Bucket>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RateLimit").field(&self.0.settings).finish()
    }
}

impl RateLimit {
    /// Full buckets for everyone.
    #[must_use]
    pub fn new(settings: RateSettings) -> Self {
        Self(Arc::new(Inner {
            settings,
            buckets: Mutex::default(),
        }))
    }

    /// Takes a token of `key` now.
    ///
    /// # Errors
    /// The time until there is one.
    pub fn check(&self, key: &str) -> Result<(), Duration> {
        self.check_at(key, Instant::now())
    }

    /// Takes a token of `key` at the time `now`.
    ///
    /// # Errors
    /// The time until there is one.
    pub fn check_at(&self, key: &str, now: Instant) -> Result<(), Duration> {
        let RateSettings {
            per_second,
            burst,
            keys_max,
        } = self.0.settings;
        if per_second <= 0.0 {
            return Ok(());
        }
        let burst = f64::from(burst.max(1));
        let mut buckets = self
            .0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let mut bucket = buckets.get(key).unwrap_or(Bucket {
            tokens: burst,
            at: now,
        });
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket = Bucket {
            tokens: (bucket.tokens + since * per_second).min(burst),
            at: now.max(bucket.at),
        };
        let taken = bucket.tokens >= 1.0;
        let wait = (1.0 - bucket.tokens) / per_second;
        if taken {
            bucket.tokens -= 1.0;
        }
        buckets.put(key, bucket, keys_max);
        if taken {
            Ok(())
        } else {
            Err(Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX))
        }
    }

    /// The number of keys that are remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        let buckets = self
            .0
            .buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        buckets.young.len() + buckets.old.len()
    }

    /// Limits every route of `router` by the key that `key_of` finds; a request without a key is
    /// not limited.
    pub fn layer<S, F>(&self, router: Router<S>, key_of: F) -> Router<S>
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(&Request) -> Option<String> + Clone + Send + Sync + 'static,
    {
        let limit = self.clone();
        router.layer(middleware::from_fn(move |request: Request, next: Next| {
            let checked = key_of(&request).map_or(Ok(()), |key| limit.check(&key));
            async move {
                match checked {
                    Ok(()) => next.run(request).await,
                    Err(wait) => refusal(wait).into_response(),
                }
            }
        }))
    }
}

impl Generations {
    fn get(&self, key: &str) -> Option<Bucket> {
        self.young.get(key).or_else(|| self.old.get(key)).copied()
    }

    fn put(&mut self, key: &str, bucket: Bucket, keys_max: usize) {
        if let Some(known) = self.young.get_mut(key) {
            *known = bucket;
            return;
        }
        self.old.remove(key);
        if self.young.len() >= (keys_max / 2).max(1) {
            self.old = take(&mut self.young);
        }
        self.young.insert(key.to_owned(), bucket);
    }
}

/// The key of an address: the address itself for IPv4, the /64 for IPv6, of which one client has
/// all.
#[must_use]
pub fn address_key(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            format!("{}/64", Ipv6Addr::from(network))
        }
    }
}

/// 429, and when to come back.
#[must_use]
pub fn refusal(wait: Duration) -> Problem {
    metrics::counter!("http_requests_rate_limited_total").increment(1);
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS)
        .with_detail(format!("too many requests; try again in {seconds} s"));
    problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_second: f64, burst: u32, keys_max: usize) -> RateLimit {
        RateLimit::new(RateSettings {
            per_second,
            burst,
            keys_max,
        })
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let (limit, start) = (limit(2.0, 3, 10), Instant::now());
        for _ in 0..3 {
            assert_eq!(limit.check_at("a", start), Ok(()));
        }
        assert_eq!(limit.check_at("a", start), Err(Duration::from_millis(500)));
        assert_eq!(
            limit.check_at("a", start + Duration::from_millis(500)),
            Ok(())
        );
        assert!(
            limit
                .check_at("a", start + Duration::from_millis(500))
                .is_err()
        );
        assert_eq!(
            limit.check_at("b", start),
            Ok(()),
            "others are not affected"
        );
    }

    #[test]
    fn a_clock_that_goes_back_gives_no_tokens() {
        let (limit, start) = (limit(1.0, 1, 10), Instant::now());
        assert_eq!(limit.check_at("a", start + Duration::from_secs(10)), Ok(()));
        assert!(limit.check_at("a", start).is_err());
        assert!(
            limit
                .check_at("a", start + Duration::from_secs(10))
                .is_err()
        );
    }

    #[test]
    fn memory_is_bounded_and_a_busy_key_is_not_forgotten() {
        let (limit, start) = (limit(0.001, 1, 100), Instant::now());
        assert_eq!(limit.check_at("busy", start), Ok(()));
        for other in 0..10_000 {
            let _ = limit.check_at(&other.to_string(), start);
            assert!(limit.keys() <= 100);
            assert!(
                limit.check_at("busy", start).is_err(),
                "after {other} others"
            );
        }
    }

    #[test]
    fn one_ipv6_network_is_one_client() {
        let key = |text: &str| address_key(text.parse().expect("an address"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:10.0.0.1"), key("10.0.0.1"));
    }
}
