//! `virsh dumpxml`: a domain's definition, in the shape libvirt 9.0.0 writes it.

use super::options::Command;
use super::said::{Said, put_line};
use super::stats::interface_name;
use crate::sim::store::network_of;
use crate::sim::vm::SimVm;

/// Writes the definition.
pub(super) fn dumpxml(vm: &SimVm, command: &Command) -> Said {
    let live = vm.id.filter(|_| !command.has("inactive"));
    let mut out = String::with_capacity(3000);
    let id = live.map_or_else(String::new, |id| format!(" id='{id}'"));
    put_line!(&mut out, "<domain type='kvm'{id}>");
    put_line!(&mut out, "  <name>{}</name>", escaped(&vm.plan.name));
    put_line!(&mut out, "  <uuid>{}</uuid>", vm.plan.uuid);
    // What is kept, or what runs.
    let runs = live.is_some();
    let (title, text) = if runs {
        (&vm.plan.title, &vm.plan.description)
    } else {
        (&vm.kept.title, &vm.kept.description)
    };
    if let Some(title) = title {
        put_line!(&mut out, "  <title>{}</title>", escaped(title));
    }
    if let Some(text) = text {
        put_line!(&mut out, "  <description>{}</description>", escaped(text));
    }
    let (memory, most) = if runs {
        (vm.plan.memory_kib, vm.plan.memory_kib)
    } else {
        (vm.kept.memory_kib, vm.kept.memory_max_kib)
    };
    put_line!(&mut out, "  <memory unit='KiB'>{most}</memory>");
    put_line!(
        &mut out,
        "  <currentMemory unit='KiB'>{memory}</currentMemory>"
    );
    let (count, most) = if runs {
        (vm.plan.vcpus, vm.plan.vcpus)
    } else {
        (vm.kept.vcpus, vm.kept.vcpus_max)
    };
    let current = if count == most {
        String::new()
    } else {
        format!(" current='{count}'")
    };
    put_line!(
        &mut out,
        "  <vcpu placement='static'{current}>{most}</vcpu>"
    );
    out.push_str(MACHINE);
    devices(&mut out, vm, runs);
    out.push_str("</domain>\n");
    Said::out(out)
}

const MACHINE: &str = "  <os>
    <type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
  <cpu mode='host-passthrough' check='none' migratable='on'/>
  <clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>preserve</on_crash>
";

fn devices(out: &mut String, vm: &SimVm, live: bool) {
    // Running domains show what libvirt has added: aliases, indexes, the host's end of a card.
    let alias = |name: &str| {
        if live {
            format!("      <alias name='{name}'/>\n")
        } else {
            String::new()
        }
    };
    let index = if live { " index='1'" } else { "" };
    out.push_str("  <devices>\n    <emulator>/usr/bin/qemu-system-x86_64</emulator>\n");
    put_line!(out, "    <disk type='file' device='disk'>");
    put_line!(out, "      <driver name='qemu' type='qcow2'/>");
    let path = escaped(&vm.disk_path());
    put_line!(out, "      <source file='{path}'{index}/>");
    if live {
        put_line!(out, "      <backingStore/>");
    }
    put_line!(out, "      <target dev='vda' bus='virtio'/>");
    out.push_str(&alias("virtio-disk0"));
    put_line!(out, "    </disk>");
    put_line!(out, "    <disk type='file' device='cdrom'>");
    put_line!(out, "      <driver name='qemu' type='raw'/>");
    put_line!(out, "      <target dev='sda' bus='sata'/>");
    put_line!(out, "      <readonly/>");
    out.push_str(&alias("sata0-0-0"));
    put_line!(out, "    </disk>");
    let network = network_of(vm);
    let kind = network.map_or("bridge", |_| "network");
    put_line!(out, "    <interface type='{kind}'>");
    put_line!(out, "      <mac address='{}'/>", vm.mac());
    let source = network.map_or("bridge='br0'".to_owned(), |name| {
        format!("network='{name}'")
    });
    put_line!(out, "      <source {source}/>");
    if live {
        put_line!(out, "      <target dev='{}'/>", interface_name(vm));
    }
    put_line!(out, "      <model type='virtio'/>");
    out.push_str(&alias("net0"));
    put_line!(out, "    </interface>");
    if vm.plan.agent {
        put_line!(out, "    <channel type='unix'>");
        put_line!(
            out,
            "      <target type='virtio' name='org.qemu.guest_agent.0'/>"
        );
        out.push_str(&alias("channel0"));
        put_line!(out, "    </channel>");
    }
    let port = match vm.id.filter(|_| live) {
        Some(id) => format!("{}", 5899 + i64::from(id)),
        None => "-1".to_owned(),
    };
    put_line!(
        out,
        "    <graphics type='vnc' port='{port}' autoport='yes' listen='127.0.0.1'>"
    );
    put_line!(out, "      <listen type='address' address='127.0.0.1'/>");
    put_line!(out, "    </graphics>");
    put_line!(out, "    <memballoon model='virtio'>");
    put_line!(out, "      <stats period='5'/>");
    out.push_str(&alias("balloon0"));
    put_line!(out, "    </memballoon>\n  </devices>");
}

/// Escapes text for XML the way libvirt does; what XML cannot hold at all is left out.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' => out.push(c),
            c if c < ' ' => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped() {
        assert_eq!(escaped("a<b>&'\"\u{1b}c"), "a&lt;b&gt;&amp;&apos;&quot;c");
    }
}
