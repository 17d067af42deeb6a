//! The built-in contract, as `cutover init` writes it.

/// SPEC §3's built-in contract with comments.
pub const BUILTIN: &str = include_str!("builtin.toml");
