//! Carrying one connection over a link.

use std::io;
use std::net::{IpAddr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::link::{Link, Way};
use super::{dial, reset};

/// What is read at once. Small, so that a limit of bandwidth is smooth.
const CHUNK_BYTES: usize = 8192;

/// How many chunks may be under way in each direction of a connection: 1 MiB.
const CHUNKS_UNDER_WAY: usize = 128;

/// Carries a connection to its target until it ends, or until an order resets it.
pub(super) async fn carry(mut client: TcpStream, link: Link, caller: IpAddr, target: SocketAddr) {
    let _counted = link.count();
    let severed = link.severed();
    tokio::pin!(severed);

    // A failure to switch Nagle's algorithm off costs time, not truth.
    let _ = client.set_nodelay(true);
    let connected = async {
        link.forwarding().await;
        dial(caller, target).await
    };
    let mut server = tokio::select! {
        biased;
        () = &mut severed => return reset(client),
        connected = connected => match connected {
            Ok(server) => server,
            Err(_) => return reset(client),
        },
    };
    let _ = server.set_nodelay(true);

    let orderly = {
        let (client_reads, client_writes) = client.split();
        let (server_reads, server_writes) = server.split();
        let both_ways = async {
            tokio::try_join!(
                pump(client_reads, server_writes, &link, Way::Calls),
                pump(server_reads, client_writes, &link, Way::Answers),
            )
        };
        tokio::select! {
            biased;
            () = &mut severed => false,
            ended = both_ways => ended.is_ok(),
        }
    };
    if !orderly {
        reset(client);
        reset(server);
    }
}

/// Moves bytes one way, late and slow as the link says, until their orderly end.
async fn pump(
    mut reader: ReadHalf<'_>,
    mut writer: WriteHalf<'_>,
    link: &Link,
    way: Way,
) -> io::Result<()> {
    let (under_way, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS_UNDER_WAY);
    let read = async move {
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            let length = reader.read(&mut chunk).await?;
            chunk.truncate(length);
            let due = Instant::now() + link.conditions().delay;
            // The other half ends only with an error, which ends this one too. An empty chunk is
            // the end of the stream: it travels like the rest.
            if under_way.send((due, chunk)).await.is_err() || length == 0 {
                return Ok(());
            }
        }
    };
    let write = async move {
        while let Some((due, chunk)) = arriving.recv().await {
            sleep_until(due).await;
            link.pace(chunk.len(), way).await;
            link.forwarding().await;
            if chunk.is_empty() {
                return writer.shutdown().await;
            }
            writer.write_all(&chunk).await?;
        }
        Ok(())
    };
    tokio::try_join!(read, write).map(|_| ())
}
