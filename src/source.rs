//! The living feeds, put in line: what is seen is stamped, recorded, then judged (laws 2 and 3).
//!
//! Owns sockets, the run's clock, and files of captures. One sequencer is the only door through
//! which an observation reaches the capture and the judge; each source has a file of its own and
//! reaches the sequencer over one bounded queue. Must not: conclude anything from what came in.

mod access_log;
pub mod ahead;
mod backend;
mod body;
pub mod clock;
pub mod file;
mod har;
mod import;
mod log;
mod metrics;
mod process;
mod proxy;
mod queue;
mod redact;
mod rest;
mod secret;
pub mod sequencer;
mod sniff;
mod steps;
mod tap;
mod tls;
mod websocket;

pub use access_log::{AccessLogError, import_access_log};
pub use backend::{BackendError, BackendTargets};
pub use clock::Clock;
pub use file::{CaptureSink, create_capture, open_capture};
pub use har::{HarError, import_har};
pub use import::Imported;
pub use log::LogTarget;
pub use metrics::MetricsTarget;
pub use process::{ProcessTarget, Which};
pub use proxy::{ProxyError, ProxySettings};
pub use rest::LoginError;
pub use secret::{is_public_header, shown_url, without_credentials};
pub use sequencer::{Feeds, Judge, RunEnd, RunError, RunSettings, run};
pub use steps::{ReadSteps, each_line, read_steps};
pub use tap::TapTarget;
