//! Scripts, blocks and statements.

use std::sync::Arc;

use super::cursor::{Parsed, Parser, SyntaxError};
use crate::sim::powershell::ast::{
    Assign, Binary, Block, Expression, ExpressionKind, Matching, Pipeline, ScriptBlock, Span,
    Stage, Statement, StatementKind, Switch, Try,
};
use crate::sim::powershell::chars::{is_name_start, is_newline};

/// Parts of the language that exist and are not played here.
const ELSEWHERE: &[&str] = &[
    "class",
    "enum",
    "using",
    "trap",
    "data",
    "configuration",
    "workflow",
    "parallel",
    "sequence",
    "inlinescript",
    "dynamicparam",
];

/// An assignment's operator.
#[derive(Clone, Copy)]
enum Assignment {
    Plain,
    With(Binary),
}

impl Parser {
    /// Parses the whole text.
    pub(super) fn script(&mut self) -> Parsed<ScriptBlock> {
        let block = self.body()?;
        match self.peek() {
            None => Ok(block),
            Some(_) => Err(self.unexpected()),
        }
    }

    /// Parses what stands between braces, up to the closing one or the end of the text.
    pub(super) fn body(&mut self) -> Parsed<ScriptBlock> {
        let outer = std::mem::replace(&mut self.names_input, false);
        let start = self.place;
        self.skip_separators()?;
        let before = self.place;
        self.skip_attributes()?;
        let params = if self.word_here() == "param" {
            self.place += 5;
            self.skip_lines()?;
            self.parameters()?
        } else {
            self.place = before;
            Vec::new()
        };
        let (mut begin, mut process, mut end) = (Block::new(), None, Block::new());
        self.skip_separators()?;
        loop {
            let word = self.word_here();
            if !matches!(word.as_str(), "begin" | "process" | "end") || !self.opens_block(&word)? {
                break;
            }
            self.place += word.len();
            self.skip_lines()?;
            let block = self.block()?;
            match word.as_str() {
                "begin" => begin = block,
                "process" => process = Some(block),
                _ => end = block,
            }
            self.skip_separators()?;
        }
        end.extend(self.statements()?);
        let names_input = std::mem::replace(&mut self.names_input, outer);
        Ok(ScriptBlock {
            source: self.source.clone(),
            inner: self.span(start),
            params,
            begin,
            process,
            end,
            names_input,
        })
    }

    fn opens_block(&mut self, word: &str) -> Parsed<bool> {
        let before = self.place;
        self.place += word.len();
        self.skip_lines()?;
        let opens = self.peek() == Some('{');
        self.place = before;
        Ok(opens)
    }

    /// Parses statements up to a closing brace or parenthesis or the end of the text.
    pub(super) fn statements(&mut self) -> Parsed<Block> {
        let mut found = Vec::new();
        loop {
            self.skip_separators()?;
            if matches!(self.peek(), None | Some('}' | ')')) {
                return Ok(found);
            }
            found.push(self.statement()?);
        }
    }

    /// Parses `{ statements }`.
    pub(super) fn block(&mut self) -> Parsed<Block> {
        let start = self.place;
        if !self.take('{') {
            let message = "Missing statement block.";
            return Err(match self.peek() {
                None => self.unfinished(start, message, "MissingStatementBlock"),
                Some(_) => self.error_at(start, message, "MissingStatementBlock"),
            });
        }
        let found = self.grouped(Self::statements)?;
        self.close_brace(start)?;
        Ok(found)
    }

    pub(super) fn close_brace(&mut self, opened: usize) -> Parsed<()> {
        if self.take('}') {
            return Ok(());
        }
        let message = "Missing closing '}' in statement block or type definition.";
        Err(self.missing(opened, message, "MissingEndCurlyBrace"))
    }

    pub(super) fn close_paren(&mut self, opened: usize) -> Parsed<()> {
        if self.take(')') {
            return Ok(());
        }
        let message = "Missing closing ')' in expression.";
        Err(self.missing(opened, message, "MissingEndParenthesisInExpression"))
    }

    pub(super) fn missing(&self, opened: usize, message: &str, id: &'static str) -> SyntaxError {
        match self.peek() {
            None => self.unfinished(opened, message, id),
            Some(_) => self.error_at(self.place, message, id),
        }
    }

    /// Returns the word that begins here in lower case; empty if none does.
    pub(super) fn word_here(&self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek_at(word.len()) {
            if !(c.is_ascii_alphanumeric() || c == '_') {
                if c == '-' || c == '\\' || c == '.' && !word.is_empty() {
                    return String::new();
                }
                break;
            }
            word.push(c.to_ascii_lowercase());
        }
        word
    }

    /// Parses one statement.
    pub(super) fn statement(&mut self) -> Parsed<Statement> {
        self.deeper(Self::statement_here)
    }

    fn statement_here(&mut self) -> Parsed<Statement> {
        let start = self.place;
        let label = self.label()?;
        let word = self.word_here();
        let after = self.place + word.len();
        let kind = match word.as_str() {
            "foreach" | "for" | "while" | "do" => {
                self.place = after;
                self.looping(&word, label)?
            }
            "switch" => {
                self.place = after;
                self.switch(label)?
            }
            _ if label.is_some() => return Err(self.unexpected()),
            "if" => {
                self.place = after;
                self.condition()?
            }
            "try" => {
                self.place = after;
                self.trying()?
            }
            "function" | "filter" => {
                self.place = after;
                self.function(word == "filter")?
            }
            "break" | "continue" => {
                self.place = after;
                self.skip_blanks()?;
                let label: String = self.word_here();
                self.place += label.len();
                let label = (!label.is_empty()).then(|| Arc::from(label));
                self.end_of_statement()?;
                if word == "break" {
                    StatementKind::Break(label)
                } else {
                    StatementKind::Continue(label)
                }
            }
            "return" | "exit" | "throw" => {
                self.place = after;
                let value = self.optional_pipeline()?.map(Box::new);
                match word.as_str() {
                    "return" => StatementKind::Return(value),
                    "exit" => StatementKind::Exit(value),
                    _ => StatementKind::Throw(value),
                }
            }
            known if ELSEWHERE.contains(&known) => {
                let message = format!("The simulated PowerShell does not know '{known}'.");
                return Err(self.error_at(start, message, "NotSimulated"));
            }
            _ => {
                let statement = self.pipeline()?;
                self.end_of_statement()?;
                return Ok(statement);
            }
        };
        Ok(Statement {
            at: self.span(start),
            kind,
        })
    }

    fn label(&mut self) -> Parsed<Option<Arc<str>>> {
        if self.peek() != Some(':') || !self.peek_at(1).is_some_and(is_name_start) {
            return Ok(None);
        }
        self.place += 1;
        let word = self.word_here();
        self.place += word.len();
        self.skip_lines()?;
        Ok(Some(Arc::from(word)))
    }

    fn optional_pipeline(&mut self) -> Parsed<Option<Statement>> {
        self.skip_blanks()?;
        if self.at_end_of_statement() {
            return Ok(None);
        }
        let value = self.pipeline()?;
        self.end_of_statement()?;
        Ok(Some(value))
    }

    fn at_end_of_statement(&self) -> bool {
        self.peek()
            .is_none_or(|c| is_newline(c) || matches!(c, ';' | '}' | ')'))
    }

    fn end_of_statement(&mut self) -> Parsed<()> {
        self.skip_blanks()?;
        if self.at_end_of_statement() {
            Ok(())
        } else {
            Err(self.unexpected())
        }
    }

    /// Parses a pipeline or an assignment.
    pub(super) fn pipeline(&mut self) -> Parsed<Statement> {
        let start = self.place;
        let mut stages = Vec::new();
        if self.starts_expression() {
            let expression = self.expression()?;
            self.skip_blanks()?;
            if let Some(operator) = self.assignment() {
                return self.assign(start, expression, operator);
            }
            let redirections = self.redirections()?;
            stages.push(Stage::Expression(expression, redirections));
        } else {
            stages.push(Stage::Command(self.command()?));
        }
        loop {
            self.skip_blanks()?;
            if self.sees("||") || self.sees("&&") {
                let message = format!(
                    "The token '{}' is not a valid statement separator in this version.",
                    if self.sees("||") { "||" } else { "&&" }
                );
                return Err(self.error_at(self.place, message, "InvalidEndOfLine"));
            }
            if !self.take('|') {
                break;
            }
            self.skip_lines()?;
            if self.peek().is_none() {
                let message = "An empty pipe element is not allowed.";
                return Err(self.unfinished(self.place, message, "EmptyPipeElement"));
            }
            if self.starts_expression() && !matches!(self.peek(), Some('%' | '?')) {
                let message = "Expressions are only allowed as the first element of a pipeline.";
                return Err(self.error_at(self.place, message, "ExpressionsMustBeFirstInPipeline"));
            }
            stages.push(Stage::Command(self.command()?));
        }
        Ok(Statement {
            at: self.span(start),
            kind: StatementKind::Pipeline(Pipeline { stages }),
        })
    }

    /// Takes an assignment operator.
    fn assignment(&mut self) -> Option<Assignment> {
        let operator = match (self.peek()?, self.peek_at(1)) {
            ('=', _) => {
                self.place += 1;
                return Some(Assignment::Plain);
            }
            ('+', Some('=')) => Binary::Add,
            ('-', Some('=')) => Binary::Subtract,
            ('*', Some('=')) => Binary::Multiply,
            ('/', Some('=')) => Binary::Divide,
            ('%', Some('=')) => Binary::Remainder,
            _ => return None,
        };
        self.place += 2;
        Some(Assignment::With(operator))
    }

    fn assign(
        &mut self,
        start: usize,
        target: Expression,
        operator: Assignment,
    ) -> Parsed<Statement> {
        if !can_be_assigned(&target) {
            let message = "The assignment expression is not valid. The input to an assignment \
                           operator must be an object that is able to accept assignments, such as \
                           a variable or a property.";
            return Err(self.error_at(start, message, "InvalidLeftHandSide"));
        }
        self.skip_lines()?;
        if self.peek().is_none() || self.at_end_of_statement() {
            let message = "You must provide a value expression following the '=' operator.";
            return Err(self.missing(self.place, message, "ExpectedValueExpression"));
        }
        let value = self.statement()?;
        Ok(Statement {
            at: self.span(start),
            kind: StatementKind::Assign(Box::new(Assign {
                target,
                operator: match operator {
                    Assignment::Plain => None,
                    Assignment::With(operator) => Some(operator),
                },
                value,
            })),
        })
    }

    /// Parses `( pipeline )`.
    pub(super) fn parenthesised(&mut self) -> Parsed<Statement> {
        self.skip_lines()?;
        let start = self.place;
        if !self.take('(') {
            let message = "Missing opening '(' after keyword.";
            return Err(self.missing(start, message, "MissingOpenParenthesisAfterKeyword"));
        }
        let statement = self.grouped(|parser| {
            parser.skip_lines()?;
            parser.deeper(Self::pipeline)
        })?;
        self.skip_lines()?;
        self.close_paren(start)?;
        self.skip_lines()?;
        Ok(statement)
    }

    fn condition(&mut self) -> Parsed<StatementKind> {
        let condition = self.parenthesised()?;
        let mut arms = vec![(condition, self.block()?)];
        let mut otherwise = None;
        while let Some(word) = self.clause(&["elseif", "else"])? {
            if word == "else" {
                otherwise = Some(self.block()?);
                break;
            }
            let condition = self.parenthesised()?;
            arms.push((condition, self.block()?));
        }
        Ok(StatementKind::If { arms, otherwise })
    }

    /// Takes one of several words if it comes next, even on a later line.
    pub(super) fn clause(&mut self, words: &[&str]) -> Parsed<Option<String>> {
        let before = self.place;
        self.skip_lines()?;
        let word = self.word_here();
        if words.contains(&word.as_str()) {
            self.place += word.len();
            self.skip_lines()?;
            return Ok(Some(word));
        }
        self.place = before;
        Ok(None)
    }

    fn switch(&mut self, label: Option<Arc<str>>) -> Parsed<StatementKind> {
        let mut matching = Matching::Exact;
        let mut case_sensitive = false;
        self.skip_lines()?;
        while self.take('-') {
            let word = self.word_here();
            match word.as_str() {
                "wildcard" => matching = Matching::Wildcard,
                "regex" => matching = Matching::Regex,
                "exact" => matching = Matching::Exact,
                "casesensitive" => case_sensitive = true,
                _ => return Err(self.unexpected()),
            }
            self.place += word.len();
            self.skip_lines()?;
        }
        let subject = self.parenthesised()?;
        let opened = self.place;
        if !self.take('{') {
            return Err(self.unexpected());
        }
        let mut clauses = Vec::new();
        let mut default = None;
        loop {
            self.skip_separators()?;
            if matches!(self.peek(), None | Some('}')) {
                break;
            }
            if self.word_here() == "default" {
                self.place += "default".len();
                self.skip_lines()?;
                default = Some(self.block()?);
                continue;
            }
            let clause = self.grouped(Self::argument)?;
            self.skip_lines()?;
            clauses.push((clause, self.block()?));
        }
        self.close_brace(opened)?;
        Ok(StatementKind::Switch(Box::new(Switch {
            label,
            matching,
            case_sensitive,
            subject,
            clauses,
            default,
        })))
    }

    fn trying(&mut self) -> Parsed<StatementKind> {
        self.skip_lines()?;
        let start = self.place;
        let body = self.block()?;
        let mut catches = Vec::new();
        while self.clause(&["catch"])?.is_some() {
            let mut types = Vec::new();
            while self.peek() == Some('[') {
                types.push(self.type_literal()?);
                self.skip_lines()?;
                if self.take(',') {
                    self.skip_lines()?;
                }
            }
            catches.push((types, self.block()?));
        }
        let finally = match self.clause(&["finally"])? {
            Some(_) => Some(self.block()?),
            None => None,
        };
        if catches.is_empty() && finally.is_none() {
            let message = "The Try statement is missing its Catch or Finally block.";
            return Err(self.missing(start, message, "MissingCatchOrFinally"));
        }
        Ok(StatementKind::Try(Box::new(Try {
            body,
            catches,
            finally,
        })))
    }

    fn function(&mut self, filter: bool) -> Parsed<StatementKind> {
        self.skip_lines()?;
        let start = self.place;
        let name = self.plain_word();
        if name.is_empty() {
            let message = "Missing name after function keyword.";
            return Err(self.missing(start, message, "MissingNameAfterKeyword"));
        }
        self.skip_lines()?;
        let listed = if self.peek() == Some('(') {
            self.parameters()?
        } else {
            Vec::new()
        };
        self.skip_lines()?;
        let opened = self.place;
        if !self.take('{') {
            let message = "Missing function body in function declaration.";
            return Err(self.missing(opened, message, "MissingFunctionBody"));
        }
        let mut body = self.grouped(Self::body)?;
        self.close_brace(opened)?;
        if !listed.is_empty() {
            body.params = listed;
        }
        if filter && body.process.is_none() {
            body.process = Some(std::mem::take(&mut body.end));
        }
        Ok(StatementKind::Function {
            name: Arc::from(name),
            body: Arc::new(body),
        })
    }

    /// Reads a function's name: everything up to a blank, a brace or a parenthesis.
    fn plain_word(&mut self) -> String {
        let mut word = String::new();
        while let Some(c) = self.peek() {
            if c.is_whitespace() || "{}();,|&".contains(c) {
                break;
            }
            word.push(c);
            self.place += 1;
        }
        word
    }
}

fn can_be_assigned(target: &Expression) -> bool {
    match &target.kind {
        ExpressionKind::Variable(_) | ExpressionKind::Member { .. } | ExpressionKind::Index(_) => {
            true
        }
        ExpressionKind::Cast(_, inner) => can_be_assigned(inner),
        ExpressionKind::List(items) => items.iter().all(can_be_assigned),
        _ => false,
    }
}

impl Span {
    /// Returns the stretch from the beginning of one to the end of another.
    pub(super) const fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end,
        }
    }
}
