//! Pipelines: each stage takes one value at a time and gives its results to the next, so that what a
//! script sees happen happens in the order of a real host.

use std::sync::Arc;

use super::Interpreter;
use super::bind::Bound;
use super::command::Resolved;
use super::flow::{Flow, Run};
use crate::sim::powershell::ast::{
    Command, Element, Expression, ExpressionKind, Pipeline, ScriptBlock, Stage,
};
use crate::sim::powershell::cmdlets::Streaming;
use crate::sim::powershell::spec::Spec;
use crate::sim::powershell::value::Value;

/// Where output goes.
#[derive(Debug)]
pub(super) enum Collector {
    List(Vec<Value>),
    Stage(Box<Running>),
    Nowhere,
}

/// A stage of a pipeline that runs.
#[derive(Debug)]
pub(super) struct Running {
    kind: Kind,
    /// The number of its pipeline.
    pipeline: usize,
}

#[derive(Debug)]
enum Kind {
    /// A cmdlet that answers each value as it comes.
    Streaming(Box<dyn Streaming>),
    /// A cmdlet that is called when all input has come.
    Gathering {
        spec: &'static Spec,
        written: String,
        bound: Bound,
        input: Vec<Value>,
    },
    /// A function or script block with its arguments, called when all input has come, or for each
    /// value where it has a `process` block.
    Block {
        block: Arc<ScriptBlock>,
        arguments: Arguments,
        new_scope: bool,
        input: Vec<Value>,
    },
    Program {
        name: String,
        arguments: Vec<Value>,
        input: Vec<Value>,
    },
}

/// Evaluated words of a command.
#[derive(Debug, Default, Clone)]
pub(super) struct Arguments(pub(super) Vec<Argument>);

#[derive(Debug, Clone)]
pub(super) enum Argument {
    Positional(Value),
    /// A name, and a value where one was given behind a colon or by splatting.
    Named(String, Option<Value>),
}

impl Interpreter<'_> {
    /// Runs a pipeline; its results are emitted.
    pub(super) fn pipeline(&mut self, pipeline: &Pipeline) -> Run<()> {
        if let [only] = pipeline.stages.as_slice() {
            return match only {
                Stage::Expression(expression, redirections) => {
                    self.redirected(redirections, |this| {
                        let value = this.expression(expression)?;
                        this.succeeded = true;
                        if is_silent(expression) {
                            return Ok(());
                        }
                        this.emit_each(value)
                    })
                }
                Stage::Command(command) => {
                    self.redirected(&command.redirections, |this| this.lone_command(command))
                }
            };
        }
        self.pipelines += 1;
        let number = self.pipelines;
        let base = self.collectors.len();
        let result = self.staged(pipeline, number);
        // What failed half-way leaves its stages behind.
        while self.collectors.len() > base {
            self.collectors.pop();
        }
        match result {
            Err(Flow::StopPipeline(stopped)) if stopped == number => Ok(()),
            other => other,
        }
    }

    fn staged(&mut self, pipeline: &Pipeline, number: usize) -> Run<()> {
        let Some((first, rest)) = pipeline.stages.split_first() else {
            return Ok(());
        };
        // The last stage lies at the bottom and begins first.
        let mut count = 0;
        for stage in rest.iter().rev() {
            let Stage::Command(command) = stage else {
                continue;
            };
            let running = self.start_stage(command, number)?;
            self.collectors.push(Collector::Stage(Box::new(running)));
            count += 1;
        }
        let fed = match first {
            Stage::Expression(expression, redirections) => self.redirected(redirections, |this| {
                let value = this.expression(expression)?;
                this.succeeded = true;
                this.emit_each(value)
            }),
            Stage::Command(command) => {
                self.redirected(&command.redirections, |this| this.lone_command(command))
            }
        };
        let mut stopped = match fed {
            Err(Flow::StopPipeline(ended)) if ended == number => true,
            other => {
                other?;
                false
            }
        };
        for _ in 0..count {
            let Some(Collector::Stage(running)) = self.collectors.pop() else {
                continue;
            };
            match self.end_stage(*running, stopped) {
                Err(Flow::StopPipeline(ended)) if ended == number => stopped = true,
                other => other?,
            }
        }
        Ok(())
    }

    /// Runs a command that stands first, without input.
    fn lone_command(&mut self, command: &Command) -> Run<()> {
        self.blamed = command.at;
        let (resolved, arguments) = self.prepare(command)?;
        self.succeeded = true;
        match resolved {
            Resolved::Cmdlet(spec, written) => {
                let bound = self.bind(spec, arguments)?;
                if let Some(mut streaming) = self.streaming(spec, &bound)? {
                    streaming.begin(self)?;
                    return streaming.end(self);
                }
                self.call_cmdlet(spec, &written, &bound, None)
            }
            Resolved::Block(block, new_scope) => {
                self.call_block(&block, arguments, new_scope, None)
            }
            Resolved::Program(name) => self.call_program(&name, &arguments.positional(), &[]),
        }
    }

    fn start_stage(&mut self, command: &Command, number: usize) -> Run<Running> {
        self.blamed = command.at;
        let (resolved, arguments) = self.prepare(command)?;
        let kind = match resolved {
            Resolved::Cmdlet(spec, written) => {
                let bound = self.bind_for_pipeline(spec, arguments)?;
                match self.streaming(spec, &bound)? {
                    Some(mut streaming) => {
                        streaming.begin(self)?;
                        Kind::Streaming(streaming)
                    }
                    None => Kind::Gathering {
                        spec,
                        written,
                        bound,
                        input: Vec::new(),
                    },
                }
            }
            Resolved::Block(block, new_scope) => Kind::Block {
                block,
                arguments,
                new_scope,
                input: Vec::new(),
            },
            Resolved::Program(name) => Kind::Program {
                name,
                arguments: arguments.positional(),
                input: Vec::new(),
            },
        };
        Ok(Running {
            kind,
            pipeline: number,
        })
    }

    /// Gives a stage one value.
    pub(super) fn feed(&mut self, stage: &mut Running, value: Value) -> Run<()> {
        match &mut stage.kind {
            Kind::Streaming(streaming) => {
                let wants_more = streaming.process(self, value)?;
                if wants_more {
                    Ok(())
                } else {
                    Err(Flow::StopPipeline(stage.pipeline))
                }
            }
            Kind::Gathering { input, .. }
            | Kind::Block { input, .. }
            | Kind::Program { input, .. } => {
                input.push(value);
                Ok(())
            }
        }
    }

    fn end_stage(&mut self, stage: Running, stopped: bool) -> Run<()> {
        match stage.kind {
            Kind::Streaming(mut streaming) => {
                if stopped && !streaming.ends_after_stop() {
                    return Ok(());
                }
                streaming.end(self)
            }
            Kind::Gathering {
                spec,
                written,
                bound,
                input,
            } => self.call_cmdlet(spec, &written, &bound, Some(input)),
            Kind::Block {
                block,
                arguments,
                new_scope,
                input,
            } => self.call_block(&block, arguments, new_scope, Some(input)),
            Kind::Program {
                name,
                arguments,
                input,
            } => self.call_program(&name, &arguments, &input),
        }
    }

    /// Evaluates a command's words.
    pub(super) fn arguments(&mut self, elements: &[Element]) -> Run<Arguments> {
        let mut found = Vec::new();
        for element in elements {
            match element {
                Element::Argument(expression) => {
                    let value = self.expression(expression)?.plain();
                    found.push(Argument::Positional(value));
                }
                Element::Parameter { name, value } => {
                    let value = match value {
                        Some(value) => Some(self.expression(value)?.plain()),
                        None => None,
                    };
                    found.push(Argument::Named(name.as_ref().to_owned(), value));
                }
                Element::Splat(variable) => match self.variable(variable) {
                    Value::Hash(hash) => {
                        for (key, value) in hash.pairs() {
                            found.push(Argument::Named(self.text_of(&key), Some(value)));
                        }
                    }
                    other => found.extend(other.items().into_iter().map(Argument::Positional)),
                },
            }
        }
        Ok(Arguments(found))
    }
}

impl Arguments {
    /// Returns the values without names.
    fn positional(&self) -> Vec<Value> {
        self.0
            .iter()
            .map(|argument| match argument {
                Argument::Positional(value) => value.clone(),
                Argument::Named(name, _) => Value::from(format!("-{name}")),
            })
            .collect()
    }
}

/// Whether an expression that stands alone puts nothing out: `$i++` does not.
const fn is_silent(expression: &Expression) -> bool {
    matches!(expression.kind, ExpressionKind::Step { .. })
}
