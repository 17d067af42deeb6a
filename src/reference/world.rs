//! The world: accounts, positions, bars and market clocks as pure functions of (seed, stream,
//! version). Both feeds ask it, so they agree without sharing state, and any instant costs the same.
//!
//! Knows nothing of JSON, faults or sockets.

use super::feature::{Feature, MINUTE};
use super::random::hash;
use super::tempo::Grid;
use crate::model::{Span, Timestamp};
use std::cell::Cell;

/// A forming bar changes this often.
pub const STEPS_PER_MINUTE: i64 = 12;
/// REST shows this many closed bars of each symbol beside the forming one.
pub const CLOSED_BARS_SHOWN: usize = 3;
/// How far back a thinly traded symbol's last closed bars are looked for.
const SPARSE_LOOK_BACK: i64 = 30;
/// Positions are traded after this many versions.
const TRADE_EVERY: i64 = 30;

pub const STATUSES: [&str; 5] = ["OPEN", "CLOSED", "PREOPEN", "PRECLOSE", "HOLIDAY"];
const COUNTRIES: [&str; 5] = ["USA", "JPN", "GBR", "DEU", "HKG"];
const SYMBOLS: [&str; 12] =
    ["SPY", "AAPL", "MSFT", "QQQ", "NVDA", "TSLA", "AMZN", "META", "IWM", "JPM", "XOM", "KO"];
/// All bars are of one country's symbols.
pub const BAR_COUNTRY: &str = "USA";

/// A market's day, made short so that a session of minutes sees it change: seconds, status.
const CYCLE: [(i64, &str); 4] = [(600, "PREOPEN"), (2400, "OPEN"), (300, "PRECLOSE"), (2100, "CLOSED")];
const CYCLE_SECONDS: i64 = 5400;
/// Every so many cycles, one is a holiday.
const HOLIDAY_EVERY: i64 = 6;

/// What the world is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldOptions {
    pub seed: u64,
    pub accounts: usize,
    /// Per account.
    pub positions: usize,
    pub symbols: usize,
    pub markets: usize,
    /// How many of the symbols (the last ones) trade so thinly that minutes pass without a bar.
    pub sparse: usize,
    /// Send bars while they form, too, not only when they close.
    pub forming_updates: bool,
    /// REST writes decimals as strings, the WebSocket as numbers.
    pub rest_decimal_strings: bool,
    /// REST computes market clocks when asked, instead of showing the last version.
    pub live_markets: bool,
    /// Of each market, its real states: each holds from its instant until the next. A market without
    /// any (or beyond them) runs through a short day of its own.
    pub hours: Vec<Vec<(Timestamp, &'static str)>>,
}

impl Default for WorldOptions {
    fn default() -> WorldOptions {
        WorldOptions {
            seed: 1,
            accounts: 3,
            positions: 3,
            symbols: 4,
            markets: 5,
            sparse: 0,
            forming_updates: false,
            rest_decimal_strings: false,
            live_markets: false,
            hours: Vec::new(),
        }
    }
}

/// Who a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Balance(usize),
    Positions(usize),
    Bar(usize),
    Market(usize),
    /// A bar's updates while it forms; its versions are steps.
    Forming(usize),
    Heartbeat,
    /// Each second after the start, for faults of the connection; nothing is sent.
    Pulse,
}

/// One source of WebSocket messages.
#[derive(Debug, Clone)]
pub struct Stream {
    pub owner: Owner,
    pub grid: Grid,
    /// After a version is born until it is sent.
    pub delay: Span,
    /// `country=USA,symbol=SPY`; empty for those that carry no record.
    pub name: String,
}

impl Stream {
    pub fn feature(&self) -> Option<Feature> {
        match self.owner {
            Owner::Balance(_) => Some(Feature::AccountBalance),
            Owner::Positions(_) => Some(Feature::Positions),
            Owner::Bar(_) => Some(Feature::IntradayBar),
            Owner::Market(_) => Some(Feature::MarketStatus),
            Owner::Forming(_) | Owner::Heartbeat | Owner::Pulse => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    pub account_id: i64,
    pub account_number: i64,
    pub cash_cents: i64,
    pub buying_power_cents: i64,
    pub timestamp: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub symbol: usize,
    pub quantity: i64,
    pub entry_cents: i64,
    pub current_cents: i64,
    pub pnl_cents: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bar {
    pub minute: Timestamp,
    pub open_cents: i64,
    pub high_cents: i64,
    pub low_cents: i64,
    pub close_cents: i64,
    pub volume: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Market {
    pub market_id: i64,
    pub country: usize,
    pub status: &'static str,
    pub seconds_to_next_event: i64,
}

/// The world itself: names and grids; everything else is computed when asked.
#[derive(Debug, Clone)]
pub struct World {
    options: WorldOptions,
    symbols: Vec<String>,
    streams: Vec<Stream>,
    /// Of each symbol, two prices by step: many accounts ask for the same ones at about the same time.
    prices: Vec<[Cell<(i64, i64)>; 2]>,
    /// Of each position, by account and row: the last trade that was asked for.
    trades: Vec<Cell<Trade>>,
}

/// How a position came to be.
#[derive(Debug, Clone, Copy)]
struct Trade {
    epoch: i64,
    quantity: i64,
    entry_cents: i64,
}

// What a hash is for, so that no two uses share their numbers.
const PHASE: u64 = 1;
const CASH: u64 = 2;
const QUANTITY: u64 = 3;
const PRICE: u64 = 4;
const VOLUME: u64 = 5;
const TRADED: u64 = 6;
const MARKET: u64 = 7;

impl World {
    pub fn new(options: WorldOptions) -> World {
        let symbols: Vec<String> = (0..options.symbols.max(options.positions))
            .map(|i| SYMBOLS.get(i).map_or_else(|| format!("SYM{i:03}"), |name| (*name).to_owned()))
            .collect();
        // A step that nobody asks for.
        let prices = symbols.iter().map(|_| [const { Cell::new((i64::MIN, 0)) }; 2]).collect();
        let none = Trade { epoch: i64::MIN, quantity: 0, entry_cents: 0 };
        let trades = vec![Cell::new(none); options.accounts * options.positions];
        let mut world = World { options, symbols, streams: Vec::new(), prices, trades };
        world.lay_streams();
        world
    }

    /// Balances, positions, bars, markets, then the rest: `stream_of` relies on this order.
    fn lay_streams(&mut self) {
        let options = self.options.clone();
        for (feature, count) in [
            (Feature::AccountBalance, options.accounts),
            (Feature::Positions, options.accounts),
            (Feature::IntradayBar, options.symbols),
            (Feature::MarketStatus, options.markets),
        ] {
            for index in 0..count {
                let stream = self.stream(feature, index, count);
                self.streams.push(stream);
            }
        }
        let heartbeat = Grid::new(Span::from_secs(5), Span::from_millis(317), 0);
        self.push_silent(Owner::Heartbeat, heartbeat);
        if options.forming_updates {
            for symbol in 0..options.symbols {
                let step = Grid::new(Span(MINUTE.0 / STEPS_PER_MINUTE), Span::ZERO, 0);
                self.push_silent(Owner::Forming(symbol), step);
            }
        }
    }

    fn push_silent(&mut self, owner: Owner, grid: Grid) {
        self.streams.push(Stream { owner, grid, delay: Span::ZERO, name: String::new() });
    }

    /// Adds the pulse that faults of the connection need, counted from `start`.
    pub fn add_pulse(&mut self, start: Timestamp) {
        let second = Span::from_secs(1);
        self.push_silent(Owner::Pulse, Grid::new(second, Span(start.0.rem_euclid(second.0)), 0));
    }

    fn stream(&self, feature: Feature, index: usize, count: usize) -> Stream {
        let seed = hash(self.options.seed, PHASE + 16 * feature as u64, index as i64);
        let period = feature.interval();
        // Spread over the interval, with some luck, in whole milliseconds.
        let slot_ms = (period.0 / 1_000_000 / count as i64).max(1);
        let phase = Span::from_millis(index as i64 * slot_ms + (seed % slot_ms as u64) as i64);
        // Bars close on the minute and leave one after the other.
        let (phase, delay) = match feature {
            Feature::IntradayBar => (Span::ZERO, Span::from_micros(150_000 * index as i64 / count as i64)),
            _ => (phase, Span::ZERO),
        };
        let (owner, name) = match feature {
            Feature::AccountBalance => (Owner::Balance(index), format!("account_id={}", account_id(index))),
            Feature::Positions => (Owner::Positions(index), format!("account_id={}", account_id(index))),
            Feature::IntradayBar => {
                (Owner::Bar(index), format!("country={BAR_COUNTRY},symbol={}", self.symbols[index]))
            }
            Feature::MarketStatus => (Owner::Market(index), format!("market_id={}", index + 1)),
        };
        Stream { owner, grid: Grid::new(period, phase, seed), delay, name }
    }

    pub fn options(&self) -> &WorldOptions {
        &self.options
    }

    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    pub fn streams_mut(&mut self) -> &mut [Stream] {
        &mut self.streams
    }

    /// The streams of one feature, as positions in `streams`.
    pub fn streams_of(&self, feature: Feature) -> std::ops::Range<usize> {
        let WorldOptions { accounts, symbols, markets, .. } = self.options;
        match feature {
            Feature::AccountBalance => 0..accounts,
            Feature::Positions => accounts..2 * accounts,
            Feature::IntradayBar => 2 * accounts..2 * accounts + symbols,
            Feature::MarketStatus => 2 * accounts + symbols..2 * accounts + symbols + markets,
        }
    }

    fn grid(&self, feature: Feature, index: usize) -> &Grid {
        &self.streams[self.streams_of(feature).start + index].grid
    }

    pub fn symbol(&self, index: usize) -> &str {
        &self.symbols[index]
    }

    /// The first tick of a stream after `at`.
    pub fn first_tick_after(&self, stream: usize, at: Timestamp) -> i64 {
        let entry = &self.streams[stream];
        match entry.owner {
            Owner::Bar(_) => {
                let k = entry.grid.version_at(at) - 2;
                (k..).find(|k| self.due(stream, *k) > at).unwrap_or(k)
            }
            Owner::Forming(symbol) => {
                let k = self.grid(Feature::IntradayBar, symbol).version_at(at) * STEPS_PER_MINUTE;
                (k..).find(|k| self.due(stream, *k) > at).unwrap_or(k)
            }
            _ => entry.grid.version_at(at - entry.delay) + 1,
        }
    }

    /// When tick `k` of a stream is sent if nothing is wrong. A closed bar is sent when the next
    /// one begins.
    pub fn due(&self, stream: usize, k: i64) -> Timestamp {
        let entry = &self.streams[stream];
        match entry.owner {
            Owner::Bar(_) => entry.grid.time(k + 1) + entry.delay,
            Owner::Forming(symbol) => {
                let grid = self.grid(Feature::IntradayBar, symbol);
                let minute = k.div_euclid(STEPS_PER_MINUTE);
                let (begin, end) = (grid.time(minute), grid.time(minute + 1));
                begin + Span((end - begin).0 * k.rem_euclid(STEPS_PER_MINUTE) / STEPS_PER_MINUTE)
            }
            _ => entry.grid.time(k) + entry.delay,
        }
    }

    /// The event time of version `k`, for streams whose records carry one.
    pub fn event_time(&self, stream: usize, k: i64) -> Option<Timestamp> {
        let entry = &self.streams[stream];
        match entry.owner {
            Owner::Balance(_) | Owner::Positions(_) | Owner::Bar(_) => Some(entry.grid.time(k)),
            _ => None,
        }
    }

    pub fn balance(&self, account: usize, k: i64) -> Balance {
        let seed = hash(self.options.seed, CASH, account as i64);
        let base = 1_000_000 + (seed % 20_000_000) as i64;
        let drift = wave(seed, k, 40, base / 50) + wave(seed ^ 1, k, 1, 90_000);
        // The last digit's parity follows the version, so that neighbours always differ.
        let cash_cents = with_parity(base + drift, k);
        Balance {
            account_id: account_id(account),
            account_number: 1_000_000 + (seed >> 32) as i64 % 9_000_000,
            cash_cents,
            buying_power_cents: 2 * cash_cents + wave(seed ^ 2, k, 3, 5_000),
            timestamp: self.grid(Feature::AccountBalance, account).time(k),
        }
    }

    pub fn account_id(&self, account: usize) -> i64 {
        account_id(account)
    }

    pub fn positions_time(&self, account: usize, k: i64) -> Timestamp {
        self.grid(Feature::Positions, account).time(k)
    }

    /// Position `row` of an account's version `k`.
    pub fn position(&self, account: usize, row: usize, k: i64) -> Position {
        let seed = hash(self.options.seed, QUANTITY, (account * 4096 + row) as i64);
        let epoch = (k + (seed % 30) as i64).div_euclid(TRADE_EVERY);
        let symbol = (account + row) % self.symbols.len();
        let kept = &self.trades[account * self.options.positions + row];
        if kept.get().epoch != epoch {
            kept.set(self.trade(seed, epoch, symbol));
        }
        let Trade { quantity, entry_cents, .. } = kept.get();
        // Two steps of the price to a version of ten seconds.
        let current_cents = with_parity(self.kept_price_cents(symbol, 2 * k), k);
        let pnl_cents = (current_cents - entry_cents) * quantity;
        Position { symbol, quantity, entry_cents, current_cents, pnl_cents }
    }

    /// `seed`: the position's.
    fn trade(&self, seed: u64, epoch: i64, symbol: usize) -> Trade {
        let draw = hash(seed, 1, epoch);
        let size = 1 + (draw % 200) as i64;
        let quantity = if draw >> 60 == 0 { -size } else { size };
        let entry_cents = self.price_cents(symbol, 2 * epoch * TRADE_EVERY - (draw >> 32) as i64 % 9_000);
        Trade { epoch, quantity, entry_cents }
    }

    /// Whether a symbol traded in that minute at all.
    pub fn traded(&self, symbol: usize, minute: i64) -> bool {
        symbol + self.options.sparse < self.options.symbols
            || hash(self.options.seed, TRADED + 16 * symbol as u64, minute) % 100 < 55
    }

    /// The bar of a minute after `step` of its twelve steps: 12 is the closed bar.
    pub fn bar(&self, symbol: usize, minute: i64, step: i64) -> Bar {
        let first = minute * STEPS_PER_MINUTE;
        let open_cents = self.price_cents(symbol, first);
        let (mut high_cents, mut low_cents, mut close_cents) = (open_cents, open_cents, open_cents);
        let mut volume = self.volume(symbol, first);
        for i in 1..=step {
            close_cents = self.price_cents(symbol, first + i);
            high_cents = high_cents.max(close_cents);
            low_cents = low_cents.min(close_cents);
            // Shifted, since the last step is the first of the next minute.
            volume += self.volume(symbol, first + i + (1 << 40));
        }
        let minute = self.grid(Feature::IntradayBar, symbol).time(minute);
        Bar { minute, open_cents, high_cents, low_cents, close_cents, volume }
    }

    /// The minute that forms at an instant, and how many of its steps are done.
    pub fn forming_at(&self, symbol: usize, at: Timestamp) -> (i64, i64) {
        let grid = self.grid(Feature::IntradayBar, symbol);
        let minute = grid.version_at(at);
        let (begin, end) = (grid.time(minute), grid.time(minute + 1));
        (minute, ((at - begin).0 / ((end - begin).0 / STEPS_PER_MINUTE).max(1)).min(STEPS_PER_MINUTE - 1))
    }

    /// The last closed minutes before `minute` that have a bar, newest first.
    pub fn closed_before(&self, symbol: usize, minute: i64) -> [Option<i64>; CLOSED_BARS_SHOWN] {
        let mut traded = (minute - SPARSE_LOOK_BACK..minute).rev().filter(|m| self.traded(symbol, *m));
        std::array::from_fn(|_| traded.next())
    }

    /// A market's clock as version `k` shows it.
    pub fn market(&self, market: usize, k: i64) -> Market {
        self.market_at(market, self.grid(Feature::MarketStatus, market).time(k))
    }

    /// A market's clock at an instant.
    pub fn market_at(&self, market: usize, at: Timestamp) -> Market {
        let (status, left_ns) = self.real_state(market, at).unwrap_or_else(|| self.short_day(market, at));
        let second_ns = Span::from_secs(1).0;
        Market {
            market_id: market as i64 + 1,
            country: market % COUNTRIES.len(),
            status,
            // Rounded up: an event still to come is at least a second away.
            seconds_to_next_event: (left_ns + second_ns - 1) / second_ns,
        }
    }

    /// A state of real hours, and the nanoseconds until the next.
    fn real_state(&self, market: usize, at: Timestamp) -> Option<(&'static str, i64)> {
        let hours = self.options.hours.get(market)?;
        let next = hours.partition_point(|(from, _)| *from <= at);
        let (_, status) = hours[..next].last()?;
        Some((*status, (hours.get(next)?.0 - at).0))
    }

    fn short_day(&self, market: usize, at: Timestamp) -> (&'static str, i64) {
        let seed = hash(self.options.seed, MARKET, market as i64);
        let now_ns = at.0 + Span::from_secs((seed % CYCLE_SECONDS as u64) as i64).0;
        let second_ns = Span::from_secs(1).0;
        let cycle = now_ns.div_euclid(CYCLE_SECONDS * second_ns);
        let into_ns = now_ns.rem_euclid(CYCLE_SECONDS * second_ns);
        let holiday = (cycle + (seed >> 40) as i64 % HOLIDAY_EVERY).rem_euclid(HOLIDAY_EVERY) == 0;
        let (mut status, mut end_s) = ("HOLIDAY", CYCLE_SECONDS);
        if !holiday {
            end_s = 0;
            for (length_s, name) in CYCLE {
                (status, end_s) = (name, end_s + length_s);
                if into_ns < end_s * second_ns {
                    break;
                }
            }
        }
        (status, end_s * second_ns - into_ns)
    }

    /// The same as `price_cents`, from what was asked before where it was.
    fn kept_price_cents(&self, symbol: usize, step: i64) -> i64 {
        let kept = &self.prices[symbol][(step / 2) as usize & 1];
        if kept.get().0 != step {
            kept.set((step, self.price_cents(symbol, step)));
        }
        kept.get().1
    }

    /// A price walks in steps of five seconds: waves of an hour, five minutes and twenty seconds.
    fn price_cents(&self, symbol: usize, step: i64) -> i64 {
        let seed = hash(self.options.seed, PRICE, symbol as i64);
        let base = 2_000 + (seed % 48_000) as i64;
        let slow = wave(seed, step, 720, base / 40) + wave(seed ^ 1, step, 60, base / 200);
        base + slow + wave(seed ^ 2, step, 4, base / 500 + 3)
    }

    fn volume(&self, symbol: usize, step: i64) -> i64 {
        1 + (hash(self.options.seed, VOLUME + 16 * symbol as u64, step) % 900) as i64
    }
}

pub fn country(index: usize) -> &'static str {
    COUNTRIES[index]
}

fn account_id(account: usize) -> i64 {
    123 + 111 * account as i64
}

fn with_parity(cents: i64, k: i64) -> i64 {
    (cents & !1) | (k & 1)
}

/// Smooth noise between `-size` and `size`: seeded values each `period`, straight lines between.
// Inlined, so that the divisions by its constant period become multiplications.
#[inline(always)]
fn wave(seed: u64, x: i64, period: i64, size: i64) -> i64 {
    let (cell, into) = (x.div_euclid(period), x.rem_euclid(period));
    let at = |cell: i64| (hash(seed, period as u64, cell) % 2001) as i64 - 1000;
    (at(cell) * (period - into) + at(cell + 1) * into) * size / (period * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: i64 = 176_000_000;

    #[test]
    fn same_seed_same_world_and_neighbours_differ() {
        let (a, b) = (World::new(WorldOptions::default()), World::new(WorldOptions::default()));
        let other = World::new(WorldOptions { seed: 2, ..WorldOptions::default() });
        for k in K..K + 200 {
            assert_eq!(a.balance(1, k), b.balance(1, k));
            assert_ne!(a.balance(1, k).cash_cents, a.balance(1, k + 1).cash_cents);
            assert_ne!(a.balance(1, k).cash_cents, other.balance(1, k).cash_cents);
            for row in 0..3 {
                let position = a.position(2, row, k);
                assert_eq!(position, b.position(2, row, k));
                assert_ne!(position.current_cents, a.position(2, row, k + 1).current_cents);
                let gain = position.current_cents - position.entry_cents;
                assert_eq!(position.pnl_cents, gain * position.quantity);
            }
            assert_ne!(a.market(0, k), a.market(0, k + 1));
        }
    }

    #[test]
    fn a_bar_grows_and_stays_sane() {
        let world = World::new(WorldOptions::default());
        for minute in 29_000_000..29_000_050 {
            for step in 0..STEPS_PER_MINUTE {
                let (now, next) = (world.bar(1, minute, step), world.bar(1, minute, step + 1));
                assert_eq!(now.open_cents, next.open_cents);
                assert!(next.high_cents >= now.high_cents && next.low_cents <= now.low_cents);
                assert!(next.volume > now.volume);
                assert!(next.low_cents <= next.close_cents && next.close_cents <= next.high_cents);
            }
        }
    }

    #[test]
    fn a_countdown_falls_by_the_time_that_passes() {
        let world = World::new(WorldOptions::default());
        let mut seen = std::collections::BTreeSet::new();
        for k in K..K + 4000 {
            let (now, next) = (world.market(2, k), world.market(2, k + 1));
            seen.insert(now.status);
            if now.status == next.status && next.seconds_to_next_event < now.seconds_to_next_event {
                assert_eq!(now.seconds_to_next_event - next.seconds_to_next_event, 10);
            }
            assert!(now.seconds_to_next_event > 0);
        }
        assert_eq!(seen.len(), STATUSES.len());
    }

    #[test]
    fn ticks_follow_each_other_and_none_is_lost_at_the_start() {
        let world = World::new(WorldOptions { forming_updates: true, ..WorldOptions::default() });
        let start = Timestamp::parse_rfc3339("2025-12-19T14:30:00.123Z").unwrap();
        for stream in 0..world.streams().len() {
            let k = world.first_tick_after(stream, start);
            assert!(world.due(stream, k) > start);
            assert!(world.due(stream, k - 1) <= start, "{:?}", world.streams()[stream]);
        }
    }
}
