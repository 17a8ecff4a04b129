//! What a witness asks of a ledger: bounded in bytes and time, and never believed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::redirect::Policy;

use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::evidence::Shown;
use crate::ledger::merkle::{
    TILE_HEIGHT, TILE_WIDTH, TileHashes, TilePath, TileSource, prove_consistency, root_at,
};
use crate::ledger::{Digest, Error, succession};

/// A checkpoint has some hundred bytes, and a signature a hundred more.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// A list of keys.
const KEYS_BYTES_MAX: usize = 1 << 20;

/// A proof of the largest tree takes fewer.
const TILES_MAX: usize = 64;

/// Why something was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    /// It may be there another time.
    #[error("{0}")]
    Unreachable(String),
    /// The ledger does not have it, or gives something else.
    #[error("{0}")]
    Withheld(String),
}

/// A client that follows no redirects; cheap to clone.
#[derive(Clone)]
pub(super) struct Fetcher {
    client: reqwest::Client,
}

impl Fetcher {
    /// A client with this time for one answer, all of it.
    pub(super) fn new(timeout: Duration, authorities: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = reqwest::Client::builder()
            .timeout(timeout)
            .connect_timeout(timeout)
            .redirect(Policy::none())
            .user_agent(concat!("provchain-witness/", env!("CARGO_PKG_VERSION")));
        if let Some(path) = authorities {
            let pem =
                std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("{} holds no certificates", path.display()))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let client = builder.build().context("cannot make an HTTP client")?;
        Ok(Self { client })
    }

    /// The checkpoint that the ledger at `url` shows.
    pub(super) async fn checkpoint(&self, url: &str) -> Result<SignedCheckpoint, FetchError> {
        let bytes = self
            .get(&format!("{url}/checkpoint"), NOTE_BYTES_MAX)
            .await?;
        let text = String::from_utf8(bytes)
            .map_err(|_| FetchError::Withheld("its checkpoint is not UTF-8".into()))?;
        SignedCheckpoint::parse(&text)
            .map_err(|error| FetchError::Withheld(format!("its checkpoint: {error}")))
    }

    /// The notes by which keys of the ledger handed over.
    pub(super) async fn successions(&self, url: &str) -> Result<Vec<String>, FetchError> {
        let url = format!("{url}/api/v1/keys?format=json");
        let bytes = self.get(&url, KEYS_BYTES_MAX).await?;
        succession::notes_in(&bytes).map_err(FetchError::Withheld)
    }

    /// The consistency path between two sizes, worked out from the tiles of the larger tree (C2SP
    /// `tlog-tiles`), which the ledger need not have told the truth in.
    pub(super) async fn path(&self, url: &str, from: u64, to: u64) -> Result<Shown, FetchError> {
        let mut tiles = Tiles::default();
        loop {
            let missing = match tiles.shown(from, to) {
                Ok(shown) => return Ok(shown),
                Err(Error::TileMissing { level, index }) => (level, index),
                Err(error) => return Err(FetchError::Withheld(error.to_string())),
            };
            let (level, index) = missing;
            let path = tile_path(to, level, index)
                .filter(|_| !tiles.0.contains_key(&missing) && tiles.0.len() < TILES_MAX)
                .ok_or_else(|| {
                    FetchError::Withheld(format!("its tile {level}/{index} is short"))
                })?;
            let bytes_wanted = path.width * Digest::LEN;
            let bytes = self
                .get(&format!("{url}/tile/{path}"), bytes_wanted)
                .await?;
            if bytes.len() != bytes_wanted {
                let reason = format!("its tile {path} has {} bytes", bytes.len());
                return Err(FetchError::Withheld(reason));
            }
            tiles.0.insert(missing, bytes);
        }
    }

    async fn get(&self, url: &str, bytes_max: usize) -> Result<Vec<u8>, FetchError> {
        let unreachable = |error: reqwest::Error| {
            // Its words name the URL; what lies below says why.
            let mut reason = error.to_string();
            let mut below = std::error::Error::source(&error);
            while let Some(cause) = below {
                reason.push_str(&format!(": {cause}"));
                below = cause.source();
            }
            FetchError::Unreachable(reason)
        };
        let mut response = self.client.get(url).send().await.map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let reason = format!("{url} answers {status}");
            return Err(match status.is_client_error() && status.as_u16() != 429 {
                true => FetchError::Withheld(reason),
                false => FetchError::Unreachable(reason),
            });
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if bytes.len() + chunk.len() > bytes_max {
                let reason = format!("{url} gives more than {bytes_max} bytes");
                return Err(FetchError::Withheld(reason));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// The path of a tile of a tree of `size` leaves, as wide as it is there; nothing if it has none.
fn tile_path(size: u64, level: u8, index: u64) -> Option<TilePath> {
    let hashes = size
        .checked_shr(u32::from(level) * TILE_HEIGHT)
        .unwrap_or(0);
    let before = index.checked_mul(TILE_WIDTH as u64)?;
    let width = hashes.checked_sub(before).filter(|width| *width > 0)?;
    let width = usize::try_from(width).map_or(TILE_WIDTH, |width| width.min(TILE_WIDTH));
    Some(TilePath {
        level: Some(level),
        index,
        width,
    })
}

/// Tiles that were fetched.
#[derive(Default)]
struct Tiles(BTreeMap<(u8, u64), Vec<u8>>);

impl TileSource for &Tiles {
    type Error = Error;

    fn tile(&mut self, level: u8, index: u64) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.get(&(level, index)).cloned())
    }
}

impl Tiles {
    fn shown(&self, from: u64, to: u64) -> Result<Shown, Error> {
        let mut hashes = TileHashes::new(self);
        let root = root_at(&mut hashes, from)?;
        let path = prove_consistency(&mut hashes, from, to)?;
        Ok(Shown { root, path })
    }
}
