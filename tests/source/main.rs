//! The sources over real sockets on port 0: what ends up in the capture for each thing a server
//! can do. No test sleeps to be right: each waits for an observation, with a generous limit.

#![allow(clippy::disallowed_methods, reason = "tests write the files they need")]

mod access;
mod backend;
mod rest;
mod runs;
mod support;
mod tap;
mod websocket;
