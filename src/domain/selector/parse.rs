//! Text to tree, by recursive descent with bounds on length and depth. Never panics, and always says
//! where the mistake is.

use regex::RegexBuilder;

use super::cursor::Cursor;
use super::expr::{Dialect, Field, Flag, Node, Pattern, Term};
use super::figure::{Comparison, Figure, Relation};
use super::text::Needle;
use super::{FilterError, MAX_FILTER_BYTES};
use crate::domain::vm::PowerState;

/// How deep `!` and parentheses may be nested.
const MAX_DEPTH: usize = 32;

/// Bytes a compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// How deep a regular expression may be nested.
const MAX_REGEX_DEPTH: u32 = 32;

type Parsed<T> = Result<T, FilterError>;

fn fail<T>(at: usize, message: impl Into<String>) -> Parsed<T> {
    Err(FilterError {
        at,
        message: message.into(),
    })
}

/// Reads a whole filter; `None` when it is empty.
pub(super) fn parse(text: &str, of: Dialect) -> Parsed<Option<Node>> {
    if text.len() > MAX_FILTER_BYTES {
        return fail(0, format!("a filter has at most {MAX_FILTER_BYTES} bytes"));
    }
    let mut cursor = Cursor::new(text);
    let root = list(&mut cursor, of, 0)?;
    match cursor.peek() {
        Some(_) => fail(cursor.at(), "this `)` closes nothing"),
        None => Ok(root),
    }
}

/// Reads terms up to the end or a `)`.
fn list(cursor: &mut Cursor<'_>, of: Dialect, depth: usize) -> Parsed<Option<Node>> {
    let mut nodes = Vec::new();
    loop {
        cursor.skip_blanks();
        match cursor.peek() {
            None | Some(')') => break,
            Some(_) => nodes.push(alternatives(cursor, of, depth)?),
        }
    }
    Ok(joined(nodes, Node::All))
}

fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Option<Node> {
    match nodes.len() {
        0 | 1 => nodes.pop(),
        _ => Some(join(nodes)),
    }
}

fn alternatives(cursor: &mut Cursor<'_>, of: Dialect, depth: usize) -> Parsed<Node> {
    let mut nodes = vec![negation(cursor, of, depth)?];
    loop {
        let mut ahead = *cursor;
        ahead.skip_blanks();
        if !ahead.eat("|") {
            break;
        }
        ahead.skip_blanks();
        *cursor = ahead;
        nodes.push(negation(cursor, of, depth)?);
    }
    let at = cursor.at();
    joined(nodes, Node::Any).map_or_else(|| fail(at, "a term is missing here"), Ok)
}

fn negation(cursor: &mut Cursor<'_>, of: Dialect, depth: usize) -> Parsed<Node> {
    let at = cursor.at();
    if depth > MAX_DEPTH {
        return fail(at, format!("nested more than {MAX_DEPTH} deep"));
    }
    if cursor.eat("!") {
        return Ok(Node::Not(Box::new(negation(cursor, of, depth + 1)?)));
    }
    if cursor.eat("(") {
        let inner = list(cursor, of, depth + 1)?;
        if !cursor.eat(")") {
            return fail(at, "this `(` is not closed");
        }
        return inner.map_or_else(|| fail(at, "nothing stands between these parentheses"), Ok);
    }
    term(cursor, of)
}

fn term(cursor: &mut Cursor<'_>, of: Dialect) -> Parsed<Node> {
    let at = cursor.at();
    match cursor.peek() {
        None => fail(at, "a word is missing here"),
        Some(c) if c.is_whitespace() => fail(at, "a word is missing here"),
        Some('|') => fail(at, "a word is missing before `|`"),
        Some(')') => fail(at, "a word is missing before `)`"),
        Some('"' | '\'') => Ok(Node::Term(Term::Word(Needle::literal(&quoted(cursor)?)))),
        Some('~') => {
            cursor.next();
            let word = value(cursor)?;
            Ok(Node::Term(Term::Fuzzy(word)))
        }
        Some('/') => regex(cursor).map(|pattern| Node::Term(Term::Regex(pattern))),
        Some(_) => keyed(cursor, of),
    }
}

/// Reads `field:value`, `figure>amount`, or a word.
fn keyed(cursor: &mut Cursor<'_>, of: Dialect) -> Parsed<Node> {
    let start = *cursor;
    let key = cursor.take_while(|c| c.is_ascii_alphabetic());
    if !key.is_empty() {
        if let Some(node) = field(cursor, of, (key, start.at()))? {
            return Ok(node);
        }
        if of == Dialect::Vms
            && let Some(node) = comparison(cursor, key, start.at())?
        {
            return Ok(node);
        }
    }
    *cursor = start;
    let word = cursor.take_while(is_word);
    let named = Flag::named(word).filter(|_| of == Dialect::Vms);
    let named = named.map(Term::Flag);
    Ok(Node::Term(
        named.unwrap_or_else(|| Term::Word(Needle::pattern(word))),
    ))
}

fn field(cursor: &mut Cursor<'_>, of: Dialect, (key, at): (&str, usize)) -> Parsed<Option<Node>> {
    let mut ahead = *cursor;
    let different = ahead.eat("!=");
    // `::` is part of an IPv6 address, not a field.
    let named = different
        || (ahead.eat(":") && ahead.peek() != Some(':'))
        || (ahead.at() == cursor.at() && ahead.eat("="));
    if !named {
        return Ok(None);
    }
    let Some(field) = Field::named(key, of) else {
        if of == Dialect::Vms && Figure::named(key).is_some() {
            return match cursor.peek() {
                Some(':') => fail(at, format!("`{key}` is compared: write {key}>… or {key}<…")),
                _ => Ok(None),
            };
        }
        return fail(at, unknown(key, of));
    };
    *cursor = ahead;
    let mut values = vec![field_value(cursor, field)?];
    while goes_on(cursor, of) {
        cursor.next();
        values.push(field_value(cursor, field)?);
    }
    let node = Node::Term(Term::Field(field, values));
    Ok(Some(if different {
        Node::Not(Box::new(node))
    } else {
        node
    }))
}

fn unknown(key: &str, of: Dialect) -> String {
    let fields = of.fields().iter().map(|(name, _)| *name);
    let figures = Figure::NAMES.into_iter().map(|(name, _)| name);
    let figures = figures.filter(|_| of == Dialect::Vms);
    let known: Vec<&str> = fields.chain(figures).collect();
    format!(
        "`{key}` is no field (there are {}); put the word in quotes to look for it",
        known.join(", ")
    )
}

fn field_value(cursor: &mut Cursor<'_>, field: Field) -> Parsed<Needle> {
    let at = cursor.at();
    let found = value(cursor)?;
    if field == Field::State && !PowerState::WORDS.iter().any(|word| found.is(word)) {
        return fail(
            at,
            format!("no such state (there are {})", PowerState::WORDS.join(", ")),
        );
    }
    Ok(found)
}

/// Returns true when a `|` here joins another value of the same field, as in `state:running|paused`:
/// no blank after it, and no term of its own.
fn goes_on(cursor: &Cursor<'_>, of: Dialect) -> bool {
    let mut ahead = *cursor;
    if !ahead.eat("|") {
        return false;
    }
    match ahead.peek() {
        None | Some('!' | '(' | ')' | '~' | '/' | '|') => return false,
        Some(c) if c.is_whitespace() => return false,
        Some(_) => {}
    }
    let key = ahead.take_while(|c| c.is_ascii_alphabetic());
    let operator = ahead.peek().is_some_and(|c| ":<>=!".contains(c));
    !(operator && (Field::named(key, of).is_some() || Figure::named(key).is_some()))
}

fn comparison(cursor: &mut Cursor<'_>, key: &str, at: usize) -> Parsed<Option<Node>> {
    let mut ahead = *cursor;
    let different = ahead.eat("!=");
    let relation = if different {
        Some(Relation::Equal)
    } else {
        Relation::signs().find_map(|(sign, relation)| ahead.eat(sign).then_some(relation))
    };
    let Some(relation) = relation else {
        return Ok(None);
    };
    let Some(figure) = Figure::named(key) else {
        return match Field::named(key, Dialect::Vms) {
            Some(_) => fail(at, format!("`{key}` is no figure: write {key}:…")),
            None => fail(at, unknown(key, Dialect::Vms)),
        };
    };
    *cursor = ahead;
    let amount_at = cursor.at();
    let typed = cursor.take_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '%');
    let compared = match Comparison::new(figure, relation, typed) {
        Ok(compared) if cursor.peek().is_none_or(|c| !is_word(c)) => compared,
        Ok(_) => return fail(cursor.at(), "this does not belong to the amount"),
        Err(message) => return fail(amount_at, message),
    };
    let node = Node::Term(Term::Figure(compared));
    Ok(Some(if different {
        Node::Not(Box::new(node))
    } else {
        node
    }))
}

/// Characters that stand in a word without quotes.
fn is_word(c: char) -> bool {
    !c.is_whitespace() && !"()|".contains(c)
}

fn value(cursor: &mut Cursor<'_>) -> Parsed<Needle> {
    if let Some('"' | '\'') = cursor.peek() {
        return quoted(cursor).map(|text| Needle::literal(&text));
    }
    let at = cursor.at();
    match cursor.take_while(is_word) {
        "" => fail(at, "a value is missing here"),
        word => Ok(Needle::pattern(word)),
    }
}

fn quoted(cursor: &mut Cursor<'_>) -> Parsed<String> {
    let at = cursor.at();
    let mark = cursor.next();
    let mut text = String::new();
    loop {
        match cursor.next() {
            None => return fail(at, "this quote is not closed"),
            c if c == mark => break,
            Some('\\') => text.extend(cursor.next()),
            Some(c) => text.push(c),
        }
    }
    if text.is_empty() {
        return fail(at, "nothing stands between these quotes");
    }
    Ok(text)
}

fn regex(cursor: &mut Cursor<'_>) -> Parsed<Pattern> {
    let at = cursor.at();
    cursor.next();
    let mut source = String::new();
    loop {
        match cursor.next() {
            None => return fail(at, "this regular expression is not closed with `/`"),
            Some('/') => break,
            Some('\\') => match cursor.next() {
                Some('/') => source.push('/'),
                Some(c) => source.extend(['\\', c]),
                None => return fail(at, "this regular expression is not closed with `/`"),
            },
            Some(c) => source.push(c),
        }
    }
    if source.is_empty() {
        return fail(at, "this regular expression is empty");
    }
    RegexBuilder::new(&source)
        .case_insensitive(true)
        .size_limit(MAX_REGEX_BYTES)
        .nest_limit(MAX_REGEX_DEPTH)
        .build()
        .map(Pattern)
        .or_else(|error| fail(at, explain(&error)))
}

/// The last line of the crate's message says what is wrong; the ones before draw a picture.
fn explain(error: &regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    let reason = reason.trim().trim_start_matches("error: ");
    format!("no regular expression: {reason}")
}
