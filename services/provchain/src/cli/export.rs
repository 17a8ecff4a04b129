//! `provchain export`: the ledger in forms that other programs read.

mod node;
mod offline;
mod source;
mod target;

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use clap::{Args, ValueEnum};

use self::source::{Content, Source};
use self::target::{NewFile, NewFolder};
use crate::documents;
use crate::epcis::Limits;
use crate::export::{Documents, Page, PageLimits, TreeFiles, quads};
use crate::ledger::merkle::TILE_WIDTH;

/// Events of one document, and their bytes: half of what a node takes by default.
const PAGE: PageLimits = PageLimits {
    events: 1000,
    bytes: 4 << 20,
};

/// Entries that are asked for at a time.
const BATCH: u64 = 100;

/// The form to write.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A folder of EPCIS 2.0 documents in JSON-LD, each of which can be captured again
    Epcis,
    /// A folder with a checkpoint and its tree, as C2SP tlog-tiles lays them out
    Tiles,
    /// A file with the canonical statements of every event, each in a graph of its own
    Nquads,
}

/// What to export, and where to.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The form to write
    #[arg(long, value_enum)]
    format: Format,
    /// The new file or folder to write; it is there once everything is in it
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// URL of a node
    #[arg(
        long,
        default_value = "http://127.0.0.1:8080",
        conflicts_with = "folder"
    )]
    url: String,
    /// A token or an API key: what its bearer may read is exported; without one, what is public
    #[arg(long, env = "PROVCHAIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Read this data folder instead (of a stopped node, or a copy): everything in it is exported
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    /// Export the ledger as it was when it had this many entries
    #[arg(long, value_name = "SIZE")]
    as_of: Option<u64>,
    /// The first entry to export
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// The entry to stop before
    #[arg(long, value_name = "INDEX")]
    until: Option<u64>,
}

/// What became of the entries.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    events: u64,
    withheld: u64,
    erased: u64,
    locked: u64,
    records: u64,
}

impl Arguments {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        target::require_new(&self.out)?;
        let mut source = match &self.folder {
            Some(folder) => Source::folder(folder)?,
            None => Source::node(&self.url, self.token.clone())?,
        };
        if matches!(self.format, Format::Tiles) {
            ensure!(
                self.from == 0 && self.until.is_none(),
                "a tree begins with its first entry: give --as-of instead of --from and --until"
            );
            return self.tiles(&mut source).await;
        }
        let size = source.open(self.as_of).await?;
        let until = self.until.unwrap_or(size);
        ensure!(
            self.from <= until && until <= size,
            "there are {size} entries: --from {} and --until {until} leave nothing between them",
            self.from
        );
        let entries = Entries {
            source,
            next: self.from,
            until,
            tally: Tally::default(),
        };
        match self.format {
            Format::Epcis => epcis(entries, &self.out).await,
            _ => nquads(entries, &self.out).await,
        }
    }

    async fn tiles(&self, source: &mut Source) -> anyhow::Result<()> {
        let (note, checkpoint) = source.checkpoint(self.as_of).await?;
        let folder = NewFolder::begin(&self.out)?;
        let mut files = TreeFiles::default();
        let mut done = 0;
        while done < checkpoint.size {
            let width = (checkpoint.size - done).min(TILE_WIDTH as u64);
            let leaves = source.leaves(done, width as usize).await?;
            for file in files.push(&leaves) {
                folder.write(&file.path, &file.bytes)?;
            }
            done += width;
            progress(done, checkpoint.size);
        }
        for file in files.edge() {
            folder.write(&file.path, &file.bytes)?;
        }
        ensure!(
            files.root() == checkpoint.root,
            "the leaves make another tree than the one that was signed: {} is not the root {}; \
             nothing is kept of it",
            files.root(),
            checkpoint.root
        );
        folder.write("checkpoint", note.as_bytes())?;
        folder.finish()?;
        println!(
            "the tree of {} entries with the root {} is in {}",
            checkpoint.size,
            checkpoint.root,
            self.out.display()
        );
        Ok(())
    }
}

/// A run of entries on its way out.
struct Entries {
    source: Source,
    next: u64,
    until: u64,
    tally: Tally,
}

/// An event that is exported.
struct Event {
    index: u64,
    leaf_hash: crate::ledger::Digest,
    document: Vec<u8>,
}

impl Entries {
    /// The next events; nothing at the end.
    async fn batch(&mut self) -> anyhow::Result<Option<Vec<Event>>> {
        if self.next == self.until {
            return Ok(None);
        }
        let most = BATCH.min(self.until - self.next);
        let entries = self.source.entries(self.next, most).await?;
        let mut events = Vec::new();
        for entry in entries {
            ensure!(
                entry.index == self.next,
                "entry {} came in place of {}",
                entry.index,
                self.next
            );
            self.next += 1;
            let count = match entry.content {
                Content::Event(document) => {
                    events.push(Event {
                        index: entry.index,
                        leaf_hash: entry.leaf_hash,
                        document,
                    });
                    &mut self.tally.events
                }
                Content::Withheld => &mut self.tally.withheld,
                Content::Erased => &mut self.tally.erased,
                Content::Locked => &mut self.tally.locked,
                Content::Record => &mut self.tally.records,
            };
            *count += 1;
        }
        progress(self.next, self.until);
        Ok(Some(events))
    }
}

/// Says how far it is, to people.
fn progress(done: u64, total: u64) {
    if std::io::stderr().is_terminal() {
        let end = if done == total { "\n" } else { "" };
        eprint!("\r{done} of {total} entries{end}");
        drop(std::io::stderr().flush());
    }
}

async fn epcis(mut entries: Entries, out: &Path) -> anyhow::Result<()> {
    let folder = NewFolder::begin(out)?;
    let created = kit::clock::rfc3339(kit::clock::unix_ms());
    let mut written = 0_u64;
    let mut write = |page: Page| {
        written += 1;
        let document = page.into_json(&created).to_string();
        folder.write(&format!("events-{written:06}.json"), document.as_bytes())
    };
    let mut documents = Documents::new(PAGE);
    while let Some(events) = entries.batch().await? {
        for event in events {
            let full = documents
                .push(&event.document)
                .with_context(|| format!("entry {} is no event", event.index))?;
            full.map(&mut write).transpose()?;
        }
    }
    documents.finish().map(&mut write).transpose()?;
    folder.finish()?;
    println!(
        "{} in {written} documents in {}",
        entries.tally,
        out.display()
    );
    Ok(())
}

async fn nquads(mut entries: Entries, out: &Path) -> anyhow::Result<()> {
    let mut file = NewFile::begin(out)?;
    let limits = Limits::stored();
    let mut statements_written = 0_usize;
    while let Some(events) = entries.batch().await? {
        for event in events {
            let statements = match documents::statements_of(&event.document, &limits) {
                Ok(statements) => statements,
                Err(reason) => bail!("entry {}: {reason}", event.index),
            };
            let origin = entries.source.origin();
            file.write(&quads(origin, event.index, &event.leaf_hash, &statements))?;
            statements_written += statements.len();
        }
    }
    file.finish()?;
    println!(
        "{} as {statements_written} statements in {}",
        entries.tally,
        out.display()
    );
    Ok(())
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} events", self.events)?;
        for (count, what) in [
            (self.withheld, "erased or not for this reader"),
            (self.erased, "erased"),
            (self.locked, "under a subject's key that is not here"),
            (self.records, "records of erasures"),
        ] {
            if count > 0 {
                write!(f, ", {count} left out ({what})")?;
            }
        }
        Ok(())
    }
}
