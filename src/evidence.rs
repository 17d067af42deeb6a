//! Evidence: what several runs concluded, counted once. Reads no file and knows no clock.

pub mod aside;
pub mod beside;
pub mod chain;
pub mod merge;
pub mod sign;

pub use merge::{NotOneEvidence, merge};
