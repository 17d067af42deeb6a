//! When each stream's next version is due. Streams of one period come round in one order, so each
//! goes to the back of its queue, or, where a fault changes its pace, near it.

use crate::model::{Span, Timestamp};
use crate::reference::inject::Tick;
use crate::reference::world::World;
use std::collections::VecDeque;

/// Instant, stream, version; in this order.
type Due = (Timestamp, usize, i64);

#[derive(Debug)]
pub(super) struct Schedule {
    /// By period; each in order.
    queues: Vec<(Span, VecDeque<Due>)>,
    /// What is due first of all, and its queue.
    first: Option<(usize, Due)>,
}

impl Schedule {
    /// What is due after `start`.
    pub fn new(world: &World, start: Timestamp) -> Schedule {
        let mut queues: Vec<(Span, VecDeque<Due>)> = Vec::new();
        for (stream, entry) in world.streams().iter().enumerate() {
            let k = world.first_tick_after(stream, start);
            let due = (world.due(stream, k), stream, k);
            match queues.iter_mut().find(|(period, _)| *period == entry.grid.period) {
                Some((_, queue)) => queue.push_back(due),
                None => queues.push((entry.grid.period, VecDeque::from([due]))),
            }
        }
        for (_, queue) in &mut queues {
            queue.make_contiguous().sort_unstable();
        }
        let first = first(&queues);
        Schedule { queues, first }
    }

    pub fn next_at(&self) -> Timestamp {
        self.first.map_or(Timestamp::MAX, |(_, (at, ..))| at)
    }

    /// Takes the next tick that is due by `now`, and puts its stream's following one in line.
    pub fn pop(&mut self, world: &World, now: Timestamp) -> Option<Tick> {
        let (index, (at, stream, k)) = self.first.filter(|(_, (at, ..))| *at <= now)?;
        let queue = &mut self.queues[index].1;
        queue.pop_front();
        let due = (world.due(stream, k + 1), stream, k + 1);
        let place = queue.iter().rposition(|other| *other < due).map_or(0, |before| before + 1);
        queue.insert(place, due);
        self.first = first(&self.queues);
        Some(Tick { stream, k, at })
    }
}

fn first(queues: &[(Span, VecDeque<Due>)]) -> Option<(usize, Due)> {
    let fronts = queues.iter().enumerate().filter_map(|(i, (_, queue))| Some((i, *queue.front()?)));
    fronts.min_by_key(|(_, due)| *due)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::tempo::Tempo;
    use crate::reference::world::WorldOptions;

    #[test]
    fn ticks_come_in_order_whatever_the_pace() {
        let start = Timestamp(1_766_154_600_000_000_000);
        let options = WorldOptions { forming_updates: true, accounts: 20, ..WorldOptions::default() };
        let mut world = World::new(options);
        world.add_pulse(start);
        for (stream, entry) in world.streams_mut().iter_mut().enumerate().step_by(3) {
            let (from, until, sway_ppm) = (start, Timestamp::MAX, 240_000);
            let stretch_ppm = stream as i64 * 10_000 - 200_000;
            entry.grid.tempo = Some(Tempo { from, until, stretch_ppm, sway_ppm });
        }
        let mut schedule = Schedule::new(&world, start);
        let mut next: Vec<i64> =
            (0..world.streams().len()).map(|stream| world.first_tick_after(stream, start)).collect();
        let (mut last, end) = ((start, 0), start + Span::from_secs(300));
        while let Some(tick) = schedule.pop(&world, end) {
            assert!((tick.at, tick.stream) > last, "{tick:?}");
            assert_eq!((tick.k, tick.at), (next[tick.stream], world.due(tick.stream, tick.k)));
            last = (tick.at, tick.stream);
            next[tick.stream] += 1;
        }
        assert!((0..next.len()).all(|stream| world.due(stream, next[stream]) > end));
        assert!(schedule.next_at() > end);
    }
}
