//! What counts as found, class by class: how one entry of a ledger meets its findings, within which time,
//! and what else may be told of the same cause. Knows no findings; a table of SPEC §5 and §6.

use crate::contract::{Align, Cadence, Contract, Feature};
use crate::model::{Class, Span};

/// How many findings one entry stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Each entry is told once.
    Once,
    /// It lasts, and each poll that shows it may tell it anew; alike findings no further apart than an
    /// episode's gap are one episode ("the report groups lines into episodes", §6).
    Episode,
    /// One line stands for many: `missed=N` of a `gap`, `N times` of a remark ("one line per stream and
    /// field, with a count", §6).
    Counted,
    /// Told once a stream when the run is over, from all of it (§5.6).
    WholeRun,
    /// Cannot be told of this feature, by the rule of its class.
    OutOfReach,
}

/// What a poll must have shown for a finding to be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Nothing,
    /// The version that was struck, while it stood: "a WebSocket version that no poll shows is no finding" (§5.2).
    Version,
    /// Itself: an answer said it.
    Itself,
}

/// The rule of one class in one feature.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    pub shape: Shape,
    /// Where one of both has no event time: a finding's `at` lies no earlier than this before the entry's,
    pub before: Span,
    /// and no later than this after it. Also how long after it other evidence may come.
    pub after: Span,
    /// Evidence of this class must have begun so long after the start of the run; nothing is missing, and
    /// nothing compared, before the feeds were heard for a while (§5.1, §5.3).
    pub head: Span,
    /// What begins so shortly before the end of the run need not be told (§5.1).
    pub tail: Span,
    pub shown: Shown,
    /// It is the connection's own, or REST's: told whatever becomes of the connection.
    pub of_link: bool,
    /// Other evidence of the same cause (§5.5).
    pub brings: &'static [Class],
}

/// The times of a feature that the rules are made of; of a finding without a feature, the longest of all.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    pub align: Align,
    pub cadence: Cadence,
    pub interval: Span,
    pub poll: Span,
    pub settle: Span,
    pub timeout: Span,
    pub tolerance: Span,
}

/// Half-open silence is told once the keepalive has given up, and tried its own limit.
const SILENCE: Span = Span::from_secs(120);
/// As the engine groups findings into episodes: no further apart than a minute, or two intervals.
const EPISODE_GAP: Span = Span::from_secs(60);

impl Pace {
    pub fn of(contract: &Contract, feature: &Feature) -> Pace {
        Pace {
            align: feature.align,
            cadence: feature.cadence,
            interval: feature.interval,
            poll: feature.rest.poll,
            settle: contract.settle,
            timeout: contract.rest.timeout,
            tolerance: feature.time_tolerance,
        }
    }

    /// Of a cause that strikes all features alike.
    pub fn slowest(contract: &Contract) -> Pace {
        let longest = |of: fn(&Feature) -> Span| contract.features.iter().map(of).max().unwrap_or(Span::ZERO);
        Pace {
            align: Align::Arrival,
            cadence: Cadence::Periodic,
            interval: longest(|f| f.interval),
            poll: longest(|f| f.rest.poll),
            settle: contract.settle,
            timeout: contract.rest.timeout,
            tolerance: longest(|f| f.time_tolerance),
        }
    }

    /// A tick is late by no more than this (§5.6).
    fn slack(&self) -> Span {
        self.interval.half().max(self.settle)
    }

    /// Until REST has shown what happened, and the settle after that is over (§5.2, §5.4).
    pub fn shown(&self) -> Span {
        self.interval + self.poll + self.settle * 2
    }

    pub fn episode_gap(&self) -> Span {
        EPISODE_GAP.max(self.interval * 2)
    }
}

impl Rule {
    pub fn of(class: Class, pace: &Pace) -> Rule {
        use Class::*;
        let Pace { align, interval, poll, settle, timeout, .. } = *pace;
        let listened = interval * 2 + settle;
        let arrival = align == Align::Arrival;
        // Told as the message comes.
        let message = Rule {
            shape: Shape::Once,
            before: pace.tolerance,
            after: pace.slack(),
            head: Span::ZERO,
            tail: pace.slack(),
            shown: Shown::Nothing,
            of_link: false,
            brings: &[],
        };
        // Told when REST has shown it.
        // What forms a bar is seen from its begin on; the message that closes it is due at its end.
        let before = if align == Align::Bucket { interval + settle } else { settle };
        let pair = Rule {
            before,
            after: pace.shown(),
            head: listened,
            tail: pace.shown(),
            shown: Shown::Version,
            ..message
        };
        // Told by polls that go on to show it: "the last 1–2 messages" are candidates, each for 2P + settle.
        let episode = Rule {
            shape: Shape::Episode,
            after: listened + pace.shown(),
            tail: listened + pace.shown(),
            ..pair
        };
        // A message less is a gap, and a version that REST shows and the stream does not; where there are
        // no event times, REST has moved on while the last messages stand: a value that differs, or fields that
        // each equal another of them (§5.3).
        let lost: &[Class] =
            if arrival { &[Gap, MissingOnWs, ValueMismatch, TornRead] } else { &[Gap, MissingOnWs] };
        // While the connection is down or dumb all messages are lost, and attempts to reconnect may fail. What is
        // said of a version once more after that is the first that is heard of it.
        let down = &[MissingOnWs, Gap, ValueMismatch, TornRead, Late, ConnectFailed, ConnectionDrop, Stalled];
        match class {
            // §5.2, §5.4: one version, one comparison. §5.3: while it stands, each poll.
            // What is not compared before the end is still no right sum.
            ValueMismatch if !arrival => Rule { brings: &[Invariant], ..pair },
            MissingRow | ExtraRow | Invariant | Revision if !arrival => pair,
            // Where one field equals one message and the others another, it is torn.
            ValueMismatch | MissingRow | ExtraRow | Invariant | Revision => {
                Rule { brings: &[TornRead], ..episode }
            }
            // "each field equals some candidate and no candidate all": one poll, told of the poll itself.
            TornRead => Rule { shown: Shown::Itself, brings: &[ValueMismatch], ..pair },
            // A message that cannot be read is lost beside: "`gap`, `missing_on_ws` and `malformed` may
            // stand together". So is one whose key or event time cannot be read.
            MissingField | NullField | WrongType | BadValue | Malformed => Rule { brings: lost, ..message },
            UnknownType | Duplicate => message,
            // Only `time` has an order, and only what carries an event time can be late (§6).
            OutOfOrder if align == Align::Time => message,
            // What comes after its settle is missing as well: "the finding stands" (§5.2, §5.4).
            // Many of them are no steady pace either.
            Late if !arrival => Rule {
                brings: &[Gap, MissingOnWs, Jitter],
                before: pair.before,
                after: pair.after,
                ..message
            },
            OutOfOrder | Late => Rule { shape: Shape::OutOfReach, ..message },
            // Told by the tick that comes after, or by the deadline for it; one line counts them all.
            Gap if pace.cadence == Cadence::OnChange => Rule { shape: Shape::OutOfReach, ..pair },
            Gap => Rule { shape: Shape::Counted, brings: lost, ..pair },
            MissingOnWs if arrival => Rule { brings: lost, ..episode },
            MissingOnWs => Rule { brings: lost, ..pair },
            // "≥ 3 messages over ≥ 2P repeat one version while REST showed ≥ 2 newer", told once; what they
            // should have said is missing, or differs.
            Frozen => {
                let proven = interval * 4 + poll + settle * 2;
                Rule {
                    shape: Shape::Episode,
                    after: proven,
                    tail: proven,
                    shown: Shown::Nothing,
                    brings: lost,
                    ..pair
                }
            }
            // A bar that closes late by its event time is so; where versions sway so far, steps count as two.
            IntervalDrift | Jitter => Rule {
                shape: Shape::WholeRun,
                head: Span::ZERO,
                shown: Shown::Nothing,
                brings: &[IntervalDrift, Jitter, Late, Gap],
                ..pair
            },
            ConnectionDrop | ConnectFailed => Rule {
                after: settle * 2,
                tail: settle,
                before: settle,
                of_link: true,
                brings: down,
                ..message
            },
            Stalled => {
                Rule { after: SILENCE, tail: SILENCE, before: settle, of_link: true, brings: down, ..message }
            }
            RestError => Rule { before: settle, after: timeout, tail: timeout, of_link: true, ..message },
            RestStale if align == Align::Time => Rule { shape: Shape::Counted, shown: Shown::Itself, ..pair },
            // A poll that shows an older one can be told where versions are ordered (§5.2).
            RestStale => Rule { shape: Shape::OutOfReach, ..pair },
            UnknownStream | TypeDiffers | UnexpectedField => {
                let shown = if class == TypeDiffers { Shown::Version } else { Shown::Nothing };
                Rule { shape: Shape::Counted, before: pace.shown(), shown, ..pair }
            }
            // One line an episode.
            CalendarMismatch => Rule { shape: Shape::Episode, ..episode },
            RestStillPolled | ResourceIncrease | LogError => message,
        }
    }
}
