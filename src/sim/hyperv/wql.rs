//! WQL, as far as hosts are asked in it: `SELECT list|* FROM class [WITHIN n] [WHERE ..]`, with
//! comparisons, `LIKE`, `IS NULL`, `ISA`, `AND`, `OR`, `NOT` (Microsoft: WQL, SQL for WMI). Parses and
//! decides; knows neither classes nor rows.

use super::cell::Cell;

/// The text is no query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) struct Malformed;

/// A query.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) struct Query {
    /// Names of columns; empty means every one.
    pub(in crate::sim) columns: Vec<String>,
    pub(in crate::sim) class: String,
    /// Seconds between two looks of an event query.
    pub(in crate::sim) within: Option<f64>,
    pub(in crate::sim) condition: Option<Condition>,
}

/// What rows must fulfil.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Compare(Operand, Comparison, Operand),
    IsNull(String),
    /// The object at the path is of this class.
    IsA(String, String),
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::sim) enum Operand {
    Property(String),
    Text(String),
    Number(i128),
    Truth(bool),
}

/// Where a condition finds values.
pub(in crate::sim) trait Row {
    /// Returns the property, `None` when the class has none of that name.
    fn property(&self, path: &str) -> Option<Cell>;

    /// Whether the object at a path is of a class or derives from it.
    fn is_a(&self, path: &str, class: &str) -> bool;
}

impl Query {
    /// Reads a query.
    pub(in crate::sim) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parser = Parser::new(text)?;
        parser.keyword("SELECT")?;
        let columns = parser.columns()?;
        parser.keyword("FROM")?;
        let class = parser.word()?;
        let within = if parser.takes("WITHIN") {
            Some(parser.word()?.parse::<f64>().map_err(|_bad| Malformed)?)
        } else {
            None
        };
        let condition = if parser.takes("WHERE") {
            Some(parser.any()?)
        } else {
            None
        };
        parser.end()?;
        Ok(Self {
            columns,
            class,
            within,
            condition,
        })
    }
}

impl Condition {
    /// Reads what stands after `WHERE`.
    pub(in crate::sim) fn parse(text: &str) -> Result<Self, Malformed> {
        let mut parser = Parser::new(text)?;
        let condition = parser.any()?;
        parser.end()?;
        Ok(condition)
    }

    /// Names every property it needs.
    pub(in crate::sim) fn properties(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                parts.iter().flat_map(Self::properties).collect()
            }
            Self::Not(inner) => inner.properties(),
            Self::Compare(left, _, right) => [left, right]
                .into_iter()
                .filter_map(|side| match side {
                    Operand::Property(path) => Some(path.as_str()),
                    _ => None,
                })
                .collect(),
            Self::IsNull(path) | Self::IsA(path, _) => vec![path],
        }
    }

    /// Decides on a row. A comparison that its types forbid is an error, as in WMI.
    pub(in crate::sim) fn holds(&self, row: &dyn Row) -> Result<bool, Malformed> {
        Ok(match self {
            Self::All(parts) => {
                for part in parts {
                    if !part.holds(row)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(parts) => {
                for part in parts {
                    if part.holds(row)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(inner) => !inner.holds(row)?,
            Self::IsNull(path) => matches!(row.property(path).ok_or(Malformed)?, Cell::Null),
            Self::IsA(path, class) => row.is_a(path, class),
            Self::Compare(left, how, right) => {
                let left = value(left, row)?;
                let right = value(right, row)?;
                compare(&left, *how, &right)?
            }
        })
    }
}

fn value(operand: &Operand, row: &dyn Row) -> Result<Cell, Malformed> {
    Ok(match operand {
        Operand::Property(path) => row.property(path).ok_or(Malformed)?,
        Operand::Text(text) => Cell::text(text.clone()),
        Operand::Number(number) => Cell::I64(i64::try_from(*number).map_err(|_big| Malformed)?),
        Operand::Truth(truth) => Cell::Bool(*truth),
    })
}

fn compare(left: &Cell, how: Comparison, right: &Cell) -> Result<bool, Malformed> {
    use std::cmp::Ordering;
    if matches!(left, Cell::Null) || matches!(right, Cell::Null) {
        // A change from or to nothing is a change.
        return Ok(how == Comparison::NotEqual && left != right);
    }
    if matches!(left, Cell::List(_) | Cell::Thing(_)) {
        return Err(Malformed);
    }
    let number = |cell: &Cell| {
        cell.number()
            .or_else(|| cell.as_text().and_then(|text| text.trim().parse().ok()))
    };
    let order = match (left.as_text(), right.as_text()) {
        (Some(left), Some(right)) if how == Comparison::Like => {
            return Ok(like(
                &left.to_lowercase().chars().collect::<Vec<_>>(),
                &right.to_lowercase().chars().collect::<Vec<_>>(),
            ));
        }
        (Some(left), Some(right)) => left.to_lowercase().cmp(&right.to_lowercase()),
        _ if how == Comparison::Like => return Err(Malformed),
        _ => number(left)
            .ok_or(Malformed)?
            .cmp(&number(right).ok_or(Malformed)?),
    };
    Ok(match how {
        Comparison::Equal => order == Ordering::Equal,
        Comparison::NotEqual => order != Ordering::Equal,
        Comparison::Less => order == Ordering::Less,
        Comparison::LessOrEqual => order != Ordering::Greater,
        Comparison::Greater => order == Ordering::Greater,
        Comparison::GreaterOrEqual => order != Ordering::Less,
        Comparison::Like => false,
    })
}

/// Matches `%`, `_` and `[set]`.
fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('%', rest)) => {
            (0..=text.len()).any(|skipped| text.get(skipped..).is_some_and(|tail| like(tail, rest)))
        }
        Some(('[', rest)) => {
            let Some(end) = rest.iter().position(|c| *c == ']') else {
                return false;
            };
            let (set, after) = rest.split_at(end);
            let (negated, set) = match set.split_first() {
                Some(('^' | '!', set)) => (true, set),
                _ => (false, set),
            };
            text.split_first().is_some_and(|(first, tail)| {
                in_set(*first, set) != negated && like(tail, after.get(1..).unwrap_or_default())
            })
        }
        Some((one, rest)) => text
            .split_first()
            .is_some_and(|(first, tail)| (*one == '_' || one == first) && like(tail, rest)),
    }
}

fn in_set(c: char, set: &[char]) -> bool {
    set.contains(&c)
        || set
            .windows(3)
            .any(|w| matches!(w, [low, '-' | '=', high] if (*low..=*high).contains(&c)))
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Malformed> {
        Ok(Self {
            tokens: tokens(text)?.into_iter().peekable(),
        })
    }

    fn takes(&mut self, keyword: &str) -> bool {
        self.tokens
            .next_if(|t| matches!(t, Token::Word(word) if word.eq_ignore_ascii_case(keyword)))
            .is_some()
    }

    fn keyword(&mut self, keyword: &str) -> Result<(), Malformed> {
        self.takes(keyword).then_some(()).ok_or(Malformed)
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.tokens
            .next_if(|t| matches!(t, Token::Sign(s) if *s == sign))
            .is_some()
    }

    fn word(&mut self) -> Result<String, Malformed> {
        match self.tokens.next() {
            Some(Token::Word(word)) => Ok(word),
            _ => Err(Malformed),
        }
    }

    fn end(&mut self) -> Result<(), Malformed> {
        self.tokens.next().is_none().then_some(()).ok_or(Malformed)
    }

    fn columns(&mut self) -> Result<Vec<String>, Malformed> {
        if self.sign("*") {
            return Ok(Vec::new());
        }
        let mut columns = vec![self.word()?];
        while self.sign(",") {
            columns.push(self.word()?);
        }
        Ok(columns)
    }

    fn any(&mut self) -> Result<Condition, Malformed> {
        let mut parts = vec![self.all()?];
        while self.takes("OR") {
            parts.push(self.all()?);
        }
        Ok(one_or(parts, Condition::Any))
    }

    fn all(&mut self) -> Result<Condition, Malformed> {
        let mut parts = vec![self.one()?];
        while self.takes("AND") {
            parts.push(self.one()?);
        }
        Ok(one_or(parts, Condition::All))
    }

    fn one(&mut self) -> Result<Condition, Malformed> {
        if self.takes("NOT") {
            return Ok(Condition::Not(Box::new(self.one()?)));
        }
        if self.sign("(") {
            let inner = self.any()?;
            return self.sign(")").then_some(inner).ok_or(Malformed);
        }
        let left = self.operand()?;
        if self.takes("IS") {
            let Operand::Property(path) = left else {
                return Err(Malformed);
            };
            let negated = self.takes("NOT");
            self.keyword("NULL")?;
            let is = Condition::IsNull(path);
            return Ok(if negated {
                Condition::Not(Box::new(is))
            } else {
                is
            });
        }
        if self.takes("ISA") {
            let (Operand::Property(path), Some(Token::Text(class))) = (left, self.tokens.next())
            else {
                return Err(Malformed);
            };
            return Ok(Condition::IsA(path, class));
        }
        let how = if self.takes("LIKE") {
            Comparison::Like
        } else {
            match self.tokens.next() {
                Some(Token::Sign("=")) => Comparison::Equal,
                Some(Token::Sign("<>" | "!=")) => Comparison::NotEqual,
                Some(Token::Sign("<")) => Comparison::Less,
                Some(Token::Sign("<=")) => Comparison::LessOrEqual,
                Some(Token::Sign(">")) => Comparison::Greater,
                Some(Token::Sign(">=")) => Comparison::GreaterOrEqual,
                _ => return Err(Malformed),
            }
        };
        Ok(Condition::Compare(left, how, self.operand()?))
    }

    fn operand(&mut self) -> Result<Operand, Malformed> {
        Ok(match self.tokens.next().ok_or(Malformed)? {
            Token::Text(text) => Operand::Text(text),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Operand::Truth(true),
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => Operand::Truth(false),
            Token::Word(word) => match word.parse() {
                Ok(number) => Operand::Number(number),
                Err(_) if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') => {
                    return Err(Malformed);
                }
                Err(_) => Operand::Property(word),
            },
            Token::Sign(_) => return Err(Malformed),
        })
    }
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(only)) => only,
        (_, last) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Malformed> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if c.is_whitespace() => {}
            '\'' | '"' => {
                let mut literal = String::new();
                loop {
                    match chars.next().ok_or(Malformed)? {
                        '\\' => literal.push(chars.next().ok_or(Malformed)?),
                        end if end == c => break,
                        other => literal.push(other),
                    }
                }
                found.push(Token::Text(literal));
            }
            '*' => found.push(Token::Sign("*")),
            ',' => found.push(Token::Sign(",")),
            '(' => found.push(Token::Sign("(")),
            ')' => found.push(Token::Sign(")")),
            '=' => found.push(Token::Sign("=")),
            '!' if chars.next_if_eq(&'=').is_some() => found.push(Token::Sign("!=")),
            '<' if chars.next_if_eq(&'>').is_some() => found.push(Token::Sign("<>")),
            '<' if chars.next_if_eq(&'=').is_some() => found.push(Token::Sign("<=")),
            '<' => found.push(Token::Sign("<")),
            '>' if chars.next_if_eq(&'=').is_some() => found.push(Token::Sign(">=")),
            '>' => found.push(Token::Sign(">")),
            c if c.is_alphanumeric() || c == '_' || c == '-' => {
                let mut word = String::from(c);
                while let Some(next) =
                    chars.next_if(|c| c.is_alphanumeric() || matches!(c, '_' | '.'))
                {
                    word.push(next);
                }
                found.push(Token::Word(word));
            }
            _ => return Err(Malformed),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneRow;

    impl Row for OneRow {
        fn property(&self, path: &str) -> Option<Cell> {
            Some(match path {
                "Name" => Cell::text("A\\b'c%"),
                "State" => Cell::U16(3),
                "Load" => Cell::Null,
                "List" => Cell::numbers([2]),
                _ => return None,
            })
        }

        fn is_a(&self, path: &str, class: &str) -> bool {
            path == "TargetInstance" && class == "Msvm_ComputerSystem"
        }
    }

    fn holds(text: &str) -> Result<bool, Malformed> {
        Condition::parse(text)?.holds(&OneRow)
    }

    #[test]
    fn conditions_decide() {
        for (text, wanted) in [
            ("State = 3", true),
            ("State <> 3", false),
            ("State >= 3 AND State < 4", true),
            ("State = 2 OR (State = 3 AND NOT Name = 'x')", true),
            ("State = '3'", true),
            ("Name = 'a\\\\B\\'c%'", true),
            ("Name = \"a\\\\b'c%\"", true),
            ("Name LIKE 'a%'", true),
            ("Name LIKE '%[%]'", true),
            ("Name LIKE 'a_b'", false),
            ("Name LIKE '[x-z]%'", false),
            ("Load IS NULL", true),
            ("Load IS NOT NULL", false),
            ("Load = 0", false),
            ("Load <> 5", true),
            ("TargetInstance ISA 'Msvm_ComputerSystem'", true),
        ] {
            assert_eq!(holds(text), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "State",
            "State =",
            "State == 3",
            "Unknown = 1",
            "List = 2",
            "State = 'three'",
            "Name = 'open",
            "State = 3 extra",
            "(State = 3",
        ] {
            assert_eq!(holds(text), Err(Malformed), "{text}");
        }
        assert!(Query::parse("SELECT FROM x").is_err());
        assert!(Query::parse("DELETE FROM x").is_err());
    }

    #[test]
    fn queries_are_read() {
        let query = Query::parse(
            "select Name, EnabledState from Msvm_ComputerSystem where Name like '%-%'",
        )
        .unwrap();
        assert_eq!(query.columns, ["Name", "EnabledState"]);
        assert_eq!(query.class, "Msvm_ComputerSystem");
        let query = Query::parse(
            "SELECT * FROM __InstanceModificationEvent WITHIN 2 WHERE TargetInstance ISA 'Msvm_ComputerSystem' AND TargetInstance.EnabledState <> PreviousInstance.EnabledState",
        )
        .unwrap();
        assert_eq!(query.within, Some(2.0));
        assert_eq!(
            query.condition.unwrap().properties(),
            [
                "TargetInstance",
                "TargetInstance.EnabledState",
                "PreviousInstance.EnabledState"
            ]
        );
    }
}
