//! The reference world: a seeded market that both feeds show, the faults that spoil it, and the
//! network between it and us. Pure: virtual time in, texts and observations out.

pub mod body;
pub mod fault;
pub mod feature;
pub mod inject;
pub mod network;
pub mod origin;
pub mod random;
pub mod score;
pub mod simulate;
mod spoil;
pub mod tempo;
pub mod truth;
pub mod world;

pub use fault::{Fault, FaultError};
pub use feature::Feature;
pub use network::{Latency, Network};
pub use origin::{Answer, Departure, Lane, Origin, Sent};
pub use score::{ClassScore, Covered, Score, Sights, Told, score};
pub use simulate::{Poll, Simulation, SimulationOptions};
pub use truth::{LedgerError, TruthEntry, parse_ledger};
pub use world::{World, WorldOptions};
