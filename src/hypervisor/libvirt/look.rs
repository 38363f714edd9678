//! The driver's questions as data: what a recording asks and what it has to hide. Pure.

use super::command::{Line, QUESTION_LIFE, Virsh, tick};
use super::driver::{STATES, list, numbers, probe_lines};
use super::facts::flag_questions;
use super::{detail, snapshot, uptime};
use crate::domain::redact::Private;
use crate::domain::vm::VmId;
use crate::hypervisor::{AnswerForm, Question};

/// Name of the question to the process table, which is not one to `virsh`.
const PROCESSES: &str = "(processes)";

/// What is asked for a recording: of the host, then of each VM.
pub(super) fn questions(virsh: &Virsh, vms: &[VmId]) -> Vec<Question> {
    let of_host = probe_lines()
        .into_iter()
        .chain([Line::new("nodecpustats"), list(), numbers()])
        .chain(STATES.map(|(question, _)| Line::new(question)))
        .chain(flag_questions())
        .chain([tick()]);
    let of_vms = vms.iter().flat_map(|vm| {
        let snapshots = snapshot::outline_questions(vm);
        detail::questions(vm).into_iter().chain(snapshots)
    });
    let processes = Question {
        name: PROCESSES.to_owned(),
        command: uptime::question(),
        within: QUESTION_LIFE,
        form: AnswerForm::Text,
    };
    of_host
        .chain(of_vms)
        .map(|line| Question {
            name: line.as_str().to_owned(),
            command: virsh.once(&line, QUESTION_LIFE),
            within: QUESTION_LIFE,
            form: AnswerForm::Text,
        })
        .chain([processes])
        .collect()
}

/// Places of a definition that hold a person's own words.
pub(super) fn private() -> Private {
    Private {
        between: vec![
            ("<title>", "</title>"),
            ("<description>", "</description>"),
            ("<serial>", "</serial>"),
            ("<wwn>", "</wwn>"),
            ("username='", "'"),
            ("passwd='", "'"),
            // What a disk is fetched with over HTTP, and what a guest is started with.
            ("query='", "'"),
            ("<cmdline>", "</cmdline>"),
        ],
        // Any program's own words; credentials of systemd and of QEMU's firmware configuration; words of
        // QEMU's own command line and environment.
        elements: vec!["metadata", "sysinfo", "qemu:commandline"],
        ..Private::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::spec;
    use super::*;

    const READING: [&str; 14] = [
        "version",
        "uri",
        "nodeinfo",
        "nodememstats",
        "nodecpustats",
        "list",
        "domstats",
        "dumpxml",
        "dominfo",
        "domblkinfo",
        "snapshot-current",
        "snapshot-list",
        "domifaddr",
        "(processes)",
    ];

    #[test]
    fn no_secret_of_a_definition_is_left() {
        let definition = "<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n\
            <metadata xmlns:a='u'><a:b key='hunter2'/></metadata>\n\
            <os><cmdline>ro token=hunter2</cmdline></os>\n\
            <sysinfo type='smbios'>\n<oemStrings>\n<entry>io.systemd.credential:root=hunter2</entry>\n\
            </oemStrings>\n</sysinfo>\n<sysinfo type='fwcfg'>\n<entry name='opt/x'>hunter2</entry>\n</sysinfo>\n\
            <vcpu>2</vcpu>\n<source protocol='https' name='a.iso' query='token=hunter2'/>\n\
            <graphics type='vnc' passwd='hunter2'/>\n<qemu:commandline>\n\
            <qemu:arg value='secret,id=s0,data=hunter2'/>\n<qemu:env name='T' value='hunter2'/>\n\
            </qemu:commandline>\n</domain>\n";
        let shown = crate::domain::redact::Redactor::new(private()).text(definition);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(
            shown.contains("<vcpu>2</vcpu>\n<source protocol='https'"),
            "{shown}"
        );
        roxmltree::Document::parse(&shown).unwrap();
    }

    #[test]
    fn nothing_that_is_asked_changes_anything() {
        let id = VmId::parse("6c09bb55-d683-4da0-8931-c9bf705f6480").unwrap();
        let questions = questions(&Virsh::of(&spec()), &[id]);
        for question in &questions {
            let word = question.name.split(' ').next().unwrap();
            assert!(READING.contains(&word), "{}", question.name);
            assert!(!question.name.contains("security-info"));
            assert!(question.command.life.is_some(), "{}", question.name);
        }
        assert!(questions.len() > 18);
    }
}
