//! The WebSocket connection over a run: when it was open, when it was down.

use crate::model::{Span, Timestamp};

/// One connection's life. `epoch` counts opens over the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    pub conn: u32,
    pub epoch: u32,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Default)]
pub struct Link {
    open: Vec<Opened>,
    /// When each connection was opened, by epoch.
    opened: Vec<Timestamp>,
    /// When the link as a whole first came up, and the present or last period of being up began.
    first_open: Option<Timestamp>,
    up_since: Option<Timestamp>,
    /// Times without any open connection after the first: from the close to the next open.
    down: Vec<(Timestamp, Timestamp)>,
    /// Since the last close, while nothing is open.
    down_since: Option<Timestamp>,
    /// Times with a connection open.
    up: Vec<(Timestamp, Timestamp)>,
}

impl Link {
    pub fn open(&mut self, conn: u32, at: Timestamp) -> Opened {
        let opened = Opened { conn, epoch: self.opened.len() as u32, at };
        self.opened.push(at);
        self.open.retain(|o| o.conn != conn);
        if self.open.is_empty() {
            self.up_since = Some(at);
            if let Some(since) = self.down_since.take() {
                self.down.push((since, at));
            }
        }
        self.first_open.get_or_insert(at);
        self.open.push(opened);
        opened
    }

    /// The connection that closed, where it was open.
    pub fn close(&mut self, conn: u32, at: Timestamp) -> Option<Opened> {
        let index = self.open.iter().position(|o| o.conn == conn)?;
        let closed = self.open.remove(index);
        if self.open.is_empty() {
            self.down_since = Some(at);
            if let Some(since) = self.up_since.take() {
                self.up.push((since, at));
            }
        }
        Some(closed)
    }

    pub fn opened(&self, conn: u32) -> Option<Opened> {
        self.open.iter().copied().find(|o| o.conn == conn)
    }
    pub fn opened_at(&self, epoch: u32) -> Option<Timestamp> {
        self.opened.get(epoch as usize).copied()
    }
    pub fn epoch_is_open(&self, epoch: u32) -> bool {
        self.open.iter().any(|o| o.epoch == epoch)
    }
    pub fn is_open(&self) -> bool {
        !self.open.is_empty()
    }
    pub fn connections(&self) -> &[Opened] {
        &self.open
    }
    pub fn first_open(&self) -> Option<Timestamp> {
        self.first_open
    }
    /// When the present period of being connected began; `None` while down.
    /// Since when it has been as it is, up or down; `None` before the first open.
    pub fn since(&self) -> Option<Timestamp> {
        self.up_since.or(self.down_since)
    }

    pub fn up_since(&self) -> Option<Timestamp> {
        self.up_since
    }

    /// Whether `[from, to]` meets a downtime, each widened by `margin` on both ends. A downtime
    /// that lasts has no end yet.
    pub fn down_meets(&self, from: Timestamp, to: Timestamp, margin: Span) -> bool {
        let ongoing = self.down_since.map(|since| (since, Timestamp::MAX));
        let recent = self.down.iter().rev().take_while(|(_, until)| *until + margin >= from);
        recent.copied().chain(ongoing).any(|(since, until)| since - margin <= to && from <= until + margin)
    }

    /// The times the link was up, the last one cut at `now`.
    pub fn up_times(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> + '_ {
        self.up.iter().copied().chain(self.up_since.map(|since| (since, now)))
    }
}
