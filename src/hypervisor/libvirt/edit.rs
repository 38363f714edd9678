//! What a VM is set up with: how it is read from its definition, and which commands change it. What is read and
//! changed is what libvirt keeps (`--inactive`, `--config`), not what runs: <https://libvirt.org/manpages/virsh.html>.
//! Nothing here decides whether it may be changed.

use std::time::Duration;

use roxmltree::Node;

use super::command::{Line, Virsh};
use super::definition::{bounded, child, content, parsed};
use super::detail::autostart;
use super::kept::Reply;
use super::parse::{Misshapen, labelled};
use super::verdict::{judge_said, unparsable};
use super::worker::{Patience, Worker};
use crate::domain::edit::{EditRequest, VmSettings};
use crate::domain::remote_command::RemoteCommand;
use crate::domain::text::RemoteText;
use crate::domain::units::Bytes;
use crate::domain::vm::{PowerState, VmId};
use crate::hypervisor::HypervisorError;

/// How long both questions may take.
const WITHIN: Duration = Duration::from_secs(8);

/// What is asked.
pub(super) fn questions(vm: &VmId) -> [Line; 2] {
    [
        Line::about("dumpxml", vm).with("--inactive"),
        Line::about("dominfo", vm),
    ]
}

/// Reads what a VM is set up with.
pub(super) async fn read(worker: &Worker, vm: &VmId) -> Result<VmSettings, HypervisorError> {
    let replies = worker
        .ask(&questions(vm), WITHIN, Patience::Expects)
        .await?;
    let sound = |at: usize| {
        let missing = || unparsable(&Misshapen::new("an answer is missing", b""));
        let reply: &Reply = replies.get(at).ok_or_else(missing)?;
        match &reply.failure {
            Some(said) => Err(judge_said(worker.virsh(), said.clone())),
            None => Ok(&reply.stdout),
        }
    };
    let mut settings = defined(sound(0)?).map_err(|problem| unparsable(&problem))?;
    settings.autostart = autostart(&labelled(sound(1)?));
    Ok(settings)
}

/// Reads what a definition says of it.
pub(super) fn defined(xml: &[u8]) -> Result<VmSettings, Misshapen> {
    let text = bounded(xml)?;
    let document = parsed(&text)?;
    let root = document.root_element();
    if root.tag_name().name() != "domain" {
        let name = root.tag_name().name();
        return Err(Misshapen::new("no domain", name.as_bytes()));
    }
    let words = |name| {
        Some(
            child(root, name)
                .and_then(content)
                .unwrap_or(RemoteText::new("")),
        )
    };
    let vcpu = child(root, "vcpu");
    let vcpus_max = vcpu.and_then(|node| node.text()?.trim().parse().ok());
    let now = vcpu.and_then(|node| node.attribute("current")?.parse().ok());
    let memory_max = child(root, "memory").and_then(size);
    Ok(VmSettings {
        vcpus: now.or(vcpus_max),
        vcpus_max,
        memory: child(root, "currentMemory").and_then(size).or(memory_max),
        memory_max,
        memory_min: None,
        autostart: None,
        title: words("title"),
        description: words("description"),
    })
}

/// libvirt writes sizes in KiB, which is also what no unit means.
fn size(node: Node<'_, '_>) -> Option<Bytes> {
    if !matches!(node.attribute("unit"), None | Some("KiB" | "k")) {
        return None;
    }
    node.text()?.trim().parse().ok().map(Bytes::from_kib)
}

/// Builds the commands of a change: one for each setting, two where the most that a VM may have goes along.
pub(super) fn commands(
    virsh: &Virsh,
    vm: &VmId,
    request: &EditRequest,
    life: Duration,
) -> Vec<RemoteCommand> {
    let mut all: Vec<RemoteCommand> = Vec::new();
    let command = |words: &[&str]| {
        let (name, rest) = words.split_first().unwrap_or((&"", &[]));
        let command = virsh.kept().arg(*name).arg(vm.as_str());
        command.args(rest.iter().copied()).life(life)
    };
    let (was, changes) = (&request.was, &request.changes);
    if let Some(count) = changes.vcpus {
        let text = count.to_string();
        let count_now = command(&["setvcpus", &text, "--config"]);
        let most = command(&["setvcpus", &text, "--config", "--maximum"]);
        all.extend(in_order(
            (was.vcpus.map(u64::from), was.vcpus_max.map(u64::from)),
            u64::from(count),
            (count_now, most),
        ));
    }
    if let Some(wanted) = changes.memory {
        let text = (wanted.0 / 1024).to_string();
        let now = command(&["setmem", &text, "--config"]);
        let most = command(&["setmaxmem", &text, "--config"]);
        let size = |size: Option<Bytes>| size.map(|size| size.0);
        all.extend(in_order(
            (size(was.memory), size(was.memory_max)),
            wanted.0,
            (now, most),
        ));
    }
    match changes.autostart {
        Some(true) => all.push(command(&["autostart"])),
        Some(false) => all.push(command(&["autostart", "--disable"])),
        None => {}
    }
    // Words about it are no hardware: what runs takes them over at once.
    let runs = matches!(request.state, PowerState::Running | PowerState::Paused);
    let scope: &[&str] = if runs {
        &["--live", "--config"]
    } else {
        &["--config"]
    };
    for (flag, text) in [
        (Some("--title"), &changes.title),
        (None, &changes.description),
    ] {
        if let Some(text) = text {
            let mut words = vec!["desc"];
            words.extend(scope);
            words.extend(flag);
            words.extend(["--new-desc", text.as_str()]);
            all.push(command(&words));
        }
    }
    all
}

/// Puts the command about what a VM has and the one about the most that it may have in an order in which the
/// first is never more than the second. The most goes along where the VM has all of it, or where it is not enough.
fn in_order(
    (had, most): (Option<u64>, Option<u64>),
    wanted: u64,
    (now, maximum): (RemoteCommand, RemoteCommand),
) -> Vec<RemoteCommand> {
    let grows = most.is_none_or(|most| wanted > most);
    let goes_along = had == most;
    match (grows, goes_along) {
        (true, _) => vec![maximum, now],
        (false, true) => vec![now, maximum],
        (false, false) => vec![now],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::edit::Changes;
    use crate::domain::host::{Endpoint, HostSpec};

    const XML: &[u8] = b"<domain type='kvm'><title>T</title><memory unit='KiB'>2097152</memory>\
        <currentMemory unit='KiB'>1048576</currentMemory><vcpu placement='static' current='2'>4</vcpu></domain>";

    fn lines(was: VmSettings, changes: Changes, state: PowerState) -> Vec<String> {
        let spec = HostSpec::new("kvm1".parse().unwrap(), Endpoint::new("kvm1", 22));
        let vm = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let request = EditRequest::new(was, changes, state).unwrap();
        let life = Duration::from_secs(60);
        commands(&Virsh::of(&spec), &vm, &request, life)
            .iter()
            .map(|command| {
                assert_eq!(command.life, Some(life));
                let shown = command.shown_line();
                shown.replace("virsh -q ", "").replace(vm.as_str(), "ID")
            })
            .collect()
    }

    #[test]
    fn a_definition_tells_what_it_is_set_up_with() {
        let settings = defined(XML).unwrap();
        assert_eq!((settings.vcpus, settings.vcpus_max), (Some(2), Some(4)));
        assert_eq!(settings.memory, Some(Bytes::from_mib(1024)));
        assert_eq!(settings.memory_max, Some(Bytes::from_mib(2048)));
        assert_eq!(settings.title, Some(RemoteText::new("T")));
        assert_eq!(settings.description, Some(RemoteText::new("")));
        assert!(defined(b"<network/>").is_err());
        let odd = defined(b"<domain><memory unit='GiB'>1</memory><vcpu>x</vcpu></domain>").unwrap();
        assert_eq!((odd.memory, odd.vcpus), (None, None));
    }

    #[test]
    fn what_it_has_never_exceeds_what_it_may_have() {
        let changes = |vcpus, mib| Changes {
            vcpus: Some(vcpus),
            memory: Some(Bytes::from_mib(mib)),
            ..Changes::default()
        };
        let split = defined(XML).unwrap();
        assert_eq!(
            lines(split.clone(), changes(3, 1536), PowerState::Stopped),
            ["setvcpus ID 3 --config", "setmem ID 1572864 --config"]
        );
        assert_eq!(
            lines(split.clone(), changes(8, 4096), PowerState::Stopped),
            [
                "setvcpus ID 8 --config --maximum",
                "setvcpus ID 8 --config",
                "setmaxmem ID 4194304 --config",
                "setmem ID 4194304 --config",
            ]
        );
        let whole = VmSettings {
            vcpus: Some(4),
            memory: split.memory_max,
            ..split
        };
        assert_eq!(
            lines(whole, changes(1, 512), PowerState::Stopped),
            [
                "setvcpus ID 1 --config",
                "setvcpus ID 1 --config --maximum",
                "setmem ID 524288 --config",
                "setmaxmem ID 524288 --config",
            ]
        );
    }

    #[test]
    fn words_are_words_of_their_own_and_reach_what_runs() {
        let changes = Changes {
            autostart: Some(false),
            title: Some(String::new()),
            description: Some("--config; it's\n$(x)".to_owned()),
            ..Changes::default()
        };
        assert_eq!(
            lines(defined(XML).unwrap(), changes.clone(), PowerState::Running),
            [
                "autostart ID --disable",
                "desc ID --live --config --title --new-desc ''",
                "desc ID --live --config --new-desc '--config; it'\\''s\n$(x)'",
            ]
        );
        let off = lines(defined(XML).unwrap(), changes, PowerState::Saved);
        assert_eq!(off[1], "desc ID --config --title --new-desc ''");
    }
}
