//! Who may call a peer route.
//!
//! Every call carries a MAC under a key derived from the cluster's secret. It covers the route, the
//! network, the system, both ends, a challenge that the receiver drew when it started, and a counter,
//! so that a recorded call is refused when it is played again. It does not cover the body: where
//! others can change what is on the wire, TLS is needed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue};
use kit::settings::Secret;
use kit::tokens::mac;

pub(crate) const FROM: &str = "trivet-from";
pub(crate) const TO: &str = "trivet-to";
pub(crate) const CLUSTER: &str = "trivet-cluster";
pub(crate) const CALL: &str = "trivet-call";
pub(crate) const MAC: &str = "trivet-mac";
pub(crate) const CHALLENGE: &str = "trivet-challenge";

/// Callers that are remembered; more than a cluster has, and bounded.
const CALLERS_MAX: usize = 1024;

/// The ends of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ends {
    /// The caller's Raft id; 0 for an operator's command.
    pub from: u64,
    /// The Raft id that the caller means; 0 when it only knows an address.
    pub to: u64,
    /// The caller's cluster; empty while it has none.
    pub cluster: String,
}

/// Signs and checks peer calls.
pub(crate) struct Authority {
    key: mac::MacKey,
    scope: String,
    round: Mutex<Round>,
    /// Tells this process's calls from those of its earlier lives.
    boot: String,
    counter: AtomicU64,
}

/// What calls of a while have in common.
struct Round {
    /// A call names it.
    challenge: String,
    /// By caller, which of its calls came in.
    seen: HashMap<String, Window>,
}

impl Round {
    fn new() -> Self {
        Self {
            challenge: random_hex(),
            seen: HashMap::new(),
        }
    }
}

/// Why a call was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the call carries no valid MAC: is the cluster's secret the same on both nodes?")]
    Mac,
    /// The caller does not know this process's challenge yet: it is told, and tries again.
    #[error("the call answers another challenge")]
    Challenge,
    #[error("the call was seen before")]
    Replayed,
}

impl Authority {
    pub(crate) fn new(secret: &Secret, system: &str, network: &str) -> Self {
        Self {
            key: mac::derive(secret, "trivet peer calls v1"),
            scope: format!("{system}\0{network}"),
            round: Mutex::new(Round::new()),
            boot: random_hex(),
            counter: AtomicU64::new(1),
        }
    }

    pub(crate) fn challenge(&self) -> String {
        self.round().challenge.clone()
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a call's MAC covers.
    fn message(&self, path: &str, ends: &Ends, call: &str) -> String {
        format!(
            "{}\0{path}\0{:016x}\0{:016x}\0{}\0{call}",
            self.scope, ends.from, ends.to, ends.cluster
        )
    }

    /// Headers for a call of `path` to a node that gave `challenge`.
    pub(crate) fn sign(&self, path: &str, ends: &Ends, challenge: &str, headers: &mut HeaderMap) {
        let counter = self.counter.fetch_add(1, Ordering::Relaxed);
        let call = format!("{challenge}.{}.{counter:016x}", self.boot);
        let mac = hex::encode(self.key.sign(&[self.message(path, ends, &call).as_bytes()]));
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set(FROM, &format!("{:016x}", ends.from));
        set(TO, &format!("{:016x}", ends.to));
        set(CLUSTER, &ends.cluster);
        set(CALL, &call);
        set(MAC, &mac);
    }

    /// Checks a call of `path`.
    pub(crate) fn check(&self, path: &str, headers: &HeaderMap) -> Result<Ends, Refused> {
        let text = |name: &str| {
            headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .ok_or(Refused::Mac)
        };
        let id = |name: &str| u64::from_str_radix(text(name)?, 16).map_err(|_| Refused::Mac);
        let ends = Ends {
            from: id(FROM)?,
            to: id(TO)?,
            cluster: text(CLUSTER)?.to_owned(),
        };
        let call = text(CALL)?;
        let message = self.message(path, &ends, call);
        let given = hex::decode(text(MAC)?).map_err(|_| Refused::Mac)?;
        if !self.key.verify(&[message.as_bytes()], &given) {
            return Err(Refused::Mac);
        }
        let mut parts = call.split('.');
        let (Some(challenge), Some(boot), Some(counter)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return Err(Refused::Mac);
        };
        let counter = u64::from_str_radix(counter, 16).map_err(|_| Refused::Mac)?;
        let mut round = self.round();
        if challenge == round.challenge
            && round.seen.len() >= CALLERS_MAX
            && !round.seen.contains_key(boot)
        {
            // To forget a caller would let its calls in again: with a new challenge, all that were
            // recorded are worth nothing, and whoever calls now is told the new one.
            *round = Round::new();
        }
        if challenge != round.challenge {
            if round.seen.len() >= CALLERS_MAX {
                // Whoever answers the challenge of this round comes too late to be remembered in it.
                *round = Round::new();
            }
            return Err(Refused::Challenge);
        }
        if !round
            .seen
            .entry(boot.to_owned())
            .or_default()
            .admit(counter)
        {
            return Err(Refused::Replayed);
        }
        Ok(ends)
    }
}

fn random_hex() -> String {
    format!("{:032x}", crate::host::random::<u128>())
}

/// Which of a caller's latest counters were seen: calls may overtake each other, within limits.
/// (The sliding window of RFC 4303, section 3.4.3.)
struct Window {
    newest: u64,
    seen: [u64; Self::WORDS],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            newest: 0,
            seen: [0; Self::WORDS],
        }
    }
}

impl Window {
    const WORDS: usize = 64;
    const SIZE: u64 = Self::WORDS as u64 * 64;

    fn admit(&mut self, counter: u64) -> bool {
        if counter == 0 || counter + Self::SIZE <= self.newest {
            return false;
        }
        if counter > self.newest {
            for passed in self.newest + 1..=counter.min(self.newest + Self::SIZE) {
                self.clear(passed);
            }
            if counter - self.newest > Self::SIZE {
                self.seen = [0; Self::WORDS];
            }
            self.newest = counter;
        }
        let (word, bit) = Self::place(counter);
        let fresh = self.seen[word] & bit == 0;
        self.seen[word] |= bit;
        fresh
    }

    fn clear(&mut self, counter: u64) {
        let (word, bit) = Self::place(counter);
        self.seen[word] &= !bit;
    }

    fn place(counter: u64) -> (usize, u64) {
        (
            ((counter / 64) % Self::WORDS as u64) as usize,
            1 << (counter % 64),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(secret: &str, network: &str) -> Authority {
        Authority::new(&Secret::new(secret), "register", network)
    }

    fn ends() -> Ends {
        Ends {
            from: 7,
            to: 9,
            cluster: "c1".into(),
        }
    }

    fn signed(caller: &Authority, receiver: &Authority) -> HeaderMap {
        let mut headers = HeaderMap::new();
        caller.sign("/p", &ends(), &receiver.challenge(), &mut headers);
        headers
    }

    #[test]
    fn more_callers_than_are_remembered_get_in_and_nothing_can_be_played_again() {
        let receiver = authority("s", "n");
        let first = signed(&authority("s", "n"), &receiver);
        assert_eq!(receiver.check("/p", &first), Ok(ends()));
        for _ in 0..CALLERS_MAX + 10 {
            let caller = authority("s", "n");
            let admitted = match receiver.check("/p", &signed(&caller, &receiver)) {
                Err(Refused::Challenge) => receiver.check("/p", &signed(&caller, &receiver)),
                admitted => admitted,
            };
            assert_eq!(admitted, Ok(ends()));
        }
        assert_eq!(receiver.check("/p", &first), Err(Refused::Challenge));
    }

    #[test]
    fn a_new_caller_gets_in_with_the_first_challenge_that_it_is_told() {
        let receiver = authority("s", "n");
        for _ in 0..2 * CALLERS_MAX + 10 {
            let caller = authority("s", "n");
            let mut unasked = HeaderMap::new();
            caller.sign("/p", &ends(), "", &mut unasked);
            assert_eq!(receiver.check("/p", &unasked), Err(Refused::Challenge));
            assert_eq!(
                receiver.check("/p", &signed(&caller, &receiver)),
                Ok(ends())
            );
        }
    }

    #[test]
    fn a_signed_call_is_admitted_once() {
        let (caller, receiver) = (authority("s", "n"), authority("s", "n"));
        let headers = signed(&caller, &receiver);
        assert_eq!(receiver.check("/p", &headers), Ok(ends()));
        assert_eq!(receiver.check("/p", &headers), Err(Refused::Replayed));
    }

    #[test]
    fn another_secret_network_route_or_end_is_refused() {
        let receiver = authority("s", "n");
        for caller in [authority("other", "n"), authority("s", "other")] {
            assert_eq!(
                receiver.check("/p", &signed(&caller, &receiver)),
                Err(Refused::Mac)
            );
        }
        let caller = authority("s", "n");
        assert_eq!(
            receiver.check("/q", &signed(&caller, &receiver)),
            Err(Refused::Mac)
        );
        for name in [FROM, TO, CLUSTER, CALL, MAC] {
            let mut headers = signed(&caller, &receiver);
            headers.remove(name);
            assert_eq!(
                receiver.check("/p", &headers),
                Err(Refused::Mac),
                "without {name}"
            );
        }
        let mut headers = signed(&caller, &receiver);
        headers.insert(FROM, HeaderValue::from_static("0000000000000008"));
        assert_eq!(receiver.check("/p", &headers), Err(Refused::Mac));
    }

    #[test]
    fn a_call_recorded_before_a_restart_is_refused_after_it() {
        let (caller, before, after) = (
            authority("s", "n"),
            authority("s", "n"),
            authority("s", "n"),
        );
        let headers = signed(&caller, &before);
        assert_eq!(after.check("/p", &headers), Err(Refused::Challenge));
    }

    #[test]
    fn calls_may_overtake_each_other_within_the_window() {
        let mut window = Window::default();
        assert!(window.admit(5000));
        assert!(window.admit(4000));
        assert!(!window.admit(4000));
        assert!(!window.admit(900), "too old to be known");
        assert!(window.admit(20_000));
        assert!(window.admit(19_999));
        assert!(!window.admit(5000));
        assert!(!window.admit(0));
    }
}
