//! The product as its users run it: the binary, over real sockets on port 0, against the reference
//! server and against servers that misbehave. No test sleeps to be right: each waits for a line, a
//! file or an exit, with a limit that only a broken build meets.

#![cfg(feature = "io")]
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read and write files, and wait"
)]

#[path = "../common/mod.rs"]
mod common;

mod backend;
mod bad_feeds;
mod demos;
mod drills;
mod interrupted;
mod metrics;
mod output;
mod recorded;
mod recordings;
mod round_trip;
mod servers;
mod support;
mod until_proven;
