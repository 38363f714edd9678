//! A VM's definition: what `dumpxml` says about disks, network cards, title and the agent. Pure.
//!
//! The text is somebody else's: its size and its number of nodes are bounded, and a document type
//! (which could define entities) is refused by the reader.

use std::borrow::Cow;

use roxmltree::{Document, Node, ParsingOptions};

use super::parse::Misshapen;
use crate::domain::store::DiskEnd;
use crate::domain::text::RemoteText;
use crate::domain::vm::{VmDisk, VmDiskImage, VmNic};

/// Bytes of one definition that are read; a large VM has some 20 KB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Elements, attributes and texts of one definition that are read.
const MAX_NODES: u32 = 200_000;

/// Attributes of one definition: the reader compares those of an element with one another, so that very
/// many of them would take it minutes. A large VM has a thousand or two.
const MAX_ATTRIBUTES: usize = 10_000;

/// Declarations of name spaces, which are looked through for every element and attribute.
const MAX_NAMESPACES: usize = 200;

/// Name of the channel behind which the guest agent listens.
const AGENT_CHANNEL: &str = "org.qemu.guest_agent.0";

/// What a definition says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) title: Option<RemoteText>,
    pub(crate) description: Option<RemoteText>,
    pub(crate) os: Option<RemoteText>,
    pub(crate) disks: Vec<VmDisk>,
    pub(crate) nics: Vec<VmNic>,
    /// Whether the agent inside the VM is connected now; asking one that is not takes long.
    pub(crate) agent_connected: bool,
}

/// Takes text that may be read as XML: neither too large nor made to keep the reader busy.
pub(super) fn bounded(output: &[u8]) -> Result<Cow<'_, str>, Misshapen> {
    if output.len() > MAX_BYTES {
        return Err(Misshapen::new("a definition of more than 4 MiB", b""));
    }
    let text = String::from_utf8_lossy(output);
    // Told by signs that no such thing can do without; text that has as many of them is none either.
    if text.matches('=').count() > MAX_ATTRIBUTES {
        return Err(Misshapen::new("more attributes than a VM can have", b""));
    }
    if text.matches("xmlns").count() > MAX_NAMESPACES {
        return Err(Misshapen::new("more name spaces than a VM can have", b""));
    }
    Ok(text)
}

/// Reads XML whose text is bounded.
pub(super) fn parsed(text: &str) -> Result<Document<'_>, Misshapen> {
    parsed_exactly(text.trim())
        .map_err(|error| Misshapen::new("no XML", error.to_string().as_bytes()))
}

/// The same, and tells where it is none.
pub(super) fn parsed_exactly(text: &str) -> Result<Document<'_>, roxmltree::Error> {
    let options = ParsingOptions {
        nodes_limit: MAX_NODES,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(text, options)
}

/// Reads `dumpxml`.
pub(crate) fn read(output: &[u8]) -> Result<Definition, Misshapen> {
    let text = bounded(output)?;
    let document = parsed(&text)?;
    let root = document.root_element();
    if root.tag_name().name() != "domain" {
        return Err(Misshapen::new(
            "no domain",
            root.tag_name().name().as_bytes(),
        ));
    }
    let devices = child(root, "devices");
    let each = |name: &'static str| {
        devices
            .into_iter()
            .flat_map(|devices| devices.children())
            .filter(move |node| node.has_tag_name(name))
    };
    Ok(Definition {
        title: child(root, "title").and_then(content),
        description: child(root, "description").and_then(content),
        os: operating_system(root),
        disks: each("disk").map(disk).collect(),
        nics: each("interface").map(nic).collect(),
        agent_connected: each("channel").any(|channel| agent_connected(channel)),
    })
}

/// Reads of `dumpxml` only where the disks are, and on which networks the cards.
pub(super) fn wired(output: &[u8]) -> Result<(Vec<DiskEnd>, Vec<String>), Misshapen> {
    let text = bounded(output)?;
    let document = parsed(&text)?;
    let devices = child(document.root_element(), "devices")
        .ok_or_else(|| Misshapen::new("no devices", b""))?;
    let sources = |name: &'static str| {
        devices
            .children()
            .filter(move |node| node.has_tag_name(name))
            .filter_map(|node| child(node, "source"))
    };
    let end = |source: Node<'_, '_>| match (source.attribute("pool"), source.attribute("volume")) {
        (pool, Some(name)) => Some(DiskEnd::Volume {
            pool: pool.map(str::to_owned),
            name: name.to_owned(),
        }),
        (_, None) => disk_source(source).map(|path| DiskEnd::Path(path.raw().to_owned())),
    };
    let on = |source: Node<'_, '_>| source.attribute("network").map(str::to_owned);
    Ok((
        sources("disk").filter_map(end).collect(),
        sources("interface").filter_map(on).collect(),
    ))
}

fn disk(node: Node<'_, '_>) -> VmDisk {
    let target = child(node, "target");
    let source = child(node, "source").and_then(disk_source);
    let format = child(node, "driver").and_then(|it| attribute(it, "type"));
    VmDisk {
        target: target
            .and_then(|it| attribute(it, "dev"))
            .unwrap_or_else(unnamed),
        device: attribute(node, "device").unwrap_or_else(|| RemoteText::new("disk")),
        chain: chain(node, source.as_ref(), format.as_ref()),
        source,
        format,
        bus: target.and_then(|it| attribute(it, "bus")),
        capacity: None,
        allocation: None,
    }
}

/// The image and those it is based on. libvirt tells them while the VM runs, each in the one before, and ends
/// them with an empty element: <https://libvirt.org/formatdomain.html#hard-drives-floppy-disks-cdroms>.
fn chain(
    disk: Node<'_, '_>,
    source: Option<&RemoteText>,
    format: Option<&RemoteText>,
) -> Vec<VmDiskImage> {
    let image = |path: RemoteText, format: Option<RemoteText>| VmDiskImage {
        path,
        format,
        kind: None,
        capacity: None,
        allocation: None,
    };
    let (Some(source), Some(first)) = (source, child(disk, "backingStore")) else {
        return Vec::new();
    };
    let mut images = vec![image(source.clone(), format.cloned())];
    let mut next = Some(first);
    while let Some(store) = next {
        if let Some(path) = child(store, "source").and_then(disk_source) {
            let format = child(store, "format").and_then(|it| attribute(it, "type"));
            images.push(image(path, format));
        }
        next = child(store, "backingStore");
    }
    images
}

/// Path, device, or pool and volume, whichever the disk has.
fn disk_source(source: Node<'_, '_>) -> Option<RemoteText> {
    if let (Some(pool), Some(volume)) = (source.attribute("pool"), source.attribute("volume")) {
        return Some(RemoteText::new(&format!("{pool}/{volume}")));
    }
    ["file", "dev", "name", "dir"]
        .into_iter()
        .find_map(|name| attribute(source, name))
}

fn nic(node: Node<'_, '_>) -> VmNic {
    let source = child(node, "source");
    VmNic {
        mac: child(node, "mac")
            .and_then(|it| attribute(it, "address"))
            .unwrap_or_else(unnamed),
        device: child(node, "target").and_then(|it| attribute(it, "dev")),
        kind: attribute(node, "type").unwrap_or_else(unnamed),
        network: source.and_then(|source| {
            ["network", "bridge", "dev"]
                .into_iter()
                .find_map(|name| attribute(source, name))
        }),
        model: child(node, "model").and_then(|it| attribute(it, "type")),
        addresses: Vec::new(),
    }
}

fn agent_connected(channel: Node<'_, '_>) -> bool {
    child(channel, "target").is_some_and(|target| {
        target.attribute("name") == Some(AGENT_CHANNEL)
            && target.attribute("state") == Some("connected")
    })
}

/// The operating system as libosinfo identifies it: `http://debian.org/debian/12` is `debian 12`.
fn operating_system(root: Node<'_, '_>) -> Option<RemoteText> {
    let metadata = child(root, "metadata")?;
    let os = metadata
        .descendants()
        .find(|node| node.is_element() && node.tag_name().name() == "os")?;
    let id = os.attribute("id")?;
    let mut parts = id.trim_end_matches('/').rsplit('/');
    let version = parts.next()?;
    let text = match parts.next() {
        Some(family) if !family.is_empty() && !family.contains('.') => {
            format!("{family} {version}")
        }
        _ => version.to_owned(),
    };
    Some(RemoteText::new(&text))
}

pub(super) fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.is_element() && child.tag_name().name() == name)
}

pub(super) fn attribute(node: Node<'_, '_>, name: &str) -> Option<RemoteText> {
    node.attribute(name).map(RemoteText::new)
}

pub(super) fn content(node: Node<'_, '_>) -> Option<RemoteText> {
    node.text()
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(RemoteText::new)
}

fn unnamed() -> RemoteText {
    RemoteText::new("?")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFINITION: &str = r#"
<domain type='qemu' id='3'>
  <name>disky</name>
  <title>A title</title>
  <description>two
lines</description>
  <metadata><o:libosinfo xmlns:o="http://libosinfo.org/xmlns/libvirt/domain/1.0"><o:os id="http://debian.org/debian/12"/></o:libosinfo></metadata>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/a b.qcow2' index='2'/><target dev='vda' bus='virtio'/></disk>
    <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdb'/></disk>
    <disk type='file' device='cdrom'><target dev='hda' bus='ide'/></disk>
    <interface type='network'><mac address='52:54:00:11:22:33'/><source network='default'/><target dev='vnet0'/><model type='virtio'/></interface>
    <interface type='user'/>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
  </devices>
</domain>
"#;

    #[test]
    fn a_definition_tells_disks_cards_and_words() {
        let definition = read(DEFINITION.as_bytes()).unwrap();
        assert_eq!(definition.title, Some(RemoteText::new("A title")));
        assert_eq!(definition.description, Some(RemoteText::new("two\nlines")));
        assert_eq!(definition.os, Some(RemoteText::new("debian 12")));
        assert!(definition.agent_connected);
        let sources: Vec<Option<String>> = definition
            .disks
            .iter()
            .map(|disk| disk.source.as_ref().map(ToString::to_string))
            .collect();
        assert_eq!(
            sources,
            [Some("/a b.qcow2".to_owned()), Some("p/v".to_owned()), None]
        );
        assert_eq!(definition.nics[0].network, Some(RemoteText::new("default")));
        assert_eq!(definition.nics[0].device, Some(RemoteText::new("vnet0")));
        assert_eq!(definition.nics[1].mac.raw(), "?");
    }

    #[test]
    fn a_chain_is_told_by_what_runs_and_unknown_otherwise() {
        let text = DEFINITION.replace(
            "index='2'/>",
            "index='2'/><backingStore type='file'><format type='raw'/><source file='/base'/>\
             <backingStore type='file'><format type='qcow2'/><source file='/root'/><backingStore/></backingStore></backingStore>",
        );
        let disks = read(text.as_bytes()).unwrap().disks;
        let paths: Vec<&str> = disks[0]
            .chain
            .iter()
            .map(|image| image.path.raw())
            .collect();
        assert_eq!(paths, ["/a b.qcow2", "/base", "/root"]);
        assert_eq!(disks[0].chain[1].format, Some(RemoteText::new("raw")));
        assert_eq!(disks[1].chain, []);
        let alone = DEFINITION.replace("index='2'/>", "index='2'/><backingStore/>");
        assert_eq!(read(alone.as_bytes()).unwrap().disks[0].chain.len(), 1);
    }

    #[test]
    fn entities_are_refused() {
        let bomb = "<!DOCTYPE d [<!ENTITY a 'aaaa'>]><domain><name>&a;</name></domain>";
        assert_eq!(read(bomb.as_bytes()).unwrap_err().what, "no XML");
    }

    #[test]
    fn what_is_no_definition_says_so() {
        assert_eq!(read(b"").unwrap_err().what, "no XML");
        assert_eq!(read(b"<network/>").unwrap_err().what, "no domain");
        assert_eq!(read(&vec![b' '; MAX_BYTES + 1]).unwrap_err().line.raw(), "");
    }

    #[test]
    fn an_agent_that_is_not_connected_is_not_asked() {
        let text = DEFINITION.replace("state='connected'", "state='disconnected'");
        assert!(!read(text.as_bytes()).unwrap().agent_connected);
    }

    #[test]
    fn what_would_keep_the_reader_busy_for_minutes_is_not_read() {
        let attributes: Vec<String> = (0..300_000).map(|n| format!(" a{n}=''")).collect();
        let wide = format!("<domain{}/>", attributes.concat());
        assert!(wide.len() < MAX_BYTES);
        assert_eq!(
            read(wide.as_bytes()).unwrap_err().what,
            "more attributes than a VM can have"
        );
        let spaces: Vec<String> = (0..5000).map(|n| format!(" xmlns:n{n}='u'")).collect();
        let elements = "<n4999:a/>".repeat(190_000);
        let deep = format!("<domain{}>{elements}</domain>", spaces.concat());
        assert_eq!(
            read(deep.as_bytes()).unwrap_err().what,
            "more name spaces than a VM can have"
        );
    }

    proptest! {
        #[test]
        fn a_damaged_definition_is_an_error_or_a_definition(at in 0usize..1500, byte in any::<u8>()) {
            let mut text = DEFINITION.as_bytes().to_vec();
            if let Some(place) = text.get_mut(at) {
                *place = byte;
            }
            drop(read(&text));
        }
    }
}
