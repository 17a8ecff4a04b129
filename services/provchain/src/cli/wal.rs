//! The write-ahead log of a ledger's database, checked frame by frame.
//!
//! SQLite ends a log at the first frame whose checksum is wrong, as after a loss of power: damage
//! there would take entries away in silence. Here it is reported, and the entries are read from a
//! copy whose checksums are made to fit, so that the one that is damaged can be named.
//! The format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::io::Result;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The magic number without its last bit, which says how checksums read words.
const MAGIC: u32 = 0x377f_0682;

/// A database with a log, as it was checked.
pub(super) struct Checked {
    /// A sentence for each damaged part.
    pub damage: Vec<String>,
    /// The database with a log that SQLite reads to its end.
    pub mended: Mended,
}

/// A copy of a database; it is removed with the value.
pub(super) struct Mended {
    pub state: PathBuf,
    _folder: TempDir,
}

/// Checks the log of the database `state`, and copies both: SQLite leaves an index beside a log that
/// it reads, and the folder is to stay as it is. `None` when the log is empty or absent.
pub(super) fn check(state: &Path) -> Result<Option<Checked>> {
    let path = beside(state);
    let mut log = match std::fs::read(&path) {
        Ok(log) => log,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(page_bytes) = page_bytes(state)?.filter(|_| !log.is_empty()) else {
        return Ok(None);
    };
    let damage = mend(&mut log, page_bytes);
    let shown = path.display();
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("state.db");
    std::fs::copy(state, &copy)?;
    std::fs::write(beside(&copy), log)?;
    Ok(Some(Checked {
        damage: damage
            .iter()
            .map(|reason| format!("{shown}: {reason}"))
            .collect(),
        mended: Mended {
            state: copy,
            _folder: folder,
        },
    }))
}

fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// The size of the pages, from the database's own header; `None` without one.
fn page_bytes(state: &Path) -> Result<Option<usize>> {
    use std::io::Read as _;
    let mut header = Vec::new();
    std::fs::File::open(state)?
        .take(18)
        .read_to_end(&mut header)?;
    Ok(match header.get(16..18) {
        Some([0, 1]) => Some(65_536),
        Some(&[high, low]) => Some(usize::from(u16::from_be_bytes([high, low]))),
        _ => None,
    })
}

/// Makes every checksum fit; says what did not.
fn mend(log: &mut [u8], page_bytes: usize) -> Vec<String> {
    let mut damage = Vec::new();
    let frame_bytes = FRAME_HEADER_BYTES + page_bytes;
    if log.len() < HEADER_BYTES + frame_bytes || page_bytes < 512 {
        return damage;
    }
    let (header, frames) = log.split_at_mut(HEADER_BYTES);
    let big_endian = match word(header, 0) & !1 {
        MAGIC => word(header, 0) & 1 == 1,
        _ => false,
    };
    let sum = checksum(&header[..24], (0, 0), big_endian);
    let page_fits = usize::try_from(word(header, 8)).is_ok_and(|bytes| bytes == page_bytes);
    if word(header, 0) & !1 != MAGIC || !page_fits || sum != sums(header, 24) {
        damage.push("the header of the log is damaged".to_owned());
        put(header, 0, MAGIC | u32::from(big_endian));
        put(header, 8, u32::try_from(page_bytes).unwrap_or_default());
        // Frames carry the header's salts.
        header[16..24].copy_from_slice(&frames[8..16]);
    }
    let salts: [u8; 8] = header[16..24].try_into().unwrap_or_default();
    let mut sum = checksum(&header[..24], (0, 0), big_endian);
    put_sums(header, 24, sum);

    // Behind the last frame with these salts lie those of an earlier round.
    let of_this_round = |frame: &[u8]| frame[8..16] == salts;
    let count = frames
        .chunks_exact(frame_bytes)
        .rposition(of_this_round)
        .map_or(0, |last| last + 1);
    let mut stored_before = sum;
    for (position, frame) in frames.chunks_exact_mut(frame_bytes).take(count).enumerate() {
        let (head, page) = frame.split_at_mut(FRAME_HEADER_BYTES);
        // A frame's checksum goes on from the one before, as it was stored.
        let stored = sums(head, 16);
        let expected = checksum(
            page,
            checksum(&head[..8], stored_before, big_endian),
            big_endian,
        );
        if stored != expected || head[8..16] != salts {
            damage.push(format!(
                "frame {position} of the log, which holds page {}, is damaged",
                word(head, 0)
            ));
        }
        stored_before = stored;
        head[8..16].copy_from_slice(&salts);
        sum = checksum(page, checksum(&head[..8], sum, big_endian), big_endian);
        put_sums(head, 16, sum);
    }
    damage
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4]
        .iter()
        .fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

fn put(bytes: &mut [u8], at: usize, word: u32) {
    bytes[at..at + 4].copy_from_slice(&word.to_be_bytes());
}

fn sums(bytes: &[u8], at: usize) -> (u32, u32) {
    (word(bytes, at), word(bytes, at + 4))
}

fn put_sums(bytes: &mut [u8], at: usize, sums: (u32, u32)) {
    put(bytes, at, sums.0);
    put(bytes, at + 4, sums.1);
}

/// SQLite's checksum over words in pairs, going on from `sums`.
fn checksum(bytes: &[u8], mut sums: (u32, u32), big_endian: bool) -> (u32, u32) {
    let read = |bytes: &[u8]| {
        let word = word(bytes, 0);
        if big_endian { word } else { word.swap_bytes() }
    };
    for pair in bytes.chunks_exact(8) {
        sums.0 = sums.0.wrapping_add(read(&pair[..4])).wrapping_add(sums.1);
        sums.1 = sums.1.wrapping_add(read(&pair[4..])).wrapping_add(sums.0);
    }
    sums
}
