//! Statistics: slopes, histograms, bounds, tests. Pure functions of numbers; sources in the docstrings.

pub mod bound;
pub mod histogram;
pub mod normal;
pub mod rank;
pub mod slope;
pub mod trend;

pub use bound::{anytime_clean_trials, anytime_upper, clean_trials, clopper_pearson_upper};
pub use histogram::Histogram;
pub use rank::{mann_whitney, median};
pub use slope::{Segment, Slope};
pub use trend::{mann_kendall_rise, theil_sen};
