//! The file format of an entry.
//!
//! ```text
//! magic 8 │ format 4 │ key 32 │ cubin length 8 │ log length 8 │ checksum 32 │ cubin … │ log …
//! ```
//!
//! Little-endian. The checksum covers everything except itself. It detects torn and corrupted files; it does not authenticate
//! the writer, which is what the directory's owner and mode are for.

use super::key::Key;
use crate::jit::Cubin;
use core::fmt;

const MAGIC: &[u8; 8] = b"PXACUBIN";
const FORMAT: u32 = 1;
const CHECKED: usize = 8 + 4 + 32 + 8 + 8;
const HEADER: usize = CHECKED + 32;

/// What is wrong with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Corrupt {
    Short,
    Magic,
    Format,
    Key,
    Length,
    Checksum,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Corrupt::Short => "it is shorter than its header",
            Corrupt::Magic => "it is not a cache entry",
            Corrupt::Format => "it has another format version",
            Corrupt::Key => "it belongs to another key",
            Corrupt::Length => "its length differs from the one in its header",
            Corrupt::Checksum => "its checksum does not match",
        })
    }
}

pub(super) fn encode(key: &Key, cubin: &Cubin) -> Vec<u8> {
    let (image, log) = (cubin.bytes(), cubin.log().as_bytes());
    let mut entry = Vec::with_capacity(HEADER + image.len() + log.len());
    entry.extend_from_slice(MAGIC);
    entry.extend_from_slice(&FORMAT.to_le_bytes());
    entry.extend_from_slice(key.bytes());
    entry.extend_from_slice(&(image.len() as u64).to_le_bytes());
    entry.extend_from_slice(&(log.len() as u64).to_le_bytes());
    let sum = checksum(&entry, &[image, log]);
    entry.extend_from_slice(&sum);
    entry.extend_from_slice(image);
    entry.extend_from_slice(log);
    entry
}

pub(super) fn decode(key: &Key, entry: &[u8]) -> Result<Cubin, Corrupt> {
    let (header, payload) = entry.split_at_checked(HEADER).ok_or(Corrupt::Short)?;
    let (checked, sum) = header.split_at(CHECKED);
    if checked[..8] != *MAGIC {
        return Err(Corrupt::Magic);
    }
    if checked[8..12] != FORMAT.to_le_bytes() {
        return Err(Corrupt::Format);
    }
    if checked[12..44] != *key.bytes() {
        return Err(Corrupt::Key);
    }
    let length = |at: usize| checked[at..at + 8].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    let (image, log) = (length(44), length(52));
    if image.checked_add(log) != Some(payload.len() as u64) {
        return Err(Corrupt::Length);
    }
    if checksum(checked, &[payload]) != *sum {
        return Err(Corrupt::Checksum);
    }
    let (image, log) = payload.split_at(image as usize);
    Ok(Cubin::new(image.to_vec(), String::from_utf8_lossy(log).into_owned()))
}

fn checksum(header: &[u8], payload: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    for part in payload {
        hasher.update(part);
    }
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::key;
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let cubin = Cubin::new(b"\x7fELF image".to_vec(), "a log".into());
        let empty = Cubin::new(Vec::new(), String::new());
        for cubin in [cubin, empty] {
            assert_eq!(decode(&key("a"), &encode(&key("a"), &cubin)), Ok(cubin));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let cubin = Cubin::new(vec![7; 40], "log".into());
        let entry = encode(&key("a"), &cubin);
        for bit in 0..entry.len() * 8 {
            let mut rotten = entry.clone();
            rotten[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&key("a"), &rotten).is_err(), "bit {bit}");
        }
        for length in 0..entry.len() {
            assert!(decode(&key("a"), &entry[..length]).is_err(), "{length} bytes");
        }
        assert_eq!(decode(&key("a"), &[entry.as_slice(), &[0]].concat()), Err(Corrupt::Length));
        assert_eq!(decode(&key("b"), &entry), Err(Corrupt::Key));
        assert_eq!(decode(&key("a"), b""), Err(Corrupt::Short));
    }

    #[test]
    fn lengths_that_overflow_are_refused() {
        let mut entry = encode(&key("a"), &Cubin::new(vec![1], String::new()));
        entry[44..60].fill(0xff);
        assert_eq!(decode(&key("a"), &entry), Err(Corrupt::Length));
    }
}
