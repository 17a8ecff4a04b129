//! The paths under which `tlog-tiles` serves a tree.

use std::fmt;

use super::super::Error;
use super::tile::TILE_WIDTH;

/// The highest level that a path may name.
const LEVEL_MAX: u8 = 63;

/// What a path below `tile/` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TilePath {
    /// The level of a tile of hashes; nothing for a bundle of entries.
    pub level: Option<u8>,
    /// The position in the level, from 0.
    pub index: u64,
    /// How many hashes or entries it has: 256, or less for a partial one.
    pub width: usize,
}

impl TilePath {
    /// Reads what follows `tile/`: `0/x001/x234/067`, `0/004.p/17`, `entries/004`. There is one way to
    /// write each.
    ///
    /// # Errors
    /// [`Error::Malformed`] for every other.
    pub fn parse(path: &str) -> Result<Self, Error> {
        let malformed = || Error::malformed("path of a tile", path.to_owned());
        let (level, rest) = path.split_once('/').ok_or_else(malformed)?;
        let level = match level {
            "entries" => None,
            level => Some(
                number(level)
                    .and_then(|level| u8::try_from(level).ok())
                    .filter(|level| *level <= LEVEL_MAX)
                    .ok_or_else(malformed)?,
            ),
        };
        let (digits, width) = match rest.split_once(".p/") {
            Some((digits, width)) => {
                let width = number(width).and_then(|width| usize::try_from(width).ok());
                let partial = width.filter(|width| (1..TILE_WIDTH).contains(width));
                (digits, partial.ok_or_else(malformed)?)
            }
            None => (rest, TILE_WIDTH),
        };
        let index = index(digits).ok_or_else(malformed)?;
        Ok(Self {
            level,
            index,
            width,
        })
    }
}

impl fmt::Display for TilePath {
    /// Writes what [`parse`](Self::parse) reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "{level}")?,
            None => f.write_str("entries")?,
        }
        let digits = self.index.to_string();
        let digits = format!("{digits:0>width$}", width = digits.len().div_ceil(3) * 3);
        for start in (0..digits.len()).step_by(3) {
            let more = if start + 3 < digits.len() { "x" } else { "" };
            write!(f, "/{more}{}", &digits[start..start + 3])?;
        }
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// A decimal number without a zero in front.
fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| plain && !padded)
}

/// `x001/x234/067`: three digits an element, and an `x` before all but the last.
fn index(text: &str) -> Option<u64> {
    let mut elements = text.split('/').rev();
    let last = elements.next()?;
    let mut digits = String::new();
    for element in elements.rev() {
        digits.push_str(
            element
                .strip_prefix('x')
                .filter(|digits| digits.len() == 3)?,
        );
    }
    digits.push_str(Some(last).filter(|digits| digits.len() == 3)?);
    // The first element is not needed when it is zero, unless it is the only one.
    if !digits.bytes().all(|byte| byte.is_ascii_digit())
        || (digits.len() > 3 && digits.starts_with("000"))
    {
        return None;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Digest, Tile};
    use super::*;

    #[test]
    fn the_paths_of_the_specification_name_what_it_says() {
        let path = |level, index, width| {
            Ok(TilePath {
                level,
                index,
                width,
            })
        };
        assert_eq!(
            TilePath::parse("0/x001/x234/067"),
            path(Some(0), 1_234_067, 256)
        );
        assert_eq!(TilePath::parse("63/000"), path(Some(63), 0, 256));
        assert_eq!(TilePath::parse("1/004.p/17"), path(Some(1), 4, 17));
        assert_eq!(
            TilePath::parse("entries/x001/000.p/255"),
            path(None, 1000, 255)
        );
    }

    #[test]
    fn a_path_that_is_written_in_any_other_way_names_nothing() {
        for path in [
            "",
            "0",
            "0/",
            "0/0",
            "0/00",
            "0/0000",
            "0/x000/001",
            "00/001",
            "64/000",
            "-1/000",
            "+1/000",
            "0/001/002",
            "0/x01/002",
            "0/x001",
            "0/001.p/0",
            "0/001.p/256",
            "0/001.p/01",
            "0/001.p/",
            "0/001.p/1/2",
            "leaves/000",
            "0/x999/x999/x999/x999/x999/x999/999",
            "0/١٢٣",
        ] {
            assert!(TilePath::parse(path).is_err(), "{path}");
        }
    }

    proptest! {
        #[test]
        fn every_tile_is_found_under_its_own_path(
            level in 0..64_u8, index in 0..1_u64 << 56, width in 1..=256_usize
        ) {
            let hashes = vec![Digest([0; 32]); width];
            let tile = Tile { level, index, hashes };
            let path = tile.path();
            let parsed = TilePath::parse(path.strip_prefix("tile/").unwrap()).unwrap();
            prop_assert_eq!(parsed, TilePath { level: Some(level), index, width });
            let bundle = TilePath { level: None, index, width };
            prop_assert_eq!(TilePath::parse(&bundle.to_string()).unwrap(), bundle);
        }

        #[test]
        fn no_path_is_too_strange_to_be_refused(path in "[0-9xp./]{0,40}") {
            drop(TilePath::parse(&path));
        }
    }
}
