//! What leaves the server's WebSocket, on which connection, and the order in which it leaves.

use crate::model::Timestamp;
use crate::reference::inject::Ending;
use std::cmp::Ordering;

/// What leaves the server's WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    Message(String),
    /// A message in a binary frame.
    Binary(String),
    /// A text that is no JSON, such as a message that was cut in the middle.
    Broken(String),
    /// Bytes that are neither text nor JSON, in a binary frame.
    Garbage(&'static [u8]),
    /// A message over the reader's limit.
    Oversize,
    Close(Ending),
    /// Falls silent and stays open.
    Stall,
}

/// Something that leaves, and when it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departure {
    pub at: Timestamp,
    pub to: Recipients,
    pub sent: Sent,
}

/// Which of several connections something concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipients {
    All,
    /// The one that a number falls to.
    One(u64),
}

/// One of several connections that share the streams among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lane {
    pub index: usize,
    pub of: usize,
}

impl Lane {
    /// One connection that carries everything.
    pub const ONLY: Lane = Lane { index: 0, of: 1 };

    pub fn carries(self, to: Recipients) -> bool {
        match to {
            Recipients::All => true,
            Recipients::One(number) => self.carries_stream((number % self.of as u64) as usize),
        }
    }

    pub fn carries_stream(self, stream: usize) -> bool {
        stream % self.of == self.index
    }
}

/// Something that will leave.
#[derive(Debug)]
pub(super) struct Pending {
    pub at: Timestamp,
    /// Keeps the order of what leaves at one instant.
    pub order: u64,
    pub to: Recipients,
    pub sent: Sent,
}

impl PartialEq for Pending {
    fn eq(&self, other: &Pending) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Pending {}
impl PartialOrd for Pending {
    fn partial_cmp(&self, other: &Pending) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Pending {
    fn cmp(&self, other: &Pending) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}
