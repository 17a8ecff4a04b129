//! The time, the hosts and what is written down of a simulated world.

use std::io::Result;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use consensus::testing::{Host as Machine, Wire};
use futures_util::future::BoxFuture;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::Instant;

use super::network::Network;
use super::oracle::Oracle;

/// Time since the beginning of the world.
pub type Time = Duration;

/// Hosts run one after the other, each for so long. Nothing comes from one to another faster, so
/// that none can tell in which order they ran.
pub const QUANTUM: Duration = Duration::from_millis(2);

/// Clients that take turns.
const TURNS: u32 = 4;

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A sequence of random numbers of its own for each use, so that one more draw here changes
/// nothing there.
pub fn random(seed: u64, what: &str, number: u64) -> StdRng {
    let mut mixed = seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in what.bytes() {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    StdRng::seed_from_u64(mixed)
}

/// What all hosts share.
pub struct World {
    pub seed: u64,
    pub network: Mutex<Network>,
    pub oracle: Mutex<Oracle>,
    now: Mutex<Time>,
    trace: Mutex<Vec<String>>,
    /// Prints the trace as it grows.
    aloud: bool,
}

impl World {
    pub fn new(seed: u64, aloud: bool) -> Arc<Self> {
        Arc::new(Self {
            seed,
            network: Mutex::new(Network::new(seed)),
            oracle: Mutex::default(),
            now: Mutex::default(),
            trace: Mutex::default(),
            aloud,
        })
    }

    /// The beginning of the time that the hosts are running through.
    pub fn now(&self) -> Time {
        *lock(&self.now)
    }

    pub fn advance(&self) -> Time {
        let mut now = lock(&self.now);
        *now += QUANTUM;
        *now
    }

    /// Writes down what happened.
    pub fn note(&self, at: Time, what: impl std::fmt::Display) {
        let line = format!("{:>10.6} {what}", at.as_secs_f64());
        if self.aloud {
            println!("{line}");
        }
        lock(&self.trace).push(line);
    }

    pub fn trace(&self) -> Vec<String> {
        lock(&self.trace).clone()
    }
}

/// How a host's clock goes: it may be fast or slow.
#[derive(Clone, Copy)]
struct Clock {
    begun: Time,
    /// What the host's own clock showed then.
    shown: Instant,
    /// Millionths by which it is fast.
    fast: i64,
}

impl Clock {
    fn scaled(duration: Duration, numerator: u128, denominator: u128) -> Duration {
        let nanos = duration.as_nanos() * numerator / denominator;
        Duration::from_nanos(u64::try_from(nanos).unwrap())
    }

    fn rate(&self) -> u128 {
        u128::try_from(1_000_000 + self.fast).unwrap()
    }

    fn shows(&self, at: Time) -> Instant {
        let passed = at.saturating_sub(self.begun);
        self.shown + Self::scaled(passed, self.rate(), 1_000_000)
    }

    fn time(&self, shown: Instant) -> Time {
        self.begun + Self::scaled(shown - self.shown, 1_000_000, self.rate())
    }
}

/// One life of a host.
pub struct Host {
    me: Weak<Self>,
    pub world: Arc<World>,
    pub place: usize,
    /// What its clock showed at first.
    begun: Instant,
    clock: Mutex<Clock>,
    random: Mutex<StdRng>,
    alive: AtomicBool,
}

impl Host {
    /// To be called on the runtime of the host.
    pub fn new(world: &Arc<World>, place: usize, life: u64, fast: i64) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            world: Arc::clone(world),
            place,
            begun: Instant::now(),
            clock: Mutex::new(Clock {
                begun: world.now(),
                shown: Instant::now(),
                fast,
            }),
            random: Mutex::new(random(world.seed, "host", life << 8 | place as u64)),
            alive: AtomicBool::new(true),
        })
    }

    /// The time, as the world has it. To be asked on the host's runtime.
    pub fn now(&self) -> Time {
        lock(&self.clock).time(Instant::now())
    }

    /// What the host's clock shows at this time.
    pub fn shows(&self, at: Time) -> Instant {
        lock(&self.clock).shows(at)
    }

    /// From `now` on the clock is fast by so many millionths.
    pub fn set_fast(&self, now: Time, fast: i64) {
        let mut clock = lock(&self.clock);
        let shown = clock.shows(now);
        *clock = Clock {
            begun: now,
            shown,
            fast,
        };
    }

    /// Whether anyone can still hear of it.
    pub fn is_alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// From now on nothing that it does is heard of.
    pub fn die(&self) {
        self.alive.store(false, Ordering::Relaxed);
    }

    pub async fn sleep_until(&self, at: Time) {
        tokio::time::sleep_until(self.shows(at)).await;
    }

    /// Lets the work of a client go on in milliseconds of its own only. Where several wait for the
    /// same, tokio wakes them in an order of its own choice: so that they meet nowhere, and a seed
    /// repeats its world, each goes on at another time.
    pub async fn in_turn<F: Future + Unpin>(&self, client: u32, mut work: F) -> F::Output {
        let mut sleep = None;
        std::future::poll_fn(|context| {
            loop {
                let shown = (Instant::now() - self.begun).as_millis();
                let shown = u32::try_from(shown).unwrap();
                let wait = (client + TURNS - shown % TURNS) % TURNS;
                if wait == 0 {
                    sleep = None;
                    return Pin::new(&mut work).poll(context);
                }
                let turn = self.begun + Duration::from_millis(u64::from(shown + wait));
                let sleep = sleep.insert(Box::pin(tokio::time::sleep_until(turn)));
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

impl Machine for Host {
    fn random(&self) -> u64 {
        lock(&self.random).random()
    }

    fn work_takes(&self, worker: &str) -> Duration {
        // Of the time alone: which of two workers is asked first does not matter.
        let number = (self.place as u64) << 48 | self.now().as_nanos() as u64;
        let mut random = random(self.world.seed, worker, number);
        let slow = random.random_bool(0.02);
        let ms = match worker {
            _ if slow => random.random_range(10..80),
            "log" => random.random_range(1..4),
            _ => random.random_range(0..3),
        };
        Duration::from_millis(ms)
    }

    fn connect(&self, address: &str) -> BoxFuture<'static, Result<Pin<Box<dyn Wire>>>> {
        let me = self.me.upgrade().expect("whoever asks holds it");
        super::network::connect(me, address)
    }
}
