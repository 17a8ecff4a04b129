//! Bundles: the leaves of one tile as `tlog-tiles` serves them, each behind its length.

use super::super::Error;
use super::tile::TILE_WIDTH;

const WHAT: &str = "bundle of entries";

/// The leaves one after the other, each behind its length as `u16`.
#[must_use]
pub fn encode_bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for leaf in leaves {
        let length = u16::try_from(leaf.len()).unwrap_or(u16::MAX);
        bytes.extend_from_slice(&length.to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    bytes
}

/// Reads what [`encode_bundle`] writes.
///
/// # Errors
/// [`Error::Malformed`] unless there are 1 to 256 whole leaves.
pub fn decode_bundle(mut bytes: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let mut leaves = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        let length = usize::from(u16::from_be_bytes(*length));
        let Some((leaf, rest)) = rest.split_at_checked(length) else {
            break;
        };
        leaves.push(leaf.to_vec());
        bytes = rest;
    }
    if !bytes.is_empty() || leaves.is_empty() || leaves.len() > TILE_WIDTH {
        return Err(Error::malformed(WHAT, "not 1 to 256 whole leaves"));
    }
    Ok(leaves)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_is_read_as_it_was_written_and_never_in_part() {
        let leaves = vec![vec![1; 110], vec![2; 3], Vec::new()];
        let bytes = encode_bundle(&leaves);
        assert_eq!(decode_bundle(&bytes), Ok(leaves));
        for cut in [1, 50, 113, bytes.len() - 1] {
            assert!(decode_bundle(&bytes[..cut]).is_err(), "{cut} bytes");
        }
        assert!(decode_bundle(&[]).is_err());
        assert!(decode_bundle(&encode_bundle(&vec![vec![0]; 257])).is_err());
    }
}
