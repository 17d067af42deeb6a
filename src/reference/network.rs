//! The network between the origin and us: delays with a tail, and a server whose clock is not ours.
//! Seeded; knows no sockets and no bodies.

use super::random::{MILLION, Random};
use crate::model::{Span, Timestamp};

/// How long something takes: a base, even jitter on top, and now and then a tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    pub base: Span,
    pub jitter: Span,
    /// Of a million, how many meet the tail.
    pub tail_ppm: u64,
    /// Up to this much more.
    pub tail: Span,
}

impl Latency {
    pub const NONE: Latency = Latency { base: Span::ZERO, jitter: Span::ZERO, tail_ppm: 0, tail: Span::ZERO };

    pub fn draw(&self, random: &mut Random) -> Span {
        let mut length = self.base + Span(random.below(self.jitter.0.max(0) as u64) as i64);
        if self.tail_ppm > 0 && random.chance(self.tail_ppm) {
            length = length + Span(random.below(self.tail.0.max(0) as u64) as i64);
        }
        length
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// One way, of a REST request or its answer.
    pub rest: Latency,
    /// From the server's send to our receipt; messages never overtake each other.
    pub ws: Latency,
    /// The server's clock minus ours at the start.
    pub clock_offset: Span,
    /// How much faster the server's clock runs than ours.
    pub clock_drift_ppm: i64,
    /// From a lost connection to the next attempt, and from that to its answer.
    pub reconnect: Latency,
    /// How long we listen to silence before we close (`stalled`).
    pub stall_timeout: Span,
}

impl Default for Network {
    fn default() -> Network {
        let ms = Span::from_millis;
        Network {
            rest: Latency { base: ms(8), jitter: ms(10), tail_ppm: 10_000, tail: ms(300) },
            ws: Latency { base: ms(5), jitter: ms(6), tail_ppm: 2_000, tail: ms(200) },
            clock_offset: Span::ZERO,
            clock_drift_ppm: 0,
            reconnect: Latency { base: ms(700), jitter: ms(600), tail_ppm: 0, tail: Span::ZERO },
            stall_timeout: Span::from_secs(30),
        }
    }
}

/// Two clocks that agree on nothing but order: ours, and the server's.
#[derive(Debug, Clone, Copy)]
pub struct Clocks {
    start: Timestamp,
    offset: Span,
    drift_ppm: i64,
}

impl Clocks {
    pub fn new(network: &Network, start: Timestamp) -> Clocks {
        let half = MILLION as i64 / 2;
        Clocks { start, offset: network.clock_offset, drift_ppm: network.clock_drift_ppm.clamp(-half, half) }
    }

    /// What the server's clock shows when ours shows `ours`.
    pub fn server(&self, ours: Timestamp) -> Timestamp {
        if self.drift_ppm == 0 {
            return ours + self.offset;
        }
        let gained = scale((ours - self.start).0, self.drift_ppm, MILLION as i64);
        ours + self.offset + Span(gained)
    }

    /// The first instant of ours at which the server's clock shows at least `server`.
    pub fn ours(&self, server: Timestamp) -> Timestamp {
        if self.drift_ppm == 0 || server >= Timestamp::MAX - Span(self.offset.0.abs()) {
            return server - self.offset;
        }
        let length = server - self.offset - self.start;
        let million = MILLION as i64;
        let mut ours = self.start + Span(scale(length.0, million, million + self.drift_ppm));
        while self.server(ours) < server {
            ours += Span(1);
        }
        ours
    }
}

fn scale(length: i64, by: i64, of: i64) -> i64 {
    (i128::from(length) * i128::from(by) / i128::from(of)) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_convert_both_ways() {
        let start = Timestamp(1_700_000_000_000_000_000);
        for (offset, clock_drift_ppm) in [(0, 0), (5, 0), (-5, 30), (3, -30), (0, 400_000)] {
            let network =
                Network { clock_offset: Span::from_secs(offset), clock_drift_ppm, ..Network::default() };
            let clocks = Clocks::new(&network, start);
            for i in 0..500 {
                let server = clocks.server(start) + Span(i * 777_777_777);
                let ours = clocks.ours(server);
                assert!(clocks.server(ours) >= server);
                assert!(clocks.server(ours - Span(1)) < server);
            }
        }
    }

    #[test]
    fn a_delay_stays_within_its_bounds() {
        let latency = Network::default().rest;
        let mut random = Random::new(3);
        for _ in 0..10_000 {
            let length = latency.draw(&mut random);
            assert!(length >= latency.base && length <= latency.base + latency.jitter + latency.tail);
        }
    }
}
