//! `cmd.exe /c "line"`, as sshd starts it: variables, quotes, `&`, `&&`, `||`, a few redirections and
//! the handful of commands people ask a host with. What it does not know it refuses as cmd does.

use super::arguments;
use super::codepage;
use super::machine::{Language, Machine, Windows};
use super::process;
use super::programs;
use crate::sim::stdio::{Piece, Stdio};

/// Longest line (Microsoft: knowledge base article 830473).
const MAX_LINE: usize = 8191;
/// What sshd puts around the command: `"c:\windows\system32\cmd.exe" /c "` and the closing quote.
const AROUND: usize = 34;
/// Lines inside lines (`cmd /c`) that are followed.
const MAX_DEPTH: usize = 8;

/// Where output of a command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Out,
    Err,
    Nowhere,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    AfterSuccess,
    AfterFailure,
}

/// A running `cmd.exe`.
struct Cmd<'c> {
    machine: &'c mut dyn Machine,
    stdio: &'c mut Stdio,
    code_page: u16,
    depth: usize,
    out_to: To,
    err_to: To,
    /// Its output, where whoever started it keeps that.
    kept: Option<String>,
}

/// Runs a line and returns the exit code.
pub(super) fn run(line: &str, machine: &mut dyn Machine, stdio: &mut Stdio) -> u32 {
    run_inner(line, machine, stdio, false).0
}

/// Runs a line for another shell; returns the exit code, and its output where it is captured.
pub(super) fn run_inner(
    line: &str,
    machine: &mut dyn Machine,
    stdio: &mut Stdio,
    captures: bool,
) -> (u32, String) {
    let windows = machine.windows();
    let arguments = format!("/c \"{line}\"");
    let _running = machine
        .processes()
        .start_with("cmd", &arguments, machine.now());
    let mut cmd = Cmd {
        code_page: windows.code_page,
        machine,
        stdio,
        depth: 0,
        out_to: To::Out,
        err_to: To::Err,
        kept: captures.then(String::new),
    };
    if line.encode_utf16().count() + AROUND > MAX_LINE {
        cmd.err(programs::too_long(&windows));
        return (1, String::new());
    }
    let (Ran::Code(code) | Ran::Exit(code)) = cmd.line(line);
    (code, cmd.kept.unwrap_or_default())
}

/// What became of a command.
#[derive(Debug, Clone, Copy)]
enum Ran {
    Code(u32),
    /// `exit`: nothing after it runs.
    Exit(u32),
}

impl Cmd<'_> {
    fn out(&mut self, text: &str) {
        self.write(self.out_to, text);
    }

    fn err(&mut self, text: &str) {
        self.write(self.err_to, text);
    }

    fn write(&mut self, to: To, text: &str) {
        if let (To::Out, Some(kept)) = (to, &mut self.kept) {
            kept.push_str(text);
            return;
        }
        let bytes = codepage::encode(self.code_page, text);
        match to {
            To::Out => self.stdio.send(Piece::Out(bytes)),
            To::Err => self.stdio.send(Piece::Err(bytes)),
            To::Nowhere => {}
        }
    }

    fn line(&mut self, line: &str) -> Ran {
        let expanded = self.expand(line);
        let mut status = 0;
        for (when, command) in split(&expanded) {
            let runs = match when {
                When::Always => true,
                When::AfterSuccess => status == 0,
                When::AfterFailure => status != 0,
            };
            if !runs {
                continue;
            }
            match self.redirected(&command) {
                Ran::Code(code) => status = code,
                exit @ Ran::Exit(_) => return exit,
            }
        }
        Ran::Code(status)
    }

    /// Replaces `%NAME%`; a name there is none of stays as it is.
    fn expand(&self, line: &str) -> String {
        let mut written = String::new();
        let mut rest = line;
        while let Some((before, after)) = rest.split_once('%') {
            written.push_str(before);
            let named = after
                .split_once('%')
                .filter(|(name, _)| !name.is_empty())
                .and_then(|(name, tail)| Some((self.variable(name)?, tail)));
            if let Some((value, tail)) = named {
                written.push_str(&value);
                rest = tail;
            } else {
                written.push('%');
                rest = after;
            }
        }
        written.push_str(rest);
        written
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.machine.environment(name).or_else(|| {
            let windows = self.machine.windows();
            Some(match name.to_ascii_lowercase().as_str() {
                "systemroot" | "windir" => r"C:\Windows".to_owned(),
                "comspec" => r"C:\Windows\System32\cmd.exe".to_owned(),
                "computername" => windows.host_name.to_uppercase(),
                "username" => windows
                    .user
                    .rsplit('\\')
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
                "os" => "Windows_NT".to_owned(),
                _ => return None,
            })
        })
    }

    fn redirected(&mut self, command: &str) -> Ran {
        let before = (self.out_to, self.err_to);
        let ran = match self.redirections(command) {
            Ok(command) => self.command(command.trim_start()),
            Err(code) => Ran::Code(code),
        };
        (self.out_to, self.err_to) = before;
        ran
    }

    /// Takes redirections out of a command and applies them.
    fn redirections(&mut self, command: &str) -> Result<String, u32> {
        let mut kept = String::new();
        let mut quoted = false;
        let mut rest = command.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '"' => {
                    quoted = !quoted;
                    kept.push(c);
                }
                '^' if !quoted => kept.extend(rest.next()),
                '<' | '>' if !quoted => {
                    let stream = match kept.chars().next_back() {
                        Some('2') if c == '>' => {
                            kept.pop();
                            2
                        }
                        Some('1') if c == '>' => {
                            kept.pop();
                            1
                        }
                        _ => i32::from(c == '>'),
                    };
                    rest.next_if_eq(&'>');
                    while rest.next_if_eq(&' ').is_some() {}
                    let mut target = String::new();
                    while let Some(c) = rest.next_if(|c| !matches!(c, ' ' | '<' | '>')) {
                        target.push(c);
                    }
                    self.redirect(stream, &target)?;
                }
                c => kept.push(c),
            }
        }
        Ok(kept)
    }

    fn redirect(&mut self, stream: i32, target: &str) -> Result<(), u32> {
        let to = match target.to_ascii_lowercase().as_str() {
            "nul" => To::Nowhere,
            "&1" => self.out_to,
            "&2" => self.err_to,
            _ => {
                // A file below a folder there is none of, such as /dev/null.
                let english = self.machine.windows().language == Language::English;
                self.err(if english {
                    "The system cannot find the path specified.\r\n"
                } else {
                    "Das System kann den angegebenen Pfad nicht finden.\r\n"
                });
                return Err(1);
            }
        };
        match stream {
            1 => self.out_to = to,
            2 => self.err_to = to,
            _ => {}
        }
        Ok(())
    }

    fn command(&mut self, command: &str) -> Ran {
        let windows = self.machine.windows();
        let (name, rest) = first_word(command);
        let lower = name.to_ascii_lowercase();
        match lower.as_str() {
            "" => return Ran::Code(0),
            "echo" | "echo." => {
                let text = rest.strip_prefix(' ').unwrap_or(rest);
                self.out(&format!("{text}\r\n"));
                return Ran::Code(0);
            }
            "ver" => {
                let line = programs::version_line(&windows);
                self.out(&format!("\r\n{line}\r\n"));
                return Ran::Code(0);
            }
            "exit" => {
                let code = rest
                    .split_whitespace()
                    .find_map(|word| word.parse::<i64>().ok())
                    .unwrap_or(0);
                let bits = code.rem_euclid(1 << 32);
                return Ran::Exit(u32::try_from(bits).unwrap_or(0));
            }
            "rem" | "cd" | "set" if rest.trim().is_empty() || lower == "rem" => {
                return Ran::Code(0);
            }
            "chcp" => return Ran::Code(self.change_code_page(rest.trim(), &windows)),
            _ => {}
        }
        let words = arguments::words(rest);
        if programs::bare_name(&name) == "cmd" {
            return Ran::Code(self.nested(rest));
        }
        if let Some(edition) = programs::shell(&windows, &name) {
            let captures = self.out_to != To::Out || self.kept.is_some();
            let (code, out) =
                process::run_inner(self.machine, self.stdio, edition, &words, captures);
            if captures {
                self.out(&out);
            }
            return Ran::Code(code);
        }
        if programs::path(self.machine, &windows, &name).is_none() {
            self.err(&programs::unknown(&windows, &name));
            return Ran::Code(1);
        }
        let answer = programs::run(&windows, &name, &words);
        self.out(&answer.out.replace('\n', "\r\n"));
        self.err(&answer.err.replace('\n', "\r\n"));
        Ran::Code(answer.code)
    }

    fn change_code_page(&mut self, number: &str, windows: &Windows) -> u32 {
        if let Ok(page) = number.parse::<u16>() {
            self.code_page = page;
        } else if !number.is_empty() {
            self.err("Parameter format not correct -\r\n");
            return 1;
        }
        let label = match windows.language {
            Language::English => "Active code page",
            Language::German => "Aktive Codepage",
        };
        self.out(&format!("{label}: {}\r\n", self.code_page));
        0
    }

    /// Runs `cmd /c line` inside the line.
    fn nested(&mut self, rest: &str) -> u32 {
        let rest = rest.trim();
        let inner = rest
            .strip_prefix("/c")
            .or_else(|| rest.strip_prefix("/C"))
            .map(str::trim);
        let Some(inner) = inner.filter(|_| self.depth < MAX_DEPTH) else {
            return 0;
        };
        let inner = inner
            .strip_prefix('"')
            .and_then(|inner| inner.strip_suffix('"'))
            .unwrap_or(inner);
        self.depth += 1;
        let ran = self.line(inner);
        self.depth -= 1;
        match ran {
            Ran::Code(code) | Ran::Exit(code) => code,
        }
    }
}

/// Splits off the program's name, in quotes or not; a name ends at a blank or at what only an
/// argument begins with.
fn first_word(command: &str) -> (String, &str) {
    if let Some(rest) = command.strip_prefix('"') {
        return match rest.split_once('"') {
            Some((name, rest)) => (name.to_owned(), rest),
            None => (rest.to_owned(), ""),
        };
    }
    let end = command
        .char_indices()
        .find(|(_, c)| matches!(c, ' ' | '\t' | ',' | ';' | '='))
        .map_or(command.len(), |(place, _)| place);
    let (name, rest) = command.split_at_checked(end).unwrap_or((command, ""));
    (name.to_owned(), rest)
}

/// Splits a line at `&`, `&&` and `||` outside quotes. A pipe joins two programs, which is not played
/// here: the second is taken for part of the first's words, as a word cmd would not know.
fn split(line: &str) -> Vec<(When, String)> {
    let mut commands = Vec::new();
    let mut when = When::Always;
    let mut command = String::new();
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '^' if !quoted => {
                command.push(c);
                command.extend(chars.next());
                continue;
            }
            '>' if !quoted && chars.peek() == Some(&'&') => {
                command.push(c);
                command.extend(chars.next());
                continue;
            }
            '&' if !quoted => {
                let next = if chars.next_if_eq(&'&').is_some() {
                    When::AfterSuccess
                } else {
                    When::Always
                };
                commands.push((when, std::mem::take(&mut command)));
                when = next;
                continue;
            }
            '|' if !quoted && chars.peek() == Some(&'|') => {
                chars.next();
                commands.push((when, std::mem::take(&mut command)));
                when = When::AfterFailure;
                continue;
            }
            _ => {}
        }
        command.push(c);
    }
    commands.push((when, command));
    commands
}
