//! Findings: one deviation each, with its evidence (SPEC §6).

use super::time::Timestamp;
use std::fmt;
use std::sync::Arc;

macro_rules! classes {
    ($($variant:ident $text:literal $severity:ident),+ $(,)?) => {
        /// The class of a finding, in the order of SPEC §6.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Class { $($variant),+ }
        impl Class {
            pub const ALL: &'static [Class] = &[$(Class::$variant),+];
            /// The name used in files.
            pub fn name(self) -> &'static str {
                match self { $(Class::$variant => $text),+ }
            }
            /// The severity it has unless circumstances lower or a contract raises it.
            pub fn severity(self) -> Severity {
                match self { $(Class::$variant => Severity::$severity),+ }
            }
            pub fn parse(text: &str) -> Option<Class> {
                match text { $($text => Some(Class::$variant),)+ _ => None }
            }
        }
    };
}

classes! {
    ValueMismatch "value_mismatch" Fail,
    TornRead "torn_read" Fail,
    MissingRow "missing_row" Fail,
    ExtraRow "extra_row" Fail,
    MissingField "missing_field" Fail,
    NullField "null_field" Fail,
    WrongType "wrong_type" Fail,
    BadValue "bad_value" Fail,
    Malformed "malformed" Fail,
    MissingOnWs "missing_on_ws" Fail,
    Gap "gap" Fail,
    OutOfOrder "out_of_order" Fail,
    Frozen "frozen" Fail,
    Invariant "invariant" Fail,
    IntervalDrift "interval_drift" Fail,
    Jitter "jitter" Fail,
    ConnectionDrop "connection_drop" Fail,
    ConnectFailed "connect_failed" Fail,
    Stalled "stalled" Fail,
    RestStillPolled "rest_still_polled" Fail,
    ResourceIncrease "resource_increase" Fail,
    LogError "log_error" Fail,
    Revision "revision" Warn,
    Duplicate "duplicate" Warn,
    Late "late" Warn,
    UnknownType "unknown_type" Warn,
    RestError "rest_error" Warn,
    UnknownStream "unknown_stream" Warn,
    CalendarMismatch "calendar_mismatch" Warn,
    TypeDiffers "type_differs" Info,
    UnexpectedField "unexpected_field" Info,
    RestStale "rest_stale" Info,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Info,
    Warn,
    Fail,
}

impl Severity {
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warn => "warn",
            Severity::Fail => "fail",
        }
    }
}

/// One deviation with its evidence. Empty strings stand for "does not apply".
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    pub class: Class,
    pub severity: Severity,
    /// `None` for connection and frame findings, which count against every feature.
    pub feature: Option<Arc<str>>,
    /// The phase whose check it can fail, e.g. `before-enabling`; empty when it fails none.
    pub phase: &'static str,
    /// `country=USA,symbol=SPY` in the contract's key order.
    pub stream: Arc<str>,
    pub row: String,
    pub field: String,
    pub event_time: Option<Timestamp>,
    pub at: Timestamp,
    /// The value on each side, as received.
    pub rest: String,
    pub ws: String,
    /// The difference where it is a number or a time.
    pub delta: String,
    pub during_drop: bool,
    pub waived: bool,
    pub detail: String,
    /// Both raw records, kept for the worst findings only (for the diff); empty otherwise.
    pub rest_record: String,
    pub ws_record: String,
}
