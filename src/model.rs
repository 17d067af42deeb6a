//! The nouns every room shares. This module names nothing else in the crate.

pub mod drill;
pub mod finding;
pub mod json;
pub mod observation;
pub mod outcome;
pub mod series;
pub mod text;
pub mod time;
pub mod tree;
pub mod value;

pub use finding::{Class, Finding, Severity};
pub use observation::{ClosedBy, EndReason, Event, LogState, Observation, Payload, Start};
pub use outcome::{CheckResult, FeatureOutcome, Outcome, Phase, Verdict};
pub use time::{Span, Timestamp};
