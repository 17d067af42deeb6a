//! The grammar of invariants: sums of products of numbers, fields and parentheses, around one relation.

use super::{Expression, ExpressionError, Number, Operator, Relation};

/// Operators in one invariant, and depth of its parentheses: far beyond use, far below the stack's end.
const MOST_OPERATORS: usize = 256;
const MOST_DEPTH: usize = 64;

pub(super) struct Name<'t> {
    pub text: &'t str,
    pub at: usize,
}

/// Recursive descent; `Expression::Field` holds positions in `names` until `resolve`.
pub(super) struct Parser<'t> {
    text: &'t str,
    at: usize,
    operators: usize,
    pub names: Vec<Name<'t>>,
}

impl<'t> Parser<'t> {
    pub fn new(text: &'t str) -> Parser<'t> {
        Parser { text, at: 0, operators: 0, names: Vec::new() }
    }

    pub fn sum(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        let mut left = self.product(depth)?;
        while let Some(operator) = self.operator(&[('+', Operator::Add), ('-', Operator::Subtract)])? {
            left = Expression::Binary(operator, Box::new(left), Box::new(self.product(depth)?));
        }
        Ok(left)
    }

    fn product(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        let mut left = self.factor(depth)?;
        while let Some(operator) = self.operator(&[('*', Operator::Multiply), ('/', Operator::Divide)])? {
            left = Expression::Binary(operator, Box::new(left), Box::new(self.factor(depth)?));
        }
        Ok(left)
    }

    fn factor(&mut self, depth: usize) -> Result<Expression, ExpressionError> {
        if depth > MOST_DEPTH {
            return Err(self.error("nests too deeply; simplify it".into()));
        }
        match self.peek() {
            Some('-') => {
                self.at += 1;
                Ok(Expression::Negate(Box::new(self.factor(depth + 1)?)))
            }
            Some('(') => {
                self.at += 1;
                let inner = self.sum(depth + 1)?;
                match self.peek() {
                    Some(')') => self.at += 1,
                    _ => return Err(self.error("a `)` is lacking here".into())),
                }
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => Ok(self.word()),
            Some('`') => self.quoted(),
            Some(c) => Err(self.error(format!("a field, a number or `(` must stand here, not `{c}`"))),
            None => Err(self.error("it ends where a field, a number or `(` must stand".into())),
        }
    }

    fn number(&mut self) -> Result<Expression, ExpressionError> {
        let rest = &self.text[self.at..];
        let mut end = 0;
        for (i, c) in rest.char_indices() {
            let exponent_sign = matches!(c, '+' | '-') && rest[..i].ends_with(['e', 'E']);
            if !(c.is_ascii_digit() || c == '.' || c == 'e' || c == 'E' || exponent_sign) {
                break;
            }
            end = i + 1;
        }
        let Some(number) = Number::parse(&rest[..end]) else {
            return Err(self.error(format!("`{}` is no number", &rest[..end])));
        };
        self.at += end;
        Ok(Expression::Number(number))
    }

    fn word(&mut self) -> Expression {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let at = self.at;
        self.at += end;
        self.name(&rest[..end], at)
    }

    /// A name with other characters stands between backquotes.
    fn quoted(&mut self) -> Result<Expression, ExpressionError> {
        let rest = &self.text[self.at + 1..];
        let Some(end) = rest.find('`') else {
            return Err(self.error("a closing backquote is lacking".into()));
        };
        let at = self.at;
        self.at += end + 2;
        Ok(self.name(&rest[..end], at))
    }

    fn name(&mut self, text: &'t str, at: usize) -> Expression {
        self.names.push(Name { text, at });
        Expression::Field(self.names.len() - 1)
    }

    fn operator(&mut self, known: &[(char, Operator)]) -> Result<Option<Operator>, ExpressionError> {
        let next = self.peek();
        let Some((_, operator)) = known.iter().find(|(sign, _)| Some(*sign) == next) else { return Ok(None) };
        self.operators += 1;
        if self.operators > MOST_OPERATORS {
            return Err(self.error(format!("has more than {MOST_OPERATORS} operators")));
        }
        self.at += 1;
        Ok(Some(*operator))
    }

    pub fn relation(&mut self) -> Result<Relation, ExpressionError> {
        self.peek();
        let rest = &self.text[self.at..];
        let known = [
            ("==", Relation::Equal),
            ("<=", Relation::LessOrEqual),
            (">=", Relation::GreaterOrEqual),
            ("<", Relation::Less),
            (">", Relation::Greater),
        ];
        match known.into_iter().find(|(sign, _)| rest.starts_with(sign)) {
            Some((sign, relation)) => {
                self.at += sign.len();
                Ok(relation)
            }
            None if rest.starts_with('=') => Err(self.error("write `==` for equal".into())),
            None => Err(self.error("one of == <= < >= > must stand here".into())),
        }
    }

    pub fn end(&mut self) -> Result<(), ExpressionError> {
        match self.peek() {
            None => Ok(()),
            Some('=' | '<' | '>') => {
                Err(self.error("only one relation may stand in an invariant; write two".into()))
            }
            Some(c) => Err(self.error(format!("an operator or the end must stand here, not `{c}`"))),
        }
    }

    /// The next character that is no space; moves to it.
    fn peek(&mut self) -> Option<char> {
        let rest = &self.text[self.at..];
        let trimmed = rest.trim_start();
        self.at += rest.len() - trimmed.len();
        trimmed.chars().next()
    }

    fn error(&self, message: String) -> ExpressionError {
        ExpressionError { at: self.at, message }
    }
}
