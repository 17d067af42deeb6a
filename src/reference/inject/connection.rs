//! Faults of the connection: drops, silence, refusals, frames that are too big, history told twice.

use super::{Ending, Extra, Injector, Plan, Strike, Tick};
use crate::model::{Class, Span, Timestamp};
use crate::reference::fault::Manner;
use crate::reference::feature::Feature;
use crate::reference::random::hash;
use crate::reference::truth::TruthEntry;
use crate::reference::world::World;

/// Old versions that a reconnect brings again.
const HISTORY_VERSIONS: i64 = 2;
/// What was sent so long before a drop has arrived, and so has the version after it.
const SURELY_HEARD: Span = Span::from_secs(2);
/// Whoever comes back within this time is told the history again.
const RELAPSE_LASTS: Span = Span::from_secs(60);

/// A drop after which history is told again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relapse {
    armed: usize,
    dropped_at: Timestamp,
}

impl Injector {
    pub(super) fn strike_connection(
        &mut self,
        index: usize,
        tick: &Tick,
        strike: Strike,
        plan: &mut Plan,
        truth: &mut Vec<TruthEntry>,
    ) -> Option<()> {
        let armed = &self.armed[index];
        let fault = &armed.fault;
        if !strike.fresh {
            return None;
        }
        // Which of several connections; one of one.
        let which = hash(armed.seed, 0x1a, tick.k);
        let (class, extra, detail) = match (fault.manner, fault.class) {
            (Manner::OversizeFrame, _) => {
                (Class::Malformed, Extra::Oversize(which), "a frame over max_message".to_owned())
            }
            (Manner::AbruptReset, _) => {
                (Class::ConnectionDrop, Extra::Close(which, Ending::Reset), "a TCP reset".to_owned())
            }
            (Manner::HalfOpen, _) => {
                (Class::Stalled, Extra::Stall(which), "half-open: no end, nothing more arrives".to_owned())
            }
            (Manner::ReplayedHistory, _) => (
                Class::ConnectionDrop,
                Extra::Close(which, Ending::Plain),
                "without a close frame; history follows".to_owned(),
            ),
            (_, Some(Class::ConnectionDrop)) => match fault.code.filter(|code| *code != 1006) {
                Some(code) => (
                    Class::ConnectionDrop,
                    Extra::Close(which, Ending::Code(code)),
                    format!("with code {code}"),
                ),
                None => (
                    Class::ConnectionDrop,
                    Extra::Close(which, Ending::Plain),
                    "without a close frame".to_owned(),
                ),
            },
            (_, Some(Class::Stalled)) => (Class::Stalled, Extra::Stall(which), "open and silent".to_owned()),
            // From the start nobody is connected, so there is nothing to close.
            _ if fault.at.is_some() => {
                (Class::ConnectionDrop, Extra::Close(which, Ending::Plain), "closed, then refused".to_owned())
            }
            _ => return None,
        };
        if fault.manner == Manner::ReplayedHistory {
            self.relapses.push(Relapse { armed: index, dropped_at: tick.at });
        }
        plan.extras.push((Span::ZERO, extra));
        truth.push(TruthEntry { detail, ..TruthEntry::new(class, tick.at) });
        Some(())
    }

    /// Whether a handshake at this instant is refused; enters the refusal in the truth.
    pub fn refuses(&mut self, at: Timestamp, truth: &mut Vec<TruthEntry>) -> bool {
        let start = self.start;
        for armed in &mut self.armed {
            let refused = match armed.fault.plain() {
                Some(Class::ConnectFailed) => {
                    let begin = armed.fault.at.map_or(start, |at| at.resolve(start));
                    at >= begin && at < begin + armed.fault.lasting_for(None)
                }
                Some(Class::ConnectionDrop) => armed.episodes.iter().any(|episode| at < episode.until),
                _ => false,
            };
            if refused {
                armed.strikes += 1;
                let detail = "handshake refused".to_owned();
                truth.push(TruthEntry { detail, ..TruthEntry::new(Class::ConnectFailed, at) });
                return true;
            }
        }
        false
    }

    /// The old versions that are told again on a connection opened at this instant, in order; each
    /// is entered in the truth. `is_carried`: whether the connection carries a stream.
    pub fn history(
        &mut self,
        world: &World,
        at: Timestamp,
        is_carried: impl Fn(usize) -> bool,
        truth: &mut Vec<TruthEntry>,
    ) -> Vec<Tick> {
        self.relapses.retain(|relapse| at < relapse.dropped_at + RELAPSE_LASTS);
        let mut told = Vec::new();
        for relapse in &self.relapses {
            let armed = &self.armed[relapse.armed];
            for stream in (0..world.streams().len()).filter(|stream| armed.streams[*stream]) {
                let entry = &world.streams()[stream];
                let (true, Some(feature)) = (is_carried(stream), entry.feature()) else { continue };
                let heard = entry.grid.version_at(relapse.dropped_at - SURELY_HEARD);
                if world.due(stream, heard - HISTORY_VERSIONS) <= self.start + SURELY_HEARD {
                    continue;
                }
                for k in heard - HISTORY_VERSIONS..heard {
                    told.push(Tick { stream, k, at });
                    truth.push(TruthEntry {
                        feature: Feature::name(feature),
                        stream: entry.name.clone(),
                        event_time: world.event_time(stream, k),
                        detail: "told again after a reconnect".into(),
                        ..TruthEntry::new(Class::OutOfOrder, at)
                    });
                }
            }
        }
        told
    }
}
