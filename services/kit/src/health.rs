//! Whether a node lives, is ready, and why not; and its metrics.
//!
//! | path | answers | 503 when |
//! |---|---|---|
//! | `/health` | a JSON summary of every check | a check fails that is not about readiness only |
//! | `/livez` | whether the process can answer at all | never |
//! | `/readyz` | the same summary | any check fails |
//! | `/metrics` | Prometheus text | never |
//!
//! A supervisor that restarts a node should look at `/livez` or `/health`, a load balancer at
//! `/readyz`: restarting a node because its cluster has no leader would make matters worse.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use axum::{
    Json, Router,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    metrics::{self, Exposition},
    shutdown::Shutdown,
};

/// How a check ends; the worst of all is the node's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Worth a look; serving goes on.
    Warn,
    /// Not able to do its work.
    Fail,
}

/// The outcome of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The outcome.
    pub status: Status,
    /// What was found, for a person to read.
    pub detail: String,
    /// A failure takes the node out of rotation, but is not the node's own: `/health` shows it as
    /// a warning.
    pub readiness_only: bool,
}

impl Check {
    /// All is well.
    pub fn pass(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Pass,
            detail: detail.into(),
            readiness_only: false,
        }
    }

    /// Worth a look.
    pub fn warn(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Warn,
            ..Self::pass(detail)
        }
    }

    /// The node cannot do its work.
    pub fn fail(detail: impl Into<String>) -> Self {
        Self {
            status: Status::Fail,
            ..Self::pass(detail)
        }
    }

    /// The node should get no requests now.
    pub fn not_ready(detail: impl Into<String>) -> Self {
        Self {
            readiness_only: true,
            ..Self::fail(detail)
        }
    }
}

type CheckFn = Arc<dyn Fn() -> Check + Send + Sync>;
type FactsFn = Arc<dyn Fn() -> Map<String, Value> + Send + Sync>;

/// The checks of a node. Clones share them.
#[derive(Clone)]
pub struct Health(Arc<Inner>);

struct Inner {
    service: String,
    node: String,
    version: String,
    started: Instant,
    checks: RwLock<Vec<(String, CheckFn)>>,
    facts: RwLock<Option<FactsFn>>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("service", &self.0.service)
            .field("node", &self.0.node)
            .finish_non_exhaustive()
    }
}

impl Health {
    /// A node without checks, whose uptime begins now.
    pub fn new(
        service: impl Into<String>,
        node: impl Into<String>,
        version: impl Into<String>,
    ) -> Self {
        let (service, node, version) = (service.into(), node.into(), version.into());
        Self(Arc::new(Inner {
            service,
            node,
            version,
            started: Instant::now(),
            checks: RwLock::default(),
            facts: RwLock::default(),
        }))
    }

    /// Adds a check, or replaces the one of that name. It runs at every request for the health, so
    /// it looks at what is known and waits for nothing.
    pub fn register(
        &self,
        name: impl Into<String>,
        check: impl Fn() -> Check + Send + Sync + 'static,
    ) {
        let (name, check): (String, CheckFn) = (name.into(), Arc::new(check));
        let mut checks = self
            .0
            .checks
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        match checks.iter_mut().find(|(other, _)| *other == name) {
            Some((_, other)) => *other = check,
            None => checks.push((name, check)),
        }
    }

    /// Adds members to the summary, such as the node's role in its cluster; asked for at every
    /// request, so it waits for nothing.
    pub fn describe(&self, facts: impl Fn() -> Map<String, Value> + Send + Sync + 'static) {
        let mut described = self.0.facts.write().unwrap_or_else(PoisonError::into_inner);
        *described = Some(Arc::new(facts));
    }

    /// Makes the node unready as soon as a shutdown is requested, so that a load balancer looks
    /// elsewhere while requests under way finish.
    pub fn register_shutdown(&self, shutdown: &Shutdown) {
        let shutdown = shutdown.clone();
        self.register("shutdown", move || match shutdown.reason() {
            Some(reason) => Check::not_ready(format!("shutting down: {reason}")),
            None => Check::pass("not requested"),
        });
    }

    /// Runs every check. One that panics has failed.
    #[must_use]
    pub fn checks(&self) -> Vec<(String, Check)> {
        let checks = self
            .0
            .checks
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let run = |check: CheckFn| {
            catch_unwind(AssertUnwindSafe(|| check()))
                .unwrap_or_else(|_| Check::fail("the check panicked"))
        };
        checks
            .into_iter()
            .map(|(name, check)| (name, run(check)))
            .collect()
    }

    /// True when no check fails.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.checks()
            .iter()
            .all(|(_, check)| check.status != Status::Fail)
    }

    /// `/health`, `/livez`, `/readyz` and `/metrics`.
    pub fn router<S: Clone + Send + Sync + 'static>(&self, exposition: Exposition) -> Router<S> {
        // Here, not in `new`: what is stated before metrics are installed is lost.
        metrics::build_info(&self.0.service, &self.0.node, &self.0.version);
        let (health, ready) = (self.clone(), self.clone());
        Router::new()
            .route(
                "/health",
                get(async move || {
                    health.answer(|check| {
                        if check.readiness_only {
                            check.status.min(Status::Warn)
                        } else {
                            check.status
                        }
                    })
                }),
            )
            .route(
                "/readyz",
                get(async move || ready.answer(|check| check.status)),
            )
            .route(
                "/livez",
                get(async || respond(StatusCode::OK, json!({ "status": Status::Pass }))),
            )
            .route(
                "/metrics",
                get(async move || {
                    (
                        [(header::CONTENT_TYPE, metrics::MEDIA_TYPE)],
                        exposition.render(),
                    )
                }),
            )
    }

    fn answer(&self, weight: impl Fn(&Check) -> Status) -> Response {
        let checks = self.checks();
        let status = checks
            .iter()
            .map(|(_, check)| weight(check))
            .max()
            .unwrap_or(Status::Pass);
        let shown: Map<String, Value> = checks
            .into_iter()
            .map(|(name, check)| {
                (
                    name,
                    json!({ "status": check.status, "detail": check.detail }),
                )
            })
            .collect();
        let mut summary = json!({
            "status": status,
            "service": self.0.service,
            "node": self.0.node,
            "version": self.0.version,
            "uptime_seconds": self.0.started.elapsed().as_secs(),
            "checks": shown,
        });
        let facts = self
            .0
            .facts
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let (Some(facts), Some(summary)) = (facts, summary.as_object_mut()) {
            summary.extend(facts());
        }
        let code = if status == Status::Fail {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        };
        respond(code, summary)
    }
}

fn respond(code: StatusCode, summary: Value) -> Response {
    let mut response = (code, Json(summary)).into_response();
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
