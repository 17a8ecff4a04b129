//! The proxies alone, between sockets of the test.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::ports::Hosts;

/// Two callers `a` and `b`, and `z`, which echoes whatever it is sent.
struct Echo {
    network: Network,
    hosts: Hosts,
    port: u16,
}

impl Echo {
    async fn start() -> Self {
        let hosts = Hosts::own();
        let server = TcpListener::bind((hosts.host(2), 0)).await.expect("a port");
        let port = server.local_addr().expect("bound").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = server.accept().await {
                tokio::spawn(async move {
                    let (mut reads, mut writes) = stream.split();
                    tokio::io::copy(&mut reads, &mut writes).await
                });
            }
        });
        let mut network = Network::new().expect("started");
        for (ordinal, name) in (0..).zip(["a", "b", "z"]) {
            let place = Place {
                name: name.to_owned(),
                host: hosts.host(ordinal),
                advertised_host: hosts.advertised(ordinal),
                ports: [port].into(),
            };
            network.add(&place).expect("added");
        }
        Self {
            network,
            hosts,
            port,
        }
    }

    /// A connection from one of the callers to the echo, through its proxy.
    async fn connect(&self, caller: u8) -> TcpStream {
        let to = SocketAddr::new(self.hosts.advertised(2), self.port);
        dial(self.hosts.host(caller), to).await.expect("accepted")
    }

    /// What becomes of a new connection that is reset, which may be seen while it is opened.
    async fn refusal(&self, from: IpAddr) -> io::ErrorKind {
        let to = SocketAddr::new(self.hosts.advertised(2), self.port);
        let read = async { dial(from, to).await?.read_u8().await };
        soon(read).await.expect_err("nothing to read").kind()
    }

    fn link(&self, from: &str) -> Link {
        self.network.link(from, "z")
    }
}

/// What a test waits for comes in an instant, or it is broken.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work)
        .await
        .expect("nothing happened for long")
}

async fn echoed(stream: &mut TcpStream, text: &[u8]) -> io::Result<Vec<u8>> {
    let mut back = vec![0; text.len()];
    let exchange = async {
        stream.write_all(text).await?;
        stream.read_exact(&mut back).await
    };
    soon(exchange).await?;
    Ok(back)
}

fn delayed(milliseconds: u64) -> Conditions {
    Conditions {
        delay: Duration::from_millis(milliseconds),
        ..Conditions::default()
    }
}

#[tokio::test]
async fn many_bytes_pass_unchanged_and_the_end_passes_too() {
    let echo = Echo::start().await;
    let mut stream = echo.connect(0).await;
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    let (mut reads, mut writes) = stream.split();
    let mut back = Vec::new();
    let (written, read) = tokio::join!(
        async {
            writes.write_all(&sent).await?;
            writes.shutdown().await
        },
        reads.read_to_end(&mut back)
    );
    written.expect("written");
    read.expect("an orderly end");
    assert!(back == sent);
}

#[tokio::test]
async fn an_open_connection_stalls_without_losing_a_byte() {
    let echo = Echo::start().await;
    let (mut stalled, mut other) = (echo.connect(0).await, echo.connect(1).await);
    assert_eq!(
        echoed(&mut stalled, b"before").await.expect("echoed"),
        b"before"
    );
    echo.link("a").set_flow(Flow::Stall);
    stalled.write_all(b"one ").await.expect("taken");
    assert_eq!(
        echoed(&mut other, b"other").await.expect("echoed"),
        b"other"
    );
    stalled.write_all(b"two").await.expect("taken");
    let mut back = [0; 7];
    let read = tokio::time::timeout(Duration::from_millis(200), stalled.read_exact(&mut back));
    assert!(read.await.is_err(), "nothing arrives");
    echo.network.heal();
    // What was read before the time was up is not lost: nothing was.
    stalled
        .read_exact(&mut back)
        .await
        .expect("everything arrives");
    assert_eq!(&back, b"one two");
}

#[tokio::test]
async fn refusing_resets_open_connections_and_new_ones() {
    let echo = Echo::start().await;
    let (mut open, mut other) = (echo.connect(0).await, echo.connect(1).await);
    echoed(&mut open, b"x").await.expect("echoed");
    echo.link("a").set_flow(Flow::Refuse);
    let error = soon(open.read_u8()).await.expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(
        echo.refusal(echo.hosts.host(0)).await,
        io::ErrorKind::ConnectionReset
    );
    echoed(&mut other, b"x")
        .await
        .expect("the other link works");
    echo.network.heal();
    echoed(&mut echo.connect(0).await, b"x")
        .await
        .expect("echoed again");
}

#[tokio::test]
async fn cutting_resets_open_connections_only() {
    let echo = Echo::start().await;
    let (mut open, mut other) = (echo.connect(0).await, echo.connect(1).await);
    echoed(&mut open, b"x").await.expect("echoed");
    assert_eq!(echo.link("a").connections(), 1);
    echo.link("a").cut();
    let error = soon(open.read_u8()).await.expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    echoed(&mut echo.connect(0).await, b"x")
        .await
        .expect("a new one works");
    echoed(&mut other, b"x")
        .await
        .expect("the other link works");
}

#[tokio::test]
async fn delayed_bytes_arrive_later_and_do_not_wait_for_one_another() {
    let echo = Echo::start().await;
    let mut stream = echo.connect(0).await;
    echoed(&mut stream, b"x").await.expect("echoed");
    echo.link("a").set(delayed(300));
    let begun = Instant::now();
    let (mut reads, mut writes) = stream.split();
    let send = async {
        for _ in 0..20 {
            writes.write_all(b"x").await.expect("taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let mut back = [0; 20];
    let (_, read) = tokio::join!(send, reads.read_exact(&mut back));
    read.expect("all arrive");
    // There and back, once; one after the other it would be 20 times as much. The upper bound is
    // far enough away to hold on any machine.
    assert!(
        begun.elapsed() >= Duration::from_millis(600),
        "{:?}",
        begun.elapsed()
    );
    assert!(
        begun.elapsed() < Duration::from_millis(20 * 600),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_limit_of_bandwidth_holds_for_all_connections_together() {
    let echo = Echo::start().await;
    let (mut one, mut two) = (echo.connect(0).await, echo.connect(0).await);
    echo.link("a").set(Conditions {
        bytes_per_second: Some(100_000),
        ..Conditions::default()
    });
    let begun = Instant::now();
    let text = vec![7; 20_000];
    let (first, second) = tokio::join!(echoed(&mut one, &text), echoed(&mut two, &text));
    assert!(first.is_ok() && second.is_ok());
    assert!(
        begun.elapsed() >= Duration::from_millis(400),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_stranger_is_reset() {
    let echo = Echo::start().await;
    let stranger = Ipv4Addr::LOCALHOST.into();
    assert_eq!(echo.refusal(stranger).await, io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_removed_node_is_not_there_any_more() {
    let mut echo = Echo::start().await;
    let mut open = echo.connect(0).await;
    echoed(&mut open, b"x").await.expect("echoed");
    echo.network.remove("z");
    let error = soon(open.read_u8()).await.expect_err("reset");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}
