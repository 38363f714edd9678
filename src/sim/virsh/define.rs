//! `virsh define` from standard input: what is simulated of a definition is taken over, the rest is left out, as a
//! libvirt leaves out what it does not know. Without a schema; a few of its refusals in its own words.

use super::options::Command;
use super::said::Said;
use crate::sim::host::SimHost;
use crate::sim::stdio::Stdio;

/// Bytes of a definition that are read.
const MOST: usize = 4 * 1024 * 1024;

/// Runs it.
pub(super) async fn define(host: &SimHost, command: &Command, stdio: &mut Stdio) -> Said {
    let file = command.value("file").unwrap_or_default();
    if file != "/dev/stdin" {
        return Said::error(format!(
            "Failed to open file '{file}': No such file or directory"
        ));
    }
    let mut read = Vec::new();
    while let Some(bytes) = stdio.read().await {
        read.extend_from_slice(&bytes);
        if read.len() > MOST {
            return Said::error(
                "Failed to read file '/dev/stdin': Value too large for defined data type",
            );
        }
    }
    match taken(host, &String::from_utf8_lossy(&read)) {
        Ok(()) => Said::nothing(),
        Err(why) => Said::errors("Failed to define domain from /dev/stdin".to_owned(), why),
    }
}

fn taken(host: &SimHost, text: &str) -> Result<(), String> {
    if !text.trim_end().ends_with("</domain>") {
        return Err("(domain_definition):1: Start tag expected, '<' not found".to_owned());
    }
    let number = |name: &str| match element(text, name) {
        None => Ok(None),
        Some((_, words)) => words.trim().parse::<u64>().map(Some).map_err(|_error| {
            format!(
                "XML document failed to validate against schema: Unable to validate doc against \
                 /usr/share/libvirt/schemas/domain.rng\nError validating datatype unsignedInt\n\
                 Element {name} failed to validate content"
            )
        }),
    };
    let (memory, current, vcpus) = (number("memory")?, number("currentMemory")?, number("vcpu")?);
    let vcpus = vcpus.map(|count| u32::try_from(count).unwrap_or(u32::MAX));
    if vcpus == Some(0) {
        return Err("XML error: Maximum CPUs must be an integer and greater than 0".to_owned());
    }
    let vcpus_now = element(text, "vcpu")
        .and_then(|(tag, _)| tag.split_once("current='")?.1.split_once('\''))
        .and_then(|(count, _)| count.parse().ok());
    let words = |name: &str| element(text, name).map(|(_, words)| unescaped(words));
    let uuid = words("uuid").unwrap_or_default();
    let name = words("name").unwrap_or_default();
    host.world(|world| {
        let found = world.find(&uuid).and_then(|index| world.vm_mut(index));
        let Some(vm) = found else {
            return Err("unsupported configuration: new domains are not simulated".to_owned());
        };
        if vm.plan.name != name {
            let known = &vm.plan.name;
            return Err(format!(
                "operation failed: domain '{known}' is already defined with uuid {uuid}"
            ));
        }
        vm.define(|kept| {
            kept.title = words("title");
            kept.description = words("description");
            if let Some(most) = memory {
                kept.memory_max_kib = most;
                kept.memory_kib = current.unwrap_or(most).min(most);
            }
            if let Some(most) = vcpus {
                kept.vcpus_max = most;
                kept.vcpus = vcpus_now.unwrap_or(most).min(most);
            }
        });
        Ok(())
    })
}

/// Finds the first element of a name that has text in it: its tag, and the text.
fn element<'a>(text: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let begin = format!("<{name}");
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(&begin) {
        let (tag, behind) = after.split_once('>')?;
        if tag.is_empty() || tag.starts_with(' ') {
            return Some((tag, behind.split_once(&format!("</{name}>"))?.0));
        }
        rest = after;
    }
    None
}

fn unescaped(text: &str) -> String {
    let all = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&amp;", "&"),
    ];
    all.into_iter()
        .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_whole_name() {
        let text =
            "<memoryBacking/><memory unit='KiB'>5</memory><title>a &lt;b&gt; &amp;amp;</title>";
        assert_eq!(element(text, "memory"), Some((" unit='KiB'", "5")));
        assert_eq!(element(text, "vcpu"), None);
        assert_eq!(unescaped(element(text, "title").unwrap().1), "a <b> &amp;");
    }
}
