//! Character classes of the tokenizer (PowerShell: `CharTraits.cs`): the five single quotes, the four
//! double quotes and the dashes that mean the same as their ASCII ones.

/// Whether it opens and closes a literal string.
pub(in crate::sim) const fn is_single_quote(c: char) -> bool {
    matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}')
}

/// Whether it opens and closes an expandable string.
pub(in crate::sim) const fn is_double_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}')
}

/// Whether it is a dash.
pub(in crate::sim) const fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2013}' | '\u{2014}' | '\u{2015}')
}

/// Whether it separates words within a line.
pub(in crate::sim) fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{a0}')
        || (c.is_whitespace() && !is_newline(c))
}

/// Whether it ends a line.
pub(in crate::sim) const fn is_newline(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// Whether it ends a word of a command, wherever it stands.
pub(in crate::sim) fn ends_word(c: char) -> bool {
    is_blank(c) || is_newline(c) || matches!(c, '&' | '(' | ')' | ',' | ';' | '{' | '|' | '}')
}

/// Whether it may be in a variable's plain name.
pub(in crate::sim) fn is_variable(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '?'
}

/// Whether it may begin a member's or a function's plain name.
pub(in crate::sim) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}
