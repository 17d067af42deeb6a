//! Declared sums: `pnl == (current_price - entry_price) * quantity`.
//!
//! Numbers are exact decimals; `/` is carried to 50 digits. A side that lacks a value has no answer.

use bigdecimal::BigDecimal;

/// A comparison of two expressions over the fields of a record or of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct Invariant {
    /// As written in the contract.
    pub text: String,
    pub left: Expression,
    pub relation: Relation,
    pub right: Expression,
    /// Whether its fields are those of the rows rather than of the record.
    pub on_rows: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Number(BigDecimal),
    /// Index into the record's (or the row's) fields.
    Field(usize),
    Negate(Box<Expression>),
    Binary(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    Equal,
    LessOrEqual,
    Less,
    GreaterOrEqual,
    Greater,
}
