//! Reports: one file a format, each a function from one frozen `Outcome` to bytes.
//!
//! A format sees no path, no clock, no environment and no engine, so it can only show what was
//! concluded. What two formats share stands in a file of its own: how a cell is written for a
//! spreadsheet (`cell`), what may reach a terminal (`terminal`), which findings are shown first
//! (`worst`), how two records are laid side by side (`diff`), and what to do next (`advice`).

pub mod annotations;
pub mod contrast;
pub mod doctor;
pub mod drill;
pub mod explain;
pub mod findings;
pub mod html;
pub mod json;
pub mod junit;
pub mod plan;
pub mod prometheus;
pub mod signoff;
pub mod summary;
pub mod terminal;
pub mod text;

pub(crate) mod advice;
mod cell;
mod diff;
mod worst;

#[cfg(test)]
pub(crate) mod sample;

pub use findings::FindingsCsv;
pub use text::Layout;
