//! Servers on a port: the reference world (`world`: REST, `/ws`, `/healthz` and `/metrics`, at any speed,
//! with faults injected live) and a recording (`recorded`). Owns sockets and the clocks that drive both;
//! what is shown, and what goes wrong, is decided in `reference` and `playback`. Beside them, pages about a
//! running run (`page`).

mod clock;
mod http;
mod hub;
mod listen;
mod metrics;
pub mod page;
mod recorded;
mod socket;
mod visitor;
mod world;

pub use recorded::{Ended, RecordedServer, RecordingOptions, Steps};
pub use world::{Server, ServerOptions};
