//! The reference world on a port: REST, `/ws`, `/healthz` and `/metrics`, at any speed, with faults
//! injected live. Owns sockets and the clock that drives the world; what is shown, and what goes
//! wrong, is decided in `reference`. Beside it, pages about a running run (`page`).

mod clock;
mod http;
mod listen;
mod metrics;
pub mod page;
mod socket;

pub use listen::{Server, ServerOptions};
