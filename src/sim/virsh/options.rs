//! Options of `virsh` commands: which each one has, and how they are read. Pure.

use std::collections::{HashMap, HashSet};

/// A command and its options.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// Options that may stand without their name, in order.
    positional: &'static [&'static str],
    /// How many of those have to be there.
    required: usize,
    /// Options with a value that need their name.
    values: &'static [&'static str],
    flags: &'static [&'static str],
    /// Takes any number of words.
    words: bool,
}

const fn spec(name: &'static str) -> Spec {
    Spec {
        name,
        positional: &[],
        required: 0,
        values: &[],
        flags: &[],
        words: false,
    }
}

/// A command about one domain.
const fn about(name: &'static str, flags: &'static [&'static str]) -> Spec {
    Spec {
        positional: &["domain"],
        required: 1,
        flags,
        ..spec(name)
    }
}

/// A command about one pool.
const fn of_pool(name: &'static str, flags: &'static [&'static str]) -> Spec {
    Spec {
        positional: &["pool"],
        required: 1,
        flags,
        ..spec(name)
    }
}

/// A command about one network.
const fn of_network(name: &'static str, flags: &'static [&'static str]) -> Spec {
    Spec {
        positional: &["network"],
        required: 1,
        flags,
        ..spec(name)
    }
}

const STORE_LIST_FLAGS: &[&str] = &[
    "inactive",
    "all",
    "transient",
    "persistent",
    "autostart",
    "no-autostart",
    "uuid",
    "name",
    "table",
];

const LIST_FLAGS: &[&str] = &[
    "inactive",
    "all",
    "transient",
    "persistent",
    "with-snapshot",
    "without-snapshot",
    "with-checkpoint",
    "without-checkpoint",
    "state-running",
    "state-paused",
    "state-shutoff",
    "state-other",
    "autostart",
    "no-autostart",
    "with-managed-save",
    "without-managed-save",
    "uuid",
    "name",
    "id",
    "table",
    "managed-save",
    "title",
];

const STATS_FLAGS: &[&str] = &[
    "state",
    "cpu-total",
    "balloon",
    "vcpu",
    "interface",
    "block",
    "perf",
    "iothread",
    "memory",
    "dirtyrate",
    "vm",
    "list-active",
    "list-inactive",
    "list-persistent",
    "list-transient",
    "list-running",
    "list-paused",
    "list-shutoff",
    "list-other",
    "raw",
    "enforce",
    "backing",
    "nowait",
];

/// Every command that is simulated.
const COMMANDS: &[Spec] = &[
    Spec {
        flags: &["daemon"],
        ..spec("version")
    },
    spec("uri"),
    spec("hostname"),
    spec("nodeinfo"),
    spec("nodememstats"),
    Spec {
        flags: &["percent"],
        ..spec("nodecpustats")
    },
    spec("nodecpumap"),
    Spec {
        flags: LIST_FLAGS,
        ..spec("list")
    },
    Spec {
        flags: STATS_FLAGS,
        words: true,
        ..spec("domstats")
    },
    about("dominfo", &[]),
    about("domstate", &["reason"]),
    about("domid", &[]),
    about("domuuid", &[]),
    about("domname", &[]),
    Spec {
        values: &["interface", "source"],
        ..about("domifaddr", &["full"])
    },
    about("domblklist", &["inactive", "details"]),
    Spec {
        positional: &["domain", "device"],
        ..about("domblkinfo", &["all"])
    },
    about("domiflist", &["inactive"]),
    about(
        "dumpxml",
        &["inactive", "security-info", "update-cpu", "migratable"],
    ),
    about(
        "snapshot-list",
        &[
            "parent",
            "roots",
            "leaves",
            "no-leaves",
            "metadata",
            "tree",
            "name",
        ],
    ),
    about("snapshot-current", &["name", "security-info"]),
    Spec {
        positional: &["domain", "snapshotname"],
        required: 2,
        ..about("snapshot-dumpxml", &["security-info"])
    },
    Spec {
        positional: &["domain", "name", "description"],
        values: &["memspec", "diskspec"],
        ..about(
            "snapshot-create-as",
            &[
                "print-xml",
                "no-metadata",
                "halt",
                "disk-only",
                "reuse-external",
                "quiesce",
                "atomic",
                "live",
                "validate",
            ],
        )
    },
    Spec {
        positional: &["domain", "snapshotname"],
        ..about(
            "snapshot-revert",
            &["current", "running", "paused", "force", "reset-nvram"],
        )
    },
    Spec {
        positional: &["domain", "snapshotname"],
        ..about(
            "snapshot-delete",
            &["current", "children", "children-only", "metadata"],
        )
    },
    Spec {
        flags: STORE_LIST_FLAGS,
        ..spec("pool-list")
    },
    of_pool("pool-dumpxml", &["inactive"]),
    of_pool("pool-info", &["bytes"]),
    of_pool("pool-uuid", &[]),
    of_pool("pool-refresh", &[]),
    of_pool("pool-start", &["build", "no-overwrite", "overwrite"]),
    of_pool("pool-destroy", &[]),
    of_pool("pool-autostart", &["disable"]),
    Spec {
        flags: &["details"],
        ..of_pool("vol-list", &[])
    },
    Spec {
        positional: &["file"],
        required: 1,
        flags: &["validate"],
        ..spec("define")
    },
    Spec {
        positional: &["vol"],
        required: 1,
        values: &["pool"],
        ..spec("vol-dumpxml")
    },
    Spec {
        flags: STORE_LIST_FLAGS,
        ..spec("net-list")
    },
    of_network("net-dumpxml", &["inactive"]),
    of_network("net-info", &[]),
    of_network("net-uuid", &[]),
    of_network("net-dhcp-leases", &[]),
    of_network("net-start", &[]),
    of_network("net-destroy", &[]),
    of_network("net-autostart", &["disable"]),
    Spec {
        values: &["new-desc"],
        ..about("desc", &["live", "config", "current", "title"])
    },
    Spec {
        positional: &["domain", "count"],
        required: 2,
        ..about(
            "setvcpus",
            &[
                "maximum",
                "config",
                "live",
                "current",
                "guest",
                "hotpluggable",
            ],
        )
    },
    Spec {
        positional: &["domain", "size"],
        required: 2,
        ..about("setmem", &["config", "live", "current"])
    },
    Spec {
        positional: &["domain", "size"],
        required: 2,
        ..about("setmaxmem", &["config", "live", "current"])
    },
    about(
        "start",
        &[
            "console",
            "paused",
            "autodestroy",
            "bypass-cache",
            "force-boot",
            "reset-nvram",
        ],
    ),
    Spec {
        values: &["mode"],
        ..about("shutdown", &[])
    },
    Spec {
        values: &["mode"],
        ..about("reboot", &[])
    },
    about("destroy", &["graceful"]),
    about("reset", &[]),
    about("suspend", &[]),
    about("resume", &[]),
    about(
        "managedsave",
        &["bypass-cache", "running", "paused", "verbose"],
    ),
    about("managedsave-remove", &[]),
    about("autostart", &["disable"]),
    Spec {
        values: &["devname"],
        ..about("console", &["force", "safe"])
    },
    Spec {
        values: &["file", "screen"],
        ..about("screenshot", &[])
    },
    Spec {
        values: &["codeset", "holdtime"],
        words: true,
        ..about("send-key", &[])
    },
    Spec {
        values: &["timeout"],
        words: true,
        ..about("qemu-agent-command", &["async", "block", "pretty"])
    },
    about("domdisplay", &["include-password", "all"]),
    Spec {
        flags: &["shell", "xml", "split", "err"],
        words: true,
        ..spec("echo")
    },
    Spec {
        values: &["domain", "event", "timeout"],
        flags: &["all", "loop", "list", "timestamp"],
        ..spec("event")
    },
    spec("quit"),
    spec("exit"),
];

/// One command, read.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) spec: &'static Spec,
    values: HashMap<&'static str, String>,
    flags: HashSet<&'static str>,
    /// The words of a command that takes any number.
    pub(super) words: Vec<String>,
}

impl Command {
    /// Reads a command of words, or returns what `virsh` complains about.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let Some((name, words)) = words.split_first() else {
            return Err("no command given".to_owned());
        };
        let spec = COMMANDS
            .iter()
            .find(|spec| spec.name == name)
            .ok_or_else(|| format!("unknown command: '{name}'"))?;
        let mut command = Self {
            spec,
            values: HashMap::new(),
            flags: HashSet::new(),
            words: Vec::new(),
        };
        let mut words = words.iter();
        let mut data_only = false;
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("") if !data_only => data_only = true,
                Some(option) if !data_only => command.take_option(option, &mut words)?,
                _ => command.take_data(word)?,
            }
        }
        let missing = spec
            .positional
            .iter()
            .take(spec.required)
            .find(|option| !command.values.contains_key(**option));
        match missing {
            Some(option) => Err(format!("command '{name}' requires <{option}> option")),
            None => Ok(command),
        }
    }

    /// Returns whether a flag was given.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.contains(flag)
    }

    /// Returns an option's value.
    pub(super) fn value(&self, option: &str) -> Option<&str> {
        self.values.get(option).map(String::as_str)
    }

    /// Returns the domain that is meant, as it was written.
    pub(super) fn domain(&self) -> &str {
        self.value("domain").unwrap_or_default()
    }

    fn take_option(
        &mut self,
        option: &str,
        words: &mut std::slice::Iter<'_, String>,
    ) -> Result<(), String> {
        let (name, inline) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let known = |names: &'static [&'static str]| names.iter().find(|known| **known == name);
        if let Some(flag) = known(self.spec.flags) {
            if inline.is_some() {
                return Err(format!("invalid '=' after option --{name}"));
            }
            self.flags.insert(flag);
            return Ok(());
        }
        let valued = known(self.spec.values)
            .or_else(|| known(self.spec.positional))
            .ok_or_else(|| {
                format!(
                    "command '{}' doesn't support option --{name}",
                    self.spec.name
                )
            })?;
        let value = inline
            .or_else(|| words.next().map(String::as_str))
            .ok_or_else(|| format!("expected syntax: --{name} <string>"))?;
        self.values.insert(valued, value.to_owned());
        Ok(())
    }

    fn take_data(&mut self, word: &str) -> Result<(), String> {
        let free = self
            .spec
            .positional
            .iter()
            .find(|option| !self.values.contains_key(**option));
        match free {
            Some(option) => {
                self.values.insert(option, word.to_owned());
                Ok(())
            }
            None if self.spec.words => {
                self.words.push(word.to_owned());
                Ok(())
            }
            None => Err(format!("unexpected data '{word}'")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        Command::parse(&words).unwrap_err()
    }

    #[test]
    fn complaints_are_those_of_virsh() {
        let cases = [
            ("foo", "unknown command: 'foo'"),
            ("start", "command 'start' requires <domain> option"),
            ("domstate a b", "unexpected data 'b'"),
            (
                "domstate --bad a",
                "command 'domstate' doesn't support option --bad",
            ),
            ("domifaddr a --source", "expected syntax: --source <string>"),
            ("domstate --domain", "expected syntax: --domain <string>"),
            ("list --all=1", "invalid '=' after option --all"),
            ("list extra", "unexpected data 'extra'"),
            ("start --paused", "command 'start' requires <domain> option"),
            ("LIST", "unknown command: 'LIST'"),
        ];
        for (line, said) in cases {
            assert_eq!(complaint(line), said, "{line}");
        }
    }

    #[test]
    fn options_may_carry_their_value_either_way() {
        for line in [
            "domifaddr x --source=agent",
            "domifaddr --source agent --domain x",
        ] {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let command = Command::parse(&words).unwrap();
            assert_eq!(
                (command.domain(), command.value("source")),
                ("x", Some("agent"))
            );
        }
    }
}
