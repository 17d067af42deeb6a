//! A fault with its memory: which streams it may strike, what it counted, which episodes go on.
//! Decides when, never what.

use super::{Tick, distance};
use crate::model::{Span, Timestamp};
use crate::reference::fault::{Fault, FaultError, Place};
use crate::reference::feature::Feature;
use crate::reference::random::{MILLION, hash};
use crate::reference::world::{Owner, World};

/// Strikes without `at` begin two intervals and this much after the start, when both feeds flow.
const WARM_UP: Span = Span::from_secs(10);
/// Slots of `Armed::counts`: one a feature, one for the connection.
const COUNTS: usize = 5;
/// No version of a stream yet.
const NONE: i64 = i64::MIN;

#[derive(Debug)]
pub(super) struct Episode {
    pub stream: usize,
    pub until: Timestamp,
    pub k: i64,
}

#[derive(Debug)]
pub(super) struct Armed {
    pub fault: Fault,
    pub seed: u64,
    /// By position in the world's streams.
    pub streams: Vec<bool>,
    pub strikes: u64,
    pub episodes: Vec<Episode>,
    counts: [u64; COUNTS],
    drawn: bool,
    /// Of each stream, the version struck last.
    last: Vec<i64>,
    /// Of each stream, the version that REST was asked for last.
    asked: Vec<i64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Strike {
    /// The first of its episode.
    pub fresh: bool,
    /// The version at which the episode began.
    pub since: i64,
}

impl Armed {
    pub fn new(fault: Fault, index: usize, streams: Vec<bool>, world: &World) -> Armed {
        let (last, asked) = (vec![NONE; streams.len()], vec![NONE; streams.len()]);
        Armed {
            // A clock that is off is so from the start.
            strikes: u64::from(fault.place == Place::Clock),
            fault,
            seed: hash(world.options().seed, 0xfa + index as u64, 0),
            streams,
            episodes: Vec::new(),
            counts: [0; COUNTS],
            drawn: false,
            last,
            asked,
        }
    }

    pub fn strike(&mut self, tick: &Tick, feature: Option<Feature>, start: Timestamp) -> Option<Strike> {
        if !self.streams[tick.stream]
            || (1..=distance(&self.fault)).any(|n| self.was_struck(tick.stream, tick.k - n))
        {
            return None;
        }
        if let Some(index) = self.episodes.iter().position(|episode| episode.stream == tick.stream) {
            let Episode { until, k, .. } = self.episodes[index];
            if tick.at < until {
                return Some(Strike { fresh: false, since: k });
            }
            self.episodes.swap_remove(index);
        }
        let begin = self.begin(feature, start);
        if tick.at < begin {
            return None;
        }
        let drawn = self.fault.rate_ppm.is_some() || self.fault.every.is_some();
        let window = self.fault.at.and(self.fault.lasting).map(|lasting| begin + lasting);
        let hit = match (window, self.fault.at) {
            (Some(end), _) => tick.at < end && self.draw(tick, feature, 1),
            (None, Some(_)) if !drawn => !self.drawn,
            _ => self.draw(tick, feature, self.fault.default_every()),
        };
        if !hit {
            return None;
        }
        self.drawn = true;
        let until = match window {
            Some(end) if !drawn => end,
            Some(_) => tick.at + self.fault.default_lasting(feature),
            None => tick.at + self.fault.lasting_for(feature),
        };
        if until > tick.at {
            self.episodes.push(Episode { stream: tick.stream, until, k: tick.k });
        }
        Some(Strike { fresh: true, since: tick.k })
    }

    fn begin(&self, feature: Option<Feature>, start: Timestamp) -> Timestamp {
        let warm_up = feature.map_or(Span::from_secs(20), |feature| feature.interval() * 2) + WARM_UP;
        self.fault.at.map_or(start + warm_up, |at| at.resolve(start))
    }

    /// By rate, or each Nth of a feature's messages, the first of them half-way.
    fn draw(&mut self, tick: &Tick, feature: Option<Feature>, default_every: u64) -> bool {
        if let Some(ppm) = self.fault.rate_ppm {
            return hash(self.seed, tick.stream as u64, tick.k) % MILLION < ppm;
        }
        let every = self.fault.every.unwrap_or(default_every);
        let count = &mut self.counts[feature.map_or(COUNTS - 1, |feature| feature as usize)];
        let nth = *count % every;
        *count += 1;
        nth == every / 2
    }

    /// Whether an episode of this fault goes on in the stream.
    pub fn has_episode(&self, tick: &Tick) -> bool {
        self.episodes.iter().any(|episode| episode.stream == tick.stream && tick.at < episode.until)
    }

    /// Remembers what was done.
    pub fn struck(&mut self, tick: &Tick) {
        self.strikes += 1;
        self.last[tick.stream] = tick.k;
    }

    pub fn was_struck(&self, stream: usize, k: i64) -> bool {
        self.last[stream] == k
    }

    /// Whether REST is asked for this version for the first time.
    pub fn is_first_asked(&mut self, tick: &Tick) -> bool {
        std::mem::replace(&mut self.asked[tick.stream], tick.k) != tick.k
    }

    pub fn row(&self, world: &World, tick: &Tick) -> Option<usize> {
        let rows = world.options().positions as u64;
        (rows > 0).then(|| (hash(self.seed, 77 + tick.stream as u64, tick.k) % rows) as usize)
    }
}

/// The streams a fault may strike; an error when it names one that the world has not.
pub(super) fn matching(fault: &Fault, world: &World) -> Result<Vec<bool>, FaultError> {
    let connection = fault.place == Place::Connection;
    let matches: Vec<bool> = world
        .streams()
        .iter()
        .map(|stream| match stream.feature() {
            Some(feature) => {
                fault.features.contains(&feature)
                    && fault.stream.as_deref().is_none_or(|wanted| stream_is(&stream.name, wanted))
            }
            None => connection && stream.owner == Owner::Pulse,
        })
        .collect();
    if let (Some(wanted), false) = (&fault.stream, matches.contains(&true)) {
        let mut known: Vec<&str> = world
            .streams()
            .iter()
            .filter(|stream| stream.feature().is_some_and(|feature| fault.features.contains(&feature)))
            .map(|stream| stream.name.as_str())
            .collect();
        known.sort_unstable();
        known.dedup();
        known.truncate(12);
        return Err(FaultError(format!(
            "fault `{}`: stream `{wanted}` is not in the world; known: {}",
            fault.text,
            known.join("; ")
        )));
    }
    Ok(matches)
}

/// Each wanted pair (or value alone) must be one of the stream's pairs.
fn stream_is(name: &str, wanted: &str) -> bool {
    wanted.split(',').all(|part| {
        name.split(',')
            .any(|pair| pair == part || pair.split_once('=').is_some_and(|(_, value)| value == part))
    })
}
