//! Commands of `virsh` about pools, volumes and networks, in the shapes of libvirt 9.0.

use super::definition::escaped;
use super::options::Command;
use super::said::{Said, put_line};
use super::table;
use crate::sim::store::{SimStore, SimVolume, What};
use crate::sim::world::World;

/// Answers a command about them; `None` when it is none.
pub(super) fn stores(
    world: &mut World,
    command: &Command,
    quiet: bool,
    utf8: bool,
) -> Option<Said> {
    let name = command.spec.name;
    let pools = match name.split('-').next() {
        Some("pool" | "vol") => true,
        Some("net") => false,
        _ => return None,
    };
    if matches!(name, "pool-list" | "net-list") {
        return Some(list(world, pools, command, quiet));
    }
    let wanted = command.value(if pools { "pool" } else { "network" });
    let wanted = wanted.unwrap_or_default();
    let Some(found) = world.stores.find(pools, wanted).map(|found| found.clone()) else {
        return Some(missing(pools, wanted));
    };
    let said = match name {
        "pool-dumpxml" => pool_xml(world, &found),
        "pool-info" => pool_info(world, &found),
        "pool-uuid" | "net-uuid" => Said::line(&found.uuid),
        "vol-list" => volumes(world, &found, quiet, utf8),
        "vol-dumpxml" => volume_xml(world, &found, command),
        "net-dumpxml" => network_xml(&found),
        "net-info" => network_info(&found),
        "net-dhcp-leases" => leases(world, &found, quiet),
        _ => return Some(change(world, pools, command, &found, quiet)),
    };
    Some(said)
}

fn missing(pools: bool, wanted: &str) -> Said {
    let (word, title) = if pools {
        ("pool", "Storage pool not found: no storage pool")
    } else {
        ("network", "Network not found: no network")
    };
    Said::errors(
        format!("failed to get {word} '{wanted}'"),
        format!("{title} with matching name '{wanted}'"),
    )
}

fn list(world: &World, pools: bool, command: &Command, quiet: bool) -> Said {
    let mut wanted: Vec<&SimStore> = world
        .stores
        .of_kind(pools)
        .filter(|one| command.has("all") || one.active != command.has("inactive"))
        .collect();
    wanted.sort_by(|one, other| one.name.cmp(&other.name));
    let mut out = String::new();
    if command.has("uuid") || command.has("name") {
        for one in wanted {
            if command.has("uuid") {
                put_line!(&mut out, "{}", one.uuid);
            } else if pools {
                // Padded, as the real one does.
                put_line!(&mut out, "{:<20}", one.name);
            } else {
                put_line!(&mut out, "{}", one.name);
            }
        }
        return Said::out(out);
    }
    let flag = |on: bool| if on { "yes" } else { "no" }.to_owned();
    let rows: Vec<Vec<String>> = wanted
        .into_iter()
        .map(|one| {
            let state = if one.active { "active" } else { "inactive" }.to_owned();
            let mut row = vec![one.name.clone(), state, flag(one.autostart)];
            if !pools {
                row.push(flag(true));
            }
            row
        })
        .collect();
    let head: &[&str] = if pools {
        &["Name", "State", "Autostart"]
    } else {
        &["Name", "State", "Autostart", "Persistent"]
    };
    Said::out(table::render(head, &rows, quiet))
}

/// Capacity, allocation and what is left; all zero while it is stopped.
fn figures(world: &World, pool: &SimStore) -> [u64; 3] {
    let What::Pool { capacity, .. } = &pool.what else {
        return [0; 3];
    };
    if !pool.active {
        return [0; 3];
    }
    let used: u64 = pool
        .volumes(world.vms())
        .iter()
        .map(|volume| volume.allocation)
        .sum();
    let used = used.min(*capacity);
    [*capacity, used, capacity - used]
}

fn pool_xml(world: &World, pool: &SimStore) -> Said {
    let What::Pool { kind, path, .. } = &pool.what else {
        return Said::nothing();
    };
    let [capacity, allocation, available] = figures(world, pool);
    let mut out = String::new();
    put_line!(&mut out, "<pool type='{kind}'>");
    put_line!(&mut out, "  <name>{}</name>", escaped(&pool.name));
    put_line!(&mut out, "  <uuid>{}</uuid>", pool.uuid);
    for (name, bytes) in [
        ("capacity", capacity),
        ("allocation", allocation),
        ("available", available),
    ] {
        put_line!(&mut out, "  <{name} unit='bytes'>{bytes}</{name}>");
    }
    out.push_str("  <source>\n  </source>\n  <target>\n");
    put_line!(&mut out, "    <path>{path}</path>");
    out.push_str("  </target>\n</pool>\n");
    Said::out(out)
}

fn pool_info(world: &World, pool: &SimStore) -> Said {
    let mut out = String::new();
    let state = if pool.active { "running" } else { "inactive" };
    let flag = |on: bool| if on { "yes" } else { "no" };
    put_line!(&mut out, "{:<15} {}", "Name:", pool.name);
    put_line!(&mut out, "{:<15} {}", "UUID:", pool.uuid);
    put_line!(&mut out, "{:<15} {state}", "State:");
    put_line!(&mut out, "{:<15} yes", "Persistent:");
    put_line!(&mut out, "{:<15} {}", "Autostart:", flag(pool.autostart));
    if pool.active {
        let words = ["Capacity:", "Allocation:", "Available:"];
        for (label, bytes) in words.into_iter().zip(figures(world, pool)) {
            put_line!(&mut out, "{label:<15} {bytes}");
        }
    }
    Said::out(out)
}

fn path_of(pool: &SimStore, volume: &SimVolume) -> String {
    match &pool.what {
        What::Pool { path, .. } => format!("{path}/{}", volume.name),
        What::Network { .. } => volume.name.clone(),
    }
}

fn not_active(what: &str, pool: &SimStore) -> Said {
    Said::errors(
        what,
        format!(
            "Requested operation is not valid: storage pool '{}' is not active",
            pool.name
        ),
    )
}

fn volumes(world: &World, pool: &SimStore, quiet: bool, utf8: bool) -> Said {
    if !pool.active {
        return not_active("Failed to list volumes", pool);
    }
    let rows: Vec<Vec<String>> = pool
        .volumes(world.vms())
        .iter()
        .map(|volume| {
            vec![
                table::shown(&volume.name, utf8),
                table::shown(&path_of(pool, volume), utf8),
            ]
        })
        .collect();
    Said::out(table::render(&["Name", "Path"], &rows, quiet))
}

fn volume_xml(world: &World, pool: &SimStore, command: &Command) -> Said {
    let wanted = command.value("vol").unwrap_or_default();
    let volumes = if pool.active {
        pool.volumes(world.vms())
    } else {
        Vec::new()
    };
    let Some(volume) = volumes.iter().find(|volume| volume.name == wanted) else {
        return Said::errors(
            format!("failed to get vol '{wanted}'"),
            format!("Storage volume not found: no storage vol with matching path '{wanted}'"),
        );
    };
    let path = escaped(&path_of(pool, volume));
    let mut out = String::from("<volume type='file'>\n");
    put_line!(&mut out, "  <name>{}</name>", escaped(&volume.name));
    put_line!(&mut out, "  <key>{path}</key>");
    put_line!(
        &mut out,
        "  <capacity unit='bytes'>{}</capacity>",
        volume.capacity
    );
    put_line!(
        &mut out,
        "  <allocation unit='bytes'>{}</allocation>",
        volume.allocation
    );
    put_line!(&mut out, "  <target>\n    <path>{path}</path>");
    put_line!(&mut out, "    <format type='{}'/>", volume.format);
    out.push_str("  </target>\n</volume>\n");
    Said::out(out)
}

fn network_xml(network: &SimStore) -> Said {
    let What::Network {
        forward,
        bridge,
        net,
        vlan,
    } = &network.what
    else {
        return Said::nothing();
    };
    let mut out = String::from("<network>\n");
    put_line!(&mut out, "  <name>{}</name>", escaped(&network.name));
    put_line!(&mut out, "  <uuid>{}</uuid>", network.uuid);
    if let Some(mode) = forward {
        put_line!(&mut out, "  <forward mode='{mode}'/>");
    }
    put_line!(&mut out, "  <bridge name='{bridge}' stp='on' delay='0'/>");
    if let Some(tag) = vlan {
        put_line!(&mut out, "  <vlan>\n    <tag id='{tag}'/>\n  </vlan>");
    }
    put_line!(&mut out, "  <ip address='{net}.1' netmask='255.255.255.0'>");
    put_line!(&mut out, "    <dhcp>");
    put_line!(&mut out, "      <range start='{net}.2' end='{net}.254'/>");
    out.push_str("    </dhcp>\n  </ip>\n</network>\n");
    Said::out(out)
}

fn network_info(network: &SimStore) -> Said {
    let flag = |on: bool| if on { "yes" } else { "no" };
    let mut out = String::new();
    put_line!(&mut out, "{:<15} {}", "Name:", network.name);
    put_line!(&mut out, "{:<15} {}", "UUID:", network.uuid);
    put_line!(&mut out, "{:<15} {}", "Active:", flag(network.active));
    put_line!(&mut out, "{:<15} yes", "Persistent:");
    put_line!(&mut out, "{:<15} {}", "Autostart:", flag(network.autostart));
    if let What::Network { bridge, .. } = &network.what {
        put_line!(&mut out, "{:<15} {bridge}", "Bridge:");
    }
    Said::out(out)
}

fn leases(world: &World, network: &SimStore, quiet: bool) -> Said {
    let What::Network { net, .. } = &network.what else {
        return Said::nothing();
    };
    let on = |vm: &&crate::sim::vm::SimVm| {
        vm.is_active() && crate::sim::store::network_of(vm) == Some(network.name.as_str())
    };
    let rows: Vec<Vec<String>> = world
        .vms()
        .filter(on)
        .take(250)
        .enumerate()
        .filter(|_| network.active)
        .map(|(at, vm)| {
            vec![
                "2026-11-22 05:05:22".to_owned(),
                vm.mac(),
                "ipv4".to_owned(),
                format!("{net}.{}/24", at + 2),
                "-".to_owned(),
                "-".to_owned(),
            ]
        })
        .collect();
    let head = [
        "Expiry Time",
        "MAC address",
        "Protocol",
        "IP address",
        "Hostname",
        "Client ID or DUID",
    ];
    Said::out(table::render(&head, &rows, quiet))
}

/// Starts, stops, refreshes, or sets the flag.
fn change(
    world: &mut World,
    pools: bool,
    command: &Command,
    found: &SimStore,
    quiet: bool,
) -> Said {
    let (kind, verb) = command.spec.name.split_once('-').unwrap_or_default();
    let noun = if pools { "pool" } else { "network" };
    let name = &found.name;
    let thing = if pools { "storage pool" } else { "network" };
    let not_active = format!("Requested operation is not valid: {thing} '{name}' is not active");
    let refused = match (verb, found.active) {
        ("start", true) if kind == "net" => {
            Some("Requested operation is not valid: network is already active".to_owned())
        }
        ("start", true) => Some(format!(
            "Requested operation is not valid: storage pool '{name}' is already active"
        )),
        ("destroy" | "refresh", false) => Some(not_active),
        _ => None,
    };
    if let Some(why) = refused {
        return Said::errors(format!("Failed to {verb} {noun} {name}"), why);
    }
    let on = !command.has("disable");
    if let Some(store) = world.stores.find(pools, &found.uuid) {
        match verb {
            "start" => store.active = true,
            "destroy" => store.active = false,
            "autostart" => store.autostart = on,
            _ => {}
        }
    }
    if quiet {
        return Said::nothing();
    }
    let title = if pools { "Pool" } else { "Network" };
    let done = match (verb, on) {
        ("start", _) => "started",
        ("destroy", _) => "destroyed",
        ("refresh", _) => "refreshed",
        (_, true) => "marked as autostarted",
        (_, false) => "unmarked as autostarted",
    };
    Said::line(format_args!("{title} {name} {done}\n"))
}
