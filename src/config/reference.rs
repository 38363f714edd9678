//! What is written about the keys, made from their table: the example file and the documentation.

use super::keys::{KEYS, SECTIONS};
use super::own::{COMMAND_KEYS, HOOK_KEYS};
use super::policy::RULE_KEYS;
use super::values::Config;

/// Renders `config.example.toml`: every key with its default, meaning, unit and range.
pub fn example() -> String {
    let defaults = Config::default();
    let mut text = String::from(
        "# vmdeck: every key with its meaning, unit, range and default. Copy what you want to change to\n\
         # ~/.config/vmdeck/config.toml (`vmdeck config path` says where). Behaviour only: hosts and secrets\n\
         # are kept in the profile. `vmdeck config show --origin` shows what is in force and why.\n",
    );
    for (section, about) in SECTIONS {
        text.extend([format!("\n# {about}\n[{section}]\n")]);
        for spec in KEYS.iter().filter(|spec| spec.section() == *section) {
            text.extend([format!("\n# {}\n# {}\n", spec.meaning, spec.range())]);
            text.extend([format!("{} = {}\n", spec.name(), spec.render(&defaults))]);
        }
    }
    text.push_str(
        "\n# Other keys for commands, by the id of the command (docs/tui.md). An empty list takes the keys away.\n\
         # [tui.keys]\n\
         # \"act.force-off\" = [\"X\"]\n\
         \n\
         # Rules, tried in order; the first that fits decides, and where none does the built-in ones do. Empty\n\
         # lists fit everything, `*` in a pattern stands for anything. Read-only beats every rule.\n\
         # [[policy]]\n\
         # name = \"databases\"\n\
         # tags = [\"db*\"]\n\
         # verbs = [\"force-off\", \"reset\"]\n\
         # effect = \"deny\"\n\
         # reason = \"databases are shut down, not cut off\"\n\
         \n\
         # Programs of your own on a key, and programs that are run when something happens (docs/own.md). No shell reads\n\
         # them.\n\
         # [[command]]\n\
         # key = \"ctrl-p\"\n\
         # description = \"ping it\"\n\
         # argv = [\"ping\", \"-c\", \"3\", \"{vm.ip}\"]\n\
         # output = \"popup\"\n\
         \n\
         # [[hook]]\n\
         # event = \"vm-crashed\"\n\
         # filter = \"tier:prod\"\n\
         # argv = [\"logger\", \"-t\", \"vmdeck\", \"{vm.name} on {host.name} crashed\"]\n",
    );
    text
}

/// Renders the tables of `docs/configuration.md`.
pub fn markdown() -> String {
    let defaults = Config::default();
    let mut text = String::new();
    for (section, about) in SECTIONS {
        text.extend([format!(
            "### `[{section}]`\n\n{about}\n\n| key | default | takes | meaning |\n|---|---|---|---|\n"
        )]);
        for spec in KEYS.iter().filter(|spec| spec.section() == *section) {
            text.extend([format!(
                "| `{}` | `{}` | {} | {} |\n",
                spec.name(),
                spec.render(&defaults),
                spec.range(),
                spec.meaning
            )]);
        }
        if *section == "tui" {
            text.push_str(
                "| `keys` | `{}` | table: command id = list of keys | Other keys for commands, by the command's id (`docs/tui.md`); an empty list takes the keys away. |\n",
            );
        }
        text.push('\n');
    }
    text.push_str(
        "### `[[policy]]`\n\nRules, tried in order; the first that fits decides, and where none does the built-in ones do.\n\n\
         | key | takes | meaning |\n|---|---|---|\n",
    );
    rows(&mut text, RULE_KEYS);
    text.push_str(
        "\n### `[[command]]`\n\nA program of your own on a key (`docs/own.md`).\n\n| key | takes | meaning |\n|---|---|---|\n",
    );
    rows(&mut text, COMMAND_KEYS);
    text.push_str(
        "\n### `[[hook]]`\n\nA program that is run when something happens (`docs/own.md`).\n\n| key | takes | meaning |\n|---|---|---|\n",
    );
    rows(&mut text, HOOK_KEYS);
    text
}

fn rows(text: &mut String, keys: &[(&str, &str, &str)]) {
    for (key, takes, meaning) in keys {
        text.extend([format!("| `{key}` | {takes} | {meaning} |\n")]);
    }
}

/// Returns every key of the file, for checks against documents and forms.
pub fn key_paths() -> Vec<&'static str> {
    KEYS.iter().map(|spec| spec.path).collect()
}
