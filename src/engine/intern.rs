//! Keys to small numbers, in order of first sight. The map inside is never iterated, so its order
//! cannot reach a report.

#![allow(clippy::disallowed_types)]

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Numbers byte strings 0, 1, 2, … as they are first seen, or gives several one number.
#[derive(Debug, Clone, Default)]
pub struct Interner {
    numbers: HashMap<Key, u32, BuildHasherDefault<Mixer>>,
}

impl Interner {
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.numbers.get(key).copied()
    }
    pub fn insert(&mut self, key: &[u8], number: u32) {
        self.numbers.insert(Key::new(key), number);
    }
}

/// Longer keys stand on the heap.
const SHORT: usize = 22;

/// A key, short ones in place: with thousands of streams each one looked at elsewhere costs a cache line.
#[derive(Debug, Clone)]
enum Key {
    Short(u8, [u8; SHORT]),
    Long(Box<[u8]>),
}

impl Key {
    fn new(bytes: &[u8]) -> Key {
        if bytes.len() > SHORT {
            return Key::Long(bytes.into());
        }
        let mut short = [0; SHORT];
        short[..bytes.len()].copy_from_slice(bytes);
        Key::Short(bytes.len() as u8, short)
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        match self {
            Key::Short(length, bytes) => &bytes[..usize::from(*length)],
            Key::Long(bytes) => bytes,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Borrow::<[u8]>::borrow(self).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        Borrow::<[u8]>::borrow(self) == Borrow::<[u8]>::borrow(other)
    }
}
impl Eq for Key {}

/// A multiply-and-rotate hash: keys are short and come from the user's own servers.
#[derive(Debug, Clone, Default)]
struct Mixer(u64);

impl Mixer {
    fn mix(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
}

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        // What is left over, together with bytes that are in already; a short key byte by byte.
        match bytes.last_chunk() {
            Some(last) if !rest.is_empty() => self.mix(u64::from_le_bytes(*last)),
            Some(_) => {}
            None => self.mix(rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }
    fn write_usize(&mut self, n: usize) {
        self.mix(n as u64);
    }
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_any_length_are_told_apart() {
        let mut interner = Interner::default();
        let keys: Vec<Vec<u8>> = (0..60).map(|length| vec![b'k'; length]).collect();
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(interner.find(key), None);
            interner.insert(key, number as u32);
        }
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(interner.find(key), Some(number as u32));
        }
        assert_eq!(interner.find(b"k\0"), None);
    }
}
