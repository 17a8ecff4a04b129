//! The settings of answers that are kept.

use kit::settings::{Invalid, Secret};
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Answers that are kept: traces, recalls, queries for events and proofs, until the ledger grows.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CacheSettings {
    /// Bytes of answers that this process keeps; 0 keeps none.
    pub bytes_max: usize,
    /// Bytes of one answer; larger ones are not kept.
    pub answer_bytes_max: usize,
    /// A Redis that keeps answers too, for all nodes:
    /// `redis://[[user]:password@]host[:port][/database]`. What is in it is encrypted.
    pub redis_url: Secret,
    /// How long Redis keeps an answer, in seconds.
    pub redis_ttl_seconds: u64,
    /// How long a request waits for Redis at most, in milliseconds.
    pub redis_timeout_ms: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        Self {
            bytes_max: 64 << 20,
            answer_bytes_max: 1 << 20,
            redis_url: Secret::default(),
            redis_ttl_seconds: 3_600,
            redis_timeout_ms: 50,
        }
    }
}

impl CacheSettings {
    /// What cannot be; `prefix` is where these settings stand.
    pub(super) fn problems(&self, prefix: &str) -> Vec<Invalid> {
        let mut problems = Vec::new();
        if !self.redis_url.is_empty()
            && let Err(reason) = redis_address(self.redis_url.expose())
        {
            problems.push(Invalid::new(format!("{prefix}.redis_url"), reason));
        }
        for (key, value) in [
            ("answer_bytes_max", self.answer_bytes_max as u64),
            ("redis_ttl_seconds", self.redis_ttl_seconds),
            ("redis_timeout_ms", self.redis_timeout_ms),
        ] {
            if value == 0 {
                problems.push(Invalid::new(format!("{prefix}.{key}"), "must be above 0"));
            }
        }
        problems
    }
}

/// Where a Redis is, as a URL says it.
///
/// # Errors
/// A sentence that says what such a URL looks like.
pub fn redis_address(url: &str) -> Result<(String, u16, RedisConnectionInfo), String> {
    const EXPECTED: &str = "must be redis://[[user]:password@]host[:port][/database]";
    let info = url.into_connection_info().map_err(|_| EXPECTED)?;
    let ConnectionAddr::Tcp(host, port) = info.addr() else {
        return Err(format!(
            "{EXPECTED}; TLS and Unix sockets are not supported"
        ));
    };
    let login = info.redis_settings().clone().set_skip_set_lib_name();
    Ok((host.clone(), *port, login))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_host_and_nothing_that_is_not_supported() {
        let (host, port, login) = redis_address("redis://:secret@cache.example:7000/3").unwrap();
        assert_eq!(
            (host.as_str(), port, login.db()),
            ("cache.example", 7000, 3)
        );
        assert_eq!(login.password(), Some("secret"));
        assert_eq!(redis_address("redis://cache").unwrap().1, 6379);
        for wrong in [
            "",
            "cache:6379",
            "http://cache",
            "rediss://cache",
            "unix:///run/redis",
            "redis://cache/x",
        ] {
            let refused = redis_address(wrong).map(drop).unwrap_err();
            assert!(refused.contains("redis://"), "{wrong}: {refused}");
            assert!(!refused.contains("secret"));
        }
    }
}
