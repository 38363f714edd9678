//! Completions and manual pages, made from the same definition as the parser.

use std::io::{self, Write};

use clap::ValueEnum;
use clap_complete::Shell as ClapShell;

use super::command::command;

/// A shell that completions can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash.
    Bash,
    /// elvish.
    Elvish,
    /// fish.
    Fish,
    /// PowerShell.
    #[value(name = "powershell")]
    PowerShell,
    /// zsh.
    Zsh,
}

/// Writes the completions for a shell.
pub fn complete(shell: Shell, out: &mut dyn Write) -> io::Result<()> {
    let shell = match shell {
        Shell::Bash => ClapShell::Bash,
        Shell::Elvish => ClapShell::Elvish,
        Shell::Fish => ClapShell::Fish,
        Shell::PowerShell => ClapShell::PowerShell,
        Shell::Zsh => ClapShell::Zsh,
    };
    // Made in memory: clap panics when the pipe it writes to is closed.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut command(), "vmdeck", &mut text);
    out.write_all(&text)
}

/// Writes the manual page of the program, or of one of its commands; `None` when there is none.
pub fn manual(path: &[String], out: &mut dyn Write) -> io::Result<Option<()>> {
    let mut root = command();
    root.build();
    let mut page = &root;
    for word in path {
        match page.find_subcommand(word) {
            Some(found) => page = found,
            None => return Ok(None),
        }
    }
    let name = page.get_bin_name().unwrap_or("vmdeck").replace(' ', "-");
    clap_mangen::Man::new(page.clone())
        .title(name)
        .source(format!("vmdeck {}", env!("CARGO_PKG_VERSION")))
        .render(out)?;
    Ok(Some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_is_served_and_knows_the_verbs() {
        for shell in Shell::value_variants() {
            let mut text = Vec::new();
            complete(*shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            assert!(text.contains("force-off"), "{shell:?}");
            assert!(text.contains("passphrase-fd"), "{shell:?}");
        }
    }

    #[test]
    fn pages_of_commands() {
        let mut text = Vec::new();
        manual(&["host".into(), "add".into()], &mut text)
            .unwrap()
            .unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(text.contains("accept\\-new\\-host\\-key"));
        assert!(
            manual(&["nothing".into()], &mut Vec::new())
                .unwrap()
                .is_none()
        );
    }
}
