//! Answers kept in Redis.
//!
//! It may be slow, gone, full or false. A request waits for it for a moment at most, and not at all
//! for a connection: that is made beside requests, and given up for a while with the first thing that
//! goes wrong, longer each time. What it sends is read within bounds, and believed if it opens.

mod allowance;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{AsyncConnectionConfig, Cmd, ErrorKind, RedisConnectionInfo, RedisError};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use self::allowance::{Allowance, Bounded};
use super::Answer;
use super::name::Name;
use super::sealed::{FRAME_BYTES, Sealer};
use crate::settings::{CacheSettings, redis_address};

/// What is asked of Redis at a time; what comes on top is done without it.
const OPERATIONS_MAX: usize = 16;
/// How long making a connection may take, and keeping an answer: no request waits for either.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long Redis is left alone after the first thing that goes wrong, and at most.
const REST: Duration = Duration::from_secs(1);
const REST_MAX: Duration = Duration::from_secs(30);
/// Headers of an answer, roughly, beside its body.
const HEADERS_BYTES_MAX: usize = 4 << 10;
/// A reply beside what it carries.
const REPLY_BYTES_MAX: usize = 4 << 10;

/// A Redis; cheap to clone.
#[derive(Clone)]
pub(super) struct Redis(Arc<Inner>);

struct Inner {
    host: String,
    port: u16,
    login: RedisConnectionInfo,
    sealer: Sealer,
    ttl_seconds: u64,
    timeout: Duration,
    stored_bytes_max: usize,
    operations: Arc<Semaphore>,
    link: Mutex<Link>,
}

enum Link {
    /// It answers. `rest` is what comes if the first thing that is asked goes wrong.
    Up {
        connection: MultiplexedConnection,
        allowance: Allowance,
        rest: Duration,
    },
    /// It is left alone until then.
    Down { until: Instant, rest: Duration },
    /// A connection is being made.
    Rising,
}

/// What went wrong, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// No answer in time.
    Timeout,
    /// No connection, or one that speaks no sense.
    Broken,
    /// It said no: it is full, or a key is of another kind.
    Refused,
    /// What it has under a key is nothing that was kept there.
    Forged,
}

impl Fault {
    fn count(self) {
        let reason = match self {
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Refused => "refused",
            Self::Forged => "forged",
        };
        metrics::counter!("provchain_cache_errors_total", "reason" => reason).increment(1);
    }
}

impl Redis {
    /// The Redis of the settings, if they name one; nothing is asked of it yet.
    pub fn new(settings: &CacheSettings, sealer: Sealer) -> Option<Self> {
        let (host, port, login) = redis_address(settings.redis_url.expose()).ok()?;
        let redis = Self(Arc::new(Inner {
            host,
            port,
            login,
            sealer,
            ttl_seconds: settings.redis_ttl_seconds,
            timeout: Duration::from_millis(settings.redis_timeout_ms),
            stored_bytes_max: settings.answer_bytes_max + HEADERS_BYTES_MAX + FRAME_BYTES,
            operations: Arc::new(Semaphore::new(OPERATIONS_MAX)),
            link: Mutex::new(Link::Down {
                until: Instant::now(),
                rest: REST,
            }),
        }));
        Some(redis)
    }

    /// What is kept under this name, if Redis says so in time.
    pub async fn find(&self, name: &Name) -> Option<Answer> {
        let _turn = self.0.operations.try_acquire().ok()?;
        // No more than could have been kept, whatever lies there.
        let last = self.0.stored_bytes_max - 1;
        let mut command = ::redis::cmd("GETRANGE");
        command.arg(self.0.sealer.key(name)).arg(0).arg(last);
        let stored: Vec<u8> = self.ask(&command, self.0.timeout).await?;
        if stored.is_empty() {
            return None;
        }
        let opened = self.0.sealer.open(name, &stored);
        if opened.is_none() {
            Fault::Forged.count();
        }
        opened
    }

    /// Keeps an answer, beside whatever else goes on; one that comes while there is much to do is not
    /// kept.
    pub fn keep(&self, name: &Name, answer: Answer) {
        let Ok(turn) = Arc::clone(&self.0.operations).try_acquire_owned() else {
            return;
        };
        let (redis, name) = (self.clone(), *name);
        tokio::spawn(async move {
            let _turn = turn;
            let sealed = redis.0.sealer.seal(&name, &answer, rand::random());
            let Some(sealed) = sealed.filter(|sealed| sealed.len() <= redis.0.stored_bytes_max)
            else {
                return;
            };
            let mut command = ::redis::cmd("SET");
            command.arg(redis.0.sealer.key(&name)).arg(sealed);
            command.arg("EX").arg(redis.0.ttl_seconds);
            let _: Option<String> = redis.ask(&command, PATIENCE).await;
        });
    }

    async fn ask<T: ::redis::FromRedisValue>(&self, command: &Cmd, wait: Duration) -> Option<T> {
        let (mut connection, allowance) = self.connection()?;
        allowance.grant(self.0.stored_bytes_max + REPLY_BYTES_MAX, OPERATIONS_MAX);
        let asked = timeout(wait, command.query_async(&mut connection)).await;
        let fault = match asked {
            Ok(Ok(reply)) => {
                self.well();
                return Some(reply);
            }
            Ok(Err(error)) if says_no(&error) => Fault::Refused,
            Ok(Err(_)) => Fault::Broken,
            Err(_) => Fault::Timeout,
        };
        fault.count();
        if fault != Fault::Refused {
            self.rest();
        }
        None
    }

    fn link(&self) -> MutexGuard<'_, Link> {
        self.0.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that has been made. Where there is none, one is made for those who come later.
    fn connection(&self) -> Option<(MultiplexedConnection, Allowance)> {
        let mut link = self.link();
        match &*link {
            Link::Up {
                connection,
                allowance,
                ..
            } => return Some((connection.clone(), allowance.clone())),
            Link::Down { until, rest } if *until <= Instant::now() => {
                let rest = *rest;
                *link = Link::Rising;
                let redis = self.clone();
                tokio::spawn(async move { redis.rise(rest).await });
            }
            Link::Down { .. } | Link::Rising => {}
        }
        None
    }

    async fn rise(&self, rest: Duration) {
        let made = timeout(PATIENCE, connect(&self.0)).await;
        let fault = match made {
            Ok(Ok((connection, allowance))) => {
                // Longer, if it comes to nothing.
                let rest = (rest * 2).min(REST_MAX);
                *self.link() = Link::Up {
                    connection,
                    allowance,
                    rest,
                };
                return;
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "no connection to Redis");
                Fault::Broken
            }
            Err(_) => Fault::Timeout,
        };
        fault.count();
        *self.link() = Link::Down {
            until: Instant::now() + rest,
            rest: (rest * 2).min(REST_MAX),
        };
    }

    /// It does what it should.
    fn well(&self) {
        if let Link::Up { rest, .. } = &mut *self.link() {
            *rest = REST;
        }
    }

    /// Leaves it alone for a while. The connection ends with what else was asked on it.
    fn rest(&self) {
        let mut link = self.link();
        if let Link::Up { rest, .. } = &*link {
            let rest = *rest;
            tracing::warn!(seconds = rest.as_secs(), "Redis is left alone");
            *link = Link::Down {
                until: Instant::now() + rest,
                rest: (rest * 2).min(REST_MAX),
            };
        }
    }
}

/// Whether Redis answered, and refused.
fn says_no(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

async fn connect(inner: &Inner) -> Result<(MultiplexedConnection, Allowance), RedisError> {
    let stream = TcpStream::connect((inner.host.as_str(), inner.port)).await?;
    stream.set_nodelay(true)?;
    let allowance = Allowance::new(REPLY_BYTES_MAX);
    let stream = Bounded::new(stream, allowance.clone());
    // Whoever asks knows how long to wait.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (mut connection, driver) =
        MultiplexedConnection::new_with_config(&inner.login, stream, config).await?;
    tokio::spawn(driver);
    let _: String = ::redis::cmd("PING").query_async(&mut connection).await?;
    Ok((connection, allowance))
}
