//! One subscription on its way through the ledger.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::Office;
use super::post::PostError;
use crate::api::queries::look::{Look, MESSAGE_EVENTS_MAX, Patience, Take, Watched};
use crate::machine::command::queries::Mark;
use crate::machine::queries::{StoredSubscription, query};
use crate::subscription::{Controls, When, pause_ms};

/// After a fault of this node, and while the subscriber may not read.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest sleep until a time of a schedule: clocks are set, and machines rest.
const NAP_MS: u64 = 30_000;
/// What was looked at in vain is marked after so long, or after so many entries.
const QUIET: (Duration, u64) = (Duration::from_secs(60), 4_096);
/// A receiver that takes longer for an answer is served among those that are slow, until it has been
/// quicker so many times in a row: who is slow every other time would hold up others as well.
const SLOW: (Duration, u8) = (Duration::from_secs(2), 16);

/// Serves a subscription.
pub(super) struct Worker {
    office: Arc<Office>,
    subscription: StoredSubscription,
    /// The entry to look at next, for whoever measures.
    next: Arc<AtomicU64>,
    /// What the log says of that, and since when.
    marked: (u64, Instant),
    /// Events that its receiver takes at a time.
    events_max: usize,
    /// Deliveries for which it is served among the slow ones.
    slow_for: u8,
    patience: Patience,
}

/// One run of the query.
struct Run {
    /// The entries below are looked at.
    until: u64,
    /// When, in milliseconds since 1970-01-01T00:00:00Z.
    time_ms: u64,
    /// Whether the subscriber is told at the end that there is nothing, if it was told nothing else.
    tell_nothing: bool,
}

/// Why a worker ends: the node goes down, or the subscription is given up.
struct Ended;

impl Worker {
    pub fn new(
        office: Arc<Office>,
        subscription: StoredSubscription,
        next: Arc<AtomicU64>,
    ) -> Self {
        Self {
            office,
            marked: (subscription.next, Instant::now()),
            subscription,
            next,
            events_max: MESSAGE_EVENTS_MAX,
            slow_for: 0,
            patience: Patience::default(),
        }
    }

    /// Runs until the subscription is given up or the node goes down.
    pub async fn run(mut self) {
        let (watched, when) = match self.begin().await {
            Ok(begun) => begun,
            Err(reason) => {
                // Stored by another build: nothing that trying again would change.
                self.subscription.error = reason;
                self.subscription.disabled = true;
                self.mark(None).await;
                return;
            }
        };
        while let Some(run) = self.due(&when).await {
            if self.go(&watched, &run).await.is_err() {
                return;
            }
        }
    }

    async fn begin(&self) -> Result<(Watched, When), String> {
        let (party, name) = (self.subscription.party, self.subscription.query.clone());
        let cluster = &self.office.api.cluster;
        let here = consensus::Consistency::Local { age_max: None };
        let found = loop {
            let name = name.clone();
            match cluster
                .read(here, move |state| query(state, party, &name))
                .await
            {
                Ok(read) => break read.value,
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let found = found.ok_or("its query is gone")?;
        let watched = Watched::of(&found, self.subscription.initial_record_micros);
        let watched = watched.map_err(|error| error.to_string())?;
        let when = Controls::when(&self.subscription.schedule);
        Ok((watched, when.map_err(|error| error.to_string())?))
    }

    /// Waits for the next run; nothing if there is none any more.
    async fn due(&self, when: &When) -> Option<Run> {
        let api = &self.office.api;
        let When::Schedule(schedule) = when else {
            return api.more_than(self.subscription.next).await.then(|| Run {
                until: api.fed(),
                time_ms: kit::clock::unix_ms(),
                tell_nothing: false,
            });
        };
        // One that was missed is made up for, once for all that were.
        let due_ms = schedule.next(self.subscription.run_ms / 1000)? * 1000;
        loop {
            let now = kit::clock::unix_ms();
            if now >= due_ms {
                return Some(Run {
                    until: api.fed().max(self.subscription.next),
                    time_ms: now,
                    tell_nothing: self.subscription.report_if_empty,
                });
            }
            tokio::time::sleep(Duration::from_millis((due_ms - now).min(NAP_MS))).await;
        }
    }

    /// Looks at what there is, and delivers what is found.
    async fn go(&mut self, watched: &Watched, run: &Run) -> Result<(), Ended> {
        let mut told = false;
        while self.subscription.next < run.until || (run.tell_nothing && !told) {
            told |= self.step(watched, run).await?;
        }
        if !self.subscription.schedule.is_empty() {
            self.subscription.run_ms = run.time_ms;
            // Of a run that found nothing the log hears now and then.
            let (entry, since) = self.marked;
            if told || self.subscription.next > entry || since.elapsed() >= QUIET.0 {
                self.mark(None).await;
            }
        }
        Ok(())
    }

    /// Looks once, and delivers what is found; whether the subscriber was told something.
    async fn step(&mut self, watched: &Watched, run: &Run) -> Result<bool, Ended> {
        let place = self.office.place(self.slow_for > 0).await.ok_or(Ended)?;
        let looked = self.look(watched, run).await;
        let (from, until) = (self.subscription.next, run.until);
        if let Some(look) = &looked {
            self.patience.went_on(look.next > from || from == until);
        }
        match looked {
            Some(look) if !look.events.is_empty() || from == until => {
                let (count, next) = (look.events.len(), look.next);
                let sent = self.send(look).await;
                // Others go on while this one's failure is written down.
                drop(place);
                self.sent(sent, (count, next), run).await
            }
            Some(look) if look.next > from => {
                drop(place);
                self.reach(look.next);
                let (entry, since) = self.marked;
                if since.elapsed() >= QUIET.0 || look.next - entry >= QUIET.1 {
                    self.mark(None).await;
                }
                Ok(false)
            }
            _ => {
                drop(place);
                tokio::time::sleep(PAUSE).await;
                Ok(false)
            }
        }
    }

    /// What there is next; nothing if the subscriber may not read now, or this node cannot.
    async fn look(&self, watched: &Watched, run: &Run) -> Option<Look> {
        let (api, one) = (&self.office.api, &self.subscription);
        let directory = api.directory.now();
        let viewer = directory.subscriber(&one.user, one.role.parse().ok(), one.party);
        // Who does not lead any more is about to be ended.
        let viewer = viewer.ok().filter(|_| api.cluster.leads())?;
        if one.next >= run.until {
            return Some(Look::nothing(one.next));
        }
        let span = (one.next, run.until);
        let take = Take {
            events_max: self.events_max,
            waits_for_keys: self.patience.is_left(),
        };
        let looked = api.look(watched, &viewer, span, take).await;
        looked
            .inspect_err(|error| tracing::warn!(%error, "a subscription waits"))
            .ok()
    }

    /// Sends what was found.
    async fn send(&mut self, look: Look) -> Result<(), PostError> {
        let one = &self.subscription;
        let body = look.document(&one.query, Some(&one.id)).to_string();
        let begun = Instant::now();
        let post = &self.office.post;
        let sent = post.send(&one.dest, &one.signature_token, body.into_bytes());
        let sent = sent.await;
        self.slow_for = if begun.elapsed() >= SLOW.0 || matches!(sent, Err(PostError::Slow)) {
            SLOW.1
        } else {
            self.slow_for.saturating_sub(1)
        };
        let outcome = if sent.is_ok() { "delivered" } else { "failed" };
        metrics::counter!("provchain_deliveries_total", "outcome" => outcome).increment(1);
        sent
    }

    /// Marks what came of a delivery.
    async fn sent(
        &mut self,
        sent: Result<(), PostError>,
        (count, next): (usize, u64),
        run: &Run,
    ) -> Result<bool, Ended> {
        match sent {
            Ok(()) => {
                metrics::counter!("provchain_delivered_events_total").increment(count as u64);
                self.reach(next);
                let one = &mut self.subscription;
                one.failures = 0;
                one.error.clear();
                if one.schedule.is_empty() {
                    // A scheduled run is over when all of it is delivered.
                    one.run_ms = one.run_ms.max(run.time_ms);
                }
                self.mark(Some(kit::clock::unix_ms())).await;
                Ok(true)
            }
            Err(PostError::TooLarge) if count > 1 => {
                self.events_max = count / 2;
                Ok(false)
            }
            Err(error) => self.failed(&error).await,
        }
    }

    /// Waits before the next try, or gives the subscription up.
    async fn failed(&mut self, error: &PostError) -> Result<bool, Ended> {
        let failures_max = self.office.api.subscriptions.failures_max;
        let one = &mut self.subscription;
        one.failures = one.failures.saturating_add(1);
        one.error = error.to_string();
        one.disabled = one.failures >= failures_max;
        let (failures, disabled) = (one.failures, one.disabled);
        self.mark(None).await;
        if disabled {
            let (id, reason) = (&self.subscription.id, &self.subscription.error);
            tracing::warn!(
                subscription = id,
                failures,
                reason,
                "a subscription is given up"
            );
            return Err(Ended);
        }
        let pause = Duration::from_millis(pause_ms(failures, rand::random()));
        tokio::time::sleep(pause).await;
        Ok(false)
    }

    fn reach(&mut self, next: u64) {
        self.subscription.next = next;
        self.next.store(next, Ordering::Relaxed);
    }

    /// Says in the log how far it is; returns once that is known there.
    async fn mark(&mut self, notified_ms: Option<u64>) {
        let one = &self.subscription;
        let mark = Mark {
            id: one.id.clone(),
            next: one.next,
            run_ms: one.run_ms,
            notified_ms,
            failures: one.failures,
            error: one.error.clone(),
            disabled: one.disabled,
        };
        while !self.office.marks.set(mark.clone()).await {
            tokio::time::sleep(PAUSE).await;
        }
        self.marked = (mark.next, Instant::now());
    }
}
