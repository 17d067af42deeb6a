//! The WebSocket side of a simulated session: connections, what is on their wires, how they end.

use super::{ROUND_TRIP_EVERY, Simulation, Step, json};
use crate::model::{ClosedBy, Event, Observation, Payload, Timestamp};
use crate::reference::inject::Ending;
use crate::reference::origin::{Departure, Lane, Recipients, Sent};
use base64::prelude::{BASE64_STANDARD, Engine};
use std::borrow::Cow;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    /// Shaking hands; the server sends already.
    Opening,
    Open,
    /// Open and silent.
    Stalled,
}

/// One of the watcher's connections.
#[derive(Debug)]
pub(super) struct Socket {
    lane: Lane,
    link: Link,
    conn: u32,
    /// In order, each with its instant and its place among what happens then; instants never decrease.
    wire: VecDeque<(Timestamp, u64, Sent)>,
    wire_free_at: Timestamp,
}

impl Socket {
    pub fn new(lane: Lane, from: Timestamp) -> Socket {
        let conn = lane.index as u32;
        Socket { lane, link: Link::Down, conn, wire: VecDeque::new(), wire_free_at: from }
    }

    pub fn next_arrival(&self) -> Option<(Timestamp, u64)> {
        self.wire.front().map(|(at, order, _)| (*at, *order))
    }

    fn is_listening(&self) -> bool {
        matches!(self.link, Link::Opening | Link::Open)
    }
}

impl Simulation {
    /// What leaves the server by now goes on the wire; with nobody connected it is lost.
    pub(super) fn take_from_origin(&mut self, now: Timestamp) {
        self.origin.set_heard(self.sockets.iter().any(Socket::is_listening));
        while let Some(Departure { to, sent, .. }) = self.origin.pop(self.clocks.server(now)) {
            let mut sent = Some(sent);
            for index in 0..self.sockets.len() {
                let lane = self.sockets[index].lane;
                if !lane.carries(to) {
                    continue;
                }
                // The last one that takes it gets the text itself.
                let is_last = index + 1 == lane.of || to != Recipients::All;
                let copy = if is_last { sent.take() } else { sent.clone() };
                if let Some(sent) = copy {
                    self.send(now, index, sent);
                }
            }
        }
    }

    fn send(&mut self, now: Timestamp, index: usize, sent: Sent) {
        let socket = &mut self.sockets[index];
        let listening = socket.is_listening();
        match sent {
            Sent::Stall if listening => {
                socket.link = Link::Stalled;
                let conn = socket.conn;
                self.plan(now + self.network.stall_timeout, Step::StallEnds(index, conn));
            }
            Sent::Stall => {}
            Sent::Close(_) if listening || socket.link == Link::Stalled => self.put_on_wire(now, index, sent),
            _ if listening => self.put_on_wire(now, index, sent),
            Sent::Message(text) | Sent::Binary(text) | Sent::Broken(text) => self.origin.recycle(text),
            _ => {}
        }
    }

    /// One connection is one ordered stream of bytes: nothing arrives before what was sent earlier.
    fn put_on_wire(&mut self, now: Timestamp, index: usize, sent: Sent) {
        let delay = self.delay(self.network.ws);
        let order = self.next_order();
        let socket = &mut self.sockets[index];
        let at = (now + delay).max(socket.wire_free_at);
        socket.wire_free_at = at;
        socket.wire.push_back((at, order, sent));
    }

    pub(super) fn connect(&mut self, at: Timestamp, index: usize) {
        let there = at + self.delay(self.network.rest);
        let answered = there + self.delay(self.network.rest);
        match self.origin.handshake(self.clocks.server(at), self.sockets[index].lane) {
            Ok(history) => {
                let socket = &mut self.sockets[index];
                socket.link = Link::Opening;
                // The answer to the handshake is first on the wire.
                socket.wire_free_at = answered;
                self.plan(answered, Step::Connected(index));
                for text in history {
                    self.put_on_wire(at, index, Sent::Message(text));
                }
            }
            Err(status) => self.plan(answered, Step::Refused(index, status)),
        }
    }

    pub(super) fn connected(
        &mut self,
        at: Timestamp,
        index: usize,
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        let socket = &mut self.sockets[index];
        if socket.link == Link::Opening {
            socket.link = Link::Open;
        }
        observe(&Observation { at, event: Event::WsOpen { conn: socket.conn } });
    }

    pub(super) fn refused(
        &mut self,
        at: Timestamp,
        index: usize,
        status: u16,
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        let event = Event::WsError {
            conn: self.sockets[index].conn,
            error: Cow::Borrowed("handshake"),
            status: Some(status),
            detail: Cow::Borrowed("refused"),
        };
        observe(&Observation { at, event });
        self.reconnect(at, index);
    }

    fn reconnect(&mut self, at: Timestamp, index: usize) {
        let conn = self.next_conn;
        self.next_conn += 1;
        let socket = &mut self.sockets[index];
        (socket.link, socket.conn) = (Link::Down, conn);
        // What was still on the wire is lost.
        socket.wire.clear();
        let pause = self.delay(self.network.reconnect);
        self.plan(at + pause, Step::Connect(index));
    }

    fn close(
        &mut self,
        at: Timestamp,
        index: usize,
        (code, by, reason): (u16, ClosedBy, &str),
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        let event =
            Event::WsClose { conn: self.sockets[index].conn, code, reason: Cow::Borrowed(reason), by };
        observe(&Observation { at, event });
        self.reconnect(at, index);
    }

    pub(super) fn stall_ends(
        &mut self,
        at: Timestamp,
        index: usize,
        conn: u32,
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        let socket = &self.sockets[index];
        if conn == socket.conn && socket.link == Link::Stalled {
            self.close(at, index, (1006, ClosedBy::Stalled, ""), observe);
        }
    }

    pub(super) fn deliver(
        &mut self,
        at: Timestamp,
        index: usize,
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        let conn = self.sockets[index].conn;
        let Some((_, _, sent)) = self.sockets[index].wire.pop_front() else { return };
        let mut frame = |bytes: usize, payload: Payload<'_>| {
            observe(&Observation { at, event: Event::Ws { conn, bytes: bytes as u64, payload } });
        };
        match sent {
            Sent::Message(text) => {
                frame(text.len(), json(&text, false));
                self.origin.recycle(text);
            }
            Sent::Binary(text) => {
                frame(text.len(), json(&text, true));
                self.origin.recycle(text);
            }
            Sent::Broken(text) => frame(text.len(), Payload::Text(Cow::Borrowed(&text))),
            Sent::Garbage(bytes) => {
                frame(bytes.len(), Payload::Base64(Cow::Owned(BASE64_STANDARD.encode(bytes))))
            }
            Sent::Oversize => {
                let (most, detail) = (self.max_message, "bytes; max_message is");
                let detail = Cow::Owned(format!("{} {detail} {most}", most + 1));
                let event = Event::WsError { conn, error: Cow::Borrowed("too_big"), status: None, detail };
                observe(&Observation { at, event });
                self.close(at, index, (1009, ClosedBy::Us, "message over max_message"), observe);
            }
            Sent::Close(Ending::Code(code)) => self.close(at, index, (code, ClosedBy::Peer, ""), observe),
            Sent::Close(Ending::Plain) => self.close(at, index, (1006, ClosedBy::Network, ""), observe),
            Sent::Close(Ending::Reset) => {
                self.close(at, index, (1006, ClosedBy::Network, "connection reset by peer"), observe);
            }
            Sent::Stall => {}
        }
    }

    pub(super) fn round_trip(
        &mut self,
        at: Timestamp,
        index: usize,
        observe: &mut impl FnMut(&Observation<'_>),
    ) {
        self.plan(at + ROUND_TRIP_EVERY, Step::RoundTrip(index));
        let there_and_back = self.delay(self.network.ws) + self.delay(self.network.ws);
        let socket = &self.sockets[index];
        if socket.link == Link::Open {
            let micros = (there_and_back.0 / 1_000) as u64;
            observe(&Observation { at, event: Event::WsRtt { conn: socket.conn, micros } });
        }
    }
}
