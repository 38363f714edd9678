//! Checking and recording emulated Windows hosts with the real program, over real SSH.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::live::Lab;

const VMS: &str = r#"
[[host.vm]]
name = "payroll"
state = "running"
notes = "ask Bob in room 12"
addresses = ["10.33.0.7"]
checkpoints = [{ name = "before the merger", age_h = 5 }]
[[host.vm]]
name = "archive"
state = "off"
"#;

/// Hosts in one scenario, each with what is wrong with it.
fn hosts(all: &[(&str, &str, &str)]) -> Lab {
    let mut scenario = String::from("seed = 5\n");
    for (name, keys, faults) in all {
        writeln!(
            scenario,
            "\n[[host]]\nname = \"{name}\"\nkind = \"hyperv\"\n{keys}\n[host.faults]\n{faults}\n{VMS}"
        )
        .unwrap();
    }
    Lab::of(&scenario)
}

/// What the doctor finds, by step.
fn examine(lab: &Lab, name: &str) -> Vec<Value> {
    let told = lab.deck.run(&["host", "doctor", name, "--json"]);
    assert!(matches!(told.code, 0 | 1), "{told:?}");
    told.json().as_array().unwrap().clone()
}

fn find<'a>(findings: &'a [Value], step: &str) -> &'a Value {
    let found = findings.iter().find(|finding| finding["step"] == step);
    found.unwrap_or_else(|| panic!("{step} is not among {findings:#?}"))
}

#[test]
fn healthy_windows_hosts_pass_every_step_behind_any_shell_in_any_language() {
    let lab = hosts(&[
        ("cmd-en", "", ""),
        (
            "ps-de",
            "windows = \"2019\"\nlanguage = \"de\"\nshell = \"powershell\"",
            "banner = \"Willkommen auf dem Server\"",
        ),
        ("client", "windows = \"11\"\npowershell = \"both\"", ""),
    ]);
    for name in ["cmd-en", "ps-de", "client"] {
        let findings = examine(&lab, name);
        assert!(
            findings.iter().all(|finding| finding["ok"] == true),
            "{name}: {findings:#?}"
        );
        for step in [
            "shell",
            "tool",
            "language",
            "hyper-v",
            "service",
            "permission",
            "latency",
        ] {
            find(&findings, step);
        }
    }
    // What the host is, is found out where nobody has said so.
    lab.deck
        .run(&["host", "edit", "cmd-en", "--kind", "auto"])
        .expect(0);
    let found = examine(&lab, "cmd-en");
    assert_eq!(find(&found, "hyper-v")["ok"], true, "{found:#?}");
    let german = examine(&lab, "ps-de");
    let shell = find(&german, "shell");
    assert!(
        shell["seen"].as_str().unwrap().contains("Willkommen"),
        "{shell}"
    );
    assert!(shell["fix"].is_string(), "{shell}");
    let tool = find(&german, "tool")["seen"].as_str().unwrap().to_owned();
    assert!(
        tool.contains("Windows PowerShell 5.1") && tool.contains("Server 2019"),
        "{tool}"
    );
}

#[test]
fn what_a_windows_host_lacks_is_named_with_the_command_that_mends_it() {
    let german = "language = \"de\"";
    let cases = [
        (
            "bare",
            "",
            "no_namespace = true\nmodule = \"missing\"",
            "hyper-v",
            "Install-WindowsFeature Hyper-V",
        ),
        (
            "bare11",
            "windows = \"11\"",
            "no_namespace = true\nmodule = \"missing\"",
            "hyper-v",
            "Enable-WindowsOptionalFeature",
        ),
        (
            "stranger",
            german,
            "account = \"neither\"\nwmi_denial = \"empty\"",
            "permission",
            "S-1-5-32-578",
        ),
        (
            "denied",
            german,
            "account = \"neither\"\nwmi_denial = \"error\"",
            "permission",
            "S-1-5-32-578",
        ),
        (
            "still",
            german,
            "service_stopped = true",
            "service",
            "Start-Service vmms",
        ),
        (
            "locked",
            "",
            "constrained_language = true",
            "language",
            "AppLocker",
        ),
    ];
    let all: Vec<(&str, &str, &str)> = cases
        .iter()
        .map(|(name, keys, faults, _, _)| (*name, *keys, *faults))
        .collect();
    let lab = hosts(&all);
    for (name, _, _, step, fix) in cases {
        let findings = examine(&lab, name);
        let finding = find(&findings, step);
        assert_eq!(finding["ok"], false, "{name}: {findings:#?}");
        let said = finding["fix"].as_str().unwrap_or_default();
        assert!(said.contains(fix), "{name}: {finding}");
    }
}

#[test]
fn a_windows_host_that_could_do_more_is_told_so() {
    let lab = hosts(&[
        ("lean", "", "module = \"missing\""),
        ("seven", "windows = \"2016\"\npowershell = \"7\"", ""),
    ]);
    for (name, step, fix) in [
        (
            "lean",
            "hyper-v",
            "Install-WindowsFeature Hyper-V-PowerShell",
        ),
        ("seven", "tool", "restart sshd"),
    ] {
        let findings = examine(&lab, name);
        let finding = find(&findings, step);
        assert_eq!(finding["ok"], true, "{name}: {findings:#?}");
        assert!(
            finding["fix"].as_str().unwrap().contains(fix),
            "{name}: {finding}"
        );
    }
}

#[test]
fn a_windows_host_is_recorded_without_a_word_of_its_owner() {
    let lab = hosts(&[(
        "hv1",
        "language = \"de\"\nshell = \"powershell\"",
        "banner = \"Hallo\"",
    )]);
    let out = lab.deck.home().join("recorded");
    lab.deck
        .run(&["host", "record", "hv1", "--out", out.to_str().unwrap()])
        .expect(0);
    let mut whole = String::new();
    let mut details = 0;
    for entry in std::fs::read_dir(&out).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        details += usize::from(text.starts_with("detail.ps1 "));
        for line in text.lines() {
            let payload = line.split(' ').next_back().unwrap_or_default();
            let frame = line.starts_with("@@HV1 0000000000000000 ");
            match STANDARD.decode(payload) {
                Ok(json) if frame => whole.push_str(&String::from_utf8(json).unwrap()),
                _ => whole.push_str(line),
            }
            whole.push('\n');
        }
    }
    assert_eq!(details, 2);
    for word in ["payroll", "archive", "Bob", "10.33.0.7", "merger"] {
        assert!(!whole.contains(word), "{word} is still there:\n{whole}");
    }
    for word in [
        "\"vm-1\"",
        "192.0.2.",
        "\"text ",
        "Hallo",
        "list.ps1 {\"scope\":\"full\"}",
    ] {
        assert!(whole.contains(word), "{word} is not there:\n{whole}");
    }
    let manifest: Value =
        serde_json::from_slice(&std::fs::read(out.join("manifest.json")).unwrap()).unwrap();
    assert_eq!(manifest["hypervisor"], "hyperv");
    assert_eq!(
        manifest["unanswered"],
        serde_json::json!([]),
        "{manifest:#}"
    );
}
