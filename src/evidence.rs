//! Evidence: what several runs concluded, counted once. Reads no file and knows no clock.

pub mod merge;

pub use merge::{NotOneEvidence, merge};
