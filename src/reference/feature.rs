//! The four features of the built-in contract: their names, paths, intervals and the shapes of their
//! records. Constants only.

use crate::model::Span;

pub const MINUTE: Span = Span::from_secs(60);

/// What a member of a record is, which decides how it can be spoiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    Key,
    Time,
    Decimal,
    Integer,
    Text,
    Enum,
    Countdown,
}

/// A member of a record; `in_row` when it belongs to the rows of the record's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldShape {
    pub name: &'static str,
    pub kind: FieldKind,
    pub in_row: bool,
}

const fn shape(name: &'static str, kind: FieldKind) -> FieldShape {
    FieldShape { name, kind, in_row: false }
}

const fn row_shape(name: &'static str, kind: FieldKind) -> FieldShape {
    FieldShape { name, kind, in_row: true }
}

/// The four features of the built-in contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    AccountBalance,
    Positions,
    IntradayBar,
    MarketStatus,
}

impl Feature {
    pub const ALL: [Feature; 4] =
        [Feature::AccountBalance, Feature::Positions, Feature::IntradayBar, Feature::MarketStatus];

    /// Its name, which is also its WebSocket message type.
    pub fn name(self) -> &'static str {
        match self {
            Feature::AccountBalance => "account_balance",
            Feature::Positions => "positions",
            Feature::IntradayBar => "intraday_bar",
            Feature::MarketStatus => "market_status",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Feature::AccountBalance => "/api/balances",
            Feature::Positions => "/api/positions",
            Feature::IntradayBar => "/api/bars",
            Feature::MarketStatus => "/api/markets",
        }
    }

    pub fn from_path(path: &str) -> Option<Feature> {
        Feature::ALL.into_iter().find(|feature| feature.path() == path)
    }

    pub fn interval(self) -> Span {
        match self {
            Feature::IntradayBar => MINUTE,
            _ => Span::from_secs(10),
        }
    }

    pub fn fields(self) -> &'static [FieldShape] {
        use FieldKind::*;
        match self {
            Feature::AccountBalance => {
                const {
                    &[
                        shape("account_id", Key),
                        shape("account_number", Text),
                        shape("cash", Decimal),
                        shape("buying_power", Decimal),
                        shape("timestamp", Time),
                    ]
                }
            }
            Feature::Positions => {
                const {
                    &[
                        shape("account_id", Key),
                        shape("timestamp", Time),
                        row_shape("symbol", Key),
                        row_shape("quantity", Integer),
                        row_shape("entry_price", Decimal),
                        row_shape("current_price", Decimal),
                        row_shape("pnl", Decimal),
                    ]
                }
            }
            Feature::IntradayBar => {
                const {
                    &[
                        shape("country", Key),
                        shape("symbol", Key),
                        shape("timestamp_minute", Time),
                        shape("open", Decimal),
                        shape("high", Decimal),
                        shape("low", Decimal),
                        shape("close", Decimal),
                        shape("volume", Integer),
                    ]
                }
            }
            Feature::MarketStatus => {
                const {
                    &[
                        shape("market_id", Key),
                        shape("country", Text),
                        shape("status", Enum),
                        shape("seconds_to_next_event", Countdown),
                    ]
                }
            }
        }
    }

    pub fn field(self, name: &str) -> Option<FieldShape> {
        self.fields().iter().copied().find(|field| field.name == name)
    }
}
