//! A small, honest POSIX shell grammar: words with quotes, assignments, `;`, `&&`, `||` and the
//! redirections people put on questions. What it does not know it refuses by name. Pure.

use super::stdio::Target;

/// When a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Always,
    AfterSuccess,
    AfterFailure,
}

/// One command of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Simple {
    pub(super) when: When,
    pub(super) assignments: Vec<(String, String)>,
    pub(super) words: Vec<String>,
    pub(super) out_to: Target,
    pub(super) err_to: Target,
}

/// Why a line does not parse, as the shell says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Syntax(pub(super) String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// A word, and whether it began with a quote: such a word is never an assignment.
    Word(String, bool),
    Then(When),
    /// Where a stream goes: the stream's number and its target.
    Redirect(u8, Target),
    InputFromNowhere,
}

/// Parses a command line; `variable` answers `$NAME`.
pub(super) fn parse(line: &str, variable: &dyn Fn(&str) -> String) -> Result<Vec<Simple>, Syntax> {
    let mut lexer = Lexer {
        rest: line.chars().collect::<Vec<_>>().into_iter().peekable(),
        variable,
    };
    let mut commands = Vec::new();
    let mut current = Simple::new(When::Always);
    while let Some(token) = lexer.next()? {
        match token {
            Token::Then(when) => {
                let done = std::mem::replace(&mut current, Simple::new(when));
                if !done.is_empty() {
                    commands.push(done);
                } else if when != When::Always {
                    return Err(unexpected(if when == When::AfterSuccess {
                        "&&"
                    } else {
                        "||"
                    }));
                } else {
                    current.when = done.when;
                }
            }
            Token::Word(word, quoted) => current.take_word(word, quoted),
            Token::Redirect(2, target) => {
                current.err_to = if target == Target::Out {
                    current.out_to
                } else {
                    target
                };
            }
            Token::Redirect(_, target) => current.out_to = target,
            Token::InputFromNowhere => {}
        }
    }
    if !current.is_empty() {
        commands.push(current);
    }
    Ok(commands)
}

impl Simple {
    const fn new(when: When) -> Self {
        Self {
            when,
            assignments: Vec::new(),
            words: Vec::new(),
            out_to: Target::Out,
            err_to: Target::Err,
        }
    }

    fn is_empty(&self) -> bool {
        self.words.is_empty() && self.assignments.is_empty()
    }

    fn take_word(&mut self, word: String, quoted: bool) {
        if self.words.is_empty()
            && !quoted
            && let Some((name, value)) = assignment(&word)
        {
            self.assignments.push((name.to_owned(), value.to_owned()));
            return;
        }
        self.words.push(word);
    }
}

/// Splits `NAME=value`.
pub(super) fn assignment(word: &str) -> Option<(&str, &str)> {
    let (name, value) = word.split_once('=')?;
    let mut chars = name.chars();
    let first = chars.next()?;
    let sound = (first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    sound.then_some((name, value))
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::vec::IntoIter<char>>,
    variable: &'a dyn Fn(&str) -> String,
}

impl Lexer<'_> {
    fn next(&mut self) -> Result<Option<Token>, Syntax> {
        loop {
            let Some(c) = self.rest.next() else {
                return Ok(None);
            };
            match c {
                ' ' | '\t' => {}
                '#' => while self.rest.next_if(|c| *c != '\n').is_some() {},
                '\n' | ';' => return Ok(Some(Token::Then(When::Always))),
                '&' if self.rest.next_if_eq(&'&').is_some() => {
                    return Ok(Some(Token::Then(When::AfterSuccess)));
                }
                '|' if self.rest.next_if_eq(&'|').is_some() => {
                    return Ok(Some(Token::Then(When::AfterFailure)));
                }
                '&' | '|' | '(' | ')' => return Err(unsupported(&c.to_string())),
                '<' => return self.input_redirect().map(Some),
                '>' => return self.redirect(1).map(Some),
                '1' | '2' if self.rest.peek() == Some(&'>') => {
                    self.rest.next();
                    return self.redirect(if c == '2' { 2 } else { 1 }).map(Some);
                }
                _ => return self.word(c).map(Some),
            }
        }
    }

    fn input_redirect(&mut self) -> Result<Token, Syntax> {
        match self.file()?.as_str() {
            "/dev/null" => Ok(Token::InputFromNowhere),
            _ => Err(unsupported("<")),
        }
    }

    fn redirect(&mut self, stream: u8) -> Result<Token, Syntax> {
        if self.rest.next_if_eq(&'&').is_some() {
            return match self.rest.next() {
                Some('1') => Ok(Token::Redirect(stream, Target::Out)),
                Some('2') => Ok(Token::Redirect(stream, Target::Err)),
                _ => Err(unsupported(">&")),
            };
        }
        match self.file()?.as_str() {
            "/dev/null" => Ok(Token::Redirect(stream, Target::Nowhere)),
            _ => Err(unsupported(">")),
        }
    }

    fn file(&mut self) -> Result<String, Syntax> {
        while self.rest.next_if_eq(&' ').is_some() {}
        let first = self.rest.next().ok_or_else(|| unexpected("newline"))?;
        match self.word(first)? {
            Token::Word(word, _) => Ok(word),
            _ => Err(unexpected("newline")),
        }
    }

    fn word(&mut self, first: char) -> Result<Token, Syntax> {
        let mut word = String::new();
        let quoted = matches!(first, '\'' | '"' | '\\');
        let mut next = Some(first);
        while let Some(c) = next {
            match c {
                '\'' => self.single(&mut word)?,
                '"' => self.double(&mut word)?,
                '\\' => match self.rest.next() {
                    Some('\n') => {}
                    Some(escaped) => word.push(escaped),
                    None => word.push('\\'),
                },
                '$' => self.dollar(&mut word)?,
                '`' => return Err(unsupported("`")),
                _ => word.push(c),
            }
            next = self.rest.next_if(|c| !" \t\n;&|()<>".contains(*c));
        }
        Ok(Token::Word(word, quoted))
    }

    fn single(&mut self, word: &mut String) -> Result<(), Syntax> {
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(c) => word.push(c),
                None => return Err(unterminated()),
            }
        }
    }

    fn double(&mut self, word: &mut String) -> Result<(), Syntax> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.rest.next() {
                    Some('\n') => {}
                    Some(c @ ('"' | '\\' | '$' | '`')) => word.push(c),
                    Some(c) => word.extend(['\\', c]),
                    None => return Err(unterminated()),
                },
                Some('$') => self.dollar(word)?,
                Some('`') => return Err(unsupported("`")),
                Some(c) => word.push(c),
                None => return Err(unterminated()),
            }
        }
    }

    fn dollar(&mut self, word: &mut String) -> Result<(), Syntax> {
        match self.rest.peek() {
            Some('?') => {
                self.rest.next();
                word.push_str(&(self.variable)("?"));
            }
            Some('(') => return Err(unsupported("$(")),
            Some('{') => return Err(unsupported("${")),
            Some(c) if c.is_ascii_alphabetic() || *c == '_' => {
                let mut name = String::new();
                while let Some(c) = self
                    .rest
                    .next_if(|c| c.is_ascii_alphanumeric() || *c == '_')
                {
                    name.push(c);
                }
                word.push_str(&(self.variable)(&name));
            }
            _ => word.push('$'),
        }
        Ok(())
    }
}

fn unterminated() -> Syntax {
    Syntax("Syntax error: Unterminated quoted string".to_owned())
}

fn unexpected(what: &str) -> Syntax {
    Syntax(format!("Syntax error: \"{what}\" unexpected"))
}

fn unsupported(what: &str) -> Syntax {
    Syntax(format!("the simulated shell does not know `{what}`"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Vec<Vec<String>> {
        let variable = |name: &str| format!("<{name}>");
        parse(line, &variable)
            .unwrap()
            .into_iter()
            .map(|command| command.words)
            .collect()
    }

    #[test]
    fn words_and_quotes() {
        assert_eq!(
            words(r#"a 'b c' "d \"e\" \n" f\ g 'it'\''s' ''"#),
            [["a", "b c", r#"d "e" \n"#, "f g", "it's", ""]]
        );
        assert_eq!(
            words("echo $? \"$HOME\" '$HOME' $"),
            [["echo", "<?>", "<HOME>", "$HOME", "$"]]
        );
    }

    #[test]
    fn commands_and_redirections() {
        let commands = parse(
            "A=1 B='x y' c 2>/dev/null && d >&2 || e; f </dev/null",
            &|_| String::new(),
        )
        .unwrap();
        let shape: Vec<_> = commands
            .iter()
            .map(|c| (c.when, c.words.join(" "), c.out_to, c.err_to))
            .collect();
        assert_eq!(
            shape,
            [
                (When::Always, "c".to_owned(), Target::Out, Target::Nowhere),
                (When::AfterSuccess, "d".to_owned(), Target::Err, Target::Err),
                (When::AfterFailure, "e".to_owned(), Target::Out, Target::Err),
                (When::Always, "f".to_owned(), Target::Out, Target::Err),
            ]
        );
        assert_eq!(
            commands[0].assignments[1],
            ("B".to_owned(), "x y".to_owned())
        );
    }

    #[test]
    fn what_it_does_not_know_is_refused_by_name() {
        for (line, named) in [
            ("a | b", "`|`"),
            ("$(a)", "`$(`"),
            ("a > f", "`>`"),
            ("'a", "Unterminated"),
        ] {
            let Syntax(said) = parse(line, &|_| String::new()).unwrap_err();
            assert!(said.contains(named), "{line}: {said}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_fall_over(line in "\\PC*|[ '\"$;&|<>a\\\\\n]{0,30}") {
            drop(parse(&line, &|_| String::new()));
        }

        #[test]
        fn quoted_words_come_back(word in "[^\0]{1,20}") {
            let line = format!("x '{}'", word.replace('\'', "'\\''"));
            prop_assert_eq!(&words(&line)[0][1], &word);
        }
    }
}
