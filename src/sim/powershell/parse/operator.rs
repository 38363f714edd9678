//! Operators: their words and how tightly they bind.

use super::cursor::{Parsed, Parser};
use crate::sim::powershell::ast::{Binary, Comparison, Expression, ExpressionKind, Unary};
use crate::sim::powershell::chars::is_dash;

/// How tightly the loosest operators bind.
pub(super) const LOWEST: u8 = 1;

/// Returns the operator of a word behind a dash that stands before its operand.
pub(super) fn unary_word(word: &str) -> Option<Unary> {
    match word {
        "not" => Some(Unary::Not),
        "bnot" => Some(Unary::BitNot),
        "join" => Some(Unary::Join),
        "split" | "isplit" | "csplit" => Some(Unary::Split),
        _ => None,
    }
}

fn comparison(word: &str) -> Option<Comparison> {
    Some(match word {
        "eq" => Comparison::Equal,
        "ne" => Comparison::NotEqual,
        "lt" => Comparison::Less,
        "le" => Comparison::LessOrEqual,
        "gt" => Comparison::Greater,
        "ge" => Comparison::GreaterOrEqual,
        "like" => Comparison::Like,
        "notlike" => Comparison::NotLike,
        "match" => Comparison::Match,
        "notmatch" => Comparison::NotMatch,
        "contains" => Comparison::Contains,
        "notcontains" => Comparison::NotContains,
        "in" => Comparison::In,
        "notin" => Comparison::NotIn,
        "replace" => Comparison::Replace,
        "split" => Comparison::Split,
        _ => return None,
    })
}

fn binary_word(word: &str) -> Option<Binary> {
    Some(match word {
        "and" => Binary::And,
        "or" => Binary::Or,
        "xor" => Binary::Xor,
        "band" => Binary::BitAnd,
        "bor" => Binary::BitOr,
        "bxor" => Binary::BitXor,
        "shl" => Binary::ShiftLeft,
        "shr" => Binary::ShiftRight,
        "f" => Binary::Format,
        "is" => Binary::Is,
        "isnot" => Binary::IsNot,
        "as" => Binary::As,
        "join" => Binary::Join,
        _ => {
            if let Some(plain) = comparison(word) {
                return Some(Binary::Compare(plain, false));
            }
            let mut rest = word.chars();
            let case_matters = match rest.next() {
                Some('c') => true,
                Some('i') => false,
                _ => return None,
            };
            Binary::Compare(comparison(rest.as_str())?, case_matters)
        }
    })
}

/// How tightly it binds (`about_Operator_Precedence`).
const fn binding(operator: Binary) -> u8 {
    match operator {
        Binary::And | Binary::Or | Binary::Xor => 1,
        Binary::BitAnd
        | Binary::BitOr
        | Binary::BitXor
        | Binary::ShiftLeft
        | Binary::ShiftRight => 2,
        Binary::Compare(..) | Binary::Is | Binary::IsNot | Binary::As | Binary::Join => 3,
        Binary::Add | Binary::Subtract => 4,
        Binary::Multiply | Binary::Divide | Binary::Remainder => 5,
        Binary::Format => 6,
        Binary::Range => 7,
    }
}

impl Parser {
    /// Parses operands with operators that bind at least so tightly.
    pub(super) fn binary(&mut self, least: u8) -> Parsed<Expression> {
        let mut left = self.list()?;
        loop {
            let before = self.place;
            self.skip_blanks()?;
            let Some((operator, length)) = self.operator_here() else {
                self.place = before;
                return Ok(left);
            };
            let binding = binding(operator);
            if binding < least {
                self.place = before;
                return Ok(left);
            }
            self.place += length;
            self.skip_lines()?;
            if self.peek().is_none() {
                let message = "You must provide a value expression following the operator.";
                return Err(self.unfinished(self.place, message, "ExpectedValueExpression"));
            }
            let right = self.binary(binding + 1)?;
            left = Expression {
                at: left.at.to(right.at),
                kind: ExpressionKind::Binary(operator, Box::new((left, right))),
            };
        }
    }

    fn operator_here(&self) -> Option<(Binary, usize)> {
        let c = self.peek()?;
        let next = self.peek_at(1);
        if is_dash(c) {
            let word = self.dashed_word();
            if let Some(operator) = binary_word(&word) {
                return Some((operator, 1 + word.len()));
            }
            let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic());
            return (!is_word && next != Some('=')).then_some((Binary::Subtract, 1));
        }
        let operator = match (c, next) {
            (_, Some('=')) | ('*', Some('>')) => return None,
            ('.', Some('.')) => return Some((Binary::Range, 2)),
            ('+', _) => Binary::Add,
            ('*', _) => Binary::Multiply,
            ('/', _) => Binary::Divide,
            ('%', _) => Binary::Remainder,
            _ => return None,
        };
        Some((operator, 1))
    }
}
