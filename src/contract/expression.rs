//! Declared sums: `pnl == (current_price - entry_price) * quantity`.
//!
//! Owns their grammar and their evaluation. Numbers are exact decimals; `/` is carried to 50 digits. A side
//! that lacks a value (or divides by zero) has no answer, which is neither true nor false.
//!
//! Evaluation is on the hot path (once per changed record or row), so numbers that fit are computed as scaled
//! 128-bit integers, without allocating; what overflows, divides or has a relative tolerance in doubt is
//! computed again with `BigDecimal`. Both ways give the same answer.

mod grammar;
mod number;

#[cfg(test)]
mod tests;

pub use crate::model::value::Number;

use super::{Field, FieldType, Tolerance, spelling};
use bigdecimal::{BigDecimal, Zero};
use grammar::{Name, Parser};
use number::{Fixed, Stop};

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
    /// The tolerances of the fields that stand alone on a side; the larger one is the slack.
    slack: Vec<Slack>,
    /// A quotient rarely fits a scaled integer, so there is no point in trying.
    divides: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Expression {
    Number(Number),
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

/// Digits that a quotient is carried to.
const QUOTIENT_DIGITS: u64 = 50;

#[derive(Debug, Clone, PartialEq)]
enum Slack {
    Absolute(Number),
    Relative { of: usize, fraction: BigDecimal },
}

/// What is wrong with an invariant, and where in its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// Bytes from the beginning of the text.
    pub at: usize,
    pub message: String,
}

/// Both sides of an invariant, for evidence.
#[derive(Debug, Clone, PartialEq)]
pub struct Sides {
    pub left: BigDecimal,
    pub right: BigDecimal,
}

impl Relation {
    pub fn text(self) -> &'static str {
        match self {
            Relation::Equal => "==",
            Relation::LessOrEqual => "<=",
            Relation::Less => "<",
            Relation::GreaterOrEqual => ">=",
            Relation::Greater => ">",
        }
    }

    /// Of `left - right`, what must be at most (strictly: below) the slack.
    fn excess<T>(self, difference: T, negate: impl Fn(T) -> T, abs: impl Fn(T) -> T) -> T {
        match self {
            Relation::Equal => abs(difference),
            Relation::LessOrEqual | Relation::Less => difference,
            Relation::GreaterOrEqual | Relation::Greater => negate(difference),
        }
    }

    fn is_strict(self) -> bool {
        matches!(self, Relation::Less | Relation::Greater)
    }
}

impl Invariant {
    /// Parses an invariant over a record's fields, or over those of its rows.
    pub fn parse(text: &str, record: &[Field], row: &[Field]) -> Result<Invariant, ExpressionError> {
        let mut parser = Parser::new(text);
        let left = parser.sum(0)?;
        let relation = parser.relation()?;
        let right = parser.sum(0)?;
        parser.end()?;
        let on_rows = scope_of(&parser.names, record, row)?;
        let fields = if on_rows { row } else { record };
        let mut invariant = Invariant {
            text: text.to_string(),
            left,
            relation,
            right,
            on_rows,
            slack: Vec::new(),
            divides: false,
        };
        resolve(&mut invariant.left, &parser.names, fields)?;
        resolve(&mut invariant.right, &parser.names, fields)?;
        invariant.divides = divides(&invariant.left) || divides(&invariant.right);
        let sides = [&invariant.left, &invariant.right];
        invariant.slack = sides.into_iter().filter_map(|side| slack_of(side, fields)).collect();
        Ok(invariant)
    }

    /// Whether it holds for these values (by index into the record's or the row's fields), within the
    /// tolerance of the field standing alone in it; `None` when a value is lacking.
    pub fn holds(&self, value: impl Fn(usize) -> Option<Number>) -> Option<bool> {
        match self.holds_fixed(&value) {
            Ok(answer) => Some(answer),
            Err(Stop::Lacking) => None,
            Err(Stop::Big) => self.holds_big(&value),
        }
    }

    /// Both sides' values, exact.
    pub fn sides(&self, value: impl Fn(usize) -> Option<Number>) -> Option<Sides> {
        Some(Sides { left: big(&self.left, &value)?, right: big(&self.right, &value)? })
    }

    /// The fields that it names.
    pub fn fields(&self) -> Vec<usize> {
        let mut found = Vec::new();
        collect(&self.left, &mut found);
        collect(&self.right, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }

    /// The fields that stand alone on a side, whose tolerance is the slack.
    pub fn lone_fields(&self) -> Vec<usize> {
        let sides = [&self.left, &self.right];
        sides
            .into_iter()
            .filter_map(|side| if let Expression::Field(of) = side { Some(*of) } else { None })
            .collect()
    }

    fn holds_fixed(&self, value: &impl Fn(usize) -> Option<Number>) -> Result<bool, Stop> {
        if self.divides {
            return Err(Stop::Big);
        }
        let difference = fixed(&self.left, value)?.minus(fixed(&self.right, value)?)?;
        let excess = self.relation.excess(difference, Fixed::negated, Fixed::abs).mantissa;
        if excess < 0 || (excess == 0 && !self.relation.is_strict()) {
            return Ok(true);
        }
        let scale = difference.scale;
        for slack in &self.slack {
            let Slack::Absolute(slack) = slack else { return Err(Stop::Big) };
            let slack = Fixed::of(slack)?;
            let common = scale.max(slack.scale);
            let (excess, slack) =
                (Fixed { mantissa: excess, scale }.rescaled(common)?, slack.rescaled(common)?);
            if excess < slack || (excess == slack && !self.relation.is_strict()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds_big(&self, value: &impl Fn(usize) -> Option<Number>) -> Option<bool> {
        let difference = big(&self.left, value)? - big(&self.right, value)?;
        let excess = self.relation.excess(difference, |d| -d, |d| d.abs());
        let mut slack = BigDecimal::zero();
        for lone in &self.slack {
            let bound = match lone {
                Slack::Absolute(bound) => bound.to_big(),
                Slack::Relative { of, fraction } => value(*of)?.to_big().abs() * fraction,
            };
            slack = slack.max(bound);
        }
        Some(excess < slack || (excess == slack && !self.relation.is_strict()))
    }
}

fn fixed(expression: &Expression, value: &impl Fn(usize) -> Option<Number>) -> Result<Fixed, Stop> {
    match expression {
        Expression::Number(number) => Fixed::of(number),
        Expression::Field(index) => Fixed::of(&value(*index).ok_or(Stop::Lacking)?),
        Expression::Negate(inner) => Ok(fixed(inner, value)?.negated()),
        Expression::Binary(operator, left, right) => {
            let (left, right) = (fixed(left, value)?, fixed(right, value)?);
            match operator {
                Operator::Add => left.minus(right.negated()),
                Operator::Subtract => left.minus(right),
                Operator::Multiply => left.times(right),
                Operator::Divide => Err(Stop::Big),
            }
        }
    }
}

fn big(expression: &Expression, value: &impl Fn(usize) -> Option<Number>) -> Option<BigDecimal> {
    Some(match expression {
        Expression::Number(number) => number.to_big(),
        Expression::Field(index) => value(*index)?.to_big(),
        Expression::Negate(inner) => -big(inner, value)?,
        Expression::Binary(operator, left, right) => {
            let (left, right) = (big(left, value)?, big(right, value)?);
            match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide if right.is_zero() => return None,
                Operator::Divide => (left / right).with_prec(QUOTIENT_DIGITS),
            }
        }
    })
}

/// Whether the names are those of rows; mixing both kinds has no meaning.
fn scope_of(names: &[Name<'_>], record: &[Field], row: &[Field]) -> Result<bool, ExpressionError> {
    let has = |fields: &[Field], name: &Name<'_>| fields.iter().any(|field| field.name == name.text);
    if names.is_empty() {
        return Err(ExpressionError {
            at: 0,
            message: "names no field; compare fields, as in \"low <= high\"".into(),
        });
    }
    if let Some(unknown) = names.iter().find(|name| !has(record, name) && !has(row, name)) {
        let known = record.iter().chain(row).map(|field| field.name.as_str());
        let cure = spelling::cure(unknown.text, known);
        return Err(ExpressionError {
            at: unknown.at,
            message: format!("unknown field `{}`; {cure}", unknown.text),
        });
    }
    let (in_record, in_rows) =
        (names.iter().all(|name| has(record, name)), names.iter().all(|name| has(row, name)));
    match (in_record, in_rows) {
        (true, false) => Ok(false),
        (false, true) => Ok(true),
        (true, true) => Err(ExpressionError {
            at: names[0].at,
            message: "record and rows both have these fields, so it is not clear whose are meant; rename one"
                .into(),
        }),
        (false, false) => {
            let stranger = names.iter().find(|name| !has(row, name)).unwrap_or(&names[0]);
            let message = format!(
                "mixes `{}` of the record with fields of its rows; state it over one of them",
                stranger.text
            );
            Err(ExpressionError { at: stranger.at, message })
        }
    }
}

/// Turns positions in the list of names into indexes of fields.
fn resolve(expression: &mut Expression, names: &[Name<'_>], fields: &[Field]) -> Result<(), ExpressionError> {
    match expression {
        Expression::Number(_) => Ok(()),
        Expression::Negate(inner) => resolve(inner, names, fields),
        Expression::Binary(_, left, right) => {
            resolve(left, names, fields)?;
            resolve(right, names, fields)
        }
        Expression::Field(index) => {
            let name = &names[*index];
            *index = fields.iter().position(|field| field.name == name.text).unwrap_or_default();
            let kind = fields[*index].kind;
            if matches!(kind, FieldType::Integer | FieldType::Decimal | FieldType::Countdown) {
                return Ok(());
            }
            let message = format!("`{}` is no number but a {}", name.text, kind.name());
            Err(ExpressionError { at: name.at, message })
        }
    }
}

fn divides(expression: &Expression) -> bool {
    match expression {
        Expression::Number(_) | Expression::Field(_) => false,
        Expression::Negate(inner) => divides(inner),
        Expression::Binary(Operator::Divide, ..) => true,
        Expression::Binary(_, left, right) => divides(left) || divides(right),
    }
}

fn collect(expression: &Expression, found: &mut Vec<usize>) {
    match expression {
        Expression::Number(_) => {}
        Expression::Field(index) => found.push(*index),
        Expression::Negate(inner) => collect(inner, found),
        Expression::Binary(_, left, right) => {
            collect(left, found);
            collect(right, found);
        }
    }
}

fn slack_of(side: &Expression, fields: &[Field]) -> Option<Slack> {
    let Expression::Field(of) = side else { return None };
    match &fields[*of].tolerance {
        Tolerance::Exact => None,
        Tolerance::Absolute(bound) => Some(Slack::Absolute(Number::from(bound))),
        Tolerance::Relative(fraction) => Some(Slack::Relative { of: *of, fraction: fraction.clone() }),
        // A countdown counts seconds.
        Tolerance::Time(span) => Some(Slack::Absolute(Number::from(&BigDecimal::new(span.0.into(), 9)))),
    }
}
