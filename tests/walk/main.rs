//! A feature's whole way, from shadow to deletion, on the command line: against simulated sessions, against
//! the reference server, and with a real browser.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests read files, and wait for programs"
)]

mod browser;
mod on_fail;
mod rollback;
mod shadow_to_deletion;
mod support;
