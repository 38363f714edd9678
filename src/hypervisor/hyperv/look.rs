//! The driver's questions and checks as data: what a recording asks, what it has to hide, what a check of
//! the host says. Pure.

use std::time::Duration;

use super::command::PROGRAMS;
use super::envelope::{Nonce, seal};
use super::facts::{HostFacts, Namespace};
use super::script::Task;
use crate::domain::error_kind::Classify;
use crate::domain::redact::Private;
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::vm::VmId;
use crate::hypervisor::{AnswerForm, Check, HypervisorError, Question};

/// How long one script may take.
const WITHIN: Duration = Duration::from_secs(30);

/// The frames of a recording all carry this nonce, so that one recording can be compared with another.
const NONCE: &str = "0000000000000000";

/// Components of the integration services: the same ids on every host (Microsoft: Hyper-V Integration
/// Services).
const COMPONENTS: [&str; 6] = [
    "6c09bb55-d683-4da0-8931-c9bf705f6480",
    "84eaae65-2f2e-45f5-9bb5-0e857dc8eb47",
    "2a34b1c2-fd73-4043-8a5b-dd2159bc743f",
    "9f8233ac-be49-4c79-8ee3-e7e1985b2077",
    "2497f4de-e9fa-4204-80e4-4b75c46419c0",
    "5ced1297-4598-4915-a5fc-ad21bb4d02a4",
];

/// Everything that is asked: of the host in every way that the driver has, then of each VM.
pub(super) fn questions(program: Option<&str>, vms: &[VmId]) -> Vec<Question> {
    let of_host = [
        (Task::Probe, "{}".to_owned()),
        (Task::List, "{\"scope\":\"fast\"}".to_owned()),
        (Task::List, "{\"scope\":\"full\"}".to_owned()),
        (Task::ListCmdlets, "{\"scope\":\"full\"}".to_owned()),
        (Task::ConstrainedProbe, "{}".to_owned()),
        (Task::ConstrainedList, "{}".to_owned()),
    ];
    let of_vms = vms
        .iter()
        .map(|vm| (Task::Detail, format!("{{\"id\":\"{vm}\"}}")));
    let program = program.unwrap_or(PROGRAMS[0]);
    of_host
        .into_iter()
        .chain(of_vms)
        .filter_map(|(task, arguments)| question(program, task, &arguments))
        .collect()
}

/// A script that cannot be packed is no question; the driver itself fails on it in so many words.
fn question(program: &str, task: Task, arguments: &str) -> Option<Question> {
    let mut shown = RemoteCommand::powershell(task.name(), arguments).life(WITHIN);
    program.clone_into(&mut shown.program);
    let command = seal(shown, task, arguments, &Nonce::of_recordings(NONCE)).ok()?;
    Some(Question {
        name: format!("{} {arguments}", task.name()),
        command,
        within: WITHIN,
        form: AnswerForm::Frames { mark: "@@HV1 " },
    })
}

/// What the probe has learnt about host and account, and where people write what they like.
pub(super) fn private(facts: Option<&HostFacts>) -> Private {
    let mut private = Private {
        members: vec![
            "notes",
            "checkpoints.name",
            "switch",
            "disks.name",
            "cards.name",
        ],
        keep: COMPONENTS.to_vec(),
        ..Private::default()
    };
    let Some(facts) = facts else {
        return private;
    };
    private
        .hosts
        .extend(facts.host.iter().map(|host| host.raw().to_owned()));
    if let Some(user) = &facts.user {
        match user.raw().split_once('\\') {
            Some((domain, account)) => {
                private.hosts.push(domain.to_owned());
                private.users.push(account.to_owned());
            }
            None => private.users.push(user.raw().to_owned()),
        }
    }
    private
}

/// What a host's facts mean, step by step; `failed` is why there are none.
pub(super) fn checks(facts: Result<&HostFacts, HypervisorError>) -> Vec<Check> {
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => {
            let fix = error.hint().map(|hint| hint.0);
            let seen = error.to_string();
            return vec![Check {
                fix,
                ..Check::wrong("tool", &seen, "")
            }];
        }
    };
    let mut checks = vec![shell(facts), language(facts), hyperv(facts)];
    // Without Hyper-V there is neither its service nor anything to be allowed.
    if checks.iter().all(|check| check.ok != Some(false)) || is_there(facts) {
        checks.extend([service(facts), permission(facts)]);
        checks.extend(cluster(facts));
    }
    checks
}

fn is_there(facts: &HostFacts) -> bool {
    !matches!(facts.namespace, Namespace::Missing) || facts.has_module() || facts.vmms().is_some()
}

fn is_workstation(facts: &HostFacts) -> bool {
    facts.product_type == Some(1)
}

fn shell(facts: &HostFacts) -> Check {
    let seen = format!("{} on {}", facts.shell(), facts.release().raw());
    let fine = Check::fine("tool", &seen);
    if facts.edition.as_ref().map(RemoteText::raw) == Some("Core") {
        return fine.better_with(
            "Windows PowerShell was not found, and PowerShell 7 sees less on old systems: put \
             %SystemRoot%\\System32\\WindowsPowerShell\\v1.0 back into the system's Path and restart sshd",
        );
    }
    fine
}

fn language(facts: &HostFacts) -> Check {
    let Some(mode) = &facts.language_mode else {
        return Check::unknown("language", "the language mode was not told");
    };
    if facts.is_constrained() {
        return Check::wrong(
            "language",
            &format!("{mode}: VMs can be read and not changed"),
            "let the application control policy of the host (AppLocker or WDAC) trust this account's scripts",
        );
    }
    Check::fine("language", mode.raw())
}

/// Whether Hyper-V is there, by its CIM namespace and by its module.
fn hyperv(facts: &HostFacts) -> Check {
    let step = "hyper-v";
    let (whole, module) = if is_workstation(facts) {
        (
            "Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V -All",
            "Enable-WindowsOptionalFeature -Online -FeatureName Microsoft-Hyper-V-Management-PowerShell",
        )
    } else {
        (
            "Install-WindowsFeature Hyper-V -IncludeManagementTools -Restart",
            "Install-WindowsFeature Hyper-V-PowerShell",
        )
    };
    let has_module = facts.module.is_none() || facts.has_module();
    match &facts.namespace {
        Namespace::Missing if !facts.has_module() && facts.vmms().is_none() => Check::wrong(
            step,
            "Hyper-V is not installed here",
            format!("run `{whole}` on the host"),
        ),
        Namespace::Missing => Check::wrong(
            step,
            "its CIM namespace is missing",
            "run `mofcomp %SystemRoot%\\System32\\WindowsVirtualization.V2.mof` on the host",
        ),
        Namespace::Failed(said) => Check::wrong(
            step,
            &format!("its CIM namespace does not answer: {said}"),
            "run `Restart-Service vmms` on the host; VMs go on running",
        ),
        // What that means is a question of permission.
        Namespace::Denied(_) => Check::fine(step, "its CIM namespace is there"),
        Namespace::NotAsked => Check::unknown(step, "its CIM namespace was not asked"),
        Namespace::Answers { .. } if !has_module => Check::fine(
            step,
            "answers, but its PowerShell module is missing: no details and no autostart",
        )
        .better_with(format!("run `{module}` on the host")),
        Namespace::Answers { .. } => {
            let versions: Vec<&str> = facts.module.iter().flatten().map(RemoteText::raw).collect();
            let seen = match versions.as_slice() {
                [] => "answers".to_owned(),
                known => format!("answers, module {}", known.join(" and ")),
            };
            Check::fine(step, &seen)
        }
    }
}

fn service(facts: &HostFacts) -> Check {
    match facts.vmms() {
        None => Check::unknown("service", "vmms was not found"),
        Some(state) if facts.vmms_is_down() => Check::wrong(
            "service",
            &format!("vmms is {state}"),
            "run `Start-Service vmms` on the host",
        ),
        Some(state) => Check::fine("service", &format!("vmms is {state}")),
    }
}

fn permission(facts: &HostFacts) -> Check {
    let step = "permission";
    let user = facts
        .user
        .as_ref()
        .map_or("USER", |user| user.raw())
        .replace('\'', "''");
    let join = format!(
        "run `Add-LocalGroupMember -SID S-1-5-32-578 -Member '{user}'` on the host; it counts from the next login"
    );
    if let Namespace::Denied(said) = &facts.namespace {
        return Check::wrong(step, &format!("denied: {said}"), join);
    }
    match facts.may_manage() {
        Some(true) if facts.is_admin == Some(true) => Check::fine(step, "member of Administrators"),
        Some(true) => Check::fine(step, "member of Hyper-V Administrators"),
        Some(false) => Check::wrong(
            step,
            &format!(
                "{user} is in neither Administrators nor Hyper-V Administrators, so an empty list proves nothing"
            ),
            join,
        ),
        None => Check::unknown(step, "the account's groups were not told"),
    }
}

fn cluster(facts: &HostFacts) -> Option<Check> {
    facts.is_clustered().then(|| {
        Check::fine(
            "cluster",
            "member of a failover cluster: VMs may move to another host",
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::envelope::tests::{nonce_of, opened};
    use super::super::facts::{self, tests::healthy};
    use super::super::failure::Record;
    use super::*;

    fn facts_of(change: impl FnOnce(&mut Value)) -> HostFacts {
        let mut answer = healthy();
        change(&mut answer);
        facts::read(&answer, &[]).unwrap()
    }

    fn told(facts: &HostFacts) -> Vec<(&'static str, Option<bool>, Option<String>)> {
        checks(Ok(facts))
            .into_iter()
            .map(|check| (check.step, check.ok, check.fix))
            .collect()
    }

    fn namespace_fails(fqid: &str, change: impl FnOnce(&mut Value)) -> HostFacts {
        let mut answer = healthy();
        answer.as_object_mut().unwrap().remove("rows");
        change(&mut answer);
        let cim = "Microsoft.Management.Infrastructure.CimCmdlets.GetCimInstanceCommand";
        let record = Record::of_fqid(&format!("{fqid},{cim}"), "Ungültiger Namespace");
        facts::read(&answer, &[(RemoteText::new("namespace"), record)]).unwrap()
    }

    /// The finding of one step, with what mends it.
    fn find(facts: &HostFacts, step: &str) -> (Option<bool>, String) {
        let found = told(facts).into_iter().find(|(name, _, _)| *name == step);
        let (_, ok, fix) = found.unwrap_or_else(|| panic!("{step} was not looked at"));
        (ok, fix.unwrap_or_default())
    }

    #[test]
    fn a_healthy_host_has_nothing_to_mend() {
        let steps: Vec<_> = told(&facts_of(|_| {}));
        let names: Vec<&str> = steps.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(
            names,
            ["tool", "language", "hyper-v", "service", "permission"]
        );
        assert!(
            steps
                .iter()
                .all(|(_, ok, fix)| *ok == Some(true) && fix.is_none())
        );
    }

    #[test]
    fn without_hyperv_the_one_command_that_installs_it_is_named() {
        let gone = |answer: &mut Value| {
            answer["module"] = json!([]);
            answer["services"] = json!({"sshd": "Running"});
        };
        let server = namespace_fails("HRESULT 0x8004100e", gone);
        let (ok, fix) = find(&server, "hyper-v");
        assert_eq!(ok, Some(false));
        assert!(
            fix.contains("Install-WindowsFeature Hyper-V -IncludeManagementTools"),
            "{fix}"
        );
        assert!(told(&server).iter().all(|(step, _, _)| *step != "service"));
        let client = namespace_fails("HRESULT 0x8004100e", |answer| {
            gone(answer);
            answer["productType"] = json!(1);
        });
        assert!(
            find(&client, "hyper-v")
                .1
                .contains("Enable-WindowsOptionalFeature")
        );
    }

    #[test]
    fn without_its_module_hyperv_works_and_could_do_more() {
        let (ok, fix) = find(&facts_of(|answer| answer["module"] = json!([])), "hyper-v");
        assert_eq!(ok, Some(true));
        assert!(
            fix.contains("Install-WindowsFeature Hyper-V-PowerShell"),
            "{fix}"
        );
    }

    #[test]
    fn who_may_not_is_told_which_group_and_that_it_takes_a_new_login() {
        let stranger = facts_of(|answer| {
            answer["isHyperVAdmin"] = json!(false);
            answer["user"] = json!("HV1\\o'brien");
        });
        let denied = namespace_fails("HRESULT 0x80041003", |_| {});
        for (facts, user) in [(&stranger, "'HV1\\o''brien'"), (&denied, "'HV1\\ann'")] {
            let (ok, fix) = find(facts, "permission");
            assert_eq!(ok, Some(false));
            assert!(
                fix.contains(&format!("-SID S-1-5-32-578 -Member {user}")),
                "{fix}"
            );
            assert!(fix.contains("next login"), "{fix}");
        }
        let silent = facts_of(|answer| {
            answer["isAdmin"] = Value::Null;
            answer["isHyperVAdmin"] = Value::Null;
        });
        assert_eq!(find(&silent, "permission").0, None);
    }

    #[test]
    fn a_service_that_stands_still_is_started_and_a_namespace_that_fails_restarted() {
        let still = facts_of(|answer| answer["services"]["vmms"] = json!("Stopped"));
        let (ok, fix) = find(&still, "service");
        assert_eq!(
            (ok, fix.contains("Start-Service vmms")),
            (Some(false), true)
        );
        let (ok, fix) = find(&namespace_fails("HRESULT 0x80041001", |_| {}), "hyper-v");
        assert_eq!(
            (ok, fix.contains("Restart-Service vmms")),
            (Some(false), true)
        );
    }

    #[test]
    fn a_constrained_shell_and_a_missing_one_are_told() {
        let constrained = facts_of(|answer| answer["languageMode"] = json!("ConstrainedLanguage"));
        let (ok, fix) = find(&constrained, "language");
        assert_eq!((ok, fix.contains("AppLocker")), (Some(false), true));
        let core = facts_of(|answer| answer["edition"] = json!("Core"));
        let (ok, fix) = find(&core, "tool");
        assert_eq!((ok, fix.contains("restart sshd")), (Some(true), true));
        let missing = super::super::failure::no_powershell(&RemoteText::new("nicht gefunden"));
        let checks = checks(Err(missing));
        assert_eq!((checks[0].step, checks[0].ok), ("tool", Some(false)));
        assert!(checks[0].fix.as_ref().unwrap().contains("powershell.exe"));
    }

    #[test]
    fn questions_read_and_carry_the_nonce_of_recordings() {
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let questions = questions(None, &[id]);
        assert_eq!(questions.len(), 7);
        for question in &questions {
            let script = opened(&question.command);
            assert_eq!(nonce_of(&question.command), NONCE, "{}", question.name);
            for changing in ["Set-State", "Invoke-CimMethod", "Set-VM", "Stop-Process"] {
                assert!(!script.contains(changing), "{}: {changing}", question.name);
            }
            assert_eq!(question.command.stdin.as_deref(), Some(&[][..]));
        }
        assert_eq!(
            questions.last().unwrap().name,
            "detail.ps1 {\"id\":\"6c09bb55-d683-4da0-8931-c9bf705f6480\"}"
        );
    }

    #[test]
    fn host_and_account_are_private_with_and_without_a_domain() {
        let private_of =
            |user: &str| private(Some(&facts_of(|answer| answer["user"] = json!(user))));
        let domain = private_of("CORP\\ann");
        assert_eq!(domain.hosts, ["HV1", "CORP"]);
        assert_eq!(domain.users, ["ann"]);
        assert_eq!(private_of("ann").users, ["ann"]);
        assert!(private(None).hosts.is_empty());
    }
}
