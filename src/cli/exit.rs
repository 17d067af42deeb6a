//! Owns the exit codes: the one place where an outcome or an error becomes a number (SPEC §7).
//! Must not decide a verdict.

use crate::contract::ContractError;
use crate::model::Verdict;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// PASS, or a command that has no verdict did its work.
    Pass = 0,
    Fail = 1,
    /// Wrong use, or a wrong contract.
    WrongUse = 2,
    Inconclusive = 3,
    /// The tool could not do its work: an unreadable capture, a full disk.
    Unable = 4,
}

impl Exit {
    pub fn of(verdict: Verdict) -> Exit {
        match verdict {
            Verdict::Pass => Exit::Pass,
            Verdict::Fail => Exit::Fail,
            Verdict::Inconclusive => Exit::Inconclusive,
        }
    }

    /// Wrong use where anything in the chain says so, else the tool could not do its work.
    pub fn of_error(error: &anyhow::Error) -> Exit {
        let wrong = error.chain().any(|cause| cause.is::<WrongUse>() || cause.is::<ContractError>());
        // What is given as context can be asked for only from the whole.
        if wrong || error.is::<WrongUse>() { Exit::WrongUse } else { Exit::Unable }
    }

    pub fn code(self) -> std::process::ExitCode {
        std::process::ExitCode::from(self as u8)
    }
}

/// A file that is no contract at all has an error in each line.
const MOST_SHOWN: usize = 20;

/// Something that the user has to type or write otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// A wrong contract as one error: each place with its line, a caret and the cure.
pub fn wrong_contract(errors: &[ContractError]) -> anyhow::Error {
    let mut shown: Vec<_> = errors.iter().take(MOST_SHOWN).map(ContractError::render).collect();
    if errors.len() > MOST_SHOWN {
        shown.push(format!("… and {} more", errors.len() - MOST_SHOWN));
    }
    anyhow::Error::new(WrongUse(shown.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn verdicts_and_errors_have_their_numbers() {
        assert_eq!(Exit::of(Verdict::Pass) as u8, 0);
        assert_eq!(Exit::of(Verdict::Fail) as u8, 1);
        assert_eq!(Exit::of(Verdict::Inconclusive) as u8, 3);
        let wrong = Err::<(), _>(WrongUse("x".into())).context("could not replay").unwrap_err();
        assert_eq!(Exit::of_error(&wrong), Exit::WrongUse);
        let as_context = anyhow::anyhow!("x").context(WrongUse("y".into()));
        assert_eq!(Exit::of_error(&as_context), Exit::WrongUse);
        assert_eq!(Exit::of_error(&anyhow::anyhow!("disk full")), Exit::Unable);
    }

    #[test]
    fn all_errors_of_a_contract_are_shown() {
        let error = |line| ContractError {
            file: "c.toml".into(),
            line,
            column: 1,
            message: "unknown key `pol`; did you mean `poll`?".into(),
            excerpt: "pol = \"1s\"".into(),
            length: 3,
        };
        let both = wrong_contract(&[error(3), error(9)]);
        assert_eq!(Exit::of_error(&both), Exit::WrongUse);
        let text = both.to_string();
        assert!(text.contains("c.toml:3:1") && text.contains("c.toml:9:1"), "{text}");
        assert_eq!(text.matches("did you mean `poll`?").count(), 2, "{text}");
    }
}
