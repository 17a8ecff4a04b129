//! A network in memory: connections whose bytes take time, and links that can be cut, slow or shaky.
//!
//! A connection keeps its order and loses nothing, as TCP: what is sent over a link that is cut
//! arrives once it is mended, unless one of the ends has given up before.

#[path = "network/end.rs"]
mod end;

use std::collections::{BTreeMap, VecDeque};
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use consensus::testing::Wire;
use futures_util::future::BoxFuture;
use rand::RngExt as _;
use rand::rngs::StdRng;

pub use self::end::End;
use super::world::{Host, QUANTUM, Time, lock, random};

/// From one host to another.
pub type Direction = (usize, usize);

struct Link {
    seed: u64,
    number: u64,
    cut: bool,
    /// How many times longer than usual everything takes.
    slowness: u32,
}

impl Link {
    /// What is sent at the same time takes the same: so it does not matter which of two connections
    /// came first.
    fn random(&self, now: Time) -> StdRng {
        random(self.seed, "link", self.number << 48 | now.as_nanos() as u64)
    }

    fn delay(&self, now: Time) -> Duration {
        let mut random = self.random(now);
        let micros = match random.random_range(0..100) {
            0 => random.random_range(10_000..60_000),
            _ => random.random_range(0..4_000),
        };
        QUANTUM + Duration::from_micros(micros) * self.slowness
    }
}

/// Something on its way; without a time it waits for its link to be mended.
struct Segment {
    at: Option<Time>,
    what: What,
}

enum What {
    Bytes(Bytes),
    /// Nothing follows.
    End,
    Reset,
}

/// One direction of a connection.
struct Pipe {
    link: Direction,
    segments: VecDeque<Segment>,
    last: Time,
    reader: Option<Waker>,
    nobody_reads: bool,
}

#[derive(Default)]
struct Listener {
    arriving: VecDeque<(Time, u64)>,
    waker: Option<Waker>,
}

/// How a host stands.
enum Standing {
    Listens(Listener),
    /// Its machine refuses what comes.
    Down,
    /// Nothing answers.
    Dark,
}

pub struct Network {
    seed: u64,
    links: BTreeMap<Direction, Link>,
    pipes: BTreeMap<u64, Pipe>,
    hosts: BTreeMap<usize, Standing>,
    next: u64,
    pub sent: u64,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            links: BTreeMap::new(),
            pipes: BTreeMap::new(),
            hosts: BTreeMap::new(),
            next: 0,
            sent: 0,
        }
    }

    fn link(&mut self, direction: Direction) -> &mut Link {
        let number = (direction.0 << 8 | direction.1) as u64;
        let seed = self.seed;
        self.links.entry(direction).or_insert_with(|| Link {
            seed,
            number,
            cut: false,
            slowness: 1,
        })
    }

    fn send(&mut self, pipe: u64, now: Time, what: What) {
        self.sent += 1;
        let direction = self.pipes[&pipe].link;
        let link = self.link(direction);
        let arrives = (!link.cut).then(|| now + link.delay(now));
        let pipe = self.pipes.get_mut(&pipe).unwrap();
        let at = arrives.map(|at| at.max(pipe.last));
        pipe.last = pipe.last.max(at.unwrap_or_default());
        pipe.segments.push_back(Segment { at, what });
        if let Some(reader) = pipe.reader.take() {
            reader.wake();
        }
    }

    pub fn cut(&mut self, direction: Direction) {
        self.link(direction).cut = true;
    }

    /// Mends a link: what waited arrives when it is next sent again.
    pub fn mend(&mut self, direction: Direction, now: Time) {
        let link = self.link(direction);
        if !std::mem::replace(&mut link.cut, false) {
            return;
        }
        let again = Duration::from_millis(link.random(now).random_range(0..200));
        let pipes: Vec<u64> = self.pipes_of(direction);
        for pipe in pipes {
            let delay = self.link(direction).delay(now);
            let pipe = self.pipes.get_mut(&pipe).unwrap();
            for segment in &mut pipe.segments {
                if segment.at.is_none() {
                    pipe.last = pipe.last.max(now + again + delay);
                    segment.at = Some(pipe.last);
                }
            }
            if let Some(reader) = pipe.reader.take() {
                reader.wake();
            }
        }
    }

    fn pipes_of(&self, direction: Direction) -> Vec<u64> {
        let pipes = self.pipes.iter();
        pipes
            .filter(|(_, pipe)| pipe.link == direction)
            .map(|(id, _)| *id)
            .collect()
    }

    pub fn slow_down(&mut self, direction: Direction, slowness: u32) {
        self.link(direction).slowness = slowness;
    }

    /// Ends every connection between two hosts.
    pub fn reset(&mut self, one: usize, other: usize, now: Time) {
        let mut pipes = self.pipes_of((one, other));
        pipes.extend(self.pipes_of((other, one)));
        for pipe in pipes {
            let pipe = self.pipes.get_mut(&pipe).unwrap();
            pipe.nobody_reads = true;
            pipe.segments.clear();
            pipe.segments.push_back(Segment {
                at: Some(now + QUANTUM),
                what: What::Reset,
            });
            if let Some(reader) = pipe.reader.take() {
                reader.wake();
            }
        }
    }

    pub fn listen(&mut self, place: usize) {
        let standing = Standing::Listens(Listener::default());
        self.hosts.insert(place, standing);
    }

    /// The host is down; `dark` when even its machine is.
    pub fn stop_listening(&mut self, place: usize, dark: bool) {
        let standing = if dark { Standing::Dark } else { Standing::Down };
        self.hosts.insert(place, standing);
    }

    fn answers(&self, place: usize) -> bool {
        !matches!(self.hosts.get(&place), Some(Standing::Dark))
    }

    /// Opens a connection over links that are whole; gives its first pipe and when the other end is
    /// heard of.
    fn open(&mut self, from: usize, to: usize, now: Time) -> Option<Result<(u64, Time)>> {
        let whole = !self.link((from, to)).cut && !self.link((to, from)).cut;
        if !whole || !self.answers(to) {
            return None;
        }
        let there = now + self.link((from, to)).delay(now);
        let back = there + self.link((to, from)).delay(now);
        let pipe = self.next;
        match self.hosts.get_mut(&to) {
            Some(Standing::Listens(listener)) => {
                listener.arriving.push_back((there, pipe));
                if let Some(waker) = listener.waker.take() {
                    waker.wake();
                }
            }
            _ => return Some(Err(ErrorKind::ConnectionRefused.into())),
        }
        self.next += 2;
        for (id, link) in [(pipe, (from, to)), (pipe + 1, (to, from))] {
            let pipe = Pipe {
                link,
                segments: VecDeque::new(),
                last: if id == pipe { there } else { back },
                reader: None,
                nobody_reads: false,
            };
            self.pipes.insert(id, pipe);
        }
        Some(Ok((pipe, back)))
    }
}

/// Where the node `place` listens.
pub fn address(place: usize) -> String {
    format!("n{place}:7000")
}

fn place(address: &str) -> Result<usize> {
    let place = address
        .strip_prefix('n')
        .and_then(|rest| rest.strip_suffix(":7000"));
    place
        .and_then(|place| place.parse().ok())
        .ok_or_else(|| Error::other(format!("nobody is at {address}")))
}

/// Connects the host at `from` with whoever is at `address`.
pub fn connect(host: Arc<Host>, address: &str) -> BoxFuture<'static, Result<Pin<Box<dyn Wire>>>> {
    let to = place(address);
    Box::pin(async move {
        let to = to?;
        let opened = lock(&host.world.network).open(host.place, to, host.now());
        let Some(opened) = opened else {
            // Nobody answers: whoever waits has to give up.
            return std::future::pending().await;
        };
        let (pipe, at) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                tokio::time::sleep(2 * QUANTUM).await;
                return Err(error);
            }
        };
        // Made first: whoever gives up meanwhile closes it.
        let end = End::new(&host, pipe + 1, pipe);
        host.sleep_until(at).await;
        Ok(Box::pin(end) as Pin<Box<dyn Wire>>)
    })
}

/// Waits for the next connection to this host.
pub async fn accept(host: &Arc<Host>) -> End {
    let next = std::future::poll_fn(|context| {
        let mut network = lock(&host.world.network);
        let Some(Standing::Listens(listener)) = network.hosts.get_mut(&host.place) else {
            return Poll::Pending;
        };
        let Some(arriving) = listener.arriving.pop_front() else {
            listener.waker = Some(context.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(arriving)
    });
    let (at, pipe) = next.await;
    let end = End::new(host, pipe, pipe + 1);
    host.sleep_until(at).await;
    end
}
