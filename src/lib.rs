//! `cutover` proves, with evidence, that a WebSocket stream can replace a polled REST endpoint.
//!
//! The engine is a fold: observations in, one outcome out. The laws it rests on:
//!
//! 1. The engine owns no clock, opens nothing, spawns nothing and cannot fail; its time is the `at`
//!    of the last observation.
//! 2. Record first, judge second: one sequencer stamps, appends to the capture, then judges.
//! 3. Everything the engine can react to is an observation.
//! 4. Record what came in, not what was concluded.
//! 5. Same bytes from same observations: ordered output, exact numbers, no environment in a report.
//! 6. The contract travels in the capture's first line; credentials never do.
//! 7. Absence is an answer: a check that saw nothing is never PASS.
//! 8. Parse, don't validate: a `Contract` exists only if it is right.
//!
//! The rooms, in reading order; imports point upwards only.

pub mod model;

pub mod calendar;
pub mod capture;
pub mod contract;
pub mod stats;

pub mod infer;

pub mod engine;

pub mod checks;

pub mod doctor;

pub mod evidence;
pub mod report;

pub mod reference;

pub mod drill;

pub mod env_file;

pub mod playback;

#[cfg(feature = "io")]
pub mod source;

#[cfg(feature = "io")]
pub mod server;

#[cfg(feature = "io")]
pub mod cli;
