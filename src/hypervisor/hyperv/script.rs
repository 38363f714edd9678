//! The scripts: files under `scripts`, embedded, and put together into what PowerShell reads. Nothing but
//! a nonce and arguments, both from alphabets without quotes, is ever put into a script. Pure.
//!
//! A script is the prelude, shared functions and the body of one task. Comments and indentation stay
//! on this side: a command line has no room for them.

/// One file of `scripts`.
macro_rules! file {
    ($name:literal) => {
        include_str!(concat!("scripts/", $name, ".ps1"))
    };
}

const PRELUDE: &str = file!("prelude");
const BOOTSTRAP: &str = file!("bootstrap");
const MACHINE: &str = file!("machine");
const GUEST: &str = file!("guest");
const SETTING: &str = file!("setting");
const CHECKPOINT: &str = file!("checkpoint");
const KEYS: &str = file!("keys");
const READ_LIST: &str = concat!("function Read-List {\n", file!("list"), "}\n");
const DENSE_BOOTSTRAP: &str = file!("bootstrap-dense");

/// The lines of the prelude that stand for the parts of a task.
const FUNCTIONS_HERE: &str = "#<functions>";
const BODY_HERE: &str = "#<body>";

/// What a host can be asked to do with one script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    /// Find out what kind of host it is.
    Probe,
    /// Read every VM through CIM.
    List,
    /// Read every VM through the cmdlets.
    ListCmdlets,
    /// Read everything about one VM.
    Detail,
    /// The same through CIM, where the cmdlets cannot be used.
    DetailCim,
    /// Read switches, and folders with disks of VMs.
    Stores,
    /// The probe, where PowerShell is constrained.
    ConstrainedProbe,
    /// The list, where PowerShell is constrained.
    ConstrainedList,
    /// Tell of every VM for as long as it lives.
    Watch,
    /// End what an earlier watch has left behind.
    Leftover,
    /// Verb.
    Start,
    /// Verb.
    Shutdown,
    /// Verb.
    ForceOff,
    /// Verb.
    Reboot,
    /// Verb.
    Reset,
    /// Verb.
    Pause,
    /// Verb.
    Resume,
    /// Verb.
    Save,
    /// Verb.
    AutostartOn,
    /// Verb.
    AutostartOff,
    /// Verb.
    CheckpointCreate,
    /// Verb.
    CheckpointRestore,
    /// Verb.
    CheckpointRemove,
    /// Take a picture of one VM's screen.
    Screen,
    /// Press keys of one VM's keyboard.
    SendKeys,
    /// Run a program in one VM.
    RunInGuest,
    /// Let the holder of a key into the account.
    KeyAdd,
    /// Let them in no longer.
    KeyRemove,
    /// Read what one VM is set up with.
    Settings,
    /// Change a setting.
    SetProcessors,
    /// Change a setting.
    SetMemory,
    /// Change a setting.
    SetNotes,
}

impl Task {
    /// Every task.
    pub(crate) const ALL: [Self; 32] = [
        Self::Probe,
        Self::List,
        Self::ListCmdlets,
        Self::Detail,
        Self::DetailCim,
        Self::Stores,
        Self::ConstrainedProbe,
        Self::ConstrainedList,
        Self::Watch,
        Self::Leftover,
        Self::Start,
        Self::Shutdown,
        Self::ForceOff,
        Self::Reboot,
        Self::Reset,
        Self::Pause,
        Self::Resume,
        Self::Save,
        Self::AutostartOn,
        Self::AutostartOff,
        Self::CheckpointCreate,
        Self::CheckpointRestore,
        Self::CheckpointRemove,
        Self::Screen,
        Self::SendKeys,
        Self::RunInGuest,
        Self::KeyAdd,
        Self::KeyRemove,
        Self::Settings,
        Self::SetProcessors,
        Self::SetMemory,
        Self::SetNotes,
    ];

    /// Returns the name of its file.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Probe => "probe.ps1",
            Self::List => "list.ps1",
            Self::ListCmdlets => "list-cmdlets.ps1",
            Self::Detail => "detail.ps1",
            Self::DetailCim => "detail-cim.ps1",
            Self::Stores => "stores.ps1",
            Self::ConstrainedProbe => "constrained-probe.ps1",
            Self::ConstrainedList => "constrained-list.ps1",
            Self::Watch => "watch.ps1",
            Self::Leftover => "leftover.ps1",
            Self::Start => "start.ps1",
            Self::Shutdown => "shutdown.ps1",
            Self::ForceOff => "force-off.ps1",
            Self::Reboot => "reboot.ps1",
            Self::Reset => "reset.ps1",
            Self::Pause => "pause.ps1",
            Self::Resume => "resume.ps1",
            Self::Save => "save.ps1",
            Self::AutostartOn => "autostart-on.ps1",
            Self::AutostartOff => "autostart-off.ps1",
            Self::CheckpointCreate => "checkpoint-create.ps1",
            Self::CheckpointRestore => "checkpoint-restore.ps1",
            Self::CheckpointRemove => "checkpoint-remove.ps1",
            Self::Screen => "screen.ps1",
            Self::SendKeys => "send-keys.ps1",
            Self::RunInGuest => "run-in-guest.ps1",
            Self::KeyAdd => "key-add.ps1",
            Self::KeyRemove => "key-remove.ps1",
            Self::Settings => "settings.ps1",
            Self::SetProcessors => "set-processors.ps1",
            Self::SetMemory => "set-memory.ps1",
            Self::SetNotes => "set-notes.ps1",
        }
    }

    const fn file(self) -> &'static str {
        match self {
            Self::Probe => file!("probe"),
            Self::List => file!("list"),
            Self::ListCmdlets => file!("list-cmdlets"),
            Self::Detail => file!("detail"),
            Self::DetailCim => file!("detail-cim"),
            Self::Stores => file!("stores"),
            Self::ConstrainedProbe => file!("constrained-probe"),
            Self::ConstrainedList => file!("constrained-list"),
            Self::Watch => file!("watch"),
            Self::Leftover => file!("leftover"),
            Self::Start => file!("start"),
            Self::Shutdown => file!("shutdown"),
            Self::ForceOff => file!("force-off"),
            Self::Reboot => file!("reboot"),
            Self::Reset => file!("reset"),
            Self::Pause => file!("pause"),
            Self::Resume => file!("resume"),
            Self::Save => file!("save"),
            Self::AutostartOn => file!("autostart-on"),
            Self::AutostartOff => file!("autostart-off"),
            Self::CheckpointCreate => file!("checkpoint-create"),
            Self::CheckpointRestore => file!("checkpoint-restore"),
            Self::CheckpointRemove => file!("checkpoint-remove"),
            Self::Screen => file!("screen"),
            Self::SendKeys => file!("send-keys"),
            Self::RunInGuest => file!("run-in-guest"),
            Self::KeyAdd => file!("key-add"),
            Self::KeyRemove => file!("key-remove"),
            Self::Settings => file!("settings"),
            Self::SetProcessors => file!("set-processors"),
            Self::SetMemory => file!("set-memory"),
            Self::SetNotes => file!("set-notes"),
        }
    }

    /// Returns the functions its body uses.
    const fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Probe
            | Self::List
            | Self::ListCmdlets
            | Self::Detail
            | Self::DetailCim
            | Self::Stores
            | Self::ConstrainedProbe
            | Self::ConstrainedList
            | Self::Leftover
            | Self::CheckpointCreate
            | Self::Settings
            | Self::SetProcessors
            | Self::SetMemory
            | Self::SetNotes => &[],
            Self::Watch => &[READ_LIST],
            Self::Shutdown | Self::Reboot => &[MACHINE, GUEST],
            Self::Start
            | Self::ForceOff
            | Self::Reset
            | Self::Pause
            | Self::Resume
            | Self::Save
            | Self::Screen
            | Self::SendKeys
            | Self::RunInGuest => &[MACHINE],
            Self::AutostartOn | Self::AutostartOff => &[SETTING],
            Self::KeyAdd | Self::KeyRemove => &[KEYS],
            Self::CheckpointRestore | Self::CheckpointRemove => &[CHECKPOINT],
        }
    }

    /// Returns whether its script stands alone and goes over the command line as it is: where
    /// PowerShell is constrained, there is no .NET to inflate anything with.
    pub(crate) const fn stands_alone(self) -> bool {
        matches!(self, Self::ConstrainedProbe | Self::ConstrainedList)
    }

    /// Returns its body as it runs and as it is shown: without comments.
    pub(crate) fn body(self) -> String {
        bare(self.file())
    }

    /// Finds the task whose body this is.
    pub(crate) fn of_body(body: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.body() == body)
    }

    /// Puts the script together, for one nonce and arguments in base64.
    pub(crate) fn script(self, nonce: &str, arguments: &str) -> String {
        let body = self.body();
        if self.stands_alone() {
            return body.replace("NONCE", nonce);
        }
        whole(self.functions(), &body, nonce, arguments)
    }
}

/// Puts the prelude, shared functions and a body together.
pub(crate) fn whole(files: &[&str], body: &str, nonce: &str, arguments: &str) -> String {
    let functions: String = files.iter().map(|file| bare(file)).collect();
    // The words of the prelude are replaced before anything else is put in, so that no word of a
    // body is ever taken for one of them.
    bare(PRELUDE)
        .replace("NONCE", nonce)
        .replace("ARGS", arguments)
        .replace(&format!("{FUNCTIONS_HERE}\n"), &functions)
        .replace(&format!("{BODY_HERE}\n"), body)
}

/// Puts together the script that inflates and runs another.
pub(crate) fn bootstrap(nonce: &str, payload: &str) -> String {
    bare(BOOTSTRAP)
        .replace("NONCE", nonce)
        .replace("PAYLOAD", payload)
}

/// The same for a script that is too long for it; its payload is made of ideographs.
pub(crate) fn dense_bootstrap(nonce: &str, payload: &str) -> String {
    bare(DENSE_BOOTSTRAP)
        .replace("NONCE", nonce)
        .replace("PAYLOAD", payload)
}

/// Drops comments, indentation and empty lines. The scripts have comments on lines of their own only,
/// and no text that spans lines.
pub(crate) fn bare(script: &str) -> String {
    let mut kept = String::with_capacity(script.len());
    for line in script.lines().map(str::trim) {
        let is_mark = line == FUNCTIONS_HERE || line == BODY_HERE;
        if line.is_empty() || (line.starts_with('#') && !is_mark) {
            continue;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// Every file of the folder, the ones of other modules too.
    fn files() -> Vec<(String, String)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/hypervisor/hyperv/scripts");
        let mut found: Vec<(String, String)> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(&path).unwrap())
            })
            .collect();
        found.sort();
        assert!(found.len() >= 20, "{}", found.len());
        found
    }

    fn assert_parses(name: &str, script: &str) {
        let wrong = mistakes(name, script);
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    /// Returns every place that the grammar of PowerShell does not know.
    fn mistakes(name: &str, script: &str) -> Vec<String> {
        let mut parser = tree_sitter::Parser::new();
        parser
            .set_language(&tree_sitter_powershell::LANGUAGE.into())
            .unwrap();
        let tree = parser.parse(script, None).unwrap();
        let mut cursor = tree.walk();
        let mut wrong = Vec::new();
        loop {
            let node = cursor.node();
            if node.is_error() || node.is_missing() {
                let place = node.start_position();
                let text: String = script
                    .get(node.byte_range())
                    .unwrap()
                    .chars()
                    .take(80)
                    .collect();
                wrong.push(format!("{name}:{}: {text:?}", place.row + 1));
            }
            if cursor.goto_first_child() || cursor.goto_next_sibling() {
                continue;
            }
            while cursor.goto_parent() && !cursor.goto_next_sibling() {}
            if cursor.node().parent().is_none() {
                break;
            }
        }
        wrong
    }

    #[test]
    fn every_file_is_powershell_in_ascii_and_says_what_it_is_for() {
        for (name, script) in files() {
            assert!(
                Path::new(&name).extension().is_some_and(|end| end == "ps1"),
                "{name}"
            );
            assert!(script.is_ascii(), "{name}");
            assert!(!script.contains('\r') && !script.contains('\t'), "{name}");
            assert!(
                script.starts_with("# "),
                "{name} does not say what it is for"
            );
            assert!(!script.contains("@'") && !script.contains("@\""), "{name}");
            // Reading it would hang Windows PowerShell behind its SSH server.
            assert!(!script.to_lowercase().contains("$input"), "{name}");
            // The grammar takes a block without statements for a mistake.
            assert_parses(&name, &script.replace(BODY_HERE, "$null"));
        }
    }

    #[test]
    fn the_grammar_that_judges_finds_mistakes() {
        for bad in [
            "if ($x { 1 }",
            "function { param( }",
            "$a = @{ b = ",
            "'open",
        ] {
            assert!(!mistakes("bad", bad).is_empty(), "{bad}");
        }
    }

    #[test]
    fn put_together_a_script_is_still_powershell_and_holds_no_open_place() {
        for task in Task::ALL {
            let script = task.script("0123456789abcdef", "e30=");
            assert_parses(task.name(), &script);
            for word in ["NONCE", "ARGS", "PAYLOAD", "#<"] {
                assert!(!script.contains(word), "{}: {word}", task.name());
            }
        }
        assert_parses("bootstrap", &bootstrap("0123456789abcdef", "H4s="));
        assert_parses(
            "dense",
            &dense_bootstrap("0123456789abcdef", "\u{4e00}\u{8dff}"),
        );
    }

    #[test]
    fn what_changes_a_vm_never_names_it_and_never_asks() {
        for task in Task::ALL {
            let body = task.body();
            for line in body.lines().filter(|line| line.contains("Hyper-V\\")) {
                assert!(
                    !line.contains(" -Name") && !line.contains(" -VMName"),
                    "{line}"
                );
            }
            for line in body.lines().filter(|line| line.contains("Hyper-V\\Set-")) {
                assert!(line.contains("-Confirm:$false"), "{line}");
            }
            // Unqualified, the name could be another product's command.
            for cmdlet in ["Get-VM", "Set-VM", "Get-VHD"] {
                for (at, _) in body.match_indices(cmdlet) {
                    assert!(
                        body.split_at(at).0.ends_with("Hyper-V\\"),
                        "{}: {cmdlet}",
                        task.name()
                    );
                }
            }
        }
    }

    #[test]
    fn a_task_is_found_by_its_body_and_by_nothing_else() {
        for task in Task::ALL {
            assert_eq!(Task::of_body(&task.body()), Some(task));
        }
        assert_eq!(Task::of_body("Remove-Item C:\\"), None);
        assert_eq!(Task::of_body(""), None);
    }
}
