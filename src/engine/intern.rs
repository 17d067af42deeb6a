//! Keys to small numbers, in order of first sight. The map inside is never iterated, so its order
//! cannot reach a report.

#![allow(clippy::disallowed_types)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// Numbers byte strings 0, 1, 2, … as they are first seen, or gives several one number.
#[derive(Debug, Default)]
pub struct Interner {
    numbers: HashMap<Box<[u8]>, u32, BuildHasherDefault<Mixer>>,
}

impl Interner {
    pub fn find(&self, key: &[u8]) -> Option<u32> {
        self.numbers.get(key).copied()
    }
    pub fn insert(&mut self, key: &[u8], number: u32) {
        self.numbers.insert(key.into(), number);
    }
}

/// A multiply-and-rotate hash: keys are short and come from the user's own servers.
#[derive(Debug, Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0_u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 = (self.0.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
    }
    fn write_usize(&mut self, n: usize) {
        self.0 = (self.0.rotate_left(5) ^ n as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
    }
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }
}
