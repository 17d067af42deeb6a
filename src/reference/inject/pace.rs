//! Faults of the pace: `interval_drift` and `jitter` change when versions are born, on both feeds.

use super::{Injector, Tick};
use crate::model::{Class, Timestamp};
use crate::reference::fault::{By, Fault};
use crate::reference::tempo::Tempo;
use crate::reference::truth::TruthEntry;
use crate::reference::world::World;

impl Injector {
    /// One entry a stream, when its pace begins to change.
    pub(super) fn announce_pace(
        &mut self,
        index: usize,
        world: &World,
        tick: &Tick,
        truth: &mut Vec<TruthEntry>,
    ) {
        let start = self.start;
        let armed = &mut self.armed[index];
        let begin = armed.fault.at.map_or(start, |at| at.resolve(start));
        if !armed.streams[tick.stream] || tick.at < begin {
            return;
        }
        armed.streams[tick.stream] = false;
        armed.strikes += 1;
        let ppm = pace_ppm(&armed.fault);
        let what = match armed.fault.class {
            Some(Class::Jitter) => "versions sway by",
            _ => "interval stretched by",
        };
        let mut entry = self.entry(index, world, tick);
        entry.detail = format!("{what} {}%", ppm as f64 / 10_000.0);
        truth.push(entry);
    }
}

fn pace_ppm(fault: &Fault) -> i64 {
    match (fault.by, fault.class) {
        (Some(By::Share(ppm)), _) => ppm,
        (_, Some(Class::Jitter)) => 200_000,
        _ => 50_000,
    }
}

pub(super) fn set_pace(fault: &Fault, streams: &[bool], world: &mut World, start: Timestamp) {
    let from = fault.at.map_or(start, |at| at.resolve(start));
    let until = fault.lasting.map_or(Timestamp::MAX, |lasting| from + lasting);
    let ppm = pace_ppm(fault);
    for (stream, _) in world.streams_mut().iter_mut().zip(streams).filter(|(_, struck)| **struck) {
        // Two faults of pace on one stream share the window of the later one.
        let mut tempo = stream.grid.tempo.unwrap_or(Tempo { from, until, stretch_ppm: 0, sway_ppm: 0 });
        (tempo.from, tempo.until) = (from, until);
        match fault.class {
            Some(Class::Jitter) => tempo.sway_ppm = ppm,
            _ => tempo.stretch_ppm = ppm,
        }
        stream.grid.tempo = Some(tempo);
    }
}
