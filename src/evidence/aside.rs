//! Runs of one feature that were set aside, because what they watched was repaired since: they stay where
//! they are and are told, but count no more. Must not open a file nor read a clock.

use serde::{Deserialize, Serialize};

/// History: 1, the first.
pub const VERSION: u32 = 1;

/// That the runs of a feature which were stored before this count no more: a file of its own, in the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAside {
    pub set_aside: u32,
    pub feature: String,
    /// RFC 3339, UTC.
    pub at: String,
    pub by: String,
    pub reason: String,
}

/// The same as it is told and signed: with the runs that it took away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Aside {
    pub at: String,
    pub by: String,
    pub reason: String,
    /// Of their reports, in the order they were stored.
    pub report_sha256: Vec<String>,
}

impl SetAside {
    pub fn of(&self, report_sha256: Vec<String>) -> Aside {
        Aside { at: self.at.clone(), by: self.by.clone(), reason: self.reason.clone(), report_sha256 }
    }
}

impl Aside {
    /// `2 earlier runs of positions set aside on 2025-12-19T14:30:00Z by ann: fixed in build 7`
    pub fn words(&self, feature: &str) -> String {
        let runs = self.report_sha256.len();
        let plural = if runs == 1 { "" } else { "s" };
        let Aside { at, by, reason, .. } = self;
        format!("{runs} earlier run{plural} of {feature} set aside on {at} by {by}: {reason}")
    }

    /// One line of what a signature's digest is made from.
    pub fn line(&self) -> String {
        format!("set aside {} {:?} {:?} {}", self.at, self.by, self.reason, self.report_sha256.join(","))
    }
}
