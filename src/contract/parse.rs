//! TOML in, `Contract` out, or an error that names file, line, column and the cure.

use super::Contract;

/// Looks up an environment variable; passed in because this room reads nothing by itself.
pub type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ContractError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
    /// The offending line of the file.
    pub excerpt: String,
}

/// Parses a contract. `connects`: whether unset variables in `[rest]` and `[ws]` are errors too.
pub fn parse(
    file: &str,
    text: &str,
    environment: Environment<'_>,
    connects: bool,
) -> Result<Contract, Vec<ContractError>> {
    let _ = (file, text, environment, connects);
    unimplemented!()
}
