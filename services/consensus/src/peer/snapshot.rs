//! Sending the state to a follower that misses what is gone from the log, and receiving it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use openraft::raft::SnapshotResponse;
use openraft::type_config::alias::{SnapshotMetaOf, SnapshotOf};
use sha2::{Digest as _, Sha256};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::check::Receiver;
use super::client::{Lane, Messages};
use super::network::{Connection, RpcError, answered_vote, failed, malformed, within};
use super::server::{impossible, invalid};
use crate::codec;
use crate::core::Core;
use crate::disk::FLUSH_BYTES;
use crate::raft::{Types, Vote};
use crate::state::SnapshotData;
use crate::wire::{self, snapshot_part::Part};

/// One part of a snapshot.
const CHUNK_BYTES: usize = 1 << 20;
/// Parts on their way.
const CHUNKS_AHEAD: usize = 4;
const FORMAT: u32 = 1;

impl Connection {
    /// Streams a copy of the state, which may be newer than what openraft asked for.
    pub(super) async fn send_state(&self, vote: Vote) -> Result<SnapshotResponse<Types>, RpcError> {
        // A greeting first: who cannot be reached is worth no copy of the state, and the one stream
        // is not to be spent on a stale challenge.
        let warm = self.peers.call(
            &self.target(),
            Lane::Control,
            "/trivet.consensus.v1.Peer/Status",
            wire::StatusRequest {},
            |mut client, request| async move { client.status(request).await },
        );
        within(Duration::from_secs(2), warm).await?;
        self.disk
            .room_for(self.state.bytes_on_disk())
            .map_err(|reason| failed(&Status::resource_exhausted(reason)))?;
        let copy = self
            .state
            .materialise()
            .await
            .map_err(|error| malformed(&error))?;
        let mut file = File::open(&copy.file.path).map_err(|error| malformed(&error))?;
        let bytes = file.metadata().map_err(|error| malformed(&error))?.len();
        let (parts, stream) = tokio::sync::mpsc::channel(CHUNKS_AHEAD);
        let header = wire::SnapshotHeader {
            format: FORMAT,
            vote: Some(codec::vote_to_wire(&vote)),
            last: Some(codec::log_id_to_wire(&copy.last)),
            membership: Some(codec::stored_membership_to_wire(&copy.membership)),
            bytes,
        };
        let read = async move {
            let part = |part| wire::SnapshotPart { part: Some(part) };
            let mut hasher = Sha256::new();
            if parts.send(part(Part::Header(header))).await.is_err() {
                return Ok(());
            }
            loop {
                let chunk;
                (file, chunk) = crate::host::blocking(move || read_chunk(file))
                    .await
                    .map_err(std::io::Error::other)??;
                if chunk.is_empty() {
                    let digest = hasher.finalize().to_vec();
                    drop(parts.send(part(Part::Digest(digest.into()))).await);
                    return std::io::Result::Ok(());
                }
                hasher.update(&chunk);
                if parts.send(part(Part::Chunk(chunk.into()))).await.is_err() {
                    return Ok(());
                }
            }
        };
        let message = Messages::new(ReceiverStream::new(stream));
        let send = self.peers.call(
            &self.target(),
            Lane::Snapshot,
            "/trivet.consensus.v1.Peer/Snapshot",
            message,
            |mut client, request| async move { client.snapshot(request).await },
        );
        let (read, response) = tokio::join!(read, send);
        read.map_err(|error| malformed(&error))?;
        let response = response.map_err(|status| failed(&status))?;
        metrics::counter!("consensus_snapshots_sent_total").increment(1);
        Ok(SnapshotResponse::new(answered_vote(
            response.vote.as_ref(),
            &vote,
        )?))
    }
}

/// The next part of a file; empty at its end.
fn read_chunk(file: File) -> std::io::Result<(File, Vec<u8>)> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    (&file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((file, chunk))
}

/// Receives a snapshot that the peer `from` sends, and installs it if it is what it claims to be.
pub(super) async fn receive(
    core: &Core,
    from: u64,
    mut parts: Streaming<wire::SnapshotPart>,
) -> Result<wire::SnapshotResponse, Status> {
    let Ok(_one_at_a_time) = core.receiving.try_lock() else {
        return Err(Status::unavailable("another snapshot is being received"));
    };
    let Some(Part::Header(header)) = parts.message().await?.and_then(|part| part.part) else {
        return Err(Status::invalid_argument(
            "a snapshot starts with its header",
        ));
    };
    if header.format != FORMAT {
        return Err(Status::failed_precondition(format!(
            "snapshot format {} is not known here",
            header.format
        )));
    }
    let vote = codec::vote(header.vote.as_ref()).map_err(|error| invalid(&error))?;
    let last = header.last.as_ref().map(codec::log_id);
    let last = last.ok_or_else(|| Status::invalid_argument("a snapshot says what it covers"))?;
    let membership =
        codec::stored_membership(header.membership).map_err(|error| invalid(&error))?;
    Receiver::of(core)
        .snapshot(from, &vote, last, &membership)
        .map_err(impossible)?;
    core.disk
        .room_for(header.bytes)
        .map_err(Status::resource_exhausted)?;
    let incoming = core.state.incoming();
    write(parts, &incoming.path, header.bytes).await?;
    // openraft stops a node whose snapshot cannot be installed: it only gets one that can.
    core.state
        .inspect(incoming.path.clone(), last, membership.clone())
        .await
        .map_err(|error| Status::failed_precondition(error.to_string()))?;
    let snapshot = SnapshotOf::<Types, SnapshotData> {
        meta: SnapshotMetaOf::<Types> {
            last_log_id: Some(last),
            last_membership: membership,
        },
        snapshot: SnapshotData::File(incoming),
    };
    let installed = core.raft.install_full_snapshot(vote, snapshot).await;
    let installed = installed.map_err(|error| Status::unavailable(error.to_string()))?;
    Ok(wire::SnapshotResponse {
        vote: Some(codec::vote_to_wire(&installed.vote)),
    })
}

/// Writes a snapshot's chunks to `path`, synced, and checks size and digest.
async fn write(
    mut parts: Streaming<wire::SnapshotPart>,
    path: &std::path::Path,
    bytes: u64,
) -> Result<(), Status> {
    let disk =
        |error: std::io::Error| Status::resource_exhausted(format!("{}: {error}", path.display()));
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(disk)?;
    let mut hasher = Sha256::new();
    let (mut received, mut unsynced) = (0_u64, 0);
    loop {
        match parts.message().await?.and_then(|part| part.part) {
            Some(Part::Chunk(chunk)) => {
                received += chunk.len() as u64;
                if received > bytes {
                    return Err(Status::invalid_argument(
                        "the snapshot is longer than announced",
                    ));
                }
                hasher.update(&chunk);
                unsynced += chunk.len();
                let sync = unsynced >= FLUSH_BYTES as usize;
                if sync {
                    unsynced = 0;
                }
                file = crate::host::blocking(move || {
                    file.write_all(&chunk)?;
                    if sync {
                        file.sync_data()?;
                    }
                    Ok(file)
                })
                .await
                .map_err(|error| Status::internal(error.to_string()))?
                .map_err(disk)?;
            }
            Some(Part::Digest(digest)) => {
                if received != bytes || hasher.finalize()[..] != digest[..] {
                    return Err(Status::data_loss("the snapshot was damaged on its way"));
                }
                return crate::host::blocking(move || file.sync_all())
                    .await
                    .map_err(|error| Status::internal(error.to_string()))?
                    .map_err(disk);
            }
            Some(Part::Header(_)) | None => {
                return Err(Status::invalid_argument(
                    "the snapshot ended before its digest",
                ));
            }
        }
    }
}
