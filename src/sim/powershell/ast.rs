//! The syntax tree: what a script says, with places in its text. Built by `parse`, walked by
//! `interp`; nothing here evaluates.

use std::fmt;
use std::sync::Arc;

use super::value::Value;

/// A stretch of a script's text, in characters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::sim) struct Span {
    pub(in crate::sim) start: usize,
    pub(in crate::sim) end: usize,
}

/// The text of a script.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Source(pub(in crate::sim) Arc<[char]>);

impl Source {
    /// Returns a stretch of it.
    pub(in crate::sim) fn text(&self, span: Span) -> String {
        self.0
            .get(span.start..span.end.max(span.start).min(self.0.len()))
            .unwrap_or_default()
            .iter()
            .collect()
    }
}

/// A block of statements with its parameters, as a script, a function or `{ }` has it.
pub(in crate::sim) struct ScriptBlock {
    pub(in crate::sim) source: Source,
    /// The text between the braces.
    pub(in crate::sim) inner: Span,
    pub(in crate::sim) params: Vec<Parameter>,
    pub(in crate::sim) begin: Block,
    /// `None` where there is no `process` block.
    pub(in crate::sim) process: Option<Block>,
    pub(in crate::sim) end: Block,
    /// Whether it names `$input`, which decides whether standard input is read.
    pub(in crate::sim) names_input: bool,
}

impl ScriptBlock {
    /// Returns the text between the braces.
    pub(in crate::sim) fn text(&self) -> String {
        self.source.text(self.inner)
    }
}

impl fmt::Debug for ScriptBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.text())
    }
}

/// Statements.
pub(in crate::sim) type Block = Vec<Statement>;

/// A parameter of a script block.
#[derive(Debug)]
pub(in crate::sim) struct Parameter {
    pub(in crate::sim) name: Arc<str>,
    pub(in crate::sim) types: Vec<TypeLiteral>,
    pub(in crate::sim) default: Option<Expression>,
    pub(in crate::sim) mandatory: bool,
    pub(in crate::sim) from_pipeline: bool,
}

/// A type as written between brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct TypeLiteral(pub(in crate::sim) Arc<str>);

#[derive(Debug)]
pub(in crate::sim) struct Statement {
    pub(in crate::sim) at: Span,
    pub(in crate::sim) kind: StatementKind,
}

#[derive(Debug)]
pub(in crate::sim) enum StatementKind {
    Pipeline(Pipeline),
    Assign(Box<Assign>),
    If {
        arms: Vec<(Statement, Block)>,
        otherwise: Option<Block>,
    },
    Loop(Box<Loop>),
    Switch(Box<Switch>),
    Function {
        name: Arc<str>,
        body: Arc<ScriptBlock>,
    },
    Try(Box<Try>),
    Break(Option<Arc<str>>),
    Continue(Option<Arc<str>>),
    Return(Option<Box<Statement>>),
    Exit(Option<Box<Statement>>),
    Throw(Option<Box<Statement>>),
}

#[derive(Debug)]
pub(in crate::sim) struct Assign {
    pub(in crate::sim) target: Expression,
    /// The operator before `=`; `None` for a plain one.
    pub(in crate::sim) operator: Option<Binary>,
    pub(in crate::sim) value: Statement,
}

#[derive(Debug)]
pub(in crate::sim) struct Loop {
    pub(in crate::sim) label: Option<Arc<str>>,
    pub(in crate::sim) kind: LoopKind,
    pub(in crate::sim) body: Block,
}

#[derive(Debug)]
pub(in crate::sim) enum LoopKind {
    ForEach {
        variable: Variable,
        list: Statement,
    },
    For {
        first: Option<Statement>,
        condition: Option<Statement>,
        step: Option<Statement>,
    },
    While(Statement),
    DoWhile(Statement),
    DoUntil(Statement),
}

#[derive(Debug)]
pub(in crate::sim) struct Switch {
    pub(in crate::sim) label: Option<Arc<str>>,
    pub(in crate::sim) matching: Matching,
    pub(in crate::sim) case_sensitive: bool,
    pub(in crate::sim) subject: Statement,
    pub(in crate::sim) clauses: Vec<(Expression, Block)>,
    pub(in crate::sim) default: Option<Block>,
}

/// How clauses of a `switch` match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Matching {
    Exact,
    Wildcard,
    Regex,
}

#[derive(Debug)]
pub(in crate::sim) struct Try {
    pub(in crate::sim) body: Block,
    /// Types (none: all) and blocks.
    pub(in crate::sim) catches: Vec<(Vec<TypeLiteral>, Block)>,
    pub(in crate::sim) finally: Option<Block>,
}

#[derive(Debug)]
pub(in crate::sim) struct Pipeline {
    pub(in crate::sim) stages: Vec<Stage>,
}

#[derive(Debug)]
pub(in crate::sim) enum Stage {
    /// An expression, only as the first stage, and where its streams go.
    Expression(Expression, Vec<Redirection>),
    Command(Command),
}

#[derive(Debug)]
pub(in crate::sim) struct Command {
    pub(in crate::sim) at: Span,
    pub(in crate::sim) invocation: Invocation,
    pub(in crate::sim) name: Expression,
    pub(in crate::sim) elements: Vec<Element>,
    pub(in crate::sim) redirections: Vec<Redirection>,
}

/// What stands before a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Invocation {
    Plain,
    /// `&`: in a scope of its own.
    Call,
    /// `.`: in the scope there is.
    Dot,
}

#[derive(Debug)]
pub(in crate::sim) enum Element {
    Argument(Expression),
    /// `-Name`, or `-Name:value`.
    Parameter {
        name: Arc<str>,
        value: Option<Expression>,
    },
    Splat(Variable),
}

/// `n>target`: streams 1 to 6, 0 for `*`.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Redirection {
    pub(in crate::sim) stream: u8,
    pub(in crate::sim) to: RedirectTo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum RedirectTo {
    Nowhere,
    Output,
}

#[derive(Debug)]
pub(in crate::sim) struct Expression {
    pub(in crate::sim) at: Span,
    pub(in crate::sim) kind: ExpressionKind,
}

#[derive(Debug)]
pub(in crate::sim) enum ExpressionKind {
    Constant(Value),
    Expandable(Vec<Part>),
    Variable(Variable),
    List(Vec<Expression>),
    /// `$( )`
    Sub(Block),
    /// `@( )`
    ArrayOf(Block),
    /// `( )`
    Paren(Box<Statement>),
    Hash(Vec<(Expression, Statement)>),
    ScriptBlock(Arc<ScriptBlock>),
    Type(TypeLiteral),
    Cast(TypeLiteral, Box<Expression>),
    Unary(Unary, Box<Expression>),
    Binary(Binary, Box<(Expression, Expression)>),
    Step {
        /// 1 or -1.
        by: i32,
        prefix: bool,
        target: Box<Expression>,
    },
    Member {
        on: Box<Expression>,
        name: Box<Expression>,
        of_type: bool,
    },
    Method {
        on: Box<Expression>,
        name: Box<Expression>,
        arguments: Vec<Expression>,
        of_type: bool,
    },
    Index(Box<(Expression, Expression)>),
}

/// A piece of a double-quoted string.
#[derive(Debug)]
pub(in crate::sim) enum Part {
    Text(Arc<str>),
    Value(Expression),
}

/// A variable: `$name`, `$scope:name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sim) struct Variable {
    /// Lower case: `script`, `global`, `local`, `private`, `env`, or a drive there is none of.
    pub(in crate::sim) scope: Option<Arc<str>>,
    pub(in crate::sim) name: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Unary {
    Not,
    BitNot,
    Plus,
    Minus,
    Join,
    Split,
    /// `,x`
    Comma,
}

/// Operators between two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Binary {
    And,
    Or,
    Xor,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Format,
    Range,
    Is,
    IsNot,
    As,
    Join,
    /// Comparisons; `true` where case matters.
    Compare(Comparison, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sim) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    NotLike,
    Match,
    NotMatch,
    Contains,
    NotContains,
    In,
    NotIn,
    Replace,
    Split,
}
