//! The built-in contract, as `cutover init` writes it.

use super::parse::{Environment, parse, sha256};
use super::{Contract, ContractError};

/// SPEC §3's built-in contract with comments.
pub const BUILTIN: &str = include_str!("builtin.toml");

/// How messages and reports call it.
pub const NAME: &str = "built-in contract";

/// The SHA-256 by which reports name it.
pub fn builtin_sha256() -> String {
    sha256(BUILTIN)
}

/// The built-in contract, parsed. It names no variable, so it cannot fail; a test holds it to that.
pub fn builtin(environment: Environment<'_>) -> Result<Contract, Vec<ContractError>> {
    parse(NAME, BUILTIN, environment, true)
}
