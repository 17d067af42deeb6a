//! Statistics: slopes, histograms, bounds. Pure functions of numbers; sources in the docstrings.

pub mod bound;
pub mod histogram;
pub mod slope;

pub use bound::{clean_trials, clopper_pearson_upper};
pub use histogram::Histogram;
pub use slope::{Segment, Slope};
